"""The plan: for every stage of every generator, its resolved settings and a fingerprint of the code behind it.

``stages/plan.py`` writes one small file for each stage (``build/plan/train-ddpm-mnist.json``), and the stage depends on
that file. So a stage runs again exactly when its settings (after the profile is merged) or its code changed: the code
is the *import closure* of the stage's script, of the generator's system and of the systems that it uses, with the
pinned versions of the packages that it imports. A changed U-Net retrains what imports the U-Net; nobody keeps a list of
dependencies by hand, so none can be forgotten. See docs/decisions/0001.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.base.files import write_json
from bench.base.texts import read_text
from bench.base.yaml_reader import UTF8_ONLY, parse_yaml
from bench.catalogue.families import FAMILIES
from bench.catalogue.metrics import CATALOGUE
from bench.config.load import Params
from bench.contracts import Need, extends
from bench.pipeline.fingerprint import computes_with_torch, file_of, fingerprint, forget
from bench.registry import contract_of, resolve, target_of, task_of
from bench.results.headlines import headline_views
from bench.scoring import Scorer, resolve_scorer, scorers

__all__ = [
    "STAGES",
    "build_plan",
    "data_of",
    "files_of",
    "has_model",
    "loaded_systems",
    "measures",
    "models_of",
    "needs_of",
    "plan_path",
    "scorers_of",
    "stage_modules",
    "write_plan",
]

STAGES = ("train", "sample", "evaluate")
_OWN_READERS = ("scenes",)  # bench/data/scenes.py renders: what it renders is read as pictures
_SETTINGS = {"train": ("model", "train"), "sample": ("sample",), "evaluate": ("role", "sample", "evaluate")}


def plan_path(root: Path, stage: str, name: str = "") -> Path:
    """Where the plan of a stage lies."""
    return root / "build" / "plan" / (f"{stage}-{name}.json" if name else f"{stage}.json")


def needs_of(system: str) -> Mapping[str, Need]:
    """Role -> what a system uses in training and sampling."""
    needs: Mapping[str, Need] = getattr(resolve(system), "NEEDS", {})
    return needs


def models_of(params: Params, name: str, stage: str) -> dict[str, str]:
    """Role -> the trained generators that a stage reads: evaluation reads all, the others what the system needs."""
    needs = needs_of(params.generator(name)["system"])
    return {role: other for role, other in params.uses(name).items() if stage == "evaluate" or role in needs}


def data_of(params: Params, name: str, stage: str) -> dict[str, str]:
    """Role -> the further data sets that a stage reads."""
    needs = needs_of(params.generator(name)["system"])
    return {role: data for role, data in params.further_data(name).items() if stage == "evaluate" or role in needs}


def loaded_systems(params: Params, name: str, stage: str) -> list[str]:
    """The systems whose code a stage of a generator runs: its own, those it uses, and what those need to be loaded."""
    found = [params.generator(name)["system"]]
    todo = list(models_of(params, name, stage).values())
    while todo:
        other = todo.pop()
        system = params.generator(other)["system"]
        if system not in found:
            found.append(system)
            todo += models_of(params, other, "sample").values()
    return found


def has_model(system: str) -> bool:
    """False for a system that is nothing but samples."""
    return bool(getattr(resolve(system), "MODEL", True))


def files_of(block: Mapping[str, Any]) -> list[str]:
    """Files of the user's that a generator's train stage reads: the settings that its system's ``FILES`` names."""
    return [block["model"][key] for key in getattr(resolve(block["system"]), "FILES", ()) if block["model"].get(key)]


def scorers_of(block: Mapping[str, Any]) -> tuple[str, ...]:
    """The scorers of a generator's block: those that it names, else those of its task.

    Raises:
        BenchError: the block names a scorer that asks a model, and its system is nothing but samples.
    """
    named = block.get("scorers")
    names = tuple(named or task_of(block["system"], block["family"]).scorers)
    if has_model(block["system"]):
        return names
    asking = [name for name in names if resolve_scorer(name).model]
    if named and asking:
        raise BenchError(f"{asking[0]} asks the model itself, and {block['system']} has none")
    return tuple(name for name in names if name not in asking)


def measures(found: Scorer, system: str, family: str) -> bool:
    """Whether a scorer is for the contract of a system, or for every contract."""
    contracts = extends(contract_of(resolve(system), family), FAMILIES[family].contracts)
    return not found.contracts or not set(found.contracts).isdisjoint(contracts)


