"""Image analogies: the answers to the questions of :mod:`bench.families.by_example.analogies.tasks`, with the places
they were copied from.

A sample set is one variant of the sweep over all scored tasks; the timed question makes a set for each search; a task
without a right answer makes a set of its own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.files import SampleSet
from bench.base.progress import Progress
from bench.context import StageContext
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
from bench.registry import build_config
from bench.results.records import variant_id

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
    system = context.load()
    plan: list[tuple[dict[str, Any], list[Question], dict[str, Any]]] = []
    for start, listed in sets.items():
        named = dict([start.split("=", 1)]) if start else {}
        if not start:
            plan += [(dict(variant), listed, dict(variant)) for variant in config.variants]
        elif listed[0].task in SCORED:
            plan += [({**named, "search": search}, listed, {"search": search}) for search in ("exact", "ann")]
        else:
            plan.append((named, listed, {}))
    total = sum(
        system.work(question.pairs, question.pictures, **_settings(question, config, variant))
        for _, listed, variant in plan
        for question in listed
    )
    with Progress(f"sample {context.name}", total, "pixels", quiet=context.quiet) as progress:
        return [
            _answered(system, variant_id(name), listed, config, variant, progress) for name, listed, variant in plan
        ]


def _settings(question: Question, config: SampleConfig, variant: Mapping[str, Any]) -> dict[str, Any]:
    """What the task needs, what the block gives it, what the variant sweeps."""
    given = {str(task): settings for task, settings in config.tasks.items()}
    return {**OPTIONS[question.task], **(given.get(question.task) or {}), **variant}


def _answered(
    system: Any,
    name: str,
    listed: Sequence[Question],
    config: SampleConfig,
    variant: Mapping[str, Any],
    progress: Progress,
) -> SampleSet:
    """One variant."""
    answers, names, start = [], [], time.monotonic()
    for question in listed:
        settings = _settings(question, config, variant)
        answers += system.solve(question.pairs, question.pictures, progress=progress.update, **settings)
        names += [f"{question.task}: {name}" for name in question.names]
    seconds = time.monotonic() - start
    return SampleSet(
        variant=name,
        images=np.stack([in_colour(answer.picture) for answer in answers]),
        prompts=names,
        info={"seconds": seconds, "seconds_per_item": seconds / len(answers)},
        extra={
            "sources": np.stack([answer.sources for answer in answers]).astype(np.int16),
            "coherent": np.stack([answer.coherent for answer in answers]),
        },
    )
