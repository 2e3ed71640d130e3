"""Texture distance: against scipy's Wasserstein distance, and its order of real texture and of what is none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.signal import convolve2d
from scipy.stats import wasserstein_distance
from sklearn.feature_extraction.image import extract_patches_2d

from bench.base.errors import BenchError
from bench.families.by_example.textures.sampling import Piece
from bench.metrics.texture_distance import (
    DIRECTIONS,
    LEAST_UNIT,
    TextureDistance,
    level_count,
    patch_wasserstein,
)

Picture = NDArray[np.uint8]
SIDE = 64


def smoothed(image: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """A dilated binomial kernel by scipy's convolution, channel by channel."""
    taps = np.zeros(2 * step + 1)
    taps[[0, step, -1]] = 0.25, 0.5, 0.25
    channels = [
        convolve2d(image[..., channel], np.outer(taps, taps), mode="valid") for channel in range(image.shape[2])
    ]
    return np.stack(channels, axis=2)


def by_scipy(one: Picture, two: Picture, levels: int) -> list[float]:
    """Level by level and direction by direction, with patches of scikit-learn."""
    found = []
    pair = [image.reshape(*image.shape[:2], -1).astype(float) for image in (one, two)]
    for level in range(levels):
        step = 2**level
        smooth = [smoothed(image, step) for image in pair]
        bands = [image[step:-step, step:-step] - low for image, low in zip(pair, smooth, strict=True)]
        bands, pair = (pair if level == levels - 1 else bands), smooth
        span, channels = 2 * step + 1, bands[0].shape[2]
        sides = [
            extract_patches_2d(band, (span, span)).reshape(-1, span, span, channels)[:, ::step, ::step]
            for band in bands
        ]
        directions = np.random.default_rng(0).normal(size=(DIRECTIONS, channels, 3, 3))
        distances = []
        for direction in directions:
            unit = direction.transpose(1, 2, 0) / np.sqrt((direction**2).sum())
            distances.append(wasserstein_distance(*((side * unit).sum(axis=(1, 2, 3)) for side in sides)))
        found.append(float(np.mean(distances)))
    return found


