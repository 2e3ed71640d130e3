"""Texture synthesis in pixels a second against a plain NumPy program of the paper, one pixel at a time.

The plain program is what one writes from the paper's pseudo-code: all windows of the sample as rows, weighted squared
differences, candidates within 10 % of the best. First both are shown to grow the same picture (the random draws are
shared), and at every pixel from as many candidates; then their rounds alternate, so that a busy machine slows both
alike. The plain program is given one picture, ours a sheet of them (they grow side by side and share matrix products)
and, separately, one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.families.by_example.textures.texture_growth import TextureConfig, available_threads, frontier, grow, uniform
from bench.families.by_example.textures.texture_search import Search, gaussian_weights

WINDOW, SAMPLE, OUTPUT, SHEET = 11, 64, 64, 16


def sample(side: int = SAMPLE) -> tuple[str, NDArray[np.uint8]]:
    """Grass where it is prepared, otherwise smooth noise; ``(side, side, 1)``."""
    path = Path(__file__).parents[2] / "data/prepared/textures/exemplars.npz"
    if path.is_file():
        with np.load(path) as file:
            photograph = file["grass"].astype(np.float64)
        name, step = "grass", 2
        picture = photograph[: side * step, : side * step].reshape(side, step, side, step).mean(axis=(1, 3))
    else:
        name, noise = "noise", np.random.default_rng(0).normal(size=(side + 4, side + 4))
        picture = 128 + 30 * sum(noise[i : i + side, j : j + side] for i in range(5) for j in range(5)) / 5
    return name, np.clip(picture, 0, 255).astype(np.uint8)[:, :, None]


def start(exemplar: NDArray[np.uint8], side: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A canvas with a 3x3 patch of the sample in the middle."""
    y, x = np.random.default_rng(seed).integers(0, exemplar.shape[0] - 3, 2)
    canvas, known = np.zeros((side, side, 1), np.uint8), np.zeros((side, side), bool)
    middle = slice(side // 2 - 1, side // 2 + 2)
    canvas[middle, middle], known[middle, middle] = exemplar[y : y + 3, x : x + 3], True
    return canvas, known


@contextmanager
def recorded() -> Iterator[list[NDArray[np.int64]]]:
    """How many candidates the batched search met, in the order of its questions."""
    counts: list[NDArray[np.int64]] = []
    original = Search.pick

    def pick(self: Search, *arguments: Any) -> Any:
        found = original(self, *arguments)
        counts.append(found.counts)
        return found

    Search.pick = pick  # type: ignore[method-assign]
    try:
        yield counts
    finally:
        Search.pick = original  # type: ignore[method-assign]


def plain_growth(
    exemplar: NDArray[np.uint8],
    canvas: NDArray[np.uint8],
    known: NDArray[np.bool_],
    seed: int,
    config: TextureConfig,
    limit: int | None = None,
) -> tuple[NDArray[np.float64], list[int]]:
    """Efros and Leung, one pixel at a time; stops after ``limit`` pixels. The picture, and how many candidates each
    pixel had."""
    radius, side = config.window // 2, config.window
    windows = (
        np.lib.stride_tricks.sliding_window_view(exemplar[:, :, 0].astype(np.float64), (side, side))
        .reshape(-1, side * side)
        .copy()
    )
    middles = windows[:, side * side // 2]
    gaussian = gaussian_weights(side, side / config.sigma_divisor)
    picture = np.pad(canvas[:, :, 0].astype(np.float64), radius)
    mask = np.pad(known.astype(np.float64), radius)
    width = known.shape[1]
    passes, threshold, counts = 0, config.max_error_threshold * 255.0**2, []
    while not mask[radius:-radius, radius:-radius].all():
        passes += 1
        filled = mask[radius:-radius, radius:-radius] > 0
        advanced = False
        for flat in frontier(filled[None], radius, lambda places, odd=2 * passes + 1: uniform(seed, odd, places)):
            y, x = divmod(int(flat), width)
            patch = picture[y : y + side, x : x + side].ravel()
            weights = gaussian * mask[y : y + side, x : x + side].ravel()
            distances = ((windows - patch) ** 2 * weights).sum(axis=1)
            candidates = np.flatnonzero(distances <= distances.min() * (1.0 + config.epsilon))
            counts.append(len(candidates))
            pick = candidates[int(uniform(seed, 2 * passes, np.array([flat]))[0] * len(candidates))]
            if distances[pick] <= threshold * weights.sum():
                picture[y + radius, x + radius] = middles[pick]
                mask[y + radius, x + radius] = 1.0
                advanced = True
            if limit is not None and len(counts) >= limit:
                return picture[radius:-radius, radius:-radius], counts
        if not advanced:
            threshold *= 1.1
    return picture[radius:-radius, radius:-radius], counts


def test_the_plain_program_grows_the_same_picture_from_the_same_candidates() -> None:
    _, exemplar = sample(40)
    canvas, known = start(exemplar, 28, seed=3)
    config = TextureConfig(window=WINDOW)
    want, candidates = plain_growth(exemplar, canvas, known, 3, config)
    with recorded() as counts:
        (grown,) = grow(exemplar, [canvas], [known], [3], config)
    np.testing.assert_array_equal(grown.picture[:, :, 0], want)
    assert sum(len(part) for part in counts) == len(candidates)
    assert sorted(np.concatenate(counts).tolist()) == sorted(candidates)
    assert max(candidates) > 1


def test_pixels_per_second_against_the_plain_program(benchmark: Any, aim: Any) -> None:
    """Aim: 30 times as many pixels a second at window 11 on a 64x64 sample, on equal pictures; and 15,000 of them on
    two cores."""
    name, exemplar = sample()
    config = TextureConfig(window=WINDOW)
    starts = [start(exemplar, OUTPUT, seed) for seed in range(SHEET)]
    canvases, known = [canvas for canvas, _ in starts], [mask for _, mask in starts]
    limit = 300
    rates: dict[str, list[float]] = {"plain": [], "sheet": [], "single": []}

    def plain_round() -> tuple[tuple[()], dict[str, Any]]:
        began = time.perf_counter()
        _, counts = plain_growth(exemplar, canvases[0], known[0], 0, config, limit)
        rates["plain"].append(len(counts) / (time.perf_counter() - began))
        began = time.perf_counter()
        grow(exemplar, canvases[:1], known[:1], [0], config)
        rates["single"].append(OUTPUT**2 / (time.perf_counter() - began))
        return (), {}

    def sheet_round() -> None:
        began = time.perf_counter()
        grow(exemplar, canvases, known, list(range(SHEET)), config)
        rates["sheet"].append(SHEET * OUTPUT**2 / (time.perf_counter() - began))

    benchmark.pedantic(sheet_round, setup=plain_round, rounds=3, iterations=1, warmup_rounds=1)
    median = {what: float(np.median(values[1:] or values)) for what, values in rates.items()}
    benchmark.extra_info.update(
        sample=f"{name} {SAMPLE}x{SAMPLE}",
        window=WINDOW,
        threads=available_threads(),
        plain_pixels_per_second=round(median["plain"]),
        pixels_per_second=round(median["sheet"]),
        pixels_per_second_of_one_picture=round(median["single"]),
        ratio_of_one_picture=round(median["single"] / median["plain"], 1),
    )
    aim(median["sheet"] / median["plain"], 30)


@pytest.mark.parametrize("side", [48, 64, 128])
@pytest.mark.parametrize("window", [5, 11, 23])
def test_pixels_per_second_by_window_and_sample(benchmark: Any, window: int, side: int) -> None:
    """How the rate falls with the window and the sample; nothing is asserted of it."""
    name, exemplar = sample(side)
    config = TextureConfig(window=window)
    starts = [start(exemplar, 48, seed) for seed in range(4)]

    def work() -> Any:
        return grow(exemplar, [canvas for canvas, _ in starts], [mask for _, mask in starts], list(range(4)), config)

    grown = benchmark.pedantic(work, rounds=2, iterations=1, warmup_rounds=1)
    assert all(one.picture.shape == (48, 48, 1) for one in grown)
    if benchmark.disabled:
        return
    seconds = benchmark.stats.stats.median
    benchmark.extra_info.update(
        sample=f"{name} {side}x{side}",
        window=window,
        threads=available_threads(),
        pixels_per_second=round(4 * 48 * 48 / seconds),
        operations_per_pixel=round(sum(one.operations for one in grown) / (4 * 48 * 48)),
        giga_operations_per_second=round(sum(one.operations for one in grown) / seconds / 1e9, 1),
    )
