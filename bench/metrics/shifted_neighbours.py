"""Distances of images that a small shift, a change of brightness or contrast, and (mostly) blur and noise leave as they
are: for telling a disguised copy from a new image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bench.base.errors import BenchError

__all__ = ["shifted_distances", "thumbnails"]

Floats = NDArray[np.float64]
Windows = NDArray[np.float32]


def _smoothed(images: NDArray[Any], sigma: float) -> Windows:
    return np.asarray(gaussian_filter(images.astype(np.float32), (0, sigma, sigma, 0)))


def _normalised(windows: Windows) -> Windows:
    """Rows of mean 0 and length 1; a row without contrast is 0 throughout."""
    windows = windows - windows.mean(axis=-1, keepdims=True)
    lengths = np.linalg.norm(windows, axis=-1, keepdims=True)
    return np.asarray(windows / np.where(lengths > 1e-3, lengths, np.inf), dtype=np.float32)


def _centred(images: Windows) -> Windows:
    """Each image moved, by whole pixels and round its edges, until the centre of what differs from its median is in the
    middle."""
    n, height, width, _ = images.shape
    weights = ((images - np.median(images, axis=(1, 2), keepdims=True)) ** 2).sum(3) + 1e-6
    total = weights.sum((1, 2))
    y = np.rint(weights.sum(2) @ np.arange(height) / total - (height - 1) / 2).astype(np.int64)
    x = np.rint(weights.sum(1) @ np.arange(width) / total - (width - 1) / 2).astype(np.int64)
    rows, columns = (np.arange(height) + y[:, None]) % height, (np.arange(width) + x[:, None]) % width
    return np.asarray(images[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]])


def thumbnails(images: NDArray[Any], side: int = 7, *, chunk: int = 4096) -> Windows:
    """``(N, H, W, C)`` to about ``side * side * C`` values each, of mean 0 and length 1, the same wherever the content
    lies: for finding candidates that a feature network loses sight of under blur, noise or a shift.

    >>> image = np.zeros((1, 28, 28, 1))
    >>> image[:, 8:18, 9:20] = np.random.default_rng(0).integers(0, 255, (1, 10, 11, 1))
    >>> one, other = thumbnails(np.concatenate([image, np.roll(image, (2, -3), axis=(1, 2))]))
    >>> one.shape, bool(np.abs(one - other).max() < 1e-5)
    ((49,), True)
    """
    step = max(1, min(images.shape[1:3]) // side)
    places = slice(step // 2, None, step)
    small = [
        _smoothed(_centred(images[start : start + chunk].astype(np.float32)), step / 2)[:, places, places]
        for start in range(0, len(images), chunk)
    ]
    return _normalised(np.concatenate(small).reshape(len(images), -1))


def shifted_distances(
    images: NDArray[Any],
    base: NDArray[Any],
    candidates: NDArray[np.int64],
    *,
    shift: int = 2,
    sigma: float = 1.0,
    chunk: int = 32,
) -> Floats:
    """Distance of each image to the nearest of its candidates, at the best shift of up to ``shift`` pixels each way.

    Both are smoothed, the candidate's middle is laid over every place of the image, and what they show there is brought
    to mean 0 and length 1: the distance is ``sqrt(2 - 2 r)`` of the correlation r, 0 for a copy at any brightness.

    Args:
        images: ``(N, H, W, C)``.
        base: ``(M, H, W, C)``: training images.
        candidates: ``(N, K)`` indices into ``base``.
        shift: pixels; the outermost so many of the candidate are not compared.
        sigma: of the Gaussian that smooths both, pixels; takes off noise, and most of what blur changes.
        chunk: images at a time.

    Returns:
        ``(N,)`` in [0, 2].

    >>> image = np.random.default_rng(0).integers(0, 200, (1, 12, 12, 1))
    >>> moved = np.roll(image, (1, -2), axis=(1, 2)) * 0.8 + 10
    >>> float(shifted_distances(moved, image, np.zeros((1, 1), np.int64), sigma=0.0)[0]) < 0.01
    True

    Raises:
        BenchError: images of two shapes, or no larger than the shifts.
    """
    if images.shape[1:] != base.shape[1:] or images.ndim != 4:
        raise BenchError(f"shifted distances: images of {images.shape[1:]} cannot be compared with {base.shape[1:]}")
    height, width = (side - 2 * shift for side in images.shape[1:3])
    if shift < 0 or min(height, width) < 2:
        raise BenchError(f"shifted distances: images of {images.shape[1:3]} pixels leave nothing to shift by {shift}")
    found = np.empty(len(images))
    for start in range(0, len(images), chunk):
        rows = slice(start, start + chunk)
        places = sliding_window_view(_smoothed(images[rows], sigma), (height, width), axis=(1, 2))  # (n, y, x, C, h, w)
        n = len(places)
        windows = _normalised(places.reshape(n, (2 * shift + 1) ** 2, -1))
        middle = _smoothed(base[candidates[rows].reshape(-1)], sigma)[:, shift : shift + height, shift : shift + width]
        others = _normalised(middle.transpose(0, 3, 1, 2).reshape(n, candidates.shape[1], -1))
        best = (windows @ others.transpose(0, 2, 1)).max(axis=(1, 2))
        found[rows] = np.sqrt(np.maximum(0.0, 2 - 2 * best.astype(np.float64)))
    return found
