"""Contrast: one sentence on what the number tells, its source, and what it cannot tell.

A template to copy: a pure function on arrays, float64 inside, an error that says what to do, a doctest with the value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError

__all__ = ["contrast"]


def contrast(images: NDArray[Any]) -> NDArray[np.float64]:
    """Root-mean-square contrast of each picture: standard deviation of its values, which lie in 0..255, in units of
    0..1.

    Args:
        images: ``(N, H, W)`` or ``(N, H, W, C)``.

    Returns:
        ``(N,)``, from 0 (flat) to 0.5 (half black, half white).

    Raises:
        BenchError: not a stack of pictures.

    >>> contrast(np.array([[[0, 255], [255, 0]], [[7, 7], [7, 7]]])).tolist()
    [0.5, 0.0]
    """
    if images.ndim not in (3, 4):
        raise BenchError(f"contrast: expected pictures (N, H, W) or (N, H, W, C), got shape {images.shape}")
    flat = images.reshape(len(images), -1).astype(np.float64) / 255.0
    return np.asarray(flat.std(axis=1))
