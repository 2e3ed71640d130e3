"""Image analogies: how near B' comes to a known answer, beside floors that look at one pixel or at none; how long its
copies are.

Rows without a slice are those of the main question of a block: planted filters of photographs, or line art. Slices are
single tasks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.files import SampleSet, read_image_samples
from bench.context import Evaluation, StageContext
from bench.evaluation.analogy_floors import floors
from bench.evaluation.analogy_pictures import flat, gallery, strips
from bench.families.by_example.analogies.planted_filters import FILTERS
from bench.families.by_example.analogies.sampling import asked, in_colour
from bench.families.by_example.analogies.tasks import SCORED, Question
from bench.metrics.protocols import protocol_id
from bench.metrics.psnr import psnr
from bench.metrics.ssim import ssim
from bench.registry import build_config
from bench.results.records import Record
from bench.stats.intervals import bootstrap_mean_ci, paired_difference

__all__ = ["EvalConfig", "copied_run", "evaluate"]

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]

MAIN = (*FILTERS, "line-art")
"""Tasks of the rows without a slice."""
MOST_DECIBELS = 100.0
"""PSNR of an exact answer, which would be infinite."""


@dataclass(frozen=True)
class EvalConfig:
    """Keys under ``evaluate:``.

    Attributes:
        shown: variant whose answers the gallery shows; null for the first.
        each: answers shown for each task.
    """

    shown: str | None = None
    each: int = 2


def copied_run(sources: NDArray[np.integer[Any]]) -> float:
    """Pixels in a row that were copied from a row of one A': length of the run that a pixel lies in, mean over pixels.

    Args:
        sources: ``(H, W, 3)`` pair, row and column of A'.

    >>> copied_run(np.array([[[0, 5, 6], [0, 5, 7], [0, 5, 8], [1, 5, 9]]]))
    2.5
    """
    goes_on = (np.diff(sources.astype(np.int64), axis=1) == (0, 0, 1)).all(axis=2)
    total = 0
    for row in goes_on:
        breaks = np.flatnonzero(np.concatenate([[True], ~row, [True]]))
        total += int((np.diff(breaks) ** 2).sum())
    return total / int(sources.shape[0] * sources.shape[1])


@dataclass(frozen=True)
class _Scores:
    """Measures of the answers of one variant, answer by answer."""

    variant: str
    role: str
    tasks: list[str]
    psnr: Floats
    ssim: Floats
    runs: Floats | None = None
    protocol: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(
        cls,
        variant: str,
        role: str,
        tasks: list[str],
        answers: Sequence[Picture],
        truths: Sequence[Picture],
        runs: Floats | None = None,
    ) -> _Scores:
        given, right = np.stack(list(answers)), np.stack([in_colour(truth) for truth in truths])
        decibels = np.minimum(psnr(right, given), MOST_DECIBELS)
        return cls(variant, role, tasks, decibels, ssim(right, given), runs)

    def columns(self) -> dict[str, tuple[Floats, bool | None, str, tuple[str, ...]]]:
        """Metric -> values, direction, unit, words of the protocol."""
        found: dict[str, tuple[Floats, bool | None, str, tuple[str, ...]]] = {
            "psnr": (self.psnr, True, "dB", ("analogy",)),
            "ssim": (self.ssim, True, "", ("analogy",)),
        }
        if self.runs is not None:
            found["copied_run"] = (self.runs, None, "px", ("analogy", "rows"))
        return found


def _rows(context: StageContext, scores: _Scores) -> list[Record]:
    """The mean over the main tasks, then each task as a slice."""
    records = []
    names = list(dict.fromkeys(scores.tasks))
    slices = {
        "": np.array([task in MAIN for task in scores.tasks]),
        **{n: np.array([t == n for t in scores.tasks]) for n in names},
    }
    for metric, (values, higher, unit, words) in scores.columns().items():
        protocol = protocol_id(metric, *words, **scores.protocol)
        for part, chosen in slices.items():
            if not chosen.any():
                continue
            row = context.record(
                metric,
                float(values[chosen].mean()),
                protocol,
                ci95=bootstrap_mean_ci(values[chosen], context.derive("interval", metric, part)),
                n=int(chosen.sum()),
                higher_is_better=higher,
                variant=scores.variant,
                slice=part,
                unit=unit,
            )
            records.append(row if scores.role == "generator" else dataclasses.replace(row, role=scores.role))
    return records


def _measured(
    context: StageContext, samples: SampleSet, listed: Sequence[Question], protocol: Mapping[str, Any]
) -> _Scores:
    assert samples.images is not None
    places = flat(listed)
    truths = [question.truths[i] for question, i in places if question.truths is not None]
    runs = np.array([copied_run(one) for one in samples.extra["sources"]])
    scores = _Scores.of(
        samples.variant, "generator", [question.task for question, _ in places], list(samples.images), truths, runs
    )
    return dataclasses.replace(scores, protocol=protocol)


def _floor_scores(listed: Sequence[Question], protocol: Mapping[str, Any]) -> list[_Scores]:
    """One set of scores for each floor, over the tasks that have it."""
    collected: dict[str, tuple[list[str], list[Picture], list[Picture]]] = {}
    for question in listed:
        assert question.truths is not None
        for name, answers in floors(question).items():
            tasks, given, truths = collected.setdefault(name, ([], [], []))
            tasks += [question.task] * len(answers)
            given += answers
            truths += question.truths
    return [
        dataclasses.replace(_Scores.of(f"floor={name}", "floor", *parts), protocol=protocol)
        for name, parts in sorted(collected.items())
    ]


def evaluate(context: StageContext) -> Evaluation:
    """PSNR, SSIM and copied runs of every variant and floor; the searches side by side; pictures of every task."""
    where = f"{context.family}.{context.name}.evaluate"
    scoring: EvalConfig = build_config(EvalConfig, context.block.get("evaluate") or {}, where)
    sets, config = asked(context)
    assert context.samples is not None
    samples = {item.variant: item for item in read_image_samples(context.samples)}
    size = f"{config.crop}x{config.crop}" if any(q.task in FILTERS for q in sets.get("", [])) else None
    records: list[Record] = []
    everything: list[_Scores] = []
    extras: dict[str, Any] = {"gallery": [], "strips": [], "tables": [], "curves": [], "notes": [_NOTE]}
    for start, listed in sets.items():
        mine = {
            v: s for v, s in samples.items() if v.split(",")[0] == start or (not start and not v.startswith("task="))
        }
        if listed[0].task in SCORED:
            protocol = {"size": size, "example": listed[0].pairs[0][0].shape[0] if start else None}
            scores = [_measured(context, item, listed, protocol) for item in mine.values()]
            if start:
                extras["tables"] += _searches(context, scores, mine)
            else:
                scores += _floor_scores(listed, protocol)
                extras["curves"] += _curves(scores)
                shown = mine[scoring.shown] if scoring.shown in mine else next(iter(mine.values()))
                extras["gallery"] += gallery(shown, listed, scoring.each)
                extras["strips"] += strips(list(mine.values()), listed)
            everything += scores
        else:
            for item in mine.values():
                records += _run_rows(context, item, listed[0].task)
                extras["gallery"] += gallery(item, listed, len(listed))
    for one in everything:
        records += _rows(context, one)
    extras["items"] = {
        "psnr": {one.variant: _blocks(one) for one in everything if any(task in MAIN for task in one.tasks)}
    }
    return Evaluation(records, {key: value for key, value in extras.items() if value})


_NOTE = (
    "Analogies: rows without a slice are the planted filters of photographs, or line art; identity is B itself "
    "(for super-resolution its "
    "repeated pixels), single-pixel knows the mean of A' for each luminance of A, nearest-example copies the A' "
    "whose A is most like B."
)


def _blocks(scores: _Scores) -> list[list[float]]:
    """PSNR of each answer of the main tasks and its weight, so that claims can compare variants picture by picture."""
    values = [round(float(value), 4) for value, task in zip(scores.psnr, scores.tasks, strict=True) if task in MAIN]
    return [values, [1] * len(values)]


def _run_rows(context: StageContext, samples: SampleSet, task: str) -> list[Record]:
    """Copied runs of a task without a right answer."""
    runs = np.array([copied_run(one) for one in samples.extra["sources"]])
    protocol = protocol_id(
        "copied_run", "analogy", "rows", size="x".join(map(str, samples.extra["sources"].shape[1:3]))
    )
    interval = bootstrap_mean_ci(runs, context.derive("interval", task)) if len(runs) > 1 else None
    common: dict[str, Any] = {"ci95": interval, "n": len(runs), "variant": samples.variant, "slice": task, "unit": "px"}
    return [context.record("copied_run", float(runs.mean()), protocol, **common)]


def _searches(
    context: StageContext, scores: Sequence[_Scores], samples: Mapping[str, SampleSet]
) -> list[dict[str, Any]]:
    """The tree against the exact search on the same pictures."""
    by_search = {name: one for one in scores for name in ("exact", "ann") if f"search={name}" in one.variant.split(",")}
    if len(by_search) < 2:
        return []
    exact, tree = by_search["exact"], by_search["ann"]
    apart = paired_difference(tree.psnr, exact.psnr, context.derive("searches"))
    same = (samples[exact.variant].extra["sources"] == samples[tree.variant].extra["sources"]).all(axis=3).mean()
    rows = [
        [name, round(float(one.psnr.mean()), 2), round(float(one.ssim.mean()), 4)] for name, one in by_search.items()
    ]
    note = (
        f"The tree's PSNR minus the exact search's: {apart.value:+.2f} dB ({apart.ci95[0]:+.2f} to "
        f"{apart.ci95[1]:+.2f}) over "
        f"{len(exact.psnr)} pictures; {100 * same:.0f} % of the pixels were copied from the same place. Times are "
        "in the column of "
        "sampling time."
    )
    return [
        {
            "title": f"Two searches ({exact.tasks[0]})",
            "columns": ["search", "PSNR, dB", "SSIM"],
            "rows": rows,
            "note": note,
        }
    ]


def _settings(variant: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in variant.split(",") if "=" in part)


def _curves(scores: Sequence[_Scores]) -> list[dict[str, Any]]:
    """PSNR of the main tasks and copied run against kappa."""
    points = []
    for one in scores:
        settings = _settings(one.variant)
        if set(settings) == {"kappa"} and one.runs is not None:
            main = np.array([task in MAIN for task in one.tasks])
            points.append((float(settings["kappa"]), float(one.psnr[main].mean()), float(one.runs[main].mean())))
    if len(points) < 2:
        return []
    points.sort()
    kinds = (("Coherence and fidelity", "PSNR, dB", 1), ("Coherence and copying", "copied run, px", 2))
    return [
        {
            "title": title,
            "x": "kappa",
            "y": label,
            "series": [{"name": "analogy", "points": [[p[0], round(p[i], 3)] for p in points]}],
        }
        for title, label, i in kinds
    ]
