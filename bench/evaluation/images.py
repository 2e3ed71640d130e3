"""Pictures of asked classes: what is drawn, and how near it comes to the test set without copying the training set.

Every distance is bound to the trained feature network, to N and to the test split, and stands beside its real-versus-real floor at
the same N (``fid_ratio`` is the multiple of it). Classes are asked for in the test set's own proportions: equal counts alone cost
several points of FID. Below N = 1,000 a Frechet distance cannot rank, so sets that are too dear for that (the chain of all steps) are
scored on the asked class and, like every other variant beside them, by the unbiased kernel distance of their first few hundred
pictures: a protocol of its own.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.contracts import Images, Ints
from bench.data.datasets import ImageSplit, load_images
from bench.evaluation.base import Evaluation, StageContext
from bench.files import SampleSet, read_image_samples
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
from bench.seeds import derive, generator
from bench.training import gather, shard, world_size

__all__ = ["DrawConfig", "Reference", "ScoreConfig", "degradations", "draw", "evaluate", "proportional_labels"]

Features = NDArray[np.float32]
_ROWS = 4  # of the gallery, ten pictures each


@dataclass(frozen=True)
class DrawConfig:
    """Keys under ``sample:`` of a block of this family.

    Attributes:
        n: pictures of each variant.
        variants: options of the system's ``sample``; a variant may carry its own ``n``, which is no part of its name.
        strip: frames of the denoising strip of the first variant, 0 for none.
    """

    n: int = 2000
    variants: tuple[Mapping[str, Any], ...] = ({},)
    strip: int = 8


@dataclass(frozen=True)
class ScoreConfig:
    """Keys under ``evaluate:``.

    Attributes:
        minimum_n: fewest pictures for FID and KID; another than 1,000 is written into the protocol.
        small_n: first pictures of every variant that the small kernel distance looks at; 0 for none.
        groups: left out in turn for the jackknife intervals.
        floor_draws: draws of real training pictures whose mean distance is the floor.
        manifold_k: neighbours of precision, recall, density and coverage.
        manifold_n: pictures on each side of those.
        neighbours: pictures whose nearest training neighbour is looked up.
    """

    minimum_n: int = MINIMUM_N
    small_n: int = 250
    groups: int = 20
    floor_draws: int = 5
    manifold_k: int = 5
    manifold_n: int = 2000
    neighbours: int = 500


def _configs(context: StageContext) -> tuple[DrawConfig, ScoreConfig]:
    where = f"{context.family}.{context.name}"
    drawing = build_config(DrawConfig, context.block.get("sample") or {}, f"{where}.sample")
    return drawing, build_config(ScoreConfig, context.block.get("evaluate") or {}, f"{where}.evaluate")


def proportional_labels(labels: Ints | None, n: int, seed: int) -> Ints | None:
    """``n`` classes in the proportions of ``labels`` (largest remainders), first four of each class in turn, then shuffled.

    >>> proportional_labels(np.array([0, 0, 0, 1]), 8, 0)[:4].tolist()
    [0, 1, 0, 1]
    """
    if labels is None:
        return None
    counts = np.bincount(labels)
    exact = counts / counts.sum() * n
    wanted = np.floor(exact).astype(np.int64)
    wanted[np.argsort(wanted - exact, kind="stable")[: n - wanted.sum()]] += 1
    head = np.tile(np.flatnonzero(counts), _ROWS)[:n]
    left = np.maximum(wanted - np.bincount(head, minlength=len(counts)), 0)
    rest = generator(seed, "labels").permutation(np.repeat(np.arange(len(counts)), left))
    return np.concatenate([head, rest]).astype(np.int64)[:n]


def draw(context: StageContext) -> list[SampleSet]:
    """The pictures of every variant: the same classes and the same seed for all variants and all generators."""
    config, _ = _configs(context)
    system = context.load()
    # The proportions of the test set's classes are all that is read of it here.
    test_labels = load_images(context.data)["test"].labels
    seed = derive(context.seed, context.family, str(context.block["dataset"]))
    sets: list[SampleSet] = []
    with Progress(f"sample {context.name}", len(config.variants), "variants", quiet=context.quiet) as progress:
        for options in config.variants:
            chosen = dict(options)
            n = int(chosen.pop("n", config.n))
            labels = proportional_labels(test_labels, config.n, seed)
            labels = None if labels is None else labels[:n]
            start = time.monotonic()
            images = _sample(system, n, seed, labels, chosen)
            seconds = time.monotonic() - start
            extra: dict[str, NDArray[Any]] = {}
            if not sets and config.strip and labels is not None and hasattr(system, "denoising_strip"):
                extra["strip"] = system.denoising_strip(labels[:10], seed, config.strip, steps=int(chosen.get("steps", 50)))
            info = {"seconds": seconds, "seconds_per_item": seconds / max(1, n), **chosen}
            sets.append(SampleSet(variant=variant_id(chosen), images=images, labels=labels, info=info, extra=extra))
            progress.update(1, variant_id(chosen))
    return sets


def _sample(system: Any, n: int, seed: int, labels: Ints | None, options: Mapping[str, Any]) -> Images:
    """All ``n`` pictures; under torchrun each process draws its part, if the system can start at any item."""
    if world_size() == 1 or "first" not in inspect.signature(system.sample).parameters:
        return np.asarray(system.sample(n, seed, labels=labels, **options))
    first, count = shard(n)
    part = None if labels is None else labels[first : first + count]
    return gather(system.sample(count, seed, labels=part, first=first, **options))


class Reference:
    """The test set as the feature network sees it, the training set to look copies up in, and the floor at each N."""

    def __init__(self, context: StageContext, config: ScoreConfig) -> None:
        self.config = config
        self.splits: dict[str, ImageSplit] = load_images(context.data)
        self.network = context.load_other("feature_net")
        self.network_name = context.models["feature_net"].name
        self.features: Features = self.network.embed_images(self.splits["test"].images)
        self.statistics = feature_statistics(self.features, min(config.minimum_n, len(self.features)))
        self.seed = derive(context.seed, "images", str(context.block["dataset"]), "reference")
        self._floors: dict[int, float] = {}

    @property
    def test(self) -> ImageSplit:
        """The test split."""
        return self.splits["test"]

    def fid(self, features: Features) -> float:
        """Frechet distance to the whole test set."""
        return frechet_from_statistics(*feature_statistics(features, self.config.minimum_n), *self.statistics)

    def protocol(self, metric: str, **settings: Any) -> str:
        """Protocol id with the feature network and the reference named."""
        return protocol_id(metric, self.network_name, ref=f"test{len(self.features)}", **settings)

    def real(self, n: int, draw_number: int) -> tuple[Images, Ints | None]:
        """``n`` random training pictures in the test set's proportions of classes."""
        train = self.splits["train"]
        rng = generator(self.seed, "floor", draw_number)
        labels = proportional_labels(self.test.labels, n, self.seed)
        if labels is None or train.labels is None:
            return train.images[rng.permutation(len(train.images))[:n]], None
        chosen = np.empty(n, np.int64)
        for label in np.unique(labels):
            pool = np.flatnonzero(train.labels == label)
            where = np.flatnonzero(labels == label)
            chosen[where] = rng.permutation(pool)[np.arange(len(where)) % len(pool)]
        return train.images[chosen], train.labels[chosen]

    def floor(self, n: int) -> float:
        """Mean FID of ``floor_draws`` draws of ``n`` real training pictures."""
        if n not in self._floors:
            draws = [self.fid(self.network.embed_images(self.real(n, i)[0])) for i in range(self.config.floor_draws)]
            self._floors[n] = float(np.mean(draws))
        return self._floors[n]


