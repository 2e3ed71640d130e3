"""Kernel distance: unbiased squared MMD of features (Binkowski et al. 2018, "Demystifying MMD GANs"; Gretton et al.
2012, eq. 3)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.base.errors import BenchError
from bench.metrics.arrays import features_2d
from bench.metrics.protocols import MINIMUM_N, require_minimum

__all__ = ["kernel_distance", "kernel_distance_subsets", "kernel_leave_group_out"]

Floats = NDArray[np.float64]
_CHUNK = 2048


def _kernel(a: Floats, b: Floats, degree: int, gamma: float, coef0: float) -> Floats:
    return np.asarray((gamma * (a @ b.T) + coef0) ** degree)


def _pair(a_features: ArrayLike, b_features: ArrayLike, gamma: float | None) -> tuple[Floats, Floats, float]:
    a, b = features_2d(a_features, "kid"), features_2d(b_features, "kid")
    if a.shape[1] != b.shape[1]:
        raise BenchError(
            f"kid: {a.shape[1]} features cannot be compared with {b.shape[1]}; both sets need the same feature network"
        )
    return a, b, 1.0 / a.shape[1] if gamma is None else gamma


def _chunks(n: int) -> Iterator[slice]:
    for start in range(0, n, _CHUNK):
        yield slice(start, min(start + _CHUNK, n))


def _row_sums(a: Floats, b: Floats, degree: int, gamma: float, coef0: float) -> Floats:
    """Sum over ``b`` of the kernel, for each row of ``a``, in chunks."""
    total = np.zeros(len(a))
    for rows in _chunks(len(a)):
        for columns in _chunks(len(b)):
            total[rows] += _kernel(a[rows], b[columns], degree, gamma, coef0).sum(axis=1)
    return total


def _diagonal(a: Floats, degree: int, gamma: float, coef0: float) -> Floats:
    return np.asarray((gamma * np.einsum("nd,nd->n", a, a) + coef0) ** degree)


def kernel_distance(
    a_features: ArrayLike,
    b_features: ArrayLike,
    *,
    degree: int = 3,
    gamma: float | None = None,
    coef0: float = 1.0,
    minimum_n: int = MINIMUM_N,
) -> float:
    """KID over all pairs, kernel ``(gamma x.y + coef0)^degree`` with ``gamma = 1 / D``; unbiased, so it may fall below
    zero.

    Unlike FID its expectation does not depend on N: two sets of one distribution give zero on average.

    >>> rng = np.random.default_rng(0)
    >>> real, same, other = rng.normal(size=(1000, 8)), rng.normal(size=(1000, 8)), rng.normal(0.5, 1, size=(1000, 8))
    >>> abs(kernel_distance(real, same)) < 0.01 < kernel_distance(real, other)
    True

    Raises:
        BenchError: fewer than ``minimum_n`` items in either set, or different dimensions.
    """
    a, b, gamma = _pair(a_features, b_features, gamma)
    for array in (a, b):
        require_minimum(len(array), max(2, minimum_n), "kid")
    n, m = len(a), len(b)
    within_a = _row_sums(a, a, degree, gamma, coef0).sum() - _diagonal(a, degree, gamma, coef0).sum()
    within_b = _row_sums(b, b, degree, gamma, coef0).sum() - _diagonal(b, degree, gamma, coef0).sum()
    across = _row_sums(a, b, degree, gamma, coef0).sum()
    return float(within_a / (n * (n - 1)) + within_b / (m * (m - 1)) - 2 * across / (n * m))


def kernel_distance_subsets(
    a_features: ArrayLike,
    b_features: ArrayLike,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
    degree: int = 3,
    gamma: float | None = None,
    coef0: float = 1.0,
) -> Floats:
    """KID of ``subsets`` random subsets, ``(subsets,)``: the published way (mean and standard deviation over subsets).

    The spread describes subsets of ``subset_size``, not the error of the full estimate: for that use
    :func:`kernel_leave_group_out` with :func:`bench.stats.intervals.jackknife_ci`.
    """
    a, b, gamma = _pair(a_features, b_features, gamma)
    require_minimum(min(len(a), len(b)), subset_size, "kid over subsets")
    rng = np.random.default_rng(seed)
    values = np.empty(subsets)
    for i in range(subsets):
        rows = a[rng.choice(len(a), subset_size, replace=False)]
        others = b[rng.choice(len(b), subset_size, replace=False)]
        values[i] = kernel_distance(rows, others, degree=degree, gamma=gamma, coef0=coef0, minimum_n=2)
    return values


def kernel_leave_group_out(
    features: ArrayLike,
    reference: ArrayLike,
    groups: int = 20,
    seed: int = 0,
    *,
    degree: int = 3,
    gamma: float | None = None,
    coef0: float = 1.0,
    minimum_n: int = MINIMUM_N,
) -> Floats:
    """KID to ``reference`` with each of ``groups`` random groups of ``features`` left out, ``(groups,)``, from one pass
    over the pairs."""
    a, b, gamma = _pair(features, reference, gamma)
    n, m = len(a), len(b)
    require_minimum(min(n, m), max(2 * groups, minimum_n), "kid")
    order = np.random.default_rng(seed).permutation(n)
    members = np.array_split(order, groups)
    within_b = (_row_sums(b, b, degree, gamma, coef0).sum() - _diagonal(b, degree, gamma, coef0).sum()) / (m * (m - 1))
    rows_a = _row_sums(a, a, degree, gamma, coef0)
    rows_b = _row_sums(a, b, degree, gamma, coef0)
    diagonal = _diagonal(a, degree, gamma, coef0)
    values = np.empty(groups)
    for g, rows in enumerate(members):
        inside = _row_sums(a[rows], a[rows], degree, gamma, coef0).sum()
        left = n - len(rows)
        within_a = rows_a.sum() - 2 * rows_a[rows].sum() + inside - (diagonal.sum() - diagonal[rows].sum())
        across = rows_b.sum() - rows_b[rows].sum()
        values[g] = within_a / (left * (left - 1)) + within_b - 2 * across / (left * m)
    return values
