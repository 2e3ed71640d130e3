"""Total variation: how far two distributions over the same states are apart (Levin, Peres and Wilmer 2009, proposition
4.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.base.errors import BenchError

__all__ = ["total_variation", "total_variation_interval"]


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


def total_variation_interval(
    expected: NDArray[np.float64], states: NDArray[np.int64], seed: int, repeats: int = 500
) -> tuple[float, float]:
    """95 % interval of the distance of a series' shares to a distribution, by resampling up to 50 stretches of it.

    Resampling adds noise of its own to a distance: both ends err upwards.

    Args:
        expected: ``(S,)`` probabilities.
        states: ``(N,)`` a series of states.
        seed: of the resampling.
        repeats: resamples.

    >>> total_variation_interval(np.array([1.0, 0.0]), np.zeros(90, np.int64), seed=0)
    (0.0, 0.0)
    """
    stretches = np.array_split(states, min(50, max(2, len(states) // 30)))
    counts = np.stack([np.bincount(part, minlength=len(expected)) for part in stretches])
    weights = np.random.default_rng(seed).multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=repeats)
    shares = (weights @ counts).astype(np.float64)
    distances = np.abs(shares / shares.sum(1, keepdims=True) - expected).sum(1) / 2
    return float(np.quantile(distances, 0.025)), float(np.quantile(distances, 0.975))
