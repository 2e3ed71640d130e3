"""Video textures scored: what jumps cost, whether they keep the motion, whether plays end, how loops compare, how well
control is obeyed.

Numbers are means over clips; their intervals come from the spread over plays within each clip. All distances are
counted in the clip's own mean distance between two frames. Jumps are judged by one filter, whatever the play was
planned with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.files import SampleSet, read_image_samples
from bench.context import Evaluation, StageContext
from bench.data.video import Clip
from bench.evaluation.video_extras import extras
from bench.evaluation.video_judges import PlayJudge, convergence_rate, effective_number, ends_in_one_loop
from bench.families.by_example.video.sampling import SampleConfig, clips_of, sample_config, thirds
from bench.families.by_example.video.video_playback import blend_weights, jumps_of, seam_changes
from bench.families.by_example.video.video_textures import VideoTextures, future_costs
from bench.metrics.protocols import protocol_id
from bench.registry import build_config
from bench.results.records import Record
from bench.stats.intervals import mean_t_ci, stratified_t_ci, wilson_interval

__all__ = ["EvalConfig", "evaluate"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class EvalConfig:
    """Keys under ``evaluate:``.

    Attributes:
        taps: of the filter that jumps are judged by.
        alphas: at which the convergence of the future costs is measured; empty for none.
        seams: jumps of each clip whose pictures are rendered to see the seam; 0 for none.
    """

    taps: int = 4
    alphas: tuple[float, ...] = ()
    seams: int = 0


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else np.nan


class _Rows:
    """Collects records: the mean over clips, then each clip as a slice."""

    def __init__(self, context: StageContext) -> None:
        self.context, self.records = context, list[Record]()

    def add(
        self,
        metric: str,
        table: Mapping[str, Floats],
        protocol: str,
        better: bool | None,
        *,
        low: float = 0.0,
        high: float = np.inf,
        **more: Any,
    ) -> None:
        """``table``: clip -> a value for each play, NaN where a play has none."""
        kept = {name: values[np.isfinite(values)] for name, values in table.items()}
        kept = {name: values for name, values in kept.items() if len(values)}
        if not kept:
            return
        means = np.array([values.mean() for values in kept.values()])
        parts = [
            ("", float(means.mean()), stratified_t_ci(list(kept.values()), low, high), sum(map(len, kept.values())))
        ]
        if len(table) > 1:
            each = kept.items()
            parts += [
                (name, float(values.mean()), stratified_t_ci([values], low, high), len(values)) for name, values in each
            ]
        for name, value, ci95, n in parts:
            self.records.append(
                self.context.record(
                    metric, value, protocol, ci95=ci95, n=n, higher_is_better=better, slice=name, **more
                )
            )

    def share(
        self, metric: str, table: Mapping[str, NDArray[np.bool_]], protocol: str, better: bool | None, **more: Any
    ) -> None:
        """Wilson's interval of a share of plays, pooled over the clips and, where there are several, for each."""
        whole = np.concatenate(list(table.values()))
        for name, values in (("", whole), *(table.items() if len(table) > 1 else ())):
            count, n = int(values.sum()), len(values)
            self.records.append(
                self.context.record(
                    metric,
                    count / n,
                    protocol,
                    ci95=wilson_interval(count, n),
                    n=n,
                    higher_is_better=better,
                    slice=name,
                    **more,
                )
            )


def _plays(rows: _Rows, samples: SampleSet, judges: Mapping[str, PlayJudge], config: SampleConfig, order: str) -> None:
    """The rows of one variant."""
    shown = {name: samples.extra[f"play_{name}"].astype(np.int64) for name in config.clips}
    every = order == "real"
    joins = {name: [judges[name].joins(play, every) for play in plays] for name, plays in shown.items()}
    settings: dict[str, Any] = {"frames": config.frames, "n": config.plays}

    def over(measure: Callable[[PlayJudge, Ints, Ints], Floats], names: list[str]) -> dict[str, Floats]:
        return {name: np.array([_mean(measure(judges[name], *join)) for join in joins[name]]) for name in names}

    names, moving = list(config.clips), [name for name in config.clips if judges[name].phase is not None]
    taps = rows.context.block.get("evaluate", {}).get("taps", EvalConfig.taps)
    common: dict[str, Any] = {"variant": samples.variant}
    rows.add(
        "jump_cost", over(PlayJudge.jump_cost, names), protocol_id("jump_cost", taps=taps, **settings), False, **common
    )
    seams = over(lambda judge, before, after: judge.table[before, after] / judge.natural, names)
    rows.add("seam_ratio", seams, protocol_id("seam_ratio", "cut", **settings), False, **common)
    agreement = over(PlayJudge.motion, names)
    rows.add(
        "motion_agreement", agreement, protocol_id("motion_agreement", **settings), True, low=-1.0, high=1.0, **common
    )
    if moving:
        missed = over(PlayJudge.phase_missed, moving)
        rows.add(
            "periodicity_error",
            missed,
            protocol_id("periodicity_error", "jumps", **settings),
            False,
            high=0.5,
            **common,
        )
    if "pendulum" in moving:
        # One jump of each play, the first: later ones of a play depend on it.
        first = [join for join in joins["pendulum"] if len(join[0])]
        if first:
            turned = np.concatenate([judges["pendulum"].reversed_(before[:1], after[:1]) for before, after in first])
            rows.share(
                "dynamics_reversals",
                {"pendulum": turned},
                protocol_id("dynamics_reversals", "pendulum", "first-jump", n=config.plays),
                False,
                **common,
            )
    rate = {
        name: np.array([len(jumps_of(play)) / ((len(play) - 1) / judges[name].clip.fps) for play in plays])
        for name, plays in shown.items()
    }
    rows.add("jumps_per_second", rate, protocol_id("jumps_per_second", **settings), None, unit="1/s", **common)
    if order == "markov":
        used = {name: np.array([effective_number(a * 65536 + b) for a, b in joins[name]]) for name in names}
        rows.add("transition_variety", used, protocol_id("transition_variety", **settings), None, **common)
        single = {name: np.array([ends_in_one_loop(play) for play in plays]) for name, plays in shown.items()}
        rows.share("single_loop_share", single, protocol_id("single_loop_share", **settings), None, **common)
        dead = {name: samples.extra[f"dead_{name}"].astype(bool) for name in names}
        rows.share("dead_end_probability", dead, protocol_id("dead_end_probability", **settings), False, **common)


