"""Encoders: classifiers, the scene detector with its own error, and contrastive encoders of pictures and captions.

What an encoder is measured on follows from what it can do: ``detect`` on scenes, naming and retrieval where it embeds
captions, classification where the data has labels. A feature net of FID can also be held against a ladder of known
degradations, so that a distance in its features can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.context import Evaluation, StageContext
from bench.data.datasets import ImageSplit, load_images
from bench.metrics.compositional import Asked, Composition, Detections, compose
from bench.metrics.fid import MINIMUM_N, feature_statistics, frechet_from_statistics
from bench.metrics.protocols import protocol_id
from bench.metrics.retrieval import retrieval_at_k
from bench.metrics.zero_shot import zero_shot_accuracy
from bench.registry import build_config
from bench.results.pictures import grid, png_data_uri
from bench.results.records import Record
from bench.scene_language import COLOURS, DIGIT_PLURALS, DIGIT_WORDS
from bench.stats.intervals import jackknife_subsets_ci, wilson_interval

__all__ = ["EvalConfig", "asked_of", "degradations", "evaluate"]

Bools = NDArray[np.bool_]
_UNSEEN = "unseen-combinations"


@dataclass(frozen=True)
class EvalConfig:
    """Keys under ``evaluate:`` of an encoder's block.

    Attributes:
        templates: descriptions of a class, with ``{colour}`` and ``{digit}``; the first alone is the single template.
        retrieval_n: test pictures and captions that retrieval searches among.
        ladder_n: pictures of each rung of the ladder of degradations (for an encoder whose features FID uses), 0 for no
            ladder.
    """

    templates: tuple[str, ...] = ("a {colour} {digit}", "a small {colour} {digit}")
    retrieval_n: int = 1000
    ladder_n: int = 0

    def __post_init__(self) -> None:
        if not self.templates or not all("{colour}" in text and "{digit}" in text for text in self.templates):
            raise ValueError("templates: each needs {colour} and {digit}")


def evaluate(context: StageContext) -> Evaluation:
    """Everything that the encoder at hand can be asked, on the test split."""
    where = f"{context.family}.{context.name}.evaluate"
    config: EvalConfig = build_config(EvalConfig, context.block.get("evaluate") or {}, where)
    data, system = load_images(context.data), context.load()
    test = data["test"]
    if hasattr(system, "detect"):
        result = _detection(context, system, test)
    elif test.captions is not None and test.scene is not None:
        result = _language(context, system, test, config)
    elif test.labels is not None:
        result = _classification(context, system, test)
    else:
        raise BenchError(
            f"{context.name}: {context.block['dataset']} has neither labels nor captions to measure an encoder by"
        )
    if config.ladder_n and hasattr(system, "embed_images"):
        result.extras.setdefault("tables", []).append(_ladder(context, system.embed_images, data, config.ladder_n))
    return result


def _share(context: StageContext, metric: str, hits: NDArray[Any], protocol: str, **fields: Any) -> Record:
    """A proportion with Wilson's interval; no items give no value."""
    n, k = len(hits), float(np.sum(hits))
    interval = wilson_interval(k, n) if n else None
    return context.record(metric, k / n if n else None, protocol, ci95=interval, n=n, higher_is_better=True, **fields)


# ---------------------------------------------------------------------------------------------------------- classifiers


def _classification(context: StageContext, system: Any, test: ImageSplit) -> Evaluation:
    assert test.labels is not None
    said = system.logits(test.images).argmax(1)
    right = said == test.labels
    protocol = protocol_id("accuracy", str(context.block["dataset"]), "top-1")
    classes = np.unique(test.labels)
    rows = [
        [int(c), int((test.labels == c).sum()), round(100 * float(right[test.labels == c].mean()), 2)] for c in classes
    ]
    table = {"title": "Accuracy by class", "columns": ["class", "test pictures", "right, %"], "rows": rows, "note": ""}
    extras: dict[str, Any] = {"tables": [table]}
    wrong = np.flatnonzero(~right)[:20]
    if len(wrong):
        captions = [f"{test.labels[i]}, seen as {said[i]}" for i in wrong]
        extras["gallery"] = [
            _gallery("Mistakes on the test set", test.images[wrong], captions, "Test pictures classified wrongly")
        ]
    return Evaluation([_share(context, "accuracy", right, protocol)], extras)


def _gallery(title: str, images: NDArray[np.uint8], captions: list[str], alt: str) -> dict[str, Any]:
    return {
        "title": title,
        "variant": "",
        "png": png_data_uri(grid(images, columns=10)),
        "alt": f"{alt}: {'; '.join(captions)}.",
        "columns": min(10, len(images)),
        "captions": captions,
    }


# ------------------------------------------------------------------------------------------------------------- detector


def asked_of(scene: Mapping[str, NDArray[Any]]) -> Asked:
    """The ground truth of rendered scenes in the form that :func:`compose` judges: every colour counts, named by the
    caption or not."""
    count, digits, colours, relation = (
        np.asarray(scene[key], dtype=np.int64) for key in ("count", "digits", "colours", "relation")
    )
    return Asked(count, digits, colours, relation)


