"""Image analogies against a pixel-by-pixel implementation of the paper (hence above 350 lines), what they must do, bad
input."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from bench.base.errors import BenchError
from bench.base.settings import build_config
from bench.contracts import AnalogySolver
from bench.families.by_example.analogies.analogy_colour import luminance, remapping, rgb_to_yiq, to_bytes, yiq_to_rgb
from bench.families.by_example.analogies.analogy_features import (
    LIMIT,
    Atlas,
    Windows,
    centred,
    pyramid,
    reduce,
    steerable_responses,
)
from bench.families.by_example.analogies.analogy_search import ExactSearch, TreeSearch, nearest
from bench.families.by_example.analogies.image_analogies import AnalogyConfig, ImageAnalogies

Picture = NDArray[np.uint8]


def smooth(height: int, width: int, channels: int = 1, seed: int = 0) -> Picture:
    """Smooth noise, ``(H, W)`` or ``(H, W, 3)``."""
    raw = np.random.default_rng(seed).normal(size=(height + 4, width + 4, channels))
    total = sum(raw[i : i + height, j : j + width] for i in range(5) for j in range(5))
    made = np.clip(np.asarray(total) * 12 + 128, 0, 255).astype(np.uint8)
    return made[:, :, 0] if channels == 1 else made


def blurred(picture: Picture) -> Picture:
    """A filter to learn: the mean of 3x3 pixels, darker."""
    padded = np.pad(picture.astype(float), ((1, 1), (1, 1)) + ((0, 0),) * (picture.ndim - 2), mode="symmetric")
    total = sum(padded[i : i + picture.shape[0], j : j + picture.shape[1]] for i in range(3) for j in range(3))
    return np.asarray(np.asarray(total) / 9 * 0.8).astype(np.uint8)


def decibels(a: Picture, b: Picture) -> float:
    return float(20 * np.log10(255) - 10 * np.log10(np.mean((a.astype(float) - b.astype(float)) ** 2) + 1e-12))


# --- the paper, one pixel at a time -------------------------------------------------------------------------------


class Reference:
    """CreateImageAnalogy of the authors' pseudo-code for grey pictures, with loops and whole numbers."""

    def __init__(self, config: AnalogyConfig) -> None:
        self.config = config
        self.radius, self.coarse_radius = config.window // 2, config.coarse_window // 2

    def half(self, picture: NDArray[Any]) -> NDArray[Any]:
        kernel = np.array([1, 4, 6, 4, 1]) / 16
        for axis in (0, 1):
            picture = correlate1d(picture, kernel, axis=axis, mode="reflect")
        return picture[::2, ::2]

    def at(self, picture: NDArray[Any], y: int, x: int) -> float:
        """A pixel, mirrored beyond the edge."""
        height, width = picture.shape
        y = -1 - y if y < 0 else 2 * height - 1 - y if y >= height else y
        x = -1 - x if x < 0 else 2 * width - 1 - x if x >= width else x
        return float(picture[y, x])

    def weights(self, radius: int, causal: bool = False) -> list[tuple[int, int, float]]:
        sigma = (2 * radius + 1) / 5
        cells = [(dy, dx) for dy in range(-radius, radius + 1) for dx in range(-radius, radius + 1)]
        cells = [cell for cell in cells if cell < (0, 0)] if causal else cells
        raw = [np.exp(-(dy * dy + dx * dx) / (2 * sigma * sigma)) for dy, dx in cells]
        return [(dy, dx, float(w / sum(raw))) for (dy, dx), w in zip(cells, raw, strict=True)]

    def scale(self, weights: list[float]) -> float:
        """Largest factor with which no rounded feature of values in -0.75..0.75 can be longer than the limit, by
        bisection."""
        low, high = 0.0, 1e5
        for _ in range(200):
            middle = (low + high) / 2
            longest = sum((middle * np.sqrt(w) * 0.75 + 0.5) ** 2 for w in weights)
            low, high = (middle, high) if longest <= LIMIT else (low, middle)
        return low

    def feature(self, level: dict[str, Any], side: str, y: int, x: int, before: NDArray[Any]) -> list[int]:
        """The feature of one pixel: ``before`` holds the target picture of this level."""
        weight = self.config.source_weight
        parts = [(self.at(level[side], y + dy, x + dx), weight * w) for dy, dx, w in self.weights(self.radius)]
        if "coarse" in level:
            coarse, there = level["coarse"], (y // 2, x // 2)
            cells = self.weights(self.coarse_radius)
            parts += [(self.at(coarse[side], there[0] + dy, there[1] + dx), weight * w) for dy, dx, w in cells]
            parts += [(self.at(coarse[side + "'"], there[0] + dy, there[1] + dx), w) for dy, dx, w in cells]
        parts += [(self.at(before, y + dy, x + dx), w) for dy, dx, w in self.weights(self.radius, causal=True)]
        if "scale" not in level:
            level["scale"] = self.scale([w for _, w in parts])
        factors = [np.float32(level["scale"] * np.sqrt(w)) for _, w in parts]
        values = [np.float32(min(max(v, -0.25), 1.25) - 0.5) for v, _ in parts]
        return [round(float(v * f)) for v, f in zip(values, factors, strict=True)]

    def solve(self, a: Picture, a_prime: Picture, b: Picture) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(sources, coherent) of the finest level."""
        levels = [{"a": a / 255, "a'": a_prime / 255, "b": b / 255}]
        side = min(*a.shape, *b.shape)
        while len(levels) < self.config.levels and (side + 1) // 2 >= 2 * self.config.window:
            side = (side + 1) // 2
            levels.append({key: self.half(picture) for key, picture in levels[-1].items()})
        levels.reverse()
        for number, level in enumerate(levels):
            if number:
                level["coarse"] = levels[number - 1]
            tolerance = 1 + 2.0 ** (number + 1 - len(levels)) * self.config.kappa
            sources, coherent = self.level(level, tolerance)
        return sources, coherent

    def level(self, level: dict[str, Any], tolerance: float) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        (height, width), (rows, columns) = level["a"].shape, level["b"].shape
        candidates = {(y, x): self.feature(level, "a", y, x, level["a'"]) for y in range(height) for x in range(width)}
        known = len(candidates[0, 0]) - len(self.weights(self.radius, causal=True))
        if "coarse" in level:  # what stands outside B' (its frame mirrors it) is the coarser level's
            guess = level["coarse"]["b'"].repeat(2, 0).repeat(2, 1)[:rows, :columns]
        else:
            guess = np.zeros((rows, columns))
            for y in range(rows):
                for x in range(columns):
                    query = self.feature(level, "b", y, x, guess)[:known]
                    best = min(candidates, key=lambda p: (self.distance(candidates[p][:known], query), p))
                    guess[y, x] = level["a'"][best]
            # What is not mirrored into the frame is never read.
        done = np.pad(guess, self.radius, mode="symmetric")
        framed = _Framed(done, self.radius)
        sources = np.zeros((rows, columns, 2), dtype=np.int64)
        coherent = np.zeros((rows, columns), dtype=bool)
        for y in range(rows):
            for x in range(columns):
                query = self.feature(level, "b", y, x, framed)  # type: ignore[arg-type]
                best = min(candidates, key=lambda p: (self.distance(candidates[p], query), p))
                follow = []
                for dy, dx, _ in self.weights(self.radius, causal=True):
                    if y + dy >= 0 and 0 <= x + dx < columns:
                        p = (int(sources[y + dy, x + dx, 0]) - dy, int(sources[y + dy, x + dx, 1]) - dx)
                        follow += [p] if p in candidates else []
                if follow:
                    along = min(follow, key=lambda p: self.distance(candidates[p], query))
                    if self.distance(candidates[along], query) <= self.distance(candidates[best], query) * tolerance:
                        best, coherent[y, x] = along, True
                sources[y, x] = best
                done[y + self.radius, x + self.radius] = level["a'"][best]
        level["b'"] = done[self.radius : -self.radius, self.radius : -self.radius].copy()
        return sources, coherent

    @staticmethod
    def distance(one: list[int], other: list[int]) -> int:
        return sum((p - q) ** 2 for p, q in zip(one, other, strict=True))


class _Framed:
    """A picture with a frame that may be asked beyond its edge."""

    def __init__(self, framed: NDArray[Any], radius: int) -> None:
        self.framed, self.radius = framed, radius
        self.shape = (10**6, 10**6)

    def __getitem__(self, place: tuple[int, int]) -> float:
        return float(self.framed[place[0] + self.radius, place[1] + self.radius])


class FramedReference(Reference):
    """B' is asked in its frame, which holds the guess of before it was filled."""

    def at(self, picture: Any, y: int, x: int) -> float:
        return picture[y, x] if isinstance(picture, _Framed) else super().at(picture, y, x)


@pytest.mark.parametrize(
    "options",
    [
        {"kappa": 0.0},
        {"kappa": 1.0, "source_weight": 1.0},
        {"kappa": 4.0, "levels": 1},
        {"kappa": 0.5, "coarse_window": 1},
    ],
    ids=str,
)
def test_same_sources_as_the_paper_pixel_by_pixel(options: dict[str, Any]) -> None:
    a, b = smooth(15, 21, seed=1), smooth(13, 12, seed=2)
    config = AnalogyConfig(
        **{"search": "exact", "remap": False, "levels": 2, "window": 3, "coarse_window": 3, **options}
    )
    (found,) = ImageAnalogies(config).solve([(a, blurred(a))], [b])
    sources, coherent = FramedReference(config).solve(a, blurred(a), b)
    np.testing.assert_array_equal(found.sources[:, :, 1:], sources)
    np.testing.assert_array_equal(found.coherent, coherent)
    np.testing.assert_array_equal(found.picture, blurred(a)[sources[:, :, 0], sources[:, :, 1]])
    assert 0.05 < coherent.mean() < 1.0, "both searches had their say"


def test_same_sources_as_the_paper_at_the_papers_window() -> None:
    a, b = smooth(21, 22, seed=3), smooth(20, 20, seed=4)
    config = AnalogyConfig(search="exact", remap=False, kappa=1.0, levels=2)
    (found,) = ImageAnalogies(config).solve([(a, blurred(a))], [b])
    sources, _ = FramedReference(config).solve(a, blurred(a), b)
    np.testing.assert_array_equal(found.sources[:, :, 1:], sources)


def test_tree_with_all_components_finds_what_exact_search_finds() -> None:
    a, b = smooth(36, 34, seed=1), smooth(22, 24, seed=2)
    exact, tree = (
        ImageAnalogies(
            AnalogyConfig(remap=False, levels=2, components=99, neighbours=2, epsilon=0.0, search=search)
        ).solve([(a, blurred(a))], [b])[0]
        for search in ("exact", "ann")
    )
    assert a.size >= 1024, "a tree is used"
    np.testing.assert_array_equal(exact.sources, tree.sources)


# --- parts --------------------------------------------------------------------------------------------------------


def test_reduce_is_the_binomial_of_burt_and_adelson() -> None:
    picture = np.random.default_rng(0).random((11, 8, 2))
    expected = np.stack([Reference(AnalogyConfig()).half(picture[:, :, c]) for c in range(2)], axis=2)
    np.testing.assert_allclose(reduce(picture), expected, atol=1e-12)
    assert [level.shape for level in pyramid(picture, 3)] == [(3, 2, 2), (6, 4, 2), (11, 8, 2)]


def test_features_are_whole_numbers_within_the_limit() -> None:
    for channels, weight in ((1, 1.0), (3, 3.0)):
        windows = Windows(5, 3, channels, channels, weight, oriented=4)
        extreme = centred(np.random.default_rng(0).choice([-3.0, 4.0], size=(12, 12, channels)))
        atlas, coarse = Atlas.of([extreme], 2), Atlas.of([extreme[:6, :6]], 2)
        known = windows.known_part(atlas, (coarse, coarse.values), np.full((144, 4), 0.75, np.float32))
        whole = np.concatenate([known, windows.causal_part(atlas.values, atlas.cells, atlas.stride)], axis=1)
        np.testing.assert_array_equal(whole, np.rint(whole))
        longest = (whole.astype(np.float64) ** 2).sum(axis=1).max()
        assert 0.98 * LIMIT < longest <= LIMIT


def test_exact_search_is_exact_and_takes_the_first_of_equals() -> None:
    rng = np.random.default_rng(0)
    features = rng.integers(-120, 120, size=(5000, 40)).astype(np.float32)
    features[4500] = features[20]
    queries = np.concatenate([features[[20, 4999]], rng.integers(-120, 120, size=(30, 40)).astype(np.float32)])
    distance = ((features[None].astype(np.int64) - queries[:, None].astype(np.int64)) ** 2).sum(axis=2)
    found = ExactSearch(features).shortlist(queries)[:, 0]
    np.testing.assert_array_equal(found, distance.argmin(axis=1))
    assert found[0] == 20


def test_nearest_ignores_missing_candidates() -> None:
    features = np.array([[0.0], [3.0], [5.0]], np.float32)
    found, distance = nearest(features, np.array([[4.0], [4.0]], np.float32), np.array([[-1, 2, 1], [-1, -1, -1]]))
    assert (found.tolist(), distance.tolist()) == ([2, -1], [1.0, np.inf])


def test_tree_shortlists_near_candidates() -> None:
    rng = np.random.default_rng(1)
    features = np.rint(rng.normal(size=(4000, 6)) @ rng.normal(size=(6, 40)) * 60).astype(np.float32)
    queries = np.rint(features[:50] + rng.normal(size=(50, 40)) * 5).astype(np.float32)
    shortlist = TreeSearch(features, components=8, neighbours=4, epsilon=1.0).shortlist(queries)
    assert shortlist.shape == (50, 4)
    best = ((features[None] - queries[:, None]) ** 2).sum(axis=2).argmin(axis=1)
    assert (shortlist == best[:, None]).any(axis=1).mean() > 0.9


def test_steering_equals_the_derivative_in_that_direction() -> None:
    y, x = np.indices((21, 21)) - 10.0
    for angle in (0.0, 30.0, 45.0, 120.0):
        along = np.cos(np.deg2rad(angle)) * x - np.sin(np.deg2rad(angle)) * y
        ridge = np.exp(-(along**2) / 2)  # steepest across, flat along
        responses = steerable_responses(ridge, np.arange(0.0, 180.0, 5.0))[10, 10] - 0.5
        assert np.arange(0, 180, 5)[np.abs(responses).argmax()] == angle
    turned = steerable_responses(np.rot90(ridge), (0.0,))
    np.testing.assert_allclose(turned, np.rot90(steerable_responses(ridge, (90.0,))), atol=1e-12)
    np.testing.assert_allclose(steerable_responses(np.full((9, 9), 0.7)), 0.5, atol=1e-12)


def test_yiq_there_and_back_and_its_luminance() -> None:
    picture = smooth(9, 8, 3) / 255
    np.testing.assert_allclose(yiq_to_rgb(rgb_to_yiq(picture)), picture, atol=1e-12)
    np.testing.assert_allclose(luminance(picture)[:, :, 0], picture @ [0.299, 0.587, 0.114], atol=1e-12)
    np.testing.assert_array_equal(to_bytes(picture), smooth(9, 8, 3))


def test_remapping_gives_mean_and_deviation() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.4, 0.1, 1000), rng.normal(0.6, 0.03, 1000)
    gain, offset = remapping(a, b)
    mapped = gain * b + offset
    assert (round(float(mapped.mean()), 9), round(float(mapped.std()), 9)) == (
        round(float(a.mean()), 9),
        round(float(a.std()), 9),
    )
    assert remapping(a, np.full(5, 0.2)) == (1.0, round(float(a.mean()) - 0.2, 12)), "a constant B is shifted only"


