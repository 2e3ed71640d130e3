"""The clips that plays are measured on, and scores over them.

All distances are counted in the clip's own mean distance between two frames. Jumps are measured by one filter, whatever
the play was planned with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from bench.base.files import SampleSet
from bench.base.settings import Checked, Range
from bench.contracts import Floats, Ints
from bench.data.video import Clip
from bench.families.by_example.video.sampling import SampleConfig, clips_of, sample_config
from bench.families.by_example.video.video_distances import distances, filter_diagonal, mean_distance
from bench.families.by_example.video.video_playback import jumps_of
from bench.metrics import plays
from bench.scorers.strata import stratified_scores
from bench.scoring import Score, Subject

__all__ = [
    "ClipReference",
    "PlayOptions",
    "clip_scores",
    "clips",
    "config_of",
    "mean_of",
    "references",
    "sets_of",
    "tables",
]


@dataclass(frozen=True)
class PlayOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        taps: of the filter that jumps are measured by.
    """

    taps: Annotated[int, Range(low=1, high=64)] = 4


def config_of(subject: Subject) -> SampleConfig:
    """The block's ``sample:`` mapping."""
    return subject.once("sample config", lambda: sample_config(subject.context))


def clips(subject: Subject) -> dict[str, Clip]:
    """Every clip of the data set, by name."""
    return subject.once("clips", lambda: clips_of(subject.context, config_of(subject)))


def sets_of(subject: Subject, kind: str) -> list[SampleSet]:
    """The sample sets of one kind: ``plays``, ``loops``, ``control``, ``regions``, ``sprites`` or ``films``."""
    return [samples for samples in subject.samples if samples.info["kind"] == kind]


class ClipReference:
    """One clip, ready to measure plays of it.

    Args:
        clip: with the phase of a known motion in its ``truth``, if any.
        table: distances of all pairs of its frames, ``(T, T)``.
        taps: of the filter.
    """

    def __init__(self, clip: Clip, table: Floats, taps: int) -> None:
        self.clip, self.table = clip, table
        filtered, self.first = filter_diagonal(table, taps)
        self.costs = filtered / mean_distance(table)
        following = table[np.arange(len(table) - 1), np.arange(1, len(table))]
        self.natural = max(float(np.median(following)), 1e-9)
        """Median change from frame to frame."""
        self.phase: Floats | None = clip.truth.get("phase")

    def joins(self, shown: Ints, every: bool = False) -> tuple[Ints, Ints]:
        """(frame before, frame after) of each jump of a play, or of ``every`` step."""
        places = np.arange(len(shown) - 1) if every else jumps_of(shown)
        before, after = shown[places], shown[places + 1]
        there = (before >= 0) & (after >= 0)
        return before[there], after[there]

    def jump_cost(self, before: Ints, after: Ints) -> Floats:
        """Cost of each jump in mean distances."""
        return plays.jump_costs(self.costs, self.first, len(self.table), before, after)

    def seam(self, before: Ints, after: Ints) -> Floats:
        """Change of the picture at each jump, over the median change from frame to frame."""
        return np.asarray(self.table[before, after] / self.natural)

    def motion(self, before: Ints, after: Ints) -> Floats:
        """Cosine of the step due and the step shown."""
        return plays.motion_agreement(self.table, before, after)

    def phase_error(self, before: Ints, after: Ints) -> Floats:
        """Share of a period by which each jump misses the phase due."""
        assert self.phase is not None
        return plays.phase_error(self.phase, before, after)


def tables(subject: Subject) -> dict[str, Floats]:
    """Distances of all pairs of frames of the clips that the block plays, ``(T, T)``."""

    def make() -> dict[str, Floats]:
        return {name: distances(clips(subject)[name].frames) for name in config_of(subject).clips}

    return subject.once("distances", make)


def references(subject: Subject, taps: int) -> dict[str, ClipReference]:
    """The clips that the block plays."""

    def make() -> dict[str, ClipReference]:
        return {name: ClipReference(clips(subject)[name], table, taps) for name, table in tables(subject).items()}

    return subject.once(("clip references", taps), make)


def mean_of(values: Floats) -> float:
    """The mean, NaN for none."""
    return float(values.mean()) if len(values) else np.nan


def clip_scores(
    metric: str,
    protocol: str,
    table: Mapping[str, NDArray[np.float64]],
    variant: str,
    low: float = 0.0,
    high: float = np.inf,
) -> Iterator[Score]:
    """The mean over clips and, where there are several, each clip as a slice.

    ``table``: clip -> a value for each play, NaN where a play has none. Intervals come from the spread over plays
    within each clip.
    """
    kept = {name: values[np.isfinite(values)] for name, values in table.items()}
    kept = {name: values for name, values in kept.items() if len(values)}
    if kept:
        yield from stratified_scores(metric, protocol, kept, variant, low, high, alike=True, slices=len(table) > 1)
