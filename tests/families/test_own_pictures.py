"""Pictures of any size and number of channels train, or the error names the key that does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.contracts import RunContext
from bench.data.datasets import ImageSplit
from bench.inference import parse_request, predict
from bench.registry import resolve

CAPTIONS = ["a red three", "a blue seven"]


def split(height: int, width: int, channels: int, n: int = 16) -> ImageSplit:
    images = np.random.default_rng(0).integers(0, 255, (n, height, width, channels), dtype=np.uint8)
    return ImageSplit(images, np.arange(n) % 2, [CAPTIONS[i % 2] for i in range(n)])


def fitted(system: str, data: ImageSplit, **model: Any) -> Any:
    cls = resolve(system)
    made = cls(cls.Config(**model))
    run = RunContext(name="mine", seed=0, train={"steps": 1, "batch_size": 4})
    made.fit({"train": data, "validation": data}, run)
    return made


@pytest.mark.parametrize(
    ("system", "model", "shape", "said"),
    [
        ("resnet", {}, (17, 23, 3), r"mine: model\.size: \(28, 28\) does not fit .*, whose size is \(17, 23\); `size`"),
        ("resnet", {"size": 16}, (16, 16, 3), r"model\.channels: 1 does not fit .*, whose channels is 3"),
        ("resnet", {"size": 20}, (28, 28, 1), r"model\.size: \(20, 20\)"),
        ("vqvae", {}, (28, 28, 3), r"model\.channels: 1"),
        (
            "vqvae",
            {"channels": 3},
            (17, 23, 3),
            r"model\.widths: pictures of train are 17x23, and must be multiples of 4",
        ),
        ("vqvae", {}, (30, 28, 1), r"model\.widths: .* 30x28"),
        ("kl_vae", {"channels": 3}, (17, 23, 3), r"model\.widths: .* 17x23, and must be multiples of"),
        ("kl_vae", {"channels": 3}, (32, 32, 1), r"model\.channels: 3"),
        ("ddpm", {"classes": 2}, (17, 23, 3), r"model\.widths: .* 17x23, and must be multiples of 4"),
        ("ddpm", {"classes": 2}, (28, 30, 1), r"model\.widths: .* 28x30"),
        ("clip", {}, (17, 23, 3), r"model\.size: \(32, 32\) does not fit .*, whose size is \(17, 23\)"),
        ("clip", {}, (32, 32, 1), r"model\.channels: 3"),
    ],
)
def test_what_does_not_fit_is_named(system: str, model: dict[str, Any], shape: tuple[int, int, int], said: str) -> None:
    with pytest.raises(BenchError, match=said):
        fitted(system, split(*shape), **model)


def test_classes_that_are_missing_or_too_many_are_named() -> None:
    data = split(28, 28, 1)
    with pytest.raises(BenchError, match="mine: resnet learns classes, and this data has no labels"):
        fitted("resnet", ImageSplit(data.images))
    labels = np.arange(16) % 12
    with pytest.raises(BenchError, match=r"mine: model\.classes: 10, but the data has 12"):
        fitted("resnet", ImageSplit(data.images, labels))
    with pytest.raises(BenchError, match=r"must be \(N, H, W, C\) and at least one, not \(0, 28, 28, 1\)"):
        fitted("vqvae", ImageSplit(data.images[:0]))


def test_pictures_that_are_no_square_and_in_colour_train_where_they_can() -> None:
    data = split(12, 20, 3)
    codec = fitted("vqvae", data, channels=3, widths=(8, 8), blocks=0, codes=4, dim=2)
    (made,) = predict(codec, "codecs", parse_request("codecs", data.images[:1], {}))
    assert np.asarray(made).shape == (12, 20, 3)
    generator = fitted("ddpm", data, classes=2, widths=(8, 8), embedding=16, steps=10)
    assert np.asarray(generator.sample(2, 0, steps=2)).shape == (2, 12, 20, 3)
    odd = split(17, 17, 3)
    assert fitted("resnet", odd, size=17, channels=3, widths=(8, 8)).logits(odd.images).shape == (16, 10)


def test_a_request_with_pictures_that_do_not_fit_is_refused() -> None:
    codec = resolve("vqvae")(resolve("vqvae").Config())
    for shape in ((1, 17, 23, 1), (1, 28, 28, 3)):
        with pytest.raises(BenchError, match=r"VQVAE: model\.(widths|channels): .*"):
            predict(codec, "codecs", parse_request("codecs", np.zeros(shape, np.uint8), {}))
