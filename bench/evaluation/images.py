"""Pictures of asked classes: how near they come to the test set without copying the training set.

Distances to the test set and to the training set are in :mod:`bench.evaluation.distances`. Below N = 1,000 a Frechet
distance cannot rank, so sets that are too dear for that (the chain of all steps) are scored on the asked class and,
like every other variant beside them, by the unbiased kernel distance of their first few hundred pictures: a protocol of
its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.files import SampleSet, read_image_samples
from bench.base.seeds import derive, generator
from bench.context import Evaluation, StageContext
from bench.contracts import Images, Ints
from bench.data.datasets import ImageSplit, load_images
from bench.evaluation.distances import DistanceConfig, Reference, copy_records
from bench.families.images.sampling import ROWS, proportional_labels
from bench.metrics.neighbours import nearest
from bench.metrics.protocols import protocol_id
from bench.registry import build_config
from bench.results.pictures import grid, png_data_uri
from bench.results.records import Record
from bench.stats.intervals import wilson_interval

__all__ = ["EvalConfig", "degradations", "evaluate"]


@dataclass(frozen=True)
class EvalConfig(DistanceConfig):
    """Keys under ``evaluate:``; see :class:`bench.evaluation.distances.DistanceConfig`."""

    small_n: int = 250


class _Stock:
    """The data, the feature network and the reference: all that the generators of a data set are measured with."""

    def __init__(self, context: StageContext, config: EvalConfig) -> None:
        self.splits: dict[str, ImageSplit] = load_images(context.data)
        self.test, self.train = self.splits["test"], self.splits["train"]
        self.network, self.network_name = context.load_other("feature_net"), context.models["feature_net"].name
        self.seed = derive(context.seed, "images", str(context.block["dataset"]), "reference")
        draw = lambda n, number: self.real(n, number)[0]  # noqa: E731
        self.reference = Reference(self.network, self.network_name, self.test.images, draw, config, self.seed)

    def real(self, n: int, number: int) -> tuple[Images, Ints | None]:
        """``n`` random training pictures in the test set's proportions of classes."""
        train, rng = self.train, generator(self.seed, "floor", number)
        labels = proportional_labels(self.test.labels, n, self.seed)
        if labels is None or train.labels is None:
            return train.images[rng.permutation(len(train.images))[:n]], None
        chosen = np.empty(n, np.int64)
        for label in np.unique(labels):
            pool = np.flatnonzero(train.labels == label)
            where = np.flatnonzero(labels == label)
            chosen[where] = rng.permutation(pool)[np.arange(len(where)) % len(pool)]
        return train.images[chosen], train.labels[chosen]


def evaluate(context: StageContext) -> Evaluation:
    """FID, KID, precision and recall, density and coverage, asked class, nearest training neighbours; the gallery and
    the curves."""
    where = f"{context.family}.{context.name}.evaluate"
    config: EvalConfig = build_config(EvalConfig, context.block.get("evaluate") or {}, where)
    stock = _Stock(context, config)
    assert context.samples is not None
    records: list[Record] = []
    gallery: list[dict[str, Any]] = []
    extras: dict[str, Any] = {"strips": [], "tables": [], "curves": [], "notes": []}
    scored: list[tuple[SampleSet, float | None, float | None]] = []
    for samples in read_image_samples(context.samples):
        assert samples.images is not None
        distances = stock.reference.records(context, samples.images, samples.variant)
        classes = _class_records(context, stock, samples, extras)
        # The gallery's pictures, all classes alike, come first and would tilt the mean distance: the others are looked
        # up.
        others = samples.images[10 * ROWS :] if len(samples.images) > 20 * ROWS else samples.images
        copies = copy_records(
            context, config, others, stock.train.images, stock.test.images, stock.seed, samples.variant
        )
        records += [*distances, *classes, *copies]
        gallery.append(_picture(context, stock, samples))
        fid = next((r.value for r in distances if r.metric == "fid"), None)
        scored.append((samples, fid, classes[0].value if classes else None))
        if "strip" in samples.extra:
            extras["strips"].append(_strip(samples))
    extras["curves"] += _step_curves(scored)
    first = scored[0][0].images
    if context.block.get("role") == "ceiling" and first is not None and len(first) >= config.minimum_n:
        extras["tables"].append(_ladder(stock, len(first)))
    extras["notes"].append(
        f"FID and KID use the features of {stock.network_name}, trained on this data: their scale belongs to it. "
        "Multiples of the "
        f"real-versus-real floor are comparable; {len(stock.test.images):,} test pictures are the reference."
    )
    return Evaluation(records, {"gallery": gallery, **{key: value for key, value in extras.items() if value}})


def _class_records(context: StageContext, stock: _Stock, samples: SampleSet, extras: dict[str, Any]) -> list[Record]:
    if samples.labels is None or samples.images is None:
        return []
    right = stock.network.logits(samples.images).argmax(1) == samples.labels
    protocol = protocol_id("class_accuracy", stock.network_name)
    ci = wilson_interval(int(right.sum()), len(right))
    rows = [
        context.record(
            "class_accuracy",
            right.mean(),
            protocol,
            ci95=ci,
            n=len(right),
            higher_is_better=True,
            variant=samples.variant,
        )
    ]
    if not extras["tables"]:
        by_class = [
            [str(k), round(100 * float(right[samples.labels == k].mean()), 1)] for k in np.unique(samples.labels)
        ]
        title = f"Asked class, by class{f' ({samples.variant})' if samples.variant else ''}"
        extras["tables"].append({"title": title, "columns": ["class", "right, %"], "rows": by_class, "note": ""})
    return rows


