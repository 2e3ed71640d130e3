"""The approximate search: what it proposes is measured exactly, a large enough proposal is the exact search, and
batches change nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.families.by_example.textures.texture_growth import TextureConfig, grow
from bench.families.by_example.textures.texture_search import Search, gaussian_weights
from bench.families.by_example.textures.texture_tree import TreeSearch, shapes

WINDOW = 7
TREE = TextureConfig(window=WINDOW, search="tree", components=6, neighbours=8)


def sample(channels: int = 1) -> NDArray[np.uint8]:
    """Smooth noise: windows have near neighbours, but no equal ones."""
    raw = np.random.default_rng(0).normal(size=(44, 44, channels))
    smooth = np.stack([raw[i : i + 40, j : j + 40] for i in range(4) for j in range(4)]).sum(axis=0)
    return np.clip(smooth * 14 + 128, 0, 255).astype(np.uint8)


def questions(exemplar: NDArray[np.uint8], count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Noisy windows of the exemplar, known on one side, in a corner, all around, or in two pixels only."""
    rng = np.random.default_rng(1)
    windows = np.lib.stride_tricks.sliding_window_view(exemplar, (WINDOW, WINDOW), axis=(0, 1)).reshape(
        -1, exemplar.shape[2], WINDOW**2
    )
    pixels = windows[rng.integers(0, len(windows), count)].swapaxes(1, 2) + rng.integers(
        -6, 7, (count, WINDOW**2, exemplar.shape[2])
    )
    masks = [*shapes(WINDOW), np.arange(WINDOW**2) < 2]
    known = np.stack([masks[i % len(masks)] for i in range(count)])
    return (gaussian_weights(WINDOW, WINDOW / 6.4) * known).astype(np.float32), np.clip(pixels, 0, 255).astype(
        np.float32
    )


def canvas(exemplar: NDArray[np.uint8], side: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    empty, known = np.zeros((side, side, exemplar.shape[2]), np.uint8), np.zeros((side, side), bool)
    empty[5:8, 6:9], known[5:8, 6:9] = exemplar[9:12, 20:23], True
    return empty, known


def test_shapes_are_parts_without_the_middle() -> None:
    listed = shapes(WINDOW).reshape(-1, WINDOW, WINDOW)
    assert not listed[:, 3, 3].any()
    assert len({tuple(shape.ravel()) for shape in listed}) == len(listed)
    turned = {tuple(np.rot90(shape).ravel()) for shape in listed}
    assert turned == {tuple(shape.ravel()) for shape in listed}, "all four directions alike"


@pytest.mark.parametrize("channels", [1, 3])
def test_asking_for_every_candidate_is_the_exact_search(channels: int) -> None:
    exemplar = sample(channels)
    weights, pixels = questions(exemplar, 54)
    exact = Search(exemplar, WINDOW, sigma=WINDOW / 6.4)
    everything = TreeSearch(exemplar, WINDOW, sigma=WINDOW / 6.4, neighbours=10**6)
    for draw in (0.0, 0.7):
        ask = (weights, pixels, np.full(54, draw), 0.1, np.full(54, np.inf))
        want, found = exact.pick(*ask), everything.pick(*ask)
        np.testing.assert_array_equal(found.chosen, want.chosen)
        np.testing.assert_array_equal(found.counts, want.counts)


def test_few_proposals_are_mostly_right_and_never_far_off() -> None:
    exemplar = sample()
    weights, pixels = questions(exemplar, 180)
    exact = Search(exemplar, WINDOW, sigma=WINDOW / 6.4).distances(weights, pixels)
    found = TreeSearch(exemplar, WINDOW, sigma=WINDOW / 6.4, components=6, neighbours=8).pick(
        weights, pixels, np.full(180, 0.5), 0.1, np.full(180, np.inf)
    )
    reached = exact[np.arange(180), found.chosen]
    assert (reached <= 1.1 * exact.min(axis=1)).mean() > 0.9
    assert np.median(reached / np.maximum(exact.min(axis=1), 1)) < 1.1
    assert (found.counts >= 1).all()


def test_good_enough_is_judged_exactly() -> None:
    exemplar = sample()
    weights, pixels = questions(exemplar, 36)
    search = TreeSearch(exemplar, WINDOW, sigma=WINDOW / 6.4)
    chosen = search.pick(weights, pixels, np.zeros(36), 0.1, np.full(36, np.inf)).chosen
    edge = search.distances(weights, pixels)[np.arange(36), chosen]
    assert search.pick(weights, pixels, np.zeros(36), 0.1, edge).good.all()
    assert not search.pick(weights, pixels, np.zeros(36), 0.1, edge - 1).good.any()


@pytest.mark.parametrize("channels", [1, 3])
def test_batch_and_threads_change_nothing(channels: int) -> None:
    exemplar = sample(channels)
    empty, known = canvas(exemplar, 26)
    given = (exemplar, [empty] * 4, [known] * 4, [1, 2, 3, 4])
    whole = grow(*given, TREE, threads=1)
    for config, threads in ((dataclasses.replace(TREE, batch=3), 1), (TREE, 2)):
        for one, other in zip(whole, grow(*given, config, threads=threads), strict=True):
            np.testing.assert_array_equal(one.picture, other.picture)
            np.testing.assert_array_equal(one.sources, other.sources)


def test_a_tree_grows_a_picture_of_the_samples_pixels() -> None:
    exemplar = sample()
    empty, known = canvas(exemplar, 30)
    (grown,) = grow(exemplar, [empty], [known], [3], TREE)
    rows, columns = np.moveaxis(grown.sources[grown.sources[:, :, 0] >= 0], -1, 0)
    np.testing.assert_array_equal(grown.picture[grown.sources[:, :, 0] >= 0], exemplar[rows, columns])
    assert abs(grown.picture.mean() - exemplar.mean()) < 3 * exemplar.std() / 5


@pytest.mark.parametrize("change", [{"search": "annoy"}, {"components": 0}, {"neighbours": 0}])
def test_bad_settings_are_named(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        TextureConfig(**change)  # type: ignore[arg-type]
