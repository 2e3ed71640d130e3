"""Efros & Leung against a pixel-by-pixel implementation of the paper, its contract, and bad input."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.settings import build_config
from bench.families.by_example.textures import texture_search as subject
from bench.families.by_example.textures.texture_growth import TextureConfig, grow, uniform
from bench.families.by_example.textures.texture_search import Search, gaussian_weights
from bench.families.by_example.textures.texture_synthesis import TextureSynthesis, _canvas


def noise(height: int, width: int, channels: int = 1, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth noise with few grey levels: many near ties, the hard case for exactness."""
    raw = np.random.default_rng(seed).normal(size=(height + 2, width + 2, channels))
    smooth = sum(raw[i : i + height, j : j + width] for i in range(3) for j in range(3))
    assert not isinstance(smooth, int)
    return (np.clip(smooth * 20 + 128, 0, 255).astype(np.uint8) // 16) * 16


# --- the paper, one pixel at a time -------------------------------------------------------------------------------


def window_candidates(
    exemplar: NDArray[np.uint8],
    picture: NDArray[np.int64],
    known: NDArray[np.bool_],
    y: int,
    x: int,
    config: TextureConfig,
) -> tuple[list[tuple[int, int]], dict[tuple[int, int], int], int]:
    """FindMatches by four nested loops in whole numbers: (candidates, distance of each, weight of the known pixels)."""
    radius = config.window // 2
    sigma = config.window / config.sigma_divisor
    weights = {}
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            inside = 0 <= y + dy < picture.shape[0] and 0 <= x + dx < picture.shape[1]
            if inside and known[y + dy, x + dx]:
                weights[dy, dx] = max(1, round(2**20 * math.exp(-(dy * dy + dx * dx) / (2 * sigma * sigma))))
    distances = {}
    for cy in range(radius, exemplar.shape[0] - radius):
        for cx in range(radius, exemplar.shape[1] - radius):
            total = 0
            for (dy, dx), weight in weights.items():
                for channel in range(exemplar.shape[2]):
                    difference = int(exemplar[cy + dy, cx + dx, channel]) - int(picture[y + dy, x + dx, channel])
                    total += weight * difference * difference
            distances[cy, cx] = total
    limit = min(distances.values()) * (1.0 + config.epsilon)
    return [c for c, d in distances.items() if d <= limit], distances, sum(weights.values())


def reference_growth(
    exemplar: NDArray[np.uint8], canvas: NDArray[np.uint8], known: NDArray[np.bool_], seed: int, config: TextureConfig
) -> tuple[NDArray[np.int64], list[list[tuple[int, int]]]]:
    """GrowImage of the authors' pseudo-code; only the random draws are shared with the implementation under test."""
    height, width, channels = canvas.shape
    picture, known = canvas.astype(np.int64), known.copy()
    radius = config.window // 2
    threshold, passes, all_candidates = config.max_error_threshold, 0, []
    while not known.all():
        passes += 1
        draws = uniform(seed, 2 * passes, np.arange(height * width))
        ties = uniform(seed, 2 * passes + 1, np.arange(height * width))
        todo = []
        for y in range(height):
            for x in range(width):
                if known[y, x]:
                    continue
                touching = known[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].any()
                filled = known[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1].sum()
                if config.order == "raster":
                    todo.append((0, 0.0, y, x))
                elif touching:
                    todo.append((-filled, ties[y * width + x], y, x))
        progress = False
        for _, _, y, x in sorted(todo, key=lambda entry: entry[:2]):
            candidates, distances, weight = window_candidates(exemplar, picture, known, y, x, config)
            all_candidates.append(candidates)
            pick = candidates[int(draws[y * width + x] * len(candidates))]
            if distances[pick] <= threshold * 255**2 * channels * weight:
                picture[y, x] = exemplar[pick]
                known[y, x] = progress = True
        if not progress:
            threshold *= 1.1
    return picture, all_candidates


@pytest.mark.parametrize(
    ("channels", "window", "order"),
    [(1, 3, "onion"), (1, 5, "onion"), (3, 5, "onion"), (1, 5, "raster")],
)
def test_equals_the_paper_pixel_by_pixel(channels: int, window: int, order: str) -> None:
    exemplar = noise(11, 12, channels, seed=window)
    canvas = np.zeros((12, 11, channels), np.uint8)
    known = np.zeros((12, 11), bool)
    canvas[4:7, 4:7], known[4:7, 4:7] = exemplar[2:5, 3:6], True
    config = TextureConfig(window=window, order=order)
    want, candidates = reference_growth(exemplar, canvas, known, 7, config)
    assert max(map(len, candidates)) > 1, "the case has ties to decide"
    np.testing.assert_array_equal(grow(exemplar, [canvas], [known], [7], config)[0].picture, want)


def test_equals_the_paper_when_nothing_matches_at_first() -> None:
    exemplar = noise(9, 9, seed=3)
    canvas = np.where(np.indices((8, 8)).sum(0) % 2, 255, 0).astype(np.uint8)[
        :, :, None
    ]  # a checkerboard is unlike the noise
    known = np.zeros((8, 8), bool)
    known[2:5, 2:5] = True
    config = TextureConfig(window=5, max_error_threshold=0.01)
    want, _ = reference_growth(exemplar, canvas, known, 1, config)
    (grown,) = grow(exemplar, [canvas], [known], [1], config)
    np.testing.assert_array_equal(grown.picture, want)
    assert grown.threshold > 0.05


def test_distances_are_exact_and_candidates_are_those_of_real_arithmetic() -> None:
    exemplar, picture = noise(14, 13, 3, seed=1), noise(7, 7, 3, seed=2)
    known = np.random.default_rng(0).random((7, 7)) < 0.5
    config = TextureConfig(window=7)
    _, distances, _ = window_candidates(exemplar, picture.astype(np.int64), known, 3, 3, config)
    weights = gaussian_weights(7, 7 / 6.4)
    found = Search(exemplar, 7, sigma=7 / 6.4).distances(
        (weights * known.ravel())[None], picture.reshape(1, 49, 3).astype(float)
    )[0]
    assert found.astype(np.int64).tolist() == list(distances.values())
    axis = np.arange(-3, 4)
    gaussian = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * (7 / 6.4) ** 2)) * known
    windows = np.lib.stride_tricks.sliding_window_view(exemplar.astype(float), (7, 7), axis=(0, 1)).transpose(
        0, 1, 3, 4, 2
    )
    real = ((windows - picture) ** 2 * gaussian[:, :, None]).sum((2, 3, 4)).ravel()
    np.testing.assert_allclose(found / 2**20, real, rtol=1e-5)


