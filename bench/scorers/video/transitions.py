"""What systems with transition probabilities do besides random plays: loops, control, regions, sprites; and how fast
their future costs converge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from bench.base.errors import BenchError
from bench.base.settings import Checked, Range
from bench.capabilities import TransitionModel
from bench.families.by_example.video.sampling import thirds, transitions_of
from bench.families.by_example.video.video_textures import future_costs
from bench.metrics.convergence import convergence_rate
from bench.metrics.heading_error import heading_error
from bench.metrics.plays import in_range_share
from bench.metrics.protocols import protocol_id
from bench.scorers.video.clips import (
    PlayOptions,
    clip_scores,
    clips,
    config_of,
    mean_of,
    references,
    sets_of,
    tables,
)
from bench.scoring import NoOptions, Output, Score, Subject, scorer
from bench.stats.intervals import mean_t_ci

__all__ = [
    "ConvergenceOptions",
    "sweeps",
    "transitions",
    "video_control",
    "video_convergence",
    "video_loops",
    "video_regions",
    "video_sprites",
]

SETTLED = 60
"""Frames after which a play should have reached the range asked for."""
FAR = 30.0
"""Pixels from its target beyond which a sprite should head for it."""


@scorer("VideoSynthesizer", options=PlayOptions)
def video_loops(subject: Subject, options: PlayOptions) -> Iterator[Output]:
    """Costs of loops by the table, a greedy search and a single jump; the beat that loops of known motion lose."""
    config, known = config_of(subject), references(subject, options.taps)
    for samples in sets_of(subject, "loops"):
        for k, length in enumerate(config.loops):
            protocol = protocol_id("loop_cost", length=length)
            for column, method in enumerate(("dp", "greedy", "single")):
                costs = {name: float(samples.extra[f"costs_{name}"][k, column]) for name in config.clips}
                variant = f"length={length},method={method}"
                if np.isfinite(list(costs.values())).all():
                    mean = float(np.mean(list(costs.values())))
                    yield Score("loop_cost", mean, protocol, n=len(costs), variant=variant)
                for name, cost in costs.items():
                    if np.isfinite(cost):
                        yield Score("loop_cost", cost, protocol, n=1, variant=variant, slice=name)
            missed = {}
            for name, reference in known.items():
                shown = samples.extra.get(f"loop_{name}_{length}")
                if reference.phase is not None and shown is not None:
                    once_round = np.append(shown, shown[:1]).astype(np.int64)
                    missed[name] = reference.phase_error(*reference.joins(once_round))
            protocol = protocol_id("periodicity_error", "loop", length=length)
            yield from clip_scores("periodicity_error", protocol, missed, f"length={length},method=dp", high=0.5)


@scorer("VideoSynthesizer")
def video_control(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """Share of the frames inside the range asked for, once the play had time to get there."""
    protocol = protocol_id("in_range_share", "thirds", after=SETTLED)
    for samples in sets_of(subject, "control"):
        table = {}
        for name in config_of(subject).clips:
            ranges = enumerate(thirds(len(clips(subject)[name])))
            shares = [
                in_range_share(samples.extra[f"range{k}_{name}"][:, SETTLED:].astype(np.int64), *within)
                for k, within in ranges
            ]
            table[name] = np.concatenate(shares)
        yield from clip_scores("in_range_share", protocol, table, samples.variant, high=1.0)


@scorer("VideoSynthesizer")
def video_regions(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """Mean cost of a jump of the whole picture against that of its two parts."""
    config = config_of(subject)
    protocol = protocol_id("jump_cost", "regions", frames=config.frames, n=config.plays)
    for samples in sets_of(subject, "regions"):
        for count, parts in ((1, ("whole",)), (2, ("left", "right"))):
            table = {}
            for name in config.regions:
                each = []
                for part in parts:
                    costs = samples.extra[f"{part}-costs_{name}"].astype(np.float64)
                    jumped = np.diff(samples.extra[f"{part}_{name}"].astype(np.int64), axis=1) != 1
                    each.append(
                        [mean_of(row[jump & np.isfinite(row)]) for row, jump in zip(costs, jumped, strict=True)]
                    )
                table[name] = np.array(each).mean(axis=0)
            yield from clip_scores("jump_cost", protocol, table, f"regions={count}")


@scorer("VideoSynthesizer")
def video_sprites(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """Angles of a sprite to its target while it is far away, its distance, and how well its motion was tracked."""
    name = config_of(subject).sprite
    for samples in sets_of(subject, "sprites"):
        extra, n = samples.extra, samples.extra["future-errors"].shape[1]
        for steering in ("future", "myopic", "none"):
            variant = f"steering={steering}"
            apart = np.hypot(*(extra[f"{steering}-places"] - extra["targets"]).transpose(2, 0, 1))  # (plays, n)
            angles = np.degrees(extra[f"{steering}-errors"])
            pairs = zip(angles, apart, strict=True)
            errors = np.array([mean_of(angle[1:][away[:-1] > FAR]) for angle, away in pairs])
            protocol = protocol_id("heading_error", "target", beyond=FAR, frames=n)
            yield from clip_scores("heading_error", protocol, {name: errors}, variant, high=180.0)
            reached = {name: apart[:, n // 4 :].mean(axis=1)}
            yield from clip_scores("target_distance", protocol_id("target_distance", frames=n), reached, variant)
            costs = np.array([mean_of(each[np.isfinite(each) & (each > 0)]) for each in extra[f"{steering}-costs"]])
            protocol = protocol_id("jump_cost", "sprite", frames=n)
            yield from clip_scores("jump_cost", protocol, {name: costs}, variant)
        truth = clips(subject)[name].truth
        if "velocity" in truth:
            angles = heading_error(extra["velocities"], truth["velocity"])
            protocol = protocol_id("heading_error", "tracking")
            yield from clip_scores("heading_error", protocol, {name: angles}, "tracked", high=180.0)


@dataclass(frozen=True)
class ConvergenceOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        alphas: at which the convergence of the future costs is measured; empty for none.
    """

    alphas: tuple[Annotated[float, Range(above=0, below=1)], ...] = ()


