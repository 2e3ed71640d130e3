"""Near-copied share: against a search that loops, on copies in disguise, and on real texture that copies nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.families.by_example.textures.sampling import Piece
from bench.metrics.near_copies import CORRELATION, best_correlations, near_copied_share

Picture = NDArray[np.uint8]
SIDE = 40


@pytest.mark.parametrize("channels", [1, 3])
def test_correlations_equal_a_literal_search(channels: int) -> None:
    rng = np.random.default_rng(0)
    exemplar, output = rng.integers(0, 256, (11, 12, channels)), rng.integers(0, 256, (10, 9, channels))
    output[2:8, 1:8] = 0.5 * exemplar[3:9, 4:11] + 60
    size = 5

    def centred(image: NDArray[np.int64], y: int, x: int) -> NDArray[np.float64]:
        patch = image[y : y + size, x : x + size].astype(float)
        return np.concatenate([patch[..., channel].ravel() - patch[..., channel].mean() for channel in range(channels)])

    found, rows, columns = best_correlations(output, exemplar, size, stride=1)
    assert (rows.tolist(), columns.tolist()) == ([*range(6)], [*range(5)])
    known = [centred(exemplar, y, x) for y in range(7) for x in range(8)]
    for y in rows:
        for x in columns:
            one = centred(output, y, x)
            expected = max(one @ two / np.sqrt((one @ one) * (two @ two)) for two in known)
            assert found[y, x] == pytest.approx(expected, abs=1e-5)
    assert found.max() > CORRELATION


def with_noise(picture: Picture) -> Picture:
    noise = np.random.default_rng(0).integers(-2, 3, picture.shape)
    return np.clip(picture.astype(int) + noise, 0, 255).astype(np.uint8)


DISGUISES: dict[str, Callable[[Picture], Picture]] = {
    "none": lambda picture: picture,
    "one grey level up": lambda picture: np.minimum(picture, 254) + np.uint8(1),
    "one grey level down": lambda picture: np.maximum(picture, 1) - np.uint8(1),
    "noise of two grey levels": with_noise,
    "dimmed by a fifth": lambda picture: np.rint(picture * 0.8).astype(np.uint8),
    "dimmed, brightened, noise": lambda picture: with_noise(np.rint(picture * 0.7 + 40).astype(np.uint8)),
    "tinted": lambda picture: np.clip(picture + 10.0 * np.arange(picture.shape[2]), 0, 255).astype(np.uint8),
    "every other column its own noise": lambda picture: np.where(
        np.arange(SIDE)[None, :, None] % 2, picture, with_noise(picture)
    ),
}


@pytest.mark.parametrize("name", DISGUISES)
def test_copies_in_disguise_are_found_in_every_texture(name: str, real_textures: dict[str, Piece]) -> None:
    for texture, piece in real_textures.items():
        assert near_copied_share(DISGUISES[name](piece.exemplar[:SIDE, :SIDE]), piece.exemplar) > 0.95, texture


def test_real_texture_reaches_the_correlation_in_under_one_per_cent_of_the_places(
    real_textures: dict[str, Piece],
) -> None:
    for texture, piece in real_textures.items():
        held_out = piece.held_out[-100:, -100:]
        assert (best_correlations(held_out, piece.exemplar)[0] >= CORRELATION).mean() < 0.01, texture
        assert near_copied_share(held_out, piece.exemplar) < 0.1, texture


def test_share_is_that_of_the_pixels_under_copied_patches() -> None:
    rng = np.random.default_rng(0)
    exemplar, canvas = rng.integers(0, 200, (2, 40, 40), dtype=np.uint8)
    canvas[:20, :20] = exemplar[7:27, 9:29] + 30
    assert near_copied_share(canvas, exemplar, 10) == 0.25
    assert near_copied_share(canvas[:, 20:], exemplar, 10) == 0.0
    assert near_copied_share(255 - exemplar, exemplar, 10) == 0.0, "a negative is another texture"


def test_an_odd_rest_of_the_stride_is_covered() -> None:
    exemplar = np.random.default_rng(0).integers(0, 256, (18, 22), dtype=np.uint8)
    assert near_copied_share(exemplar, exemplar, 5) == near_copied_share(exemplar, exemplar, 8) == 1.0


def test_flat_patches_copy_nothing() -> None:
    page = np.full((30, 30), 250, dtype=np.uint8)
    faint = page + np.random.default_rng(0).integers(0, 2, page.shape, dtype=np.uint8)
    assert near_copied_share(page, page, 9) == near_copied_share(faint, faint, 9) == 0.0


@pytest.mark.parametrize(
    ("output", "exemplar"),
    [((20, 20, 3), (20, 20)), ((14, 20), (20, 20)), ((20, 20), (20, 14)), ((20, 20), (20, 20, 4))],
)
def test_textures_that_do_not_fit_are_refused(output: tuple[int, ...], exemplar: tuple[int, ...]) -> None:
    with pytest.raises(BenchError, match="cannot be compared"):
        near_copied_share(np.zeros(output, np.uint8), np.zeros(exemplar, np.uint8))
