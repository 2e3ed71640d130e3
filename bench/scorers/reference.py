"""Real data that samples are measured against: the test set as a feature network sees it, and fresh real images.

Every distance is bound to a trained feature network, to N and to the reference, and stands beside its real-versus-real
floor at the same N (``fid_ratio`` is the multiple of it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from bench.base.processes import gather, shard, world_size
from bench.base.seeds import derive, generator
from bench.base.settings import Checked, Count, Natural, Range
from bench.contracts import Images, Ints
from bench.data.datasets import ImageSplit, load_images
from bench.families.images.sampling import proportional_labels
from bench.metrics.fid import feature_statistics, frechet_from_statistics
from bench.metrics.protocols import MINIMUM_N
from bench.scoring import Subject

__all__ = ["DistanceOptions", "Features", "Reference", "features_of", "image_splits", "real_images", "reference_seed"]

Features = NDArray[np.float32]


@dataclass(frozen=True)
class DistanceOptions(Checked):
    """Keys under ``evaluate:`` of what compares samples with the test set.

    Attributes:
        minimum_n: fewest samples for FID and KID; another than 1,000 is written into the protocol.
        small_n: first samples of every variant that a small kernel distance looks at, for sets that are too expensive
            for a thousand; 0 for none.
        groups: left out in turn for the jackknife intervals.
        floor_draws: draws of real images whose mean distance is the floor.
        manifold_k: neighbours of precision, recall, density and coverage.
        manifold_n: images on each side of those, at most.
    """

    minimum_n: Annotated[int, Range(low=2)] = MINIMUM_N
    small_n: Natural = 0
    groups: Annotated[int, Range(low=2)] = 20
    floor_draws: Count = 5
    manifold_k: Count = 5
    manifold_n: Count = 2000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.manifold_n <= self.manifold_k:
            raise ValueError(f"manifold_n: {self.manifold_k} neighbours need more than {self.manifold_n} images")


def image_splits(subject: Subject) -> Mapping[str, ImageSplit]:
    """The prepared splits, read once."""
    return subject.once("image-splits", lambda: load_images(subject.context.data))


def reference_seed(subject: Subject) -> int:
    """Of all random choices about real data: the same for all generators of a family on a data set."""
    return derive(subject.seed, subject.context.family, subject.dataset, "reference")


def features_of(network: Any, images: Images) -> Features:
    """``network.embed_images``; under torchrun each process embeds its part and all get the whole."""
    if world_size() == 1:
        return np.asarray(network.embed_images(images))
    first, count = shard(len(images))
    return gather(network.embed_images(images[first : first + count]))


def real_images(subject: Subject, n: int, number: int) -> tuple[Images, Ints | None]:
    """Draw ``number`` of ``n`` real images that are not in the test set.

    Scenes come from the split that no generator trains on, with all colour-digit pairs; images of classes from the
    training set, in the test set's proportions.
    """
    splits, seed = image_splits(subject), reference_seed(subject)
    rng = generator(seed, "floor", number)
    if "judge" in splits or splits["train"].captions is not None:
        scenes = splits.get("judge", splits["validation"]).images
        return scenes[rng.permutation(len(scenes))[:n]], None
    train = splits["train"]
    labels = proportional_labels(splits["test"].labels, n, seed)
    if labels is None or train.labels is None:
        return train.images[rng.permutation(len(train.images))[:n]], None
    chosen = np.empty(n, np.int64)
    for label in np.unique(labels):
        pool = np.flatnonzero(train.labels == label)
        where = np.flatnonzero(labels == label)
        chosen[where] = rng.permutation(pool)[np.arange(len(where)) % len(pool)]
    return train.images[chosen], train.labels[chosen]


class Reference:
    """The test set (or another split) as a feature network sees it, and the floor at each N.

    Args:
        network: an encoder with ``embed_images``.
        name: its name, for the protocol ids.
        images: of the split.
        real: ``real(n, number)``: a random draw of n real images that are not in the test set.
        options: settings.
        seed: of all random choices; the same for all generators.
        split: whose images they are.
    """

    def __init__(
        self,
        network: Any,
        name: str,
        images: Images,
        real: Callable[[int, int], Images],
        options: DistanceOptions,
        seed: int,
        split: str = "test",
    ) -> None:
        self.network, self.name, self.real, self.options, self.seed = network, name, real, options, seed
        self.features: Features = features_of(network, images)
        self.split, self.ref, self.floor_kind = split, f"{split}{len(self.features)}", "real"
        self.statistics = feature_statistics(self.features, min(options.minimum_n, len(self.features)))
        self._floors: dict[int, float] = {}

    @classmethod
    def of(cls, subject: Subject, role: str, options: DistanceOptions, split: str = "test") -> Reference:
        """The reference of a generator by the feature network in a role, made once."""
        return subject.once(
            ("reference", role, options, split),
            lambda: cls(
                subject.model(role),
                subject.model_name(role),
                image_splits(subject)[split].images,
                lambda n, number: real_images(subject, n, number)[0],
                options,
                reference_seed(subject),
                split,
            ),
        )

    def fid(self, images: Images) -> float:
        """Frechet distance of images to the whole test set."""
        return self.fid_of_features(features_of(self.network, images))

    def fid_of_features(self, features: Features) -> float:
        """The same from features ``(N, D)``."""
        return frechet_from_statistics(*feature_statistics(features, self.options.minimum_n), *self.statistics)

    def floor(self, n: int) -> float:
        """Mean FID of ``floor_draws`` draws of ``n`` real images."""
        if n not in self._floors:
            draws = [self.fid(self.real(n, i)) for i in range(self.options.floor_draws)]
            self._floors[n] = float(np.mean(draws))
        return self._floors[n]
