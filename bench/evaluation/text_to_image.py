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
from bench.evaluation.scene_prompts import Suite, build_suite
from bench.evaluation.step_cost import step_costs
from bench.files import SampleSet, read_image_samples
from bench.metrics.clip_score import clip_score
from bench.metrics.compositional import Asked, Composition, Detections, compose
from bench.metrics.fid import feature_statistics, frechet_from_statistics, frechet_leave_group_out
from bench.metrics.kid import kernel_distance, kernel_leave_group_out
from bench.metrics.memorisation import nearest_train_ratio
from bench.metrics.prdc import manifold_items
from bench.metrics.protocols import MINIMUM_N, protocol_id
from bench.progress import Progress
from bench.registry import build_config
from bench.results.pictures import grid, png_data_uri
from bench.results.records import Record, variant_id
from bench.results.statistics import bootstrap_mean_ci, jackknife_ci, wilson_interval
from bench.scene_language import COLOURS
from bench.seeds import derive, generator
from bench.text_to_image.matching import asked_arrays
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
class ScoreConfig:
    """Keys under ``evaluate:``.

    Attributes:
        minimum_n: fewest pictures for FID and KID; another than 1,000 is written into the protocol.
        groups: left out in turn for the jackknife intervals.
        floor_draws: draws of real scenes whose mean distance is the floor.
        manifold_k: neighbours of precision, recall, density and coverage.
        neighbours: pictures whose nearest training neighbour is looked up.
    """

    minimum_n: int = MINIMUM_N
    groups: int = 20
    floor_draws: int = 5
    manifold_k: int = 5
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


class _Judges:
    """The detector, the two CLIPs, the reference and the floor."""

    def __init__(self, context: StageContext, config: ScoreConfig, splits: Mapping[str, ImageSplit]) -> None:
        self.config, self.splits = config, splits
        self.detector = context.load_other("detector")
        self.detector_name = context.models["detector"].name
        # Floors and ceilings are conditioned by nothing: only a generator has a conditioning CLIP to be compared with.
        roles = ("scorer", "text_encoder") if context.block.get("role", "generator") == "generator" else ("scorer",)
        self.scorers = {role: (context.models[role].name, context.load_other(role)) for role in roles}
        self.features = self.detector.embed_images(splits["test"].images)
        self.statistics = feature_statistics(self.features, min(config.minimum_n, len(self.features)))
        self.seed = derive(context.seed, "text_to_image", str(context.block["dataset"]), "reference")
        self._floors: dict[int, float] = {}

    def fid(self, features: NDArray[Any]) -> float:
        """Frechet distance to all test scenes."""
        return frechet_from_statistics(*feature_statistics(features, self.config.minimum_n), *self.statistics)

    def floor(self, n: int) -> float:
        """Mean FID of random real scenes with all colour-digit pairs (the judge's split, else the validation split)."""
        if n not in self._floors:
            real = self.splits.get("judge", self.splits["validation"]).images
            draws = [generator(self.seed, "floor", i).permutation(len(real))[:n] for i in range(self.config.floor_draws)]
            self._floors[n] = float(np.mean([self.fid(self.detector.embed_images(real[rows])) for rows in draws]))
        return self._floors[n]

    def judge(self, images: Images, prompts: Sequence[str]) -> tuple[Detections, Composition]:
        """What the detector sees, and the verdicts."""
        asked = asked_arrays(prompts)
        seen: Detections = self.detector.detect(images)
        return seen, compose(seen, Asked(asked["count"], asked["digits"], asked["colours"], asked["relation"]))


