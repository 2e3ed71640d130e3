from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.base.errors import BenchError
from bench.contracts import RunContext
from bench.data.datasets import ImageSplit
from bench.families.encoders.scene_detector import SceneDetector, SceneDetectorConfig

SMALL = SceneDetectorConfig(widths=(16, 16, 32))


def planted(
    objects: list[tuple[int, int, int, int]], count: int, faint: float = -8.0, split_peak: bool = False
) -> SceneDetector:
    """A detector whose network says: objects (row, column, digit, colour) of falling confidence, and a count."""
    system = SceneDetector(SMALL)

    def flat(x: Tensor) -> Tensor:
        cells = torch.zeros(len(x), 19, 8, 8)
        cells[:, 0] = faint
        for rank, (row, column, digit, colour) in enumerate(objects):
            cells[:, 0, row, column] = 4.0 - rank
            cells[:, 1 + digit, row, column] = 5.0
            cells[:, 11 + colour, row, column] = 5.0
            if split_peak:
                cells[:, 0, row, column + 1] = 4.0 - rank - 0.001
        number = torch.zeros(len(x), 4)
        number[:, count - 1] = 1.0
        return torch.cat([cells.flatten(1), number], 1)

    system.network.flat = flat  # type: ignore[method-assign]
    return system


BLANK = np.zeros((3, 32, 32, 3), np.uint8)


def test_reads_the_surest_peaks() -> None:
    seen = planted([(1, 2, 7, 3), (6, 5, 0, 1), (3, 7, 9, 0)], count=2).detect(BLANK)
    assert seen.count.tolist() == [2, 2, 2]
    assert seen.digits[0].tolist() == [7, 0, -1, -1]
    assert seen.colours[0].tolist() == [3, 1, -1, -1]
    np.testing.assert_allclose(
        seen.centres[0, 0], [6, 10], atol=0.05
    )  # middle of cell (1, 2), 4 pixels a cell, y first
    np.testing.assert_allclose(seen.centres[0, 1], [26, 22], atol=0.05)
    assert seen.confidences[0, 0] > seen.confidences[0, 1] > 0
    assert seen.confidences[0, 2:].tolist() == [0, 0]


def test_a_centre_between_two_cells_is_one_object_between_them() -> None:
    seen = planted([(1, 2, 7, 3), (6, 5, 0, 1)], count=2, split_peak=True).detect(BLANK)
    assert seen.digits[0].tolist() == [7, 0, -1, -1]
    np.testing.assert_allclose(seen.centres[0, 0], [6, 12], atol=0.05)  # on the edge between columns 2 and 3


def test_an_empty_picture_holds_nothing() -> None:
    seen = planted([], count=3).detect(BLANK)
    assert seen.count.tolist() == [0, 0, 0]
    assert (seen.digits == -1).all()


def test_learns_to_count_to_name_colours_and_to_place(scenes: dict[str, ImageSplit]) -> None:
    few = scenes["judge"].take(slice(0, 48))
    system = SceneDetector(SMALL)
    losses: list[float] = []
    run = RunContext(
        seed=0,
        train={"steps": 120, "batch_size": 24, "lr": 0.01, "warmup": 5, "log_every": 1, "checkpoint_every": 0},
        curve=lambda step, point: losses.append(point["loss"]),
    )
    system.fit({"judge": few}, run)
    seen = system.detect(few.images)
    assert few.scene is not None
    assert np.mean(losses[-5:]) < 0.4 * losses[0]
    assert (seen.count == few.scene["count"]).mean() > 0.8
    alone = (few.scene["count"] == 1) & (seen.count == 1)
    assert (seen.colours[alone, 0] == few.scene["colours"][alone, 0]).mean() > 0.8
    distance = np.linalg.norm(seen.centres[alone, 0] - few.scene["centres"][alone, 0], axis=-1)
    assert np.median(distance) < 3.0


def test_needs_the_split_of_all_pairs(scenes: dict[str, ImageSplit]) -> None:
    with pytest.raises(BenchError, match="judge"):
        SceneDetector(SMALL).fit({"train": scenes["train"]}, RunContext())


def test_features_and_refusals(scenes: dict[str, ImageSplit]) -> None:
    system = SceneDetector(SMALL)
    system._settle("cpu")
    assert system.embed_images(scenes["test"].images[:5]).shape == (5, 32)
    for refused in (system.embed_texts, system.logits):
        with pytest.raises(NotImplementedError):
            refused([])  # type: ignore[operator]
    with pytest.raises(ValueError, match="widths"):
        SceneDetectorConfig(widths=(8, 8))
