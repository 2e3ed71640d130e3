"""A picture with NaN or infinity is never written, and the error names who drew it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from bench.base.errors import BenchError
from bench.base.files import SampleSet, write_image_samples
from bench.base.finite import NotFiniteError, drawn_by, pixels_of, rounded_pixels
from bench.commands.sampling import _write_pictures
from bench.context import StageContext
from bench.families.by_example.analogies.analogy_colour import to_bytes
from bench.families.codecs.vqvae import VQVAE, VQVAEConfig
from bench.nn.blocks import tensor_to_images
from bench.pipeline.arms import sample
from bench.results.pictures import grid, png, png_bytes

BAD = [np.nan, np.inf, -np.inf]


@pytest.mark.parametrize("bad", BAD)
def test_no_way_out_of_the_numbers_lets_it_pass(tmp_path: Path, bad: float) -> None:
    picture = np.full((4, 4, 3), 0.5)
    picture[1, 2, 0] = bad
    tensor = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    ways: list[Any] = [
        lambda: tensor_to_images(tensor),
        lambda: tensor_to_images(tensor.bfloat16()),
        lambda: to_bytes(picture),
        lambda: rounded_pixels(picture),
        lambda: pixels_of(picture),
        lambda: png_bytes(picture),
        lambda: png(picture, 16),
        lambda: grid(picture[None]),
    ]
    for way in ways:
        with pytest.raises(NotFiniteError, match="holds NaN or infinity and is not written"):
            way()
    with pytest.raises(NotFiniteError, match=r"^guidance=9: a picture holds NaN"):
        write_image_samples(tmp_path / "a.npz", [SampleSet("guidance=9", picture[None])])  # type: ignore[arg-type]
    with pytest.raises(NotFiniteError):
        _write_pictures([picture], tmp_path / "a.png", 1)
    assert list(tmp_path.iterdir()) == []


def test_values_are_rounded_and_never_wrap_around() -> None:
    assert rounded_pixels(np.array([-0.4, 254.6, 1e9, -1e9])).tolist() == [0, 255, 255, 0]
    assert to_bytes(np.array([-0.1, 0.5, 1.2])).tolist() == [0, 128, 255]
    assert tensor_to_images(torch.tensor([-1.0, 1.0]).reshape(1, 1, 1, 2)).ravel().tolist() == [0, 255]
    same = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert np.array_equal(pixels_of(same.astype(np.int64)), same)
    for outside in (same.astype(np.int64) - 1, same * 30.0):
        with pytest.raises(BenchError, match="pixels are 0 to 255"):
            png_bytes(outside)


def test_a_diverged_model_is_named_with_its_variant() -> None:
    codec = VQVAE(VQVAEConfig(widths=(8,), codes=4, dim=2, blocks=0))
    with torch.no_grad():
        for parameter in codec.network.decoder.parameters():
            parameter.fill_(float("nan"))

    def draw(context: StageContext) -> list[SampleSet]:
        with drawn_by("steps=10"):
            return [SampleSet("steps=10", codec.decode(np.zeros((1, 2, 2), np.int64)))]

    block = {"system": "vqvae", "dataset": "x"}
    context = StageContext("my-codec", "codecs", block, 0, "cpu", Path(), Path())
    module: ModuleType = SimpleNamespace(sample=draw)  # type: ignore[assignment]
    with pytest.raises(NotFiniteError, match=r"^my-codec: steps=10: a picture holds NaN"):
        sample(module, context)
