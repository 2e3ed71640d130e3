"""Texture structure error and copied share: garbage on one side, verbatim copying on the other (the trade of Efros and
Leung 1999).

A synthesised texture should consist of neighbourhoods that occur in the exemplar (small structure error, as in the
bidirectional similarity of Simakov et al. 2008, coherence term) without being one large copy of it (small copied
share). The error says nothing of what the output lacks: blur and flat colour lower it below that of real texture, so it
describes and does not rank (:mod:`bench.metrics.texture_distance` does).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.metrics.arrays import canvas
from bench.metrics.hashing import hash_windows
from bench.metrics.neighbours import nearest

__all__ = ["copied_share", "patch_errors", "structure_error"]

Floats = NDArray[np.float64]


def _pair(output: NDArray[Any], exemplar: NDArray[Any], size: int) -> tuple[NDArray[Any], NDArray[Any]]:
    output, exemplar = canvas(output, "structure_error"), canvas(exemplar, "structure_error")
    if output.shape[2] != exemplar.shape[2]:
        raise BenchError(
            f"structure_error: a texture of {output.shape[2]} channels cannot be compared with one of "
            f"{exemplar.shape[2]}"
        )
    if min(*output.shape[:2], *exemplar.shape[:2]) < size:
        raise BenchError(
            f"structure_error: patches of {size} pixels do not fit textures of {output.shape[:2]} and "
            f"{exemplar.shape[:2]}"
        )
    return output, exemplar


def _patches(image: NDArray[Any], size: int, stride: int) -> NDArray[Any]:
    """``(P, size * size * C)``."""
    windows = sliding_window_view(image, (size, size), axis=(0, 1))[::stride, ::stride]
    return windows.reshape(-1, size * size * image.shape[2])


def patch_errors(
    output: NDArray[Any], exemplar: NDArray[Any], size: int, *, stride: int = 2, limit: int = 40_000, seed: int = 0
) -> Floats:
    """Mean squared difference a pixel of each output patch to its nearest exemplar patch, in squared units of a 0-1
    range, ``(P,)``.

    Args:
        output: synthesised texture, uint8 ``(H, W)`` or ``(H, W, C)``.
        exemplar: the sample that it grew from.
        size: side of the patch in pixels.
        stride: every how many pixels of the output a patch is taken; exemplar patches are taken at every pixel.
        limit: most exemplar patches compared; more are thinned at random (then the error is an upper bound).
        seed: of the thinning.
    """
    output, exemplar = _pair(output, exemplar, size)
    known = _patches(exemplar, size, 1)
    if len(known) > limit:
        known = known[np.random.default_rng(seed).choice(len(known), limit, replace=False)]
    queries = _patches(output, size, stride)
    distances, _ = nearest(queries, known)
    return np.asarray(distances[:, 0] ** 2 / (queries.shape[1] * 255.0**2))


def structure_error(
    output: NDArray[Any],
    exemplar: NDArray[Any],
    sizes: Sequence[int] = (5, 9, 17),
    *,
    stride: int = 2,
    limit: int = 40_000,
    seed: int = 0,
) -> dict[str, float]:
    """Mean of :func:`patch_errors` at each scale and over the scales: ``{"value", "size=5", "size=9", "size=17"}``.

    Zero for any verbatim piece of the exemplar; noise of the exemplar's own histogram is the natural ceiling.

    >>> stripes = np.tile(np.array([0, 255], dtype=np.uint8), (24, 12))
    >>> structure_error(stripes[:20, 1:21], stripes)["value"], structure_error(stripes.T, stripes)["value"] > 0.4
    (0.0, True)
    """
    values = {
        f"size={size}": float(patch_errors(output, exemplar, size, stride=stride, limit=limit, seed=seed).mean())
        for size in sizes
    }
    return {"value": float(np.mean(list(values.values()))), **values}


def copied_share(output: NDArray[Any], exemplar: NDArray[Any], size: int = 15) -> float:
    """Share of output pixels inside a ``size`` x ``size`` patch that stands verbatim in the exemplar.

    Flat patches (one value throughout, as in a page's margins) do not count: they copy nothing.

    >>> rng = np.random.default_rng(0)
    >>> exemplar = rng.integers(0, 256, (40, 40), dtype=np.uint8)
    >>> canvas = rng.integers(0, 256, (40, 40), dtype=np.uint8)
    >>> canvas[:20, :20] = exemplar[7:27, 9:29]
    >>> copied_share(canvas, exemplar, 10), copied_share(exemplar, exemplar, 10)
    (0.25, 1.0)
    """
    output, exemplar = _pair(output, exemplar, size)
    hashes = _patch_hashes(output, size)
    copied = np.isin(hashes, _patch_hashes(exemplar, size))
    windows = sliding_window_view(output, (size, size), axis=(0, 1))
    copied &= (windows != output[: windows.shape[0], : windows.shape[1], :, None, None]).any(axis=(2, 3, 4))
    edges = np.zeros(np.add(output.shape[:2], 1), dtype=np.int64)  # each copied patch as four corners of a summed table
    rows, columns = np.nonzero(copied)
    for down, right, sign in ((0, 0, 1), (size, 0, -1), (0, size, -1), (size, size, 1)):
        np.add.at(edges, (rows + down, columns + right), sign)
    return float((edges.cumsum(axis=0).cumsum(axis=1)[:-1, :-1] > 0).mean())


def _patch_hashes(image: NDArray[Any], size: int) -> NDArray[np.uint64]:
    pixels = hash_windows(image, image.shape[2], axis=2)[..., 0]
    return hash_windows(hash_windows(pixels, size, axis=0), size, axis=1)
