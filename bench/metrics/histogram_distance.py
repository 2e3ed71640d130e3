"""Histogram distance: how far the values of a synthesised picture are from those of its exemplar."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["histogram_distance"]


def histogram_distance(output: NDArray[np.uint8], exemplar: NDArray[np.uint8]) -> float:
    """First Wasserstein distance of the values of ``(H, W, C)`` pictures, mean over channels, in units of a 0-1 range.

    >>> histogram_distance(np.array([[[0], [255]]], np.uint8), np.array([[[0], [0]]], np.uint8))
    0.5
    """
    total = 0.0
    for channel in range(exemplar.shape[2]):
        one, two = (np.bincount(image[:, :, channel].ravel(), minlength=256) for image in (output, exemplar))
        total += float(np.abs(np.cumsum(one / one.sum() - two / two.sum())).sum()) / 255.0
    return total / int(exemplar.shape[2])
