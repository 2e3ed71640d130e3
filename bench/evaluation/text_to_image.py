"""Scenes from captions: whether the picture shows what :mod:`bench.families.text_to_image.sampling` asked.

A detector with its own measured error reads the pictures; a CLIP that took no part in making them scores them. A
generator is never scored by the CLIP that conditions it, except in a protocol of its own that shows the bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.base.files import SampleSet, read_image_samples
from bench.context import Evaluation, StageContext
from bench.contracts import Images
from bench.data.datasets import load_images
from bench.evaluation.distances import DistanceConfig, copy_records
from bench.evaluation.scene_judges import (
    Judges,
    accuracy_records,
    bias_table,
    clip_records,
    negative_records,
    ranking_records,
)
from bench.evaluation.step_flops import step_flops
from bench.families.text_to_image.prompts import Suite
from bench.families.text_to_image.sampling import sample_config, suite_of
from bench.metrics.neighbours import nearest
from bench.metrics.protocols import protocol_id
from bench.registry import build_config
from bench.results.pictures import grid, png_data_uri
from bench.results.records import Record

__all__ = ["EvalConfig", "evaluate"]

_GALLERY = 10  # pictures of each part of the suite in the gallery


@dataclass(frozen=True)
class EvalConfig(DistanceConfig):
    """Keys under ``evaluate:``; see :class:`bench.evaluation.distances.DistanceConfig`."""

    neighbours: int = 300


def evaluate(context: StageContext) -> Evaluation:
    """Accuracies, CLIP scores, distances, negative prompts; the gallery and the guidance curves."""
    drawing = sample_config(context)
    where = f"{context.family}.{context.name}.evaluate"
    config: EvalConfig = build_config(EvalConfig, context.block.get("evaluate") or {}, where)
    splits = load_images(context.data)
    suite = suite_of(context, drawing, splits)
    judges = Judges(context, config, splits)
    assert context.samples is not None
    records: list[Record] = []
    extras: dict[str, Any] = {"gallery": [], "strips": [], "tables": [], "curves": [], "notes": []}
    negatives: list[SampleSet] = []
    scores: dict[str, list[float]] = {}
    curve: list[tuple[dict[str, Any], list[Record]]] = []
    for samples in read_image_samples(context.samples):
        assert samples.images is not None and samples.prompts is not None
        if samples.info.get("kind") == "negative":
            negatives.append(samples)
            continue
        rows = accuracy_records(context, judges, suite, samples)
        rows += clip_records(context, judges, suite, samples, scores)
        drawn_as_captions_come = samples.images[suite.size :]
        rows += judges.reference.records(context, drawn_as_captions_come, samples.variant)
        rows += copy_records(
            context,
            config,
            drawn_as_captions_come,
            splits["train"].images,
            splits["test"].images,
            judges.seed,
            samples.variant,
        )
        records += rows
        curve.append(({**samples.info, "variant": samples.variant}, rows))
        extras["gallery"].append(_picture(context, suite, samples, splits["train"].images))
        if "strip" in samples.extra:
            extras["strips"].append(_strip(suite, samples))
    if negatives:
        more, table = negative_records(context, judges, negatives)
        records += more
        extras["tables"].append(table)
    records += ranking_records(context, judges, scores)
    if "text_encoder" in judges.scorers:
        extras["tables"].append(bias_table(judges, [str(row[0].get("variant", "")) for row in curve], scores))
    if drawing.step_repeats:
        records += _step_records(context, splits["train"].images.shape, int(curve[0][0].get("steps", 50)))
    extras["curves"] += _guidance_curves(curve)
    extras["notes"] += [
        f"{judges.detector_name} reads the pictures; its own error on real test scenes stands in its own table and "
        "bounds all accuracies.",
        "Unseen combinations: colour-digit pairs that no training scene shows. The detector was trained on all pairs.",
    ]
    return Evaluation(records, {key: value for key, value in extras.items() if value})


def _step_records(context: StageContext, shape: tuple[int, ...], steps: int) -> list[Record]:
    """Counted operations of a denoising step in both spaces: the part of the cost that is the same on every machine."""
    flops = step_flops(context.load(), (shape[3], *shape[1:3]), steps)
    protocol = protocol_id("cost", "step-flops", decoder_share=steps)
    common: dict[str, Any] = {"n": 1, "higher_is_better": False, "unit": "FLOP", "split": ""}
    return [
        context.record("step_flops_per_item", value, protocol, variant=f"space={space}", **common)
        for space, value in flops.items()
    ]


def _picture(context: StageContext, suite: Suite, samples: SampleSet, train: Images) -> dict[str, Any]:
    assert samples.images is not None
    shown = samples.images[suite.shown_rows()]
    return {
        "title": samples.variant.replace("=", " ").replace(",", ", ") or context.name,
        "variant": samples.variant,
        "png": png_data_uri(grid(shown, columns=_GALLERY)),
        "alt": f"{len(shown)} pictures of {context.name}: single digits, counted digits, two digits in a relation",
        "columns": _GALLERY,
        "captions": suite.shown(),
        "neighbours_png": png_data_uri(grid(train[nearest(shown, train)[1][:, 0]], columns=_GALLERY)),
    }


def _strip(suite: Suite, samples: SampleSet) -> dict[str, Any]:
    strip = samples.extra["strip"]  # (items, frames, H, W, C)
    items, frames = strip.shape[:2]
    return {
        "title": "From noise to scene (latents, decoded)",
        "variant": samples.variant,
        "png": png_data_uri(grid(strip.reshape(-1, *strip.shape[2:]), columns=frames)),
        "alt": f"{items} rows of {frames} frames, decoded noise becomes a scene: {'; '.join(suite.shown()[:items])}",
        "captions": [f"{round(100 * i / (frames - 1))} %" for i in range(frames)],
    }


def _guidance_curves(scored: Sequence[tuple[dict[str, Any], list[Record]]]) -> list[dict[str, Any]]:
    """Prompt fidelity and FID against guidance, and against steps, where a block sweeps them."""
    curves = []
    for axis, other in (("guidance", "steps"), ("steps", "guidance")):
        if not scored or axis not in scored[0][0]:
            continue
        same = [item for item in scored if item[0].get(other) == scored[0][0].get(other) and axis in item[0]]
        for metric in ("both_accuracy", "relation_accuracy", "fid"):
            points = [
                [float(info[axis]), r.value] for info, rows in same for r in rows if r.metric == metric and not r.slice
            ]
            if len(points) > 1:
                title = {"both_accuracy": "Single digits right", "relation_accuracy": "Relations right", "fid": "FID"}[
                    metric
                ]
                chart = {
                    "title": f"{title} against {axis}",
                    "x": axis,
                    "y": title,
                    "log_x": axis == "steps",
                    "log_y": metric == "fid",
                }
                curves.append({**chart, "series": [{"name": "ddim", "points": sorted(points)}]})
    return curves
