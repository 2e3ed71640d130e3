"""How alike the frames of a clip are: L2 distances between all pairs, by blocks of exact matrix products.

``|a - b|^2 = |a|^2 + |b|^2 - 2 a.b``, so all pairs are one Gram matrix (Schoedl et al. 2000, section 3, compute the
same numbers pair by pair). Pixels are centred to -128..127 and multiplied 1,024 at a time in float32: a sum of 1,024
such products is a whole number of at most 2^24, which float32 holds exactly, and the sums are added up in float64. So
the result is exact, whatever the BLAS, its threads or the size of the pieces.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bench.base.errors import BenchError

__all__ = ["EXACT", "distances", "filter_diagonal", "gram", "mean_distance", "taps_of"]

Floats = NDArray[np.float64]
EXACT = 1024
"""Products of two centred bytes (at most 2^14) that float32 adds up without rounding: 2^24 / 2^14."""
PIECE_BYTES = 1 << 25
"""Pixels read at once."""
FEW = 400
"""Frames below which the products are too small for a second thread to be worth its waiting."""


def _flat(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if frames.dtype != np.uint8 or frames.ndim < 2 or len(frames) < 2 or frames[0].size == 0:
        raise BenchError(
            f"frames must be uint8 (T, H, W, C) with T of at least 2, not {frames.dtype} of shape {frames.shape}"
        )
    return frames.reshape(len(frames), -1)


def gram(
    frames: NDArray[np.uint8], where: NDArray[np.bool_] | None = None, progress: Callable[[int], None] | None = None
) -> Floats:
    """Inner products of all pairs of frames, of pixels minus 128; whole numbers, ``(T, T)``.

    Args:
        frames: ``(T, ...)`` uint8, best mapped from disk: a piece of every frame is read at a time.
        where: shape of a frame (or its first axes): only these pixels count.
        progress: called with the number of values of a frame that were dealt with.
    """
    from scipy.linalg.blas import ssyrk

    flat = _flat(frames)
    chosen = None
    if where is not None:
        mask = np.broadcast_to(where.reshape(where.shape + (1,) * (frames.ndim - 1 - where.ndim)), frames.shape[1:])
        chosen = np.flatnonzero(mask)
        if len(chosen) == 0:
            raise BenchError("the region holds no pixel: its mask is empty")
    count = flat.shape[1] if chosen is None else len(chosen)
    size = max(EXACT, PIECE_BYTES // len(flat) // EXACT * EXACT)
    total = np.zeros((len(flat), len(flat)), order="F")
    part = np.zeros_like(total, dtype=np.float32)  # not empty: some BLAS let a NaN that lies there survive beta = 0
    with threadpool_limits(1, "blas") if len(flat) < FEW else nullcontext():
        for start in range(0, count, size):
            place = slice(start, start + size) if chosen is None else chosen[start : start + size]
            piece = np.ascontiguousarray(flat[:, place])
            for begin in range(0, piece.shape[1], EXACT):
                block = np.subtract(
                    piece[:, begin : begin + EXACT], np.float32(128)
                )  # (T, 1024), small enough for the cache
                total += ssyrk(
                    1.0, block.T, beta=0.0, c=part, trans=1, overwrite_c=1
                )  # (T, T), the half above the diagonal
            if progress is not None:
                progress(piece.shape[1])
    upper = np.triu(total)
    upper += np.triu(total, 1).T
    return upper


def distances(
    frames: NDArray[np.uint8], where: NDArray[np.bool_] | None = None, progress: Callable[[int], None] | None = None
) -> Floats:
    """``D[i, j]``: L2 distance of frames i and j over all (or the chosen) pixels and channels, ``(T, T)``; arguments as
    :func:`gram`.

    >>> distances(np.array([[[0, 0]], [[3, 4]]], np.uint8)).tolist()
    [[0.0, 5.0], [5.0, 0.0]]
    """
    products = gram(frames, where, progress)
    own = np.diag(products).copy()
    products *= -2.0
    products += own[:, None]
    products += own[None, :]
    return np.sqrt(products, out=products)


def mean_distance(table: Floats) -> float:
    """Mean of the distances that are not zero, the unit of sigma; 1 for a still picture."""
    apart = table[table > 0]
    return float(apart.mean()) if len(apart) else 1.0


def taps_of(taps: int) -> Floats:
    """Binomial weights of the diagonal filter, which sum to one.

    >>> taps_of(4).tolist()
    [0.125, 0.375, 0.375, 0.125]
    """
    weights = np.ones(1)
    for _ in range(taps - 1):
        weights = np.convolve(weights, [0.5, 0.5])
    return weights


def filter_diagonal(table: Floats, taps: int) -> tuple[Floats, int]:
    """Equation 3: ``D'[i, j] = sum_k w_k D[i + k, j + k]``, so that two frames are alike if their neighbours in time
    are too.

    k runs from ``-(taps // 2)`` to ``(taps - 1) // 2``; the frames whose neighbours lie outside of the clip are
    dropped.

    Returns:
        ``(T - taps + 1, T - taps + 1)`` filtered distances, and the clip's frame that row and column 0 stand for.

    Raises:
        BenchError: a clip shorter than the filter.
    """
    count = len(table) - taps + 1
    if count < 2:
        raise BenchError(
            f"the clip has {len(table)} frames, a filter of {taps} taps needs at least {taps + 1}: use a longer "
            "clip or fewer taps"
        )
    filtered = np.zeros((count, count))
    for k, weight in enumerate(taps_of(taps)):
        filtered += weight * table[k : k + count, k : k + count]
    return filtered, taps // 2