# --- what it must do ----------------------------------------------------------------------------------------------


def test_identity_analogy_gives_b() -> None:
    a = smooth(48, 40, 3, seed=5)
    assert isinstance(ImageAnalogies(), AnalogySolver)
    np.testing.assert_array_equal(ImageAnalogies(AnalogyConfig(search="exact", kappa=0.0)).analogy(a, a, a), a)
    b = smooth(24, 30, 3, seed=6)
    found = ImageAnalogies().analogy(a, a, b)
    assert decibels(found, b) > decibels(np.broadcast_to(b.mean(axis=(0, 1)), b.shape).astype(np.uint8), b) + 10


def test_learns_a_filter() -> None:
    a, b = smooth(64, 64, seed=7), smooth(32, 32, seed=8)
    for search in ("ann", "exact"):
        found = ImageAnalogies().analogy(a, blurred(a), b, search=search, remap=False, kappa=0.0)
        assert decibels(found, blurred(b)) > decibels(b, blurred(b)) + 10


def test_kappa_lengthens_coherent_copies() -> None:
    a, b = smooth(48, 48, seed=9), smooth(32, 32, seed=10)
    lengths = []
    for kappa in (0.0, 1.0, 8.0):
        (found,) = ImageAnalogies().solve([(a, blurred(a))], [b], kappa=kappa)
        steps = np.diff(found.sources, axis=1)
        lengths.append(float((steps == (0, 0, 1)).all(axis=2).mean()))
    assert lengths[0] < lengths[1] < lengths[2]