@pytest.mark.parametrize(("shape", "levels"), [((32, 33), 4), ((20, 17, 3), 3), ((7, 30), 2), ((5, 6), 1)])
def test_equal_to_scipy(shape: tuple[int, ...], levels: int) -> None:
    one, two = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
    one = (one // 2 + np.arange(shape[1]).reshape(-1, *[1] * (len(shape) - 2))).astype(np.uint8)
    assert patch_wasserstein(one, two) == pytest.approx(by_scipy(one, two, levels), rel=1e-9)


def flat(values: NDArray[np.float64]) -> Picture:
    return np.broadcast_to(values.round().astype(np.uint8), (SIDE, SIDE, len(values)))


def noise(exemplar: Picture) -> Picture:
    pixels = exemplar.reshape(-1, exemplar.shape[2])
    return np.random.default_rng(0).choice(pixels, (SIDE, SIDE))


def shuffled(exemplar: Picture) -> Picture:
    values = exemplar[:SIDE, :SIDE]
    return np.random.default_rng(0).permutation(values.reshape(-1, values.shape[2])).reshape(values.shape)


def blurred(sigma: float) -> Callable[[Picture], Picture]:
    return lambda exemplar: gaussian_filter(exemplar[:SIDE, :SIDE], sigma, axes=(0, 1))


GARBAGE: dict[str, Callable[[Picture], Picture]] = {
    "noise of the exemplar's histogram": noise,
    "pixels shuffled": shuffled,
    "blur of sigma 1": blurred(1),
    "blur of sigma 4": blurred(4),
    "mean colour": lambda exemplar: flat(exemplar.mean(axis=(0, 1))),
    "median colour": lambda exemplar: flat(np.median(exemplar, axis=(0, 1))),
}


def crops(piece: Picture) -> list[Picture]:
    """Corners of a piece."""
    ys, xs = (sorted({0, length - SIDE}) for length in piece.shape[:2])
    return [piece[y : y + SIDE, x : x + SIDE] for y in ys for x in xs]


@pytest.fixture(scope="module")
def unseen(real_textures: dict[str, Piece]) -> dict[str, TextureDistance]:
    """As generators are measured: against the held-out piece."""
    return {
        name: TextureDistance(piece.held_out, piece.exemplar, (SIDE, SIDE)) for name, piece in real_textures.items()
    }


@pytest.fixture(scope="module")
def real(real_textures: dict[str, Piece]) -> dict[str, list[float]]:
    """Held-out pictures as the ceiling row is measured: against the exemplar."""
    found = {}
    for name, piece in real_textures.items():
        distance = TextureDistance(piece.exemplar, piece.held_out, (SIDE, SIDE))
        found[name] = [distance.of(crop) for crop in crops(piece.held_out)]
    return found


Distances = dict[str, TextureDistance]
Real = dict[str, list[float]]


@pytest.mark.parametrize("name", GARBAGE)
def test_real_texture_beats_garbage_in_every_texture(
    name: str, real_textures: dict[str, Piece], unseen: Distances, real: Real
) -> None:
    for texture, piece in real_textures.items():
        garbage = unseen[texture].of(GARBAGE[name](piece.exemplar))
        assert garbage > 1.25 * np.mean(real[texture]), texture


def phases_at_random(exemplar: Picture) -> Picture:
    """The same spectrum in each channel, and no structure (Galerne et al. 2011)."""
    values = exemplar[:SIDE, :SIDE].astype(float)
    phases = np.angle(np.fft.fft2(np.random.default_rng(0).normal(size=(SIDE, SIDE))))[..., None]
    phases[0, 0] = 0
    made = np.fft.ifft2(np.fft.fft2(values, axes=(0, 1)) * np.exp(1j * phases), axes=(0, 1)).real
    return np.clip(made.round(), 0, 255).astype(np.uint8)


def quarter(exemplar: Picture) -> Picture:
    return exemplar[: SIDE // 2, : SIDE // 2]


NEAR: dict[str, Callable[[Picture], Picture]] = {
    "copy": lambda one: one[:SIDE, :SIDE],
    "copy, one grey level up": lambda one: np.minimum(one[:SIDE, :SIDE], 254) + np.uint8(1),
    "mirrored": lambda one: one[:SIDE, SIDE - 1 :: -1],
    "wrapped around": lambda one: np.roll(one[:SIDE, :SIDE], (20, 31), (0, 1)),
    "phases at random": phases_at_random,
    "corner, tiled": lambda one: np.tile(one[: SIDE // 4, : SIDE // 4], (4, 4, 1)),
    "quarter, tiled": lambda one: np.tile(quarter(one), (2, 2, 1)),
    "quarter, mirrored": lambda one: np.pad(quarter(one), ((0, SIDE // 2), (0, SIDE // 2), (0, 0)), mode="symmetric"),
}


@pytest.mark.parametrize("name", NEAR)
def test_copies_and_what_keeps_much_of_the_exemplar_do_not_beat_real_texture(
    name: str, real_textures: dict[str, Piece], unseen: Distances, real: Real
) -> None:
    """The mean over the textures, which ranks, within half the spread of single real pieces; tiles and phases lose."""
    mean = np.mean([np.mean(values) for values in real.values()])
    spread = np.mean([np.std(values, ddof=1) for values in real.values()])
    found = np.mean([unseen[texture].of(NEAR[name](piece.exemplar)) for texture, piece in real_textures.items()])
    assert found > (1.1 * mean if name.startswith(("corner", "quarter", "phases")) else mean - spread / 2)


def test_more_blur_is_worse(real_textures: dict[str, Piece], unseen: Distances) -> None:
    for texture, piece in real_textures.items():
        found = [unseen[texture].of(blurred(sigma)(piece.exemplar)) for sigma in (0.5, 1, 2, 4)]
        assert found == sorted(found), texture


def test_two_real_pieces_have_distance_one(real_textures: dict[str, Piece], unseen: Distances) -> None:
    for texture in ("brick", "grass", "gravel", "tissue", "wood", "stars"):  # of 64 pixels; that of the page is larger
        assert unseen[texture].of(real_textures[texture].exemplar) == pytest.approx(1.0)


def test_a_texture_without_variation_between_pieces_has_the_least_unit() -> None:
    board = (np.indices((32, 64)).sum(0) % 2 * 200).astype(np.uint8)
    distance = TextureDistance(board[:, 32:], board[:, :32], (24, 24))
    assert distance.unit.tolist() == [LEAST_UNIT] * 3
    assert distance.of(board[4:28, 6:30]) == 0.0
    assert distance.of(255 - board[:24, :24]) > 10.0


@pytest.mark.parametrize(("size", "levels"), [((64, 64), 4), ((31, 200), 4), ((30, 31), 3), ((3, 6), 1), ((2, 9), 0)])
def test_levels_that_hold_a_patch(size: tuple[int, int], levels: int) -> None:
    assert level_count(size) == levels
    if levels:
        image = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
        assert patch_wasserstein(image, image).tolist() == [0.0] * levels


def test_larger_pictures_are_compared_by_crops_of_the_pieces_size() -> None:
    rng = np.random.default_rng(0)
    piece, other = rng.integers(0, 256, (2, 24, 24), dtype=np.uint8)
    distance = TextureDistance(piece, other, (40, 24))
    picture = rng.integers(0, 256, (40, 24), dtype=np.uint8)
    halves = [TextureDistance(piece, other, (24, 24)).of(picture[rows]) for rows in (slice(0, 24), slice(16, 40))]
    assert distance.size == (24, 24)
    assert distance.of(picture) == pytest.approx(np.mean(halves))


def test_what_does_not_fit_is_refused() -> None:
    grey, colour = np.zeros((20, 20), np.uint8), np.zeros((20, 20, 3), np.uint8)
    with pytest.raises(BenchError, match="same channels"):
        TextureDistance(grey, colour, (20, 20))
    with pytest.raises(BenchError, match="at least 3x3"):
        TextureDistance(grey[:, :0], grey, (20, 20))
    with pytest.raises(BenchError, match="1 channels"):
        TextureDistance(grey, grey, (20, 20)).of(colour)
    with pytest.raises(BenchError, match="1 channels of 20x20"):
        TextureDistance(grey, grey, (20, 20)).of(grey[:19])
    with pytest.raises(BenchError, match="one shape"):
        patch_wasserstein(grey, grey[:19])