def _slices(scene: Mapping[str, NDArray[Any]]) -> dict[str, Bools]:
    """All, seen and unseen combinations, and by number of objects."""
    unseen = np.asarray(scene["unseen"], dtype=np.bool_)
    found = {"": np.ones_like(unseen), "seen": ~unseen, _UNSEEN: unseen}
    return found | {f"objects={k}": scene["count"] == k for k in np.unique(scene["count"])}


def _detection(context: StageContext, system: Any, test: ImageSplit) -> Evaluation:
    assert test.scene is not None
    scene = test.scene
    seen: Detections = system.detect(test.images)
    verdict: Composition = compose(seen, asked_of(scene))
    columns = {
        "digit_accuracy": verdict.digits_right,
        "colour_accuracy": verdict.colours_right,
        "count_accuracy": verdict.count_right,
        "both_accuracy": verdict.both_right,
        "relation_accuracy": verdict.relation_right,
        "all_accuracy": verdict.all_right,
    }
    dataset = str(context.block["dataset"])
    records = []
    for name, rows in _slices(scene).items():
        for metric, values in columns.items():
            hits = values[rows]
            hits = hits[~np.isnan(hits)]
            if len(hits):
                protocol = protocol_id(metric, "real", f"{dataset}-test", judge=context.name)
                records.append(_share(context, metric, hits, protocol, slice=name))
    readings = [_read(seen, i) for i in range(min(20, len(test)))]
    extras = {
        "tables": [_by_size(seen, test)],
        "gallery": [
            _gallery("What the detector sees", test.images[:20], readings, "Test scenes, read by the detector")
        ],
        "notes": ["The detector's own error on real test scenes: no generator can be measured more exactly than this."],
    }
    return Evaluation(records, extras)


def _read(seen: Detections, i: int) -> str:
    names = list(COLOURS)
    return (
        ", ".join(
            f"{names[c]} {DIGIT_WORDS[d]}" for d, c in zip(seen.digits[i], seen.colours[i], strict=True) if d >= 0
        )
        or "nothing"
    )


def _by_size(seen: Detections, test: ImageSplit) -> dict[str, Any]:
    """Single-digit scenes, big and small, and how far off the centre is."""
    assert test.scene is not None
    scene, rows = test.scene, []
    for size, name in enumerate(("big", "small")):
        chosen = (scene["count"] == 1) & (scene["sizes"][:, 0] == size)
        if chosen.any():
            digit = 100 * float((seen.digits[chosen, 0] == scene["digits"][chosen, 0]).mean())
            colour = 100 * float((seen.colours[chosen, 0] == scene["colours"][chosen, 0]).mean())
            off = float(np.linalg.norm(seen.centres[chosen, 0] - scene["centres"][chosen, 0], axis=-1).mean())
            rows.append([name, int(chosen.sum()), round(digit, 2), round(colour, 2), round(off, 2)])
    return {
        "title": "One digit alone",
        "columns": ["size", "test scenes", "digit right, %", "colour right, %", "centre off by, px"],
        "rows": rows,
        "note": "",
    }


# ---------------------------------------------------------------------------------------------- pictures with captions


def _language(context: StageContext, system: Any, test: ImageSplit, config: EvalConfig) -> Evaluation:
    """Naming of single digits from descriptions of the 80 colour-digit pairs, and retrieval among captions and
    scenes."""
    assert test.scene is not None and test.captions is not None
    scene, dataset = test.scene, str(context.block["dataset"])
    alone = np.flatnonzero(scene["count"] == 1)
    labels = scene["colours"][alone, 0] * len(DIGIT_WORDS) + scene["digits"][alone, 0]
    pictures = system.embed_images(test.images[alone])
    texts = [text.format(colour=c, digit=d) for c in COLOURS for d in DIGIT_WORDS for text in config.templates]
    classes = system.embed_texts(texts).reshape(len(COLOURS) * len(DIGIT_WORDS), len(config.templates), -1)
    unseen = np.asarray(scene["unseen"][alone], dtype=np.bool_)
    records: list[Record] = []
    hits: dict[str, NDArray[Any]] = {}
    for name, weights in {"single": classes[:, 0], "ensemble": classes}.items():
        result, variant = zero_shot_accuracy(pictures, weights, labels), f"templates={name}"
        hits[name] = result["correct"]
        count = 1 if name == "single" else len(config.templates)
        ways = {"classes": len(classes), "templates": count}
        protocol = protocol_id("zero_shot_accuracy", f"{dataset}-test", **ways)
        for part, rows in {"": np.ones_like(unseen), "seen": ~unseen, _UNSEEN: unseen}.items():
            records.append(
                _share(context, "zero_shot_accuracy", result["correct"][rows], protocol, variant=variant, slice=part)
            )
        records.append(
            context.record(
                "zero_shot_mean_per_class",
                result["mean_per_class"],
                protocol_id("zero_shot_mean_per_class", f"{dataset}-test", **ways),
                ci95=_per_class_interval(context, result["correct"], labels),
                n=len(labels),
                higher_is_better=True,
                variant=variant,
            )
        )
        chance = context.record(
            "zero_shot_accuracy", result["chance"], protocol, higher_is_better=True, variant=f"{variant},chance"
        )
        records.append(replace(chance, role="floor"))
    records += _retrieval(context, system, test, config.retrieval_n)
    return Evaluation(
        records,
        {"tables": [_naming_table(hits, scene, alone)], "notes": [f"Templates: {', '.join(config.templates)}."]},
    )


