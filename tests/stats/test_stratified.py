"""Intervals of means over fixed groups: exemplars, clips."""

from __future__ import annotations

import numpy as np

from bench.stats.intervals import stratified_t_ci


def test_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([1.0, 5.0, 9.0])
    hits = 0
    for _ in range(2000):
        interval = stratified_t_ci(truth[:, None] + rng.normal(size=(3, 3)))
        assert interval is not None
        hits += interval[0] <= 5.0 <= interval[1]
    assert 0.93 < hits / 2000 < 0.97


def test_interval_covers_the_mean_of_fixed_clips() -> None:
    """In 95 % of repetitions, to within the noise of 400 of them."""
    rng, inside = np.random.default_rng(0), 0
    for _ in range(400):
        found = stratified_t_ci([rng.normal(5, 1, 6), rng.normal(9, 3, 8)])
        assert found is not None
        inside += found[0] <= 7.0 <= found[1]
    assert 0.92 < inside / 400 < 0.98
    assert stratified_t_ci([np.array([1.0])]) is None
