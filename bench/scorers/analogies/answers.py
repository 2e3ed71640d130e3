"""How near the answers to analogies come to known ones, beside floors that look at one pixel or at none; how long their
copies are.

Scores without a slice are those of the main question of a block: planted filters of photographs, or line art. Slices
are single tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.files import SampleSet
from bench.families.by_example.analogies.planted_filters import FILTERS
from bench.families.by_example.analogies.sampling import asked, in_colour
from bench.families.by_example.analogies.tasks import SCORED, Question
from bench.metrics.copied_run import copied_run
from bench.metrics.protocols import protocol_id
from bench.metrics.psnr import psnr
from bench.metrics.ssim import ssim
from bench.results.extras import Items
from bench.scorers.analogies.floors import floors
from bench.scoring import NoOptions, Output, Score, Subject, scorer
from bench.stats.intervals import bootstrap_mean_ci

__all__ = ["Answered", "Answers", "analogy_answers", "answered", "flat"]

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]

MAIN = (*FILTERS, "line-art")
"""Tasks of the scores without a slice."""
MOST_DECIBELS = 100.0
"""PSNR of an exact answer, which would be infinite."""


@dataclass(frozen=True)
class Answers:
    """Measures of the answers of one variant or floor, answer by answer.

    Attributes:
        variant, role: of the scores.
        tasks: of each answer.
        psnr, ssim: against the known answers.
        runs: copied runs, from systems that know where pixels came from.
        protocol: settings that all ids share.
    """

    variant: str
    role: str
    tasks: Sequence[str]
    psnr: Floats
    ssim: Floats
    runs: Floats | None = None
    protocol: Mapping[str, Any] = field(default_factory=dict)

    @property
    def main(self) -> NDArray[np.bool_]:
        """Which answers are those of the main tasks."""
        return np.array([task in MAIN for task in self.tasks])


@dataclass(frozen=True)
class Answered:
    """Questions that are asked together, and the samples and measures of their answers.

    Attributes:
        timed: whether they are asked to compare searches.
        questions: each with all its B.
        samples: one set for each variant.
        answers: of each variant, then of each floor; none for tasks to look at, which have no right answer.
    """

    timed: bool
    questions: Sequence[Question]
    samples: Sequence[SampleSet]
    answers: Sequence[Answers]


def flat(questions: Sequence[Question]) -> list[tuple[Question, int]]:
    """Every B of every question, in the order of the answers."""
    return [(question, i) for question in questions for i in range(len(question.pictures))]


def answered(subject: Subject) -> list[Answered]:
    """What was asked and answered, measured."""
    return subject.once("answered", lambda: list(_answered(subject)))


def _answered(subject: Subject) -> Iterator[Answered]:
    sets, config = asked(subject.context)
    filters = any(question.task in FILTERS for question in sets.get("", []))
    for start, questions in sets.items():
        mine = [item for item in subject.samples if _start(item.variant) == start]
        answers: list[Answers] = []
        if scored := questions[0].task in SCORED:
            protocol = {
                "size": f"{config.crop}x{config.crop}" if filters else None,
                "example": questions[0].pairs[0][0].shape[0] if start else None,
            }
            answers = [_of_variant(item, questions, protocol) for item in mine]
            answers += [] if start else _of_floors(questions, protocol)
        yield Answered(bool(start) and scored, questions, mine, answers)


def _start(variant: str) -> str:
    """What the questions of a variant are known by: its task, or nothing for the sweep over all scored tasks."""
    return variant.split(",")[0] if variant.startswith("task=") else ""


def _measured(
    variant: str, role: str, tasks: Sequence[str], given: Sequence[Picture], truths: Sequence[Picture], **more: Any
) -> Answers:
    one, other = np.stack([in_colour(truth) for truth in truths]), np.stack(list(given))
    return Answers(variant, role, tasks, np.minimum(psnr(one, other), MOST_DECIBELS), ssim(one, other), **more)


def _of_variant(samples: SampleSet, questions: Sequence[Question], protocol: Mapping[str, Any]) -> Answers:
    assert samples.images is not None
    places = flat(questions)
    truths = [question.truths[i] for question, i in places if question.truths is not None]
    tasks, runs = [question.task for question, _ in places], _runs(samples)
    return _measured(samples.variant, "", tasks, list(samples.images), truths, runs=runs, protocol=protocol)


def _runs(samples: SampleSet) -> Floats | None:
    """Copied run of each answer."""
    sources = samples.extra.get("sources")
    return None if sources is None else np.array([copied_run(one) for one in sources])


def _of_floors(questions: Sequence[Question], protocol: Mapping[str, Any]) -> list[Answers]:
    """Each floor over the tasks that have it."""
    collected: dict[str, tuple[list[str], list[Picture], list[Picture]]] = {}
    for question in questions:
        assert question.truths is not None
        for name, answers in floors(question).items():
            tasks, given, truths = collected.setdefault(name, ([], [], []))
            tasks += [question.task] * len(answers)
            given += answers
            truths += question.truths
    return [_measured(f"floor={name}", "floor", *parts, protocol=protocol) for name, parts in sorted(collected.items())]


@scorer("AnalogySolver")
def analogy_answers(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """PSNR, SSIM and copied runs of every variant and floor; items so that claims compare variants B by B."""
    for each in answered(subject):
        for answers in each.answers:
            yield from _scores(subject, answers)
            if answers.main.any():
                totals = tuple(round(float(value), 4) for value in answers.psnr[answers.main])
                yield Items("psnr", answers.variant, totals, (1.0,) * len(totals))
        if not each.answers:
            for samples in each.samples:
                yield from _run_scores(subject, samples, each.questions[0].task)


def _scores(subject: Subject, answers: Answers) -> Iterator[Score]:
    """The mean over the main tasks, then each task as a slice."""
    tasks = np.array(answers.tasks)
    slices = {"": answers.main, **{name: tasks == name for name in dict.fromkeys(answers.tasks)}}
    measures = {"psnr": ("analogy", answers.psnr), "ssim": ("analogy", answers.ssim)}
    if answers.runs is not None:
        measures["copied_run"] = ("analogy/rows", answers.runs)
    for metric, (words, values) in measures.items():
        protocol = protocol_id(metric, *words.split("/"), **answers.protocol)
        for part, chosen in slices.items():
            if chosen.any():
                n, value = int(chosen.sum()), float(values[chosen].mean())
                ci95 = bootstrap_mean_ci(values[chosen], subject.derive("interval", metric, part))
                yield Score(metric, value, protocol, ci95, n, answers.variant, slice=part, role=answers.role)


def _run_scores(subject: Subject, samples: SampleSet, task: str) -> Iterator[Score]:
    """Copied runs of a task without a right answer."""
    runs = _runs(samples)
    if runs is not None:
        size = "x".join(map(str, samples.extra["sources"].shape[1:3]))
        protocol = protocol_id("copied_run", "analogy", "rows", size=size)
        ci95 = bootstrap_mean_ci(runs, subject.derive("interval", task)) if len(runs) > 1 else None
        yield Score("copied_run", float(runs.mean()), protocol, ci95, len(runs), samples.variant, slice=task)
