"""Floor, ceiling and planted memoriser of the textures."""

from __future__ import annotations

import numpy as np
import pytest

from bench.by_example.dummy_texture import DummyTexture
from bench.by_example.memoriser_texture import MemoriserTexture
from bench.by_example.real_texture import RealTexture
from bench.contracts import Synthesizer
from bench.errors import BenchError

EXEMPLAR = np.random.default_rng(0).integers(0, 256, (20, 24, 3)).astype(np.uint8)


@pytest.mark.parametrize("system", [DummyTexture(), MemoriserTexture(), RealTexture()])
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
    np.testing.assert_array_equal(np.sort(picture[:20, :24].reshape(-1, 3), axis=0), np.sort(EXEMPLAR.reshape(-1, 3), axis=0))


@pytest.mark.parametrize("system", [DummyTexture(), MemoriserTexture()])
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
