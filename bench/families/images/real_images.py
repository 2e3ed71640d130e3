"""Real pictures that nobody trained on, drawn at random without jitter or repetition: the ceiling.

They are half of the validation split: training pictures would be copies by definition, and the feature network knows
them. The other half is what copying is measured against.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bench.base.errors import BenchError
from bench.base.seeds import generator
from bench.base.settings import Checked, Count
from bench.contracts import Images, Ints, RunContext
from bench.data.pools import PoolSystem
from bench.data.unseen import unseen_halves

__all__ = ["RealImages", "RealImagesConfig"]


@dataclass(frozen=True)
class RealImagesConfig(Checked):
    """Settings.

    Attributes:
        kept: pictures at hand, drawn at random (data sets are often sorted by writer: never the first ones).
    """

    kept: Count = 10_000


class RealImages(PoolSystem[RealImagesConfig]):
    """An :class:`bench.contracts.ImageGenerator` that samples real images without replacement."""

    Config: ClassVar[type[RealImagesConfig]] = RealImagesConfig

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Keep ``kept`` random pictures of the ceiling's half of the validation split."""
        split, _ = unseen_halves(data)
        count = min(self.config.kept, len(split.images))
        chosen = generator(run.seed, "kept").permutation(len(split.images))[:count]
        labels = split.labels[chosen] if split.labels is not None else np.full(count, -1, np.int64)
        self.keep(split.images[chosen], labels=labels)

    def sample(self, n: int, seed: int, labels: Ints | None = None, **options: Any) -> Images:
        """Item i is the i-th image of the shuffled pool, or the next one of the asked class; a pool that runs out
        starts again.

        With ``labels`` the i-th item depends on the labels before it too: no image comes twice.
        """
        if labels is None:
            order = generator(seed, "deck").permutation(len(self.images))
            return self.images[order[np.arange(n) % len(order)]]
        if len(labels) != n:
            raise BenchError(f"{len(labels)} labels for {n} pictures")
        chosen = np.empty(n, np.int64)
        for label in np.unique(labels):
            pool = np.flatnonzero(self.facts["labels"] == label)
            if not len(pool):
                raise BenchError(
                    f"no picture of class {int(label)} is kept: raise `model.kept` or `split.validation` of the card"
                )
            where = np.flatnonzero(labels == label)
            chosen[where] = generator(seed, "deck", int(label)).permutation(pool)[np.arange(len(where)) % len(pool)]
        return self.images[chosen]