def _loops(rows: _Rows, samples: SampleSet, judges: Mapping[str, PlayJudge], config: SampleConfig) -> None:
    """Loop costs of the table, of the greedy search and of a single jump; and the beat that loops of known motion
    lose."""
    for k, length in enumerate(config.loops):
        protocol = protocol_id("loop_cost", length=length)
        for column, method in enumerate(("dp", "greedy", "single")):
            costs = {name: float(samples.extra[f"costs_{name}"][k, column]) for name in config.clips}
            finite = {name: cost for name, cost in costs.items() if np.isfinite(cost)}
            variant = f"length={length},method={method}"
            if len(finite) == len(costs):
                rows.records.append(
                    rows.context.record(
                        "loop_cost",
                        float(np.mean(list(costs.values()))),
                        protocol,
                        n=len(costs),
                        higher_is_better=False,
                        variant=variant,
                    )
                )
            for name, cost in finite.items():
                rows.records.append(
                    rows.context.record(
                        "loop_cost", cost, protocol, n=1, higher_is_better=False, variant=variant, slice=name
                    )
                )
        missed = {}
        for name in config.clips:
            judge, key = judges[name], f"loop_{name}_{length}"
            if judge.phase is None or key not in samples.extra:
                continue
            round_ = samples.extra[key].astype(np.int64)
            before, after = judge.joins(np.concatenate([round_, round_[:1]]), False)
            missed[name] = judge.phase_missed(before, after)
        rows.add(
            "periodicity_error",
            missed,
            protocol_id("periodicity_error", "loop", length=length),
            False,
            high=0.5,
            variant=f"length={length},method=dp",
        )


def _control(rows: _Rows, samples: SampleSet, judges: Mapping[str, PlayJudge], config: SampleConfig) -> None:
    """Share of the frames inside the range asked for, after the first 60, which the play may need to get there."""
    table = {}
    for name in config.clips:
        shares = []
        for k, (low, high) in enumerate(thirds(len(judges[name].clip))):
            shown = samples.extra[f"range{k}_{name}"].astype(np.int64)[:, 60:]
            shares.append(((shown >= low) & (shown <= high)).mean(axis=1))
        table[name] = np.concatenate(shares)
    rows.add(
        "in_range_share",
        table,
        protocol_id("in_range_share", "thirds", after=60),
        True,
        high=1.0,
        variant=samples.variant,
    )


def _regions(rows: _Rows, samples: SampleSet, config: SampleConfig) -> None:
    """Mean cost of a jump of the whole picture against that of its two parts."""
    for count, parts in ((1, ("whole",)), (2, ("left", "right"))):
        table = {}
        for name in config.regions:
            each = []
            for part in parts:
                costs = samples.extra[f"{part}-costs_{name}"].astype(np.float64)
                jumped = np.diff(samples.extra[f"{part}_{name}"].astype(np.int64), axis=1) != 1
                each.append([_mean(row[jump & np.isfinite(row)]) for row, jump in zip(costs, jumped, strict=True)])
            table[name] = np.array(each).mean(axis=0)
        protocol = protocol_id("jump_cost", "regions", frames=config.frames, n=config.plays)
        rows.add("jump_cost", table, protocol, False, variant=f"regions={count}")