def evaluate(context: StageContext) -> Evaluation:
    """FID, KID, precision and recall, density and coverage, asked class, nearest training neighbours; the gallery and the curves."""
    _, config = _configs(context)
    reference = Reference(context, config)
    assert context.samples is not None
    records: list[Record] = []
    gallery: list[dict[str, Any]] = []
    extras: dict[str, Any] = {"strips": [], "tables": [], "curves": [], "notes": []}
    scored: list[tuple[SampleSet, float | None, float | None]] = []
    for samples in read_image_samples(context.samples):
        assert samples.images is not None
        features = reference.network.embed_images(samples.images)
        distances = _distance_records(context, config, reference, samples.variant, features)
        classes = _class_records(context, reference, samples, extras)
        copies, neighbours = _copy_records(context, config, reference, samples)
        records += [*distances, *classes, *copies]
        gallery.append(_picture(context, reference, samples, neighbours))
        fid = next((r.value for r in distances if r.metric == "fid"), None)
        scored.append((samples, fid, classes[0].value if classes else None))
        if "strip" in samples.extra:
            extras["strips"].append(_strip(samples))
    extras["curves"] += _step_curves(scored)
    if context.block.get("role") == "ceiling":
        extras["tables"].append(_ladder(reference, len(scored[0][0].images if scored[0][0].images is not None else ())))
    extras["notes"].append(
        f"FID and KID use the features of {reference.network_name}, trained on this data: their scale belongs to it. Multiples of the "
        f"real-versus-real floor are comparable; {len(reference.features):,} test pictures are the reference."
    )
    return Evaluation(records, {"gallery": gallery, **{key: value for key, value in extras.items() if value}})


