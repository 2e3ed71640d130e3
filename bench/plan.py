"""The plan: for every stage of every generator, its resolved settings and a fingerprint of the code behind it.

``stages/plan.py`` writes one small file for each stage (``build/plan/train-ddpm-mnist.json``), and the stage depends on
that file. So a stage runs again exactly when its settings (after the profile is merged) or its code changed: the code is
the *import closure* of the stage's script, of the generator's system and of the systems that it uses, hashed without
comments and docstrings, with the pinned versions of the packages that it imports. A changed U-Net retrains what imports
the U-Net; nobody keeps a list of dependencies by hand, so none can be forgotten. See docs/decisions/0001.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.config import SLOTS, Params
from bench.errors import BenchError
from bench.evaluation.base import StageContext
from bench.files import hash_json, parse_yaml, read_json, write_json, write_text
from bench.processes import resolve_device
from bench.registry import resolve, target_of
from bench.seeds import derive

__all__ = [
    "STAGES",
    "TRAIN_SLOTS",
    "UNSAMPLED",
    "build_plan",
    "closure",
    "context",
    "fingerprint",
    "leave_empty",
    "plan_path",
    "stage_module",
    "write_plan",
]

TRAIN_SLOTS: dict[str, tuple[str, ...]] = {"text_to_image": ("codec", "text_encoder")}
"""Family -> the roles that training and sampling need; evaluation needs every role of ``SLOTS``."""
STAGES = ("train", "sample", "evaluate")
UNSAMPLED = ("encoders", "text_encoders")
"""Families without a sample stage."""
_OWN_READERS = ("scenes",)  # bench/data/scenes.py renders: what it renders is read as pictures
_TABLE = "bench/systems.py"  # adding a system makes nothing stale: a plan holds its own target
_SETTINGS = {"train": ("model", "train"), "sample": ("sample",), "evaluate": ("role", "sample", "evaluate")}


def plan_path(root: Path, stage: str, name: str = "") -> Path:
    """Where the plan of a stage lies."""
    return root / "build" / "plan" / (f"{stage}-{name}.json" if name else f"{stage}.json")


@cache
def _examined(source: str) -> tuple[str, tuple[str, ...]]:
    """Digest and imports of a module, by its text.

    The digest is the sha256 of the syntax tree without docstrings, so that comments and prose retrain nothing. Imports are dotted names at
    the top or inside a function; ``from a import b`` gives a and a.b; what stands under ``if TYPE_CHECKING`` is never imported.
    """
    tree = ast.parse(source)
    names: set[str] = set()
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        guarded = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        todo += node.orelse if guarded and isinstance(node, ast.If) else ast.iter_child_nodes(node)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and isinstance(body[0].value.value, str):
                node.body = body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), tuple(sorted(names))


@cache
def _module(path: Path) -> tuple[str, tuple[str, ...]]:
    return _examined(path.read_text(encoding="utf-8"))


@cache
def _file_of(root: Path, module: str) -> Path | None:
    base = root.joinpath(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def _edges(root: Path, path: Path) -> tuple[tuple[Path, ...], frozenset[str]]:
    """The project's files that one module imports, and the top-level names of other packages."""
    outside, files = set(), []
    for name in _module(path)[1]:
        first, *rest = name.split(".")
        if first != "bench":
            outside.add(first)
            continue
        steps = [".".join([first, *rest[:i]]) for i in range(len(rest) + 1)]
        files += [file for step in steps if (file := _file_of(root, step)) is not None]
    return tuple(dict.fromkeys(files)), frozenset(outside)


