"""Uniform noise: the floor of every image table, and the generator that lets the whole pipeline be tested in
seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.base.files import read_json, write_json
from bench.base.seeds import generator
from bench.contracts import Images, Ints, RunContext

__all__ = ["DummyImages", "DummyImagesConfig"]


@dataclass(frozen=True)
class DummyImagesConfig:
    """No settings."""


class DummyImages:
    """An :class:`bench.contracts.ImageGenerator` that knows the size of a picture and nothing else."""

    Config = DummyImagesConfig

    def __init__(self, config: DummyImagesConfig) -> None:
        self.config = config
        self.shape: tuple[int, ...] = (28, 28, 1)

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Note the size."""
        self.shape = data["train"].images.shape[1:]

    def sample(self, n: int, seed: int, labels: Ints | None = None, *, first: int = 0, **options: Any) -> Images:
        """``(n, H, W, C)`` independent uniform bytes; ``labels`` and ``options`` are ignored."""
        drawn = [generator(seed, i).integers(0, 256, self.shape, dtype=np.uint8) for i in range(first, first + n)]
        return np.stack(drawn) if drawn else np.zeros((0, *self.shape), np.uint8)

    def save(self, folder: Path) -> None:
        """The size."""
        write_json(folder / "dummy_images.json", {"shape": list(self.shape)})

    @classmethod
    def load(cls, folder: Path, config: DummyImagesConfig, device: str = "cpu") -> DummyImages:
        """The inverse of :meth:`save`."""
        system = cls(config)
        system.shape = tuple(read_json(folder / "dummy_images.json")["shape"])
        return system
