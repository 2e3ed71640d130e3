"""Stages of blocks with ``arms``.

Where samples and scores come in variants that are options of the contract's methods (texts, pictures from noise or
captions), a variant names its arm and the stage sees the whole series. Everywhere else the stage does its work arm by
arm, and the arm's name is put before each variant.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from bench import scoring
from bench.base.files import (
    SampleSet,
    read_image_samples,
    read_text_samples,
    write_image_samples,
    write_text_samples,
)
from bench.base.finite import drawn_by
from bench.config.variants import variant_id
from bench.context import StageContext
from bench.registry import task_of
from bench.results.extras import Extra
from bench.scoring import Evaluation

__all__ = ["evaluate", "read_samples", "sample", "write_samples"]


def write_samples(path: Path, sets: list[SampleSet]) -> None:
    """Into the file of a family: texts as ``.jsonl``, arrays as ``.npz``."""
    (write_text_samples if path.suffix == ".jsonl" else write_image_samples)(path, sets)


def read_samples(path: Path) -> list[SampleSet]:
    """The inverse of :func:`write_samples`."""
    return (read_text_samples if path.suffix == ".jsonl" else read_image_samples)(path)


def sample(module: ModuleType, context: StageContext) -> list[SampleSet]:
    """``module.sample`` of the generator, or of each of its arms in turn."""
    sets: list[SampleSet] = []
    for arm in _arms(context):
        with drawn_by(f"{context.name} {_named(arm, '')}".strip()):
            for item in module.sample(dataclasses.replace(context, arm=arm)):
                sets.append(dataclasses.replace(item, variant=_named(arm, item.variant)))
    return sets


def evaluate(context: StageContext, names: Sequence[str]) -> Evaluation:
    """The named scorers on the generator, or on each of its arms in turn."""
    arms = _arms(context)
    if arms == [""]:
        with drawn_by(context.name):
            return scoring.evaluate(context, names)
    rows: list[dict[str, Any]] = []
    extras: list[Extra] = []
    with tempfile.TemporaryDirectory() as folder:
        for arm in arms:
            with drawn_by(f"{context.name} {_named(arm, '')}"):
                part = scoring.evaluate(_looking_at(context, arm, Path(folder)), names)
            rows += [{**row, "variant": _named(arm, row["variant"])} for row in part.rows]
            extras += [extra for extra in (_titled(arm, one) for one in part.extras) if extra not in extras]
    return Evaluation(rows, extras)


def _arms(context: StageContext) -> list[str]:
    arms = list(context.block.get("arms") or {})
    return [""] if not arms or task_of(context.block["system"], context.family).arms_as_variants else arms


def _named(arm: str, variant: str) -> str:
    return ",".join(part for part in (variant_id({"arm": arm}) if arm else "", variant) if part)


def _looking_at(context: StageContext, arm: str, folder: Path) -> StageContext:
    """The context of one arm: its system, and of the samples its own, under the names that they have without arms."""
    samples = context.samples
    if samples is not None and samples.is_file():
        prefix = _named(arm, "")
        own = [
            item for item in read_samples(samples) if item.variant == prefix or item.variant.startswith(f"{prefix},")
        ]
        samples = folder / f"{arm}{samples.suffix}"
        write_samples(
            samples, [dataclasses.replace(item, variant=item.variant[len(prefix) :].lstrip(",")) for item in own]
        )
    return dataclasses.replace(context, arm=arm, samples=samples)


def _titled(arm: str, extra: Extra) -> Extra:
    """An extra of the report with its arm in title and variant; notes are the same for all arms."""
    changes: dict[str, Any] = {}
    if hasattr(extra, "title"):
        changes["title"] = f"{arm}: {extra.title}" if extra.title else arm
    if hasattr(extra, "variant"):
        changes["variant"] = _named(arm, extra.variant)
    return dataclasses.replace(extra, **changes)