def _picture(context: StageContext, stock: _Stock, samples: SampleSet) -> dict[str, Any]:
    assert samples.images is not None
    shown = samples.images[: 10 * ROWS]
    real, _ = stock.real(max(10 * ROWS, len(shown)), 0)
    neighbours = stock.train.images[nearest(shown, stock.train.images)[1][:, 0]]
    labels = None if samples.labels is None else [str(label) for label in samples.labels[: len(shown)]]
    what = "one column for each asked class" if labels else "no class asked"
    entry: dict[str, Any] = {
        "title": samples.variant.replace("=", " ").replace(",", ", ") or context.name,
        "variant": samples.variant,
        "png": png_data_uri(grid(shown, columns=10)),
        "alt": f"{len(shown)} pictures of {context.name}, {what}",
        "columns": 10,
        "real_png": png_data_uri(grid(real[: len(shown)], columns=10)),
        "neighbours_png": png_data_uri(grid(neighbours, columns=10)),
    }
    return {**entry, "captions": labels} if labels else entry


def _strip(samples: SampleSet) -> dict[str, Any]:
    strip = samples.extra["strip"]  # (items, frames, H, W, C)
    items, frames = strip.shape[:2]
    return {
        "title": "From noise to picture",
        "variant": samples.variant,
        "png": png_data_uri(grid(strip.reshape(-1, *strip.shape[2:]), columns=frames)),
        "alt": f"{items} rows of {frames} frames each: noise on the left becomes a picture on the right",
        "captions": [f"{round(100 * i / (frames - 1))} %" for i in range(frames)],
    }


def _step_curves(scored: Sequence[tuple[SampleSet, float | None, float | None]]) -> list[dict[str, Any]]:
    """FID and asked class against the number of steps, one line for each sampler, where a block sweeps them."""
    curves = []
    for title, column, log_y in (("FID", 1, True), ("Asked class", 2, False)):
        lines: dict[str, list[list[float]]] = {}
        for row in scored:
            info, value = row[0].info, row[column]
            if isinstance(value, float) and "steps" in info:
                lines.setdefault(str(info.get("sampler", "ddim")), []).append([float(info["steps"]), value])
        series = [{"name": name, "points": sorted(points)} for name, points in lines.items() if len(points) > 1]
        if series:
            chart = {
                "title": f"{title} against sampling steps",
                "x": "steps",
                "y": title,
                "log_x": True,
                "log_y": log_y,
            }
            curves.append({**chart, "series": series})
    return curves


def degradations(images: Images, labels: Ints | None, seed: int) -> dict[str, tuple[Images, Ints | None]]:
    """Real pictures spoilt in known ways: what a figure of FID means on this data."""
    from scipy.ndimage import gaussian_filter

    def noisy(sigma: float) -> Images:
        noise = generator(seed, "noise", str(sigma)).normal(0, 127.5 * sigma, images.shape)
        return (images + noise).clip(0, 255).round().astype(np.uint8)

    def blurred(sigma: float) -> Images:
        smooth: NDArray[np.float64] = gaussian_filter(images.astype(np.float64), (0, sigma, sigma, 0))
        return smooth.clip(0, 255).round().astype(np.uint8)

    def some(keep: NDArray[np.bool_]) -> tuple[Images, Ints | None]:
        pool = np.flatnonzero(keep)
        rows = pool[np.arange(len(images)) % len(pool)]
        return images[rows], None if labels is None else labels[rows]

    ladder: dict[str, tuple[Images, Ints | None]] = {"as they are": (images, labels)}
    ladder |= {f"blur {sigma}": (blurred(sigma), labels) for sigma in (0.5, 1.0, 1.5, 2.0)}
    ladder |= {f"noise {sigma}": (noisy(sigma), labels) for sigma in (0.1, 0.2, 0.4)}
    ladder["shifted by 3 pixels"] = (np.roll(images, (3, 3), axis=(1, 2)), labels)
    ladder["dimmed by a third"] = ((images * (2 / 3)).round().astype(np.uint8), labels)
    ladder["50 pictures repeated"] = some(np.arange(len(images)) < 50)
    if labels is not None:
        last = int(labels.max())
        ladder["one class missing"] = some(labels != last)
        ladder["half of the classes"] = some(labels <= last // 2)
    return ladder


def _ladder(stock: _Stock, n: int) -> dict[str, Any]:
    images, labels = stock.real(n, 0)
    rows, floor = [], stock.reference.floor(n)
    for name, (spoilt, asked) in degradations(images, labels, stock.seed).items():
        fid = stock.reference.fid(spoilt)
        right = "" if asked is None else round(100 * float((stock.network.logits(spoilt).argmax(1) == asked).mean()), 1)
        rows.append([name, round(fid, 2), round(fid / floor, 1), right])
    return {
        "title": "Ladder of known degradations",
        "columns": ["real pictures", "FID", "multiples of the floor", "seen as their class, %"],
        "rows": rows,
        "note": f"{n:,} real training pictures against the test set; the floor is {floor:.2f}.",
    }
