"""From a list of frame numbers to pictures: cross-fades at the jumps, speed, and regions played independently.

Schoedl et al. 2000, section 5.1 (cross-fading), 4.3 (speed and control), 3.4 (regions). Everything streams: one output
frame is made at a time from a clip that may be mapped from disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError

__all__ = ["at_speed", "blend_weights", "jumps_of", "regions", "render", "split_column"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def jumps_of(shown: Ints, loop: bool = False) -> Ints:
    """Positions t of a play at which frame ``shown[t + 1]`` is not the successor of ``shown[t]``; in a loop the last
    may be one.

    >>> jumps_of(np.array([4, 5, 9, 10]), loop=True).tolist()
    [1, 3]
    """
    following = np.concatenate([shown[1:], shown[:1]]) if loop else shown[1:]
    return np.flatnonzero(following != shown[: len(following)] + 1)


@dataclass(frozen=True)
class _Runs:
    """A play cut at its jumps: run r shows the frames ``frame[r], frame[r] + 1, ...`` from time ``start[r]`` to
    ``end[r]`` (exclusive)."""

    start: Ints
    end: Ints
    frame: Ints


def _runs(shown: Ints, loop: bool, before: int) -> _Runs:
    """The runs of a play; of a loop also those of the rounds before and after it, as far as ``before`` frames."""
    starts = np.concatenate([[0], jumps_of(shown) + 1])
    ends = np.concatenate([starts[1:], [len(shown)]])
    frames = shown[starts]
    if loop:
        rounds = range(-1 - before // len(shown), 2 + before // len(shown))
        starts = np.concatenate([starts + k * len(shown) for k in rounds])
        ends = np.concatenate([ends + k * len(shown) for k in rounds])
        frames = np.tile(frames, len(rounds))
    return _Runs(starts, ends, frames)


def blend_weights(shown: Ints, length: int, fade: int, loop: bool = False) -> list[list[tuple[int, float]]]:
    """Which frames of the clip make each shown frame, and with what weights (they sum to one).

    Near a jump the run that ends goes on for ``fade / 2`` frames and the run that begins starts as much earlier, and
    one is faded into the other linearly; where jumps are nearer to each other than ``fade``, more than two runs are
    mixed. A run's share at time t is the part of the window ``t - fade / 2 .. t + fade / 2`` in which it is played.

    Args:
        shown: frame numbers of the play.
        length: frames of the clip; a run is not drawn out beyond it.
        fade: frames that a cross-fade lasts; 0 for hard cuts.
        loop: the play is one round of a loop.
    """
    if fade <= 0:
        return [[(int(frame), 1.0)] for frame in shown]
    runs = _runs(shown, loop, fade + 1)
    half = (fade + 1) / 2
    mixed = []
    for t in range(len(shown)):
        low, high = t + 0.5 - half, t + 0.5 + half
        share = np.minimum(runs.end, high) - np.maximum(runs.start, low)
        near = np.flatnonzero(share > 1e-9)
        frames = runs.frame[near] + t - runs.start[near]
        inside = (frames >= 0) & (frames < length)
        weights = share[near][inside]
        together: dict[int, float] = {}
        for frame, weight in zip(frames[inside].tolist(), (weights / weights.sum()).tolist(), strict=True):
            together[frame] = together.get(frame, 0.0) + weight
        mixed.append(sorted(together.items()))
    return mixed


def at_speed(
    weights: Sequence[Sequence[tuple[int, float]]], speed: float | Floats, n: int, loop: bool = False
) -> list[list[tuple[int, float]]]:
    """A play at another speed: shown frame t stands at the sum of the speeds before t; between two frames they are
    blended.

    Args:
        weights: of the play at its own speed.
        speed: frames of the play for each shown frame: 0.5 is slow motion, 2 twice as fast, 0 stands still; or one
            value for each.
        n: frames to show.
        loop: the play goes on from its start at its end; else it must be long enough.

    Raises:
        BenchError: a negative speed, or a play too short.
    """
    speeds = np.broadcast_to(np.asarray(speed, dtype=np.float64), (n,))
    if not np.isfinite(speeds).all() or (speeds < 0).any():
        raise BenchError("speed must not be negative")
    places = np.concatenate([[0.0], np.cumsum(speeds)[:-1]])
    if not loop and places[-1] > len(weights) - 1:
        raise BenchError(
            f"at this speed {n} frames need a play of {int(np.ceil(places[-1])) + 1} frames, it has {len(weights)}"
        )
    shown = []
    for place in places:
        before = int(np.floor(place + 1e-9))
        part = max(place - before, 0.0)
        together: dict[int, float] = {}
        for index, share in ((before, 1 - part), (before + 1, part)):
            if share > 1e-9:
                for frame, weight in weights[index % len(weights)]:
                    together[frame] = together.get(frame, 0.0) + share * weight
        shown.append(sorted(together.items()))
    return shown


def render(frames: NDArray[np.uint8], weights: Sequence[Sequence[tuple[int, float]]]) -> Iterator[NDArray[np.uint8]]:
    """The pictures, ``(H, W, C)`` uint8 one after another."""
    for mix in weights:
        if len(mix) == 1:
            yield np.asarray(frames[mix[0][0]])
        else:
            total = np.zeros(frames.shape[1:], dtype=np.float64)
            for frame, weight in mix:
                total += weight * frames[frame]
            yield np.clip(np.rint(total), 0, 255).astype(np.uint8)


def split_column(frames: NDArray[np.uint8], margin: float = 0.2, quiet: float = 1.5) -> tuple[int, int]:
    """The column that best divides a clip into a left and a right part that move independently, and how wide the parts
    may be blended.

    Args:
        frames: ``(T, H, W, C)``.
        margin: share of the width on either side that is not considered.
        quiet: the blend spans the columns around that change at most so many times as much (standard deviation over
            time).

    Returns:
        (the column that changes least, width of the blend in pixels).
    """
    mean = np.zeros(frames.shape[1:])
    square = np.zeros(frames.shape[1:])
    for frame in frames:
        values = frame.astype(np.float64)
        mean += values
        square += values**2
    variance = np.maximum(square / len(frames) - (mean / len(frames)) ** 2, 0.0).mean(axis=(0, 2))
    change = np.sqrt(np.convolve(np.pad(variance, 4, mode="edge"), np.ones(9) / 9, mode="valid"))  # (W,)
    low = max(1, int(margin * len(change)))
    column = low + int(change[low : len(change) - low].argmin())
    reach = 1
    while (
        low <= column - reach
        and column + reach < len(change) - low
        and max(change[[column - reach, column + reach]]) <= quiet * change[column]
    ):
        reach += 1
    return column, 2 * reach


def regions(
    frames: NDArray[np.uint8],
    column: int,
    feather: int,
    left: Sequence[Sequence[tuple[int, float]]],
    right: Sequence[Sequence[tuple[int, float]]],
) -> Iterator[NDArray[np.uint8]]:
    """Two parts of a clip played independently, joined at a column with a soft edge ``feather`` pixels wide.

    Args:
        frames: ``(T, H, W, C)``.
        column: where the right part begins.
        feather: width of the blend.
        left, right: what each part shows (:func:`blend_weights`), of equal length.
    """
    if len(left) != len(right):
        raise BenchError(f"the two parts must last equally long, not {len(left)} and {len(right)} frames")
    ramp = np.clip((np.arange(frames.shape[2]) + 0.5 - column) / max(feather, 1) + 0.5, 0.0, 1.0)[None, :, None]
    for one, other in zip(render(frames, left), render(frames, right), strict=True):
        yield np.clip(np.rint(one + ramp * (other.astype(np.float64) - one)), 0, 255).astype(np.uint8)
