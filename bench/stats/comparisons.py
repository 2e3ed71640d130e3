"""Two numbers, and a column of them: how they differ, and which the data can tell apart.

Where two systems were measured on the same items, what makes an item hard for both cancels
(:func:`paired_difference`, :func:`paired_ratio_difference`); elsewhere their two intervals must do
(:func:`difference_from_intervals`). :func:`rank_ranges` is the only judge of a column: the page, the README,
``bench compare`` and MLflow show what it says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.stats.intervals import Interval, bootstrap_mean_ci, finite_vector

__all__ = [
    "Blocks",
    "Difference",
    "Estimate",
    "Items",
    "difference",
    "difference_from_intervals",
    "holm",
    "paired_difference",
    "paired_ratio_difference",
    "rank_ranges",
]

Floats = NDArray[np.float64]
Blocks = tuple[Sequence[float], Sequence[float]]
"""Numerators and denominators of the items behind a number, which is ``sum(numerators) / sum(denominators)``."""

Items = dict[tuple[str, str, str], Blocks]
"""(generator, metric, variant) -> the items that the number was measured on."""

_NORMAL = NormalDist()
_DRAWS = 4_000_000


@dataclass(frozen=True)
class Difference:
    """``a - b``: its value, 95 % interval, and two-sided p-value of the hypothesis that it is zero."""

    value: float
    ci95: Interval
    p_value: float


def paired_difference(a: ArrayLike, b: ArrayLike, seed: int, *, repeats: int = 4999) -> Difference:
    """``mean(a - b)`` over items that both systems were measured on.

    The interval is the bootstrap's; the p-value is that of the sign-flip permutation test of the mean (Fisher 1935),
    which assumes only that under the null a difference and its negative are equally likely.

    >>> paired_difference([2.0, 3.0, 4.1, 5.2], [1.0, 2.0, 3.0, 4.0], seed=0).value.__round__(3)
    1.075
    """
    difference = finite_vector(a, "paired_difference") - finite_vector(b, "paired_difference")
    value = float(difference.mean())
    rng = np.random.default_rng([seed, 1])
    extreme, done = 0, 0
    rows = max(1, _DRAWS // len(difference))
    while done < repeats:
        size = min(rows, repeats - done)
        signs = rng.integers(0, 2, size=(size, len(difference)), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ difference) >= abs(difference.sum()) * (1 - 1e-12)).sum())
        done += size
    return Difference(value, bootstrap_mean_ci(difference, seed), (1 + extreme) / (1 + repeats))


def paired_ratio_difference(
    numerators_a: ArrayLike,
    denominators_a: ArrayLike,
    numerators_b: ArrayLike,
    denominators_b: ArrayLike,
    seed: int = 0,
) -> Difference:
    """``sum(a) / sum(size_a) - sum(b) / sum(size_b)`` over blocks that both models were measured on.

    Each block's influence on the difference, to first order (Efron and Tibshirani 1993, section 22.4), is resampled:
    what makes a block hard for both models cancels, which separate intervals cannot see.
    Equal models differ by exactly zero.

    >>> hard = np.array([300.0, 100.0, 250.0, 180.0, 220.0])
    >>> found = paired_ratio_difference(hard + [9, 11, 10, 10.5, 9.5], [100] * 5, hard, [100] * 5)
    >>> round(found.value, 3), found.ci95[0] > 0
    (0.1, True)

    Raises:
        ValueError: the models were not measured on the same number of blocks.
    """
    shifted = []
    for top, bottom in ((numerators_a, denominators_a), (numerators_b, denominators_b)):
        one, size = np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64)
        ratio = one.sum() / size.sum()
        shifted.append(ratio + (one - ratio * size) / size.mean())
    if shifted[0].shape != shifted[1].shape:
        raise ValueError(
            f"{len(shifted[0])} and {len(shifted[1])} blocks: the models were not measured on the same items"
        )
    if not (shifted[0] != shifted[1]).any():
        return Difference(0.0, (0.0, 0.0), 1.0)
    return paired_difference(shifted[0], shifted[1], seed)


def difference_from_intervals(a: float, ci_a: Interval | None, b: float, ci_b: Interval | None) -> Difference:
    """``a - b`` of two independent estimates from their 95 % intervals alone (MOVER, Zou and Donner 2008).

    The distance to each limit comes from the facing limits of the two intervals, so that skewed intervals count on the
    side that matters. None means an exact number. Two systems measured on the same items are usually positively
    correlated: then this is conservative, and :func:`paired_difference` sees more.

    >>> difference_from_intervals(2.0, (1.5, 2.5), 1.0, (0.5, 1.5)).p_value < 0.05
    True
    >>> difference_from_intervals(2.0, (1.0, 3.0), 1.0, (0.0, 2.0)).p_value < 0.05
    False
    """
    low_a, high_a = ci_a if ci_a is not None else (a, a)
    low_b, high_b = ci_b if ci_b is not None else (b, b)
    down = math.hypot(max(a - low_a, 0.0), max(high_b - b, 0.0))
    up = math.hypot(max(high_a - a, 0.0), max(b - low_b, 0.0))
    value = a - b
    towards_zero = down if value > 0 else up
    if value == 0.0:
        p = 1.0
    elif towards_zero == 0.0:
        p = 0.0
    else:
        p = 2 * (1 - _NORMAL.cdf(_NORMAL.inv_cdf(0.975) * abs(value) / towards_zero))
    return Difference(value, (value - down, value + up), p)


def holm(p_values: ArrayLike) -> Floats:
    """Holm's step-down adjustment (1979): reject where the result is at most alpha, and the family's error rate is at
    most alpha.

    >>> holm([0.01, 0.04, 0.03]).round(4).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64).reshape(-1)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))), 1.0)
    return adjusted


