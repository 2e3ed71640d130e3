"""Intervals, tests and ranks, held to what they claim: coverage and false positives by simulation, formulas against
scipy.

Bounds of simulations: with 400 repetitions a share that is truly 0.95 falls outside 0.95 +- 0.033 once in 400 tries; an
interval with the normal instead of Student's quantile, a missing square root or a bootstrap of tokens instead of blocks
is far outside.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.base.errors import BenchError
from bench.metrics.fid import Statistics, feature_statistics, frechet_from_statistics, frechet_leave_group_out
from bench.metrics.kid import kernel_distance, kernel_leave_group_out
from bench.stats.comparisons import difference_from_intervals, holm, paired_difference
from bench.stats.intervals import (
    Interval,
    bootstrap_mean_ci,
    bootstrap_ratio_ci,
    disjoint_subsets_ci,
    jackknife_ci,
    jackknife_subsets_ci,
    mean_t_ci,
    wilson_interval,
)

REPEATS = 400


def coverage(interval: Callable[[int], Interval], truth: float, repeats: int = REPEATS) -> float:
    """Share of intervals that hold the truth."""
    inside = [low <= truth <= high for low, high in map(interval, range(repeats))]
    return float(np.mean(inside))


# Bootstrap


@pytest.mark.parametrize(("n", "lowest"), [(10, 0.90), (50, 0.92), (300, 0.92)])
def test_bootstrap_of_a_mean_covers_normal_items(n: int, lowest: float) -> None:
    rng = np.random.default_rng(n)
    assert lowest <= coverage(lambda seed: bootstrap_mean_ci(rng.normal(3.0, 2.0, n), seed, repeats=800), 3.0) <= 0.985


def test_bootstrap_of_a_mean_covers_skewed_items_and_misses_on_both_sides() -> None:
    rng = np.random.default_rng(0)
    found = [bootstrap_mean_ci(rng.exponential(size=60), seed, repeats=800) for seed in range(REPEATS)]
    below, above = np.mean([high < 1.0 for _, high in found]), np.mean([low > 1.0 for low, _ in found])
    assert 0.90 <= 1 - below - above <= 0.985
    assert below < 0.08


@pytest.mark.parametrize("n", [10, 60])
def test_bootstrap_of_a_ratio_covers(n: int) -> None:
    """Blocks of unequal size whose numerators vary with their size: the mean of the blocks' ratios would be another
    quantity."""
    rng = np.random.default_rng(n)

    def interval(seed: int) -> Interval:
        bytes_ = rng.integers(50, 400, n).astype(float)
        return bootstrap_ratio_ci(2.0 * bytes_ + 0.5 * (bytes_ - 225) + rng.normal(0, 20, n), bytes_, seed, repeats=800)

    rng_truth = rng.integers(50, 400, 2_000_000).astype(float)
    truth = float(((2.5 * rng_truth) - 112.5).sum() / rng_truth.sum())
    assert 0.905 <= coverage(interval, truth) <= 0.985


def test_blocks_cover_where_single_tokens_do_not() -> None:
    """Surprisal drifts slowly through a text: resampling tokens as if they were independent gives an interval that is
    far too short."""
    rng = np.random.default_rng(0)

    def text() -> np.ndarray:
        return np.repeat(rng.normal(2.0, 0.5, 60), 50) + rng.normal(0, 0.5, 3000)

    assert coverage(lambda seed: bootstrap_mean_ci(text(), seed, repeats=200), 2.0, 150) < 0.6

    def by_blocks(seed: int) -> Interval:
        return bootstrap_ratio_ci(text().reshape(-1, 50).sum(axis=1), np.full(60, 50.0), seed, repeats=800)

    assert 0.91 <= coverage(by_blocks, 2.0) <= 0.985


def test_bootstrap_agrees_with_scipys_on_a_large_sample() -> None:
    values = np.random.default_rng(0).gamma(2.0, size=2000)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    low, high = bootstrap_mean_ci(values, seed=2, repeats=4000)
    width = theirs.high - theirs.low
    assert low == pytest.approx(theirs.low, abs=0.06 * width)
    assert high == pytest.approx(theirs.high, abs=0.06 * width)


def test_bootstrap_is_seeded_and_chunking_is_invisible(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=100)
    first = bootstrap_mean_ci(values, seed=5)
    assert first == bootstrap_mean_ci(values, seed=5) != bootstrap_mean_ci(values, seed=6)
    monkeypatch.setattr("bench.stats.intervals._DRAWS", 1700)
    assert bootstrap_mean_ci(values, seed=5) == first


def test_bootstrap_edges() -> None:
    assert bootstrap_mean_ci([3.0], seed=0) == (-math.inf, math.inf)
    assert bootstrap_mean_ci([3.0] * 9, seed=0) == (-math.inf, math.inf)
    assert bootstrap_ratio_ci([2.0, 4.0, 6.0], [1.0, 2.0, 3.0], seed=0) == (-math.inf, math.inf)
    assert bootstrap_ratio_ci([2.0, 5.0], [1.0, 2.0], seed=0) == (-math.inf, math.inf)
    low, high = bootstrap_ratio_ci(
        [0.0, 0.0, 3.0], [0.0, 1.0, 1.0], seed=0
    )  # a text shorter than the window has no windows
    assert low <= 1.5 <= high
    for bad in ([], [1.0, math.nan], [math.inf, 0.0]):
        with pytest.raises(BenchError):
            bootstrap_mean_ci(bad, seed=0)
    with pytest.raises(BenchError, match="denominators"):
        bootstrap_ratio_ci([1.0, 2.0], [0.0, 0.0], seed=0)
    with pytest.raises(BenchError, match="3 numerators and 2"):
        bootstrap_ratio_ci([1.0, 2.0, 3.0], [1.0, 1.0], seed=0)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(-1e3, 1e3), min_size=6, max_size=40).filter(lambda v: np.std(v) > 1e-3),
    st.floats(-100, 100),
    st.floats(0.1, 50),
)
def test_bootstrap_moves_and_stretches_with_the_data(values: list[float], move: float, stretch: float) -> None:
    low, high = bootstrap_mean_ci(values, seed=0, repeats=200)
    other_low, other_high = bootstrap_mean_ci(np.array(values) * stretch + move, seed=0, repeats=200)
    tolerance = 1e-6 * (1 + stretch * (abs(low) + abs(high)) + abs(move))
    assert other_low == pytest.approx(low * stretch + move, abs=tolerance)
    assert other_high == pytest.approx(high * stretch + move, abs=tolerance)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


# Proportions and seeds


@settings(deadline=None)
@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_scipy(case: tuple[int, int]) -> None:
    k, n = case
    theirs = stats.binomtest(k, n).proportion_ci(method="wilson")
    low, high = wilson_interval(k, n)
    assert low == pytest.approx(theirs.low, abs=1e-12)
    assert high == pytest.approx(theirs.high, abs=1e-12)
    assert 0.0 <= low <= k / n <= high <= 1.0


@pytest.mark.parametrize("p", [0.02, 0.5, 0.97])
def test_wilson_covers(p: float) -> None:
    rng = np.random.default_rng(0)
    assert 0.92 <= coverage(lambda _: wilson_interval(int(rng.binomial(200, p)), 200), p, 3000) <= 0.985


def test_wilson_refuses_impossible_counts() -> None:
    for k, n in ((3, 2), (-1, 5), (0, 0)):
        with pytest.raises(BenchError):
            wilson_interval(k, n)


def test_mean_t_equals_scipy_and_one_seed_says_nothing() -> None:
    values = [1.0, 4.0, 2.5]
    low, high = mean_t_ci(values)
    theirs = stats.ttest_1samp(values, 0.0).confidence_interval()
    assert (low, high) == pytest.approx((theirs.low, theirs.high))
    assert mean_t_ci([2.0]) == (-math.inf, math.inf)


# FID and KID

DIMENSIONS = 8
ITEMS = 600


def population(rng: np.random.Generator, shift: float, scale: float, n: int = ITEMS) -> np.ndarray:
    mixing = np.random.default_rng(7).normal(size=(DIMENSIONS, DIMENSIONS)) / 4 + np.eye(DIMENSIONS)
    return np.maximum(scale * rng.normal(size=(n, DIMENSIONS)) @ mixing + shift, 0.0)


def fid_of(x: np.ndarray, reference: Statistics) -> float:
    return frechet_from_statistics(*feature_statistics(x, minimum_n=2), *reference)


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.1, 1.0), (0.5, 1.3)])
def test_jackknife_of_fid_covers_its_expectation_at_this_n(shift: float, scale: float) -> None:
    """At the floor (no difference), near it and far from it. 2,500 repetitions gave 0.98, 0.94 and 0.96."""
    rng = np.random.default_rng(1)
    reference = feature_statistics(population(rng, 0.0, 1.0, 10_000))
    truth = float(np.mean([fid_of(population(rng, shift, scale), reference) for _ in range(1500)]))

    def interval(seed: int) -> Interval:
        x = population(rng, shift, scale)
        return jackknife_ci(
            fid_of(x, reference), frechet_leave_group_out(x, reference, 20, seed, minimum_n=100), lower=0.0
        )

    found = coverage(interval, truth)
    assert 0.917 <= found <= (0.995 if shift == 0.0 else 0.985)


def test_disjoint_subsets_of_fid_cover_far_from_the_floor() -> None:
    rng = np.random.default_rng(2)
    reference = feature_statistics(population(rng, 0.0, 1.0, 10_000))
    truth = float(np.mean([fid_of(population(rng, 0.5, 1.3), reference) for _ in range(1500)]))

    def interval(seed: int) -> Interval:
        x = population(rng, 0.5, 1.3)
        return disjoint_subsets_ci(lambda rows: fid_of(x[rows], reference), len(x), seed, subsets=10)

    assert 0.915 <= coverage(interval, truth) <= 0.985


def test_naive_bootstrap_of_fid_would_be_wrong() -> None:
    """Why it is not offered: at the floor nearly all of the bootstrap's distribution lies above the estimate that it
    should surround."""
    rng = np.random.default_rng(3)
    reference = feature_statistics(population(rng, 0.0, 1.0, 10_000))
    truth = float(np.mean([fid_of(population(rng, 0.0, 1.0), reference) for _ in range(500)]))
    above = []

    def naive(seed: int) -> Interval:
        x = population(rng, 0.0, 1.0)
        draws = [fid_of(x[rng.integers(0, len(x), len(x))], reference) for _ in range(60)]
        above.append(np.mean(draws > np.float64(fid_of(x, reference))))
        return (float(np.quantile(draws, 0.025)), float(np.quantile(draws, 0.975)))

    assert coverage(naive, truth, 100) < 0.6
    assert np.mean(above) > 0.95


def test_jackknife_of_kid_covers() -> None:
    rng = np.random.default_rng(4)
    reference = population(rng, 0.0, 1.0, 500)
    truth = float(
        np.mean([kernel_distance(population(rng, 0.3, 1.1, 400), reference, minimum_n=400) for _ in range(300)])
    )

    def interval(seed: int) -> Interval:
        x = population(rng, 0.3, 1.1, 400)
        value = kernel_distance(x, reference, minimum_n=400)
        return jackknife_ci(value, kernel_leave_group_out(x, reference, 20, seed, minimum_n=400))

    assert 0.88 <= coverage(interval, truth, 120) <= 0.995


def test_jackknife_of_a_mean_is_the_textbook_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=40)
    low, high = jackknife_subsets_ci(lambda rows: float(values[rows].mean()), 40, seed=0, groups=20)
    pairs = (
        values[np.concatenate(np.array_split(np.random.default_rng(0).permutation(40), 20))].reshape(20, 2).mean(axis=1)
    )
    half = stats.t.ppf(0.975, 19) * pairs.std(ddof=1) / math.sqrt(20)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half))


def test_groups_that_do_not_fit_are_refused_and_one_group_says_nothing() -> None:
    with pytest.raises(BenchError, match="20 groups"):
        jackknife_subsets_ci(lambda rows: 0.0, 30, seed=0)
    assert jackknife_ci(1.0, [1.0]) == (-math.inf, math.inf)
    assert jackknife_ci(0.01, [0.0, 0.1, 0.2], lower=0.0)[0] == 0.0


# Differences


def test_paired_difference_has_the_right_false_positive_rate_and_coverage() -> None:
    rng = np.random.default_rng(0)
    results = []
    for seed in range(REPEATS):
        shared = rng.normal(0, 5, 40)  # the items' own difficulty, which pairing removes
        results.append(paired_difference(shared + rng.normal(size=40), shared + rng.normal(size=40), seed, repeats=399))
    assert 0.02 <= np.mean([result.p_value <= 0.05 for result in results]) <= 0.085
    assert 0.915 <= np.mean([result.ci95[0] <= 0 <= result.ci95[1] for result in results]) <= 0.985


def test_paired_difference_sees_what_separate_intervals_cannot() -> None:
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 5, 100)
    a, b = shared + 0.5 + 0.3 * rng.normal(size=100), shared
    assert paired_difference(a, b, seed=0).p_value < 0.001
    separate = difference_from_intervals(
        float(a.mean()), bootstrap_mean_ci(a, 0), float(b.mean()), bootstrap_mean_ci(b, 1)
    )
    assert separate.p_value > 0.3


def test_paired_difference_agrees_with_scipys_permutation_test() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.normal(0.4, 1, 12), rng.normal(size=12)
    theirs = stats.permutation_test(
        (a - b,), np.mean, permutation_type="samples", n_resamples=np.inf
    )  # all 4096 sign flips
    ours = paired_difference(a, b, seed=0, repeats=20_000)
    assert ours.p_value == pytest.approx(theirs.pvalue, abs=4 * math.sqrt(theirs.pvalue * (1 - theirs.pvalue) / 20_000))


def test_no_difference_at_all_has_p_value_one() -> None:
    assert paired_difference([1.0, 2.0], [1.0, 2.0], seed=0).p_value == 1.0
    assert difference_from_intervals(1.0, None, 1.0, None).p_value == 1.0


def test_difference_from_intervals_has_the_right_false_positive_rate_and_power() -> None:
    rng = np.random.default_rng(0)
    flags, power = [], []
    for _ in range(3000):
        a, b, c = (rng.binomial(300, p) for p in (0.9, 0.9, 0.75))
        first, second, third = (wilson_interval(int(k), 300) for k in (a, b, c))
        flags.append(difference_from_intervals(a / 300, first, b / 300, second).p_value <= 0.05)
        power.append(difference_from_intervals(a / 300, first, c / 300, third).p_value <= 0.05)
    assert 0.035 <= np.mean(flags) <= 0.065
    assert np.mean(power) > 0.95


def test_difference_uses_the_facing_limits() -> None:
    skewed = (0.9, 5.0)  # a long upper tail of the smaller number is what stands between them
    assert difference_from_intervals(4.0, (3.9, 4.1), 1.0, skewed).p_value > 0.05
    assert difference_from_intervals(4.0, (3.9, 9.0), 1.0, (0.0, 1.1)).p_value < 0.05
    assert difference_from_intervals(2.0, None, 1.0, None).p_value == 0.0


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.01, 2), st.floats(0.01, 2))
def test_difference_is_antisymmetric_and_its_p_value_agrees_with_its_interval(
    a: float, b: float, x: float, y: float
) -> None:
    one = difference_from_intervals(a, (a - x, a + y), b, (b - y, b + x))
    other = difference_from_intervals(b, (b - y, b + x), a, (a - x, a + y))
    assert one.value == -other.value
    assert one.p_value == pytest.approx(other.p_value, abs=1e-12)
    assert one.ci95 == pytest.approx((-other.ci95[1], -other.ci95[0]))
    if abs(one.p_value - 0.05) > 1e-6:
        assert (one.p_value < 0.05) == (not one.ci95[0] <= 0 <= one.ci95[1])


# Families and ranks


def test_holm_by_hand_and_its_bounds() -> None:
    assert holm([0.01, 0.02, 0.03, 0.04]).tolist() == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_raw_and_bonferroni_and_keeps_the_order(p: list[float]) -> None:
    raw, adjusted = np.array(p), holm(p)
    assert (adjusted >= raw - 1e-15).all()
    assert (adjusted <= np.minimum(raw * len(p), 1.0) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(raw, kind="stable")]) >= 0).all()


def test_holm_keeps_the_error_rate_of_the_family() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(size=(4000, 12))
    p[:, :4] = 0.0001  # four true effects
    wrong = [(holm(row)[4:] <= 0.05).any() for row in p]
    assert 0.035 <= np.mean(wrong) <= 0.062
