"""Total variation: how far two distributions over the same states are apart (Levin, Peres and Wilmer 2009, proposition
4.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bench.base.errors import BenchError

__all__ = ["total_variation"]


def total_variation(p: ArrayLike, q: ArrayLike) -> float:
    """Half the sum of ``|p - q|``: 0 for equal distributions, 1 for disjoint ones.

    Args:
        p: ``(S,)`` probabilities, or counts, which are normalised.
        q: the same.

    >>> total_variation([0.5, 0.5, 0.0], [1, 1, 2])
    0.5

    Raises:
        BenchError: unequal lengths, negative values, or values that sum to nothing.
    """
    a, b = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise BenchError(f"total_variation: distributions of shapes {a.shape} and {b.shape}")
    if min(a.min(initial=0.0), b.min(initial=0.0)) < 0 or not (
        np.isfinite(a.sum() + b.sum()) and a.sum() > 0 and b.sum() > 0
    ):
        raise BenchError("total_variation: needs finite values that are not negative and not all zero")
    return float(np.abs(a / a.sum() - b / b.sum()).sum() / 2)
