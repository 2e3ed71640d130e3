"""Are samples copies of training images, disguised ones included? Two tests, each in two spaces.

The spaces: features of the network that measures the family, and pixels at small shifts, smoothed and brought to one
mean and contrast (:mod:`bench.metrics.shifted_neighbours`). The tests: ranks of all distances, and the share of near
copies (:mod:`bench.metrics.data_copying`). An honest generator fails one of them for any of its variants with
probability ``LEVEL`` at most; what fails is said in a note beside the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from bench.base.seeds import generator
from bench.base.settings import Checked, Count, Natural, Range
from bench.contracts import Images, ModelNeed
from bench.data.unseen import unseen_halves
from bench.metrics.data_copying import copy_test, near_copies
from bench.metrics.neighbours import nearest
from bench.metrics.protocols import protocol_id
from bench.metrics.shifted_neighbours import shifted_distances, thumbnails
from bench.results.extras import Note
from bench.scorers.reference import features_of, image_splits, reference_seed
from bench.scoring import Output, Score, Subject, scorer
from bench.stats.intervals import wilson_interval

__all__ = ["CopyOptions", "TrainingSet", "copies", "data_copying"]

LEVEL = 0.05
ITEMS_PER_CELL = 50
"""Unseen images in a cell on the mean, at least: below, the order statistic that is the threshold means little."""


@dataclass(frozen=True)
class CopyOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        copy_n: samples of every variant that are looked up in the training set; 0 for none.
        copy_unseen: unseen images that are looked up as well, at most.
        copy_cells: cells of a k-means of the training set inside which distances are compared; fewer where there are
            few unseen images.
        copy_candidates: training images whose pixels are compared at every shift: so many nearest in features, and as
            many nearest as thumbnails.
        copy_shift: pixels each way.
        copy_quantile: share of unseen images that are as near as a near copy.
    """

    copy_n: Natural = 1000
    copy_unseen: Count = 2000
    copy_cells: Count = 10
    copy_candidates: Count = 10
    copy_shift: Natural = 2
    copy_quantile: Annotated[float, Range(above=0, below=1)] = 0.01


@dataclass(frozen=True)
class _Distances:
    """Of images to their nearest training images, ``(N,)`` each by the name of the space, and the images' cells."""

    by_space: dict[str, NDArray[np.float64]]
    cells: NDArray[np.int64]


class TrainingSet:
    """The training images as the feature network sees them, and how near unseen images lie to them."""

    def __init__(self, network: Any, name: str, train: Images, unseen: Images, options: CopyOptions, seed: int) -> None:
        self.network, self.name, self.train, self.options = network, name, train, options
        self.features, self.thumbnails = features_of(network, train), thumbnails(train)
        self.candidates = min(options.copy_candidates, len(train))
        unseen = unseen[generator(seed, "unseen").permutation(len(unseen))[: options.copy_unseen]]
        wanted = max(1, min(options.copy_cells, len(unseen) // ITEMS_PER_CELL))
        draws = generator(seed, "cells")
        self.centres, _ = kmeans2(self.features.astype(np.float64), wanted, iter=20, minit="++", rng=draws)
        self.unseen = self.distances(unseen)
        self.where: dict[str, Any] = {"ref": f"train{len(train)}", "unseen": len(unseen), "cells": wanted}

    def distances(self, images: Images) -> _Distances:
        """How near images lie to the training set in both spaces."""
        features = features_of(self.network, images)
        near, alike = nearest(features, self.features, self.candidates)
        candidates = np.hstack([alike, nearest(thumbnails(images), self.thumbnails, self.candidates)[1]])
        shifted = shifted_distances(images, self.train, candidates, shift=self.options.copy_shift)
        return _Distances({self.name: near[:, 0], "shifted-pixels": shifted}, nearest(features, self.centres)[1][:, 0])

    def measure(self, images: Images, variant: str, level: float) -> tuple[list[Score], list[str]]:
        """The scores of a variant, and what is said of each test that fails at ``level``."""
        return self.compare(self.distances(images), variant, level)

    def compare(self, found: _Distances, variant: str, level: float) -> tuple[list[Score], list[str]]:
        """The same from the distances."""
        n, scores, failed = len(found.cells), list[Score](), list[str]()
        for space, values in found.by_space.items():
            where: dict[str, Any] = {
                "n": n,
                "shift": self.options.copy_shift if space == "shifted-pixels" else None,
                **self.where,
            }
            items = (values, self.unseen.by_space[space], found.cells, self.unseen.cells)
            ranks = copy_test(*items)
            if ranks is not None:
                scores.append(
                    Score("copying_z", ranks.z, protocol_id("copying_z", space, **where), ranks.ci95, n, variant)
                )
                if ranks.p_value < level:
                    failed.append(f"nearer to the training images than unseen images are ({space}: z {ranks.z:.1f})")
            near = near_copies(*items, quantile=self.options.copy_quantile)
            if near is not None:
                protocol = protocol_id(
                    "near_copy_share", space, version=2, quantile=self.options.copy_quantile, **where
                )
                interval = wilson_interval(near.count, near.n)
                scores.append(Score("near_copy_share", near.share, protocol, interval, near.n, variant))
                if near.p_value < level:
                    failed.append(
                        f"{100 * near.share:.1f} % near copies where {100 * near.expected:.1f} % are expected ({space})"
                    )
        return scores, failed


def copies(
    subject: Subject, role: str, unseen: Images, sets: Iterable[tuple[str, Images]], options: CopyOptions
) -> Iterator[Output]:
    """Both tests in both spaces for every variant, and a note on those that fail.

    Args:
        subject: the generator.
        role: of the network whose features are compared.
        unseen: real images that nobody trained on.
        sets: variant and images.
        options: settings.
    """
    chosen = [(variant, images[: options.copy_n]) for variant, images in sets if len(images) and options.copy_n]
    if not chosen or not len(unseen):
        return
    train = TrainingSet(
        subject.model(role),
        subject.model_name(role),
        image_splits(subject)["train"].images,
        unseen,
        options,
        reference_seed(subject),
    )
    for variant, images in chosen:
        scores, failed = train.measure(images, variant, LEVEL / (4 * len(chosen)))
        yield from scores
        if failed:
            yield Note(f"Copying suspected{f' ({variant})' if variant else ''}: {'; '.join(failed)}.")


@scorer("ImageGenerator", options=CopyOptions, needs={"feature_net": ModelNeed("Encoder")})
def data_copying(subject: Subject, options: CopyOptions) -> Iterator[Output]:
    """Tests for copies of every variant; unseen images are the half of the validation split that no ceiling shows."""
    _, unseen = unseen_halves(image_splits(subject))
    sets = [(one.variant, one.images) for one in subject.samples if one.images is not None]
    yield from copies(subject, "feature_net", unseen.images, sets, options)
