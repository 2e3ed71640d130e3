"""A planted memoriser: answers every prompt with the best fitting of a few training scenes. The memorisation test must
flag it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.base.errors import BenchError
from bench.base.files import write_npz
from bench.base.seeds import derive, generator
from bench.base.settings import Checked, Count, Natural
from bench.contracts import Images, RunContext
from bench.families.text_to_image.matching import ScenePool

__all__ = ["MemoriserScenes", "MemoriserScenesConfig"]

_TRUTH = ("count", "digits", "colours", "sizes", "relation")


@dataclass(frozen=True)
class MemoriserScenesConfig(Checked):
    """Settings.

    Attributes:
        kept: training scenes remembered, drawn at random.
        jitter: largest change of all bytes of a picture by one common amount.
    """

    kept: Count = 1000
    jitter: Natural = 4


class MemoriserScenes:
    """A :class:`bench.contracts.TextToImage` made of training scenes: it cannot show a colour-digit pair that it never
    saw."""

    Config = MemoriserScenesConfig

    def __init__(self, config: MemoriserScenesConfig) -> None:
        self.config = config
        self.images: Images = np.zeros((0, 32, 32, 3), np.uint8)
        self.pool: ScenePool | None = None

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
        self.images = np.ascontiguousarray(split.images[chosen])
        self.pool = ScenePool({key: split.scene[key][chosen] for key in _TRUTH})

    def sample(
        self,
        prompts: Sequence[str],
        seed: int,
        guidance: float = 1.0,
        negative_prompts: Sequence[str] | None = None,
        *,
        first: int = 0,
        **options: Any,
    ) -> Images:
        """For each prompt one of the best fitting scenes, at random, a shade brighter or darker."""
        assert self.pool is not None
        drawn = np.empty((len(prompts), *self.images.shape[1:]), np.uint8)
        for i, prompt in enumerate(prompts):
            rng = np.random.default_rng(derive(seed, first + i))
            scores = self.pool.scores([prompt])[0][0]
            picture = self.images[rng.choice(np.flatnonzero(scores == scores.max()))].astype(np.int64)
            drawn[i] = (picture + int(rng.integers(-self.config.jitter, self.config.jitter + 1))).clip(0, 255)
        return drawn

    def save(self, folder: Path) -> None:
        """The remembered scenes."""
        assert self.pool is not None
        write_npz(folder / "memory.npz", {"images": self.images, **self.pool.scene})

    @classmethod
    def load(cls, folder: Path, config: MemoriserScenesConfig, device: str = "cpu") -> MemoriserScenes:
        """The inverse of :meth:`save`."""
        system = cls(config)
        with np.load(folder / "memory.npz", allow_pickle=False) as file:
            system.images = file["images"]
            system.pool = ScenePool({key: file[key] for key in _TRUTH})
        return system
