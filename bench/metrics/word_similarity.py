"""Do vectors find those words similar that people do? Spearman's rank correlation over pairs of words (Finkelstein et
al. 2002)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.base.errors import BenchError
from bench.metrics.arrays import unit_rows

__all__ = ["pair_cosines", "spearman", "spearman_interval", "spearman_pseudo_values"]

Floats = NDArray[np.float64]


def pair_cosines(vectors: ArrayLike, pairs: ArrayLike) -> Floats:
    """Cosine of each pair of rows: ``(P,)``, to twelve digits, so that a word with itself is 1 and equal pairs tie.

    Args:
        vectors: ``(V, D)``.
        pairs: ``(P, 2)`` rows.
    """
    unit, rows = unit_rows(vectors), np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    return np.asarray((unit[rows[:, 0]] * unit[rows[:, 1]]).sum(1).round(12))


def _ranks(values: Floats) -> Floats:
    """Ranks along the last axis from 0 on, equal values at the mean of theirs."""
    order = np.argsort(values, axis=-1, kind="stable")
    ordered = np.take_along_axis(values, order, -1)
    place = np.broadcast_to(np.arange(values.shape[-1]), values.shape)
    steps = ordered[..., 1:] != ordered[..., :-1]
    edge = np.ones((*values.shape[:-1], 1), dtype=np.bool_)
    first = np.maximum.accumulate(np.where(np.concatenate([edge, steps], -1), place, 0), -1)
    after = np.where(np.concatenate([steps, edge], -1), place, values.shape[-1])
    last = np.minimum.accumulate(after[..., ::-1], -1)[..., ::-1]
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (first + last) / 2, -1)
    return ranks


def _correlation(a: Floats, b: Floats) -> Floats:
    """Pearson's along the last axis; 0 where one side is constant, for it orders nothing."""
    a, b = a - a.mean(-1, keepdims=True), b - b.mean(-1, keepdims=True)
    scale = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    return np.asarray((a * b).sum(-1) / np.where(scale > 0, scale, 1.0))


def _checked(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    a, b = (np.asarray(values, dtype=np.float64).reshape(-1) for values in (x, y))
    if len(a) != len(b) or len(a) < 3 or not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise BenchError(f"spearman: needs at least three pairs of finite numbers, got {len(a)} and {len(b)}")
    return a, b


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's rank correlation, ties at their mean rank; 0 if one side is constant.

    >>> round(spearman([1, 2, 3, 4], [1, 3, 2, 4]), 3)
    0.8

    Raises:
        BenchError: fewer than three items, unequal lengths, or values that are not finite.
    """
    a, b = _checked(x, y)
    return float(_correlation(_ranks(a), _ranks(b)))


def spearman_interval(
    x: ArrayLike, y: ArrayLike, seed: int, *, confidence: float = 0.95, repeats: int = 2000
) -> tuple[float, float]:
    """Percentile bootstrap over items, ranks taken anew in every resample.

    >>> low, high = spearman_interval(range(20), [*range(10), *range(19, 9, -1)], seed=0)
    >>> low < spearman(range(20), [*range(10), *range(19, 9, -1)]) < high
    True
    """
    a, b = _checked(x, y)
    rng = np.random.default_rng(seed)
    draws = []
    for start in range(0, repeats, 200):
        picks = rng.integers(0, len(a), (min(200, repeats - start), len(a)))
        draws.append(_correlation(_ranks(a[picks]), _ranks(b[picks])))
    low, high = np.quantile(np.concatenate(draws), [0.5 - confidence / 2, 0.5 + confidence / 2])
    return float(low), float(high)


def spearman_pseudo_values(x: ArrayLike, y: ArrayLike) -> Floats:
    """Jackknife pseudo-values ``n r - (n - 1) r_without_i``, one an item: ``(N,)``. Their mean is the correlation less
    its bias.

    Two models judged on the same items are compared by the differences of theirs (Efron and Tibshirani 1993, section
    11.5).

    >>> spearman_pseudo_values([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    a, b = _checked(x, y)
    n = len(a)
    others = np.arange(n - 1) + (np.arange(n - 1) >= np.arange(n)[:, None])  # (N, N - 1)
    left_out = np.concatenate(
        [_correlation(_ranks(a[rows]), _ranks(b[rows])) for rows in np.array_split(others, max(1, n // 100))]
    )
    return np.asarray(n * spearman(a, b) - (n - 1) * left_out)
