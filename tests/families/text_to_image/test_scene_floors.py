from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.capabilities import takes_negative_prompts
from bench.contracts import RunContext, TextToImage
from bench.families.text_to_image.dummy_scenes import DummyScenes, DummyScenesConfig
from bench.families.text_to_image.matching import ScenePool
from bench.families.text_to_image.memoriser_scenes import MemoriserScenes, MemoriserScenesConfig
from bench.families.text_to_image.real_scenes import RealScenes, RealScenesConfig
from bench.inference import Request, predict
from bench.scene_language import COLOURS, RELATIONS, asked_arrays, is_unseen, parse_caption

CASES = [
    (DummyScenes, DummyScenesConfig()),
    (MemoriserScenes, MemoriserScenesConfig(kept=50)),
    (RealScenes, RealScenesConfig(judge_kept=40)),
]
NAMES = list(COLOURS)


def split(n: int, seed: int, all_pairs: bool) -> SimpleNamespace:
    rng = np.random.default_rng(seed)
    count = rng.integers(1, 3, n)
    digits, colours = rng.integers(0, 10, (n, 4)), rng.integers(0, 8, (n, 4))
    while not all_pairs:
        bad = digits == (3 * colours + 1) % 10
        if not bad.any():
            break
        digits[bad] = rng.integers(0, 10, bad.sum())
    absent = np.arange(4) >= count[:, None]
    digits[absent], colours[absent] = -1, -1
    relation = np.where(count == 2, rng.integers(0, 4, n), -1)
    images = rng.integers(0, 256, (n, 8, 8, 3)).astype(np.uint8)
    images[:, 0, 0, 0] = np.arange(n) % 256
    images[:, 0, 0, 1] = np.arange(n) // 256
    unseen = ((digits == (3 * colours + 1) % 10) & ~absent).any(1)
    scene = {
        "count": count,
        "digits": digits,
        "colours": colours,
        "sizes": np.where(absent, -1, 0),
        "relation": relation,
        "unseen": unseen,
    }
    return SimpleNamespace(images=images, scene=scene, labels=None, captions=[""] * n)


DATA = {"train": split(300, 0, False), "validation": split(300, 1, False), "judge": split(600, 2, True)}
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@pytest.mark.parametrize(("cls", "config"), CASES)
def test_contract(cls: Any, config: Any, tmp_path: Path):
    system = cls(config)
    assert isinstance(system, TextToImage)
    system.fit(DATA, RunContext(seed=0))
    prompts = ["a red three", "a blue seven", "a two", "a red three left of a blue two", "", "a red three"]
    images = system.sample(prompts, 3)
    assert images.shape == (6, 8, 8, 3) and images.dtype == np.uint8
    assert not takes_negative_prompts(cls)
    with pytest.raises(BenchError, match="takes no negative prompts"):
        predict(system, "text_to_image", Request(prompts=prompts, negative_prompts=["red"]))
    with pytest.raises(BenchError, match="has no guidance"):
        predict(system, "text_to_image", Request(prompts=prompts, guidance=3.0))
    assert np.array_equal(images, predict(system, "text_to_image", Request(prompts=prompts, seed=3)))
    assert np.array_equal(images[:3], system.sample(prompts[:3], 3))
    assert not np.array_equal(images, system.sample(prompts, 4))
    system.save(tmp_path)
    assert np.array_equal(images, cls.load(tmp_path, config).sample(prompts, 3))


def test_real_scenes_show_what_is_asked():
    system = RealScenes(RealScenesConfig(judge_kept=600))
    system.fit(DATA, RunContext(seed=0))
    prompts = [f"a {NAMES[c]} {DIGITS[d]}" for c in range(8) for d in range(10)]
    serial = {
        DATA[name].images[i].tobytes(): (name, i)
        for name in ("judge", "validation")
        for i in range(len(DATA[name].images))
    }
    right = 0
    for prompt, image in zip(prompts, system.sample(prompts, 0), strict=True):
        asked = parse_caption(prompt)
        source, i = serial[image.tobytes()]
        scene = DATA[source].scene
        item = asked.objects[0]
        right += (
            scene["count"][i] == 1 and scene["digits"][i, 0] == item.digit and scene["colours"][i, 0] == item.colour
        )
        if source == "judge":
            assert is_unseen(int(scene["colours"][i, 0]), int(scene["digits"][i, 0])) or scene["count"][i] == 2
    assert right >= 60  # a pool of this size lacks a few of the 80


def test_real_scenes_are_dealt_once_while_they_last():
    system = RealScenes(RealScenesConfig())
    system.fit(DATA, RunContext(seed=0))
    images = system.sample(["a three"] * 8, 0)
    assert len({image.tobytes() for image in images}) == 8


def test_memoriser_repeats_training_scenes():
    system = MemoriserScenes(MemoriserScenesConfig(kept=100, jitter=2))
    system.fit(DATA, RunContext(seed=0))
    images = system.sample(["a red three", "a white two above a blue six"], 0).astype(int)
    distance = np.abs(images[:, None] - DATA["train"].images[None].astype(int)).max((2, 3, 4))
    assert distance.min(1).max() <= 2


def test_pool_scores():
    scene = {
        "count": np.array([1, 2, 2]),
        "digits": np.array([[3, -1, -1, -1], [3, 7, -1, -1], [3, 7, -1, -1]]),
        "colours": np.array([[0, -1, -1, -1], [0, 2, -1, -1], [0, 1, -1, -1]]),
        "sizes": np.array([[1, -1, -1, -1], [0, 0, -1, -1], [0, 0, -1, -1]]),
        "relation": np.array([-1, 2, 2]),
    }
    pool = ScenePool(scene)
    assert len(pool) == 3
    score, full = pool.scores(
        ["a red three above a blue seven", "a three", "a small red three", "a red three left of a blue seven"]
    )
    assert score.argmax(1).tolist() == [1, 0, 0, 1]
    assert full.tolist() == [[False, True, False], [True, False, False], [True, False, False], [False, False, False]]


def test_asked_arrays_of_free_text():
    asked = asked_arrays(["", "blue", f"a small red three {RELATIONS[2]} a seven"])
    assert asked["count"].tolist() == [-1, -1, 2]
    assert asked["sizes"][2].tolist() == [1, -1, -1, -1]
    assert asked["colours"][2].tolist() == [0, -1, -1, -1]
