"""What a stage script needs before it starts: its context, its seed, the key of its checkpoints."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from bench.base.files import hash_json, read_json, write_text
from bench.base.processes import resolve_device
from bench.base.seeds import derive
from bench.catalogue.families import FAMILIES
from bench.config.load import Params
from bench.context import StageContext
from bench.pipeline.plan import build_plan, data_of, has_model, loaded_systems, models_of, plan_path
from bench.registry import resolve

__all__ = ["checkpoint_key", "context", "leave_empty", "run_seed"]


def context(root: Path, params: Params, name: str, stage: str) -> StageContext:
    """What a stage hands to ``fit``, ``sample`` or ``evaluate``; every system that it will load is imported by then."""
    for system in loaded_systems(params, name, stage):
        resolve(system)
    block = params.generator(name)
    prepared = root / "data" / "prepared"
    return StageContext(
        name=name,
        family=block["family"],
        block=block,
        seed=params.seed,
        device=resolve_device(params.runtime["device"]),
        data=prepared / block["dataset"],
        model=root / "models" / name,
        models={role: root / "models" / other for role, other in models_of(params, name, stage).items()},
        other_data={role: prepared / other for role, other in data_of(params, name, stage).items()},
        samples=root / "samples" / f"{name}{FAMILIES[block['family']].samples}",
        has_model=has_model(block["system"]),
    )


def checkpoint_key(root: Path, params: Params, name: str, processes: int) -> str:
    """Hash of everything that a checkpoint depends on, so that none is resumed under other settings, code or data."""
    block = params.generator(name)
    path = plan_path(root, "train", name)
    plan = read_json(path) if path.is_file() else build_plan(root, params)[path.name]
    data = [block["dataset"], *data_of(params, name, "train").values()]
    metas = [root / "data" / "prepared" / one / "meta.json" for one in data]
    others = {
        role: [
            hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted((root / "models" / other).rglob("*"))
            if file.is_file()
        ]
        for role, other in models_of(params, name, "train").items()
    }
    return hash_json([plan, [read_json(meta) if meta.is_file() else None for meta in metas], others, processes])[:16]


def leave_empty(params: Params, name: str, *outputs: Path) -> bool:
    """True, with empty outputs in place, if ``name`` is not a part of the profile: DVC wants every stage to leave its
    outputs."""
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
