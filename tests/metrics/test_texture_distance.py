"""Texture distance: against scipy's Wasserstein distance, and its order of real texture and of what is none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom
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


def by_scipy(one: Picture, two: Picture) -> list[float]:
    """Level by level and direction by direction, with patches of scikit-learn; sides are powers of two."""
    found, size = [], one.shape[0]
    a, b = (image.reshape(size, size, -1).astype(float) for image in (one, two))
    while min(a.shape[:2]) >= 3 and len(found) < 4:
        halves = [np.stack([(i[y::2, x::2]) for y in (0, 1) for x in (0, 1)]).mean(axis=0) for i in (a, b)]
        last = min(halves[0].shape[:2]) < 3 or len(found) == 3
        bands = [a, b] if last else [i - zoom(h, (2, 2, 1), order=0) for i, h in zip((a, b), halves, strict=True)]
        dimensions = 9 * a.shape[2]
        directions = np.random.default_rng(0).normal(size=(dimensions, DIRECTIONS))
        directions /= np.sqrt((directions**2).sum(axis=0))
        distances = []
        for direction in directions.T:
            # scikit-learn's patches are (3, 3, C); the direction's entries belong to (C, 3, 3)
            shaped = direction.reshape(-1, 3, 3).transpose(1, 2, 0).ravel()
            sides = [extract_patches_2d(band, (3, 3)).reshape(-1, dimensions) @ shaped for band in bands]
            distances.append(wasserstein_distance(*sides))
        found.append(float(np.mean(distances)))
        a, b = halves
    return found


@pytest.mark.parametrize("shape", [(32, 32), (32, 32, 3), (16, 16), (64, 64)])
def test_equal_to_scipy(shape: tuple[int, ...]) -> None:
    one, two = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
    one = (one // 2 + np.arange(shape[1]).reshape(-1, *[1] * (len(shape) - 2))).astype(np.uint8)
    assert patch_wasserstein(one, two) == pytest.approx(by_scipy(one, two), rel=1e-9)


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
    "a corner tiled": lambda exemplar: np.tile(exemplar[:16, :16], (4, 4, 1)),
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


def quarter(exemplar: Picture) -> Picture:
    return exemplar[: SIDE // 2, : SIDE // 2]


REPEATED: dict[str, Callable[[Picture], Picture]] = {
    "copy": lambda one: one[:SIDE, :SIDE],
    "copy, one grey level up": lambda one: np.minimum(one[:SIDE, :SIDE], 254) + np.uint8(1),
    "mirrored": lambda one: one[:SIDE, SIDE - 1 :: -1],
    "wrapped around": lambda one: np.roll(one[:SIDE, :SIDE], (20, 31), (0, 1)),
    "quarter, tiled": lambda one: np.tile(quarter(one), (2, 2, 1)),
    "quarter, mirrored": lambda one: np.pad(quarter(one), ((0, SIDE // 2), (0, SIDE // 2), (0, 0)), mode="symmetric"),
}


@pytest.mark.parametrize("name", REPEATED)
def test_a_repeated_exemplar_does_not_beat_real_texture(
    name: str, real_textures: dict[str, Piece], unseen: Distances, real: Real
) -> None:
    """The mean over the textures, which ranks, within half the spread of single real pieces; tiles lose outright."""
    mean = np.mean([np.mean(values) for values in real.values()])
    spread = np.mean([np.std(values, ddof=1) for values in real.values()])
    found = np.mean([unseen[texture].of(REPEATED[name](piece.exemplar)) for texture, piece in real_textures.items()])
    assert found > (1.1 * mean if name.startswith("quarter") else mean - spread / 2)


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
    assert distance.unit.tolist() == [LEAST_UNIT] * 4
    assert distance.of(board[4:28, 6:30]) == 0.0
    assert distance.of(255 - board[:24, :24]) > 10.0


@pytest.mark.parametrize(("size", "levels"), [((64, 64), 4), ((24, 200), 4), ((23, 24), 3), ((3, 3), 1), ((2, 9), 0)])
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