def evaluate(context: StageContext) -> Evaluation:
    """Accuracies, CLIP scores, distances, negative prompts; the gallery and the guidance curves."""
    drawing, config = _configs(context)
    splits = load_images(context.data)
    suite = _suite(context, drawing, splits)
    judges = _Judges(context, config, splits)
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
        rows = _accuracy_records(context, judges, suite, samples)
        rows += _clip_records(context, judges, suite, samples, scores)
        rows += _distance_records(context, judges, suite, samples)
        copies, neighbours = _copy_records(context, judges, suite, samples)
        rows += copies
        records += rows
        curve.append(({**samples.info, "variant": samples.variant}, rows))
        extras["gallery"].append(_picture(context, suite, samples, neighbours))
        if "strip" in samples.extra:
            extras["strips"].append(_strip(suite, samples))
    if negatives:
        more, table = _negative_records(context, judges, negatives)
        records += more
        extras["tables"].append(table)
    records += _ranking_records(context, judges, scores)
    if "text_encoder" in judges.scorers:
        extras["tables"].append(_bias_table(judges, [str(row[0].get("variant", "")) for row in curve], scores))
    extras["curves"] += _guidance_curves(curve)
    extras["notes"] += [
        f"{judges.detector_name} reads the pictures; its own error on real test scenes stands in its own table and bounds all accuracies.",
        "Unseen combinations: colour-digit pairs that no training scene shows. The detector was trained on all pairs.",
    ]
    return Evaluation(records, {key: value for key, value in extras.items() if value})


def _accuracy_records(context: StageContext, judges: _Judges, suite: Suite, samples: SampleSet) -> list[Record]:
    """Shares of right pictures, each part of the suite with a protocol of its own."""
    assert samples.images is not None and samples.prompts is not None
    verdict = judges.judge(samples.images[: suite.size], samples.prompts[: suite.size])[1]
    rows: list[Record] = []

    def add(metric: str, values: NDArray[np.float64], part: str, where: NDArray[np.bool_], label: str = "") -> None:
        if where.any():
            right, n = float(values[where].sum()), int(where.sum())
            protocol = protocol_id(metric, judges.detector_name, prompts=part)
            ci = wilson_interval(right, n)
            common: dict[str, Any] = {"ci95": ci, "n": n, "higher_is_better": True, "variant": samples.variant, "slice": label}
            rows.append(context.record(metric, right / n, protocol, **common))

    single, unseen = suite.part("single"), suite.unseen
    for metric, values in (
        ("both_accuracy", verdict.both_right),
        ("digit_accuracy", verdict.digits_right),
        ("colour_accuracy", verdict.colours_right),
    ):
        add(metric, values, "single", single)
        add(metric, values, "single", single & ~unseen, "seen-combinations")
        add(metric, values, "single", single & unseen, "unseen-combinations")
    add("digit_accuracy", verdict.digits_right, "colourless", suite.part("colourless"), "no-colour-asked")
    counted = suite.part("single") & (suite.repeat == 0) | suite.part("count")
    for k in (1, 2, 3, 4):
        add("count_accuracy", verdict.count_right, "count", counted & (suite.count == k), f"count={k}")
    add("both_accuracy", verdict.both_right, "count", suite.part("count"), "counted")
    related = suite.part("relation")
    add("relation_accuracy", np.nan_to_num(verdict.relation_right), "relation", related)
    add("both_accuracy", verdict.both_right, "relation", related, "relation")
    add("colour_accuracy", verdict.colours_right, "relation", related, "relation")
    add("digit_accuracy", verdict.digits_right, "relation", related, "relation")
    add("count_accuracy", verdict.count_right, "relation", related, "relation")
    everything = np.ones(suite.size, np.bool_)
    add("all_accuracy", verdict.all_right, "suite", everything)
    return rows


def _clip_records(context: StageContext, judges: _Judges, suite: Suite, samples: SampleSet, scores: dict[str, list[float]]) -> list[Record]:
    """CLIP scores of the suite's pictures, by the independent scorer and, apart, by the CLIP that conditions."""
    assert samples.images is not None and samples.prompts is not None
    images, prompts = samples.images[: suite.size], samples.prompts[: suite.size]
    rows = []
    for role, (name, scorer) in judges.scorers.items():
        values = clip_score(scorer.embed_images(images), scorer.embed_texts(prompts))
        scores.setdefault(role, []).append(float(values.mean()))
        protocol = protocol_id("clip_score", name, prompts="suite", n=len(values), role=None if role == "scorer" else "conditions")
        ci = bootstrap_mean_ci(values, judges.seed)
        common: dict[str, Any] = {"ci95": ci, "n": len(values), "variant": samples.variant}
        # The CLIP that conditions is no judge: its number has no direction and so no rank.
        direction = True if role == "scorer" else None
        label = "" if role == "scorer" else "conditioning-clip"
        rows.append(context.record("clip_score", values.mean(), protocol, higher_is_better=direction, slice=label, **common))
    return rows