def closure(root: Path, entries: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """The project's files that ``entries`` import, directly or not, and the top-level names of other packages."""
    todo, seen, outside = [Path(entry) for entry in entries], set[Path](), set[str]()
    for entry in list(todo):  # importing a module runs the __init__ of its packages first
        todo += [parent / "__init__.py" for parent in entry.parents if root in parent.parents and (parent / "__init__.py").is_file()]
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        files, names = _edges(root, path)
        todo += files
        outside |= names
    return sorted(path for path in seen if path != root / _TABLE), sorted(outside - set(sys.stdlib_module_names))


@cache
def _pins(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    pins = (line.split("==", 1) for line in lines if "==" in line and not line.startswith("#"))
    return {re.sub(r"[-_.]+", "-", name.strip().lower()): version.strip() for name, version in pins}


@cache
def _distributions() -> dict[str, list[str]]:
    return {name: list(found) for name, found in packages_distributions().items()}


def fingerprint(root: Path, entries: Iterable[Path]) -> dict[str, Any]:
    """Digest of every file of the closure, and the pinned version of every other package in it."""
    files, outside = closure(root, entries)
    pins = _pins(root / "constraints.txt")
    versions = {}
    for name in outside:
        for distribution in _distributions().get(name, [name]):
            key = re.sub(r"[-_.]+", "-", distribution.lower())
            if key in pins:
                versions[key] = pins[key]
    return {
        "files": {str(path.relative_to(root)) if path.is_relative_to(root) else path.name: _module(path)[0] for path in files},
        "packages": versions,
    }


def _system_file(root: Path, system: str) -> Path:
    module = target_of(system).partition(":")[0]
    found = _file_of(root, module)
    if found is None:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise BenchError(f"system {system!r}: no module {module}")
        found = Path(spec.origin)
    return found


def _used(params: Params, name: str, slots: Iterable[str]) -> dict[str, str]:
    block = params.generator(name)
    return {slot: block[slot] for slot in slots}


def _systems(params: Params, name: str, stage: str) -> list[str]:
    """The systems whose code a stage of a generator runs: its own, those it uses, and what those need to be loaded."""
    family = params.generator(name)["family"]
    slots = SLOTS[family] if stage == "evaluate" else TRAIN_SLOTS.get(family, ())
    found, todo = [params.generator(name)["system"]], list(_used(params, name, slots).values())
    while todo:
        other = todo.pop()
        block = params.generator(other)
        if block["system"] not in found:
            found.append(block["system"])
            todo += _used(params, other, TRAIN_SLOTS.get(block["family"], ())).values()
    return found


def build_plan(root: Path, params: Params) -> dict[str, dict[str, Any]]:
    """File name (without folder) -> content, for all stages."""
    plan: dict[str, dict[str, Any]] = {}
    for stage in ("fetch", "prepare", "report", "track"):
        script = root / "stages" / f"{stage}.py"
        plan[f"{stage}.json"] = {"code": fingerprint(root, [script]) if script.is_file() else {}}
    for name in params.inactive():
        stages = ("data",) if name in params.raw.get("datasets", {}) | params.raw.get("derived_datasets", {}) else STAGES
        plan |= {f"{stage}-{name}.json": {"inactive": params.profile} for stage in stages}
    for name, dataset in params.datasets().items():
        plan[f"data-{name}.json"] = {"settings": dataset, "seed": params.seed}
        if readers := _readers(root, params, [name]):
            plan[f"data-{name}.json"]["code"] = fingerprint(root, readers)
    plan["report.json"]["settings"] = {"generators": params.generators(), "seed": params.seed, "profile": params.profile}
    plan["track.json"]["settings"] = {"generators": sorted(params.generators()), "tracking": params.raw.get("tracking")}
    for name, block in params.generators().items():
        for stage in STAGES:
            if stage == "sample" and block["family"] in UNSAMPLED:
                continue
            entries = [root / "stages" / f"{stage}.py", *(_system_file(root, s) for s in _systems(params, name, stage))]
            if stage != "train":
                package = "drawing" if stage == "sample" else "evaluation"
                entries.append(root / "bench" / package / f"{_stage_name(package, block['family'], block['system'])}.py")
            entries += _readers(root, params, [block["dataset"], *params.further_data(name).values()])
            settings = {"seed": params.seed, "runtime": params.runtime, "family": block["family"], "system": target_of(block["system"])}
            settings |= {"dataset": block["dataset"], "uses": params.uses(name) if stage == "evaluate" else _train_uses(params, name)}
            if further := params.further_data(name):
                settings["data"] = further
            settings |= {key: block[key] for key in _SETTINGS[stage]}
            plan[f"{stage}-{name}.json"] = {"settings": settings, "code": fingerprint(root, entries)}
    return plan


def _stage_name(package: str, family: str, system: str) -> str:
    """``<system>`` where ``bench/<package>/<system>.py`` exists, else ``<family>``."""
    return system if importlib.util.find_spec(f"bench.{package}.{system}") is not None else family


def stage_module(package: str, family: str, system: str) -> ModuleType:
    """The module with ``draw`` (package ``drawing``) or ``evaluate`` (package ``evaluation``) of a system."""
    return importlib.import_module(f"bench.{package}.{_stage_name(package, family, system)}")


@cache
def _card(source: str) -> Any:
    return parse_yaml(source)


def _readers(root: Path, params: Params, datasets: Iterable[str]) -> list[Path]:
    """The modules of the data sets' kinds and formats (``bench/data/<kind>.py``), which are imported by name."""
    names = set()
    for name in datasets:
        card = root / str(params.dataset(name).get("card", ""))
        described = _card(card.read_text(encoding="utf-8")) if card.is_file() else None
        names |= {str(described.get(key, "")) for key in ("kind", "format")} if isinstance(described, Mapping) else set()
    return [path for name in sorted(names) if (path := root / "bench" / "data" / f"{name}.py").is_file() and name not in _OWN_READERS]


def _train_uses(params: Params, name: str) -> dict[str, str]:
    return _used(params, name, TRAIN_SLOTS.get(params.generator(name)["family"], ()))


def write_plan(root: Path, params: Params) -> int:
    """Write ``build/plan``; returns the number of files."""
    for cached in (_module, _edges, _file_of, _pins):
        cached.cache_clear()
    folder = root / "build" / "plan"
    plan = build_plan(root, params)
    for old in folder.glob("*.json"):
        if old.name not in plan:
            old.unlink()
    for name, content in plan.items():
        write_json(folder / name, content)
    return len(plan)


def context(root: Path, params: Params, name: str, stage: str) -> StageContext:
    """What the stage script hands to a family's ``draw`` or ``evaluate``; all systems that it will load are imported by then."""
    for system in _systems(params, name, stage):
        resolve(system)
    block = params.generator(name)
    family = block["family"]
    slots = SLOTS[family] if stage == "evaluate" else TRAIN_SLOTS.get(family, ())
    suffix = ".jsonl" if family == "words" else ".npz"
    return StageContext(
        name=name,
        family=family,
        block=block,
        seed=params.seed,
        device=resolve_device(params.runtime["device"]),
        data=root / "data" / "prepared" / block["dataset"],
        model=root / "models" / name,
        models={slot: root / "models" / other for slot, other in _used(params, name, slots).items()},
        other_data={role: root / "data" / "prepared" / other for role, other in params.further_data(name).items()},
        samples=root / "samples" / f"{name}{suffix}",
    )


def checkpoint_key(root: Path, params: Params, name: str, processes: int) -> str:
    """Hash of everything a checkpoint depends on, so that none is resumed under other settings, code, data or models."""
    block = params.generator(name)
    path = plan_path(root, "train", name)
    plan = read_json(path) if path.is_file() else build_plan(root, params)[path.name]
    folders = [root / "data" / "prepared" / data for data in (block["dataset"], *params.further_data(name).values())]
    metas = [read_json(path) if (path := folder / "meta.json").is_file() else None for folder in folders]
    others = {
        slot: [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted((root / "models" / other).glob("*")) if file.is_file()]
        for slot, other in _train_uses(params, name).items()
    }
    return hash_json([plan, metas, others, processes])[:16]


def leave_empty(params: Params, name: str, *outputs: Path) -> bool:
    """True, with empty outputs in place, if ``name`` is not a part of the profile: DVC wants every stage to leave its outputs."""
    if params.active(name):
        return False
    for path in outputs:
        if path.suffix:
            write_text(path, "{}" if path.suffix == ".json" else "")
        else:
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
    return True


def run_seed(params: Params, name: str, stage: str) -> int:
    """The seed of a stage of a generator."""
    return derive(params.seed, name, stage)
