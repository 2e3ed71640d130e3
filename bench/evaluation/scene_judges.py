"""Who judges a scene (a detector what is asked, two CLIPs the likeness of picture and caption), and what they say of a
sample set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.files import SampleSet
from bench.base.seeds import derive, generator
from bench.context import StageContext
from bench.contracts import Images
from bench.data.datasets import ImageSplit
from bench.evaluation.distances import DistanceConfig, Reference
from bench.families.text_to_image.prompts import Suite
from bench.metrics.clip_score import clip_score
from bench.metrics.compositional import Asked, Composition, Detections, compose
from bench.metrics.protocols import protocol_id
from bench.results.records import Record
from bench.scene_language import COLOURS, asked_arrays
from bench.stats.intervals import bootstrap_mean_ci, wilson_interval

__all__ = ["Judges", "accuracy_records", "bias_table", "clip_records", "negative_records", "ranking_records"]


class Judges:
    """The detector, the CLIPs, and the test scenes as the detector sees them."""

    def __init__(self, context: StageContext, config: DistanceConfig, splits: Mapping[str, ImageSplit]) -> None:
        self.splits = splits
        self.detector = context.load_other("detector")
        self.detector_name = context.models["detector"].name
        # Floors and ceilings are conditioned by nothing: only a generator has a conditioning CLIP to be compared with.
        roles = ("scorer", "text_encoder") if context.block.get("role", "generator") == "generator" else ("scorer",)
        self.scorers = {role: (context.models[role].name, context.load_other(role)) for role in roles}
        self.seed = derive(context.seed, "text_to_image", str(context.block["dataset"]), "reference")
        self.reference = Reference(
            self.detector, self.detector_name, splits["test"].images, self._real, config, self.seed
        )

    def _real(self, n: int, number: int) -> Images:
        """Random real scenes with all colour-digit pairs: of the judge's split, else of the validation split."""
        real = self.splits.get("judge", self.splits["validation"]).images
        return real[generator(self.seed, "floor", number).permutation(len(real))[:n]]

    def judge(self, images: Images, prompts: Sequence[str]) -> tuple[Detections, Composition]:
        """What the detector sees, and the verdicts."""
        asked = asked_arrays(prompts)
        seen: Detections = self.detector.detect(images)
        return seen, compose(seen, Asked(asked["count"], asked["digits"], asked["colours"], asked["relation"]))


def accuracy_records(context: StageContext, judges: Judges, suite: Suite, samples: SampleSet) -> list[Record]:
    """Shares of right pictures, each part of the suite with a protocol of its own."""
    assert samples.images is not None and samples.prompts is not None
    verdict = judges.judge(samples.images[: suite.size], samples.prompts[: suite.size])[1]
    rows: list[Record] = []

    def add(metric: str, values: NDArray[np.float64], part: str, where: NDArray[np.bool_], label: str = "") -> None:
        if where.any():
            right, n = float(values[where].sum()), int(where.sum())
            protocol = protocol_id(metric, judges.detector_name, prompts=part)
            ci = wilson_interval(right, n)
            common: dict[str, Any] = {
                "ci95": ci,
                "n": n,
                "higher_is_better": True,
                "variant": samples.variant,
                "slice": label,
            }
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


def clip_records(
    context: StageContext, judges: Judges, suite: Suite, samples: SampleSet, scores: dict[str, list[float]]
) -> list[Record]:
    """CLIP scores of the suite's pictures, by the independent scorer and, apart, by the CLIP that conditions."""
    assert samples.images is not None and samples.prompts is not None
    images, prompts = samples.images[: suite.size], samples.prompts[: suite.size]
    rows = []
    for role, (name, scorer) in judges.scorers.items():
        values = clip_score(scorer.embed_images(images), scorer.embed_texts(prompts))
        scores.setdefault(role, []).append(float(values.mean()))
        protocol = protocol_id(
            "clip_score", name, prompts="suite", n=len(values), role=None if role == "scorer" else "conditions"
        )
        ci = bootstrap_mean_ci(values, judges.seed)
        common: dict[str, Any] = {"ci95": ci, "n": len(values), "variant": samples.variant}
        # The CLIP that conditions is no judge: its number has no direction and so no rank.
        direction = True if role == "scorer" else None
        label = "" if role == "scorer" else "conditioning-clip"
        rows.append(
            context.record("clip_score", values.mean(), protocol, higher_is_better=direction, slice=label, **common)
        )
    return rows


def ranking_records(context: StageContext, judges: Judges, scores: Mapping[str, Sequence[float]]) -> list[Record]:
    """Do the two CLIPs put the variants in the same order? Spearman's rank correlation over variants."""
    a, b = (np.asarray(scores.get(role, ())) for role in ("scorer", "text_encoder"))
    if len(a) < 4:
        return []
    ranks = [np.argsort(np.argsort(values)) for values in (a, b)]
    rho = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
    names = "+".join(sorted(name for name, _ in judges.scorers.values()))
    protocol = protocol_id("agreement", "spearman", names, over="variants")
    return [context.record("agreement", rho, protocol, n=len(a), higher_is_better=True, slice="clip-rankings")]


def bias_table(judges: Judges, variants: Sequence[str], scores: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Both CLIPs on real test scenes and on every variant: a generator's excess with the CLIP that conditions it is
    bias."""
    test = judges.splits["test"].take(np.arange(min(1000, len(judges.splits["test"]))))
    roles = ("scorer", "text_encoder")
    names = [judges.scorers[role][0] for role in roles]
    real = [
        float(clip_score(m.embed_images(test.images), m.embed_texts(test.captions)).mean())
        for _, m in (judges.scorers[r] for r in roles)
    ]
    rows: list[list[Any]] = [["real test scenes, own captions", *(round(value, 1) for value in real)]]
    rows += [[variant, *(round(scores[role][i], 1) for role in roles)] for i, variant in enumerate(variants)]
    return {
        "title": "CLIP scores by an independent and by the conditioning CLIP",
        "columns": ["pictures", f"{names[0]} (independent)", f"{names[1]} (conditions the generator)"],
        "rows": rows,
        "note": "Only the first column ranks. Real scenes stand beside it because two CLIPs differ in scale.",
    }


def negative_records(
    context: StageContext, judges: Judges, sets: Sequence[SampleSet]
) -> tuple[list[Record], dict[str, Any]]:
    """How often a colour is seen without and with its name as negative prompt, same prompts and seeds; and what it
    costs the digit."""
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
            # The eight colours are judged on the same pictures, so N is pictures; Wilson has a width even where no
            # colour is seen.
            ci = wilson_interval(float(part.mean(0).sum()), part.shape[1])
            common: dict[str, Any] = {"ci95": ci, "n": part.size, "variant": variant, "slice": label}
            rows.append(context.record("attribute_rate", part.mean(), protocol, **common))
    table = {
        "title": "Negative prompts",
        "columns": ["negative prompt", "its colour without it, %", "with it, %", "digit right with it, %"],
        "rows": [
            [
                name,
                round(100 * float(plain[k].mean()), 1),
                round(100 * float(pushed[k].mean()), 1),
                round(100 * digits[name], 1),
            ]
            for k, name in enumerate(colours)
        ],
        "note": f"{n} pictures, no colour asked, the same prompts and seeds throughout; digit right without: "
        f"{100 * digits['']:.1f} %.",
    }
    return rows, table