def test_remapping_sees_through_brightness_and_contrast() -> None:
    a = smooth(48, 48, seed=11)
    b = (a[:32, :32] * 0.4 + 120).astype(np.uint8)
    wanted = (blurred(a)[:32, :32] * 0.4 + 120).astype(np.uint8)
    error = {
        remap: decibels(ImageAnalogies().analogy(a, blurred(a), b, remap=remap), wanted) for remap in (True, False)
    }
    assert error[True] > error[False] + 6


def test_full_colour_copies_the_pixels_of_a_prime() -> None:
    a, a_prime, b = smooth(32, 32, seed=12), smooth(32, 32, 3, seed=13), smooth(20, 20, seed=14)
    (found,) = ImageAnalogies().solve([(a, a_prime)], [b], colour="full")
    assert found.picture.shape == (20, 20, 3)
    np.testing.assert_array_equal(found.picture, a_prime[found.sources[:, :, 1], found.sources[:, :, 2]])


def test_chroma_lies_under_the_luminance_of_b() -> None:
    base = smooth(32, 32, seed=15) // 2 + 64
    a_prime = to_bytes(
        yiq_to_rgb(np.stack([base / 255, np.full(base.shape, 0.08), np.full(base.shape, -0.05)], axis=2))
    )
    b = smooth(20, 20, seed=16) // 2 + 64
    found = ImageAnalogies().analogy(base, a_prime, b, colour="chroma")
    np.testing.assert_allclose(rgb_to_yiq(found / 255.0)[:, :, 0] * 255, b, atol=1.0)
    np.testing.assert_allclose(rgb_to_yiq(found / 255.0)[:, :, 1:].mean(axis=(0, 1)), [0.08, -0.05], atol=0.01)


