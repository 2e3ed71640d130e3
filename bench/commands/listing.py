"""``bench ls`` and ``bench validate``."""

from __future__ import annotations

import re
from pathlib import Path

from bench.base.errors import BenchError, did_you_mean
from bench.catalogue.families import FAMILIES
from bench.commands.printing import print_json, print_table
from bench.config.load import load_params
from bench.registry import family_of, systems

__all__ = ["dataset_rows", "generator_rows", "run", "system_rows", "validate"]


def generator_rows(root: Path) -> list[dict[str, str]]:
    """One row for each block of params.yaml."""
    params = load_params(root / "params.yaml")
    return [
        {
            "name": name,
            "family": block["family"],
            "system": block["system"],
            "dataset": block["dataset"],
            "role": block["role"],
            "trained": "yes" if (root / "models" / name / "model.json").is_file() else "-",
            "evaluated": "yes" if (root / "evaluations" / f"{name}.json").is_file() else "-",
        }
        for name, block in params.generators().items()
    ]


def system_rows() -> list[dict[str, str]]:
    """One row for each registered system."""
    rows = []
    for name, target in systems().items():
        family = family_of(name)
        usual = FAMILIES[family].tasks[0].contract if family else ""
        rows.append(
            {"name": name, "family": family or "plug-in", "contract": _contract(target, usual), "class": target}
        )
    return rows


def _contract(target: str, usual: str) -> str:
    """The contract that a system's class names, read from the source: importing every system would take seconds."""
    module = target.partition(":")[0]
    if not module.startswith("bench."):
        return usual
    source = Path(__file__).parents[2].joinpath(*module.split(".")).with_suffix(".py")
    found = (
        re.search(r'^    CONTRACT\b[^=\n]*= "(\w+)"', source.read_text(encoding="utf-8"), re.MULTILINE)
        if source.is_file()
        else None
    )
    return found.group(1) if found else usual


def dataset_rows(root: Path) -> list[dict[str, str]]:
    """One row for each data set of params.yaml."""
    params = load_params(root / "params.yaml")
    users: dict[str, int] = {}
    for block in params.generators().values():
        users[block["dataset"]] = users.get(block["dataset"], 0) + 1
    return [
        {
            "name": name,
            "card": str(block.get("card", "")),
            "made from": str(block.get("source", "")),
            "prepared": "yes" if (root / "data" / "prepared" / name / "meta.json").is_file() else "-",
            "generators": str(users.get(name, 0)),
        }
        for name, block in params.datasets().items()
    ]


def run(root: Path, what: str, family: str | None, as_json: bool) -> None:
    """Print generators, systems or datasets.

    Raises:
        BenchError: a family that there is not, or for data sets, which belong to none.
    """
    if family is not None and what == "datasets":
        raise BenchError("--family does nothing with --datasets: a data set belongs to no family")
    rows = system_rows() if what == "systems" else dataset_rows(root) if what == "datasets" else generator_rows(root)
    if family is not None:
        if family not in FAMILIES:
            raise BenchError(f"no family {family!r}.{did_you_mean(family, FAMILIES)}")
        rows = [row for row in rows if row.get("family") == family]
    if as_json:
        print_json(rows)
    else:
        print_table(list(rows[0]) if rows else ["name"], rows, drop=("class", "made from", "dataset", "system"))


def validate(path: Path) -> None:
    """Everything that can be checked before a stage runs, in every profile.

    Raises:
        BenchError: file, key, what is allowed.
    """
    from bench.config.load import PROFILES
    from bench.pipeline.validation import validate_profiles

    params = validate_profiles(path)
    count = len(params.generators())
    print(
        f"{path}: {count} generators and {len(params.datasets())} data sets are sound in the profiles "
        f"{', '.join(PROFILES)}"
    )
