"""A planted memoriser: tiles the exemplar from a random corner. The copied share must flag it, whatever its looks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.seeds import generator

__all__ = ["MemoriserTexture", "MemoriserTextureConfig"]


@dataclass(frozen=True)
class MemoriserTextureConfig:
    """Nothing to set."""


class MemoriserTexture:
    """The exemplar repeated, as a :class:`bench.contracts.Synthesizer`."""

    Config: ClassVar[type[MemoriserTextureConfig]] = MemoriserTextureConfig

    def __init__(self, config: MemoriserTextureConfig | None = None) -> None:
        self.config = config or MemoriserTextureConfig()

    def save(self, folder: Path) -> None:
        """Nothing to write."""

    @classmethod
    def load(cls, folder: Path, config: MemoriserTextureConfig, device: str = "cpu") -> MemoriserTexture:
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
        """The exemplar, wrapped around; where ``initial`` is known (``mask`` True, same size), that is kept."""
        shift = generator(seed, "memoriser_texture").integers(0, exemplar.shape[:2])
        rows, columns = ((np.arange(length) + start) % limit for length, start, limit in zip(size, shift, exemplar.shape, strict=False))
        picture: NDArray[np.uint8] = exemplar[rows[:, None], columns[None, :]]
        if initial is not None and mask is not None:
            picture[mask] = initial[mask]
        return picture
