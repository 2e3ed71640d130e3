"""Precision and recall (Kynkaanniemi et al. 2019, eqs. 1-2), density and coverage (Naeem et al. 2020, eqs. 4 and
11)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.base.errors import BenchError
from bench.metrics.arrays import features_2d
from bench.metrics.neighbours import nearest, squared_distances

__all__ = ["ManifoldItems", "manifold_items", "precision_recall_density_coverage"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ManifoldItems:
    """What each item contributes; each metric is the mean of its array (and so gets a bootstrap or Wilson interval).

    Attributes:
        precision: ``(M,)`` 1 if the fake item lies in the ball of some real item.
        recall: ``(N,)`` 1 if the real item lies in the ball of some fake item.
        density: ``(M,)`` number of real balls around the fake item, divided by k; may exceed 1.
        coverage: ``(N,)`` 1 if some fake item lies in the real item's ball.
    """

    precision: Floats
    recall: Floats
    density: Floats
    coverage: Floats


def manifold_items(real: ArrayLike, fake: ArrayLike, k: int = 5, *, chunk: int = 1024) -> ManifoldItems:
    """The per-item arrays behind the four numbers; the ball of an item reaches to its k-th nearest neighbour in its own
    set.

    Args:
        real: ``(N, D)`` features.
        fake: ``(M, D)`` features; N = M is the usual protocol.
        k: neighbours, the item itself not counted.
        chunk: rows of the distance matrix held at a time.

    Raises:
        BenchError: fewer than k + 1 items, or different dimensions.
    """
    a, b = features_2d(real, "prdc"), features_2d(fake, "prdc")
    if a.shape[1] != b.shape[1]:
        raise BenchError(
            f"prdc: {a.shape[1]} features cannot be compared with {b.shape[1]}; both sets need the same feature network"
        )
    if min(len(a), len(b)) <= k:
        raise BenchError(f"prdc with k={k} needs more than {k} items in each set, got {len(a)} real and {len(b)} fake")
    real_radius = nearest(a, a, k, exclude_self=True)[0][:, -1]
    fake_radius = nearest(b, b, k, exclude_self=True)[0][:, -1]
    inside_real = np.zeros(len(b))
    recall = np.zeros(len(a))
    coverage = np.zeros(len(a))
    for start in range(0, len(a), chunk):
        rows = slice(start, min(start + chunk, len(a)))
        distances = np.sqrt(squared_distances(a[rows], b))  # (n, M)
        inside = distances < real_radius[rows, None]
        inside_real += inside.sum(axis=0)
        coverage[rows] = inside.any(axis=1)
        recall[rows] = (distances < fake_radius[None, :]).any(axis=1)
    return ManifoldItems((inside_real > 0).astype(np.float64), recall, inside_real / k, coverage)


def precision_recall_density_coverage(real: ArrayLike, fake: ArrayLike, k: int = 5) -> dict[str, float]:
    """``{"precision", "recall", "density", "coverage"}``: fidelity, variety, and their outlier-robust counterparts.

    >>> rng = np.random.default_rng(0)
    >>> real = rng.normal(size=(500, 2))
    >>> narrow = 0.1 * rng.normal(size=(500, 2))  # believable, but all alike
    >>> numbers = precision_recall_density_coverage(real, narrow)
    >>> numbers["precision"], numbers["recall"] < 0.1
    (1.0, True)
    """
    items = manifold_items(real, fake, k)
    return {name: float(getattr(items, name).mean()) for name in ("precision", "recall", "density", "coverage")}
