"""Compositional accuracy: does a generated scene hold what the caption asked for, as a detector sees it?

In the manner of Cho et al. 2023 (DALL-Eval) and Ghosh et al. 2023 (GenEval): the judge is a detector with its own
measured error, and every figure stands beside the judge's on real scenes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError

__all__ = ["RELATIONS", "Asked", "Composition", "Detections", "asked_of", "compose", "relation_holds"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

RELATIONS = ("left of", "right of", "above", "below")
_AXIS_SIGN = {"left": (1, -1), "right": (1, 1), "above": (0, -1), "below": (0, 1)}


@dataclass(frozen=True)
class Detections:
    """What a detector saw in N pictures, up to M objects each, unused slots -1.

    Attributes:
        count: ``(N,)`` number of objects seen.
        digits: ``(N, M)`` 0-9, -1 for none.
        colours: ``(N, M)`` colour index, -1 for none.
        centres: ``(N, M, 2)`` (y, x) in pixels.
        confidences: ``(N, M)`` in [0, 1].
    """

    count: Ints
    digits: Ints
    colours: Ints
    centres: Floats
    confidences: Floats

    def __post_init__(self) -> None:
        n, slots = self.digits.shape
        shapes = {
            "count": (n,),
            "digits": (n, slots),
            "colours": (n, slots),
            "centres": (n, slots, 2),
            "confidences": (n, slots),
        }
        for item in fields(self):
            if getattr(self, item.name).shape != shapes[item.name]:
                raise BenchError(
                    f"Detections.{item.name}: shape {getattr(self, item.name).shape}, expected {shapes[item.name]}"
                )


@dataclass(frozen=True)
class Asked:
    """What N captions ask for; -1 where a slot is unused or the caption leaves the attribute open.

    Attributes:
        count: ``(N,)`` objects asked for; the first ``count`` slots are meant.
        digits: ``(N, M)``.
        colours: ``(N, M)``.
        relation: ``(N,)`` index into ``relations``, of object 0 to object 1; -1 where none is asked.
        relations: names that say left, right, above or below.
    """

    count: Ints
    digits: Ints
    colours: Ints
    relation: Ints
    relations: Sequence[str] = RELATIONS


def asked_of(scene: Mapping[str, NDArray[Any]]) -> Asked:
    """The arrays ``count``, ``digits``, ``colours`` and ``relation`` as :func:`compose` reads them.

    Of rendered scenes they are the ground truth: every colour counts, named by the caption or not.
    """
    count, digits, colours, relation = (
        np.asarray(scene[key], dtype=np.int64) for key in ("count", "digits", "colours", "relation")
    )
    return Asked(count, digits, colours, relation)


@dataclass(frozen=True)
class Composition:
    """Verdicts for each of N pictures, 1.0 or 0.0, each ``(N,)``.

    Attributes:
        count_right: as many objects as asked.
        digits_right: the asked digits are all there (each object used once, colours ignored).
        colours_right: the asked colours are all there (digits ignored).
        both_right: every asked object is there with its own digit and its own colour (binding).
        relation_right: both objects are there and stand as asked; nan where no relation was asked.
        objects_right: share of the asked objects that are there with digit and colour.
        all_right: count, both and, where asked, relation.
    """

    count_right: Floats
    digits_right: Floats
    colours_right: Floats
    both_right: Floats
    relation_right: Floats
    objects_right: Floats
    all_right: Floats


def relation_holds(name: str, first: NDArray[np.floating], second: NDArray[np.floating]) -> Bools:
    """Whether centres ``first`` stand in relation ``name`` to ``second`` (both ``(..., 2)`` as (y, x), y downwards).

    >>> bool(relation_holds("above", np.array([8.0, 10.0]), np.array([24.0, 9.0])))
    True
    """
    for word, (axis, sign) in _AXIS_SIGN.items():
        if word in name:
            return np.asarray(sign * (first[..., axis] - second[..., axis]) > 0)
    raise BenchError(f"relation {name!r} says neither left, right, above nor below")


def compose(detections: Detections, asked: Asked) -> Composition:
    """Match asked objects to detected ones by the best assignment and judge.

    All assignments of asked slots to detected slots are tried (24 for four). Digits and colours are judged by the
    assignment that is best for each alone; ``both_right``, ``objects_right`` and the relation by the one with most
    objects fully right, and among those ("a red three above a red three") by one in which the relation holds.

    >>> centres = np.array([[[24.0, 16], [8, 16]]])
    >>> seen = Detections(np.array([2]), np.array([[7, 3]]), np.array([[4, 0]]), centres, np.ones((1, 2)))
    >>> # a red three above a blue seven
    >>> wanted = Asked(np.array([2]), np.array([[3, 7]]), np.array([[0, 4]]), np.array([2]))
    >>> verdict = compose(seen, wanted)
    >>> verdict.both_right.tolist(), verdict.relation_right.tolist()
    ([1.0], [1.0])

    Raises:
        BenchError: different numbers of pictures.
    """
    n = len(asked.count)
    if len(detections.count) != n:
        raise BenchError(f"{len(detections.count)} pictures were judged for {n} captions")
    slots = max(asked.digits.shape[1], detections.digits.shape[1])
    digits, colours = _pad(asked.digits, slots, -1), _pad(asked.colours, slots, -1)
    seen_digits, seen_colours = _pad(detections.digits, slots, -2), _pad(detections.colours, slots, -2)
    centres = np.full((n, slots, 2), np.nan)
    centres[:, : detections.centres.shape[1]] = detections.centres
    wanted = np.arange(slots)[None, :] < asked.count[:, None]  # (N, slots)
    present = np.arange(slots)[None, :] < detections.count[:, None]
    best_digits, best_colours = np.zeros(n), np.zeros(n)
    best_score = np.full(n, -1.0)
    best_both, best_relation = np.zeros(n), np.zeros(n)
    related = asked.relation >= 0
    for order in permutations(range(slots)):
        index = list(order)
        there = present[:, index] & wanted
        digit = there & ((digits == seen_digits[:, index]) | (digits < 0))
        colour = there & ((colours == seen_colours[:, index]) | (colours < 0))
        both = (digit & colour).sum(axis=1)
        holds = np.zeros(n, dtype=np.bool_)
        for code, name in enumerate(asked.relations):
            rows = asked.relation == code
            if rows.any():
                holds[rows] = there[rows, :2].all(axis=1) & relation_holds(
                    name, centres[rows, index[0]], centres[rows, index[1]]
                )
        best_digits = np.maximum(best_digits, digit.sum(axis=1))
        best_colours = np.maximum(best_colours, colour.sum(axis=1))
        score = both + 0.5 * (holds & related)
        better = score > best_score
        best_score = np.where(better, score, best_score)
        best_both = np.where(better, both, best_both)
        best_relation = np.where(better, holds, best_relation)
    both_right = best_both == asked.count
    relation_right = both_right & (best_relation > 0)
    count_right = detections.count == asked.count
    return Composition(
        count_right=count_right.astype(np.float64),
        digits_right=(best_digits == asked.count).astype(np.float64),
        colours_right=(best_colours == asked.count).astype(np.float64),
        both_right=both_right.astype(np.float64),
        relation_right=np.where(related, relation_right.astype(np.float64), np.nan),
        objects_right=best_both / np.maximum(asked.count, 1),
        all_right=(both_right & count_right & (relation_right | ~related)).astype(np.float64),
    )


def _pad(values: Ints, slots: int, fill: int) -> Ints:
    padded = np.full((len(values), slots), fill, dtype=np.int64)
    padded[:, : values.shape[1]] = values
    return padded
