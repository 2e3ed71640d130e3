"""Stages of blocks with ``arms``.

Where samples and scores come in variants that are options of the contract's methods (texts, pictures from noise or
captions), a variant names its arm and the stage sees the whole series. Everywhere else the stage does its work arm by
arm, and the arm's name is put before each variant.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.base.files import (
    SampleSet,
    read_image_samples,
    read_text_samples,
    write_image_samples,
    write_text_samples,
)
from bench.context import Evaluation, StageContext
from bench.registry import task_of
from bench.results.records import variant_id

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
        for item in module.sample(dataclasses.replace(context, arm=arm)):
            sets.append(dataclasses.replace(item, variant=_named(arm, item.variant)))
    return sets


def evaluate(module: ModuleType, context: StageContext) -> Evaluation:
    """``module.evaluate`` of the generator, or of each of its arms in turn."""
    arms = _arms(context)
    if arms == [""]:
        result: Evaluation = module.evaluate(context)
        return result
    with tempfile.TemporaryDirectory() as folder:
        parts = [(arm, module.evaluate(_looking_at(context, arm, Path(folder)))) for arm in arms]
    records = [
        dataclasses.replace(record, variant=_named(arm, record.variant))
        for arm, part in parts
        for record in part.records
    ]
    extras: dict[str, Any] = {}
    for arm, part in parts:
        for key, found in part.extras.items():
            if isinstance(found, Mapping):  # items by metric and variant
                own = {metric: _renamed(arm, values) for metric, values in found.items()}
                extras[key] = {
                    metric: {**extras.get(key, {}).get(metric, {}), **values} for metric, values in own.items()
                }
            else:
                new = [_titled(arm, item) for item in found]
                extras[key] = [*extras.get(key, []), *(item for item in new if item not in extras.get(key, []))]
    return Evaluation(records, extras)


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


def _renamed(arm: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {_named(arm, variant): value for variant, value in values.items()}


def _titled(arm: str, item: Any) -> Any:
    """An extra of the report with its arm in title and variant; notes are the same for all arms."""
    if not isinstance(item, Mapping):
        return item
    title = f"{arm}: {item['title']}" if item.get("title") else arm
    return {**item, "title": title, **({"variant": _named(arm, item["variant"])} if "variant" in item else {})}
