"""Centre-point detector of digits in scenes: how many, which, in what colour, where. The judge of prompt fidelity.

After Zhou, Wang, Kraehenbuehl 2019, "Objects as Points": each cell of a coarse grid says whether an object's centre
lies in it, and which digit and colour it has; a head on the pooled features says how many objects there are (counting
peaks is worse: a centre on a cell's edge makes two half-sure peaks).

It is trained on all colour-digit pairs (``data["judge"]``), the ones held out from the generators included: trained on
the seen pairs alone it loses ten points on the unseen ones, and "unseen combination" would then measure the judge.

Must reach on test scenes: digits 96 %, colours 99 %, counts 98 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.base.processes import seeded
from bench.base.seeds import derive
from bench.base.settings import Checked, Count, NotNegative, Share
from bench.contracts import DataFacts, Images, RunContext
from bench.metrics.compositional import Detections
from bench.nn.blocks import ConvNormAct, images_to_tensor, in_chunks, ready
from bench.scene_language import COLOURS, DIGIT_WORDS, MAX_OBJECTS
from bench.training import fit, load_module, save_module

__all__ = ["SceneDetector", "SceneDetectorConfig", "SceneDetectorModule"]

_DIGITS, _COLOURS = len(DIGIT_WORDS), len(COLOURS)
_CELL = 4  # pixels a cell


@dataclass(frozen=True)
class SceneDetectorConfig(Checked):
    """Shape of the network and weight of its losses.

    Attributes:
        widths: channels of the five 3x3 convolutions, the first and third of which halve the picture.
        centre_weight: weight of the objectness loss; the digit, colour and count losses have weight 1.
        min_confidence: a picture without a cell this sure holds no object at all.
    """

    widths: tuple[Count, ...] = (32, 64, 128, 128, 128)
    centre_weight: NotNegative = 10.0
    min_confidence: Share = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.widths) < 3:
            raise ValueError(f"widths: at least three convolutions are needed, not {len(self.widths)}")

    def check_data(self, facts: DataFacts) -> None:
        """Refuse pictures whose objects nobody knows."""
        facts.check_equal("kind", "scenes")


class SceneDetectorModule(nn.Module):
    """``(N, 3, H, W)`` in [-1, 1] to a grid of ``H/4 x W/4`` cells and a count."""

    def __init__(self, config: SceneDetectorConfig) -> None:
        super().__init__()
        widths, top = config.widths, config.widths[-1]
        strides = [2, 1, 2] + [1] * (len(widths) - 3)
        self.trunk = nn.Sequential(
            *(ConvNormAct(a, b, s) for a, b, s in zip((3, *widths), widths, strides, strict=False))
        )
        self.cells = nn.Conv2d(top, 1 + _DIGITS + _COLOURS, 1)
        self.count = nn.Linear(2 * top, MAX_OBJECTS)  # classes 1 to 4

    def pooled(self, x: Tensor) -> Tensor:
        """``(N, 3, H, W) -> (N, widths[-1])``: features averaged over positions."""
        h: Tensor = self.trunk(x)
        return h.mean((2, 3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Cells ``(N, 1 + digits + colours, h, w)`` and count logits ``(N, 4)``."""
        h = self.trunk(x)  # (N, 3, H, W) -> (N, top, H/4, W/4)
        return self.cells(h), self.count(torch.cat([h.mean((2, 3)), h.amax((2, 3))], 1))

    def flat(self, x: Tensor) -> Tensor:
        """Both outputs in one row for each picture."""
        cells, count = self(x)
        return torch.cat([cells.flatten(1), count], 1)


