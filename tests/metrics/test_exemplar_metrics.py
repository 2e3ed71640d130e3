"""Histogram distance and copied runs."""

from __future__ import annotations

import numpy as np
import pytest

from bench.metrics.copied_run import copied_run
from bench.metrics.histogram_distance import histogram_distance


def test_histogram_distance_is_scipys() -> None:
    from scipy.stats import wasserstein_distance

    one, two = (
        np.random.default_rng(seed).integers(0, top, (9, 7, 1)).astype(np.uint8) for seed, top in ((0, 256), (1, 99))
    )
    assert histogram_distance(one, two) == pytest.approx(wasserstein_distance(one.ravel(), two.ravel()) / 255)


def test_copied_run_counts_rows_of_the_exemplar() -> None:
    rows, columns = np.indices((3, 6))
    assert copied_run(np.stack([rows, columns], axis=-1)) == 6.0
    assert copied_run(np.stack([rows, columns * 2], axis=-1)) == 1.0
    given = np.full((3, 6, 2), -1)
    assert copied_run(given) == 1.0, "given pixels were not copied"


def test_copied_run_counts_along_rows_of_one_exemplar_of_several() -> None:
    y, x = np.indices((4, 6))
    whole = np.stack([np.zeros_like(y), y, x], axis=2)
    assert copied_run(whole) == 6.0
    whole[:, 3:, 0] = 1
    assert copied_run(whole) == 3.0
    assert copied_run(whole[:, ::-1]) == 1.0
