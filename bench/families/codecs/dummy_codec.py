"""The floor of the codecs' table: random codes that say nothing, decoded to the mean training picture."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.base.files import write_npz
from bench.base.settings import Checked, Count, Range
from bench.contracts import Images, RunContext

__all__ = ["DummyCodec", "DummyCodecConfig"]

_FILE = "mean.npz"


@dataclass(frozen=True)
class DummyCodecConfig(Checked):
    """Sizes.

    Attributes:
        codes: codebook size.
        grid: height and width of the grid of codes.
    """

    codes: Annotated[int, Range(low=2)] = 256
    grid: Count = 7


class DummyCodec:
    """Mean picture and random codes as a system of the ``codecs`` family."""

    Config: ClassVar[type[DummyCodecConfig]] = DummyCodecConfig

    def __init__(self, config: DummyCodecConfig) -> None:
        self.config = config
        self.codebook_size = config.codes
        self.mean = np.zeros((1, 1, 1), np.uint8)
        self.salt = b""

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """The mean of ``data["train"].images``."""
        self.mean = np.rint(data["train"].images.mean(0, dtype=np.float64)).astype(np.uint8)
        self.salt = run.seed.to_bytes(8, "big", signed=True)
        run.cost["parameters"] = float(self.mean.size)

    def encode(self, images: Images) -> NDArray[np.int64]:
        """``(N, grid, grid)`` codes: a hash of the picture, uniform over the codebook."""
        grid, size = self.config.grid, self.config.codes
        rows = [
            np.frombuffer(hashlib.shake_256(self.salt + image.tobytes()).digest(8 * grid * grid), np.uint64)
            for image in images
        ]
        return (np.reshape(rows, (len(images), grid, grid)) % np.uint64(size)).astype(np.int64)

    def decode(self, codes: NDArray[Any]) -> Images:
        """The mean picture for every grid of codes, ``(N, H, W, C)``."""
        return np.repeat(self.mean[None], len(codes), axis=0)

    def save(self, folder: Path) -> None:
        """``mean.npz``: the mean picture and the salt of the codes."""
        write_npz(folder / _FILE, {"mean": self.mean, "salt": np.frombuffer(self.salt, np.uint8)})

    @classmethod
    def load(cls, folder: Path, config: DummyCodecConfig, device: str = "cpu") -> DummyCodec:
        """The inverse of :meth:`save`."""
        system = cls(config)
        with np.load(folder / _FILE, allow_pickle=False) as file:
            system.mean, system.salt = file["mean"], file["salt"].tobytes()
        return system
