"""``params.yaml``, read strictly: every error names the file, the key and what is allowed, before anything runs.

A block holds the default (``cpu``) values and, under ``profiles``, what another profile changes:

    ddpm-mnist:
      system: ddpm
      train: {steps: 6000}
      profiles: {smoke: {train: {steps: 20}}}

so that everything about a generator stands in one place (its arms included, see :mod:`bench.series`), and ``profile:
smoke`` is the one word to change. A block with ``only: [gpu]`` is a part of that profile alone: elsewhere its stages
leave empty outputs and no rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from bench.base.errors import BenchError, did_you_mean
from bench.base.files import write_text
from bench.base.precision import Precision
from bench.base.settings import Checked, Count, Natural, NotNegative, Range, Share, build_config, field_types, merge
from bench.base.texts import decode_text
from bench.base.yaml_reader import UTF8_ONLY, read_yaml
from bench.catalogue.families import FAMILIES
from bench.config.variants import expand_variants
from bench.registry import family_of, systems
from bench.series import Arm

__all__ = ["BLOCK", "PROFILES", "ROLES", "Params", "RuntimeConfig", "TrainConfig", "load_params", "set_profile"]

PROFILES = ("smoke", "cpu", "gpu")
ROLES = ("generator", "floor", "ceiling", "memoriser")
_TOP = ("profile", "seed", "runtime", "datasets", "derived_datasets", *FAMILIES)
BLOCK = ("system", "dataset", "role", "model", "arms", "train", "sample", "evaluate", "scorers", "profiles", "only")
# What a profile may change in a generator's block, and may not change in a data set's: dvc.yaml is the same in all.
_BY_PROFILE = ("role", "model", "arms", "train", "sample", "evaluate", "scorers")
_FIXED = ("source", "card", "only")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_Decay = Annotated[float, Range(low=0, below=1)]


@dataclass(frozen=True)
class TrainConfig(Checked):
    """The keys under ``train:`` of a block: budget and optimiser of the one training loop.

    Attributes:
        steps: optimiser steps (the budget is counted in steps, never in seconds).
        batch_size: items a step, over all processes together.
        lr: peak learning rate of AdamW.
        betas: AdamW's.
        weight_decay: on matrices and kernels only, not on gains and biases.
        warmup: steps of linear warm-up.
        schedule: after warm-up ``constant``, ``cosine`` to zero, or ``linear_tail`` (constant, then linear to zero).
        tail: share of the steps that ``linear_tail`` decays over, a quarter if null; of no other schedule.
        grad_clip: largest global gradient norm, 0 for none.
        ema: decay of the exponential moving average of the weights, 0 for none; the window grows from the start
            (weight ``max(1 - ema, 1 / (1 + 0.1 step))``), so that no start-up bias remains.
        precision: ``fp32``, ``bf16`` (autocast), or ``auto``: bf16 where the machine has instructions for it.
        channels_last: memory format of convolutional networks.
        log_every: steps between points of the learning curve.
        checkpoint_every: steps between checkpoints, 0 for none.
    """

    steps: Count = 1000
    batch_size: Count = 64
    lr: Annotated[float, Range(low=0, high=10)] = 1e-3
    betas: tuple[_Decay, _Decay] = (0.9, 0.99)
    weight_decay: Annotated[float, Range(low=0, high=10)] = 0.01
    warmup: Natural = 50
    schedule: Literal["constant", "cosine", "linear_tail"] = "cosine"
    tail: Share | None = None
    grad_clip: NotNegative = 1.0
    ema: Annotated[float, Range(low=0, high=0.999999)] = 0.0
    precision: Precision = "fp32"
    channels_last: bool = False
    log_every: Count = 50
    checkpoint_every: Natural = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.schedule == "linear_tail":
            object.__setattr__(self, "tail", 0.25 if self.tail is None else self.tail)
        elif self.tail is not None:
            raise ValueError(f"tail belongs to schedule: linear_tail and does nothing with {self.schedule}")


@dataclass(frozen=True)
class RuntimeConfig(Checked):
    """The keys under ``runtime:``.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: of one stage.
    """

    device: str = "auto"
    threads: Count = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise ValueError(f"device: must be auto, cpu, cuda or cuda:N, not {self.device!r}")


def _are_names(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, str) for one in value)
        and len(set(value)) == len(value)
    )


class Params:
    """The parsed ``params.yaml`` with one profile in force."""

    def __init__(self, raw: Mapping[str, Any], path: Path, profile: str | None = None) -> None:
        self.raw, self.path = raw, path
        self._keys(raw, _TOP, "")
        self.profile = profile or raw.get("profile", "cpu")
        if self.profile not in PROFILES:
            raise self._error(
                "profile", f"{self.profile!r} is not a profile.{did_you_mean(str(self.profile), PROFILES)}"
            )
        self.seed = raw.get("seed", 0)
        if not isinstance(self.seed, int) or isinstance(self.seed, bool):
            raise self._error("seed", f"must be a whole number, not {self.seed!r}")
        runtime = self._mapping(raw.get("runtime"), "runtime", "key to value")
        self.runtime = asdict(build_config(RuntimeConfig, runtime, f"{path}: runtime"))
        self._datasets = self._section("datasets")
        for name, block in self._section("derived_datasets").items():
            if name in self._datasets:
                raise self._error(f"derived_datasets.{name}", f"the name is taken by datasets.{name}")
            self._datasets[name] = block
        self._generators: dict[str, dict[str, Any]] = {}
        for family in FAMILIES:
            for name, block in self._section(family).items():
                if name in self._generators or name in self._datasets:
                    other = self._generators[name]["family"] if name in self._generators else "datasets"
                    raise self._error(f"{family}.{name}", f"the name is taken by {other}.{name}")
                self._generators[name] = {**self._check_block(family, name, block), "family": family, "name": name}
        for name, block in self._generators.items():
            for role, other in self.roles(name).items():
                where = f"{block['family']}.{name}.{role}"
                if other in self._generators and self.active(name) and not self.active(other):
                    raise self._error(where, f"{other!r} is not a part of profile {self.profile}")
                if other not in self._generators and other not in self._datasets:
                    hint = did_you_mean(other, [*self._generators, *self._datasets])
                    raise self._error(where, f"no generator or data set {other!r}.{hint}")

    def roles(self, name: str) -> dict[str, str]:
        """Role -> name of a generator or a data set, for every key of a block that is not one of all blocks."""
        return {key: other for key, other in self.generator(name).items() if key not in (*BLOCK, "family", "name")}

    def _error(self, key: str, text: str) -> BenchError:
        return BenchError(f"{self.path}: {key}: {text}" if key else f"{self.path}: {text}")

    def _keys(self, mapping: Mapping[str, Any], allowed: Iterable[str], where: str) -> None:
        for key in mapping:
            if key not in set(allowed):
                raise self._error(where, f"unknown key {key!r}.{did_you_mean(str(key), allowed)}")

    def _mapping(self, value: Any, where: str, of: str) -> Mapping[str, Any]:
        if value is not None and not isinstance(value, Mapping):
            raise self._error(where, f"must be a mapping of {of}, not {value!r}")
        return value or {}

    def _section(self, name: str) -> dict[str, dict[str, Any]]:
        section = self._mapping(self.raw.get(name), name, "name to block")
        blocks = {}
        for key, block in section.items():
            where = f"{name}.{key}"
            if not isinstance(key, str) or not _NAME.fullmatch(key):
                raise self._error(where, "a name is lower-case letters, digits and hyphens")
            if not isinstance(block, Mapping):
                raise self._error(where, "must be a mapping")
            profiles = self._mapping(block.get("profiles"), f"{where}.profiles", "profile to changed values")
            self._keys(profiles, PROFILES, f"{where}.profiles")
            for profile, overlay in profiles.items():
                if not isinstance(overlay, Mapping):
                    raise self._error(f"{where}.profiles.{profile}", "must be a mapping of changed values")
                for fixed in overlay:
                    if fixed in _FIXED or (name in FAMILIES and fixed not in _BY_PROFILE):
                        hint = "write a block of its own with `only: [profile]`"
                        raise self._error(f"{where}.profiles.{profile}.{fixed}", f"cannot differ by profile: {hint}")
            only = block.get("only", list(PROFILES))
            if not isinstance(only, list) or any(profile not in PROFILES for profile in only):
                raise self._error(f"{where}.only", f"must be a list of profiles ({', '.join(PROFILES)})")
            merged = merge(block, profiles.get(self.profile) or {})
            merged.pop("profiles", None)
            blocks[key] = merged
        return blocks

    def _check_block(self, family: str, name: str, block: dict[str, Any]) -> dict[str, Any]:
        where = f"{family}.{name}"
        for key, value in block.items():
            if key not in BLOCK and not isinstance(value, str):
                raise self._error(where, f"unknown key {key!r}.{did_you_mean(str(key), BLOCK)}")
        for key in ("system", "dataset"):
            if not isinstance(block.get(key), str):
                raise self._error(f"{where}.{key}", "missing, or not a name")
        if block["system"] not in systems():
            raise self._error(
                f"{where}.system", f"no system {block['system']!r}.{did_you_mean(block['system'], systems())}"
            )
        if (home := family_of(block["system"])) not in ("", family):
            raise self._error(f"{where}.system", f"{block['system']!r} belongs to {home}")
        if block["dataset"] not in self._datasets:
            hint = did_you_mean(block["dataset"], self._datasets)
            raise self._error(f"{where}.dataset", f"no dataset {block['dataset']!r}.{hint}")
        block.setdefault("role", "generator")
        if block["role"] not in ROLES:
            raise self._error(f"{where}.role", f"{block['role']!r} is not one of {', '.join(ROLES)}")
        if "scorers" in block and not _are_names(block["scorers"]):
            raise self._error(f"{where}.scorers", "must be a list of names of scorers, each once")
        for key in ("model", "train", "sample", "evaluate"):
            block[key] = dict(self._mapping(block.get(key), f"{where}.{key}", "key to value"))
        build_config(TrainConfig, block["train"], f"{self.path}: {where}.train")
        if "variants" in block["sample"]:
            variants = expand_variants(block["sample"]["variants"], f"{self.path}: {where}.sample.variants")
            block["sample"]["variants"] = variants
        self._check_arms(block, where)
        return block

    def _check_arms(self, block: Mapping[str, Any], where: str) -> None:
        arms = block.get("arms", {})
        if not isinstance(arms, Mapping) or ("arms" in block and not arms):
            raise self._error(f"{where}.arms", "must be a mapping of name to changed settings")
        for arm, changes in arms.items():
            if not isinstance(arm, str) or not _NAME.fullmatch(arm):
                raise self._error(f"{where}.arms.{arm}", "a name is lower-case letters, digits and hyphens")
            if not isinstance(changes, Mapping):
                raise self._error(f"{where}.arms.{arm}", f"must be a mapping with {', '.join(field_types(Arm))}")
            built: Arm = build_config(Arm, changes, f"{self.path}: {where}.arms.{arm}")
            train = merge(block["train"], built.train)
            build_config(TrainConfig, train, f"{self.path}: {where}.arms.{arm}.train")
        variants = block["sample"].get("variants") or []
        for options in variants if isinstance(variants, list) else []:
            asked = options.get("arm") if isinstance(options, Mapping) else None
            if asked is not None and asked not in arms:
                hint = did_you_mean(str(asked), arms) if arms else " This block has no arms."
                raise self._error(f"{where}.sample.variants", f"no arm {asked!r}.{hint}")

    def datasets(self) -> dict[str, dict[str, Any]]:
        """The block of every data set of this profile, by name."""
        return {name: self.dataset(name) for name in self._datasets if self.active(name)}

    def active(self, name: str) -> bool:
        """Whether the data set or generator is a part of this profile."""
        if name not in self._generators:
            self.dataset(name)
        block = self._generators.get(name) or self._datasets[name]
        return self.profile in block.get("only", PROFILES)

    def inactive(self) -> list[str]:
        """The data sets and generators of other profiles alone."""
        return [name for name in (*self._datasets, *self._generators) if not self.active(name)]

    def dataset(self, name: str) -> dict[str, Any]:
        """One data set's block.

        Raises:
            BenchError: no such data set.
        """
        if name not in self._datasets:
            raise BenchError(f"{self.path}: no dataset {name!r}.{did_you_mean(name, self._datasets)}")
        return {key: value for key, value in self._datasets[name].items() if key != "only"}

    def generators(self) -> dict[str, dict[str, Any]]:
        """The block of every generator of this profile, by name, with ``family`` and ``name`` filled in."""
        return {name: block for name, block in self._generators.items() if self.active(name)}

    def every_generator(self) -> list[str]:
        """Names of the generators of all profiles."""
        return list(self._generators)

    def generator(self, name: str) -> dict[str, Any]:
        """One generator's block.

        Raises:
            BenchError: no such generator.
        """
        if name not in self._generators:
            raise BenchError(f"{self.path}: no generator {name!r}.{did_you_mean(name, self._generators)}")
        return dict(self._generators[name])

    def uses(self, name: str) -> dict[str, str]:
        """Role -> name of the other generators that this one's block names."""
        return {role: other for role, other in self.roles(name).items() if other in self._generators}

    def further_data(self, name: str) -> dict[str, str]:
        """Role -> name of the further data sets that a generator's block names."""
        return {role: other for role, other in self.roles(name).items() if other not in self._generators}


