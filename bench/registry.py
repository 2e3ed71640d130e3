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
from bench.base.settings import NothingToSet, build_config, changed, located, merge
from bench.catalogue.families import FAMILIES, Task
from bench.catalogue.plugins import with_plugins
from bench.catalogue.systems import BUILT_IN
from bench.contracts import Adjustable, Attachable, DataFacts, DependsOnConfig, DependsOnData, DependsOnModels
from bench.series import Arm, Series, series_of

__all__ = [
    "adjust",
    "build_config",
    "build_system",
    "check_data",
    "check_models",
    "configs_of",
    "contract_of",
    "description",
    "family_of",
    "load_model",
    "protocol_of",
    "resolve",
    "sample_options",
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
    """The family whose folder holds a built-in system; ``""`` for a plug-in and for a system of every family: theirs is
    the section of the block."""
    parts = target_of(name).partition(":")[0].split(".")
    return parts[2] if parts[:2] == ["bench", "families"] and len(parts) > 3 else ""


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
    cls = resolve(system)
    try:
        task = FAMILIES[family].task(contract_of(cls, family))
        return dataclasses.replace(task, sampling=getattr(cls, "SAMPLING", task.sampling))
    except BenchError as error:
        raise BenchError(f"system {system!r}: {error}") from error


def check_data(config: Any, facts: DataFacts, where: str) -> None:
    """Ask a config whether it fits a data set, if it depends on one.

    Raises:
        BenchError: it does not; ``where`` names the config.
    """
    try:
        if isinstance(config, DependsOnData):
            config.check_data(facts)
    except ValueError as error:
        raise BenchError(located(where, str(error))) from error


def check_models(config: Any, models: Mapping[str, Any], facts: DataFacts, where: str) -> None:
    """Ask a config whether it fits the settings of the models that its system needs, if it depends on them.

    Raises:
        BenchError: it does not; ``where`` names the config.
    """
    try:
        if isinstance(config, DependsOnModels):
            config.check_models(models, facts)
    except ValueError as error:
        raise BenchError(located(where, str(error))) from error


def sample_options(cls: Any, config: Any, given: Mapping[str, Any], where: str, family: Any = NothingToSet) -> Any:
    """The options of one sampling: what is given, else the config's own values or the defaults.

    Args:
        cls: class of the system.
        config: its config.
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
        kind = getattr(cls, "SampleOptions", NothingToSet)
        swept = [field.name for field in dataclasses.fields(kind)] if isinstance(config, kind) else []
        values = {**{name: getattr(config, name) for name in swept}, **given}
        options = build_config(kind, values, where, also=own)
        if isinstance(options, DependsOnConfig):
            options.check(config)
    except ValueError as error:
        raise BenchError(located(where, str(error))) from error
    return options


def configs_of(block: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Arm -> configuration of a block's system, in order; ``{"": configuration}`` for a block without arms.

    Raises:
        BenchError: unknown key or refused value, naming ``where``.
    """
    cls = resolve(block["system"])
    arms = block.get("arms") or {}
    if not arms:
        return {"": build_config(cls.Config, block["model"], f"{where}.model")}
    return {
        arm: build_config(cls.Config, merge(block["model"], changes.get("model") or {}), f"{where}.arms.{arm}.model")
        for arm, changes in arms.items()
    }


def build_system(block: Mapping[str, Any], where: str) -> Any:
    """The untrained system of a block, or the series of its arms.

    Raises:
        BenchError: unknown key or refused value, naming ``where``.
    """
    cls, configs, arms = resolve(block["system"]), configs_of(block, where), block.get("arms") or {}
    if not arms:
        return cls(configs[""])
    return series_of(cls)(configs, {arm: build_config(Arm, arms[arm], f"{where}.arms.{arm}") for arm in arms})


def description(system: Any) -> dict[str, Any]:
    """What ``model.json`` says of a system's settings: its ``config``, or the configurations of its ``arms``, in
    order."""
    if isinstance(system, Series):
        return {"arms": [[arm, dataclasses.asdict(config)] for arm, config in system.configs.items()]}
    return {"config": dataclasses.asdict(system.config)}


def adjust(system: Any, defaults: Mapping[str, Any], where: str) -> None:
    """Put ``sample.defaults`` of a block in force, for every arm.

    Raises:
        BenchError: a system without settings of sampling, an unknown one, or a refused value, naming ``where``.
    """
    if not defaults:
        return
    for one in system.systems.values() if isinstance(system, Series) else [system]:
        if not isinstance(one, Adjustable):
            raise BenchError(f"{where}: {type(one).__name__} has no settings of sampling")
        one.options = changed(one.options, defaults, where)


def load_model(
    folder: Path,
    device: str = "cpu",
    models: Mapping[str, Path] | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Any:
    """The trained system that a train stage left in ``folder`` (its ``model.json`` names system and config).

    Args:
        folder: ``models/<name>``.
        device: where it runs.
        models: folders of the models that it needs, by role, if not those beside ``folder``.
        defaults: settings of sampling, ``sample.defaults`` of its block.

    Raises:
        BenchError: the folder holds no trained model, with the command that makes one.
    """
    path = Path(folder) / "model.json"
    if not path.is_file():
        name = Path(folder).name
        raise BenchError(f"no trained model in {folder}: run `dvc repro` (or `python stages/train.py {name}`) first")
    facts = read_json(path)
    cls = resolve(facts["system"])
    if "arms" in facts:
        arms = {arm: build_config(cls.Config, values, f"{path}: arms.{arm}") for arm, values in facts["arms"]}
        system: Any = series_of(cls).load(Path(folder), arms, device)
    else:
        system = cls.load(Path(folder), build_config(cls.Config, facts["config"], f"{path}: config"), device)
    if isinstance(system, Attachable):
        needed = {role: Path(folder).parent / name for role, name in facts.get("uses", {}).items()}
        system.attach({**needed, **(models or {})})
    adjust(system, defaults or {}, f"{Path(folder).name}: sample.defaults")
    return system
