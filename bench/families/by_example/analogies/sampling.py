"""Image analogies: the answers to the questions of :mod:`bench.families.by_example.analogies.tasks`, with the places
they were copied from.

A sample set is one variant of the sweep over all scored tasks; the timed question makes a set for each search; a task
without a right answer makes a set of its own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.files import SampleSet
from bench.base.finite import drawn_by
from bench.base.progress import Progress
from bench.base.settings import build_config
from bench.capabilities import CopyingSolver
from bench.config.variants import variant_id
from bench.context import StageContext
from bench.contracts import AnalogySolver
from bench.data.datasets import load
from bench.families.by_example.analogies.tasks import (
    OPTIONS,
    SCORED,
    Question,
    SampleConfig,
    Timed,
    questions,
    timed_question,
)

__all__ = ["SampleConfig", "asked", "in_colour", "sample", "sample_config"]


def sample_config(context: StageContext) -> tuple[SampleConfig, Timed | None]:
    """The keys under ``sample:``."""
    where = f"{context.family}.{context.name}.sample"
    config: SampleConfig = build_config(SampleConfig, context.block.get("sample") or {}, where)
    return config, config.timed


def asked(context: StageContext) -> tuple[dict[str, list[Question]], SampleConfig]:
    """Questions by the beginning of the variants that answer them: ``""`` for the sweep, ``task=blur`` for the timed
    one, and so on."""
    config, timed = sample_config(context)
    where = f"{context.family}.{context.name}.sample"
    data = load(context.data)
    sets: dict[str, list[Question]] = {}
    for question in questions(data, config, where):
        sets.setdefault("" if question.task in SCORED else f"task={question.task}", []).append(question)
    if timed is not None:
        sets[f"task={timed.task}"] = [timed_question(data, config, timed, where)]
    return sets, config


def in_colour(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``(H, W, 3)``."""
    return picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2)


def sample(context: StageContext) -> list[SampleSet]:
    """Every variant of the scored tasks, the timed searches, and the tasks to look at."""
    sets, config = asked(context)
    system: AnalogySolver = context.load()
    copying = isinstance(system, CopyingSolver)
    plan: list[tuple[dict[str, Any], list[Question], dict[str, Any]]] = []  # name of the variant, questions, settings
    for start, listed in sets.items():
        named = dict([start.split("=", 1)]) if start else {}
        if not start:
            plan += [(dict(variant), listed, dict(variant)) for variant in config.variants]
        elif listed[0].task in SCORED:
            if not copying:
                where = f"{context.family}.{context.name}.sample.timed"
                raise BenchError(f"{where}: {context.block['system']} has no two searches to compare: leave it out")
            plan += [({**named, "search": search}, listed, {"search": search}) for search in ("exact", "ann")]
        else:
            plan.append((named, listed, {}))
    # OPTIONS are settings of solvers that copy pixel by pixel; those of the block and of the variant go to all.
    given = {str(task): settings or {} for task, settings in config.tasks.items()}
    works = [
        (name, [(q, {**(OPTIONS[q.task] if copying else {}), **given.get(q.task, {}), **swept}) for q in asks])
        for name, asks, swept in plan
    ]
    total = sum(_pixels(system, question, settings) for _, asks in works for question, settings in asks)
    with Progress(f"sample {context.name}", total, "pixels", quiet=context.quiet) as progress:
        answers = []
        for name, asks in works:
            with drawn_by(variant_id(name)):
                answers.append(_answered(system, variant_id(name), asks, context, progress))
        return answers


def _pixels(system: AnalogySolver, question: Question, settings: Mapping[str, Any]) -> int:
    """The progress that the answers to a question make."""
    if isinstance(system, CopyingSolver):
        return system.work(question.pairs, question.pictures, **settings)
    return sum(picture.shape[0] * picture.shape[1] for picture in question.pictures)


def _answered(
    system: AnalogySolver,
    name: str,
    asks: list[tuple[Question, dict[str, Any]]],
    context: StageContext,
    progress: Progress,
) -> SampleSet:
    """One variant. A solver that takes one pair at a time sees the first."""
    pictures: list[NDArray[np.uint8]] = []
    copied: list[Any] = []
    start = time.monotonic()
    for question, settings in asks:
        if isinstance(system, CopyingSolver):
            copied += system.solve(question.pairs, question.pictures, progress=progress.update, **settings)
            pictures += [answer.picture for answer in copied[len(pictures) :]]
            continue
        for which, picture in zip(question.names, question.pictures, strict=True):
            seed = context.derive("answer", question.task, which)
            pictures.append(system.analogy(*question.pairs[0], picture, seed, **settings))
            progress.update(picture.shape[0] * picture.shape[1])
    seconds = time.monotonic() - start
    extra = {}
    if copied:
        extra["sources"] = np.stack([answer.sources for answer in copied]).astype(np.int16)
        extra["coherent"] = np.stack([answer.coherent for answer in copied])
    return SampleSet(
        variant=name,
        images=np.stack([in_colour(picture) for picture in pictures]),
        prompts=[f"{question.task}: {name}" for question, _ in asks for name in question.names],
        info={"seconds": seconds, "seconds_per_item": seconds / len(pictures)},
        extra=extra,
    )
