"""Next-state hits, intervals of total variation, shifted PMI, copies beyond doubt: against loops and planted cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from bench.metrics.next_state import next_state_hits
from bench.metrics.shifted_pmi import shifted_pmi
from bench.metrics.total_variation import total_variation, total_variation_interval


@pytest.mark.parametrize("order", [0, 1, 2])
def test_hits_are_those_of_a_loop_over_the_states(order: int) -> None:
    rng = np.random.default_rng(order)
    matrix = rng.dirichlet(np.ones(3), 3**order)
    ids = rng.integers(0, 3, 200)
    ids[[20, 21, 90]] = -1
    expected = []
    for i in range(order, len(ids)):
        row, history = 0, ids[i - order : i]
        for state in history:
            row = 3 * row + int(state)
        known = all(state >= 0 for state in history)
        expected.append(known and int(np.argmax(matrix[row if known else 0])) == ids[i])
    np.testing.assert_array_equal(next_state_hits(ids, matrix, order), expected)


def test_intervals_of_a_distance_err_upwards() -> None:
    """The upper end lies below the true distance in fewer than the 5 in 200 cases that it may, the lower end above it
    in more."""
    rng, expected, truth = np.random.default_rng(0), np.array([0.5, 0.3, 0.2]), np.array([0.6, 0.3, 0.1])
    found = [total_variation_interval(expected, rng.choice(3, 1500, p=truth), seed) for seed in range(200)]
    true = total_variation(expected, truth)
    assert sum(high < true for _, high in found) <= 5
    assert 5 < sum(low > true for low, _ in found) < 40


def test_shifted_pmi_is_that_of_the_table() -> None:
    rng = np.random.default_rng(1)
    table = rng.integers(0, 9, (6, 6)).astype(np.float64)
    noise = rng.dirichlet(np.ones(6))
    found = shifted_pmi(csr_matrix(table), noise, 5, 4.0)
    assert {tuple(pair) for pair in found.pairs.tolist()} == {tuple(p) for p in np.argwhere(table >= 4).tolist()}
    joint, total = table / table.sum(), table.sum()
    for (w, c), smoothed, plain in zip(found.pairs, found.smoothed, found.plain, strict=True):
        given = joint[w, c] / joint[w].sum()
        assert smoothed == pytest.approx(np.log(given / noise[c] / 5))
        assert plain == pytest.approx(np.log(given / (table[:, c].sum() / total) / 5))
