"""A planted memoriser: hands out a handful of training pictures, slightly jittered, as if it had made them.

Its class agreement is that of real pictures and its FID is mild; the memorisation test must flag it (Theis et al. 2016,
"A note on the evaluation of generative models", section 3.3, on nearest neighbours and shifts).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bench.base.errors import BenchError
from bench.base.seeds import derive, generator
from bench.base.settings import Checked, Natural
from bench.contracts import Images, Ints, RunContext
from bench.data.pools import PoolSystem

__all__ = ["MemoriserImages", "MemoriserImagesConfig"]


@dataclass(frozen=True)
class MemoriserImagesConfig(Checked):
    """Settings.

    Attributes:
        kept: training pictures remembered; 0 for all.
        jitter: largest change of brightness, in bytes, added to all pixels that are not black: enough to break an
            equality test.
    """

    kept: Natural = 500
    jitter: Natural = 6


class MemoriserImages(PoolSystem[MemoriserImagesConfig]):
    """An :class:`bench.contracts.ImageGenerator` made of its training set."""

    Config: ClassVar[type[MemoriserImagesConfig]] = MemoriserImagesConfig

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Remember ``kept`` random training pictures."""
        split = data["train"]
        count = min(self.config.kept or len(split.images), len(split.images))
        chosen = np.sort(generator(run.seed, "kept").choice(len(split.images), count, replace=False))
        labels = split.labels[chosen] if split.labels is not None else np.full(count, -1, np.int64)
        self.keep(split.images[chosen], labels=labels)

    def sample(self, n: int, seed: int, labels: Ints | None = None, *, first: int = 0, **options: Any) -> Images:
        """For each item a random remembered picture, of the asked class where one is asked."""
        if labels is not None and len(labels) != n:
            raise BenchError(f"{len(labels)} labels for {n} pictures")
        pools = {int(k): np.flatnonzero(self.facts["labels"] == k) for k in np.unique(self.facts["labels"])}
        everything = np.arange(len(self.images))
        drawn = np.empty((n, *self.images.shape[1:]), np.uint8)
        for i in range(n):
            rng = np.random.default_rng(derive(seed, first + i))
            pool = everything if labels is None else pools.get(int(labels[i]), everything)
            picture = self.images[rng.choice(pool)].astype(np.int64)
            shift = int(rng.integers(-self.config.jitter, self.config.jitter + 1))
            drawn[i] = np.where(picture > 0, picture + shift, picture).clip(0, 255)
        return drawn
