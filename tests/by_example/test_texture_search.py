"""The batched search against brute force in whole numbers: the same candidates, whatever is left out, shared out or cut in pieces."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.by_example import texture_search as subject
from bench.by_example.texture_growth import TextureConfig, levels
from bench.by_example.texture_search import Found, Search, gaussian_weights
from bench.by_example.texture_synthesis import TextureSynthesis

WINDOW, EPSILON = 7, 0.1


def exemplars() -> dict[str, NDArray[np.uint8]]:
    """From no ties to nothing but ties."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (26, 24, 1)).astype(np.uint8)
    colour = rng.integers(90, 110, (22, 23, 3)).astype(np.uint8)
    stripes = np.tile(np.repeat(np.array([0, 255], np.uint8), 3), (24, 4))[:, :, None]
    return {"noise": noise, "colour": colour, "few levels": noise // 64 * 64, "stripes": stripes, "constant": np.full_like(noise, 93)}


def questions(exemplar: NDArray[np.uint8], count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Windows near those of the exemplar, known on one side (or here and there, or nowhere)."""
    rng = np.random.default_rng(seed)
    windows = np.lib.stride_tricks.sliding_window_view(exemplar, (WINDOW, WINDOW), axis=(0, 1)).reshape(-1, exemplar.shape[2], WINDOW**2)
    pixels = windows[rng.integers(0, len(windows), count)].swapaxes(1, 2).astype(np.float32)
    touched = rng.random(pixels.shape) < 0.2 * (rng.random((count, 1, 1)) < 0.7)  # the rest stay verbatim: distance 0
    pixels = np.where(touched, np.clip(pixels + rng.integers(-9, 10, pixels.shape), 0, 255), pixels).astype(np.float32)
    y, x = np.indices((WINDOW, WINDOW)) - WINDOW // 2
    sides = [y < 0, y > 0, x < 0, x > 0, (y < 0) & (x < 0), (y > 1) | (x > 1), rng.random(y.shape) < 0.4, y > 99]
    masks = np.stack([sides[i % len(sides)].ravel() for i in range(count)])
    return (gaussian_weights(WINDOW, WINDOW / 6.4) * masks).astype(np.float32), pixels


def brute_force(
    exemplar: NDArray[np.uint8], weights: NDArray[np.float32], pixels: NDArray[np.float32], epsilon: float
) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """Candidates of each window, and all distances, in int64."""
    windows = np.lib.stride_tricks.sliding_window_view(exemplar, (WINDOW, WINDOW), axis=(0, 1)).reshape(-1, exemplar.shape[2], WINDOW**2)
    differences = windows.swapaxes(1, 2)[None].astype(np.int64) - pixels[:, None].astype(np.int64)
    distances = (differences**2 * weights[:, None, :, None].astype(np.int64)).sum(axis=(2, 3))
    return [np.flatnonzero(row <= row.min() * (1.0 + epsilon)) for row in distances], distances


def find(search: Search, weights: NDArray[np.float32], pixels: NDArray[np.float32], draw: float, largest: NDArray[np.float64]) -> Found:
    """Asks for all windows as they are, and picks at once."""
    every = np.arange(len(weights))
    return search.pick(search.ask(weights, pixels), every, weights, pixels, np.full(len(weights), draw), EPSILON, largest)


@pytest.mark.parametrize("name", list(exemplars()))
@pytest.mark.parametrize(("count", "threads", "block"), [(5, 1, 2**30), (70, 1, 2**30), (70, 2, 2**30), (40, 2, 30_000)])
def test_picks_are_those_of_brute_force(name: str, count: int, threads: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every candidate of every window, by asking for each in turn, and whether it is good enough, right at the edge."""
    exemplar = exemplars()[name]
    weights, pixels = questions(exemplar, count, seed=count)
    candidates, distances = brute_force(exemplar, weights, pixels, EPSILON)
    monkeypatch.setattr(subject, "BLOCK_BYTES", block)
    with ThreadPoolExecutor(threads) as pool:
        search = Search(exemplar, WINDOW, None, pool, threads)
        assert (len(search._blocks) > 1) == (block < 2**20)
        for draw in np.arange(0.0, 1.0, 0.13):
            wanted = np.array([some[int(draw * len(some))] for some in candidates])
            edge = distances[np.arange(count), wanted].astype(np.float64)
            for largest, good in ((edge, True), (edge - 1, False)):
                found = find(search, weights, pixels, draw, largest)
                np.testing.assert_array_equal(found.counts, [len(some) for some in candidates])
                np.testing.assert_array_equal(found.chosen, wanted)
                assert (found.good == good).all()


@pytest.mark.parametrize("name", ["noise", "colour", "stripes"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("block", [2**30, 30_000])
def test_what_becomes_known_later_counts_in_full(name: str, threads: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows asked for with less known than when they are picked, a few at a time and in another order."""
    exemplar = exemplars()[name]
    weights, pixels = questions(exemplar, 60, seed=3)
    candidates, _ = brute_force(exemplar, weights, pixels, EPSILON)
    rng = np.random.default_rng(0)
    y, x = np.indices((WINDOW, WINDOW)).reshape(2, -1)
    kinds = [y == 3, x == 3, y == 2, (y == 3) | (x == 3), rng.random(WINDOW**2) < 0.3, y > 99, y < 99]
    hidden = np.stack([kinds[i % len(kinds)] for i in range(60)])  # one row, one column, a cross, anything, nothing, all
    monkeypatch.setattr(subject, "BLOCK_BYTES", block)
    with ThreadPoolExecutor(threads) as pool:
        search = Search(exemplar, WINDOW, None, pool, threads)
        early = np.where(hidden, 0, weights).astype(np.float32)
        answers = search.ask(early, np.where(hidden[:, :, None], 77, pixels).astype(np.float32))
        for asked in np.array_split(rng.permutation(60), [1, 6, 40]):
            given = (np.sort(asked), np.full(len(asked), 0.6), np.full(len(asked), np.inf))
            found = search.pick(answers, given[0], weights[given[0]], pixels[given[0]], given[1], EPSILON, given[2])
            for i, row in enumerate(given[0]):
                assert found.counts[i] == len(candidates[row])
                assert found.chosen[i] == candidates[row][int(0.6 * len(candidates[row]))]


@pytest.mark.parametrize("name", list(exemplars()))
def test_the_bound_holds(name: str) -> None:
    """What float32 gives is off by less than the module's bound, and by more than a thousandth of it (it says something)."""
    exemplar = exemplars()[name]
    weights, pixels = questions(exemplar, 48, seed=1)
    _, distances = brute_force(exemplar, weights, pixels, EPSILON)
    answers = Search(exemplar, WINDOW).ask(weights, pixels)
    gamma = answers.terms * 2.0**-24 / (1 - answers.terms * 2.0**-24)
    bound = gamma[:, None] * (2 * np.sqrt(answers.own)[:, None] + np.sqrt(distances)) ** 2
    error = np.abs(answers.rest[answers.position].astype(np.float64) + answers.own[:, None] - distances)
    assert (error <= bound).all()
    assert name == "constant" or float((error[bound > 0] / bound[bound > 0]).max()) > 1e-3


def test_windows_known_on_one_side_cost_half() -> None:
    """Rows (or columns) of the window without a known pixel are left out of the product."""
    exemplar = exemplars()["noise"]
    weights, pixels = questions(exemplar, 64, seed=0)
    sides = np.arange(64) % 8 < 4
    search = Search(exemplar, WINDOW)
    parts = search._parts(weights[sides])
    assert sorted((part.layout, part.first, part.last) for part in parts) == [(0, 0, 3), (0, 4, 7), (1, 0, 3), (1, 4, 7)]
    search.operations = 0
    search.ask(weights[sides], pixels[sides])
    assert search.operations == 2 * 32 * 3 * 7 * 2 * len(search.centres)


def test_operations_do_not_depend_on_threads() -> None:
    exemplar = exemplars()["noise"]
    weights, pixels = questions(exemplar, 60, seed=2)
    counted = set()
    for threads in (1, 2, 3):
        with ThreadPoolExecutor(threads) as pool:
            search = Search(exemplar, WINDOW, None, pool, threads)
            find(search, weights, pixels, 0.5, np.full(60, np.inf))
            counted.add(search.operations)
    assert len(counted) == 1


def test_answers_of_many_windows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that may only ask for seven windows at a time comes out the same."""
    exemplar = exemplars()["noise"]
    whole = TextureSynthesis(TextureConfig(window=WINDOW)).synthesize(exemplar, (20, 20), 1)
    monkeypatch.setattr(subject, "ANSWER_BYTES", 4 * 360 * 7)
    assert Search(exemplar, WINDOW).most == 7
    np.testing.assert_array_equal(TextureSynthesis(TextureConfig(window=WINDOW)).synthesize(exemplar, (20, 20), 1), whole)


def test_levels_keep_the_order_of_the_list() -> None:
    """In every window, earlier pixels of the list have a lower level; and each level is as low as that allows."""
    rng = np.random.default_rng(0)
    shape, radius = (2, 15, 17), 3
    order = rng.permutation(2 * 15 * 17)[:300]
    found = np.zeros(shape, int)
    for number, group in enumerate(levels(order, shape, radius), start=1):
        found.ravel()[order[group]] = number
    rank = np.full(shape, 10**6)
    rank.ravel()[order] = np.arange(300)
    for flat in order:
        picture, y, x = np.unravel_index(flat, shape)
        window = (picture, slice(max(0, y - radius), y + radius + 1), slice(max(0, x - radius), x + radius + 1))
        earlier = rank[window] < rank[picture, y, x]
        assert found[picture, y, x] == 1 + (found[window][earlier].max() if earlier.any() else 0)