def test_luminance_keeps_the_colours_of_b() -> None:
    a, b = smooth(32, 32, 3, seed=17), np.clip(smooth(20, 20, 3, seed=18), 90, 160)
    found = ImageAnalogies().analogy(a, a, b)
    np.testing.assert_allclose(rgb_to_yiq(found / 255.0)[:, :, 1:], rgb_to_yiq(b / 255.0)[:, :, 1:], atol=0.012)
    assert ImageAnalogies().analogy(a, a, b[:, :, 0]).shape == (20, 20), "grey B, grey answer"


def test_several_pairs_are_searched_together() -> None:
    left, right = smooth(24, 30, seed=19), smooth(26, 20, seed=20)
    system = ImageAnalogies(AnalogyConfig(search="exact", remap=False, kappa=0.0))
    (found,) = system.solve([(left, left), (right, right)], [right])
    assert (found.sources[:, :, 0] == 1).mean() > 0.9
    np.testing.assert_array_equal(found.picture, right)


@pytest.mark.parametrize("features", ["plain", "steerable"])
def test_each_answer_is_what_it_would_be_alone(features: str) -> None:
    a = smooth(40, 33, seed=21)
    pictures = [smooth(20, 26, seed=22), smooth(31, 21, seed=23), smooth(20, 26, seed=24)]
    system = ImageAnalogies(AnalogyConfig(features=features, levels=2))
    together = system.solve([(a, blurred(a))], pictures)
    for picture, one in zip(pictures, together, strict=True):
        (alone,) = system.solve([(a, blurred(a))], [picture])
        np.testing.assert_array_equal(alone.sources, one.sources)
        np.testing.assert_array_equal(alone.picture, one.picture)