def test_large_values_stay_exact() -> None:
    """The largest sums there are (window 41, white against black) lie below 2^53."""
    exemplar = np.full((41, 41, 3), 255, np.uint8)
    weights = gaussian_weights(41, 41 / 6.4)
    found = Search(exemplar, 41, sigma=41 / 6.4).distances(weights[None], np.zeros((1, 41 * 41, 3)))[0, 0]
    assert int(found) == int(weights.astype(np.int64).sum()) * 3 * 255**2
    assert 2 * found < 2**53


def test_blocks_of_a_large_exemplar_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    exemplar = noise(20, 20, seed=4)[:, :, 0]
    system = TextureSynthesis(TextureConfig(window=5))
    whole = system.synthesize(exemplar, (16, 16), 3)
    monkeypatch.setattr(subject, "BLOCK_BYTES", 8 * 2 * 25 * 50)
    np.testing.assert_array_equal(system.synthesize(exemplar, (16, 16), 3), whole)


@pytest.mark.parametrize("order", ["onion", "raster"])
def test_batch_size_changes_nothing(order: str) -> None:
    exemplar = noise(24, 24, 3)
    pictures = [
        TextureSynthesis(TextureConfig(window=7, batch=b, order=order)).synthesize(exemplar, (30, 26), 11)
        for b in (1, 5, 256)
    ]
    np.testing.assert_array_equal(pictures[0], pictures[1])
    np.testing.assert_array_equal(pictures[0], pictures[2])


