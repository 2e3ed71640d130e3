"""Structural similarity (Wang et al. 2004, eq. 13): Gaussian window, sigma 1.5, 11 x 11, population covariance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.metrics.arrays import image_pair, range_of

__all__ = ["ssim"]

Floats = NDArray[np.float64]
_SIGMA = 1.5
_RADIUS = 5
_CHUNK = 256


def _valid_filter(length: int) -> Floats:
    """``(length, length - 10)`` matrix of the normalised Gaussian where the window fits: one product replaces a
    convolution."""
    offsets = np.arange(-_RADIUS, _RADIUS + 1)
    weights = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    weights /= weights.sum()
    matrix = np.zeros((length, length - 2 * _RADIUS))
    for i in range(matrix.shape[1]):
        matrix[i : i + len(weights), i] = weights
    return matrix


def ssim(images: NDArray[Any], reconstructions: NDArray[Any], data_range: float | None = None) -> Floats:
    """SSIM of each picture, ``(N,)``, mean over channels and over the positions where the whole window fits.

    Equals scikit-image's ``structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)``.

    Args:
        images: ``(N, H, W, C)`` (or ``(N, H, W)``), uint8 or float, at least 11 x 11.
        reconstructions: the same shape.
        data_range: largest possible difference, 1 for floats in [0, 1]; None means 255 and is for bytes alone.

    >>> ramp = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    >>> ssim(ramp, ramp).round(6).tolist(), bool(ssim(ramp, 255 - ramp)[0] < 0)
    ([1.0], True)

    Raises:
        BenchError: pictures smaller than the window, unequal shapes, or floats without ``data_range``.
    """
    images, reconstructions = image_pair(images, reconstructions, "ssim")
    data_range = range_of(images, reconstructions, data_range, "ssim")
    _, height, width, _ = images.shape
    if min(height, width) < 2 * _RADIUS + 1:
        raise BenchError(f"ssim needs pictures of at least {2 * _RADIUS + 1} pixels a side, got {height} x {width}")
    rows, columns = _valid_filter(height).T, _valid_filter(width)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2

    def smooth(x: Floats) -> Floats:
        return np.asarray(rows @ x @ columns)  # (n, C, H, W) -> (n, C, H - 10, W - 10)

    values = np.empty(len(images))
    for start in range(0, len(images), _CHUNK):
        part = slice(start, start + _CHUNK)
        x = np.ascontiguousarray(images[part].transpose(0, 3, 1, 2), dtype=np.float64)
        y = np.ascontiguousarray(reconstructions[part].transpose(0, 3, 1, 2), dtype=np.float64)
        mean_x, mean_y = smooth(x), smooth(y)
        variance_x, variance_y = smooth(x * x) - mean_x**2, smooth(y * y) - mean_y**2
        covariance = smooth(x * y) - mean_x * mean_y
        numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
        denominator = (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
        values[part] = (numerator / denominator).mean(axis=(1, 2, 3))
    return values
