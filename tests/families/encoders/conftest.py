"""Small learnable data: a block of light whose place is the class, and rendered scenes of scikit-learn's 8x8 digits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from bench.data.cards import Render
from bench.data.datasets import ImageSplit
from bench.data.scenes import render_splits


def lights(n: int, seed: int) -> ImageSplit:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    images = rng.integers(0, 60, (n, 28, 28, 1)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        y, x = 4 + 14 * (label % 2), 2 + 5 * (label // 2)
        image[y : y + 6, x : x + 4] = 250
    return ImageSplit(images=images, labels=labels.astype(np.int64))


@pytest.fixture(scope="session")
def digits() -> dict[str, ImageSplit]:
    return {"train": lights(400, 0), "validation": lights(50, 1), "test": lights(200, 2)}


@pytest.fixture(scope="session")
def scenes() -> dict[str, ImageSplit]:
    source = load_digits()
    images = np.pad((source.images * 15.9).astype(np.uint8).repeat(3, 1).repeat(3, 2), ((0, 0), (2, 2), (2, 2)))[
        ..., None
    ]
    split = ImageSplit(images[:600], source.target[:600].astype(np.int64))
    return render_splits(
        {"train": split, "validation": split, "test": split},
        Render(train=200, validation=16, test=64, judge=200),
        seed=0,
    )
