"""The copy tests against scipy and by simulation with honest generators; distances at shifts against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from bench.base.errors import BenchError
from bench.metrics.data_copying import copy_test, near_copies, rank_sum
from bench.metrics.shifted_neighbours import shifted_distances, thumbnails

NUMBERS = st.lists(st.integers(0, 12), min_size=2, max_size=40)


@settings(deadline=None, max_examples=100)
@given(NUMBERS, NUMBERS)
def test_rank_sum_is_scipys_mann_whitney_ties_included(a: list[int], b: list[int]) -> None:
    found = rank_sum(a, b)
    expected = mannwhitneyu(a, b, use_continuity=False, alternative="less", method="asymptotic")
    assert found.u == pytest.approx(expected.statistic)
    if len({*a, *b}) == 1:
        assert found.z == 0.0
        return
    one = np.zeros(len(a), int), np.zeros(len(b), int)
    test = copy_test(a, b, *one, least=1)
    assert test is not None
    assert test.p_value == pytest.approx(expected.pvalue, abs=1e-12)
    assert test.c_t == pytest.approx(test.z) == pytest.approx(found.z)


def test_cells_weigh_by_their_unseen_items() -> None:
    """C_T of Meehan et al., equation 3, from scipy's z in each cell."""
    rng = np.random.default_rng(3)
    a, b = rng.random(300), rng.random(200) + 0.1
    first, second = rng.choice(3, 300), rng.choice(3, 200, p=[0.6, 0.3, 0.1])
    expected, weights = [], []
    for cell in range(3):
        x, y = a[first == cell], b[second == cell]
        u = mannwhitneyu(x, y).statistic
        expected.append((u - len(x) * len(y) / 2) / np.sqrt(len(x) * len(y) * (len(x) + len(y) + 1) / 12))
        weights.append(len(y) / 200)
    test = copy_test(a, b, first, second)
    assert test is not None and test.cells == 3
    assert test.c_t == pytest.approx(np.dot(weights, expected))
    assert test.z == pytest.approx(test.c_t / np.linalg.norm(weights))


def test_honest_generators_fail_as_often_as_they_may() -> None:
    """Both p-values over distances of one distribution, whose scale differs from cell to cell: uniform or above."""
    rng, ranks, near = np.random.default_rng(0), [], []
    for _ in range(400):
        first, second = rng.choice(4, 300), rng.choice(4, 300)
        a, b = rng.gamma(2, 1 + first), rng.gamma(2, 1 + second)
        test, count = copy_test(a, b, first, second), near_copies(a, b, first, second)
        assert test is not None and count is not None
        ranks.append(test.p_value)
        near.append(count.p_value)
    for p_values in (ranks, near):
        assert np.mean(np.array(p_values) < 0.05) < 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 400)
    assert np.mean(np.array(ranks) < 0.05) > 0.02  # it is a test, and no constant


def test_interval_of_z_covers_other_samples_of_the_same_generator() -> None:
    rng = np.random.default_rng(1)
    cells = np.zeros(400, int)
    found = [copy_test(rng.gamma(2, 0.9, 400), rng.gamma(2, 1, 400), cells, cells) for _ in range(400)]
    middle = np.mean([one.z for one in found if one])
    covered = np.mean([one.ci95[0] <= middle <= one.ci95[1] for one in found if one])
    assert 0.92 < covered < 0.98


def test_small_cells_and_cells_without_unseen_items() -> None:
    few = np.arange(5.0)
    assert copy_test(few, few, np.zeros(5, int), np.zeros(5, int)) is None
    assert near_copies(few, few, np.zeros(5, int), np.ones(5, int)) is None
    found = near_copies(few, few, np.array([0, 0, 0, 1, 1]), np.zeros(5, int))
    assert found is not None and found.n == 3 and found.expected == pytest.approx(1 / 6)
    with pytest.raises(BenchError, match="5 and 5 distances for 5 and 4 cells"):
        copy_test(few, few, np.zeros(5, int), np.zeros(4, int))
    with pytest.raises(BenchError, match="5 and 0 values"):
        rank_sum(few, [])
    with pytest.raises(BenchError, match="not finite"):
        rank_sum(few, [np.nan])


def test_shifted_distances_equal_every_shift_tried_in_turn() -> None:
    rng = np.random.default_rng(0)
    images, base = rng.integers(0, 256, (3, 9, 10, 3)), rng.integers(0, 256, (5, 9, 10, 3))
    candidates = np.array([[0, 1], [2, 3], [4, 0]])
    found = shifted_distances(images, base, candidates, shift=1, sigma=0.0, chunk=2)
    for i in range(3):
        correlations = [
            np.corrcoef(images[i, y : y + 7, x : x + 8].ravel(), base[k, 1:8, 1:9].ravel())[0, 1]
            for k in candidates[i]
            for y in range(3)
            for x in range(3)
        ]
        assert found[i] == pytest.approx(np.sqrt(2 - 2 * max(correlations)), abs=1e-3)


def test_flat_images_are_far_from_everything_and_shapes_must_fit() -> None:
    base = np.random.default_rng(0).integers(0, 256, (4, 9, 9, 1))
    flat = np.full((1, 9, 9, 1), 100)
    assert shifted_distances(flat, base, np.array([[0, 1]]))[0] == pytest.approx(np.sqrt(2))
    assert not thumbnails(flat).any()
    with pytest.raises(BenchError, match="cannot be compared"):
        shifted_distances(flat, base[:, 1:], np.array([[0]]))
    with pytest.raises(BenchError, match="nothing to shift by 4"):
        shifted_distances(flat, base, np.array([[0]]), shift=4)
