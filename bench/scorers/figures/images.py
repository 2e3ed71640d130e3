"""Galleries, denoising strips and step curves of image generators."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.base.files import SampleSet
from bench.contracts import ModelNeed
from bench.families.images.sampling import ROWS
from bench.metrics.neighbours import nearest
from bench.results.extras import Curve, Gallery, Line, Note, Strip
from bench.results.pictures import grid, png_bytes
from bench.scorers.reference import image_splits, real_images
from bench.scoring import NoOptions, Output, Subject, scorer

__all__ = ["image_figures", "strip_of"]


@scorer("ImageGenerator", needs={"feature_net": ModelNeed("Encoder")})
def image_figures(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """What the samples look like, beside real images and their nearest training items; scores against steps."""
    for samples in subject.samples:
        yield _gallery(subject, samples)
        if "strip" in samples.extra:
            yield strip_of(samples, "From noise to picture", "noise on the left becomes a picture on the right")
    yield from _step_curves(subject)
    yield Note(
        f"FID and KID use the features of {subject.model_name('feature_net')}, trained on this data: their scale "
        "belongs to it. Multiples of the real-versus-real floor are comparable; "
        f"{len(image_splits(subject)['test'].images):,} test pictures are the reference."
    )


def _gallery(subject: Subject, samples: SampleSet) -> Gallery:
    assert samples.images is not None
    shown = samples.images[: 10 * ROWS]
    real, _ = real_images(subject, max(10 * ROWS, len(shown)), 0)
    train = image_splits(subject)["train"].images
    neighbours = train[nearest(shown, train)[1][:, 0]]
    labels = () if samples.labels is None else tuple(str(label) for label in samples.labels[: len(shown)])
    what = "one column for each asked class" if labels else "no class asked"
    return Gallery(
        title=samples.variant.replace("=", " ").replace(",", ", ") or subject.name,
        variant=samples.variant,
        png=png_bytes(grid(shown, columns=10)),
        alt=f"{len(shown)} pictures of {subject.name}, {what}",
        columns=10,
        captions=labels,
        real_png=png_bytes(grid(real[: len(shown)], columns=10)),
        neighbours_png=png_bytes(grid(neighbours, columns=10)),
    )


def strip_of(samples: SampleSet, title: str, alt: str) -> Strip:
    """The strip that the sample stage left, ``(items, frames, H, W, C)``: a row an item, a column a frame."""
    strip = samples.extra["strip"]
    items, frames = strip.shape[:2]
    return Strip(
        title=title,
        variant=samples.variant,
        png=png_bytes(grid(strip.reshape(-1, *strip.shape[2:]), columns=frames)),
        alt=f"{items} rows of {frames} frames each: {alt}",
        captions=tuple(f"{round(100 * i / (frames - 1))} %" for i in range(frames)),
    )


def _step_curves(subject: Subject) -> Iterator[Curve]:
    """FID and asked class against the number of steps, one line for each sampler, where a block sweeps them."""
    for title, metric, log_y in (("FID", "fid", True), ("Asked class", "class_accuracy", False)):
        found = {score.variant: score.value for score in subject.scores if score.metric == metric}
        lines: dict[str, list[tuple[float, float]]] = {}
        for samples in subject.samples:
            value = found.get(samples.variant)
            if value is not None and np.isfinite(value) and "steps" in samples.info:
                sampler = str(samples.info.get("sampler", "ddim"))
                lines.setdefault(sampler, []).append((float(samples.info["steps"]), float(value)))
        series = tuple(Line(name, tuple(sorted(points))) for name, points in lines.items() if len(points) > 1)
        if series:
            yield Curve(f"{title} against sampling steps", "steps", title, series, log_x=True, log_y=log_y)
