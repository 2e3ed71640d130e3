"""What is measured on plays of a clip, one play or jump at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.data.video import Clip
from bench.families.by_example.video.video_distances import filter_diagonal, mean_distance, motion_agreement
from bench.families.by_example.video.video_playback import jumps_of

__all__ = ["PlayJudge", "convergence_rate", "effective_number", "ends_in_one_loop"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def effective_number(items: NDArray[np.generic]) -> float:
    """exp of the entropy of the use of each item; 0 for none.

    >>> effective_number(np.array([3, 3, 8, 8]))
    2.0
    """
    if len(items) == 0:
        return 0.0
    share = np.unique(items, return_counts=True)[1] / len(items)
    return round(float(np.exp(-(share * np.log(share)).sum())), 12)


def ends_in_one_loop(shown: Ints) -> bool:
    """Whether the second half of a play is one loop repeated, at least twice.

    >>> ends_in_one_loop(np.array([9, 8, 7, 9, 1, 2, 3, 1, 2, 3, 1, 2]))
    True
    """
    half = shown[len(shown) // 2 :]
    periods = len(half) - 1 - np.flatnonzero(half[:-1] == half[-1])
    return any(bool((half[period:] == half[:-period]).all()) for period in periods if period <= len(half) // 2)


def convergence_rate(changes: list[float]) -> float:
    """Mean factor by which a sweep shrinks the largest change, over the second half of the sweeps.

    >>> convergence_rate([8.0, 4.0, 2.0, 1.0, 0.5])
    0.5
    """
    tail = [change for change in changes[len(changes) // 2 :] if change > 0]
    return float((tail[-1] / tail[0]) ** (1 / (len(tail) - 1))) if len(tail) > 1 else 0.0


class PlayJudge:
    """One clip, ready to judge plays of it."""

    def __init__(self, clip: Clip, table: Floats, taps: int) -> None:
        self.clip, self.table = clip, table
        filtered, self.first = filter_diagonal(table, taps)
        self.costs = filtered / mean_distance(table)
        natural = table[np.arange(len(table) - 1), np.arange(1, len(table))]
        self.natural = max(float(np.median(natural)), 1e-9)
        self.phase = clip.truth.get("phase")

    def joins(self, shown: Ints, every: bool) -> tuple[Ints, Ints]:
        """(frame before, frame after) of each jump of a play; of every step of the real clip."""
        places = np.arange(len(shown) - 1) if every else jumps_of(shown)
        before, after = shown[places], shown[places + 1]
        return before[(before >= 0) & (after >= 0)], after[(before >= 0) & (after >= 0)]

    def due(self, before: Ints) -> Ints:
        """The frame that was due: the next, or after the clip's last the last once more."""
        return np.minimum(before + 1, len(self.table) - 1)

    def jump_cost(self, before: Ints, after: Ints) -> Floats:
        """D'(i + 1, j) in mean distances; frames too near the clip's ends for the filter take the nearest that are
        not."""
        i, j = (np.clip(frames - self.first, 0, len(self.costs) - 1) for frames in (self.due(before), after))
        return self.costs[i, j]

    def motion(self, before: Ints, after: Ints) -> Floats:
        """Cosine of the step due and the step shown; at the clip's ends the nearest step there is."""
        return motion_agreement(self.table, np.minimum(before, len(self.table) - 2), np.maximum(after, 1))

    def phase_missed(self, before: Ints, after: Ints) -> Floats:
        """Distance of the phase shown from the phase due, 0 to 0.5 periods."""
        assert self.phase is not None
        advance = float(np.median(np.diff(self.phase)))
        return np.asarray(np.abs((self.phase[after] - self.phase[before] - advance + 0.5) % 1.0 - 0.5))

    def reversed_(self, before: Ints, after: Ints) -> NDArray[np.bool_]:
        """Whether the swing goes the other way than was due; near the turning points, below a tenth of the top speed,
        nothing does."""
        assert self.phase is not None
        due, shown = (np.cos(2 * np.pi * self.phase[frames]) for frames in (self.due(before), after))
        return np.asarray((due * shown < 0) & (np.minimum(np.abs(due), np.abs(shown)) > 0.1))
