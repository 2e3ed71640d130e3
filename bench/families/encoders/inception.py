"""Inception-v3 from weights on disk: the feature network of published FID figures (``model: {weights: PATH}``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from bench.base.errors import BenchError
from bench.base.files import atomic
from bench.base.settings import Checked
from bench.contracts import Images, RunContext
from bench.nn.blocks import in_chunks
from bench.nn.features.inception import InceptionV3
from bench.nn.features.networks import WEIGHTS, read_weights

__all__ = ["Inception", "InceptionConfig"]

_CHUNK = 16  # images at a time: each is scaled to 299 x 299


@dataclass(frozen=True)
class InceptionConfig(Checked):
    """Settings.

    Attributes:
        weights: ``.pth`` or ``.safetensors`` file of a state dict, from the project's root.
    """

    weights: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.weights:
            raise ValueError("weights: name the file of the weights (.pth or .safetensors)")


class Inception:
    """An :class:`bench.contracts.Encoder` of images alone; nothing is trained."""

    Config: ClassVar[type[InceptionConfig]] = InceptionConfig
    FILES: ClassVar[tuple[str, ...]] = ("weights",)

    def __init__(self, config: InceptionConfig) -> None:
        self.config, self.device = config, "cpu"
        self.state: Mapping[str, Tensor] = {}
        self.network: InceptionV3 | None = None

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Read the weights.

        Raises:
            BenchError: no such file, or the weights of another network.
        """
        self.read(run.device)

    def read(self, device: str = "cpu") -> None:
        """Take the weights from the file that the settings name.

        Raises:
            BenchError: no such file, or the weights of another network.
        """
        self._use(read_weights(Path(self.config.weights)), device)

    def _use(self, state: Mapping[str, Tensor], device: str) -> None:
        self.state, self.device, self.network = state, device, InceptionV3(state).to(device)

    def embed_images(self, images: Images) -> NDArray[np.float32]:
        """``(N, 2048)``; grey images become RGB."""
        if self.network is None:
            raise BenchError("inception: no weights are loaded")
        pixels = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        pixels = pixels.expand(-1, 3, -1, -1)
        network, device = self.network, self.device
        features: NDArray[np.float32] = (
            in_chunks(lambda chunk: network(chunk.to(device).float() / 255), pixels, _CHUNK).cpu().numpy()
        )
        return features

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """It reads no text."""
        raise NotImplementedError("inception reads images only; clip reads texts")

    def logits(self, images: Images) -> NDArray[np.float32]:
        """Its classes are not those of the data."""
        raise NotImplementedError("inception gives features; its classes are not those of the data")

    def save(self, folder: Path) -> None:
        """``weights.safetensors``."""
        with atomic(folder / WEIGHTS) as temporary:
            save_file({name: tensor.contiguous() for name, tensor in self.state.items()}, temporary)

    @classmethod
    def load(cls, folder: Path, config: InceptionConfig, device: str = "cpu") -> Inception:
        """The inverse of :meth:`save`."""
        system = cls(config)
        system._use(read_weights(folder), device)
        return system
