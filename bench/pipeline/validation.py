"""The whole-file check of ``params.yaml`` and the cards: every key under every block, before anything runs.

What a block may hold is declared where it is used: ``Config``, ``SampleOptions`` and ``NEEDS`` of the system's class,
the family's ``SampleConfig`` and ``EvalConfig``, and the kinds of data and roles of its task in
:mod:`bench.catalogue.families`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bench
from bench.base.errors import BenchError, did_you_mean
from bench.catalogue.families import Task
from bench.config.load import BLOCK, PROFILES, Params, load_params
from bench.contracts import DataNeed, ModelNeed, extends
from bench.data.card_reader import card_of_block
from bench.data.cards import Card
from bench.pipeline.fingerprint import closure
from bench.pipeline.plan import needs_of, stage_module
from bench.registry import build_config, check_data, contract_of, resolve, sample_options, task_of

__all__ = ["validate", "validate_profiles"]


def validate_profiles(path: Path) -> Params:
    """Check a ``params.yaml`` in every profile; its content in the profile that it names. Imports torch.

    Raises:
        BenchError: file, key, what is allowed.
    """
    params, root = load_params(path), path.resolve().parent
    validate(params, root)
    for profile in PROFILES:
        try:
            if profile != params.profile:
                validate(load_params(path, profile), root)
        except BenchError as error:
            raise BenchError(f"profile {profile}: {error}") from error
    return params


def validate(params: Params, root: Path) -> None:
    """Check every block of a profile against what its system, its family and its data declare. Imports torch.

    Raises:
        BenchError: file, key, what is allowed.
    """
    cards: dict[str, Card] = {}
    for name, block in params.datasets().items():
        cards[name] = card_of_block(name, block, f"{params.path}: datasets", root)
        if cards[name].source and cards[name].source not in params.datasets():
            raise BenchError(
                f"{params.path}: datasets.{name}.source: no data set {cards[name].source!r}."
                f"{did_you_mean(cards[name].source, params.datasets())}"
            )
    for name, block in params.generators().items():
        _check_block(params, name, block, cards)


def _check_block(params: Params, name: str, block: Mapping[str, Any], cards: Mapping[str, Card]) -> None:
    where = f"{params.path}: {block['family']}.{name}"
    cls, task, facts = (
        resolve(block["system"]),
        task_of(block["system"], block["family"]),
        cards[block["dataset"]].facts,
    )
    if task.kinds and facts.kind not in task.kinds:
        raise BenchError(
            f"{where}.dataset: {facts.name} is of kind {facts.kind}; {block['system']} takes {' or '.join(task.kinds)}"
        )
    config = build_config(cls.Config, block["model"], f"{where}.model")
    check_data(config, facts, f"{where}.model")
    if block["train"] and not _trains(cls):
        raise BenchError(f"{where}.train: {block['system']} is not trained step by step: leave it out")
    _check_roles(params, name, block, task, cards)
    if task.sampling:
        sampling = build_config(stage_module(block, "sample").SampleConfig, block["sample"], f"{where}.sample")
        check_data(sampling, facts, f"{where}.sample")
        for part, options, family in getattr(sampling, "option_sets", tuple)():
            sample_options(cls, config, options, f"{where}.sample.{part}", family)
    elif block["sample"]:
        raise BenchError(f"{where}.sample: nothing is sampled in {block['family']}: leave it out")
    _check_scoring(block, where)


def _trains(cls: Any) -> bool:
    """Whether a system imports the training loop, directly or not: what stands under ``train:`` is for that alone."""
    root = Path(bench.__file__).parents[1]
    files, _ = closure(root, [Path(str(inspect.getfile(cls)))])
    return root / "bench" / "training.py" in files


def _check_scoring(block: Mapping[str, Any], where: str) -> None:
    """The keys under ``evaluate:``."""
    build_config(stage_module(block, "evaluate").EvalConfig, block["evaluate"], f"{where}.evaluate")


def _check_roles(params: Params, name: str, block: Mapping[str, Any], task: Task, cards: Mapping[str, Card]) -> None:
    """Every role that the system and its scoring need is named, no other one, and each by something that fits."""
    where = f"{params.path}: {block['family']}.{name}"
    needs, given = {**task.roles, **needs_of(block["system"])}, params.roles(name)
    for role in given:
        if role not in needs:
            raise BenchError(f"{where}: unknown key {role!r}.{did_you_mean(role, [*needs, *BLOCK])}")
    for role, need in needs.items():
        if isinstance(need, DataNeed):
            what = f"a data set of kind {need.kind}"
            fitting = [other for other, card in cards.items() if card.kind == need.kind]
        else:
            what = f"a generator of contract {need.contract}" + f", trained on {block['dataset']}" * need.same_data
            fitting = [other for other in params.generators() if _fits(params, other, need, block["dataset"])]
        if role not in given:
            raise BenchError(f"{where}.{role}: missing: the name of {what}{_offer(fitting)}")
        if given[role] not in fitting:
            raise BenchError(
                f"{where}.{role}: must be {what}, not {_described(params, given[role], cards)}{_offer(fitting)}"
            )


def _fits(params: Params, other: str, need: ModelNeed, dataset: str) -> bool:
    block = params.generator(other)
    contract = contract_of(resolve(block["system"]), block["family"])
    return need.contract in extends(contract) and (not need.same_data or block["dataset"] == dataset)


def _offer(names: list[str]) -> str:
    return f"; there is {', '.join(names)}" if names else "; there is none"


def _described(params: Params, name: str, cards: Mapping[str, Card]) -> str:
    if name in cards:
        return f"{name}, a data set of kind {cards[name].kind}"
    block = params.generator(name)
    contract = contract_of(resolve(block["system"]), block["family"])
    return f"{name}, which is of contract {contract} and trained on {block['dataset']}"
