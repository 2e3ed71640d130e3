"""Floor, ceiling and planted memoriser of the textures."""

from __future__ import annotations

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.base.settings import build_config
from bench.contracts import Synthesizer
from bench.families.by_example.exemplars import placed
from bench.families.by_example.textures.biharmonic_texture import BiharmonicTexture, BiharmonicTextureConfig
from bench.families.by_example.textures.dummy_texture import DummyTexture
from bench.families.by_example.textures.memoriser_texture import MemoriserTexture
from bench.families.by_example.textures.real_texture import RealTexture

EXEMPLAR = np.random.default_rng(0).integers(0, 256, (20, 24, 3)).astype(np.uint8)


@pytest.mark.parametrize("system", [DummyTexture(), MemoriserTexture(), BiharmonicTexture(), RealTexture()])
def test_contract(system: Synthesizer) -> None:
    first = system.synthesize(EXEMPLAR, (12, 14), 1, held_out=EXEMPLAR)
    assert isinstance(system, Synthesizer)
    assert first.shape == (12, 14, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, system.synthesize(EXEMPLAR, (12, 14), 1, held_out=EXEMPLAR))
    assert any((first != system.synthesize(EXEMPLAR, (12, 14), seed, held_out=EXEMPLAR)).any() for seed in range(2, 6))


def test_dummy_has_the_exemplars_colours_and_no_structure() -> None:
    stripes = np.tile(np.array([0, 200], np.uint8), (64, 32))
    picture = DummyTexture().synthesize(stripes, (64, 64), 0)
    assert set(np.unique(picture)) == {0, 200}
    assert abs(picture.mean() - 100) < 10
    assert abs(np.corrcoef(picture[:, 1:].ravel(), picture[:, :-1].ravel())[0, 1]) < 0.1


def test_memoriser_tiles_the_exemplar() -> None:
    picture = MemoriserTexture().synthesize(EXEMPLAR, (40, 48), 3)
    np.testing.assert_array_equal(picture[:20], picture[20:])
    np.testing.assert_array_equal(picture[:, :24], picture[:, 24:])
    np.testing.assert_array_equal(
        np.sort(picture[:20, :24].reshape(-1, 3), axis=0), np.sort(EXEMPLAR.reshape(-1, 3), axis=0)
    )


@pytest.mark.parametrize("system", [DummyTexture(), MemoriserTexture(), BiharmonicTexture()])
def test_known_pixels_are_kept(system: Synthesizer) -> None:
    initial, mask = np.full((12, 12, 3), 7, np.uint8), np.eye(12, dtype=bool)
    assert (system.synthesize(EXEMPLAR, (12, 12), 0, initial=initial, mask=mask)[mask] == 7).all()


def test_ceiling_deals_pieces_of_the_held_out_picture() -> None:
    held_out = EXEMPLAR[:, ::-1] // 2
    picture = RealTexture().synthesize(EXEMPLAR, (12, 12), 0, held_out=held_out)
    windows = np.lib.stride_tricks.sliding_window_view(held_out, (12, 12, 3))
    assert (windows[:, :, 0] == picture).all(axis=(2, 3, 4)).any()


def test_ceiling_refuses_a_picture_that_is_too_small() -> None:
    with pytest.raises(BenchError, match="at least 12x12, and got one of 5x5"):
        RealTexture().synthesize(EXEMPLAR, (12, 12), 0, held_out=EXEMPLAR[:5, :5])


def test_a_hole_gets_the_piece_whose_surroundings_fit_best() -> None:
    """Against every shift tried by hand, on a picture that is not the exemplar; a planted copy is found exactly."""
    rng = np.random.default_rng(1)
    exemplar, mask = rng.integers(0, 256, (22, 25, 3)).astype(np.uint8), np.ones((16, 17), bool)
    mask[6:9, 7:11] = False
    picture = rng.integers(0, 256, (16, 17, 3)).astype(np.uint8)
    used = np.zeros_like(mask)
    used[0:15, 1:17] = mask[0:15, 1:17]  # six pixels around the hole
    costs = {}
    for dy in range(22 - 15 + 1):
        for dx in range(25 - 16 + 1):
            shifted = np.zeros_like(picture)
            shifted[0:15, 1:17] = exemplar[dy : dy + 15, dx : dx + 16]
            costs[dy, dx] = ((shifted.astype(int) - picture)[used] ** 2).sum()
    dy, dx = min(costs, key=lambda shift: costs[shift])
    filled = MemoriserTexture().synthesize(exemplar, (16, 17), 0, initial=picture, mask=mask)
    np.testing.assert_array_equal(filled[6:9, 7:11], exemplar[dy + 6 : dy + 9, dx + 6 : dx + 10])
    np.testing.assert_array_equal(filled[mask], picture[mask])
    planted = exemplar[3:19, 5:22]
    np.testing.assert_array_equal(
        MemoriserTexture().synthesize(exemplar, (16, 17), 0, initial=planted, mask=mask), planted
    )


def test_a_small_exemplar_is_copied_with_its_other_edge() -> None:
    """Stripes of period 6 wrap around: the hole is filled right although no piece of the exemplar is large enough."""
    stripes = np.tile(np.repeat(np.array([0, 255], np.uint8), 3), (30, 5))
    mask = np.ones((30, 30), bool)
    mask[8:22, 9:20] = False
    filled = MemoriserTexture().synthesize(stripes[:12, :12], (30, 30), 0, initial=stripes, mask=mask)
    np.testing.assert_array_equal(filled, stripes)


def test_the_smoothest_surface_through_a_ramp_is_the_ramp() -> None:
    ramp = np.add.outer(np.arange(20) * 3, np.arange(24) * 5).astype(np.uint8)
    mask = np.ones((20, 24), bool)
    mask[6:14, 7:17] = False
    broken = np.where(mask, ramp, 0).astype(np.uint8)
    np.testing.assert_array_equal(BiharmonicTexture().synthesize(ramp, (20, 24), 0, initial=broken, mask=mask), ramp)


def test_smooth_floor_bends_less_than_it_was_given() -> None:
    smooth = BiharmonicTexture(BiharmonicTextureConfig(knots=20)).synthesize(EXEMPLAR, (20, 24), 1).astype(int)
    assert np.abs(np.diff(smooth, axis=1)).mean() < 0.6 * np.abs(np.diff(EXEMPLAR.astype(int), axis=1)).mean()
    with pytest.raises(BenchError, match="knots: must be a whole number of at least 2"):
        build_config(BiharmonicTextureConfig, {"knots": 1}, "here")


def test_content_is_placed_in_the_middle() -> None:
    canvas, known = placed(np.full((2, 3), 5, np.uint8), np.array([[True, False, True]] * 2), (5, 5))
    assert known.tolist() == [
        [False] * 5,
        [False, True, False, True, False],
        [False, True, False, True, False],
        [False] * 5,
        [False] * 5,
    ]
    assert (canvas[1:3, 1:4] == 5).all()
    assert canvas.sum() == 30
