"""Hashes of all windows of an array at once: the engine behind verbatim copying of text and of texture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["hash_windows"]

Hashes = NDArray[np.uint64]
_LEFT = np.uint64(0x9E3779B97F4A7C15)
_RIGHT = np.uint64(0xC2B2AE3D27D4EB4F)
_SHIFT = np.uint64(29)


def _mix(values: Hashes) -> Hashes:
    """A bijection of 64 bits (multiply, fold): without it, a polynomial modulo 2^64 fails on Thue-Morse text."""
    mixed = values * _LEFT
    mixed ^= mixed >> _SHIFT
    mixed *= _RIGHT
    mixed ^= mixed >> _SHIFT
    return mixed


def _join(left: Hashes, right: Hashes) -> Hashes:
    joined = left * _LEFT
    joined += right
    return _mix(joined)


def hash_windows(symbols: NDArray[Any], n: int, axis: int = 0) -> Hashes:
    """Hashes of all length-``n`` windows along ``axis``, as an array shorter by ``n - 1`` there.

    Windows of 1, 2, 4, ... are joined pairwise, so the cost is ``2 log2(n)`` passes. Equal windows always have equal
    hashes; different ones collide with a chance of about ``2^-64`` a pair. Along two axes in turn it hashes all patches
    of a picture.

    >>> hashes = hash_windows(np.array([1, 2, 3, 1, 2]), 2)
    >>> bool(hashes[0] == hashes[3]), bool(hashes[0] == hashes[1])
    (True, False)
    """
    if n < 1:
        raise ValueError(f"window of {n}")
    power = _mix(np.moveaxis(symbols, axis, 0).astype(np.uint64) + np.uint64(1))
    length = len(power) - n + 1
    if length < 1:
        return np.moveaxis(power[:0], 0, axis)
    result: Hashes | None = None
    width, done = 1, 0
    while True:
        if n & width:
            result = power[:length] if result is None else _join(result[:length], power[done : done + length])
            done += width
        if done == n:
            return np.moveaxis(result if result is not None else power, 0, axis)
        power = _join(power[:-width], power[width:])
        width *= 2
