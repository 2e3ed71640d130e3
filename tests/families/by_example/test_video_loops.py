"""Loops against an exhaustive search, and schedules played step by step."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.base.errors import BenchError
from bench.families.by_example.video.video_loops import (
    LoopTable,
    Primitives,
    best_single,
    greedy_loop,
    primitive_loops,
    schedule,
)


def random_costs(seed: int, size: int) -> np.ndarray:
    costs = np.random.default_rng(seed).uniform(0.1, 1.0, (size, size))
    costs[-1] = np.inf
    return costs


def hangs_together(jumps: list[tuple[int, int]]) -> bool:
    """By union of ranges, grown until nothing more overlaps."""
    left, (low, high) = list(jumps[1:]), (jumps[0][1], jumps[0][0])
    while left:
        near = next((k for k, (i, j) in enumerate(left) if j <= high and i >= low), None)
        if near is None:
            return False
        i, j = left.pop(near)
        low, high = min(low, j), max(high, i)
    return True


def brute_force(primitives: Primitives, length: int) -> float:
    """Cheapest multiset of primitive loops of this total length whose union of ranges has no gap."""
    best, lengths = np.inf, primitives.lengths
    for count in range(1, length // int(lengths.min()) + 1):
        for chosen in combinations_with_replacement(range(len(primitives)), count):
            members = list(chosen)
            if lengths[members].sum() == length and primitives.costs[members].sum() < best:
                jumps = [(int(primitives.sources[t]), int(primitives.targets[t])) for t in members]
                if hangs_together(jumps):
                    best = float(primitives.costs[members].sum())
    return best


def play(loop: np.ndarray) -> list[tuple[int, int]]:
    """The jumps that one round takes."""
    following = np.roll(loop, -1)
    return sorted((int(i), int(j)) for i, j in zip(loop, following, strict=True) if j != i + 1)


@pytest.mark.parametrize("seed", range(4))
def test_table_finds_what_an_exhaustive_search_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sources = rng.integers(2, 12, 7)
    targets = np.maximum(sources - rng.integers(2, 6, 7), 0)
    primitives = Primitives(sources, targets, rng.uniform(0.1, 1.0, 7))
    table = LoopTable(primitives, 14)
    for length in range(3, 15):
        expected = brute_force(primitives, length)
        assert table.cost(length) == (pytest.approx(expected) if np.isfinite(expected) else np.inf), length


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(6, 14), st.integers(3, 40))
def test_a_loop_plays_its_jumps_once_each_and_has_its_length_and_cost(seed: int, size: int, length: int) -> None:
    costs = random_costs(seed, size)
    table = LoopTable(primitive_loops(costs, length, count=12), length)
    if not np.isfinite(table.cost(length)):
        with pytest.raises(BenchError, match="no loop"):
            table.loop(length)
        return
    loop = table.loop(length)
    assert len(loop) == length
    taken = play(loop.states)
    assert taken == sorted(loop.jumps)
    assert sum(costs[jump] for jump in taken) == pytest.approx(loop.cost) == pytest.approx(table.cost(length))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 30))
def test_never_dearer_than_greedy_or_a_single_jump(seed: int, length: int) -> None:
    costs = random_costs(seed, 12)
    primitives = primitive_loops(costs, length, count=15)
    table = LoopTable(primitives, length)
    assert table.cost(length) <= min(greedy_loop(primitives, length), best_single(primitives, length)) + 1e-12


def test_greedy_takes_the_cheapest_a_frame_first() -> None:
    """3 + 3 frames at 0.1 each is what greedy finds; one jump of 6 frames for 0.15 costs less."""
    primitives = Primitives(np.array([5, 2, 6]), np.array([0, 0, 3]), np.array([0.15, 0.06, 0.5]))
    order = np.argsort(primitives.costs / primitives.lengths)
    primitives = Primitives(primitives.sources[order], primitives.targets[order], primitives.costs[order])
    assert greedy_loop(primitives, 6) == pytest.approx(0.12)
    assert LoopTable(primitives, 6).cost(6) == pytest.approx(0.12)
    primitives = Primitives(np.array([4, 2]), np.array([0, 0]), np.array([0.2, 0.03]))
    assert greedy_loop(primitives, 5) == pytest.approx(0.2)  # 3 frames taken first leave 2, which nothing fits: undone
    assert greedy_loop(primitives, 4) == np.inf


def test_loops_longer_than_the_clip_repeat_and_combine() -> None:
    costs = random_costs(1, 8)
    table = LoopTable(primitive_loops(costs, 30), 30)
    assert len(table.loop(30)) == 30


def test_primitives_hold_the_cheapest_of_every_length_and_no_still_frame() -> None:
    costs = random_costs(0, 10)
    primitives = primitive_loops(costs, 8, count=3)
    assert primitives.lengths.min() == 2 and primitives.lengths.max() == 8
    for length in range(2, 9):
        i = np.arange(length - 1, 9)
        assert best_single(primitives, length) == costs[i, i - length + 1].min()
    rates = primitives.costs / primitives.lengths
    assert (np.diff(rates) >= 0).all()
    assert primitive_loops(costs, 8, shortest=5).lengths.min() == 5


def test_no_way_back_is_said() -> None:
    with pytest.raises(BenchError, match="no loop of 2 to 5 frames"):
        primitive_loops(np.full((6, 6), np.inf), 5)


def test_a_missing_length_names_its_neighbours() -> None:
    table = LoopTable(Primitives(np.array([3]), np.array([0]), np.array([1.0])), 12)
    with pytest.raises(BenchError, match="no loop of 6 frames; possible are, for example, 4, 8"):
        table.loop(6)
    with pytest.raises(BenchError, match="no loop of 5 to 7"):
        table.cheapest(5, 7)
    assert len(table.cheapest(2, 12)) == 4  # 8 and 12 frames cost as much a frame


def test_ranges_that_do_not_hang_together_are_refused() -> None:
    with pytest.raises(BenchError, match="hang together"):
        schedule(((3, 0), (9, 6)))


def test_the_schedule_of_nested_and_repeated_loops() -> None:
    states = schedule(((9, 0), (4, 3), (4, 3), (9, 7)))
    assert play(states) == [(4, 3), (4, 3), (9, 0), (9, 7)]
    assert len(states) == 10 + 2 + 2 + 3
