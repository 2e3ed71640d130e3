from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.contracts import ImageGenerator, RunContext
from bench.data.datasets import ImageSplit
from bench.data.unseen import unseen_halves
from bench.families.images.dummy_images import DummyImages, DummyImagesConfig
from bench.families.images.memoriser_images import MemoriserImages, MemoriserImagesConfig
from bench.families.images.real_images import RealImages, RealImagesConfig

CASES = [
    (DummyImages, DummyImagesConfig()),
    (MemoriserImages, MemoriserImagesConfig(kept=30)),
    (RealImages, RealImagesConfig(kept=60)),
]


def data(n: int = 80) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 4
    images = rng.integers(0, 256, (n, 6, 6, 1)).astype(np.uint8)
    images[:, 0, 0, 0] = np.arange(n)  # a serial number
    split = ImageSplit(images, labels.astype(np.int64))
    return {"train": split, "validation": split.take(np.repeat(np.arange(n), 2))}


@pytest.mark.parametrize(("cls", "config"), CASES)
def test_contract(cls: Any, config: Any, tmp_path: Path):
    system = cls(config)
    assert isinstance(system, ImageGenerator)
    system.fit(data(), RunContext(seed=2))
    labels = np.array([0, 1, 2, 3, 0, 1])
    a = system.sample(6, 5, labels, sampler="ddim", steps=50)
    assert a.shape == (6, 6, 6, 1) and a.dtype == np.uint8
    assert np.array_equal(a, system.sample(6, 5, labels))
    assert np.array_equal(a[:3], system.sample(3, 5, labels[:3]))
    assert not np.array_equal(a, system.sample(6, 6, labels))
    system.save(tmp_path)
    assert np.array_equal(a, cls.load(tmp_path, config).sample(6, 5, labels))
    assert system.sample(0, 5).shape == (0, 6, 6, 1)


def test_real_images_are_of_the_asked_class_and_never_dealt_twice():
    system = RealImages(RealImagesConfig(kept=80))
    train = data()["train"]
    system.fit({"validation": data()["validation"]}, RunContext(seed=0))  # every other one of 160: each picture once
    labels = np.repeat([0, 1, 2, 3], 20)
    drawn = system.sample(80, 1, labels)
    serial = drawn[:, 0, 0, 0].astype(int)
    assert len(set(serial)) == 80
    assert np.array_equal(train.labels[serial], labels)
    assert len(set(system.sample(80, 1)[:, 0, 0, 0].tolist())) == 80
    with pytest.raises(BenchError, match="class 7"):
        system.sample(1, 0, np.array([7]))


def test_memoriser_repeats_near_copies_of_the_asked_class():
    system = MemoriserImages(MemoriserImagesConfig(kept=20, jitter=3))
    train = data()["train"]
    system.fit({"train": train}, RunContext(seed=0))
    labels = np.arange(100) % 4
    drawn = system.sample(100, 1, labels).astype(int)
    distance = np.abs(drawn[:, None] - train.images[None].astype(int)).max((2, 3, 4))  # (100, 80)
    assert distance.min(1).max() <= 3
    assert np.array_equal(train.labels[distance.argmin(1)], labels)
    assert len(set(distance.argmin(1))) <= 20
    assert (distance.min(1) > 0).any()


def test_real_images_are_half_of_the_validation_split_and_never_training_images():
    splits = {"train": data()["train"], "validation": data()["train"].take(slice(None, None, -1))}
    system = RealImages(RealImagesConfig())
    system.fit(splits, RunContext(seed=0))
    shown = set(system.sample(40, 1)[:, 0, 0, 0].tolist())
    ceiling, baseline = unseen_halves(splits)
    assert shown == set(ceiling.images[:, 0, 0, 0].tolist())
    assert not shown & set(baseline.images[:, 0, 0, 0].tolist())
    assert len(ceiling) + len(baseline) == len(splits["validation"])
