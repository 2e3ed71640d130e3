"""Everything that the report is made of, read from the files that the other stages left.

Only generators that ``params.yaml`` declares are looked at: taking a block out takes its rows out, whatever files
remain.
"""

from __future__ import annotations

import csv
import math
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.base.files import hash_json, read_json
from bench.base.yaml_reader import read_yaml
from bench.results.records import Record

__all__ = ["Entry", "Sources", "cost_records", "gather", "git_commit", "read_history"]


@dataclass(frozen=True)
class Entry:
    """One generator: its block, what was measured on it, what it cost, where it came from.

    Attributes:
        name: its block in params.yaml.
        block: the block itself, with the profile merged in (``family`` included).
        records: quality and cost records.
        extras: the evaluation's extras (see :mod:`bench.results.pictures`).
        train: facts of the training run (``runs/<name>/train.json``).
        sample: facts of sampling by variant (``runs/<name>/sample.json``).
        history: learning curve, column name -> values.
        stages: train, sample, evaluate -> name of the DVC stage.
        data_hash: digest of the prepared data that it was trained on.
        run_key: hash of everything that went in.
    """

    name: str
    block: Mapping[str, Any]
    records: tuple[Record, ...] = ()
    extras: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    sample: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    history: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    stages: Mapping[str, str] = field(default_factory=dict)
    data_hash: str = ""
    run_key: str = ""

    @property
    def family(self) -> str:
        """Section of params.yaml."""
        return str(self.block["family"])

    @property
    def role(self) -> str:
        """generator, floor, ceiling or memoriser."""
        return str(self.block.get("role", "generator"))

    @property
    def system(self) -> str:
        """Name of the file that implements it."""
        return str(self.block["system"])

    @property
    def dataset(self) -> str:
        """Name of the data set."""
        return str(self.block["dataset"])


@dataclass(frozen=True)
class Sources:
    """All generators in the order of params.yaml, and what they share."""

    entries: Mapping[str, Entry]
    datasets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    commit: str = ""
    profile: str = "cpu"
    seed: int = 0

    @property
    def records(self) -> list[Record]:
        """Every record of every generator."""
        return [record for entry in self.entries.values() for record in entry.records]


