"""Near-copied share: copying that a shift of grey values, a change of contrast or a little noise does not hide.

A patch is copied if it equals a patch of the exemplar up to gain, offsets (one a channel) and small noise, which
normalised cross-correlation measures (Lewis 1995). Patches that are turned, mirrored, scaled or blurred are not found:
the texture distance sees blur, and nothing sees a mirror image of a texture without direction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.metrics.arrays import canvas

__all__ = ["CORRELATION", "LEAST_CONTRAST", "best_correlations", "near_copied_share"]

CORRELATION = 0.95
"""Patches of 15 pixels in held-out pieces of the project's textures reach it in under one per cent of the places,
copies with noise of two grey levels in all but the darkest sky (`tests/metrics/test_near_copies.py`)."""
LEAST_CONTRAST = 2.0
"""Standard deviation in grey levels below which a patch counts as flat: rounding would decide what it resembles."""
STRIDE = 2
"""Every how many pixels of the output a patch is taken; those of the exemplar are taken at every pixel."""

Floats = NDArray[np.float32]


def _patches(image: NDArray[Any], size: int, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
    """Unit vectors ``(R * C, size * size * channels)`` without the mean of each channel; flat patches are zero."""
    windows = sliding_window_view(image.astype(np.float32), (size, size), axis=(0, 1))[np.ix_(rows, columns)]
    flat = windows - windows.mean(axis=(-2, -1), keepdims=True)
    vectors: Floats = flat.reshape(len(rows) * len(columns), -1)
    norms = np.linalg.norm(vectors, axis=1)
    contrast = norms / np.sqrt(vectors.shape[1])
    return np.where((contrast >= LEAST_CONTRAST)[:, None], vectors / np.maximum(norms, 1e-12)[:, None], 0)


def _starts(length: int, size: int, stride: int) -> NDArray[np.int64]:
    """Places of patches along an axis; the last always, so that every pixel lies in one."""
    return np.unique([*range(0, length - size + 1, stride), length - size])


def best_correlations(
    output: NDArray[Any], exemplar: NDArray[Any], size: int = 15, *, stride: int = STRIDE
) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Largest normalised cross-correlation of each output patch with any exemplar patch, and where the patches start.

    Args:
        output, exemplar: ``(H, W)`` or ``(H, W, C)``, in grey levels of 0 to 255.
        size: side of the patches.
        stride: every how many pixels of the output a patch is taken.

    Returns:
        Correlations ``(R, C)``, 0 for flat patches; the rows ``(R,)``; the columns ``(C,)``.

    Raises:
        BenchError: different channels, or textures smaller than a patch.
    """
    output, exemplar = (canvas(image, "near_copied_share") for image in (output, exemplar))
    if output.shape[2] != exemplar.shape[2] or min(*output.shape[:2], *exemplar.shape[:2]) < size:
        raise BenchError(
            f"near_copied_share: patches of {size} pixels of textures of shapes {output.shape} and {exemplar.shape} "
            "cannot be compared"
        )
    rows, columns = (_starts(output.shape[axis], size, stride) for axis in (0, 1))
    known = _patches(exemplar, size, *(_starts(exemplar.shape[axis], size, 1) for axis in (0, 1)))
    queries = _patches(output, size, rows, columns)
    best = np.concatenate([(queries[i : i + 512] @ known.T).max(axis=1) for i in range(0, len(queries), 512)])
    return np.maximum(best, 0).reshape(len(rows), len(columns)), rows, columns


def near_copied_share(
    output: NDArray[Any], exemplar: NDArray[Any], size: int = 15, *, correlation: float = CORRELATION
) -> float:
    """Share of output pixels inside a patch that equals an exemplar patch up to gain, offset and small noise.

    >>> rng = np.random.default_rng(0)
    >>> exemplar, other = rng.integers(0, 200, (2, 24, 24))
    >>> near_copied_share(exemplar * 0.8 + 20, exemplar, 9), near_copied_share(other, exemplar, 9)
    (1.0, 0.0)
    """
    best, rows, columns = best_correlations(output, exemplar, size)
    covered = np.zeros(output.shape[:2], dtype=bool)
    for row, column in zip(*np.nonzero(best >= correlation), strict=True):
        covered[rows[row] : rows[row] + size, columns[column] : columns[column] + size] = True
    return float(covered.mean())
