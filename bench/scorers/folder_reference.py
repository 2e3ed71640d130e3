"""A set of images as the reference of another one: no data set, no training, no test split."""

from __future__ import annotations

import math

import numpy as np

from bench.base.seeds import generator
from bench.contracts import Images
from bench.metrics.fid import feature_statistics, frechet_from_statistics
from bench.scorers.reference import DistanceOptions, Reference

__all__ = ["FolderReference"]


class FolderReference(Reference):
    """The images of a folder as a feature network sees them.

    The floor is the distance of ``n`` of them, drawn at random, to all the others.

    Args:
        network: an encoder with ``embed_images``.
        name: its name, for the protocol ids.
        images: the reference.
        ref: how protocol ids name it.
        options: settings.
        seed: of the draws.
    """

    def __init__(
        self, network: object, name: str, images: Images, ref: str, options: DistanceOptions, seed: int
    ) -> None:
        super().__init__(network, name, images, lambda n, number: images[:n], options, seed)
        self.ref, self.floor_kind = ref, "split"

    def floor(self, n: int) -> float:
        """Mean over ``floor_draws`` draws; nan where too few images are left over."""
        least = self.options.minimum_n
        if len(self.features) - n < least:
            return math.nan
        draws = []
        for number in range(self.options.floor_draws):
            order = generator(self.seed, "split", number).permutation(len(self.features))
            chosen, others = (feature_statistics(self.features[rows], least) for rows in (order[:n], order[n:]))
            draws.append(frechet_from_statistics(*chosen, *others))
        return float(np.mean(draws))
