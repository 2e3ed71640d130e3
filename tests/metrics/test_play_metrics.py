"""Measures of plays against numbers worked out another way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import entropy

from bench.metrics.convergence import convergence_rate
from bench.metrics.heading_error import heading_error
from bench.metrics.plays import (
    due_frames,
    effective_number,
    ends_in_one_loop,
    in_range_share,
    jump_costs,
    largest_change,
    motion_agreement,
    phase_error,
    reversals,
)


def test_the_clip_as_it_is_costs_nothing() -> None:
    table = np.random.default_rng(0).random((9, 9)) + 1
    np.fill_diagonal(table, 0.0)
    frames = np.arange(9)
    np.testing.assert_array_equal(jump_costs(table, 0, 9, frames[:-1], frames[1:]), np.zeros(8))
    np.testing.assert_array_equal(jump_costs(table, 0, 9, np.array([2, 8]), np.array([6, 1])), table[[3, 8], [6, 1]])
    inner = table[2:7, 2:7]  # what a filter leaves: frames outside take the nearest inside
    np.testing.assert_array_equal(jump_costs(inner, 2, 9, np.array([0, 7]), np.array([8, 3])), inner[[0, 4], [4, 1]])


def test_after_the_last_frame_the_last_is_due() -> None:
    assert due_frames(np.array([98, 99]), 100).tolist() == [99, 99]


def test_motion_agreement_is_the_cosine_of_frame_differences() -> None:
    flat = np.random.default_rng(0).integers(0, 256, (12, 300)).astype(np.float64)
    table = cdist(flat, flat)
    before, after = np.array([0, 3, 5, 7]), np.array([1, 9, 2, 8])
    a, b = flat[before + 1] - flat[before], flat[after] - flat[after - 1]
    cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(motion_agreement(table, before, after), cosine, atol=1e-10)
    assert cosine[0] == pytest.approx(1.0)  # 0 -> 1 plays on
    ends = motion_agreement(table, np.array([11]), np.array([0]))  # the nearest steps there are: 10 -> 11 and 0 -> 1
    a, b = flat[11] - flat[10], flat[1] - flat[0]
    assert ends[0] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    np.testing.assert_array_equal(motion_agreement(np.zeros((4, 4)), np.array([0]), np.array([2])), [0.0])


def test_a_reversal_and_a_lost_beat() -> None:
    phase, before = np.arange(100) / 40, np.array([4, 4, 4])
    assert reversals(phase, before, np.array([45, 15, 25])).tolist() == [False, True, True]
    assert reversals(phase, before, np.array([10, 11, 9])).tolist() == [False, True, False]  # 10 is a turning point
    np.testing.assert_allclose(phase_error(phase, before, np.array([45, 15, 25])), [0.0, 0.25, 0.5], atol=1e-12)


def test_one_loop_is_told_from_a_walk() -> None:
    loop = np.tile(np.arange(7), 20)
    assert ends_in_one_loop(loop) and ends_in_one_loop(np.concatenate([np.arange(30, 99), loop]))
    assert not ends_in_one_loop(np.random.default_rng(0).integers(0, 9, 140))
    assert not ends_in_one_loop(np.arange(140))


def test_effective_number_is_the_exponential_of_the_entropy() -> None:
    assert effective_number(np.array([])) == 0.0
    assert effective_number(np.array([1, 2, 3, 4])) == 4.0
    items = np.random.default_rng(0).integers(0, 9, 500)
    assert effective_number(items) == pytest.approx(np.exp(entropy(np.bincount(items))))


def test_in_range_counts_both_ends() -> None:
    np.testing.assert_array_equal(in_range_share(np.array([[4, 5, 6, 7], [1, 2, 3, 4]]), 5, 6), [0.5, 0.0])


def test_largest_change_is_the_root_mean_square() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 3), dtype=np.uint8)
    steps = np.diff(pictures.astype(np.float64), axis=0)
    assert largest_change(pictures) == pytest.approx(np.sqrt((steps**2).mean(axis=(1, 2, 3))).max())


def test_convergence_rate_is_that_of_a_geometric_series() -> None:
    assert convergence_rate([0.9**k for k in range(40)]) == pytest.approx(0.9)
    assert convergence_rate([7.0] * 10 + [0.5**k for k in range(10)]) == pytest.approx(0.5), "the beginning is left out"
    assert convergence_rate([1.0]) == 0.0


def test_heading_error_is_the_angle_whatever_the_lengths() -> None:
    rng = np.random.default_rng(0)
    found, real = rng.normal(size=(2, 50, 2))
    cosine = (found * real).sum(axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(real, axis=1)
    np.testing.assert_allclose(heading_error(found, real), np.degrees(np.arccos(cosine)), atol=1e-4)
    np.testing.assert_allclose(heading_error(found, 7 * found), np.zeros(50), atol=1e-6)
    np.testing.assert_allclose(heading_error(found, -found), np.full(50, 180.0), atol=1e-6)
