"""Contrast against an independent implementation, its floor and its ceiling."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.metrics.contrast import contrast


def test_equals_the_standard_library() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 3))
    expected = [statistics.pstdev([v / 255 for v in image.ravel().tolist()]) for image in images]
    assert contrast(images).tolist() == pytest.approx(expected)


def test_floor_and_ceiling() -> None:
    assert contrast(np.full((1, 4, 4), 9)).item() == 0.0
    assert contrast(np.indices((1, 4, 4)).sum(0) % 2 * 255).item() == 0.5


def test_refuses_what_is_no_picture() -> None:
    with pytest.raises(BenchError, match="expected pictures"):
        contrast(np.zeros(3))
