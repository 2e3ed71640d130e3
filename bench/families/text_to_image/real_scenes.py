"""Real scenes that show what is asked: the ceiling of the text-to-image tables.

A prompt is answered with a scene of the *validation* split, which neither a generator nor the judge was trained on.
Validation scenes have no held-out colour-digit pair; for prompts that ask for one, scenes of the ``judge`` split step
in, which the judge has seen in training, so that the ceiling on unseen combinations is a little too high (its error on
test scenes is in the judge's own table).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bench.base.errors import BenchError
from bench.base.seeds import generator
from bench.base.settings import Checked, Natural
from bench.contracts import Images, RunContext
from bench.data.pools import PoolSystem
from bench.families.text_to_image.matching import TRUTH, ScenePool

__all__ = ["RealScenes", "RealScenesConfig"]


@dataclass(frozen=True)
class RealScenesConfig(Checked):
    """Settings.

    Attributes:
        judge_kept: scenes with held-out pairs kept from the ``judge`` split, at most.
    """

    judge_kept: Natural = 2000


class RealScenes(PoolSystem[RealScenesConfig]):
    """A :class:`bench.contracts.TextToImage` that samples real scenes, each once while they last."""

    Config: ClassVar[type[RealScenesConfig]] = RealScenesConfig

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Keep the validation scenes, and from the judge's split random scenes that hold an unseen pair.

        Raises:
            BenchError: the data has no ground truth.
        """
        first = data["validation"]
        if first.scene is None:
            raise BenchError(f"{run.name}: real_scenes needs scenes with their ground truth; this data has none")
        images, truth = [first.images], {key: [first.scene[key]] for key in TRUTH}
        if "judge" in data:
            judge = data["judge"]
            unseen = np.flatnonzero(judge.scene["unseen"])
            chosen = generator(run.seed, "judge").permutation(unseen)[: self.config.judge_kept]
            images.append(judge.images[chosen])
            for key in TRUTH:
                truth[key].append(judge.scene[key][chosen])
        scenes = ScenePool({key: np.concatenate(parts) for key, parts in truth.items()})
        reserve = np.arange(len(scenes)) >= len(first.images)  # the scenes of the ``judge`` split
        self.keep(np.concatenate(images), reserve=reserve, **scenes.scene)

    def sample(self, prompts: Sequence[str], seed: int, **options: Any) -> Images:
        """For each prompt a scene that shows all that is asked, as seldom used as possible; the nearest scene where
        there is none.

        Item i depends on the prompts before it too: a scene comes once.
        """
        scenes = ScenePool(self.facts)
        used, reserve = np.zeros(len(scenes)), self.facts["reserve"]
        order = generator(seed, "deck").permutation(len(scenes)) / len(scenes)
        chosen = np.empty(len(prompts), np.int64)
        for i, prompt in enumerate(prompts):
            scores, full = (part[0] for part in scenes.scores([prompt]))
            if full[~reserve].any():
                full = full & ~reserve
            fit = np.where(full, 1000.0, 0.0) if full.any() else scores
            chosen[i] = np.lexsort((order, used, -fit))[0]
            used[chosen[i]] += 1
        return self.images[chosen]
