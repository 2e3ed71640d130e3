"""The floor of the distances: what real pictures score against other real pictures."""

from __future__ import annotations

import numpy as np
import pytest

from bench.scorers.distribution import distances as distances_of
from bench.scorers.reference import DistanceOptions, Reference


class Network:
    """Mean brightness of the upper and the lower half, as features."""

    def embed_images(self, images: np.ndarray) -> np.ndarray:
        return images.reshape(len(images), 2, -1).mean(2).astype(np.float32)


def pictures(n: int, seed: int, brighter: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 100, (n, 4, 4, 1)).astype(np.uint8) + np.uint8(brighter)


@pytest.mark.parametrize("draws", [1, 4])
def test_the_floor_is_the_mean_over_as_many_draws_of_real_pictures_as_are_asked_for(draws: int) -> None:
    """Draw i is brighter than the test set by 10 i grey levels, so that each draw has a distance of its own."""
    asked: list[tuple[int, int]] = []

    def real(n: int, number: int) -> np.ndarray:
        asked.append((n, number))
        return pictures(n, number, 10 * number)

    options = DistanceOptions(minimum_n=50, floor_draws=draws)
    reference = Reference(Network(), "net", pictures(80, 99), real, options, 0)
    distances = [reference.fid(pictures(60, number, 10 * number)) for number in range(draws)]
    assert reference.floor(60) == pytest.approx(np.mean(distances))
    assert asked == [(60, number) for number in range(draws)]
    assert reference.floor(60) == pytest.approx(np.mean(distances)), "looked up"
    assert len(asked) == draws
    rows = {score.metric: score for score in distances_of(reference, pictures(60, 7, 30), "")}
    assert rows["fid_ratio"].value == pytest.approx(rows["fid"].value / np.mean(distances))
    assert f"floor=real-x{draws}" in rows["fid_ratio"].protocol
