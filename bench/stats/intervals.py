"""Intervals, tests and ranks (above 350 lines, mostly reasons): how sure a number is, and which numbers the data can
tell apart.

Every function is pure: arrays in, numbers out, seeds explicit. What is claimed of them (coverage, false positives) is
checked by simulation in ``tests/results/test_statistics.py``.

Which one to use:

=============================================
========================================================================== a mean over items (PSNR, CLIP score)
:func:`bootstrap_mean_ci` a ratio of sums (bits per byte, copy rate)     :func:`bootstrap_ratio_ci` over blocks of text
or over texts, never over tokens a share of successes (accuracy)                :func:`wilson_interval`
FID, KID, codebook perplexity                  :func:`jackknife_ci` of leave-group-out values, or
:func:`disjoint_subsets_ci` several seeds                                  :func:`mean_t_ci`
two systems on the same items                  :func:`paired_difference`
two rows of the leaderboard                    :func:`difference_from_intervals`
a column of the leaderboard                    :func:`rank_with_ties`
=============================================
==========================================================================

A naive bootstrap of FID is missing on purpose: a resample repeats items, which shrinks its covariance's effective N and
adds the bias of that smaller N to every replicate, so the interval lies above the estimate that it should surround.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.base.errors import BenchError

__all__ = [
    "Difference",
    "Interval",
    "bootstrap_mean_ci",
    "bootstrap_ratio_ci",
    "difference_from_intervals",
    "disjoint_subsets_ci",
    "holm",
    "jackknife_ci",
    "jackknife_subsets_ci",
    "mean_of_runs_ci",
    "mean_t_ci",
    "paired_difference",
    "rank_with_ties",
    "stratified_t_ci",
    "wilson_interval",
]

Floats = NDArray[np.float64]
Interval = tuple[float, float]
UNKNOWN: Interval = (-math.inf, math.inf)
"""What one item says about its population; :class:`bench.results.records.Record` stores it as None."""

_NORMAL = NormalDist()
_DRAWS = 4_000_000


@dataclass(frozen=True)
class Difference:
    """``a - b``: its value, 95 % interval, and two-sided p-value of the hypothesis that it is zero."""

    value: float
    ci95: Interval
    p_value: float


def _vector(values: ArrayLike, what: str) -> Floats:
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if len(array) == 0 or not np.isfinite(array).all():
        raise BenchError(
            f"{what}: needs finite values and got {len(array)}, {int((~np.isfinite(array)).sum())} of them not finite"
        )
    return array


def _t_quantile(probability: float, degrees: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))


def stratified_t_ci(groups: Sequence[ArrayLike], low: float = -np.inf, high: float = np.inf) -> Interval | None:
    """95 % t interval of the mean over fixed groups (exemplars, clips), from the spread inside each; cut at the
    possible values.

    >>> stratified_t_ci([[1.0, 3.0], [2.0, 4.0]], low=0.0)
    (0.0, 5.542434922296654)

    Returns:
        None where a group has one item alone, and for infinite values (the PSNR of an exact copy).
    """
    values = [np.asarray(group, dtype=np.float64) for group in groups]
    if any(len(each) < 2 or not np.isfinite(each).all() for each in values):
        return None
    error = float(np.sqrt(sum(each.var(ddof=1) / len(each) for each in values))) / len(values)
    middle = float(np.mean([each.mean() for each in values]))
    half = _t_quantile(0.975, sum(len(each) - 1 for each in values)) * error
    return max(low, middle - half), min(high, middle + half)


def bootstrap_mean_ci(values: ArrayLike, seed: int, *, confidence: float = 0.95, repeats: int = 2000) -> Interval:
    """Interval of a mean over independent items, by the bias-corrected and accelerated bootstrap (Efron 1987) at
    expanded levels.

    The levels are those of Student's t rather than the normal, and widened by ``sqrt(n / (n - 1))`` (Hesterberg 2015,
    "What teachers should know about the bootstrap"), without which small samples are covered too rarely.

    >>> low, high = bootstrap_mean_ci([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], seed=0)
    >>> low < 3.5 < high
    True
    >>> bootstrap_mean_ci([2.0, 2.0, 2.0], seed=0)
    (2.0, 2.0)
    """
    array = _vector(values, "bootstrap_mean_ci")
    return bootstrap_ratio_ci(array, np.ones_like(array), seed, confidence=confidence, repeats=repeats)


def bootstrap_ratio_ci(
    numerators: ArrayLike, denominators: ArrayLike, seed: int, *, confidence: float = 0.95, repeats: int = 2000
) -> Interval:
    """Interval of ``sum(numerators) / sum(denominators)`` over independent blocks (same method as
    :func:`bootstrap_mean_ci`).

    For bits per byte: bits and bytes of each block of held-out text, blocks long enough to be nearly
        independent.
    One block says nothing: the answer is then ``(-inf, inf)``.

    >>> bits, size = [210.0, 190.0, 205.0, 195.0], [100, 100, 100, 100]
    >>> low, high = bootstrap_ratio_ci(bits, size, seed=0)
    >>> low < 2.0 < high
    True

    Raises:
        BenchError: unequal lengths, values that are not finite, or denominators that are negative or all zero.
    """
    top, bottom = _vector(numerators, "bootstrap_ratio_ci"), _vector(denominators, "bootstrap_ratio_ci")
    if len(top) != len(bottom):
        raise BenchError(f"bootstrap_ratio_ci: {len(top)} numerators and {len(bottom)} denominators")
    if (bottom < 0).any() or bottom.sum() == 0:
        raise BenchError("bootstrap_ratio_ci: denominators must not be negative, nor all zero")
    n = len(top)
    value = top.sum() / bottom.sum()
    influence = (top - value * bottom) / bottom.mean()  # of each block on the ratio, to first order
    spread = math.sqrt(float(influence @ influence))
    if n == 1:
        return UNKNOWN
    if spread <= 1e-12 * max(1.0, abs(value)) * n:
        return (float(value), float(value))
    draws = _ratio_draws(top, bottom, repeats, np.random.default_rng(seed))
    tie = 1e-9 * spread / n  # a resample equal to the data must count as equal whatever the rounding of its sum
    below = ((draws < value - tie).sum() + 0.5 * (np.abs(draws - value) <= tie).sum() + 0.5) / (len(draws) + 1)
    shift = _NORMAL.inv_cdf(float(below))
    acceleration = float((influence**3).sum()) / (6 * spread**3)
    edge = _t_quantile(0.5 + confidence / 2, n - 1) * math.sqrt(n / (n - 1))
    levels = []
    for z in (-edge, edge):
        moved = shift + z
        scale = 1 - acceleration * moved
        levels.append(_NORMAL.cdf(shift + moved / scale) if scale > 0 else _NORMAL.cdf(math.copysign(8.0, z)))
    low, high = np.quantile(draws, levels)
    return (float(low), float(high))


def _ratio_draws(top: Floats, bottom: Floats, repeats: int, rng: np.random.Generator) -> Floats:
    """Ratios of ``repeats`` resamples, in chunks of bounded memory."""
    n = len(top)
    rows = max(1, _DRAWS // n)
    draws = []
    for start in range(0, repeats, rows):
        picks = rng.integers(0, n, size=(min(rows, repeats - start), n))
        total = bottom[picks].sum(axis=1)
        draws.append(top[picks].sum(axis=1)[total > 0] / total[total > 0])
    return np.concatenate(draws)


def wilson_interval(k: float, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927): k successes among n independent trials.

    >>> low, high = wilson_interval(9, 10)
    >>> round(low, 4), round(high, 4)
    (0.5958, 0.9821)
    >>> wilson_interval(0, 10)[0], wilson_interval(10, 10)[1]
    (0.0, 1.0)
    """
    if n < 1 or not 0 <= k <= n:
        raise BenchError(f"wilson_interval: {k} successes among {n} trials")
    z = _NORMAL.inv_cdf(0.5 + confidence / 2)
    p = k / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (0.0 if k == 0 else max(0.0, middle - half), 1.0 if k == n else min(1.0, middle + half))


