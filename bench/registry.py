"""Name -> ``module:Class``, resolved lazily: listing the systems imports none of them.

A plug-in adds systems through the entry point group ``words_and_pixels.systems`` (name = system, value = module:Class).
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError, did_you_mean
from bench.base.files import read_json
from bench.catalogue.families import FAMILIES, Task
from bench.catalogue.plugins import with_plugins
from bench.catalogue.systems import BUILT_IN

__all__ = [
    "build_config",
    "contract_of",
    "family_of",
    "load_model",
    "protocol_of",
    "resolve",
    "systems",
    "target_of",
    "task_of",
]


def systems() -> Mapping[str, str]:
    """Every known system: ``name -> "module:Class"``; imports nothing."""
    return with_plugins("systems", BUILT_IN)


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


def protocol_of(contract: str, family: str) -> type:
    """The Protocol of a contract, in the module that its family names.

    Raises:
        BenchError: the module has none of this name.
    """
    module = importlib.import_module(FAMILIES[family].contracts)
    found: type | None = getattr(module, contract, None)
    if found is None:
        raise BenchError(f"family {family}: no contract {contract!r} in {module.__name__}")
    return found


def task_of(system: str, family: str) -> Task:
    """How a system of a family is sampled and scored.

    Raises:
        BenchError: the family has no task for the contract that its class names.
    """
    try:
        return FAMILIES[family].task(contract_of(resolve(system), family))
    except BenchError as error:
        raise BenchError(f"system {system!r}: {error}") from error


def build_config(cls: Any, values: Mapping[str, Any], where: str) -> Any:
    """``cls(**values)`` for a frozen config dataclass, lists turned into tuples.

    Raises:
        BenchError: unknown key (with the nearest), or a value that the dataclass refuses, naming ``where``.
    """
    known = {f.name for f in dataclasses.fields(cls)}
    for key in values:
        if key not in known:
            raise BenchError(f"{where}: unknown key {key!r}.{did_you_mean(key, known)}")
    try:
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
    except (TypeError, ValueError) as error:
        raise BenchError(f"{where}: {error}") from error


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
