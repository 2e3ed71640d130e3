"""How sure a number is.

Every function is pure: arrays in, numbers out, seeds explicit. What is claimed of them (coverage, false positives) is
checked by simulation in ``tests/stats/test_statistics.py``.

========================================================= ==================================================
a mean over items (PSNR, CLIP score)                      :func:`bootstrap_mean_ci`
a ratio of sums (bits per byte, copy rate)                :func:`bootstrap_ratio_ci` over blocks or texts,
                                                          never over tokens
a share of successes (accuracy)                           :func:`wilson_interval`
a mean over fixed groups (exemplars, clips)               :func:`stratified_t_ci`
FID, KID, codebook perplexity                             :func:`jackknife_ci` of leave-group-out values, or
                                                          :func:`disjoint_subsets_ci`
several seeds                                             :func:`mean_t_ci`, :func:`mean_of_runs_ci`
two systems, a column of systems                          :mod:`bench.stats.comparisons`
========================================================= ==================================================

An interval that cannot be given is :data:`UNKNOWN`, never one without width: items that all agree say nothing about how
far others would differ, except where the number is a share, which has a bound (Wilson's).

A naive bootstrap of FID is missing on purpose: a resample repeats items, which shrinks its covariance's effective N and
adds the bias of that smaller N to every replicate, so the interval lies above the estimate that it should surround.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.base.errors import BenchError

__all__ = [
    "Interval",
    "bootstrap_mean_ci",
    "bootstrap_ratio_ci",
    "disjoint_subsets_ci",
    "finite_vector",
    "jackknife_ci",
    "jackknife_subsets_ci",
    "mean_of_runs_ci",
    "mean_t_ci",
    "stratified_t_ci",
    "wilson_interval",
]

Floats = NDArray[np.float64]
Interval = tuple[float, float]
UNKNOWN: Interval = (-math.inf, math.inf)
"""What too few items say about their population; :class:`bench.results.records.Record` stores it as None."""

_NORMAL = NormalDist()
_DRAWS = 4_000_000


def finite_vector(values: ArrayLike, what: str) -> Floats:
    """The values as float64 ``(N,)``.

    Raises:
        BenchError: none, or one that is not finite.
    """
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
    possible values. A share of which all items are 0, or all 1, has Wilson's bound over the items.

    >>> stratified_t_ci([[1.0, 3.0], [2.0, 4.0]], low=0.0)
    (0.0, 5.542434922296654)

    Returns:
        None where a group has one item alone, for infinite values (the PSNR of an exact copy), and where the items of
        every group agree.
    """
    values = [np.asarray(group, dtype=np.float64) for group in groups]
    if any(len(each) < 2 or not np.isfinite(each).all() for each in values):
        return None
    error = float(np.sqrt(sum(each.var(ddof=1) / len(each) for each in values))) / len(values)
    middle = float(np.mean([each.mean() for each in values]))
    if error == 0.0:
        n = sum(map(len, values))
        return wilson_interval(n * int(middle), n) if (low, high) == (0.0, 1.0) and middle in (0.0, 1.0) else None
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
    (-inf, inf)
    """
    array = finite_vector(values, "bootstrap_mean_ci")
    return bootstrap_ratio_ci(array, np.ones_like(array), seed, confidence=confidence, repeats=repeats)


def bootstrap_ratio_ci(
    numerators: ArrayLike,
    denominators: ArrayLike,
    seed: int,
    *,
    confidence: float = 0.95,
    repeats: int = 2000,
    share: bool = False,
) -> Interval:
    """Interval of ``sum(numerators) / sum(denominators)`` over independent blocks (same method as
    :func:`bootstrap_mean_ci`).

    For bits per byte: bits and bytes of each block of held-out text, blocks long enough to be nearly independent.
    Below six blocks the bootstrap covers too rarely and Student's interval of the blocks' influences takes its place;
    below three, and where all blocks agree, nothing is known. A share of 0 or 1 has Wilson's bound over the blocks:
    ``share=True`` says that the ratio is one.

    >>> bits, size = [210.0, 190.0, 205.0, 195.0], [100, 100, 100, 100]
    >>> low, high = bootstrap_ratio_ci(bits, size, seed=0)
    >>> low < 2.0 < high
    True

    Raises:
        BenchError: unequal lengths, values that are not finite, or denominators that are negative or all zero.
    """
    top, bottom = finite_vector(numerators, "bootstrap_ratio_ci"), finite_vector(denominators, "bootstrap_ratio_ci")
    if len(top) != len(bottom):
        raise BenchError(f"bootstrap_ratio_ci: {len(top)} numerators and {len(bottom)} denominators")
    if (bottom < 0).any() or bottom.sum() == 0:
        raise BenchError("bootstrap_ratio_ci: denominators must not be negative, nor all zero")
    n = len(top)
    value = top.sum() / bottom.sum()
    influence = (top - value * bottom) / bottom.mean()  # of each block on the ratio, to first order
    spread = math.sqrt(float(influence @ influence))
    if share and value in (0.0, 1.0):
        return wilson_interval(n * int(value), n, confidence)
    if n < 3 or spread <= 1e-12 * max(1.0, abs(value)) * n:
        return UNKNOWN
    if n < 6:
        half = _t_quantile(0.5 + confidence / 2, n - 1) * spread / math.sqrt(n * (n - 1))
        low, high = (0.0, 1.0) if share else UNKNOWN
        return (max(low, float(value) - half), min(high, float(value) + half))
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
    array = finite_vector(values, "mean_t_ci")
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
    runs, draws = finite_vector(values, "mean_of_runs_ci"), finite_vector(resampled, "mean_of_runs_ci")
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
    array = finite_vector(left_out, "jackknife_ci")
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