def mean_t_ci(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Student's interval of a mean: for a handful of seeds, which are too few to resample.

    >>> low, high = mean_t_ci([1.0, 2.0, 3.0])
    >>> round(low, 3), round(high, 3)
    (-0.484, 4.484)
    """
    array = _vector(values, "mean_t_ci")
    n = len(array)
    if n == 1:
        return UNKNOWN
    half = _t_quantile(0.5 + confidence / 2, n - 1) * float(array.std(ddof=1)) / math.sqrt(n)
    return (float(array.mean()) - half, float(array.mean()) + half)


def mean_of_runs_ci(values: ArrayLike, resampled: ArrayLike, bounds: Interval = (0.0, 1.0)) -> Interval:
    """95 % interval of a mean over runs, for other test items *and* other runs: the two errors added in squares.

    Args:
        values: ``(runs,)`` on all items.
        resampled: ``(repeats,)`` mean over the same runs on resampled items.
        bounds: the range of the metric.

    With one run its share cannot be known, and the interval is that of the items alone.

    >>> low, high = mean_of_runs_ci([0.5], [0.49, 0.51, 0.49, 0.51])
    >>> round(low, 3), round(high, 3)
    (0.477, 0.523)
    """
    runs, draws = _vector(values, "mean_of_runs_ci"), _vector(resampled, "mean_of_runs_ci")
    mean = float(runs.mean())
    items = 1.96 * float(draws.std(ddof=1))
    low, high = mean_t_ci(runs) if len(runs) > 1 else (mean, mean)
    half = float(np.hypot(items, (high - low) / 2))
    return max(bounds[0], mean - half), min(bounds[1], mean + half)


def jackknife_ci(value: float, left_out: ArrayLike, *, confidence: float = 0.95, lower: float = -math.inf) -> Interval:
    """Interval around ``value`` from the values with each of G random groups left out (grouped jackknife, Shao and Wu
    1989).

    ``SE^2 = (G - 1) / G sum (v_g - mean v)^2``, limits by Student's t with G - 1 degrees. For FID it surrounds *the
    expected FID at this N*, whose upward bias is part of the protocol; it says nothing about N = infinity, and the
    reference set counts as fixed.

    Args:
        value: the estimate on all items.
        left_out: ``(G,)`` as of :func:`bench.metrics.fid.frechet_leave_group_out`; 20 groups are a good choice.
        confidence: 0.95.
        lower: bound of the metric's range (0 for FID).
    """
    array = _vector(left_out, "jackknife_ci")
    groups = len(array)
    if groups < 2:
        return UNKNOWN
    error = math.sqrt((groups - 1) / groups * float(np.square(array - array.mean()).sum()))
    half = _t_quantile(0.5 + confidence / 2, groups - 1) * error
    return (max(lower, value - half), value + half)


def _groups(n: int, groups: int, seed: int, what: str) -> list[NDArray[np.int64]]:
    if groups < 2 or n < 2 * groups:
        raise BenchError(f"{what}: {n} items cannot be split into {groups} groups of at least two")
    return [np.sort(part) for part in np.array_split(np.random.default_rng(seed).permutation(n), groups)]


def jackknife_subsets_ci(
    statistic: Callable[[NDArray[np.int64]], float],
    n: int,
    seed: int,
    *,
    groups: int = 20,
    value: float | None = None,
    confidence: float = 0.95,
    lower: float = -math.inf,
) -> Interval:
    """:func:`jackknife_ci` of any smooth statistic: ``statistic(rows)`` is called on all rows and with each random
    group left out.

    >>> data = np.arange(40.0)
    >>> low, high = jackknife_subsets_ci(lambda rows: float(data[rows].mean()), 40, seed=0)
    >>> low < 19.5 < high
    True
    """
    parts = _groups(n, groups, seed, "jackknife_subsets_ci")
    everything = np.arange(n)
    left_out = [statistic(np.setdiff1d(everything, part, assume_unique=True)) for part in parts]
    return jackknife_ci(statistic(everything) if value is None else value, left_out, confidence=confidence, lower=lower)


def disjoint_subsets_ci(
    statistic: Callable[[NDArray[np.int64]], float],
    n: int,
    seed: int,
    *,
    subsets: int = 10,
    value: float | None = None,
    confidence: float = 0.95,
    lower: float = -math.inf,
) -> Interval:
    """Interval from the spread of a statistic over disjoint random subsets: ``value +- t sd / sqrt(subsets)``.

    The subsets are independent, so nothing is resampled. A statistic that is biased at small N (FID) is larger on each
    subset than on all items: only their *spread* is used, around ``value``, the estimate on all items.
    """
    parts = _groups(n, subsets, seed, "disjoint_subsets_ci")
    values = np.array([statistic(part) for part in parts])
    centre = statistic(np.arange(n)) if value is None else value
    half = _t_quantile(0.5 + confidence / 2, subsets - 1) * float(values.std(ddof=1)) / math.sqrt(subsets)
    return (max(lower, centre - half), centre + half)


def paired_difference(a: ArrayLike, b: ArrayLike, seed: int, *, repeats: int = 4999) -> Difference:
    """``mean(a - b)`` over items that both systems were measured on.

    The interval is the bootstrap's; the p-value is that of the sign-flip permutation test of the mean (Fisher 1935),
    which assumes only that under the null a difference and its negative are equally likely.

    >>> paired_difference([2.0, 3.0, 4.1, 5.2], [1.0, 2.0, 3.0, 4.0], seed=0).value.__round__(3)
    1.075
    """
    difference = _vector(a, "paired_difference") - _vector(b, "paired_difference")
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


def rank_with_ties(
    values: Sequence[float | None],
    cis: Sequence[Interval | Sequence[float] | None],
    higher_is_better: bool | None,
    *,
    alpha: float = 0.05,
) -> list[int | None]:
    """Competition ranks (1, 1, 3): what the data cannot tell apart shares a rank.

    Rule: all pairs are compared by :func:`difference_from_intervals` and the p-values adjusted by :func:`holm`, so that
        a column
    of equally good systems is split at all with a chance of at most ``alpha``. Going from best to worst, the first is
    leader of a group; whoever cannot be told apart *from the leader* shares its rank; the first who can be becomes the
    next leader, with one plus the number ahead as rank. (Being indistinguishable is not transitive: comparing with the
    leader, not with the neighbour, keeps a long chain of small steps from sharing one rank.)

    Args:
        values: None, nan or inf (an infinite perplexity) gets rank None.
        cis: 95 % interval of each value; None for an exact number.
        higher_is_better: None for a number without direction: all ranks None.
        alpha: error rate of the column.

    >>> rank_with_ties([9.0, 9.1, 20.0, None], [(8.0, 10.0), (8.1, 10.1), (19.0, 21.0), None], higher_is_better=False)
    [1, 1, 3, None]
    """
    if len(values) != len(cis):
        raise BenchError(f"rank_with_ties: {len(values)} values and {len(cis)} intervals")
    ranks: list[int | None] = [None] * len(values)
    if higher_is_better is None:
        return ranks
    known = [i for i, value in enumerate(values) if value is not None and math.isfinite(value)]
    known.sort(key=lambda i: float(values[i] or 0.0), reverse=higher_is_better)
    numbers = [float(values[i] or 0.0) for i in known]
    bounds = [_bounds(cis[i]) for i in known]
    pairs = [(i, j) for i in range(len(known)) for j in range(i + 1, len(known))]
    adjusted = holm([difference_from_intervals(numbers[i], bounds[i], numbers[j], bounds[j]).p_value for i, j in pairs])
    apart = {pair: bool(p <= alpha) for pair, p in zip(pairs, adjusted, strict=True)}
    leader = 0
    for place, i in enumerate(known):
        if place > leader and apart[leader, place]:
            leader = place
        ranks[i] = leader + 1
    return ranks


def _bounds(ci: Interval | Sequence[Any] | None) -> Interval | None:
    return None if ci is None else (float(ci[0]), float(ci[1]))
