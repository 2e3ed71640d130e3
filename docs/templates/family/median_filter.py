"""The median filter (Tukey 1977): each pixel becomes the median of its neighbourhood.

Must reach: a better PSNR than the noisy picture itself, which is what a neighbourhood of one pixel gives (the floor).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from scipy.ndimage import median_filter

from bench.base.files import write_json
from bench.contracts import Images

__all__ = ["MedianFilter", "MedianFilterConfig"]


@dataclass(frozen=True)
class MedianFilterConfig:
    """The keys under ``model:``.

    Attributes:
        side: of the neighbourhood, an odd number of pixels.
    """

    side: int = 3

    def __post_init__(self) -> None:
        if self.side < 1 or self.side % 2 == 0:
            raise ValueError(f"side must be odd, not {self.side!r}")


class MedianFilter:
    """A :class:`bench.families.denoising.contract.Denoiser`. It learns nothing, so it has no ``fit``."""

    Config: ClassVar[type] = MedianFilterConfig

    def __init__(self, config: MedianFilterConfig) -> None:
        self.config = config

    def denoise(self, noisy: Images, sigma: float) -> Images:
        """The same filter, whatever ``sigma``."""
        filtered: Images = median_filter(noisy, size=(1, self.config.side, self.config.side, 1), mode="reflect")
        return filtered

    def save(self, folder: Path) -> None:
        """Nothing was learned: an empty table."""
        write_json(folder / "weights.json", {})

    @classmethod
    def load(cls, folder: Path, config: MedianFilterConfig, device: str = "cpu") -> MedianFilter:
        """The inverse of :meth:`save`."""
        return cls(config)