def load_params(path: Path | str = "params.yaml", profile: str | None = None) -> Params:
    """Read and check ``params.yaml``.

    Raises:
        BenchError: no such file, not YAML, or a wrong key or value (file, key and what is allowed are named).
    """
    path = Path(path)
    raw = read_yaml(path)
    if not isinstance(raw, Mapping):
        raise BenchError(f"{path}: must be a mapping with the keys {', '.join(_TOP)}")
    return Params(raw, path, profile)


def set_profile(path: Path, profile: str) -> bool:
    """Change the one word ``profile:`` of ``params.yaml`` and nothing else; True if it changed.

    Raises:
        BenchError: unknown profile, not UTF-8, or the file has no ``profile:`` line.
    """
    if profile not in PROFILES:
        raise BenchError(f"{profile!r} is not a profile.{did_you_mean(profile, PROFILES)}")
    if not path.is_file():
        raise BenchError(f"{path}: no such file here: run the command in the project's root folder")
    content = path.read_bytes()
    decode_text(content, str(path), marks=False, advice=UTF8_ONLY)
    old = content.decode("utf-8")  # with its byte-order mark and line ends
    new, count = re.subn(r"((?:\A\ufeff?|[\r\n])profile:[ \t]*[\"']?)\w+", rf"\g<1>{profile}", old, count=1)
    if not count:
        raise BenchError(f"{path}: no line `profile: ...` to change")
    if new != old:
        write_text(path, new)
    return new != old


def train_config(values: Mapping[str, Any], where: str = "train") -> TrainConfig:
    """A :class:`TrainConfig` from a block's ``train`` mapping."""
    config: TrainConfig = build_config(TrainConfig, values, where)
    return config
