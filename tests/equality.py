"""Whether two runs measured the same: value, interval and N of every deterministic row.

    python tests/equality.py BEFORE AFTER

Each of the two is a ``leaderboard.json`` or a folder ``evaluations``. A row is known by generator, variant, metric,
slice, split and protocol. Rows of timings, and what is derived from them, differ by nature and are left out. Prints
what differs, by name, and ends with status 1 if anything does.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.catalogue.metrics import CATALOGUE
from bench.results.leaderboard import COST_METRICS

KEY = ("generator", "variant", "metric", "slice", "split", "protocol")
COMPARED = ("value", "ci95", "n")
TIMED_UNITS = {"s": "a wall time", "bytes": "memory of a process", "x": "a ratio of wall times"}
EXCEPTIONS = {
    "growth_exponent": "slope of measured times",
    "latent_speedup": "ratio of measured times",
}
"""Metric -> why two runs of the same code differ in it."""

Rows = dict[tuple[str, ...], dict[str, Any]]


def read_rows(source: Path) -> Rows:
    """The rows of a ``leaderboard.json`` or of a folder ``evaluations``, by key.

    Raises:
        SystemExit: not there, or a row that stands twice.
    """
    if not source.exists():
        raise SystemExit(f"{source} is missing: name a leaderboard.json or a folder evaluations")
    found: Rows = {}
    for row in _rows(source):
        key = tuple(str(row.get(name, "")) for name in KEY)
        if key in found:
            raise SystemExit(f"{source}: {describe(key)} stands twice")
        found[key] = row
    if not found:
        raise SystemExit(f"{source}: no rows")
    return found


def _rows(source: Path) -> Iterator[dict[str, Any]]:
    if source.is_file():
        yield from json.loads(source.read_text(encoding="utf-8"))["rows"]
        return
    for file in sorted(source.glob("*.json")):
        if not file.name.endswith(".metrics.json"):
            yield from json.loads(file.read_text(encoding="utf-8")).get("records", ())


def exception(row: Mapping[str, Any]) -> str:
    """Why a row may differ from run to run; ``""`` for a deterministic one."""
    metric = str(row["metric"])
    unit = row.get("unit") or (CATALOGUE[metric].unit if metric in CATALOGUE else "")
    return EXCEPTIONS.get(metric, "") or TIMED_UNITS.get(unit, "")


def differences(before: Rows, after: Rows) -> list[str]:
    """A line for each deterministic row that is on one side only, or differs."""
    lines = []
    for key in dict.fromkeys([*before, *after]):
        one, two = before.get(key), after.get(key)
        row = one or two
        assert row is not None
        if exception(row):
            continue
        if one is None or two is None:
            lines.append(f"{describe(key)}: only {'before' if two is None else 'after'}")
            continue
        changed = [f"{name} {one.get(name)} -> {two.get(name)}" for name in COMPARED if one.get(name) != two.get(name)]
        if changed:
            lines.append(f"{describe(key)}: {'; '.join(changed)}")
    return lines


def describe(key: tuple[str, ...]) -> str:
    """A row's key for people."""
    generator, variant, metric, part, split, protocol = key
    return " ".join(word for word in (generator, variant, metric, part, split, f"[{protocol}]") if word)


def main() -> None:
    """Compare, print, exit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    arguments = parser.parse_args()
    before, after = read_rows(arguments.before), read_rows(arguments.after)
    if arguments.before.is_dir() != arguments.after.is_dir():  # the report stage adds costs to the rows of evaluations
        before, after = (
            {key: row for key, row in rows.items() if row["metric"] not in COST_METRICS} for rows in (before, after)
        )
    left_out: dict[str, int] = {}
    for row in before.values():
        reason = exception(row)
        if reason:
            left_out[reason] = left_out.get(reason, 0) + 1
    found = differences(before, after)
    for line in found:
        print(line)
    print(f"{len(before)} rows before, {len(after)} after, {len(found)} differences")
    for reason, count in sorted(left_out.items()):
        print(f"left out: {count} rows, {reason}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