def test_steerable_features_change_matches() -> None:
    a, b = smooth(32, 32, seed=25), smooth(20, 20, seed=26)
    plain, steered = (
        ImageAnalogies().solve([(a, a)], [b], features=name)[0].sources for name in ("plain", "steerable")
    )
    assert (plain != steered).any()


def test_progress_counts_the_work() -> None:
    a, b, done = smooth(45, 40), smooth(27, 31), []
    system = ImageAnalogies()
    system.solve([(a, a)], [b, b], progress=done.append)
    assert sum(done) == system.work([(a, a)], [b, b]) == 2 * (27 * 31 + 14 * 16)


PROGRAM = """
import hashlib, numpy as np
from bench.families.by_example.analogies.image_analogies import ImageAnalogies
rng = np.random.default_rng(3)
a, b = (rng.normal(size=(n, n)).cumsum(0).cumsum(1) for n in (48, 36))
a, b = (np.clip(x * 4 + 128, 0, 255).astype(np.uint8) for x in (a, b))
for search in ("ann", "exact"):
    found = ImageAnalogies().solve([(a, 255 - a)], [b], search=search)[0]
    print(hashlib.sha256(found.picture.tobytes() + found.sources.tobytes()).hexdigest())
"""


def test_same_picture_whatever_the_number_of_threads() -> None:
    printed = []
    for threads in ("1", "4"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads)}
        root = Path(__file__).parents[3]
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, cwd=root, capture_output=True, text=True, check=True
        )
        printed.append(done.stdout.split())
    assert printed[0] == printed[1]
    assert all(len(digest) == len(hashlib.sha256().hexdigest()) for digest in printed[0])


