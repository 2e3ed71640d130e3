"""Peak signal-to-noise ratio of reconstructions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.metrics.arrays import image_pair, range_of

__all__ = ["mean_squared_errors", "psnr", "psnr_of_mean_error"]

Floats = NDArray[np.float64]
_CHUNK = 1024


def mean_squared_errors(images: NDArray[Any], reconstructions: NDArray[Any]) -> Floats:
    """Mean squared error of each picture, ``(N,)``, in squared pixel units."""
    images, reconstructions = image_pair(images, reconstructions, "psnr")
    errors = np.empty(len(images))
    for start in range(0, len(images), _CHUNK):
        rows = slice(start, start + _CHUNK)
        difference = images[rows].astype(np.float64) - reconstructions[rows].astype(np.float64)
        errors[rows] = np.square(difference).mean(axis=(1, 2, 3))
    return errors


def psnr(images: NDArray[Any], reconstructions: NDArray[Any], data_range: float | None = None) -> Floats:
    """``10 log10(range^2 / MSE)`` of each picture in dB, ``(N,)``; ``inf`` for an exact reconstruction.

    Args:
        images: ``(N, H, W, C)`` (or ``(N, H, W)``), uint8 or float.
        reconstructions: the same shape.
        data_range: largest possible difference, 1 for floats in [0, 1]; None means 255 and is for bytes alone.

    The leaderboard's ``psnr`` is the mean of these (the mean in dB of single pictures); :func:`psnr_of_mean_error` is
    the other convention, which is never larger. The protocol id says which.

    >>> black = np.zeros((1, 8, 8, 1), dtype=np.uint8)
    >>> psnr(black, black + np.uint8(255)).tolist(), round(float(psnr(black, black + np.uint8(1))[0]), 2)
    ([0.0], 48.13)

    Raises:
        BenchError: unequal shapes, or floats without ``data_range``.
    """
    errors = mean_squared_errors(images, reconstructions)
    data_range = range_of(images, reconstructions, data_range, "psnr")
    with np.errstate(divide="ignore"):
        return np.asarray(20 * np.log10(data_range) - 10 * np.log10(errors))


def psnr_of_mean_error(images: NDArray[Any], reconstructions: NDArray[Any], data_range: float | None = None) -> float:
    """PSNR of the mean squared error over the whole set, in dB; ``data_range`` as for :func:`psnr`."""
    data_range = range_of(images, reconstructions, data_range, "psnr")
    with np.errstate(divide="ignore"):
        return float(20 * np.log10(data_range) - 10 * np.log10(mean_squared_errors(images, reconstructions).mean()))
