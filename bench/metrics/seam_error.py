"""Seam error of a filled hole: does what straddles its border look like texture? (the coherence of Simakov et al. 2008,
at the seam)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.metrics.neighbours import nearest

__all__ = ["seam_error", "seam_errors"]

Floats = NDArray[np.float64]


def seam_errors(filled: NDArray[Any], known: NDArray[np.bool_], exemplar: NDArray[Any], size: int = 7) -> Floats:
    """Mean squared difference a pixel of each patch across the border to its nearest exemplar patch, in a 0-1 range,
    ``(P,)``.

    A patch counts if it holds known and filled pixels, at least a quarter of it each: a hole may be filled with perfect
    texture that does not fit its surroundings, and only there would it show.

    Args:
        filled: uint8 ``(H, W)`` or ``(H, W, C)``.
        known: ``(H, W)``, False in the holes.
        exemplar: the texture, of any size; its patches are the ones that look right.
        size: side of the patch in pixels.

    Raises:
        BenchError: pictures of different kinds, a mask of another size, patches that do not fit, or no border.
    """
    filled, exemplar = (image[..., None] if image.ndim == 2 else image for image in (filled, exemplar))
    if (
        filled.ndim != 3
        or exemplar.ndim != 3
        or filled.shape[2] != exemplar.shape[2]
        or known.shape != filled.shape[:2]
    ):
        raise BenchError(
            f"seam_error: a picture {filled.shape}, its mask {known.shape} and an exemplar {exemplar.shape} do not "
            "fit together"
        )
    if min(*filled.shape[:2], *exemplar.shape[:2]) < size:
        raise BenchError(
            f"seam_error: patches of {size} pixels do not fit pictures of {filled.shape[:2]} and {exemplar.shape[:2]}"
        )
    share = sliding_window_view(known, (size, size)).mean(axis=(2, 3))
    across = (share >= 0.25) & (share <= 0.75)
    if not across.any():
        raise BenchError("seam_error: the mask has no border of a hole")
    queries = sliding_window_view(filled, (size, size), axis=(0, 1))[across].reshape(-1, size * size * filled.shape[2])
    base = sliding_window_view(exemplar, (size, size), axis=(0, 1)).reshape(-1, queries.shape[1])
    distances, _ = nearest(queries, base)
    return np.asarray(distances[:, 0] ** 2 / (queries.shape[1] * 255.0**2))


def seam_error(filled: NDArray[Any], known: NDArray[np.bool_], exemplar: NDArray[Any], size: int = 7) -> float:
    """Mean of :func:`seam_errors`: 0 where every patch across the border stands in the exemplar.

    >>> stripes = np.tile(np.array([0, 255, 255], dtype=np.uint8), (24, 8))
    >>> known = np.ones((24, 24), dtype=bool)
    >>> known[8:16, 8:16] = False
    >>> shifted = np.where(known, stripes, np.roll(stripes, 1, axis=1))
    >>> seam_error(stripes, known, stripes), seam_error(shifted, known, stripes) > 0.05
    (0.0, True)
    """
    return float(seam_errors(filled, known, exemplar, size).mean())
