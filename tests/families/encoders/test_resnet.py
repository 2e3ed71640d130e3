from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.base.errors import BenchError
from bench.contracts import RunContext
from bench.data.datasets import ImageSplit
from bench.families.encoders.resnet import ResNet, ResNetConfig, ResNetModule, shifted_crops

SMALL = ResNetConfig(widths=(8, 16), features=16, dropout=0.0, shift=0)
TRAIN = {"steps": 60, "batch_size": 32, "lr": 0.01, "warmup": 5, "checkpoint_every": 0}


def trained(data: dict[str, ImageSplit], config: ResNetConfig = SMALL) -> ResNet:
    system = ResNet(config)
    system.fit(data, RunContext(seed=1, train=TRAIN))
    return system


def test_learns_what_can_be_learned(digits: dict[str, ImageSplit]) -> None:
    system, test = trained(digits), digits["test"]
    assert (system.logits(test.images).argmax(1) == test.labels).mean() > 0.95
    wrong = replace(digits["train"], labels=np.random.default_rng(0).permutation(digits["train"].labels))
    chance = trained({"train": wrong})
    assert (chance.logits(test.images).argmax(1) == test.labels).mean() < 0.5  # it is the labels that teach


def test_features_are_the_penultimate_layer(digits: dict[str, ImageSplit]) -> None:
    system = trained(digits)
    features, logits = system.embed_images(digits["test"].images[:9]), system.logits(digits["test"].images[:9])
    assert features.shape == (9, 16)
    assert features.dtype == np.float32
    assert features.min() >= 0
    weights, bias = (p.detach().numpy() for p in system.network.classifier.parameters())
    np.testing.assert_allclose(features @ weights.T + bias, logits, rtol=1e-4, atol=1e-4)


def test_the_same_after_loading_and_refused_by_another_shape(digits: dict[str, ImageSplit], tmp_path: Path) -> None:
    system = trained(digits)
    system.save(tmp_path)
    again = ResNet.load(tmp_path, SMALL)
    assert np.array_equal(again.logits(digits["test"].images), system.logits(digits["test"].images))
    with pytest.raises(BenchError, match="does not hold the weights"):
        ResNet.load(tmp_path, replace(SMALL, features=8))


def test_shifted_crops_are_windows_of_the_padded_picture() -> None:
    images = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4, 1)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    index = np.array([2] * 200)
    crops = shifted_crops(padded, 4, index, np.random.default_rng(0))
    assert crops.shape == (200, 4, 4, 1)
    windows = {padded[2, y : y + 4, x : x + 4].tobytes() for y in range(3) for x in range(3)}
    assert {np.ascontiguousarray(crop).tobytes() for crop in crops} == windows  # all nine, and nothing else


@pytest.mark.parametrize("pool", ["flatten", "mean"])
@pytest.mark.parametrize(("size", "stem_stride"), [(28, 2), (32, 1), (30, 2)])
def test_shapes(pool: str, size: int, stem_stride: int) -> None:
    config = ResNetConfig(
        widths=(4, 8, 8), blocks=2, stem_stride=stem_stride, pool=pool, channels=3, size=size, classes=7
    )  # type: ignore[arg-type]
    assert ResNetModule(config)(torch.zeros(2, 3, size, size)).shape == (2, 7)


def test_texts_are_refused_and_settings_checked() -> None:
    with pytest.raises(NotImplementedError, match="clip"):
        ResNet(SMALL).embed_texts(["a three"])
    with pytest.raises(ValueError, match="pool"):
        ResNetConfig(pool="max")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="stem_stride"):
        ResNetConfig(stem_stride=3)
