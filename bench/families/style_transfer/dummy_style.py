"""Floors of style transfer: the content picture, the style picture, and noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from bench.base.settings import Checked
from bench.contracts import RunContext
from bench.registry import sample_options

__all__ = ["DummyStyle", "DummyStyleConfig", "DummyStyleOptions"]


@dataclass(frozen=True)
class DummyStyleConfig:
    """Nothing to set."""


@dataclass(frozen=True)
class DummyStyleOptions(Checked):
    """What is chosen for a picture.

    Attributes:
        shows: which of the two pictures is the answer, or noise.
    """

    shows: Literal["content", "style", "noise"] = "noise"


class DummyStyle:
    """Answers with one of the two pictures, or with noise."""

    Config: ClassVar[type] = DummyStyleConfig
    SampleOptions: ClassVar[type] = DummyStyleOptions

    def __init__(self, config: DummyStyleConfig | None = None) -> None:
        self.config = config or DummyStyleConfig()

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Nothing to learn."""

    def save(self, folder: Path) -> None:
        """Nothing to keep."""

    @classmethod
    def load(cls, folder: Path, config: DummyStyleConfig, device: str = "cpu") -> DummyStyle:
        """The inverse of :meth:`save`."""
        return cls(config)

    def stylise(
        self, content: NDArray[np.uint8], style: NDArray[np.uint8], seed: int = 0, **options: Any
    ) -> NDArray[np.uint8]:
        """``(H, W, 3)`` uint8 of the size of ``content``; the style picture is cut or repeated to it."""
        shows = sample_options(type(self), self.config, options, "dummy_style").shows
        height, width = content.shape[:2]
        if shows == "noise":
            return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        picture = content if shows == "content" else style
        picture = np.atleast_3d(picture)
        picture = np.take(
            np.take(picture, np.arange(height) % picture.shape[0], axis=0), np.arange(width) % picture.shape[1], axis=1
        )
        return np.repeat(picture, 3 // picture.shape[2], axis=2)
