"""Small residual CNN classifier, and the feature network behind the FID of digits.

He, Zhang, Ren, Sun 2016, "Deep Residual Learning" and "Identity Mappings in Deep Residual Networks" (pre-activation
blocks, the form used here). The penultimate layer is narrow on purpose (64 numbers): a Frechet distance needs about ten
items for each dimension, so few dimensions let a few thousand samples rank generators.

Must reach: 99.0 % of the MNIST test set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.base.processes import seeded
from bench.base.seeds import derive
from bench.base.settings import Checked, Count, Natural, Range
from bench.contracts import DataFacts, Images, RunContext
from bench.data.datasets import check_images
from bench.nn.blocks import ResBlock, images_to_tensor, in_chunks, ready
from bench.training import fit, load_module, save_module

__all__ = ["ResNet", "ResNetConfig", "ResNetModule", "shifted_crops"]


@dataclass(frozen=True)
class ResNetConfig(Checked):
    """Shape of the network and of its augmentation.

    Attributes:
        widths: channels of each stage; every stage after the first halves the picture.
        blocks: residual blocks in each stage.
        stem_stride: stride of the first convolution, 1 or 2.
        features: size of the penultimate layer, the output of ``embed_images``.
        pool: what that layer reads: ``flatten`` (all positions) or ``mean`` over positions.
        classes: number of classes.
        channels: 1 for grey, 3 for colour.
        size: height and width of the pictures.
        dropout: before the penultimate layer.
        shift: each training picture moves by up to so many pixels, up or down, left or right.
        flip: half of the training pictures are mirrored (photographs yes, digits no).
    """

    widths: tuple[Count, ...] = (32, 64)
    blocks: Count = 1
    stem_stride: Literal[1, 2] = 2
    features: Count = 64
    pool: Literal["flatten", "mean"] = "flatten"
    classes: Annotated[int, Range(low=2)] = 10
    channels: Literal[1, 3] = 1
    size: Count = 28
    dropout: Annotated[float, Range(low=0, below=1)] = 0.2
    shift: Natural = 2
    flip: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.widths:
            raise ValueError("widths: at least one is needed")

    def check_data(self, facts: DataFacts) -> None:
        """Refuse pictures of another size or with other channels or classes."""
        facts.check_equal("size", (self.size, self.size))
        facts.check_equal("channels", self.channels)
        facts.check_equal("classes", self.classes)


class ResNetModule(nn.Module):
    """``(N, C, H, W)`` in [-1, 1] to features, and features to logits."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        widths = config.widths
        layers: list[nn.Module] = [nn.Conv2d(config.channels, widths[0], 3, config.stem_stride, 1, bias=False)]
        for stage, (before, width) in enumerate(zip((widths[0], *widths), widths, strict=False)):
            for block in range(config.blocks):
                stride = 2 if stage and not block else 1
                layers.append(ResBlock(width if block else before, width, stride, kind="batch", activation=nn.ReLU))
        self.trunk = nn.Sequential(
            *layers, nn.BatchNorm2d(widths[-1]), nn.ReLU()
        )  # pre-activation blocks end unactivated
        side = -(-config.size // config.stem_stride)
        for _ in widths[1:]:
            side = -(-side // 2)
        self.pool = config.pool
        self.dropout = nn.Dropout(config.dropout)
        self.penultimate = nn.Linear(widths[-1] * (side * side if config.pool == "flatten" else 1), config.features)
        self.classifier = nn.Linear(config.features, config.classes)

    def features(self, x: Tensor) -> Tensor:
        """``(N, C, H, W) -> (N, features)``, non-negative."""
        h: Tensor = self.trunk(x)  # (N, C, H, W) -> (N, W_last, h, w)
        h = h.flatten(1) if self.pool == "flatten" else h.mean((2, 3))
        return F.relu(self.penultimate(self.dropout(h)))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W) -> (N, classes)`` logits."""
        logits: Tensor = self.classifier(self.features(x))
        return logits


def shifted_crops(
    padded: NDArray[np.uint8], size: int, index: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """For each index one picture of ``padded``, cropped at a random place of its own.

    Args:
        padded: ``(N, size + 2 s, size + 2 s, C)``.
        size: height and width of the crop.
        index: ``(B,)``.
        rng: draws the places.

    Returns:
        ``(B, size, size, C)``.
    """
    places = padded.shape[1] - size + 1
    y, x = rng.integers(0, places, (2, len(index)))
    windows = sliding_window_view(padded, (size, size), axis=(1, 2))  # (N, y, x, C, size, size), no copy
    crops: NDArray[np.uint8] = windows[index, y, x]
    return crops.transpose(0, 2, 3, 1)


class ResNet:
    """The classifier as a system of the ``encoders`` family."""

    Config: ClassVar[type[ResNetConfig]] = ResNetConfig

    def __init__(self, config: ResNetConfig) -> None:
        self.config = config
        self.device = "cpu"
        self.network = ResNetModule(config)

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Cross-entropy on ``data["train"]`` (images and labels), shifted by up to ``shift`` pixels."""
        config, split = self.config, data["train"]
        check_images(config, split.images, run.name)
        if split.labels is None:
            raise BenchError(f"{run.name}: resnet learns classes, and this data has no labels")
        if (found := int(np.max(split.labels)) + 1) > config.classes:
            raise BenchError(f"{run.name}: model.classes: {config.classes}, but the data has {found}")
        with seeded(derive(run.seed, "init")):
            self.network = ResNetModule(config)
        pad = config.shift
        padded = np.pad(split.images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        labels = np.asarray(split.labels, dtype=np.int64)

        def batches(rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
            index = rng.integers(0, len(labels), size)
            crops = shifted_crops(padded, config.size, index, rng)
            if config.flip:
                mirrored = rng.random(size) < 0.5
                crops = np.where(mirrored[:, None, None, None], crops[:, :, ::-1], crops)
            return images_to_tensor(crops), torch.from_numpy(labels[index])

        def loss(batch: tuple[Tensor, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
            images, asked = batch
            logits = self.network(images).float()
            return {
                "loss": F.cross_entropy(logits, asked),
                "accuracy": (logits.detach().argmax(1) == asked).float().mean(),
            }

        fit(self.network, loss, batches, run)
        self._settle(run.device)

    def _settle(self, device: str) -> None:
        self.device = device
        ready(self.network, device)

    def embed_images(self, images: Images) -> NDArray[np.float32]:
        """``(N, features)`` activations of the penultimate layer."""
        result: NDArray[np.float32] = (
            in_chunks(self.network.features, images_to_tensor(images, self.device)).cpu().numpy()
        )
        return result

    def logits(self, images: Images) -> NDArray[np.float32]:
        """``(N, classes)``."""
        result: NDArray[np.float32] = in_chunks(self.network, images_to_tensor(images, self.device)).cpu().numpy()
        return result

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """This encoder reads no text."""
        raise NotImplementedError("resnet reads pictures only; clip reads texts")

    def save(self, folder: Path) -> None:
        """``weights.safetensors``."""
        save_module(self.network, folder / "weights.safetensors")

    @classmethod
    def load(cls, folder: Path, config: ResNetConfig, device: str = "cpu") -> ResNet:
        """The inverse of :meth:`save`."""
        system = cls(config)
        load_module(system.network, folder / "weights.safetensors")
        system._settle(device)
        return system
