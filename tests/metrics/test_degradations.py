"""Known degradations."""

from __future__ import annotations

import numpy as np
import pytest

from bench.metrics.degradations import degradations

IMAGES = np.random.default_rng(0).integers(40, 200, (60, 12, 12, 1), dtype=np.uint8)
LABELS = np.arange(60) % 4


def seeded(strength: float) -> np.random.Generator:
    return np.random.default_rng(int(1000 * strength))


def test_shapes_are_kept_and_the_original_is_left_alone() -> None:
    before = IMAGES.copy()
    ladder, again = degradations(IMAGES, LABELS, seeded), degradations(IMAGES, LABELS, seeded)
    assert np.array_equal(IMAGES, before)
    for name, (images, labels) in ladder.items():
        assert images.shape == IMAGES.shape and images.dtype == np.uint8 and labels is not None, name
        assert np.array_equal(images, again[name][0]), name
    assert len(np.unique(ladder["50 images repeated"][0], axis=0)) <= 50
    assert set(np.unique(ladder["half of the classes"][1])) == {0, 1}
    assert set(np.unique(ladder["one class missing"][1])) == {0, 1, 2}


def test_units_are_those_of_the_names() -> None:
    grey = np.full((40, 16, 16, 3), 128, np.uint8)
    ladder = degradations(grey, None, seeded)
    assert "one class missing" not in ladder
    for share in (0.05, 0.1, 0.2):
        noisy = ladder[f"noise, {share:g} of the range"][0].astype(np.float64)
        assert noisy.std() == pytest.approx(255 * share, rel=0.03)
    point = np.zeros((1, 16, 16, 1), np.uint8)
    point[0, 5, 7] = 255
    assert degradations(point, None, seeded)["shifted by 3 px"][0][0, 8, 10, 0] == 255
    wide = degradations(point, None, seeded)["blur, sigma 1 px"][0][0, :, :, 0].astype(np.float64)
    rows = np.arange(16)
    weights = wide.sum(1) / wide.sum()
    assert float(np.sqrt((weights * (rows - 5) ** 2).sum())) == pytest.approx(1.0, rel=0.1)
