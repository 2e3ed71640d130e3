"""The floor of the encoders' table: random projections of the pixels, random directions for words, nothing learned."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.files import write_npz
from bench.base.seeds import generator
from bench.base.settings import Checked, Count
from bench.contracts import Images, RunContext

__all__ = ["DummyEncoder", "DummyEncoderConfig"]

_FILE = "projection.npz"


@dataclass(frozen=True)
class DummyEncoderConfig(Checked):
    """Sizes.

    Attributes:
        features: numbers in an embedding.
        classes: columns of ``logits``.
    """

    features: Count = 64
    classes: Count = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.classes > self.features:
            raise ValueError(f"classes: at most as many as features ({self.features}), not {self.classes}")


class DummyEncoder:
    """Random projections as a system of the ``encoders`` family."""

    Config: ClassVar[type[DummyEncoderConfig]] = DummyEncoderConfig

    def __init__(self, config: DummyEncoderConfig) -> None:
        self.config = config
        self.projection = np.zeros((0, config.features), np.float32)  # (H W C, features)

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Draw the projection for pictures of the shape of ``data["train"].images``."""
        pixels = int(np.prod(data["train"].images.shape[1:]))
        shape = (pixels, self.config.features)
        self.projection = (generator(run.seed, "projection").standard_normal(shape) / np.sqrt(pixels)).astype(
            np.float32
        )
        run.cost["parameters"] = float(self.projection.size)

    def embed_images(self, images: Images) -> NDArray[np.float32]:
        """``(N, features)``.

        Raises:
            BenchError: pictures of another size than those of ``fit``.
        """
        flat = images.reshape(len(images), -1).astype(np.float32) / 127.5 - 1.0
        if flat.shape[1] != len(self.projection):
            raise BenchError(
                f"pictures of {images.shape[1:]} do not fit an encoder made for {len(self.projection)} numbers"
            )
        rows = [row @ self.projection for row in flat]  # one by one: the last bits of a product depend on its shape
        return np.stack(rows) if rows else np.zeros((0, self.config.features), np.float32)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """``(N, features)``: a random vector for each distinct text."""
        rows = [
            np.frombuffer(hashlib.shake_256(text.encode()).digest(4 * self.config.features), np.uint32)
            for text in texts
        ]
        return (np.reshape(rows, (len(texts), self.config.features)) / 2.0**31 - 1.0).astype(np.float32)

    def logits(self, images: Images) -> NDArray[np.float32]:
        """``(N, classes)``: the first features."""
        return self.embed_images(images)[:, : self.config.classes]

    def save(self, folder: Path) -> None:
        """``projection.npz``."""
        write_npz(folder / _FILE, {"projection": self.projection})

    @classmethod
    def load(cls, folder: Path, config: DummyEncoderConfig, device: str = "cpu") -> DummyEncoder:
        """The inverse of :meth:`save`."""
        system = cls(config)
        with np.load(folder / _FILE, allow_pickle=False) as file:
            system.projection = file["projection"]
        return system
