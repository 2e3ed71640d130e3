"""Exponents of a power law: recovered, and covered by their interval as often as it says."""

from __future__ import annotations

import numpy as np
import pytest

from bench.metrics.scaling import power_law


def test_power_law_recovers_exponents_and_its_interval_covers_them() -> None:
    rng = np.random.default_rng(0)
    n, d = np.repeat([1e4, 3e4, 1e5, 3e5], 3), np.tile([4e4, 4e5, 4e6], 4)
    hits = np.zeros(2)
    for _ in range(400):
        loss = 8 * n**-0.07 * d**-0.1 * np.exp(rng.normal(0, 0.02, 12))
        hits += [
            low <= truth <= high for truth, (_, (low, high)) in zip((0.07, 0.1), power_law(loss, [n, d]), strict=True)
        ]
    assert (np.abs(hits / 400 - 0.95) < 0.04).all()
    slope = np.polyfit(np.log(n), -np.log(5 * n**-0.3), 1)[0]
    assert power_law(5 * n**-0.3, [n])[0][0] == pytest.approx(slope)
    with pytest.raises(ValueError, match="do not determine"):
        power_law(np.array([1.0, 2.0]), [np.array([1.0, 2.0])])
