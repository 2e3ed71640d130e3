"""Scenes from captions: what is asked, and whether the picture shows it.

The *suite* is the same for every variant and every generator: all 80 pairs of a colour and a digit (8 of them never seen in
training), captions without a colour, two to four of a kind, and two digits in a relation (captions of validation scenes). A detector
with its own measured error reads the pictures; a CLIP that took no part in making them scores them. For FID and KID, which compare
distributions, test captions are drawn as they come. A generator is never scored by the CLIP that conditions it, except in a
protocol of its own that shows the bias.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.contracts import Images
from bench.data.datasets import ImageSplit, load_images
from bench.evaluation.base import Evaluation, StageContext
from bench.evaluation.distances import DistanceConfig, copy_records
from bench.evaluation.scene_judges import Judges, accuracy_records, bias_table, clip_records, negative_records, ranking_records
from bench.evaluation.scene_prompts import Suite, build_suite
from bench.evaluation.step_cost import step_costs, step_flops
from bench.files import SampleSet, read_image_samples
from bench.metrics.neighbours import nearest
from bench.metrics.protocols import protocol_id
from bench.progress import Progress
from bench.registry import build_config
from bench.results.pictures import grid, png_data_uri
from bench.results.records import Record, variant_id
from bench.scene_language import COLOURS
from bench.seeds import derive
from bench.training import gather, shard, world_size

__all__ = ["DrawConfig", "ScoreConfig", "draw", "evaluate"]

_GALLERY = 10  # pictures of each part of the suite in the gallery


@dataclass(frozen=True)
class DrawConfig:
    """Keys under ``sample:`` of a block of this family.

    Attributes:
        variants: options of the system's ``sample``; a variant may carry its own ``captions``, which is no part of its name.
        singles: pictures of each colour-digit pair.
        colourless: captions without a colour.
        counts: captions of each number from two to four.
        relations: captions of two digits in a relation.
        captions: test captions, for FID and KID; 0 for none.
        negatives: pictures for each colour named as negative prompt, with the first variant; 0 for none.
        strip: frames of the denoising strip of the first variant, 0 for none.
        step_repeats: timings of one denoising step in latents and in pixels, 0 for none.
    """

    variants: tuple[Mapping[str, Any], ...] = ({},)
    singles: int = 3
    colourless: int = 40
    counts: int = 20
    relations: int = 120
    captions: int = 1000
    negatives: int = 0
    strip: int = 8
    step_repeats: int = 0


@dataclass(frozen=True)
class ScoreConfig(DistanceConfig):
    """Keys under ``evaluate:``; see :class:`bench.evaluation.distances.DistanceConfig`."""

    neighbours: int = 300


def _configs(context: StageContext) -> tuple[DrawConfig, ScoreConfig]:
    where = f"{context.family}.{context.name}"
    drawing = build_config(DrawConfig, context.block.get("sample") or {}, f"{where}.sample")
    return drawing, build_config(ScoreConfig, context.block.get("evaluate") or {}, f"{where}.evaluate")


def _suite(context: StageContext, config: DrawConfig, splits: Mapping[str, ImageSplit]) -> Suite:
    seed = derive(context.seed, context.family, str(context.block["dataset"]), "suite")
    sizes = {"singles": config.singles, "colourless": config.colourless, "counts": config.counts, "relations": config.relations}
    return build_suite(splits["validation"].captions or [], splits["test"].captions or [], seed, captions=config.captions, **sizes)


def _sample(system: Any, prompts: Sequence[str], seed: int, options: Mapping[str, Any]) -> Images:
    """A picture for each prompt; under torchrun each process draws its part, if the system can start at any item."""
    if world_size() == 1 or "first" not in inspect.signature(system.sample).parameters:
        return np.asarray(system.sample(prompts, seed, **options))
    first, count = shard(len(prompts))
    return gather(system.sample(prompts[first : first + count], seed, first=first, **options))


def draw(context: StageContext) -> list[SampleSet]:
    """The suite and the test captions for every variant, with the same seed; then the negative prompts, with the first variant."""
    config, _ = _configs(context)
    system = context.load()
    suite = _suite(context, config, load_images(context.data))  # of the test split the captions alone are read
    seed = derive(context.seed, context.family, str(context.block["dataset"]))
    sets: list[SampleSet] = []
    with Progress(f"sample {context.name}", len(config.variants) + bool(config.negatives), "variants", quiet=context.quiet) as progress:
        for options in config.variants:
            chosen = dict(options)
            prompts = suite.prompts(int(chosen.pop("captions", config.captions)))
            start = time.monotonic()
            images = _sample(system, prompts, seed, chosen)
            seconds = time.monotonic() - start
            info = {"seconds": seconds, "seconds_per_item": seconds / max(1, len(prompts)), "kind": "suite", **chosen}
            extra: dict[str, NDArray[Any]] = {}
            if not sets and config.strip and hasattr(system, "denoising_strip"):
                guidance, steps = float(chosen.get("guidance", 1.0)), int(chosen.get("steps", 50))
                extra["strip"] = system.denoising_strip(suite.shown()[:8], seed, config.strip, guidance=guidance, steps=steps)
            if not sets and config.step_repeats and hasattr(system, "in_pixels"):
                size = load_images(context.data)["train"].images.shape[1:]
                info["cost"] = step_costs(system, (size[2], *size[:2]), config.step_repeats, int(chosen.get("steps", 50)))
            sets.append(SampleSet(variant=variant_id(chosen), images=images, prompts=list(prompts), info=info, extra=extra))
            progress.update(1, variant_id(chosen))
        if config.negatives:
            chosen = {key: value for key, value in dict(config.variants[0]).items() if key != "captions"}
            asked = suite.colourless(config.negatives)
            for negative in ("", *COLOURS):
                options = {**chosen, "negative": negative or "none"}
                negatives = [negative] * len(asked)
                images = _sample(system, asked, seed, {**chosen, "negative_prompts": negatives})
                info = {"kind": "negative", **chosen, "negative": negative}
                sets.append(SampleSet(variant=variant_id(options), images=images, prompts=list(asked), info=info))
            progress.update(1, "negative prompts")
    return sets


def evaluate(context: StageContext) -> Evaluation:
    """Accuracies, CLIP scores, distances, negative prompts; the gallery and the guidance curves."""
    drawing, config = _configs(context)
    splits = load_images(context.data)
    suite = _suite(context, drawing, splits)
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
            context, config, drawn_as_captions_come, splits["train"].images, splits["test"].images, judges.seed, samples.variant
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
        f"{judges.detector_name} reads the pictures; its own error on real test scenes stands in its own table and bounds all accuracies.",
        "Unseen combinations: colour-digit pairs that no training scene shows. The detector was trained on all pairs.",
    ]
    return Evaluation(records, {key: value for key, value in extras.items() if value})


def _step_records(context: StageContext, shape: tuple[int, ...], steps: int) -> list[Record]:
    """Counted operations of a denoising step in both spaces: the part of the cost that is the same on every machine."""
    flops = step_flops(context.load(), (shape[3], *shape[1:3]), steps)
    protocol = protocol_id("cost", "step-flops", decoder_share=steps)
    common: dict[str, Any] = {"n": 1, "higher_is_better": False, "unit": "FLOP", "split": ""}
    return [context.record("step_flops_per_item", value, protocol, variant=f"space={space}", **common) for space, value in flops.items()]


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
            points = [[float(info[axis]), r.value] for info, rows in same for r in rows if r.metric == metric and not r.slice]
            if len(points) > 1:
                title = {"both_accuracy": "Single digits right", "relation_accuracy": "Relations right", "fid": "FID"}[metric]
                chart = {"title": f"{title} against {axis}", "x": axis, "y": title, "log_x": axis == "steps", "log_y": metric == "fid"}
                curves.append({**chart, "series": [{"name": "ddim", "points": sorted(points)}]})
    return curves
