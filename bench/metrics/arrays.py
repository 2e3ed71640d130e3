"""Checks that every metric shares: shapes and finiteness, reported in one voice."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.base.errors import BenchError

__all__ = ["canvas", "features_2d", "image_pair", "range_of", "unit_rows"]

Floats = NDArray[np.float64]


def canvas(image: NDArray[Any], what: str) -> NDArray[Any]:
    """A picture ``(H, W)`` or ``(H, W, C)`` as ``(H, W, C)``.

    Raises:
        BenchError: another number of dimensions.
    """
    if image.ndim not in (2, 3):
        raise BenchError(f"{what}: a texture must be (H, W) or (H, W, C), got shape {image.shape}")
    return image[..., None] if image.ndim == 2 else image


def features_2d(features: ArrayLike, what: str) -> Floats:
    """``(N, D)`` float64.

    Raises:
        BenchError: another number of dimensions, or values that are not finite.
    """
    array = np.asarray(features, dtype=np.float64)
    if array.ndim != 2:
        raise BenchError(f"{what}: features must be (items, dimensions), got shape {array.shape}")
    if not np.isfinite(array).all():
        rows = np.flatnonzero(~np.isfinite(array).all(axis=1))
        raise BenchError(
            f"{what}: features of {len(rows)} of {len(array)} items are not finite (first: item {rows[0]})"
        )
    return array


def image_pair(images: NDArray[Any], others: NDArray[Any], what: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Two ``(N, H, W, C)`` arrays of equal shape; ``(N, H, W)`` gains a channel.

    Raises:
        BenchError: the shapes differ, or are not those of pictures.
    """
    if images.shape != others.shape:
        raise BenchError(f"{what}: pictures of shape {images.shape} cannot be compared with {others.shape}")
    if images.ndim == 3:
        return images[..., None], others[..., None]
    if images.ndim != 4:
        raise BenchError(f"{what}: pictures must be (N, H, W, C), got shape {images.shape}")
    return images, others


def range_of(images: NDArray[Any], others: NDArray[Any], given: float | None, what: str) -> float:
    """The largest possible difference of two arrays of pictures: the given one, or 255 for bytes.

    Raises:
        BenchError: none is given, and one of the arrays does not hold bytes: values in [0, 1] would be measured on the
            scale of 0 to 255.
    """
    if given is None and images.dtype == others.dtype == np.uint8:
        return 255.0
    if given is None:
        types = " and ".join(dict.fromkeys(str(one.dtype) for one in (images, others)))
        raise BenchError(f"{what}: pictures are {types}: give data_range (1.0 for values in [0, 1])")
    if not 0 < given < np.inf:
        raise BenchError(f"{what}: data_range must be a finite number above 0, not {given}")
    return float(given)


def unit_rows(vectors: ArrayLike) -> Floats:
    """Vectors along the last axis scaled to length one; a zero vector stays zero."""
    array = np.asarray(vectors, dtype=np.float64)
    norms = np.linalg.norm(array, axis=-1, keepdims=True)
    return array / np.where(norms == 0.0, 1.0, norms)
