"""Scenes from captions: whether a detector with its own measured error sees what the caption asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.base.files import SampleSet
from bench.contracts import DetectsObjects, Images, ModelNeed
from bench.families.text_to_image.prompts import Suite
from bench.metrics.compositional import Composition, Detections, asked_of, compose
from bench.metrics.protocols import protocol_id
from bench.results.extras import Table
from bench.scene_language import COLOURS, asked_arrays
from bench.scorers.detection import UNSEEN
from bench.scorers.shares import share
from bench.scoring import NoOptions, Output, Score, Subject, scorer
from bench.stats.intervals import wilson_interval

__all__ = ["negative_prompts", "prompt_fidelity", "suite_of", "suites"]


def suites(subject: Subject) -> list[tuple[SampleSet, Suite]]:
    """The sample sets that answer the suite, each with what it was asked; those of negative prompts are left out."""
    return subject.once("suites", lambda: [(s, suite_of(s)) for s in subject.samples if not _negative(s)])


def suite_of(samples: SampleSet) -> Suite:
    """What a sample set was asked."""
    return Suite.of_samples(samples.prompts or [], samples.info.get("parts"))


def _negative(samples: SampleSet) -> bool:
    return samples.info.get("kind") == "negative"


def _seen(detector: DetectsObjects, images: Images, prompts: Sequence[str]) -> tuple[Detections, Composition]:
    detections: Detections = detector.detect(images)
    return detections, compose(detections, asked_of(asked_arrays(prompts)))


@scorer("TextToImage", needs={"detector": ModelNeed("Detector")})
def prompt_fidelity(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """Shares of right images, each part of the suite with a protocol of its own."""
    for samples, suite in suites(subject):
        assert samples.images is not None
        verdict = _seen(subject.model("detector"), samples.images[: suite.size], suite.texts)[1]
        for metric, values, part, rows, label in _shares(verdict, suite):
            if rows.any():
                protocol = protocol_id(metric, subject.model_name("detector"), prompts=suite.named(part))
                yield share(metric, values[rows], protocol, samples.variant, label)


def _shares(
    verdict: Composition, suite: Suite
) -> Iterator[tuple[str, NDArray[np.float64], str, NDArray[np.bool_], str]]:
    """Metric, verdicts, part of the suite, its rows, slice."""
    single, unseen = suite.part("single"), suite.unseen
    for metric, values in (
        ("both_accuracy", verdict.both_right),
        ("digit_accuracy", verdict.digits_right),
        ("colour_accuracy", verdict.colours_right),
    ):
        yield metric, values, "single", single, ""
        yield metric, values, "single", single & ~unseen, "seen-combinations"
        yield metric, values, "single", single & unseen, UNSEEN
    yield "digit_accuracy", verdict.digits_right, "colourless", suite.part("colourless"), "no-colour-asked"
    counted = single & (suite.repeat == 0) | suite.part("count")
    for k in (1, 2, 3, 4):
        yield "count_accuracy", verdict.count_right, "count", counted & (suite.count == k), f"count={k}"
    yield "both_accuracy", verdict.both_right, "count", suite.part("count"), "counted"
    related = suite.part("relation")
    yield "relation_accuracy", np.nan_to_num(verdict.relation_right), "relation", related, ""
    for metric, values in (
        ("both_accuracy", verdict.both_right),
        ("colour_accuracy", verdict.colours_right),
        ("digit_accuracy", verdict.digits_right),
        ("count_accuracy", verdict.count_right),
    ):
        yield metric, values, "relation", related, "relation"
    yield "all_accuracy", verdict.all_right, "suite", ~suite.part("free"), ""


@scorer("TextToImage", needs={"detector": ModelNeed("Detector")})
def negative_prompts(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """How often a colour is seen without and with its name as negative prompt, same prompts and seeds; and what it
    costs the digit."""
    sets = [samples for samples in subject.samples if _negative(samples)]
    if not sets:
        return
    colours, shares, digits = list(COLOURS), {}, {}
    for samples in sets:
        assert samples.images is not None and samples.prompts is not None
        seen, verdict = _seen(subject.model("detector"), samples.images, samples.prompts)
        negative = str(samples.info["negative"])
        shares[negative] = np.stack([(seen.colours == k).any(1) for k in range(len(colours))]).astype(np.float64)
        digits[negative] = float(verdict.digits_right.mean())
    plain = shares[""]  # (colours, n)
    pushed = np.stack([shares[name][k] for k, name in enumerate(colours)])
    name = subject.model_name("detector")
    protocol = protocol_id("attribute_rate", name, attribute="colour", prompts="colourless")
    base = sets[0].variant.removesuffix(",negative=none")
    for variant, values in ((f"{base},negative=none", plain), (f"{base},negative=colour", pushed)):
        for label, part in (("", values), *((colour, values[k : k + 1]) for k, colour in enumerate(colours))):
            # The colours are looked for in the same images, so the interval's N is images; Wilson's has a width even
            # where no colour is seen.
            interval = wilson_interval(float(part.mean(0).sum()), part.shape[1])
            mean = float(part.mean())
            yield Score("attribute_rate", mean, protocol, interval, part.size, variant, slice=label)
    rows = tuple(
        (colour, *(round(100 * float(value), 1) for value in (plain[k].mean(), pushed[k].mean(), digits[colour])))
        for k, colour in enumerate(colours)
    )
    yield Table(
        "Negative prompts",
        ("negative prompt", "its colour without it, %", "with it, %", "digit right with it, %"),
        rows,
        f"{plain.shape[1]} pictures, no colour asked, the same prompts and seeds throughout; digit right without: "
        f"{100 * digits['']:.1f} %.",
    )