def _per_class_interval(
    context: StageContext, correct: NDArray[Any], labels: NDArray[np.int64]
) -> tuple[float, float] | None:
    def mean(rows: NDArray[np.int64]) -> float:
        found = np.bincount(labels[rows])
        return float((np.bincount(labels[rows], correct[rows]) / np.maximum(found, 1))[found > 0].mean())

    return jackknife_subsets_ci(mean, len(labels), context.derive("per-class")) if len(labels) >= 40 else None


def _naming_table(
    hits: Mapping[str, NDArray[Any]], scene: Mapping[str, NDArray[Any]], alone: NDArray[np.int64]
) -> dict[str, Any]:
    sizes, digits = scene["sizes"][alone, 0], scene["digits"][alone, 0]
    groups = {"big": sizes == 0, "small": sizes == 1} | {DIGIT_PLURALS[d]: digits == d for d in range(10)}
    rows = [
        [name, int(rows.sum()), *(round(100 * float(values[rows].mean()), 1) for values in hits.values())]
        for name, rows in groups.items()
        if rows.any()
    ]
    return {
        "title": "Colour and digit named right, %",
        "columns": ["scenes", "number", *hits],
        "rows": rows,
        "note": "",
    }


def _retrieval(context: StageContext, system: Any, test: ImageSplit, n: int) -> list[Record]:
    """Among the first ``n`` test scenes; equal captions are all right answers."""
    assert test.captions is not None
    n = min(n, len(test))
    captions = test.captions[:n]
    pictures, texts = system.embed_images(test.images[:n]), system.embed_texts(captions)
    protocol = protocol_id("retrieval_at_1", f"{context.block['dataset']}-test", n=n)
    pairs = {"image-to-text": (pictures, texts), "text-to-image": (texts, pictures)}
    return [
        _share(
            context,
            "retrieval_at_1",
            retrieval_at_k(queries, targets, groups=captions),
            protocol,
            variant=f"direction={direction}",
        )
        for direction, (queries, targets) in pairs.items()
    ]


# --------------------------------------------------------------------------------------------------------------- ladder


def degradations(images: NDArray[np.uint8], seed: int) -> dict[str, NDArray[np.uint8]]:
    """Real pictures made worse in known ways, mildest first within a kind."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    made = {}
    for sigma in (0.5, 1.0, 2.0):
        made[f"blur, sigma {sigma:g} px"] = np.rint(
            gaussian_filter(images.astype(np.float32), (0, sigma, sigma, 0))
        ).astype(np.uint8)
    for strength in (0.05, 0.1, 0.2):
        noise = rng.normal(0, 255 * strength, images.shape)
        made[f"noise, {strength:g} of the range"] = np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)
    made["shifted by 2 px"] = np.roll(images, (2, 2), (1, 2))
    made["50 pictures repeated"] = images[np.arange(len(images)) % 50]
    made["mean picture"] = np.broadcast_to(np.rint(images.mean(0)).astype(np.uint8), images.shape)
    made["uniform noise"] = rng.integers(0, 256, images.shape, dtype=np.uint8)
    return made


def _ladder(
    context: StageContext, embed: Callable[..., NDArray[np.float32]], data: Mapping[str, ImageSplit], n: int
) -> dict[str, Any]:
    """FID to the test set of training pictures, whole and degraded."""
    n = min(n, len(data["train"]))
    seed = context.derive("ladder")
    real = data["train"].images[np.sort(np.random.default_rng(seed).permutation(len(data["train"]))[:n])]
    minimum = min(MINIMUM_N, n, len(data["test"]))
    reference = feature_statistics(embed(data["test"].images), minimum)
    rungs = {"real training pictures (the floor)": real, **degradations(real, seed)}
    distances = {
        name: frechet_from_statistics(*feature_statistics(embed(images), minimum), *reference)
        for name, images in rungs.items()
    }
    floor = max(next(iter(distances.values())), 1e-9)
    return {
        "title": "Ladder of known degradations",
        "columns": ["what", "FID", "multiples of the floor"],
        "rows": [
            [name, float(f"{distance:.4g}"), float(f"{distance / floor:.3g}")] for name, distance in distances.items()
        ],
        "note": f"{n:,} training pictures against all test pictures, in this encoder's features.",
    }
