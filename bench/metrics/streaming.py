"""Streaming metrics of reconstructions: fed batch by batch, in one process or in several under torchrun.

Each keeps one row for every image and joins the rows of all processes in order, so that value and interval are those
of one pass over the whole set. The number itself is the core's in the metric's own file. Apart from the cores because
importing torchmetrics costs seconds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric

from bench.metrics.codebook import codebook_counts, usage_from_counts
from bench.metrics.psnr import psnr
from bench.metrics.ssim import ssim

__all__ = ["CodebookUsage", "PeakSignalToNoise", "StructuralSimilarity"]


class _Items(Metric):
    """What the classes share: the rows of the items seen."""

    full_state_update: bool = False
    is_differentiable: bool = False
    rows: list[Tensor] | Tensor

    def __init__(self, **kwargs: Any) -> None:
        """``kwargs``: of :class:`torchmetrics.Metric`."""
        super().__init__(**kwargs)
        self.add_state("rows", [], dist_reduce_fx="cat")

    def _add(self, rows: NDArray[Any]) -> None:
        assert isinstance(self.rows, list)
        self.rows.append(torch.from_numpy(rows))

    def _joined(self) -> NDArray[Any]:
        rows = self.rows if isinstance(self.rows, Tensor) else torch.cat(self.rows) if self.rows else torch.zeros(0)
        return np.asarray(rows.cpu().numpy())

    def items(self) -> NDArray[Any]:
        """The rows of all processes, in order: what an interval resamples."""
        with self.sync_context():
            return self._joined()


class _MeanOfImages(_Items):
    """The mean over images of a comparison of each image with its reconstruction."""

    higher_is_better: bool = True

    def __init__(self, data_range: float | None = None, **kwargs: Any) -> None:
        """``data_range``: largest possible difference; None for bytes (255)."""
        super().__init__(**kwargs)
        self.data_range = data_range

    def compute(self) -> Tensor:
        """The mean, float64."""
        return torch.tensor(self._joined().mean(), dtype=torch.float64)


class PeakSignalToNoise(_MeanOfImages):
    """PSNR in dB.

    >>> metric = PeakSignalToNoise()
    >>> metric.update(np.zeros((1, 8, 8, 1), np.uint8), np.full((1, 8, 8, 1), 255, np.uint8))
    >>> float(metric.compute())
    0.0
    """

    def update(self, images: NDArray[Any], reconstructions: NDArray[Any]) -> None:
        """Both ``(N, H, W, C)``."""
        self._add(psnr(images, reconstructions, self.data_range))


class StructuralSimilarity(_MeanOfImages):
    """SSIM.

    >>> metric = StructuralSimilarity()
    >>> metric.update(np.ones((2, 16, 16, 1), np.uint8), np.ones((2, 16, 16, 1), np.uint8))
    >>> round(float(metric.compute()), 6)
    1.0
    """

    def update(self, images: NDArray[Any], reconstructions: NDArray[Any]) -> None:
        """Both ``(N, H, W, C)``, at least 11 pixels a side."""
        self._add(ssim(images, reconstructions, self.data_range))


class CodebookUsage(_Items):
    """Usage, perplexity and dead codes over everything seen (not a mean over batches).

    >>> metric = CodebookUsage(size=4)
    >>> metric.update(np.array([[0, 0], [0, 0]]))
    >>> metric.update(np.array([[1, 1], [1, 1]]))
    >>> {name: float(value) for name, value in metric.compute().items()}
    {'usage': 0.5, 'perplexity': 2.0, 'dead': 2.0}
    """

    higher_is_better: bool = True

    def __init__(self, size: int, **kwargs: Any) -> None:
        """``size``: of the codebook."""
        super().__init__(**kwargs)
        self.size = size

    def update(self, codes: NDArray[Any]) -> None:
        """``codes``: ``(N, ...)`` integers in [0, size); the rows kept are each item's counts ``(N, size)``."""
        self._add(np.stack([codebook_counts(one, self.size) for one in codes]))

    def compute(self) -> dict[str, Tensor]:
        """``usage``, ``perplexity`` and ``dead``, float64."""
        use = usage_from_counts(self._joined().sum(0))
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in use.items()}
