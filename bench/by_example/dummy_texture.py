"""The floor of texture synthesis: every pixel drawn by itself from the exemplar's pixels, so all but the histogram is lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.seeds import generator

__all__ = ["DummyTexture", "DummyTextureConfig"]


@dataclass(frozen=True)
class DummyTextureConfig:
    """Nothing to set."""


class DummyTexture:
    """Independent pixels with the exemplar's histogram, as a :class:`bench.contracts.Synthesizer`."""

    Config: ClassVar[type[DummyTextureConfig]] = DummyTextureConfig

    def __init__(self, config: DummyTextureConfig | None = None) -> None:
        self.config = config or DummyTextureConfig()

    def save(self, folder: Path) -> None:
        """Nothing to write."""

    @classmethod
    def load(cls, folder: Path, config: DummyTextureConfig, device: str = "cpu") -> DummyTexture:
        """The system for ``config``."""
        return cls(config)

    def synthesize(
        self,
        exemplar: NDArray[np.uint8],
        size: tuple[int, int],
        seed: int,
        *,
        initial: NDArray[np.uint8] | None = None,
        mask: NDArray[np.bool_] | None = None,
        **options: Any,
    ) -> NDArray[np.uint8]:
        """Random pixels of the exemplar; where ``initial`` is known (``mask`` True, same size), that is kept."""
        pixels = exemplar.reshape(-1, *exemplar.shape[2:])
        picture = pixels[generator(seed, "dummy_texture").integers(0, len(pixels), size)]
        if initial is not None and mask is not None:
            picture[mask] = initial[mask]
        return picture
