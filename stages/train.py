"""Stage ``train``: fit one generator, keep its weights, its learning curve and what it cost.

python stages/train.py NAME
torchrun --nproc-per-node 2 stages/train.py NAME
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.base.errors import BenchError, friendly
from bench.base.files import write_json, write_text
from bench.base.hardware import describe, peak_memory_bytes
from bench.base.processes import distributed, rank, seeded, set_threads, world_size
from bench.config.load import Params, load_params
from bench.contracts import RunContext, Trainable
from bench.data.datasets import facts_of, load
from bench.pipeline.stage import checkpoint_key, context, leave_empty, run_seed
from bench.registry import build_system, check_data, configs_of, description
from bench.series import Series


def read_data(folder: Path) -> Mapping[str, Any]:
    """What ``fit`` takes: training and validation split, or exemplars by name; the test split stays closed."""
    return {key: part for key, part in load(folder).items() if key != "test"}


def history_tsv(points: list[tuple[int, dict[str, float]]]) -> str:
    """The learning curve as tab-separated values with a header."""
    columns = ["step", *dict.fromkeys(key for _, values in points for key in values)]
    rows = [
        "\t".join([str(step), *(f"{values[key]:.9g}" if key in values else "" for key in columns[1:])])
        for step, values in points
    ]
    return "\n".join(["\t".join(columns), *rows]) + "\n"


def train(root: Path, params: Params, name: str) -> None:
    """Fit the generator and write ``models/NAME`` and ``runs/NAME``; only the first process writes."""
    ctx = context(root, params, name, "train")
    set_threads(params.runtime["threads"])
    where = f"{params.path}: {ctx.family}.{name}"
    for config in configs_of(ctx.block, where).values():
        check_data(config, facts_of(ctx.data), where)
    points: list[tuple[int, dict[str, float]]] = []
    checkpoints = root / "checkpoints" / name / checkpoint_key(root, params, name, world_size())
    run = RunContext(
        name=name,
        seed=run_seed(params, name, "train"),
        global_seed=params.seed,
        device=ctx.device,
        train=ctx.block["train"],
        checkpoints=checkpoints,
        models=ctx.models,
        data=ctx.other_data,
        curve=lambda step, values: points.append((step, dict(values))),
        quiet=False,
    )
    for stale in (root / "checkpoints" / name).glob("*"):
        if stale != checkpoints and rank() == 0:
            shutil.rmtree(stale, ignore_errors=True)
    start, cpu = time.monotonic(), time.process_time()
    with seeded(run.seed):
        system = build_system(ctx.block, where)
        if isinstance(system, Trainable):
            system.fit(read_data(ctx.data), run)
    if rank() > 0:
        return
    seconds = max(time.monotonic() - start, run.cost.pop("loop_seconds", 0.0))
    cost = {
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu,
        "peak_memory_bytes": peak_memory_bytes(ctx.device),
        **run.cost,
    }
    folder = root / "models" / name
    partial = folder.with_name(f".{name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    system.save(partial)
    described = {
        "name": name,
        "system": ctx.block["system"],
        **description(system),
        "family": ctx.family,
        "dataset": ctx.block["dataset"],
    }
    write_json(partial / "model.json", {**described, "uses": {role: path.name for role, path in ctx.models.items()}})
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    write_text(root / "runs" / name / "history.tsv", history_tsv(points or [(0, {"seconds": seconds})]))
    facts = {**cost, "machine": describe(ctx.device), "processes": world_size()}
    arms = {"arms": system.costs} if isinstance(system, Series) else {}
    write_json(root / "runs" / name / "train.json", {**facts, **arms})
    shutil.rmtree(root / "checkpoints" / name, ignore_errors=True)
    print(
        f"train {name}: {seconds:.1f} s" + (f", {cost['parameters']:,.0f} parameters" if "parameters" in cost else "")
    )


def main() -> None:
    """Parse, lock, train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="a generator's block in params.yaml")
    parser.add_argument("--root", type=Path, default=Path())
    args = parser.parse_args()
    root = args.root.resolve()
    params = load_params(root / "params.yaml")
    params.generator(args.name)
    runs = root / "runs" / args.name
    if leave_empty(params, args.name, root / "models" / args.name, runs / "train.json", runs / "history.tsv"):
        return
    (root / "checkpoints").mkdir(exist_ok=True)
    # An orphan of a killed `dvc repro` may still be training the same generator.
    lock = (
        FileLock(root / "checkpoints" / f"{args.name}.lock", timeout=0)
        if os.environ.get("RANK", "0") == "0"
        else contextlib.nullcontext()
    )
    try:
        with lock, distributed():
            train(root, params, args.name)
    except Timeout:
        raise BenchError(
            f"{args.name} is being trained by another process: wait for it or end it, then run again"
        ) from None


if __name__ == "__main__":
    with friendly():
        main()