def _ranking_records(context: StageContext, judges: _Judges, scores: Mapping[str, Sequence[float]]) -> list[Record]:
    """Do the two CLIPs put the variants in the same order? Spearman's rank correlation over variants."""
    a, b = (np.asarray(scores.get(role, ())) for role in ("scorer", "text_encoder"))
    if len(a) < 4:
        return []
    ranks = [np.argsort(np.argsort(values)) for values in (a, b)]
    rho = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
    names = "+".join(sorted(name for name, _ in judges.scorers.values()))
    protocol = protocol_id("agreement", "spearman", names, over="variants")
    return [context.record("agreement", rho, protocol, n=len(a), higher_is_better=True, slice="clip-rankings")]


def _bias_table(judges: _Judges, variants: Sequence[str], scores: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Both CLIPs on real test scenes and on every variant: a generator's excess with the CLIP that conditions it is bias."""
    test = judges.splits["test"].take(np.arange(min(1000, len(judges.splits["test"]))))
    roles = ("scorer", "text_encoder")
    names = [judges.scorers[role][0] for role in roles]
    real = [
        float(clip_score(m.embed_images(test.images), m.embed_texts(test.captions)).mean()) for _, m in (judges.scorers[r] for r in roles)
    ]
    rows: list[list[Any]] = [["real test scenes, own captions", *(round(value, 1) for value in real)]]
    rows += [[variant, *(round(scores[role][i], 1) for role in roles)] for i, variant in enumerate(variants)]
    return {
        "title": "CLIP scores by an independent and by the conditioning CLIP",
        "columns": ["pictures", f"{names[0]} (independent)", f"{names[1]} (conditions the generator)"],
        "rows": rows,
        "note": "Only the first column ranks. Real scenes stand beside it because two CLIPs differ in scale.",
    }


def _distance_records(context: StageContext, judges: _Judges, suite: Suite, samples: SampleSet) -> list[Record]:
    """FID, KID, precision, recall, density, coverage of the pictures for test captions."""
    assert samples.images is not None
    images, config = samples.images[suite.size :], judges.config
    n = len(images)
    if n < config.minimum_n or not n:
        return []
    features = judges.detector.embed_images(images)
    name, seed, least = judges.detector_name, judges.seed, config.minimum_n
    rows: list[Record] = []

    def add(metric: str, value: float, ci: tuple[float, float] | None, higher: bool, **settings: Any) -> None:
        protocol = protocol_id(metric, name, n=n, ref=f"test{len(judges.features)}", **settings)
        rows.append(context.record(metric, value, protocol, ci95=ci, n=n, higher_is_better=higher, variant=samples.variant))

    fid = judges.fid(features)
    ci = jackknife_ci(fid, frechet_leave_group_out(features, judges.statistics, config.groups, seed, minimum_n=min(least, n)), lower=0.0)
    floor = judges.floor(n)
    add("fid", fid, ci, False, minimum_n=least)
    add("fid_ratio", fid / floor, (ci[0] / floor, ci[1] / floor), False, floor=f"real-x{config.floor_draws}", minimum_n=least)
    kid = kernel_distance(features, judges.features, minimum_n=least)
    left_out = kernel_leave_group_out(features, judges.features, config.groups, seed, minimum_n=min(least, n))
    add("kid", kid, jackknife_ci(kid, left_out), False, minimum_n=least)
    size = min(n, len(judges.features))
    real = judges.features[generator(seed, "manifold").permutation(len(judges.features))[:size]]
    items = manifold_items(real, features[:size], config.manifold_k)
    for metric in ("precision", "recall", "density", "coverage"):
        values = getattr(items, metric)
        ci = bootstrap_mean_ci(values, seed) if metric == "density" else wilson_interval(float(values.sum()), size)
        add(metric, float(values.mean()), ci, True, k=config.manifold_k)
    return rows


def _copy_records(
    context: StageContext, judges: _Judges, suite: Suite, samples: SampleSet
) -> tuple[list[Record], NDArray[np.uint8] | None]:
    """Nearest training scene, in pixels, of pictures for test captions (the suite's captions are not drawn like scenes)."""
    assert samples.images is not None
    train, test = judges.splits["train"].images, judges.splits["test"].images
    shown = suite.shown_rows()
    neighbours = train[nearest_train_ratio(samples.images[shown], train, test[:1])["indices"]]
    images = samples.images[suite.size :][: judges.config.neighbours]
    if not len(images):
        return [], neighbours
    heldout = generator(judges.seed, "heldout").permutation(len(test))[: judges.config.neighbours]
    found = nearest_train_ratio(images, train, test[heldout])
    baseline = float(found["heldout_distances"].mean())
    n = len(images)
    low, high = bootstrap_mean_ci(found["distances"], judges.seed)
    where: dict[str, Any] = {"n": n, "heldout": len(heldout), "ref": f"train{len(train)}"}
    near = found["near_copy_share"]
    common: dict[str, Any] = {"n": n, "variant": samples.variant}
    return [
        context.record(
            "nearest_train_ratio",
            found["value"],
            protocol_id("nearest_train_ratio", "pixels", **where),
            ci95=(low / baseline, high / baseline),
            **common,
        ),
        context.record(
            "near_copy_share",
            near,
            protocol_id("near_copy_share", "pixels", quantile=0.01, **where),
            ci95=wilson_interval(round(near * n), n),
            higher_is_better=False,
            **common,
        ),
    ], neighbours


def _negative_records(context: StageContext, judges: _Judges, sets: Sequence[SampleSet]) -> tuple[list[Record], dict[str, Any]]:
    """How often a colour is seen without and with its name as negative prompt, same prompts and seeds; and what it costs the digit."""
    colours = list(COLOURS)
    shares: dict[str, NDArray[np.float64]] = {}
    digits: dict[str, float] = {}
    for samples in sets:
        assert samples.images is not None and samples.prompts is not None
        seen, verdict = judges.judge(samples.images, samples.prompts)
        present = np.stack([(seen.colours == k).any(1) for k in range(len(colours))])  # (8, n)
        shares[str(samples.info["negative"])] = present.astype(np.float64)
        digits[str(samples.info["negative"])] = float(verdict.digits_right.mean())
    plain, n = shares[""], shares[""].shape[1]
    pushed = np.stack([shares[name][k] for k, name in enumerate(colours)])
    protocol = protocol_id("attribute_rate", judges.detector_name, attribute="colour", prompts="colourless")
    rows = []
    base = sets[0].variant.removesuffix(",negative=none")
    for variant, values in ((f"{base},negative=none", plain), (f"{base},negative=colour", pushed)):
        parts = [("", values), *((name, values[k : k + 1]) for k, name in enumerate(colours))]
        for label, part in parts:
            ci = wilson_interval(float(part.sum()), part.size)
            common: dict[str, Any] = {"ci95": ci, "n": part.size, "variant": variant, "slice": label}
            rows.append(context.record("attribute_rate", part.mean(), protocol, **common))
    table = {
        "title": "Negative prompts",
        "columns": ["negative prompt", "its colour without it, %", "with it, %", "digit right with it, %"],
        "rows": [
            [name, round(100 * float(plain[k].mean()), 1), round(100 * float(pushed[k].mean()), 1), round(100 * digits[name], 1)]
            for k, name in enumerate(colours)
        ],
        "note": f"{n} pictures, no colour asked, the same prompts and seeds throughout; digit right without: {100 * digits['']:.1f} %.",
    }
    return rows, table


def _picture(context: StageContext, suite: Suite, samples: SampleSet, neighbours: NDArray[np.uint8] | None) -> dict[str, Any]:
    assert samples.images is not None
    rows = suite.shown_rows()
    entry = {
        "title": samples.variant.replace("=", " ").replace(",", ", ") or context.name,
        "variant": samples.variant,
        "png": png_data_uri(grid(samples.images[rows], columns=_GALLERY)),
        "alt": f"{len(rows)} pictures of {context.name}: single digits, counted digits, two digits in a relation",
        "columns": _GALLERY,
        "captions": suite.shown(),
    }
    if neighbours is not None:
        entry["neighbours_png"] = png_data_uri(grid(neighbours, columns=_GALLERY))
    return entry


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