def test_seed_changes_nothing() -> None:
    a, b = smooth(20, 20), smooth(12, 12, seed=1)
    np.testing.assert_array_equal(ImageAnalogies().analogy(a, a, b, seed=0), ImageAnalogies().analogy(a, a, b, seed=9))


def test_save_and_load(tmp_path: Path) -> None:
    system = ImageAnalogies(AnalogyConfig(kappa=3.0))
    system.save(tmp_path)
    assert ImageAnalogies.load(tmp_path, system.config).config == system.config


# --- bad input ----------------------------------------------------------------------------------------------------


def refused(match: str, a: Any, a_prime: Any, b: Any, **options: Any) -> None:
    with pytest.raises(BenchError, match=match):
        ImageAnalogies().analogy(a, a_prime, b, **options)


def test_bad_input_is_refused_with_what_to_do() -> None:
    good = smooth(16, 16)
    refused("16x16 and 16x15: they must be the same picture before and after", good, good[:, :15], good)
    refused("A is 4x16, smaller than the window of 5x5", good[:4], good[:4], good)
    refused("B is 16x3, smaller than the window", good, good, good[:, :3])
    refused("A is uint16.*rescale it to 0..255", good.astype(np.uint16) * 257, good, good)
    refused("B is float64", good, good, good / 255)
    refused(r"A' has shape \(16, 16, 4\).*drop an alpha channel", good, np.zeros((16, 16, 4), np.uint8), good)
    refused("B has no pixels", good, good, good[:0])
    refused("unknown key 'kapa'. Did you mean 'kappa'", good, good, good, kapa=1)
    for key in ("kappa", "epsilon", "source_weight"):
        refused(f"{key}: must be a number of at least 0, not -1.0", good, good, good, **{key: -1.0})
    with pytest.raises(BenchError, match="at least one pair"):
        ImageAnalogies().solve([], [good])
    with pytest.raises(BenchError, match="A 2 and A' 2 are 16x16 and 16x9"):
        ImageAnalogies().solve([(good, good), (good, good[:, :9])], [good])


def test_bad_config_is_refused() -> None:
    for key, value in {
        "window": 4,
        "coarse_window": 7,
        "levels": 0,
        "search": "kd",
        "colour": "rgb",
        "features": "edges",
    }.items():
        with pytest.raises(BenchError, match=f"here: .*{key}"):
            build_config(AnalogyConfig, {key: value}, "here")


def test_smallest_pictures_and_constant_ones() -> None:
    tiny = smooth(5, 5)
    assert ImageAnalogies().analogy(tiny, tiny, tiny).shape == (5, 5)
    flat = np.full((16, 16), 90, np.uint8)
    np.testing.assert_array_equal(
        ImageAnalogies().analogy(flat, flat // 2, np.full((12, 12), 90, np.uint8), remap=False), 45
    )
