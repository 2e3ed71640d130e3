"""Real scenes that show what is asked: the ceiling of the text-to-image tables.

A prompt is answered with a scene of the *validation* split, which neither a generator nor the judge was trained on.
Validation scenes have no held-out colour-digit pair; for prompts that ask for one, scenes of the ``judge`` split step
in, which the judge has seen in training, so that the ceiling on unseen combinations is a little too high (its error on
test scenes is in the judge's own table).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.files import write_npz
from bench.base.seeds import generator
from bench.base.settings import Checked, Natural
from bench.contracts import Images, RunContext
from bench.families.text_to_image.matching import ScenePool

__all__ = ["RealScenes", "RealScenesConfig"]

_TRUTH = ("count", "digits", "colours", "sizes", "relation")


@dataclass(frozen=True)
class RealScenesConfig(Checked):
    """Settings.

    Attributes:
        judge_kept: scenes with held-out pairs kept from the ``judge`` split, at most.
    """

    judge_kept: Natural = 2000


class RealScenes:
    """A :class:`bench.contracts.TextToImage` that deals out real scenes like cards, each once while they last."""

    Config = RealScenesConfig

    def __init__(self, config: RealScenesConfig) -> None:
        self.config = config
        self.images: Images = np.zeros((0, 32, 32, 3), np.uint8)
        self.reserve: NDArray[np.bool_] = np.zeros(0, np.bool_)  # True for scenes of the judge's split
        self.pool: ScenePool | None = None

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Keep the validation scenes, and from the judge's split random scenes that hold an unseen pair.

        Raises:
            BenchError: the data has no ground truth.
        """
        first = data["validation"]
        if first.scene is None:
            raise BenchError(f"{run.name}: real_scenes needs scenes with their ground truth; this data has none")
        images, truth = [first.images], {key: [first.scene[key]] for key in _TRUTH}
        if "judge" in data:
            judge = data["judge"]
            unseen = np.flatnonzero(judge.scene["unseen"])
            chosen = generator(run.seed, "judge").permutation(unseen)[: self.config.judge_kept]
            images.append(judge.images[chosen])
            for key in _TRUTH:
                truth[key].append(judge.scene[key][chosen])
        self.images = np.concatenate(images)
        self.reserve = np.arange(len(self.images)) >= len(first.images)
        self.pool = ScenePool({key: np.concatenate(parts) for key, parts in truth.items()})

    def sample(
        self,
        prompts: Sequence[str],
        seed: int,
        guidance: float = 1.0,
        negative_prompts: Sequence[str] | None = None,
        **options: Any,
    ) -> Images:
        """For each prompt a scene that shows all that is asked, as seldom used as possible; the nearest scene where
        there is none.

        Item i depends on the prompts before it too: cards are dealt once.
        """
        assert self.pool is not None
        used = np.zeros(len(self.pool))
        order = generator(seed, "deck").permutation(len(self.pool)) / len(self.pool)
        chosen = np.empty(len(prompts), np.int64)
        for i, prompt in enumerate(prompts):
            scores, full = (part[0] for part in self.pool.scores([prompt]))
            if full[~self.reserve].any():
                full = full & ~self.reserve
            fit = np.where(full, 1000.0, 0.0) if full.any() else scores
            chosen[i] = np.lexsort((order, used, -fit))[0]
            used[chosen[i]] += 1
        return self.images[chosen]

    def save(self, folder: Path) -> None:
        """The scenes."""
        assert self.pool is not None
        write_npz(folder / "deck.npz", {"images": self.images, "reserve": self.reserve, **self.pool.scene})

    @classmethod
    def load(cls, folder: Path, config: RealScenesConfig, device: str = "cpu") -> RealScenes:
        """The inverse of :meth:`save`."""
        system = cls(config)
        with np.load(folder / "deck.npz", allow_pickle=False) as file:
            system.images, system.reserve = file["images"], file["reserve"]
            system.pool = ScenePool({key: file[key] for key in _TRUTH})
        return system
