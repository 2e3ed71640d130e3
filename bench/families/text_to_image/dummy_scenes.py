"""Uniform noise, whatever is asked: the floor of the text-to-image tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.base.files import read_json, write_json
from bench.base.seeds import generator
from bench.contracts import Images, RunContext

__all__ = ["DummyScenes", "DummyScenesConfig"]


@dataclass(frozen=True)
class DummyScenesConfig:
    """No settings."""


class DummyScenes:
    """A :class:`bench.contracts.TextToImage` that knows the size of a picture and nothing else."""

    Config = DummyScenesConfig

    def __init__(self, config: DummyScenesConfig) -> None:
        self.config = config
        self.shape: tuple[int, ...] = (32, 32, 3)

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Note the size."""
        self.shape = data["train"].images.shape[1:]

    def sample(self, prompts: Sequence[str], seed: int, *, first: int = 0, **options: Any) -> Images:
        """``(N, H, W, C)`` independent uniform bytes."""
        drawn = [generator(seed, first + i).integers(0, 256, self.shape, dtype=np.uint8) for i in range(len(prompts))]
        return np.stack(drawn) if drawn else np.zeros((0, *self.shape), np.uint8)

    def save(self, folder: Path) -> None:
        """The size."""
        write_json(folder / "dummy_scenes.json", {"shape": list(self.shape)})

    @classmethod
    def load(cls, folder: Path, config: DummyScenesConfig, device: str = "cpu") -> DummyScenes:
        """The inverse of :meth:`save`."""
        system = cls(config)
        system.shape = tuple(read_json(folder / "dummy_scenes.json")["shape"])
        return system
