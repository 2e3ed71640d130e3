"""Plays: what jumps cost, whether they keep the motion, whether plays end or repeat, and how seams look."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.base.files import SampleSet
from bench.base.settings import Natural
from bench.contracts import Floats, Ints
from bench.families.by_example.video.video_playback import blend_weights, jumps_of, render
from bench.metrics.plays import effective_number, ends_in_one_loop, largest_change, reversals
from bench.metrics.protocols import protocol_id
from bench.scorers.strata import share_scores
from bench.scorers.video.clips import (
    ClipReference,
    PlayOptions,
    clip_scores,
    config_of,
    mean_of,
    references,
    sets_of,
)
from bench.scoring import Output, Score, Subject, scorer

__all__ = ["SeamOptions", "video_plays", "video_seams"]

Joins = dict[str, list[tuple[Ints, Ints]]]
"""Clip -> for each play the frames before and after its jumps."""
Measure = Callable[[ClipReference, Ints, Ints], Floats]
_MEASURES: tuple[tuple[str, tuple[str, ...], Measure, float, float], ...] = (
    ("jump_cost", (), ClipReference.jump_cost, 0.0, np.inf),
    ("seam_ratio", ("cut",), ClipReference.seam, 0.0, np.inf),
    ("motion_agreement", (), ClipReference.motion, -1.0, 1.0),
    ("periodicity_error", ("jumps",), ClipReference.phase_error, 0.0, 0.5),
)
"""Metric, words of its protocol, values of the jumps of a play, possible values of their mean."""
SWING = "pendulum"
"""The clip of a swing whose direction is known."""


@scorer("VideoSynthesizer", options=PlayOptions)
def video_plays(subject: Subject, options: PlayOptions) -> Iterator[Output]:
    """What every variant's plays are like."""
    config, known = config_of(subject), references(subject, options.taps)
    settings: dict[str, Any] = {"frames": config.frames, "n": config.plays}
    for samples in sets_of(subject, "plays"):
        variant, shown = samples.variant, _shown(samples, config.clips)
        # Every step of the real clip counts: it has no jumps.
        every = subject.role == "ceiling"
        joins = {name: [known[name].joins(play, every) for play in plays] for name, plays in shown.items()}
        for metric, words, measure, low, high in _MEASURES:
            more = {"taps": options.taps} if metric == "jump_cost" else {}
            names = [name for name in joins if metric != "periodicity_error" or known[name].phase is not None]
            table = {name: np.array([mean_of(measure(known[name], *join)) for join in joins[name]]) for name in names}
            protocol = protocol_id(metric, *words, **more, **settings)
            yield from clip_scores(metric, protocol, table, variant, low, high)
        yield from _reversals(known, joins, variant, config.plays)
        rates = {
            name: np.array([len(jumps_of(play)) / ((len(play) - 1) / known[name].clip.fps) for play in plays])
            for name, plays in shown.items()
        }
        yield from clip_scores("jumps_per_second", protocol_id("jumps_per_second", **settings), rates, variant)
        if subject.role == "generator":
            yield from _variety(shown, joins, variant, settings)
        if all(f"dead_{name}" in samples.extra for name in config.clips):
            dead = {name: samples.extra[f"dead_{name}"].astype(bool) for name in config.clips}
            yield from share_scores(
                "dead_end_probability", protocol_id("dead_end_probability", **settings), dead, variant
            )


def _shown(samples: SampleSet, names: tuple[str, ...]) -> dict[str, Ints]:
    """Clip -> frame numbers of its plays, ``(plays, n)``."""
    return {name: samples.extra[f"play_{name}"].astype(np.int64) for name in names}


def _reversals(known: dict[str, ClipReference], joins: Joins, variant: str, n: int) -> Iterator[Score]:
    """Of the first jump of each play: later ones depend on it."""
    phase = known[SWING].phase if SWING in known else None
    first = [(before[:1], after[:1]) for before, after in joins.get(SWING, ()) if len(before)]
    if phase is not None and first:
        turned = np.concatenate([reversals(phase, before, after) for before, after in first])
        protocol = protocol_id("dynamics_reversals", SWING, "first-jump", n=n)
        yield from share_scores("dynamics_reversals", protocol, {SWING: turned}, variant)


def _variety(shown: dict[str, Ints], joins: Joins, variant: str, settings: dict[str, Any]) -> Iterator[Score]:
    """How many different jumps a play takes, and whether it ends in one loop."""
    used = {name: np.array([effective_number(a * 65536 + b) for a, b in each]) for name, each in joins.items()}
    yield from clip_scores("transition_variety", protocol_id("transition_variety", **settings), used, variant)
    single = {name: np.array([ends_in_one_loop(play) for play in plays]) for name, plays in shown.items()}
    yield from share_scores("single_loop_share", protocol_id("single_loop_share", **settings), single, variant)


@dataclass(frozen=True)
class SeamOptions(PlayOptions):
    """Keys under ``evaluate:``.

    Attributes:
        seams: jumps of each clip whose pictures are rendered to see the seam; 0 for none.
    """

    seams: Natural = 0


@scorer("VideoSynthesizer", options=SeamOptions)
def video_seams(subject: Subject, options: SeamOptions) -> Iterator[Output]:
    """How far the picture changes at a jump as it is shown, with a hard cut and with a cross-fade."""
    if not options.seams:
        return
    config, known = config_of(subject), references(subject, options.taps)
    shown = _shown(sets_of(subject, "plays")[0], config.clips)
    for fade in (0, config.fade):
        table = {}
        for name, reference in known.items():
            play = shown[name][0]
            places = jumps_of(play)
            places = places[(places > config.fade) & (places < len(play) - config.fade - 2)][: options.seams]
            if len(places):
                changes = _changes(reference, play[: int(places.max()) + config.fade + 2], places, fade)
                table[name] = changes / (reference.natural / np.sqrt(reference.clip.frames[0].size))
        protocol = protocol_id("seam_ratio", "shown", jumps=options.seams)
        yield from clip_scores("seam_ratio", protocol, table, f"fade={fade}")


def _changes(reference: ClipReference, play: Ints, places: Ints, fade: int) -> Floats:
    """Largest change from picture to picture around each jump."""
    frames, around = reference.clip.frames, fade // 2 + 1
    weights = blend_weights(play, len(frames), fade)
    near = [slice(max(0, int(place) - around), int(place) + 2 + around) for place in places]
    return np.array([largest_change(render(frames, weights[part])) for part in near])
