"""Name -> ``module:Class``, resolved lazily: listing the systems imports none of them.

A plug-in adds systems through the entry point group ``words_and_pixels.systems`` (name = system, value = module:Class).
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.base.errors import BenchError, did_you_mean
from bench.base.files import read_json
from bench.base.settings import NothingToSet, build_config, located
from bench.catalogue.families import FAMILIES, Task
from bench.catalogue.systems import BUILT_IN
from bench.contracts import DataFacts

__all__ = [
    "build_config",
    "check_data",
    "contract_of",
    "family_of",
    "load_model",
    "resolve",
    "sample_options",
    "systems",
    "target_of",
    "task_of",
]


@cache
def _plugins() -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group="words_and_pixels.systems")}


def systems() -> Mapping[str, str]:
    """Every known system: ``name -> "module:Class"``; imports nothing."""
    return MappingProxyType({**_plugins(), **BUILT_IN})


def target_of(name: str) -> str:
    """``"module:Class"`` of a system.

    Raises:
        BenchError: unknown name, with the nearest known one.
    """
    try:
        return systems()[name]
    except KeyError:
        raise BenchError(f"unknown system {name!r}.{did_you_mean(name, systems())}") from None


def family_of(name: str) -> str:
    """The family whose folder holds a built-in system; ``""`` for a plug-in: its family is the section of its block."""
    parts = target_of(name).split(".")
    return parts[2] if parts[:2] == ["bench", "families"] else ""


def resolve(name: str) -> Any:
    """The class of a system; this is what imports its module."""
    module, _, attribute = target_of(name).partition(":")
    return getattr(importlib.import_module(module), attribute)


def contract_of(cls: Any, family: str) -> str:
    """Contract (a Protocol of :mod:`bench.contracts`) of a system: ``CONTRACT`` of its class, or its family's first."""
    return str(getattr(cls, "CONTRACT", FAMILIES[family].tasks[0].contract))


def task_of(system: str, family: str) -> Task:
    """How a system of a family is sampled and scored.

    Raises:
        BenchError: the family has no task for the contract that its class names.
    """
    try:
        return FAMILIES[family].task(contract_of(resolve(system), family))
    except BenchError as error:
        raise BenchError(f"system {system!r}: {error}") from error


def check_data(config: Any, facts: DataFacts, where: str) -> None:
    """Ask a config whether it fits a data set, if it has ``check_data``.

    Raises:
        BenchError: it does not; ``where`` names the config.
    """
    try:
        if hasattr(config, "check_data"):
            config.check_data(facts)
    except ValueError as error:
        raise BenchError(located(where, str(error))) from error


def sample_options(cls: Any, config: Any, given: Mapping[str, Any], where: str, family: Any = NothingToSet) -> Any:
    """The options of one sampling: what is given, else the config's own values or the defaults.

    Args:
        cls: class of the system.
        config: its config; one with ``arm_of`` hands the options of an arm to the arm's own system.
        given: as in a variant of params.yaml or behind ``-o``.
        where: names them in errors.
        family: dataclass of the keys that are for the family's sampling instead.

    Returns:
        An instance of ``cls.SampleOptions``.

    Raises:
        BenchError: an unknown option, a value that is not allowed, or one that does not go with the config.
    """
    own = {field.name for field in dataclasses.fields(family)}
    build_config(family, {key: value for key, value in given.items() if key in own}, where)
    given = {key: value for key, value in given.items() if key not in own}
    try:
        if hasattr(config, "arm_of"):
            cls, config, given = config.arm_of(given)
        kind = getattr(cls, "SampleOptions", NothingToSet)
        swept = [field.name for field in dataclasses.fields(kind)] if isinstance(config, kind) else []
        values = {**{name: getattr(config, name) for name in swept}, **given}
        options = build_config(kind, values, where, also=own)
        if hasattr(options, "check"):
            options.check(config)
    except ValueError as error:
        raise BenchError(located(where, str(error))) from error
    return options


def load_model(folder: Path, device: str = "cpu", models: Mapping[str, Path] | None = None) -> Any:
    """The trained system that a train stage left in ``folder`` (its ``model.json`` names system and config).

    Raises:
        BenchError: the folder holds no trained model, with the command that makes one.
    """
    description = Path(folder) / "model.json"
    if not description.is_file():
        name = Path(folder).name
        raise BenchError(f"no trained model in {folder}: run `dvc repro` (or `python stages/train.py {name}`) first")
    facts = read_json(description)
    cls = resolve(facts["system"])
    config = build_config(cls.Config, facts["config"], f"{description}: config")
    system = cls.load(Path(folder), config, device)
    if hasattr(system, "attach"):
        needed = {role: Path(folder).parent / name for role, name in facts.get("uses", {}).items()}
        system.attach({**needed, **(models or {})})
    return system