@dataclass(frozen=True)
class Estimate:
    """One number of a column.

    Attributes:
        value: None for an infinite one.
        ci95: None where none is known.
        exact: a count, which needs no interval.
        items: what the number was measured on.
    """

    value: float | None
    ci95: Interval | None = None
    exact: bool = False
    items: Blocks | None = None

    @property
    def known(self) -> bool:
        """Whether it can be compared: finite, and exact or with an interval."""
        return self.value is not None and math.isfinite(self.value) and (self.exact or self.ci95 is not None)


def difference(a: Estimate, b: Estimate) -> Difference | None:
    """``a - b``: over the items where both were measured on the same ones, from their intervals otherwise.

    Returns:
        None where one of them is infinite or has an interval that nobody knows.
    """
    if not a.known or not b.known:
        return None
    assert a.value is not None and b.value is not None
    if a.items is not None and b.items is not None and len(a.items[0]) == len(b.items[0]) > 2:
        return paired_ratio_difference(*a.items, *b.items)
    return difference_from_intervals(a.value, a.ci95, b.value, b.ci95)


def rank_ranges(
    column: Sequence[Estimate], higher_is_better: bool | None, *, alpha: float = 0.05
) -> list[tuple[int, int] | None]:
    """From which to which place each number may stand: (1, 3) may be first, second or third.

    Every pair is tested (:func:`difference`), the p-values are adjusted by :func:`holm`, and a pair is told apart if
    its adjusted p-value is at most ``alpha`` or if its 95 % intervals are disjoint. A number stands behind all that are
    told to be better and before all that are told to be worse. A number of unknown interval has no place, and takes
    none.

    How often a column of equals is split, by simulation (``tests/stats/test_comparisons.py``): about 15 % of columns of
    eight with separate intervals, where disjoint intervals decide; at most 5 % where items are shared and Holm does.

    >>> near, far = Estimate(9.0, (8.0, 10.0)), Estimate(20.0, (19.0, 21.0))
    >>> rank_ranges([near, Estimate(9.1, (8.1, 10.1)), far, Estimate(1.0)], higher_is_better=False)
    [(1, 2), (1, 2), (3, 3), None]

    Args:
        column: one number for each system.
        higher_is_better: None for a number without direction: nobody has a place.
        alpha: error rate of the column.
    """
    places: list[tuple[int, int] | None] = [None] * len(column)
    if higher_is_better is None:
        return places
    order = [i for i, estimate in enumerate(column) if estimate.known]
    order.sort(key=lambda i: float(column[i].value or 0.0), reverse=higher_is_better)
    pairs = [(i, j) for i in range(len(order)) for j in range(i + 1, len(order))]
    found = [difference(column[order[i]], column[order[j]]) for i, j in pairs]
    adjusted = holm([each.p_value if each else 1.0 for each in found])
    apart = {
        pair: bool(p <= alpha) or _disjoint(column[order[pair[0]]], column[order[pair[1]]])
        for pair, p in zip(pairs, adjusted, strict=True)
    }
    for place, i in enumerate(order):
        better = sum(apart[other, place] for other in range(place))
        worse = sum(apart[place, other] for other in range(place + 1, len(order)))
        places[i] = (1 + better, len(order) - worse)
    return places


def _disjoint(a: Estimate, b: Estimate) -> bool:
    one, other = (each.ci95 if each.ci95 is not None else (each.value, each.value) for each in (a, b))
    return bool(one[1] < other[0] or other[1] < one[0])  # type: ignore[operator]  # both are known