class SceneDetector:
    """The detector as a system of the ``encoders`` family."""

    Config: ClassVar[type[SceneDetectorConfig]] = SceneDetectorConfig
    CONTRACT: ClassVar[str] = "Detector"

    def __init__(self, config: SceneDetectorConfig) -> None:
        self.config = config
        self.device = "cpu"
        self.network = SceneDetectorModule(config)

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Train on ``data["judge"]``, scenes of all colour-digit pairs.

        Raises:
            BenchError: the data set has no such split.
        """
        if "judge" not in data:
            raise BenchError(
                f"{run.name}: the data set has no split 'judge' (scenes of all colour-digit pairs); it has "
                f"{', '.join(data)}"
            )
        with seeded(derive(run.seed, "init")):
            self.network = SceneDetectorModule(self.config)
        network, images, scene = self.network, data["judge"].images, data["judge"].scene
        height, width = images.shape[1] // _CELL, images.shape[2] // _CELL
        present = scene["digits"] >= 0  # (N, 4)
        cell = np.clip(np.floor(scene["centres"] / _CELL).astype(np.int64), 0, [height - 1, width - 1])  # (N, 4, 2)
        place = np.where(present, cell[..., 0] * width + cell[..., 1], -1)
        digits, colours = (
            np.where(present, scene[key], -100).astype(np.int64) for key in ("digits", "colours")
        )  # -100: ignored
        counts = scene["count"].astype(np.int64) - 1

        def batches(rng: np.random.Generator, size: int) -> tuple[Tensor, ...]:
            index = rng.integers(0, len(images), size)
            return images_to_tensor(images[index]), *(
                torch.from_numpy(a[index]) for a in (place, digits, colours, counts)
            )

        def loss(batch: tuple[Tensor, ...], generator: torch.Generator) -> dict[str, Tensor]:
            pictures, places, asked_digits, asked_colours, asked_counts = batch
            cells, count = (output.float() for output in network(pictures))
            cells = cells.flatten(2)  # (B, 19, h w)
            centres = (
                torch.zeros_like(cells[:, 0]).scatter_add_(1, places.clamp_min(0), (places >= 0).float()).clamp_max(1.0)
            )
            there = cells.gather(2, places.clamp_min(0)[:, None].expand(-1, cells.shape[1], -1))  # (B, 19, 4)
            objectness = F.binary_cross_entropy_with_logits(cells[:, 0], centres)
            digit = F.cross_entropy(there[:, 1 : 1 + _DIGITS], asked_digits)
            colour = F.cross_entropy(there[:, 1 + _DIGITS :], asked_colours)
            number = F.cross_entropy(count, asked_counts)
            total = self.config.centre_weight * objectness + digit + colour + number
            return {"loss": total, "objectness": objectness, "digit": digit, "colour": colour, "count": number}

        fit(network, loss, batches, run)
        self._settle(run.device)

    def _settle(self, device: str) -> None:
        self.device = device
        ready(self.network, device)

    def detect(self, images: Images) -> Detections:
        """What is in each picture, surest objects first.

        The count head says how many; the objects are the most confident peaks of the grid (cells that no neighbour
        surpasses); a centre is the mean of the cells around the peak, weighted by their confidence.
        """
        height, width = images.shape[1] // _CELL, images.shape[2] // _CELL
        rows = in_chunks(self.network.flat, images_to_tensor(images, self.device)).cpu()
        cells = rows[:, :-MAX_OBJECTS].view(len(images), -1, height, width)
        sure = torch.sigmoid(cells[:, :1])  # (N, 1, h, w)
        peaks = torch.where(sure == F.max_pool2d(sure, 3, 1, 1), sure, 0.0)
        confidence, place = peaks.flatten(1).topk(MAX_OBJECTS)  # (N, 4)
        count = rows[:, -MAX_OBJECTS:].argmax(1) + 1
        count = torch.where(confidence[:, 0] >= self.config.min_confidence, count, 0)
        there = cells.flatten(2).gather(2, place[:, None].expand(-1, cells.shape[1], -1))  # (N, 19, 4)
        unused = torch.arange(MAX_OBJECTS) >= count[:, None]
        digits = there[:, 1 : 1 + _DIGITS].argmax(1).masked_fill(unused, -1)
        colours = there[:, 1 + _DIGITS :].argmax(1).masked_fill(unused, -1)
        centres = _centres(sure.double(), place, height, width).masked_fill(unused[..., None], -1.0)
        return Detections(
            count=count.numpy(),
            digits=digits.numpy(),
            colours=colours.numpy(),
            centres=centres.numpy(),
            confidences=confidence.double().masked_fill(unused, 0.0).numpy(),
        )

    def embed_images(self, images: Images) -> NDArray[np.float32]:
        """``(N, widths[-1])`` features averaged over positions: the feature net of FID for scenes."""
        result: NDArray[np.float32] = (
            in_chunks(self.network.pooled, images_to_tensor(images, self.device)).cpu().numpy()
        )
        return result

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """This encoder reads no text."""
        raise NotImplementedError("scene_detector reads pictures only; clip reads texts")

    def logits(self, images: Images) -> NDArray[np.float32]:
        """A scene has no single class: see :meth:`detect`."""
        raise NotImplementedError("scene_detector classifies objects, not pictures: use detect")

    def save(self, folder: Path) -> None:
        """``weights.safetensors``."""
        save_module(self.network, folder / "weights.safetensors")

    @classmethod
    def load(cls, folder: Path, config: SceneDetectorConfig, device: str = "cpu") -> SceneDetector:
        """The inverse of :meth:`save`."""
        system = cls(config)
        load_module(system.network, folder / "weights.safetensors")
        system._settle(device)
        return system


def _centres(sure: Tensor, place: Tensor, height: int, width: int) -> Tensor:
    """``(N, M, 2)`` (y, x) in pixels: mean of the 3x3 cells around each peak, weighted by confidence ``(N, 1, h,
    w)``."""
    windows = F.unfold(sure, 3, padding=1)  # (N, 9, h w), zero outside
    weights = windows.gather(2, place[:, None].expand(-1, 9, -1))  # (N, 9, M)
    offsets = torch.tensor([(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)], dtype=torch.float64)
    shift = torch.einsum("nkm,kc->nmc", weights, offsets) / weights.sum(1).clamp_min(1e-9)[..., None]
    cell = torch.stack([place // width, place % width], -1).double()
    return (cell + shift + 0.5) * _CELL
