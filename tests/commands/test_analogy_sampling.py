"""``bench sample analogy`` on files: formats, sheet, progress, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bench.base.errors import BenchError
from bench.commands.analogy_sampling import run_analogy
from bench.families.by_example.analogies.image_analogies import ImageAnalogies


def write(path: Path, picture: NDArray[np.generic]) -> Path:
    Image.fromarray(picture).save(path)
    return path


@pytest.fixture
def pictures() -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    raw = np.random.default_rng(0).normal(size=(26, 24, 3)).cumsum(axis=0).cumsum(axis=1)
    a = np.clip(raw * 6 + 128, 0, 255).astype(np.uint8)
    return a, 255 - a, a[4:20, 2:22]


def test_writes_b_prime_and_a_sheet(
    tmp_path: Path, pictures: tuple[NDArray[np.uint8], ...], capsys: pytest.CaptureFixture[str]
) -> None:
    a, a_prime, b = (write(tmp_path / f"{name}.png", one) for name, one in zip("apb", pictures, strict=True))
    made = run_analogy(
        [a], [a_prime], b, tmp_path / "out.png", sheet=tmp_path / "sheet.png", options={"colour": "full", "kappa": 2}
    )
    expected = ImageAnalogies().analogy(*pictures, colour="full", kappa=2)
    np.testing.assert_array_equal(made, expected)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), expected)
    assert Image.open(tmp_path / "sheet.png").size == (24 + 24 + 20 + 20 + 3 * 4, 26)
    assert "out.png: 20x16 pixels" in capsys.readouterr().out


def test_alpha_and_sixteen_bits_are_read(tmp_path: Path, pictures: tuple[NDArray[np.uint8], ...]) -> None:
    grey = pictures[0][:, :, 0]
    deep = write(tmp_path / "deep.png", grey.astype(np.uint16) * 257)
    clear = np.dstack([grey, grey, grey, np.where(np.arange(24) < 12, 255, 0) + np.zeros((26, 1), int)]).astype(
        np.uint8
    )
    alpha = write(tmp_path / "alpha.png", clear)
    made = run_analogy([deep], [deep], alpha, tmp_path / "out.png", quiet=True, options={"remap": False})
    over_white = np.where(np.arange(24)[None, :, None] < 12, clear[:, :, :3], 255).astype(np.uint8)
    np.testing.assert_array_equal(made, ImageAnalogies().analogy(grey, grey, over_white, remap=False))


def test_several_pairs(tmp_path: Path, pictures: tuple[NDArray[np.uint8], ...]) -> None:
    files = [
        write(tmp_path / f"{i}.png", np.ascontiguousarray(one))
        for i, one in enumerate((pictures[0], pictures[0][:, ::-1]))
    ]
    made = run_analogy(files, files, files[1], tmp_path / "out.png", quiet=True)
    np.testing.assert_allclose(made.astype(int), pictures[0][:, ::-1], atol=3)


def test_what_is_wrong_is_said(tmp_path: Path, pictures: tuple[NDArray[np.uint8], ...]) -> None:
    a = write(tmp_path / "a.png", pictures[0])
    small = write(tmp_path / "small.png", pictures[0][:10])
    with pytest.raises(BenchError, match="26x24 and 10x24: they must be the same picture before and after"):
        run_analogy([a], [small], a, tmp_path / "out.png", quiet=True)
    with pytest.raises(BenchError, match="name 1 and 2 pictures"):
        run_analogy([a], [a, a], a, tmp_path / "out.png", quiet=True)
    with pytest.raises(BenchError, match=r"out.jpg: pictures are written as .png"):
        run_analogy([a], [a], a, tmp_path / "out.jpg", quiet=True)
    with pytest.raises(BenchError, match="unknown key 'kapa'"):
        run_analogy([a], [a], a, tmp_path / "out.png", quiet=True, options={"kapa": 1})
    with pytest.raises(BenchError, match=r"none.png"):
        run_analogy([a], [a], tmp_path / "none.png", tmp_path / "out.png", quiet=True)
    assert not (tmp_path / "out.png").exists()