def _distance_records(context: StageContext, config: ScoreConfig, reference: Reference, variant: str, features: Features) -> list[Record]:
    n = len(features)
    rows: list[Record] = []
    minimum = config.minimum_n

    def add(metric: str, value: float, protocol: str, ci95: tuple[float, float] | None, count: int, higher: bool) -> None:
        rows.append(context.record(metric, value, protocol, ci95=ci95, n=count, higher_is_better=higher, variant=variant))

    def kernel(part: Features, least: int) -> tuple[float, tuple[float, float]]:
        value = kernel_distance(part, reference.features, minimum_n=least)
        left_out = kernel_leave_group_out(part, reference.features, config.groups, reference.seed, minimum_n=min(least, len(part)))
        return value, jackknife_ci(value, left_out)

    if n >= minimum:
        fid = reference.fid(features)
        left_out = frechet_leave_group_out(features, reference.statistics, config.groups, reference.seed, minimum_n=minimum)
        ci = jackknife_ci(fid, left_out, lower=0.0)
        floor = reference.floor(n)
        add("fid", fid, reference.protocol("fid", n=n, minimum_n=minimum), ci, n, False)
        ratio = reference.protocol("fid_ratio", n=n, floor=f"train-x{config.floor_draws}", minimum_n=minimum)
        add("fid_ratio", fid / floor, ratio, (ci[0] / floor, ci[1] / floor), n, False)
        value, ci = kernel(features, minimum)
        add("kid", value, reference.protocol("kid", n=n, minimum_n=minimum), ci, n, False)
        size = min(config.manifold_n, n, len(reference.features))
        real = reference.features[generator(reference.seed, "manifold").permutation(len(reference.features))[:size]]
        items = manifold_items(real, features[:size], config.manifold_k)
        for metric in ("precision", "recall", "density", "coverage"):
            values = getattr(items, metric)
            protocol = protocol_id(metric, reference.network_name, n=size, k=config.manifold_k, ref="test")
            ci = bootstrap_mean_ci(values, reference.seed) if metric == "density" else wilson_interval(float(values.sum()), size)
            add(metric, float(values.mean()), protocol, ci, size, True)
    if config.small_n and n >= config.small_n:
        value, ci = kernel(features[: config.small_n], config.small_n)
        add("kid", value, reference.protocol("kid", n=config.small_n, minimum_n=config.small_n), ci, config.small_n, False)
    return rows


def _class_records(context: StageContext, reference: Reference, samples: SampleSet, extras: dict[str, Any]) -> list[Record]:
    if samples.labels is None or samples.images is None:
        return []
    right = reference.network.logits(samples.images).argmax(1) == samples.labels
    protocol = protocol_id("class_accuracy", reference.network_name)
    ci = wilson_interval(int(right.sum()), len(right))
    rows = [context.record("class_accuracy", right.mean(), protocol, ci95=ci, n=len(right), higher_is_better=True, variant=samples.variant)]
    if not extras["tables"]:
        by_class = [[str(k), round(100 * float(right[samples.labels == k].mean()), 1)] for k in np.unique(samples.labels)]
        title = f"Asked class, by class{f' ({samples.variant})' if samples.variant else ''}"
        extras["tables"].append({"title": title, "columns": ["class", "right, %"], "rows": by_class, "note": ""})
    return rows


