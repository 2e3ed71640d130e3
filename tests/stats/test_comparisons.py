"""Paired differences of ratios: coverage, more power than separate intervals, and their use by the claims."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.report.claim_tests import judge
from bench.report.claims import HOLDS, UNCLEAR, Claim
from bench.results.records import Record
from bench.stats.comparisons import Estimate, difference, paired_ratio_difference, rank_ranges


def test_interval_covers_the_true_difference() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        sizes = rng.integers(80, 120, 60).astype(float)
        hard = rng.normal(2.2, 0.3, 60)
        a, b = ((hard + shift + rng.normal(0, 0.05, 60)) * sizes for shift in (0.04, 0.0))
        low, high = paired_ratio_difference(a, sizes, b, sizes).ci95
        hits += low <= 0.04 <= high
    assert 0.91 <= hits / 300 <= 0.985


def test_value_is_the_difference_of_the_ratios_even_with_unequal_sizes() -> None:
    a, sa, b, sb = [3.0, 5.0, 9.0], [1, 2, 4], [2.0, 4.0, 8.0], [2, 2, 3]
    assert paired_ratio_difference(a, sa, b, sb).value == pytest.approx(17 / 7 - 14 / 7)
    with pytest.raises(ValueError, match="not measured on the same items"):
        paired_ratio_difference(a, sa, b[:2], sb[:2])


def test_a_claim_that_separate_intervals_leave_open_is_decided_block_by_block() -> None:
    common = {
        "system": "s",
        "family": "words",
        "dataset": "d",
        "metric": "bits_per_byte",
        "protocol": "p",
        "higher_is_better": False,
    }
    values = {"new": 2.10, "old": 2.15}
    rows = [Record(generator=name, value=v, ci95=(v - 0.1, v + 0.1), **common) for name, v in values.items()]  # type: ignore[arg-type]
    test = {"kind": "less", "metric": "bits_per_byte", "left": {"generator": "new"}, "right": {"generator": "old"}}
    claim = Claim("c", "t", "s", "x", "words", test)
    assert judge(claim, rows).verdict == UNCLEAR
    hard = np.linspace(1.5, 2.8, 20)
    new = (hard - 0.05) * 100 + np.tile([0.5, -0.5], 10)
    items = {
        ("old", "bits_per_byte", ""): (list(hard * 100), [100.0] * 20),
        ("new", "bits_per_byte", ""): (list(new), [100.0] * 20),
    }
    found = judge(claim, rows, items)
    assert found.verdict == HOLDS and found.comparisons[0].reason == "block by block"
    assert found.comparisons[0].estimate == pytest.approx(-0.05)


# Places in a column


def separate(values: list[float], half: float) -> list[Estimate]:
    return [Estimate(value, (value - half, value + half)) for value in values]


def test_a_column_of_equals_on_the_same_items_is_split_with_a_chance_of_at_most_five_percent() -> None:
    rng = np.random.default_rng(0)
    split = 0
    for _ in range(150):
        hard = rng.normal(2.0, 0.4, 40)
        column = []
        for _ in range(5):
            items = hard + rng.normal(0, 0.1, 40)
            wide = 1.96 * items.std() / math.sqrt(40)
            column.append(Estimate(items.mean(), (items.mean() - wide, items.mean() + wide), items=(items, [1.0] * 40)))
        split += any(place != (1, 5) for place in rank_ranges(column, False))
    assert split / 150 <= 0.08  # a share that is truly 0.05 exceeds it about once in twenty runs of 150


def test_a_column_of_equals_with_separate_intervals_is_split_as_often_as_its_docstring_says() -> None:
    rng = np.random.default_rng(0)
    found = [rank_ranges(separate(list(rng.normal(10.0, 1.0, 8)), 1.96), False) for _ in range(1500)]
    share = np.mean([any(place != (1, 8) for place in places) for places in found])
    assert 0.07 <= share <= 0.18


def test_shared_items_tell_apart_what_separate_intervals_cannot() -> None:
    hard = np.linspace(1.5, 2.8, 20)
    noise = np.tile([0.01, -0.01], 10)
    new, old = ((items, [1.0] * 20) for items in (hard - 0.05 + noise, hard))
    alone = [Estimate(2.10, (1.95, 2.25)), Estimate(2.15, (2.0, 2.3))]
    assert rank_ranges(alone, False) == [(1, 2), (1, 2)]
    paired = [Estimate(2.10, (1.95, 2.25), items=new), Estimate(2.15, (2.0, 2.3), items=old)]
    assert rank_ranges(paired, False) == [(1, 1), (2, 2)]


def test_places_of_clearly_different_systems_are_all_different() -> None:
    column = separate([5.0, 1.0, 9.0, 7.0], 0.1)
    assert rank_ranges(column, True) == [(3, 3), (4, 4), (1, 1), (2, 2)]
    assert rank_ranges(column, False) == [(2, 2), (1, 1), (4, 4), (3, 3)]


def test_a_long_chain_of_small_steps_does_not_share_one_place() -> None:
    places = rank_ranges(separate([float(i) for i in range(8)], 1.0), False)
    assert places[0] == (1, 3) and places[3] == (2, 6) and places[7] == (6, 8)


def test_a_wide_interval_does_not_tie_two_that_are_told_apart() -> None:
    wide, low, high = Estimate(-5.0, (-6.0, -4.0)), Estimate(-6.0, (-6.1, -5.9)), Estimate(-5.0, (-5.1, -4.9))
    assert rank_ranges([wide, low, high], True) == [(1, 3), (2, 3), (1, 2)]


def test_what_is_unknown_has_no_place_and_a_count_needs_no_interval() -> None:
    unknown = [Estimate(1.0), Estimate(2.0), Estimate(3.0)]
    assert rank_ranges(unknown, False) == [None, None, None]
    exact = [Estimate(10.0, exact=True), Estimate(10.0, exact=True), Estimate(11.0, exact=True)]
    assert rank_ranges(exact, False) == [(1, 2), (1, 2), (3, 3)]
    mixed = [Estimate(None), Estimate(3.0, (2.9, 3.1)), Estimate(math.inf), Estimate(2.0, (1.9, 2.1)), Estimate(1.0)]
    assert rank_ranges(mixed, False) == [None, (2, 2), None, (1, 1), None]
    assert rank_ranges(unknown, None) == [None] * 3
    assert rank_ranges([], True) == []
    assert difference(Estimate(1.0), Estimate(2.0, (1.0, 3.0))) is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-20, 20), st.floats(0.0, 5.0)), min_size=1, max_size=8), st.booleans())
def test_disjoint_intervals_never_share_a_place_and_the_order_of_rows_does_not_matter(
    rows: list[tuple[int, float]], higher: bool
) -> None:
    column = [Estimate(float(value), (value - half, value + half)) for value, half in rows]
    places = rank_ranges(column, higher)
    for (a, one), (b, other) in itertools.combinations(zip(column, places, strict=True), 2):
        assert a.ci95 and b.ci95 and one and other
        assert 1 <= one[0] <= one[1] <= len(rows)
        if a.ci95[1] < b.ci95[0]:
            better, worse = (other, one) if higher else (one, other)
            assert better != worse and better[0] <= worse[0]
    if len({value for value, _ in rows}) == len(rows):
        assert rank_ranges(column[::-1], higher)[::-1] == places


def test_few_blocks_cover_or_give_no_interval() -> None:
    """Two blocks say nothing; with three to five Student's interval covers as often as it says."""
    from bench.stats.intervals import bootstrap_ratio_ci

    rng = np.random.default_rng(1)
    assert bootstrap_ratio_ci([210.0, 190.0], [100.0, 100.0], 0) == (-math.inf, math.inf)
    for blocks in (3, 4, 5):
        found = [bootstrap_ratio_ci(rng.normal(2, 0.1, blocks) * 500, [500.0] * blocks, i) for i in range(600)]
        covered = np.mean([low <= 2.0 <= high for low, high in found])
        assert 0.925 <= covered <= 0.975


def test_a_share_of_nought_has_an_upper_bound_that_covers() -> None:
    """Texts of which one in two hundred copies: 30 texts mostly show none, and the bound still lies above."""
    from bench.stats.intervals import bootstrap_ratio_ci, stratified_t_ci

    rng = np.random.default_rng(0)
    found = [bootstrap_ratio_ci(rng.random(30) < 0.02, [1.0] * 30, i, repeats=300, share=True) for i in range(300)]
    assert np.mean([low <= 0.02 <= high for low, high in found]) >= 0.93
    low, high = bootstrap_ratio_ci([0.0] * 30, [7.0] * 30, 0, share=True)
    assert low == 0.0 and 0.08 < high < 0.13
    assert stratified_t_ci([[0.0, 0.0], [0.0, 0.0]], 0.0, 1.0) is not None
    assert stratified_t_ci([[2.0, 2.0], [3.0, 3.0]]) is None
