"""Everything that the report is made of, read from the files that the other stages left.

Only generators that ``params.yaml`` declares are looked at: taking a block out takes its rows out, whatever files
remain.
"""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.base.files import hash_json, read_json
from bench.base.tables import read_table
from bench.base.yaml_reader import read_yaml
from bench.results.costs import cost_rows
from bench.results.extras import Extra, of_kind, read_extras
from bench.results.extras import Items as ItemsExtra
from bench.results.records import Record, Setting, parse_variant
from bench.stats.comparisons import Blocks, Items

__all__ = ["Entry", "Sources", "arm_settings", "gather", "git_commit", "read_history", "read_items"]


@dataclass(frozen=True)
class Entry:
    """One generator: its block, what was measured on it, what it cost, where it came from.

    Attributes:
        name: its block in params.yaml.
        block: the block itself, with the profile merged in (``family`` included).
        records: quality and cost records.
        extras: what else the evaluation hands to the report (:mod:`bench.results.extras`).
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
    extras: tuple[Extra, ...] = ()
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

    @property
    def items(self) -> Items:
        """The blocks or items behind numbers."""
        return {key: blocks for entry in self.entries.values() for key, blocks in _items(entry.name, entry.extras)}


def _items(name: str, found: Sequence[Extra]) -> Iterator[tuple[tuple[str, str, str], Blocks]]:
    for item in of_kind(found, ItemsExtra):
        yield (name, item.metric, item.variant), (item.totals, item.weights or [1.0] * len(item.totals))


def read_items(root: Path, name: str) -> Items:
    """The blocks or items behind one generator's numbers; none where its evaluation is not here."""
    evaluation = _optional_json(root / "evaluations" / f"{name}.json")
    return dict(_items(name, read_extras(root / "evaluations" / name, evaluation.get("extras") or {})))


def read_history(path: Path) -> dict[str, tuple[float, ...]]:
    """Columns of a tab-separated learning curve; empty places become NaN. A missing file is an empty curve."""
    if not path.is_file():
        return {}
    table = read_table(path)
    return {
        name: tuple(float(fields[i]) if fields[i] else math.nan for _, fields in table.rows)
        for i, name in enumerate(table.columns)
        if table.rows
    }


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


def _own_variants(block: Mapping[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    """Variants that were measured on the generator itself: a row of chance has another role."""
    role = str(block.get("role", "generator"))
    return list(dict.fromkeys(str(row.get("variant", "")) for row in rows if row.get("role", role) == role))


def arm_settings(block: Mapping[str, Any], variant: str) -> dict[str, Setting]:
    """What the arm that a variant names changes; an arm that names no share sees all of the training data."""
    changes = (block.get("arms") or {}).get(parse_variant(variant).get("arm"))
    if changes is None:
        return {}
    return {"share": changes.get("share", 1.0), **(changes.get("model") or {}), **(changes.get("train") or {})}


def _record(row: Mapping[str, Any], block: Mapping[str, Any], run_key: str) -> Record:
    settings = arm_settings(block, str(row.get("variant", "")))
    return Record.from_json({**row, "run_key": run_key, "settings": settings})


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
    quality = [dict(row) for row in evaluation.get("records", ())]
    costs = cost_rows(name, block, train, sample, _own_variants(block, quality), seed) if quality else []
    return Entry(
        name=name,
        block=block,
        records=tuple(_record(row, block, key) for row in (*quality, *costs)),
        extras=tuple(read_extras(root / "evaluations" / name, evaluation.get("extras") or {})),
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
