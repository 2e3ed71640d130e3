"""Paired differences of ratios: coverage, more power than separate intervals, and their use by the claims."""

from __future__ import annotations

import numpy as np
import pytest

from bench.report.claim_tests import judge
from bench.report.claims import HOLDS, UNCLEAR, Claim
from bench.results.records import Record
from bench.stats.paired import paired_ratio_difference


def test_interval_covers_the_true_difference() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        sizes = rng.integers(80, 120, 60).astype(float)
        hard = rng.normal(2.2, 0.3, 60)
        a, b = ((hard + shift + rng.normal(0, 0.05, 60)) * sizes for shift in (0.04, 0.0))
        low, high = paired_ratio_difference(a, sizes, b, sizes)[1]
        hits += low <= 0.04 <= high
    assert 0.91 <= hits / 300 <= 0.985


def test_value_is_the_difference_of_the_ratios_even_with_unequal_sizes() -> None:
    a, sa, b, sb = [3.0, 5.0, 9.0], [1, 2, 4], [2.0, 4.0, 8.0], [2, 2, 3]
    value, _ = paired_ratio_difference(a, sa, b, sb)
    assert value == pytest.approx(17 / 7 - 14 / 7)
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