def _copy_records(
    context: StageContext, config: ScoreConfig, reference: Reference, samples: SampleSet
) -> tuple[list[Record], NDArray[np.uint8] | None]:
    """How near the samples lie to the training set, in pixels; and the nearest neighbours of the gallery's pictures."""
    assert samples.images is not None
    train = reference.splits["train"].images
    n = min(config.neighbours, len(samples.images))
    heldout = generator(reference.seed, "heldout").permutation(len(reference.test.images))[: config.neighbours]
    # The gallery's pictures come first; balanced classes there would tilt the mean, so the rest are taken.
    rows = np.arange(len(samples.images))[-n:]
    shown = np.arange(min(10 * _ROWS, len(samples.images)))
    every = np.union1d(rows, shown)
    found = nearest_train_ratio(samples.images[every], train, reference.test.images[heldout])
    pick = np.searchsorted(every, rows)
    distances, baseline = found["distances"][pick], found["heldout_distances"]
    ratio = float(distances.mean() / baseline.mean())
    threshold = np.quantile(baseline, 0.01, method="lower")
    near = distances < threshold
    spread = bootstrap_mean_ci(distances, reference.seed)
    where: dict[str, Any] = {"heldout": len(heldout), "ref": f"train{len(train)}"}
    common: dict[str, Any] = {"n": n, "variant": samples.variant}
    records = [
        context.record(
            "nearest_train_ratio",
            ratio,
            protocol_id("nearest_train_ratio", "pixels", n=n, **where),
            ci95=(spread[0] / baseline.mean(), spread[1] / baseline.mean()),
            **common,
        ),
        context.record(
            "near_copy_share",
            near.mean(),
            protocol_id("near_copy_share", "pixels", n=n, quantile=0.01, **where),
            ci95=wilson_interval(int(near.sum()), n),
            higher_is_better=False,
            **common,
        ),
    ]
    return records, train[found["indices"][np.searchsorted(every, shown)]]


def _picture(context: StageContext, reference: Reference, samples: SampleSet, neighbours: NDArray[np.uint8] | None) -> dict[str, Any]:
    assert samples.images is not None
    shown = samples.images[: 10 * _ROWS]
    real, _ = reference.real(max(10 * _ROWS, len(shown)), 0)
    labels = None if samples.labels is None else [str(label) for label in samples.labels[: len(shown)]]
    what = "one column for each asked class" if labels else "no class asked"
    entry = {
        "title": samples.variant.replace("=", " ").replace(",", ", ") or context.name,
        "variant": samples.variant,
        "png": png_data_uri(grid(shown, columns=10)),
        "alt": f"{len(shown)} pictures of {context.name}, {what}",
        "columns": 10,
        "real_png": png_data_uri(grid(real[: len(shown)], columns=10)),
    }
    if labels:
        entry["captions"] = labels
    if neighbours is not None:
        entry["neighbours_png"] = png_data_uri(grid(neighbours, columns=10))
    return entry


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
            chart = {"title": f"{title} against sampling steps", "x": "steps", "y": title, "log_x": True, "log_y": log_y}
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


def _ladder(reference: Reference, n: int) -> dict[str, Any]:
    images, labels = reference.real(n, 0)
    rows = []
    floor = reference.floor(n) if n >= reference.config.minimum_n else None
    if floor is None:
        return {"title": "Ladder of known degradations", "columns": ["what"], "rows": [], "note": "too few pictures"}
    for name, (spoilt, asked) in degradations(images, labels, reference.seed).items():
        fid = reference.fid(reference.network.embed_images(spoilt))
        right = "" if asked is None else round(100 * float((reference.network.logits(spoilt).argmax(1) == asked).mean()), 1)
        rows.append([name, round(fid, 2), round(fid / floor, 1), right])
    return {
        "title": "Ladder of known degradations",
        "columns": ["real pictures", "FID", "multiples of the floor", "seen as their class, %"],
        "rows": rows,
        "note": f"{n:,} real training pictures against the test set; the floor is {floor:.2f}.",
    }
