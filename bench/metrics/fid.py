"""Frechet distance between two sets of features (Heusel et al. 2017, "GANs trained by a two time-scale update rule",
eq. 6).

The number belongs to its feature network and its N: the estimate is biased upwards by about (a constant of the data) /
N, so equal N on both sides of every comparison, with the real-versus-real floor at the same N beside it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.base.errors import BenchError
from bench.metrics.arrays import features_2d
from bench.metrics.protocols import MINIMUM_N, require_minimum

__all__ = [
    "MINIMUM_N",
    "Statistics",
    "feature_statistics",
    "frechet_distance",
    "frechet_from_statistics",
    "frechet_leave_group_out",
    "require_minimum",
]

Floats = NDArray[np.float64]
Statistics = tuple[Floats, Floats]
"""Mean ``(D,)`` and covariance ``(D, D)``."""


def _required(minimum_n: int, dimensions: int) -> int:
    """A covariance of N <= D items is singular: never accepted under the standard minimum."""
    return minimum_n if minimum_n < MINIMUM_N else max(minimum_n, dimensions + 1)


def feature_statistics(features: ArrayLike, minimum_n: int = MINIMUM_N, what: str = "fid") -> Statistics:
    """Mean and unbiased covariance (division by N - 1) in float64.

    Args:
        features: ``(N, D)``.
        minimum_n: the protocol's minimum.
        what: how the error names the set.

    Raises:
        BenchError: fewer than ``minimum_n`` items (or, under the standard minimum, no more items than dimensions).
    """
    array = features_2d(features, what)
    require_minimum(len(array), max(2, _required(minimum_n, array.shape[1])), what)
    mean = array.mean(axis=0)
    centred = array - mean
    return mean, np.asarray(centred.T @ centred / (len(array) - 1))


def _symmetric_sqrt(matrix: Floats) -> Floats:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def frechet_from_statistics(mu1: Floats, sigma1: Floats, mu2: Floats, sigma2: Floats) -> float:
    """``|mu1 - mu2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))``.

    The trace of ``(S1 S2)^(1/2)`` is taken as that of the symmetric ``(S1^(1/2) S2 S1^(1/2))^(1/2)``, by ``eigh``:
    real, and defined for singular covariances too. Rounding below zero is clamped.

    >>> one = np.eye(2)
    >>> frechet_from_statistics(np.zeros(2), one, np.array([3.0, 0.0]), 4 * one)  # 9 + 2 * (2 - 1)^2
    11.0
    """
    if mu1.shape != mu2.shape:
        raise BenchError(
            f"fid: {mu1.shape[0]} features cannot be compared with {mu2.shape[0]}; both sets need the same feature "
            "network"
        )
    root = _symmetric_sqrt(sigma1)
    product = root @ sigma2 @ root
    eigenvalues = np.linalg.eigvalsh((product + product.T) / 2)
    cross = np.sqrt(np.maximum(eigenvalues, 0.0)).sum()
    difference = mu1 - mu2
    return float(max(0.0, difference @ difference + np.trace(sigma1) + np.trace(sigma2) - 2 * cross))


def frechet_distance(a_features: ArrayLike, b_features: ArrayLike, *, minimum_n: int = MINIMUM_N) -> float:
    """FID of two sets of features ``(N, D)`` and ``(M, D)``, symmetric in its arguments.

    >>> rng = np.random.default_rng(0)
    >>> real, fake = rng.normal(size=(4000, 4)), rng.normal(1.0, 1.0, size=(4000, 4))
    >>> round(frechet_distance(real, fake), 1)  # four means that differ by one
    4.0

    Raises:
        BenchError: fewer than ``minimum_n`` items in either set, values that are not finite, or different dimensions.
    """
    return frechet_from_statistics(
        *feature_statistics(a_features, minimum_n), *feature_statistics(b_features, minimum_n)
    )


def frechet_leave_group_out(
    features: ArrayLike, reference: Statistics, groups: int = 20, seed: int = 0, *, minimum_n: int = MINIMUM_N
) -> Floats:
    """FID to ``reference`` with each of ``groups`` random groups of ``features`` left out, ``(groups,)``.

    Input of :func:`bench.stats.intervals.jackknife_ci`. Sums and outer products are taken once, so that the cost is
    ``groups`` eigenvalue problems rather than ``groups`` passes over the features.
    """
    array = features_2d(features, "fid")
    n, dimensions = array.shape
    require_minimum(n, max(2 * groups, _required(minimum_n, dimensions)), "fid")
    centre = array.mean(axis=0)
    array = array - centre
    members = np.array_split(np.random.default_rng(seed).permutation(n), groups)
    total_sum, total_outer = array.sum(axis=0), array.T @ array
    values = np.empty(groups)
    for g, rows in enumerate(members):
        block, left = array[rows], n - len(rows)
        mean = (total_sum - block.sum(axis=0)) / left
        covariance = (total_outer - block.T @ block - left * np.outer(mean, mean)) / (left - 1)
        values[g] = frechet_from_statistics(mean + centre, covariance, *reference)
    return values
