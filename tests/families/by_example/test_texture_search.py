"""The batched search against brute force in whole numbers: the same candidates, whatever is left out, shared out or cut
in pieces."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.families.by_example.textures import texture_search as subject
from bench.families.by_example.textures.texture_growth import levels
from bench.families.by_example.textures.texture_search import Search, gaussian_weights

WINDOW = 7
SIGMA = WINDOW / 6.4


def exemplars() -> dict[str, NDArray[np.uint8]]:
    """From no ties to nothing but ties."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (26, 24, 1)).astype(np.uint8)
    colour = rng.integers(90, 110, (22, 23, 3)).astype(np.uint8)
    stripes = np.tile(np.repeat(np.array([0, 255], np.uint8), 3), (24, 4))[:, :, None]
    return {
        "noise": noise,
        "colour": colour,
        "few levels": noise // 64 * 64,
        "stripes": stripes,
        "constant": np.full_like(noise, 93),
    }


def questions(exemplar: NDArray[np.uint8], count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Windows near those of the exemplar, known on one side (or here and there, or nowhere)."""
    rng = np.random.default_rng(seed)
    windows = np.lib.stride_tricks.sliding_window_view(exemplar, (WINDOW, WINDOW), axis=(0, 1)).reshape(
        -1, exemplar.shape[2], WINDOW**2
    )
    pixels = windows[rng.integers(0, len(windows), count)].swapaxes(1, 2).astype(np.float32)
    touched = rng.random(pixels.shape) < 0.2 * (rng.random((count, 1, 1)) < 0.7)  # the rest stay verbatim: distance 0
    pixels = np.where(touched, np.clip(pixels + rng.integers(-9, 10, pixels.shape), 0, 255), pixels).astype(np.float32)
    y, x = np.indices((WINDOW, WINDOW)) - WINDOW // 2
    sides = [y < 0, y > 0, x < 0, x > 0, (y < 0) & (x < 0), (y > 1) | (x > 1), rng.random(y.shape) < 0.4, y > 99]
    masks = np.stack([sides[i % len(sides)].ravel() for i in range(count)])
    return (gaussian_weights(WINDOW, SIGMA) * masks).astype(np.float32), pixels


def brute_force(
    exemplar: NDArray[np.uint8], weights: NDArray[np.float32], pixels: NDArray[np.float32], epsilon: float
) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """Candidates of each window, and all distances, in int64."""
    windows = np.lib.stride_tricks.sliding_window_view(exemplar, (WINDOW, WINDOW), axis=(0, 1)).reshape(
        -1, exemplar.shape[2], WINDOW**2
    )
    differences = windows.swapaxes(1, 2)[None].astype(np.int64) - pixels[:, None].astype(np.int64)
    distances = (differences**2 * weights[:, None, :, None].astype(np.int64)).sum(axis=(2, 3))
    return [np.flatnonzero(row <= row.min() * (1.0 + epsilon)) for row in distances], distances


@pytest.mark.parametrize("name", list(exemplars()))
@pytest.mark.parametrize(
    ("count", "threads", "block"), [(5, 1, 2**30), (70, 1, 2**30), (70, 2, 2**30), (40, 2, 30_000)]
)
def test_picks_are_those_of_brute_force(
    name: str, count: int, threads: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every candidate of every window, by asking for each in turn, and whether it is good enough, right at the edge."""
    exemplar, epsilon = exemplars()[name], 0.1
    weights, pixels = questions(exemplar, count, seed=count)
    candidates, distances = brute_force(exemplar, weights, pixels, epsilon)
    monkeypatch.setattr(subject, "BLOCK_BYTES", block)
    monkeypatch.setattr(subject, "THREAD_WORK", 1)
    with ThreadPoolExecutor(threads) as pool:
        search = Search(exemplar, WINDOW, None, pool, threads, sigma=SIGMA)
        assert (len(search._blocks) > 1) == (block < 2**20)
        for draw in np.arange(0.0, 1.0, 0.13):
            wanted = np.array([some[int(draw * len(some))] for some in candidates])
            edge = distances[np.arange(count), wanted].astype(np.float64)
            for largest, good in ((edge, True), (edge - 1, False)):
                found = search.pick(weights, pixels, np.full(count, draw), epsilon, largest)
                np.testing.assert_array_equal(found.counts, [len(some) for some in candidates])
                np.testing.assert_array_equal(found.chosen, wanted)
                assert (found.good == good).all()


@pytest.mark.parametrize("name", list(exemplars()))
def test_the_bound_holds(name: str) -> None:
    """What float32 gives is off by less than the module's bound, and by more than a thousandth of it (it says
    something)."""
    exemplar = exemplars()[name]
    weights, pixels = questions(exemplar, 48, seed=1)
    search = Search(exemplar, WINDOW, sigma=SIGMA)
    middle = np.isin(np.arange(WINDOW**2), search._places[0])
    _, distances = brute_force(exemplar, weights * middle, pixels, 0.1)
    worst = 0.0
    for task in search._tasks(weights):
        rest, own, gamma = search._product(weights, pixels, task)
        exact = distances[np.concatenate([part.rows for part in task])]
        bound = gamma[:, None] * (2 * np.sqrt(own)[:, None] + np.sqrt(exact)) ** 2
        error = np.abs(rest.astype(np.float64) + own[:, None] - exact)
        assert (error <= bound).all()
        worst = max(worst, float((error[bound > 0] / bound[bound > 0]).max(initial=0)))
    assert name == "constant" or worst > 1e-3


def test_windows_known_on_one_side_cost_half() -> None:
    """Rows (or columns) of the window's middle without a known pixel are left out of the product."""
    exemplar = exemplars()["noise"]
    weights, _ = questions(exemplar, 64, seed=0)
    sides = weights[np.arange(64) % 8 < 4]
    (task,) = Search(exemplar, WINDOW, sigma=SIGMA)._tasks(sides)
    assert sorted((part.layout, part.first, part.last) for part in task) == [(0, 0, 2), (0, 3, 5), (1, 0, 2), (1, 3, 5)]


@pytest.mark.parametrize(
    ("window", "divisor", "side"), [(7, 6.4, 5), (11, 6.4, 7), (23, 6.4, 15), (11, 0.5, 11), (3, 30.0, 1)]
)
def test_the_middle_holds_nine_tenths_of_the_gaussian(window: int, divisor: float, side: int) -> None:
    """And one ring less does not."""
    middle = subject._middle(window, window / divisor)
    assert middle.shape == (side, side)
    weights = gaussian_weights(window, window / divisor)
    assert weights[middle.ravel()].sum() >= subject.CORE * weights.sum()
    assert side == 1 or weights[middle[1:-1, 1:-1].ravel()].sum() < subject.CORE * weights.sum()


def test_small_products_are_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second thread is asked only when there is enough to do for both."""
    exemplar = exemplars()["noise"]
    weights, _ = questions(exemplar, 64, seed=0)
    with ThreadPoolExecutor(2) as pool:
        search = Search(exemplar, WINDOW, None, pool, 2, sigma=SIGMA)
        assert len(search._tasks(weights)) == 1
        monkeypatch.setattr(subject, "THREAD_WORK", search._work(search._tasks(weights)[0]) // 2)
        assert len(search._tasks(weights)) == 2


@pytest.mark.parametrize("sigma", [0.1, 0.6, 50.0])
def test_the_part_for_the_products_changes_no_choice(sigma: float) -> None:
    """From the middle pixel alone to the whole window."""
    exemplar = exemplars()["colour"]
    weights, pixels = questions(exemplar, 70, seed=5)
    ask = (weights, pixels, np.linspace(0, 0.99, 70), 0.1, np.full(70, np.inf))
    found, usual = (Search(exemplar, WINDOW, sigma=one).pick(*ask) for one in (sigma, SIGMA))
    np.testing.assert_array_equal(found.chosen, usual.chosen)
    np.testing.assert_array_equal(found.counts, usual.counts)


def test_answers_of_many_windows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    exemplar = exemplars()["noise"]
    weights, pixels = questions(exemplar, 60, seed=2)
    ask = (weights, pixels, np.full(60, 0.5), 0.1, np.full(60, np.inf))
    whole = Search(exemplar, WINDOW, sigma=SIGMA).pick(*ask)
    monkeypatch.setattr(subject, "ANSWER_BYTES", 4 * 360 * 7)
    search = Search(exemplar, WINDOW, sigma=SIGMA)
    assert max(sum(len(part.rows) for part in task) for task in search._tasks(weights)) <= 7
    np.testing.assert_array_equal(search.pick(*ask).chosen, whole.chosen)


def test_levels_keep_the_order_of_the_list() -> None:
    """In every window, earlier pixels of the list have a lower level; and each level is as low as that allows."""
    rng = np.random.default_rng(0)
    shape, radius = (2, 15, 17), 3
    order = rng.permutation(2 * 15 * 17)[:300]
    found = np.zeros(shape, int)
    for number, group in enumerate(levels(order, shape, radius), start=1):
        found.ravel()[group] = number
    rank = np.full(shape, 10**6)
    rank.ravel()[order] = np.arange(300)
    for flat in order:
        picture, y, x = np.unravel_index(flat, shape)
        window = (picture, slice(max(0, y - radius), y + radius + 1), slice(max(0, x - radius), x + radius + 1))
        earlier = rank[window] < rank[picture, y, x]
        assert found[picture, y, x] == 1 + (found[window][earlier].max() if earlier.any() else 0)
