"""A planted memoriser: answers every prompt with the best fitting of a few training scenes. The memorisation test must
flag it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bench.base.errors import BenchError
from bench.base.seeds import derive, generator
from bench.base.settings import Checked, Count, Natural
from bench.contracts import Images, RunContext
from bench.data.pools import PoolSystem
from bench.families.text_to_image.matching import TRUTH, ScenePool

__all__ = ["MemoriserScenes", "MemoriserScenesConfig"]


@dataclass(frozen=True)
class MemoriserScenesConfig(Checked):
    """Settings.

    Attributes:
        kept: training scenes remembered, drawn at random.
        jitter: largest change of all bytes of a picture by one common amount.
    """

    kept: Count = 1000
    jitter: Natural = 4


class MemoriserScenes(PoolSystem[MemoriserScenesConfig]):
    """A :class:`bench.contracts.TextToImage` made of training scenes: it cannot show a colour-digit pair that it never
    saw."""

    Config: ClassVar[type[MemoriserScenesConfig]] = MemoriserScenesConfig

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Remember ``kept`` random training scenes with their ground truth.

        Raises:
            BenchError: the data has no ground truth.
        """
        split = data["train"]
        if split.scene is None:
            raise BenchError(f"{run.name}: memoriser_scenes needs scenes with their ground truth; this data has none")
        count = min(self.config.kept, len(split.images))
        chosen = np.sort(generator(run.seed, "kept").choice(len(split.images), count, replace=False))
        self.keep(split.images[chosen], **ScenePool({key: split.scene[key][chosen] for key in TRUTH}).scene)

    def sample(self, prompts: Sequence[str], seed: int, *, first: int = 0, **options: Any) -> Images:
        """For each prompt one of the best fitting scenes, at random, a shade brighter or darker."""
        scenes = ScenePool(self.facts)
        drawn = np.empty((len(prompts), *self.images.shape[1:]), np.uint8)
        for i, prompt in enumerate(prompts):
            rng = np.random.default_rng(derive(seed, first + i))
            scores = scenes.scores([prompt])[0][0]
            picture = self.images[rng.choice(np.flatnonzero(scores == scores.max()))].astype(np.int64)
            drawn[i] = (picture + int(rng.integers(-self.config.jitter, self.config.jitter + 1))).clip(0, 255)
        return drawn
