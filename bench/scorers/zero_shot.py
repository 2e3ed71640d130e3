"""Encoders of images and captions: zero-shot classification of single digits, and retrieval among test scenes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.settings import Checked, Count
from bench.contracts import DetectsObjects
from bench.data.datasets import ImageSplit
from bench.metrics.protocols import protocol_id
from bench.metrics.retrieval import retrieval_at_k
from bench.metrics.zero_shot import mean_per_class, zero_shot_accuracy
from bench.results.extras import Note, Table
from bench.scene_language import COLOURS, DIGIT_PLURALS, DIGIT_WORDS
from bench.scorers.detection import UNSEEN
from bench.scorers.reference import image_splits
from bench.scorers.shares import share
from bench.scoring import Output, Score, Subject, scorer
from bench.stats.intervals import jackknife_subsets_ci

__all__ = ["RetrievalOptions", "ZeroShotOptions", "retrieval", "zero_shot"]


@dataclass(frozen=True)
class ZeroShotOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        templates: descriptions of a class, with ``{colour}`` and ``{digit}``; the first alone is the single template.
    """

    templates: tuple[str, ...] = ("a {colour} {digit}", "a small {colour} {digit}")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.templates or not all("{colour}" in text and "{digit}" in text for text in self.templates):
            raise ValueError("templates: each needs {colour} and {digit}")


@dataclass(frozen=True)
class RetrievalOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        retrieval_n: test images and captions that retrieval searches among.
    """

    retrieval_n: Count = 1000


def _captioned(subject: Subject) -> ImageSplit | None:
    """The test split, if it has captions and the encoder reads them."""
    test = image_splits(subject)["test"]
    reads = not isinstance(subject.system, DetectsObjects) and test.captions is not None and test.scene is not None
    return test if reads else None


@scorer("Encoder", options=ZeroShotOptions, model=True)
def zero_shot(subject: Subject, options: ZeroShotOptions) -> Iterator[Output]:
    """Which of the 80 colour-digit pairs a scene of one digit shows, told from descriptions, alone and as an
    ensemble."""
    test, system = _captioned(subject), subject.system
    if test is None:
        return
    assert test.scene is not None
    scene, alone = test.scene, np.flatnonzero(test.scene["count"] == 1)
    labels = scene["colours"][alone, 0] * len(DIGIT_WORDS) + scene["digits"][alone, 0]
    images = system.embed_images(test.images[alone])
    texts = [text.format(colour=c, digit=d) for c in COLOURS for d in DIGIT_WORDS for text in options.templates]
    classes = system.embed_texts(texts).reshape(len(COLOURS) * len(DIGIT_WORDS), len(options.templates), -1)
    unseen = np.asarray(scene["unseen"][alone], dtype=np.bool_)
    hits: dict[str, NDArray[Any]] = {}
    for name, weights in {"single": classes[:, 0], "ensemble": classes}.items():
        result, variant = zero_shot_accuracy(images, weights, labels), f"templates={name}"
        hits[name] = result["correct"]
        ways = {"classes": len(classes), "templates": 1 if name == "single" else len(options.templates)}
        protocol = protocol_id("zero_shot_accuracy", f"{subject.dataset}-test", **ways)
        for part, rows in {"": np.ones_like(unseen), "seen": ~unseen, UNSEEN: unseen}.items():
            yield share("zero_shot_accuracy", hits[name][rows], protocol, variant, part)
        yield Score(
            "zero_shot_mean_per_class",
            result["mean_per_class"],
            protocol_id("zero_shot_mean_per_class", f"{subject.dataset}-test", **ways),
            _per_class_interval(subject, hits[name], labels),
            len(labels),
            variant,
        )
        yield Score("zero_shot_accuracy", result["chance"], protocol, variant=f"{variant},chance", role="floor")
    yield _by_kind(hits, scene, alone)
    yield Note(f"Templates: {', '.join(options.templates)}.")


def _per_class_interval(
    subject: Subject, correct: NDArray[Any], labels: NDArray[np.int64]
) -> tuple[float, float] | None:
    if len(labels) < 40:
        return None
    seed = subject.derive("per-class")
    return jackknife_subsets_ci(lambda rows: mean_per_class(correct[rows], labels[rows]), len(labels), seed)


def _by_kind(hits: Mapping[str, NDArray[Any]], scene: Mapping[str, NDArray[Any]], alone: NDArray[np.int64]) -> Table:
    sizes, digits = scene["sizes"][alone, 0], scene["digits"][alone, 0]
    groups = {"big": sizes == 0, "small": sizes == 1} | {DIGIT_PLURALS[d]: digits == d for d in range(10)}
    rows = tuple(
        (name, int(rows.sum()), *(round(100 * float(values[rows].mean()), 1) for values in hits.values()))
        for name, rows in groups.items()
        if rows.any()
    )
    return Table("Colour and digit named right, %", ("scenes", "number", *hits), rows)


@scorer("Encoder", options=RetrievalOptions, model=True)
def retrieval(subject: Subject, options: RetrievalOptions) -> Iterator[Output]:
    """Caption to scene and scene to caption among the first test scenes; equal captions are all right answers."""
    test, system = _captioned(subject), subject.system
    if test is None:
        return
    assert test.captions is not None
    n = min(options.retrieval_n, len(test))
    captions = test.captions[:n]
    images, texts = system.embed_images(test.images[:n]), system.embed_texts(captions)
    protocol = protocol_id("retrieval_at_1", f"{subject.dataset}-test", n=n)
    pairs = {"image-to-text": (images, texts), "text-to-image": (texts, images)}
    for direction, (queries, targets) in pairs.items():
        hits = retrieval_at_k(queries, targets, groups=captions)
        yield share("retrieval_at_1", hits, protocol, f"direction={direction}")