def stage_modules(block: Mapping[str, Any], stage: str) -> list[str]:
    """The modules that a stage of a generator runs, besides its systems: how it is sampled, or its scorers."""
    if stage == "train":
        return []
    task = task_of(block["system"], block["family"])
    if stage == "sample":
        return [task.sampling]
    return [scorers()[name].partition(":")[0] for name in scorers_of(block)]


def _file(root: Path, module: str) -> Path:
    """The file of a module, here or in a plug-in."""
    found = file_of(root, module)
    if found is None:
        raise BenchError(f"no module {module}")
    return found


def _entries(root: Path, params: Params, name: str, stage: str) -> list[Path]:
    """The files that a stage of a generator starts from."""
    block = params.generator(name)
    modules = [target_of(system).partition(":")[0] for system in loaded_systems(params, name, stage)]
    modules += stage_modules(block, stage)
    data = [block["dataset"], *data_of(params, name, stage).values()]
    return [
        root / "stages" / f"{stage}.py",
        *(_file(root, module) for module in modules),
        *_readers(root, params, data),
    ]


def _stage_plan(root: Path, params: Params, name: str, stage: str) -> dict[str, Any]:
    block = params.generator(name)
    entries = _entries(root, params, name, stage)
    settings = {
        "seed": params.seed,
        "family": block["family"],
        "system": target_of(block["system"]),
        "dataset": block["dataset"],
        "uses": models_of(params, name, stage),
    }
    if further := data_of(params, name, stage):
        settings["data"] = further
    if computes_with_torch(root, entries):
        settings["runtime"] = params.runtime
    if stage == "evaluate":
        settings["scorers"] = scorers_of(block)
        settings["headlines"] = headline_views(root, block["family"])
    settings |= {key: block[key] for key in _SETTINGS[stage]}
    if stage == "train" and "arms" in block:
        settings["arms"] = [[arm, changes] for arm, changes in block["arms"].items()]  # their order counts
    return {"settings": settings, "code": fingerprint(root, entries)}


def build_plan(root: Path, params: Params) -> dict[str, dict[str, Any]]:
    """File name (without folder) -> content, for all stages."""
    plan: dict[str, dict[str, Any]] = {}
    for stage in ("fetch", "prepare", "report", "track"):
        script = root / "stages" / f"{stage}.py"
        plan[f"{stage}.json"] = {"code": fingerprint(root, [script]) if script.is_file() else {}}
    data = params.raw.get("datasets", {}) | params.raw.get("derived_datasets", {})
    for name in params.inactive():
        stages = ("data",) if name in data else STAGES
        plan |= {f"{stage}-{name}.json": {"inactive": params.profile} for stage in stages}
    for name, dataset in params.datasets().items():
        plan[f"data-{name}.json"] = {"settings": dataset, "seed": params.seed}
        if readers := _readers(root, params, [name]):
            plan[f"data-{name}.json"]["code"] = fingerprint(root, readers)
    generators = params.generators()
    plan["report.json"]["settings"] = {
        "generators": generators,
        "seed": params.seed,
        "profile": params.profile,
        "families": {family.name: family.title for family in FAMILIES.values()},
        "metrics": [dataclasses.asdict(metric) for metric in CATALOGUE.values()],
    }
    plan["track.json"]["settings"] = {"generators": sorted(generators)}
    for name, block in generators.items():
        for stage in STAGES:
            if stage != "sample" or FAMILIES[block["family"]].samples:
                plan[f"{stage}-{name}.json"] = _stage_plan(root, params, name, stage)
    return plan


@cache
def _card(source: str) -> Any:
    return parse_yaml(source)


def _readers(root: Path, params: Params, datasets: Iterable[str]) -> list[Path]:
    """The modules of the data sets' kinds and formats (``bench/data/<kind>.py``), which are imported by name."""
    names = set()
    for name in datasets:
        card = root / str(params.dataset(name).get("card", ""))
        described = _card(read_text(card, advice=UTF8_ONLY)) if card.is_file() else None
        names |= (
            {str(described.get(key, "")) for key in ("kind", "format")} if isinstance(described, Mapping) else set()
        )
    files = {name: root / "bench" / "data" / f"{name}.py" for name in sorted(names) if name not in _OWN_READERS}
    return [path for path in files.values() if path.is_file()]


def write_plan(root: Path, params: Params) -> int:
    """Write ``build/plan``; returns the number of files."""
    forget()
    folder = root / "build" / "plan"
    plan = build_plan(root, params)
    for old in folder.glob("*.json"):
        if old.name not in plan:
            old.unlink()
    for name, content in plan.items():
        write_json(folder / name, content)
    return len(plan)
