"""Which scene of a pool answers a prompt best: what the memoriser and the ceiling of real scenes share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.scene_language import MAX_OBJECTS, asked_arrays

__all__ = ["TRUTH", "ScenePool"]

TRUTH = ("count", "digits", "colours", "sizes", "relation")
"""What is known of a scene, as arrays (:func:`bench.scene_language.asked_arrays` has the same of a prompt)."""


class ScenePool:
    """Scenes with their ground truth, asked for by prompt.

    Args:
        scene: ``count (M,)``, ``digits``, ``colours``, ``sizes`` ``(M, 4)``, ``relation (M,)``.
    """

    def __init__(self, scene: dict[str, NDArray[np.generic]]) -> None:
        self.scene = {key: np.asarray(scene[key], dtype=np.int64) for key in TRUTH}

    def __len__(self) -> int:
        return len(self.scene["count"])

    def scores(self, prompts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """How well each scene fits each prompt, ``(N, M)``, and whether it shows all that is asked, ``(N, M)``.

        The number of objects weighs most, then the relation, digits, colours, sizes. Objects are compared in the
        caption's order.
        """
        asked, scene = asked_arrays(prompts), self.scene
        score = np.zeros((len(prompts), len(self)))
        full = np.ones((len(prompts), len(self)), np.bool_)
        weights = {"digits": 2.0, "colours": 1.5, "sizes": 0.5}
        for key, weight in (("count", 8.0), ("relation", 4.0)):
            # An open relation still prefers a scene without one: "a red three and a blue seven" is another kind of
            # scene.
            same = scene[key][None, :] == asked[key][:, None]
            score += weight * same
            full &= same | (asked[key][:, None] < 0)
        for key, weight in weights.items():
            for k in range(MAX_OBJECTS):
                wanted, there = asked[key][:, k, None], scene[key][None, :, k]
                same = (wanted == there) | (wanted < 0)
                score += weight * (same & (wanted >= 0))
                full &= same
        return score, full
