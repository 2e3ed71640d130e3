"""The whole-file check of ``params.yaml`` and the cards: every key under every block, before anything runs.

What a block may hold is declared where it is used: ``Config``, ``SampleOptions`` and ``NEEDS`` of the system's class,
``SampleConfig`` of its family's sampling, options and needs of its scorers, and the kinds of data of its task in
:mod:`bench.catalogue.families`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bench
from bench.base.errors import BenchError, did_you_mean
from bench.base.settings import build_config, located
from bench.catalogue.families import FAMILIES
from bench.config.load import BLOCK, PROFILES, Params, load_params
from bench.contracts import DataFacts, DataNeed, DependsOnSystem, ModelNeed, extends
from bench.data.card_reader import card_of_block
from bench.data.cards import Card
from bench.pipeline.fingerprint import closure
from bench.pipeline.plan import measures, needs_of, scorers_of, stage_modules
from bench.registry import adjust, check_data, check_models, configs_of, contract_of, resolve, sample_options, task_of
from bench.scoring import Scorer, check_options, resolve_scorer

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
    cls, task = resolve(block["system"]), task_of(block["system"], block["family"])
    facts = cards[block["dataset"]].facts
    if task.kinds and facts.kind not in task.kinds:
        raise BenchError(
            f"{where}.dataset: {facts.name} is of kind {facts.kind}; {block['system']} takes {' or '.join(task.kinds)}"
        )
    configs = configs_of(block, where)
    for arm, config in configs.items():
        check_data(config, facts, _model_of(where, arm))
    if block["train"] and not _trains(cls):
        raise BenchError(f"{where}.train: {block['system']} is not trained step by step: leave it out")
    found = _scorers(block, where)
    _check_roles(params, name, block, found, cards)
    needed = [role for role, need in needs_of(block["system"]).items() if isinstance(need, ModelNeed)]
    others = {role: params.generator(params.roles(name)[role]) for role in needed}
    for role, other in others.items():
        for theirs in configs_of(other, f"{params.path}: {other['family']}.{params.roles(name)[role]}").values():
            for arm, config in configs.items():
                check_models(config, {role: theirs}, facts, _model_of(where, arm))
    if FAMILIES[block["family"]].samples:
        _check_sampling(block, cls, configs, facts, where)
    elif block["sample"]:
        raise BenchError(f"{where}.sample: nothing is sampled in {block['family']}: leave it out")
    check_options(found, block["evaluate"], f"{where}.evaluate")


def _model_of(where: str, arm: str) -> str:
    return f"{where}.arms.{arm}.model" if arm else f"{where}.model"


def _scorers(block: Mapping[str, Any], where: str) -> list[Scorer]:
    """The scorers of a block; those that it names must measure what its system is."""
    try:
        found = [resolve_scorer(scorer) for scorer in scorers_of(block)]
    except BenchError as error:
        raise BenchError(f"{where}.scorers: {error}") from error
    for scorer in found:
        if not measures(scorer, block["system"], block["family"]):
            raise BenchError(
                f"{where}.scorers: {scorer.name} measures {', '.join(scorer.contracts)}; {block['system']} is of "
                f"contract {contract_of(resolve(block['system']), block['family'])}"
            )
    return found


def _check_sampling(
    block: Mapping[str, Any], cls: Any, configs: Mapping[str, Any], facts: DataFacts, where: str
) -> None:
    """The keys under ``sample:``, and the options of every variant against the system, or the arm, that it asks."""
    (module,) = stage_modules(block, "sample")
    sampling = build_config(importlib.import_module(module).SampleConfig, block["sample"], f"{where}.sample")
    check_data(sampling, facts, f"{where}.sample")
    try:
        if isinstance(sampling, DependsOnSystem):
            sampling.check_system(cls)
    except ValueError as error:
        raise BenchError(located(f"{where}.sample", str(error))) from error
    for config in configs.values():
        adjust(cls(config), block["sample"].get("defaults") or {}, f"{where}.sample.defaults")
    for part, options, family in getattr(sampling, "option_sets", tuple)():
        given = dict(options)
        arm = given.pop("arm", next(iter(configs))) if configs.keys() != {""} else ""
        if arm not in configs:
            raise BenchError(f"{where}.sample.{part}: no arm {arm!r}.{did_you_mean(str(arm), configs)}")
        sample_options(cls, configs[arm], given, f"{where}.sample.{part}", family)


def _trains(cls: Any) -> bool:
    """Whether a system imports the training loop, directly or not: what stands under ``train:`` is for that alone."""
    root = Path(bench.__file__).parents[1]
    files, _ = closure(root, [Path(str(inspect.getfile(cls)))])
    return root / "bench" / "training.py" in files


def _check_roles(
    params: Params, name: str, block: Mapping[str, Any], found: Sequence[Scorer], cards: Mapping[str, Card]
) -> None:
    """Every role that the system and its scoring need is named, no other one, and each by something that fits."""
    where = f"{params.path}: {block['family']}.{name}"
    scored = {role: need for scorer in found for role, need in scorer.needs.items()}
    needs, given = {**scored, **needs_of(block["system"])}, params.roles(name)
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
    return need.contract in extends(contract, FAMILIES[block["family"]].contracts) and (
        not need.same_data or block["dataset"] == dataset
    )


def _offer(names: list[str]) -> str:
    return f"; there is {', '.join(names)}" if names else "; there is none"


def _described(params: Params, name: str, cards: Mapping[str, Card]) -> str:
    if name in cards:
        return f"{name}, a data set of kind {cards[name].kind}"
    block = params.generator(name)
    contract = contract_of(resolve(block["system"]), block["family"])
    return f"{name}, which is of contract {contract} and trained on {block['dataset']}"
