"""Real training pictures, drawn at random without jitter or repetition: the ceiling, and the real-versus-real floor of
FID."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.base.errors import BenchError
from bench.base.files import write_npz
from bench.base.seeds import generator
from bench.base.settings import Checked, Count
from bench.contracts import Images, Ints, RunContext

__all__ = ["RealImages", "RealImagesConfig"]


@dataclass(frozen=True)
class RealImagesConfig(Checked):
    """Settings.

    Attributes:
        kept: training pictures at hand, drawn at random (data sets are often sorted by writer: never the first ones).
    """

    kept: Count = 10_000


class RealImages:
    """An :class:`bench.contracts.ImageGenerator` that deals out real pictures like cards."""

    Config = RealImagesConfig

    def __init__(self, config: RealImagesConfig) -> None:
        self.config = config
        self.images: Images = np.zeros((0, 28, 28, 1), np.uint8)
        self.labels: Ints = np.zeros(0, np.int64)

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Keep ``kept`` random training pictures."""
        split = data["train"]
        count = min(self.config.kept, len(split.images))
        chosen = generator(run.seed, "kept").permutation(len(split.images))[:count]
        self.images = np.ascontiguousarray(split.images[chosen])
        self.labels = split.labels[chosen] if split.labels is not None else np.full(count, -1, np.int64)

    def sample(self, n: int, seed: int, labels: Ints | None = None, **options: Any) -> Images:
        """Item i is the i-th card of the shuffled deck, or the next card of the asked class; a deck that runs out
        starts again.

        With ``labels`` the i-th item depends on the labels before it too: no card is dealt twice.
        """
        if labels is None:
            deck = generator(seed, "deck").permutation(len(self.images))
            return self.images[deck[np.arange(n) % len(deck)]]
        if len(labels) != n:
            raise BenchError(f"{len(labels)} labels for {n} pictures")
        chosen = np.empty(n, np.int64)
        for label in np.unique(labels):
            pool = np.flatnonzero(self.labels == label)
            if not len(pool):
                raise BenchError(f"no training picture of class {int(label)} is kept: raise `model.kept`")
            where = np.flatnonzero(labels == label)
            chosen[where] = generator(seed, "deck", int(label)).permutation(pool)[np.arange(len(where)) % len(pool)]
        return self.images[chosen]

    def save(self, folder: Path) -> None:
        """The pictures."""
        write_npz(folder / "deck.npz", {"images": self.images, "labels": self.labels})

    @classmethod
    def load(cls, folder: Path, config: RealImagesConfig, device: str = "cpu") -> RealImages:
        """The inverse of :meth:`save`."""
        system = cls(config)
        with np.load(folder / "deck.npz", allow_pickle=False) as file:
            system.images, system.labels = file["images"], file["labels"]
        return system
