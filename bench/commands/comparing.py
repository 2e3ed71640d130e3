"""``bench compare``: the rows of two generators side by side, from ``reports/leaderboard.json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError, did_you_mean
from bench.base.files import read_json
from bench.commands.printing import print_json, print_table
from bench.report.display import MetricStyle, format_interval, format_value, metric_style
from bench.report.schema import Schema, read_schema
from bench.results.leaderboard import COST_METRICS, Row, column_key, estimate, rows_from_json
from bench.results.sources import read_items
from bench.stats.comparisons import Difference, Items, difference

__all__ = ["Pair", "compare_rows", "run"]


@dataclass(frozen=True)
class Pair:
    """One column of the leaderboard for two generators; each side is that generator's row, that of its shown setting if
    it has variants."""

    first: Row
    second: Row
    difference: Difference | None
    verdict: str


def _verdict(first: Row, second: Row, items: Items) -> tuple[Difference | None, str]:
    a, b = first.record, second.record
    if a.value is None or b.value is None:
        return None, "tie" if a.value is b.value else f"{(a if b.value is None else b).generator} is better"
    found = difference(estimate(a, items), estimate(b, items))
    if a.value == b.value:
        return found, "equal"
    if found is None:
        return None, "no interval"
    if found.ci95[0] <= 0.0 <= found.ci95[1]:
        return found, "tie"
    if a.higher_is_better is None:
        return found, "differ"
    better = a.generator if (a.value > b.value) is a.higher_is_better else b.generator
    return found, f"{better} is {'cheaper' if a.metric in COST_METRICS else 'better'}"


def compare_rows(
    rows: Sequence[Row], first: str, second: str, metric: str | None = None, items: Items | None = None
) -> list[Pair]:
    """The columns (data set, metric, protocol, split, slice) that both have, in the order of the leaderboard.

    ``items`` are the blocks behind numbers: where both rows have them, they are compared block by block.

    Raises:
        BenchError: a generator without rows, an unknown metric, or nothing in common.
    """
    known = list(dict.fromkeys(row.record.generator for row in rows))
    for name in (first, second):
        if name not in known:
            raise BenchError(f"the leaderboard has no rows of {name!r}.{did_you_mean(name, known)}")
    metrics = {row.record.metric for row in rows if row.record.generator in (first, second)}
    if metric is not None and metric not in metrics:
        raise BenchError(f"neither has the metric {metric!r}.{did_you_mean(metric, metrics)}")
    sides: dict[tuple[str, Any], Row] = {}
    columns: dict[Any, None] = {}
    for row in rows:
        record = row.record
        if record.generator not in (first, second) or (metric is not None and record.metric != metric):
            continue
        if row.shown and record.split != "validation":
            columns[column_key(record)] = None
            sides[record.generator, column_key(record)] = row
    pairs = []
    for column in columns:
        left, right = sides.get((first, column)), sides.get((second, column))
        if left is not None and right is not None:
            pairs.append(Pair(left, right, *_verdict(left, right, items or {})))
    if not pairs:
        raise BenchError(
            f"{first} and {second} have no column in common: two protocols are never compared. `bench ls` shows "
            "families and data sets"
        )
    return pairs


def _side(row: Row, style: MetricStyle) -> str:
    record = row.record
    interval = format_interval(record.ci95, style)
    text = format_value(record.value, style, record.unit)
    return text + (f" ({interval})" if interval else "") + (f" [{record.variant}]" if record.variant else "")


def _json(pair: Pair) -> dict[str, Any]:
    difference = pair.difference and {
        "value": pair.difference.value,
        "ci95": pair.difference.ci95,
        "p_value": pair.difference.p_value,
    }
    return {
        "first": pair.first.to_json(),
        "second": pair.second.to_json(),
        "difference": difference,
        "verdict": pair.verdict,
    }


def run(root: Path, first: str, second: str, metric: str | None, as_json: bool) -> None:
    """Print the comparison.

    Raises:
        BenchError: no leaderboard yet, and what :func:`compare_rows` raises.
    """
    path = root / "reports" / "leaderboard.json"
    if not path.is_file():
        raise BenchError(f"no {path}: run `dvc repro`, or `bench report` if the evaluations are there")
    items = {key: blocks for name in (first, second) for key, blocks in read_items(root, name).items()}
    pairs = compare_rows(rows_from_json(read_json(path)), first, second, metric, items)
    if as_json:
        print_json([_json(pair) for pair in pairs])
        return
    schema_path = root / "reports" / "schema.yaml"
    schema = read_schema(schema_path) if schema_path.is_file() else Schema("", "", {})
    lines = []
    for pair in pairs:
        record = pair.first.record
        style = metric_style(schema, record.metric)
        arrow = {True: " ↑", False: " ↓", None: ""}[record.higher_is_better]
        lines.append(
            {
                "metric": style.title + arrow + (f" ({record.slice})" if record.slice else ""),
                first: _side(pair.first, style),
                second: _side(pair.second, style),
                "difference": _difference(pair.difference, style),
                "verdict": pair.verdict,
                "protocol": record.protocol,
            }
        )
    print_table(["metric", first, second, "difference", "verdict", "protocol"], lines, fold="protocol")
    print(
        "Each side is the setting that the leaderboard shows; tie: the 95 % interval of the difference holds zero, "
        "block by block where both were measured on the same blocks and the evaluations are here."
    )


def _difference(difference: Difference | None, style: MetricStyle) -> str:
    if difference is None:
        return ""
    interval = format_interval(difference.ci95, style) if difference.ci95[0] != difference.ci95[1] else ""
    sign = "+" if difference.value > 0 else "−" if difference.value < 0 else ""
    return f"{sign}{format_value(abs(difference.value), style)}" + (f" ({interval})" if interval else "")