def _sprites(rows: _Rows, samples: SampleSet, config: SampleConfig, clip: Clip) -> None:
    """Angles to the target while it is more than 30 pixels away, the distance from it, and how well the motion was
    tracked."""
    n, far = samples.extra["future-errors"].shape[1], 30.0
    for name in ("future", "myopic", "none"):
        apart = np.hypot(*(samples.extra[f"{name}-places"] - samples.extra["targets"]).transpose(2, 0, 1))  # (plays, n)
        angles = np.degrees(samples.extra[f"{name}-errors"])
        errors = np.array([_mean(angle[1:][away[:-1] > far]) for angle, away in zip(angles, apart, strict=True)])
        variant = f"steering={name}"
        protocol = protocol_id("heading_error", "target", beyond=far, frames=n)
        rows.add("heading_error", {config.sprite: errors}, protocol, False, high=180.0, variant=variant, unit="deg")
        distance = {config.sprite: apart[:, n // 4 :].mean(axis=1)}
        rows.add(
            "target_distance", distance, protocol_id("target_distance", frames=n), False, variant=variant, unit="px"
        )
        costs = samples.extra[f"{name}-costs"]
        rows.add(
            "jump_cost",
            {config.sprite: np.array([_mean(c[np.isfinite(c) & (c > 0)]) for c in costs])},
            protocol_id("jump_cost", "sprite", frames=n),
            False,
            variant=variant,
        )
    if "velocity" in clip.truth:
        found, real = samples.extra["velocities"], clip.truth["velocity"]
        cross, dot = found[:, 0] * real[:, 1] - found[:, 1] * real[:, 0], (found * real).sum(axis=1)
        angles = np.degrees(np.abs(np.arctan2(cross, dot)))
        rows.add(
            "heading_error",
            {config.sprite: angles},
            protocol_id("heading_error", "tracking"),
            False,
            high=180.0,
            variant="tracked",
            unit="deg",
        )


def _convergence(
    rows: _Rows, system: VideoTextures, judges: Mapping[str, PlayJudge], alphas: tuple[float, ...]
) -> dict[float, list[float]]:
    """The rate of the iteration that updates all frames at once, over alpha; changes of the first clip, for the
    figure."""
    curves: dict[float, list[float]] = {}
    for alpha in alphas:
        rates = []
        for name, judge in judges.items():
            texture = system.texture(name)
            unit = judge.table.max() ** system.options.p
            _, changes = future_costs(texture.costs, alpha, system.options.p, 1e-9 * unit, backward=False)
            rates.append(convergence_rate(changes) / alpha)
            curves.setdefault(alpha, [change / unit for change in changes])
        values = np.array(rates)
        ci95 = mean_t_ci(values) if len(values) > 1 else None
        protocol = protocol_id("value_iteration_rate", "jacobi")
        rows.records.append(
            rows.context.record(
                "value_iteration_rate",
                float(values.mean()),
                protocol,
                ci95=ci95,
                n=len(values),
                variant=f"alpha={alpha}",
            )
        )
    return curves


def _seams(rows: _Rows, samples: SampleSet, judges: Mapping[str, PlayJudge], config: SampleConfig, count: int) -> None:
    """How far the picture changes at a jump as it is shown, with a hard cut and with a cross-fade."""
    for fade in (0, config.fade):
        table = {}
        for name in config.clips:
            shown, clip = samples.extra[f"play_{name}"].astype(np.int64)[0], judges[name].clip
            places = jumps_of(shown)
            places = places[(places > config.fade) & (places < len(shown) - config.fade - 2)][:count]
            if len(places):
                until = int(places.max()) + config.fade + 2
                changes = seam_changes(
                    clip.frames, blend_weights(shown[:until], len(clip), fade), places, fade // 2 + 1
                )
                table[name] = changes / (judges[name].natural / np.sqrt(clip.frames[0].size))
        rows.add("seam_ratio", table, protocol_id("seam_ratio", "shown", jumps=count), False, variant=f"fade={fade}")


def evaluate(context: StageContext) -> Evaluation:
    """All rows, and the films and figures of the report."""
    config = sample_config(context)
    score = build_config(EvalConfig, context.block.get("evaluate") or {}, f"{context.family}.{context.name}.evaluate")
    clips, system = clips_of(context, config), context.load()
    assert isinstance(system, VideoTextures) and isinstance(score, EvalConfig) and context.samples is not None
    judges = {name: PlayJudge(clips[name], system.tables[name], score.taps) for name in config.clips}
    rows = _Rows(context)
    order, sets = system.options.order, read_image_samples(context.samples)
    for samples in sets:
        kind = samples.info["kind"]
        if kind == "plays":
            _plays(rows, samples, judges, config, order)
        elif kind == "loops":
            _loops(rows, samples, judges, config)
        elif kind == "control":
            _control(rows, samples, judges, config)
        elif kind == "regions":
            _regions(rows, samples, config)
        elif kind == "sprites":
            _sprites(rows, samples, config, clips[config.sprite])
    curves = _convergence(rows, system, judges, score.alphas) if order == "markov" else {}
    if order == "markov" and score.seams:
        _seams(rows, sets[0], judges, config, score.seams)
    return Evaluation(rows.records, extras(system, sets, clips, config, curves))