def read_history(path: Path) -> dict[str, tuple[float, ...]]:
    """Columns of a tab-separated learning curve; empty places become NaN. A missing file is an empty curve."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    if not rows:
        return {}
    return {str(name): tuple(float(row[name]) if row.get(name) else math.nan for row in rows) for name in rows[0]}


def git_commit(root: Path) -> str:
    """Short id of the checked-out commit, with ``+`` where sources were changed since; ``""`` outside git."""

    def run(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        commit = run("rev-parse", "--short=12", "HEAD")
        products = [f":(exclude){path}" for path in ("reports", "dvc.lock", "README.md")]
        changed = run("status", "--porcelain", "--untracked-files=no", "--", ".", *products)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return commit + ("+" if changed else "")


def cost_records(
    name: str,
    block: Mapping[str, Any],
    train: Mapping[str, Any],
    sample: Mapping[str, Any],
    variants: list[str],
    seed: int,
) -> list[Record]:
    """Cost rows in the form of every other row: what training took (once for all variants) and what one sample takes.

    Seconds and bytes belong to a machine, so their protocol names device and threads; FLOPs and parameters do not.
    Training costs are repeated for each variant, so that quality never stands without its cost. ``sample`` is by
    variant.
    """
    facts = train.get("machine") or {}
    device = str(facts.get("device", "cpu")).partition(":")[0]
    machine = f"device={device}/threads={facts.get('threads', 1)}/v1"
    kinds = (
        ("train_seconds", "seconds", "s", f"cost/wall-time/{machine}"),
        ("train_flops", "train_flops", "FLOP", "cost/counted-flops/v1"),
        ("parameters", "parameters", "", "cost/parameters/v1"),
        ("peak_memory_bytes", "peak_memory_bytes", "bytes", f"cost/peak-memory/{machine}"),
    )
    common: dict[str, Any] = {
        "generator": name,
        "system": str(block["system"]),
        "family": str(block["family"]),
        "dataset": str(block["dataset"]),
        "role": str(block.get("role", "generator")),
        "seed": seed,
        "split": "",
        "n": 1,
        "higher_is_better": False,
    }
    rows = []
    for variant in variants or [""]:
        for metric, key, unit, protocol in kinds:
            if isinstance(train.get(key), int | float):
                rows.append(
                    Record(
                        metric=metric, protocol=protocol, value=float(train[key]), unit=unit, variant=variant, **common
                    )
                )
        seconds = (sample.get(variant) or {}).get("seconds_per_item")
        if isinstance(seconds, int | float):
            protocol = f"cost/sampling-time/{machine}"
            rows.append(
                Record(
                    metric="sample_seconds_per_item",
                    protocol=protocol,
                    value=float(seconds),
                    unit="s",
                    variant=variant,
                    **common,
                )
            )
    return rows


def _cost_row(name: str, block: Mapping[str, Any], seed: int, row: Mapping[str, Any]) -> Record:
    """A cost that the sample stage measured itself (the time of one denoising step), with the generator's identity
    filled in."""
    identity = {"generator": name, "seed": seed, "split": "", "role": str(block.get("role", "generator"))}
    return Record.from_json({**{key: str(block[key]) for key in ("system", "family", "dataset")}, **identity, **row})


def _stage_of(lock: Mapping[str, Any], path: str) -> tuple[str, Mapping[str, Any]]:
    """Name and entry of the stage that writes ``path``."""
    for name, stage in (lock.get("stages") or {}).items():
        if any(str(out.get("path", "")).rstrip("/") == path for out in stage.get("outs") or ()):
            return str(name), stage
    return "", {}


def _dependency_hash(stage: Mapping[str, Any], path: str) -> str:
    for dep in stage.get("deps") or ():
        if str(dep.get("path", "")).rstrip("/") == path:
            return str(dep.get("md5", ""))
    return ""


def _optional_json(path: Path) -> dict[str, Any]:
    return dict(read_json(path)) if path.is_file() else {}


def _entry(
    root: Path, name: str, block: Mapping[str, Any], lock: Mapping[str, Any], seed: int, meta: Mapping[str, Any]
) -> Entry:
    evaluation = _optional_json(root / "evaluations" / f"{name}.json")
    train = _optional_json(root / "runs" / name / "train.json")
    sample = _optional_json(root / "runs" / name / "sample.json").get("variants") or {}
    found = {
        "train": _stage_of(lock, f"models/{name}"),
        "sample": next(
            (hit for hit in (_stage_of(lock, f"samples/{name}{end}") for end in (".npz", ".jsonl", "")) if hit[0]),
            ("", {}),
        ),
        "evaluate": _stage_of(lock, f"evaluations/{name}.json"),
    }
    inputs = {kind: {"deps": stage.get("deps"), "params": stage.get("params")} for kind, (_, stage) in found.items()}
    data = f"data/prepared/{block['dataset']}"
    data_hash = _dependency_hash(found["train"][1], data) or str(meta.get("digest", ""))
    key = hash_json(
        {"block": {k: v for k, v in block.items() if k != "name"}, "seed": seed, "data": data_hash, "inputs": inputs}
    )[:16]
    quality = [Record.from_json(row) for row in evaluation.get("records", ())]
    role = str(block.get("role", "generator"))
    variants = list(
        dict.fromkeys(record.variant for record in quality if record.role == role)
    )  # not those of a chance row
    measured = [_cost_row(name, block, seed, row) for facts in sample.values() for row in facts.get("cost") or ()]
    records = [*quality, *measured, *(cost_records(name, block, train, sample, variants, seed) if quality else ())]
    return Entry(
        name=name,
        block=block,
        records=tuple(Record.from_json({**record.to_json(), "run_key": key}) for record in records),
        extras=evaluation.get("extras") or {},
        train=train,
        sample=sample,
        history=read_history(root / "runs" / name / "history.tsv"),
        stages={kind: stage for kind, (stage, _) in found.items() if stage},
        data_hash=data_hash,
        run_key=key,
    )


def gather(root: Path, generators: Mapping[str, Mapping[str, Any]], profile: str = "cpu", seed: int = 0) -> Sources:
    """Read what the stages left under ``root`` for the declared ``generators`` (name -> block with ``family``).

    A generator that was not evaluated yet has no records; the report says so.

    Raises:
        BenchError: an evaluation holds a record of another generator.
    """
    lock = read_yaml(root / "dvc.lock") if (root / "dvc.lock").is_file() else {}
    names = list(dict.fromkeys(str(block["dataset"]) for block in generators.values()))
    datasets = {name: _optional_json(root / "data" / "prepared" / name / "meta.json") for name in names}
    entries = {
        name: _entry(root, name, block, lock, seed, datasets[str(block["dataset"])])
        for name, block in generators.items()
    }
    for entry in entries.values():
        for record in entry.records:
            if record.generator != entry.name:
                raise BenchError(
                    f"evaluations/{entry.name}.json holds a record of {record.generator!r}: run `dvc repro -f` on "
                    "that stage"
                )
    return Sources(entries=entries, datasets=datasets, commit=git_commit(root), profile=profile, seed=seed)
