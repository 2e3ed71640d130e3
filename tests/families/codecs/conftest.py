"""Pictures of one bright bar each, anywhere, upright or lying: easy to code, and not to be had from a mean picture."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data.datasets import ImageSplit


def bars(n: int, seed: int, size: int, channels: int) -> ImageSplit:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    images = np.zeros((n, size, size, channels), np.uint8)
    for image, label in zip(images, labels, strict=True):
        place = 4 * rng.integers(0, size // 4)
        band = image[:, place : place + 4] if label else image[place : place + 4]
        band[:] = rng.integers(120, 256, channels)
    return ImageSplit(images=images, labels=labels.astype(np.int64))


@pytest.fixture(scope="session")
def grey() -> dict[str, ImageSplit]:
    return {"train": bars(300, 0, 28, 1), "validation": bars(40, 1, 28, 1), "test": bars(120, 2, 28, 1)}


@pytest.fixture(scope="session")
def colour() -> dict[str, ImageSplit]:
    return {"train": bars(300, 0, 32, 3), "validation": bars(40, 1, 32, 3), "test": bars(120, 2, 32, 3)}