def transitions(subject: Subject) -> TransitionModel | None:
    """The system's transition probabilities, None where it has none or there are only samples."""
    return transitions_of(subject.system) if subject.has_model else None


def sweeps(subject: Subject, alpha: float) -> dict[str, tuple[list[float], float]]:
    """Clip -> what each sweep that updates all frames at once still changes, and the largest possible cost.

    Raises:
        BenchError: a system without transition probabilities, or samples alone.
    """

    def make() -> dict[str, tuple[list[float], float]]:
        model = transitions(subject)
        if model is None:
            raise BenchError(f"{subject.name}.evaluate.alphas: the system has no future costs: leave it out")
        found = {}
        for name, table in tables(subject).items():
            texture = model.texture(name)
            p = texture.config.p
            unit = float(table.max() ** p)
            found[name] = future_costs(texture.costs, alpha, p, 1e-9 * unit, backward=False)[1], unit
        return found

    return subject.once(("sweeps", alpha), make)


@scorer("VideoSynthesizer", options=ConvergenceOptions, model=True)
def video_convergence(subject: Subject, options: ConvergenceOptions) -> Iterator[Output]:
    """The rate of the iteration for the future costs, over alpha."""
    for alpha in options.alphas:
        rates = np.array([convergence_rate(changes) / alpha for changes, _ in sweeps(subject, alpha).values()])
        ci95 = mean_t_ci(rates) if len(rates) > 1 else None
        protocol = protocol_id("value_iteration_rate", "jacobi")
        yield Score("value_iteration_rate", float(rates.mean()), protocol, ci95, len(rates), f"alpha={alpha}")
