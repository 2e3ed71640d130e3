"""Which scene of a pool answers a prompt best: what the memoriser and the dealer of real scenes share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.scene_language import MAX_OBJECTS, AskedScene, parse_caption

__all__ = ["ScenePool", "asked_arrays"]

Ints = NDArray[np.int64]


def asked_arrays(prompts: Sequence[str]) -> dict[str, Ints]:
    """What each prompt asks for: ``count (N,)``, ``digits``, ``colours``, ``sizes`` ``(N, 4)``, ``relation (N,)``; -1
    where left open.

    A prompt that the grammar does not have (the empty one) asks for nothing: count -1.
    """
    n = len(prompts)
    arrays: dict[str, Ints] = {key: np.full((n, MAX_OBJECTS), -1, np.int64) for key in ("digits", "colours", "sizes")}
    for key in ("count", "relation"):
        arrays[key] = np.full(n, -1, np.int64)
    for i, prompt in enumerate(prompts):
        try:
            asked: AskedScene = parse_caption(prompt)
        except BenchError:
            continue
        arrays["count"][i] = len(asked.objects)
        arrays["relation"][i] = -1 if asked.relation is None else asked.relation
        for k, item in enumerate(asked.objects):
            arrays["digits"][i, k] = item.digit
            arrays["colours"][i, k] = -1 if item.colour is None else item.colour
            arrays["sizes"][i, k] = 1 if item.small else -1
    return arrays


class ScenePool:
    """Scenes with their ground truth, asked for by prompt.

    Args:
        scene: ``count (M,)``, ``digits``, ``colours``, ``sizes`` ``(M, 4)``, ``relation (M,)``.
    """

    def __init__(self, scene: dict[str, NDArray[np.generic]]) -> None:
        self.scene = {
            key: np.asarray(scene[key], dtype=np.int64) for key in ("count", "digits", "colours", "sizes", "relation")
        }

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
