"""Measures of plays: the frames of a clip in the order in which a video synthesiser shows them.

A play is a list of frame numbers. Its *jumps* are the steps that do not lead to the next frame; ``before`` and
``after`` are the frames on both sides of each jump, ``(J,)``. ``table`` holds the distances of all pairs of frames,
``(T, T)``.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.metrics.codebook import usage_from_counts

__all__ = [
    "due_frames",
    "effective_number",
    "ends_in_one_loop",
    "in_range_share",
    "jump_costs",
    "largest_change",
    "motion_agreement",
    "phase_error",
    "reversals",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def due_frames(before: Ints, length: int) -> Ints:
    """The frame that was due at each jump: the next, or after the clip's last the last once more.

    >>> due_frames(np.array([3, 9]), 10).tolist()
    [4, 9]
    """
    return np.minimum(before + 1, length - 1)


def jump_costs(filtered: Floats, first: int, length: int, before: Ints, after: Ints) -> Floats:
    """D'(i + 1, j): distance of the frame shown from the frame due, their neighbours in time included.

    Args:
        filtered: distances after the diagonal filter (Schoedl et al. 2000, equation 3), ``(K, K)``.
        first: frame that row 0 stands for; frames too near the clip's ends for the filter take the nearest that are
            not.
        length: frames of the clip.
        before, after: of each jump.

    >>> jump_costs(np.array([[0.0, 2.0], [2.0, 0.0]]), 1, 4, np.array([0, 2]), np.array([2, 0])).tolist()
    [2.0, 2.0]
    """
    i, j = (np.clip(frames - first, 0, len(filtered) - 1) for frames in (due_frames(before, length), after))
    return np.asarray(filtered[i, j])


def motion_agreement(table: Floats, before: Ints, after: Ints) -> Floats:
    """Cosine between the step that was due, ``before -> before + 1``, and the clip's own step into the frame shown,
    ``after - 1 -> after``; at the clip's ends the nearest step there is.

    A step is the difference of two frames; inner products come from the squared distances alone:
    ``(a - b).(c - d) = (|a - d|^2 + |b - c|^2 - |a - c|^2 - |b - d|^2) / 2``.

    Returns:
        1 for the clip as it is, less for a jump into another motion; 0 where nothing moves.

    >>> table = np.abs(np.subtract.outer(np.arange(4.0), np.arange(4.0)))  # one pixel that grows lighter
    >>> motion_agreement(table, np.array([2]), np.array([1])).tolist()
    [1.0]
    """
    b, c = np.minimum(before, len(table) - 2), np.maximum(after, 1)
    a, d, squared = b + 1, c - 1, table**2
    inner = (squared[a, d] + squared[b, c] - squared[a, c] - squared[b, d]) / 2
    sizes = table[a, b] * table[c, d]
    return np.asarray(np.divide(inner, sizes, out=np.zeros(len(inner)), where=sizes > 0))


def phase_error(phase: Floats, before: Ints, after: Ints) -> Floats:
    """Distance of the phase shown from the phase due, 0 to 0.5 periods; ``phase`` of each frame of the clip, in
    periods.

    >>> phase_error(np.arange(8) / 4, np.array([0, 0]), np.array([5, 3])).tolist()
    [0.0, 0.5]
    """
    advance = float(np.median(np.diff(phase)))
    return np.asarray(np.abs((phase[after] - phase[before] - advance + 0.5) % 1.0 - 0.5))


def reversals(phase: Floats, before: Ints, after: Ints) -> NDArray[np.bool_]:
    """Whether a swing goes the other way after a jump than was due; near the turning points, below a tenth of the top
    speed, nothing does.

    >>> reversals(np.arange(40) / 40, np.array([4, 4]), np.array([7, 15])).tolist()
    [False, True]
    """
    due, shown = (np.cos(2 * np.pi * phase[frames]) for frames in (due_frames(before, len(phase)), after))
    return np.asarray((due * shown < 0) & (np.minimum(np.abs(due), np.abs(shown)) > 0.1))


def effective_number(items: NDArray[np.generic]) -> float:
    """exp of the entropy of the use of each item; 0 for none.

    >>> effective_number(np.array([3, 3, 8, 8]))
    2.0
    """
    if len(items) == 0:
        return 0.0
    return round(usage_from_counts(np.unique(items, return_counts=True)[1])["perplexity"], 12)


def ends_in_one_loop(shown: Ints) -> bool:
    """Whether the second half of a play is one loop repeated, at least twice.

    >>> ends_in_one_loop(np.array([9, 8, 7, 9, 1, 2, 3, 1, 2, 3, 1, 2]))
    True
    """
    half = shown[len(shown) // 2 :]
    periods = len(half) - 1 - np.flatnonzero(half[:-1] == half[-1])
    return any(bool((half[period:] == half[:-period]).all()) for period in periods if period <= len(half) // 2)


def in_range_share(shown: Ints, low: int, high: int) -> Floats:
    """Share of the frames of each play ``(plays, n)`` that lie in ``low..high``.

    >>> in_range_share(np.array([[1, 2, 3, 9], [2, 2, 2, 2]]), 2, 3).tolist()
    [0.5, 1.0]
    """
    return np.asarray(((shown >= low) & (shown <= high)).mean(axis=1))


def largest_change(pictures: Iterable[NDArray[Any]]) -> float:
    """Largest change from one picture to the next, root mean square in grey levels.

    With a hard cut that is the change at the jump; a cross-fade spreads it over several steps.

    >>> largest_change([np.zeros((1, 1)), np.full((1, 1), 3), np.full((1, 1), 4)])
    3.0
    """
    floats = (np.asarray(picture, dtype=np.float64) for picture in pictures)
    return float(max(np.sqrt(((b - a) ** 2).mean()) for a, b in pairwise(floats)))