@pytest.mark.parametrize("order", ["onion", "raster"])
def test_pictures_grown_together_equal_those_grown_alone(order: str) -> None:
    exemplar = noise(20, 22)[:, :, 0]
    system = TextureSynthesis(TextureConfig(window=7, order=order, max_error_threshold=0.004))
    together = system.growths(exemplar, (13, 12), [1, 2, 3])
    for seed, grown in zip([1, 2, 3], together, strict=True):
        (alone,) = system.growths(exemplar, (13, 12), [seed])
        np.testing.assert_array_equal(grown.picture, alone.picture)
        np.testing.assert_array_equal(grown.sources, alone.sources)


def test_threads_change_nothing() -> None:
    """Exactness, seen from outside: one and two BLAS threads in fresh processes give the same bytes."""
    code = (
        "import hashlib, numpy as np; from bench.families.by_example.textures import texture_search; "
        "texture_search.THREAD_WORK = 10**5;"
        "from bench.families.by_example.textures.texture_synthesis import TextureSynthesis as T;"
        "e = np.random.default_rng(0).integers(0, 256, (48, 48, 3)).astype(np.uint8);"
        "print(hashlib.sha256(T().synthesize(e, (40, 40), 5, window=9).tobytes()).hexdigest())"
    )
    digests = set()
    for threads in ("1", "2"):
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
        }
        digests.add(
            subprocess.run(
                [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
            ).stdout
        )
    assert len(digests) == 1


@pytest.mark.parametrize("order", ["onion", "raster"])
def test_pictures_shared_out_to_threads_come_out_the_same(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five pictures on one thread, and their products on two and on three."""
    monkeypatch.setattr(subject, "THREAD_WORK", 10_000)
    exemplar, seeds = noise(20, 22, 3), [1, 2, 3, 4, 5]
    starts = [_canvas(exemplar, (15, 16), seed, None, None, TextureConfig(order=order)) for seed in seeds]
    canvases, known = zip(*starts, strict=True)
    config, counted = TextureConfig(window=7, order=order), set()
    results = []
    for threads in (1, 2, 3):
        filled: list[int] = []
        results.append(grow(exemplar, canvases, known, seeds, config, threads=threads, progress=filled.append))
        counted.add(sum(filled))
    assert counted == {5 * (15 * 16 - 9)}
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one.picture, two.picture)
            np.testing.assert_array_equal(one.sources, two.sources)
            assert (one.passes, one.threshold) == (two.passes, two.threshold)


def test_seed_decides() -> None:
    exemplar = noise(20, 20)[:, :, 0]
    system = TextureSynthesis()
    first = system.synthesize(exemplar, (20, 24), 1)
    assert first.shape == (20, 24)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, system.synthesize(exemplar, (20, 24), 1))
    assert (first != system.synthesize(exemplar, (20, 24), 2)).any()


def test_every_pixel_comes_from_the_exemplar() -> None:
    exemplar = noise(20, 20, 3)
    (grown,) = TextureSynthesis(TextureConfig(window=7)).growths(exemplar, (17, 19), [5])
    copied = grown.sources[:, :, 0] >= 0
    assert (~copied).sum() == 9, "all but the seed patch"
    rows, columns = np.moveaxis(grown.sources[copied], -1, 0)
    np.testing.assert_array_equal(grown.picture[copied], exemplar[rows, columns])
    assert rows.min() >= 3, "middles of whole windows"
    assert rows.max() <= 16, "middles of whole windows"


def test_a_regular_texture_is_continued() -> None:
    """Stripes of period 6 with a window that sees them: the result has that period all over."""
    exemplar = np.tile(np.repeat(np.array([0, 255], np.uint8), 3), (24, 4))
    picture = TextureSynthesis(TextureConfig(window=9)).synthesize(exemplar, (40, 40), 0)
    np.testing.assert_array_equal(picture[:, 6:], picture[:, :-6])
    assert picture.std() > 100


def test_hole_filling_keeps_what_is_known_and_mends_stripes() -> None:
    original = np.tile(np.repeat(np.array([0, 255], np.uint8), 3), (24, 4))
    mask = np.ones((24, 24), bool)
    mask[8:16, 7:17] = False
    broken = np.where(mask, original, 77).astype(np.uint8)
    system = TextureSynthesis(TextureConfig(window=5))
    filled = system.synthesize(broken, (24, 24), 0, initial=broken, mask=mask, exemplar_mask=mask)
    np.testing.assert_array_equal(filled, original)


def test_extrapolation_puts_the_known_in_the_middle() -> None:
    exemplar = noise(16, 16)[:, :, 0]
    picture = TextureSynthesis(TextureConfig(window=5)).synthesize(exemplar, (24, 22), 0, initial=exemplar)
    np.testing.assert_array_equal(picture[4:20, 3:19], exemplar)


def test_progress_counts_the_pixels() -> None:
    counts: list[int] = []
    TextureSynthesis(TextureConfig(window=5)).growths(noise(12, 12), (10, 10), [0], progress=counts.append)
    assert sum(counts) == 100 - 9


def test_constant_exemplar_gives_a_constant_picture() -> None:
    assert (TextureSynthesis().synthesize(np.full((20, 20), 93, np.uint8), (15, 15), 0) == 93).all()


def test_save_and_load(tmp_path: Path) -> None:
    config = build_config(TextureConfig, {"window": 7}, "here")
    TextureSynthesis(config).save(tmp_path)
    exemplar = noise(16, 16)
    again = TextureSynthesis.load(tmp_path, config)
    np.testing.assert_array_equal(
        again.synthesize(exemplar, (12, 12), 4), TextureSynthesis(config).synthesize(exemplar, (12, 12), 4)
    )


SAMPLE = noise(16, 16)[:, :, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"exemplar": SAMPLE[:8, :8]}, "smaller than the window"),
        ({"exemplar": SAMPLE.astype(np.uint16)}, "8-bit"),
        ({"exemplar": np.zeros((16, 16, 4), np.uint8)}, "alpha"),
        ({"size": (0, 4)}, "at least 1x1"),
        ({"initial": SAMPLE, "mask": np.zeros((16, 16), bool)}, "no pixel"),
        ({"initial": SAMPLE}, "nothing to synthesise"),
        ({"initial": SAMPLE, "mask": np.ones((4, 4), bool)}, "must be equal"),
        ({"initial": np.zeros((40, 4), np.uint8)}, "larger than the size"),
        ({"initial": np.zeros((8, 8, 3), np.uint8)}, "channels"),
        ({"mask": np.ones((16, 16), bool)}, "without initial"),
        ({"exemplar_mask": np.zeros((16, 16), bool)}, "wholly known"),
        ({"exemplar_mask": np.ones((4, 4), bool)}, "must be equal"),
        ({"window": 8}, "odd"),
        ({"windwo": 9}, "Did you mean 'window'"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, object], message: str) -> None:
    call: dict[str, object] = {"exemplar": SAMPLE, "size": (16, 16), "seed": 0, **arguments}
    with pytest.raises(BenchError, match=message):
        TextureSynthesis().synthesize(**call)  # type: ignore[arg-type]


def test_wholly_known_picture_comes_back_unchanged() -> None:
    np.testing.assert_array_equal(
        TextureSynthesis().synthesize(SAMPLE, (16, 16), 0, initial=SAMPLE, mask=np.ones((16, 16), bool)), SAMPLE
    )


def test_bad_config_names_the_place() -> None:
    with pytest.raises(BenchError, match=r"params\.yaml: order: must be one of"):
        build_config(TextureConfig, {"order": "spiral"}, "params.yaml")
