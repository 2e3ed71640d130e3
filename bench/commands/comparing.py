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
from bench.results.leaderboard import COST_METRICS, Row, column_key, rows_from_json
from bench.stats.intervals import Difference, difference_from_intervals

__all__ = ["Pair", "compare_rows", "run"]


@dataclass(frozen=True)
class Pair:
    """One column of the leaderboard for two generators; each side is that generator's row, the best one if it has
    variants."""

    first: Row
    second: Row
    difference: Difference | None
    verdict: str


def _better(row: Row, other: Row) -> bool:
    a, b = row.record.value, other.record.value
    if a is None or b is None:
        return b is None and a is not None
    return a > b if row.record.higher_is_better else a < b


def _verdict(first: Row, second: Row) -> tuple[Difference | None, str]:
    a, b = first.record, second.record
    if a.value is None or b.value is None:
        return None, "tie" if a.value is b.value else f"{(a if b.value is None else b).generator} is better"
    difference = difference_from_intervals(a.value, a.ci95, b.value, b.ci95)
    if a.value == b.value:
        return difference, "equal"
    exact = a.ci95 is None and b.ci95 is None
    if exact and a.metric not in COST_METRICS:
        return difference, "no interval"
    if not exact and difference.p_value > 0.05:
        return difference, "tie"
    if a.higher_is_better is None:
        return difference, "differ"
    better = a.generator if _better(first, second) else b.generator
    return difference, f"{better} is {'cheaper' if a.metric in COST_METRICS else 'better'}"


def compare_rows(rows: Sequence[Row], first: str, second: str, metric: str | None = None) -> list[Pair]:
    """The columns (data set, metric, protocol, split, slice) that both have, in the order of the leaderboard.

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
    best: dict[tuple[str, Any], Row] = {}
    columns: dict[Any, None] = {}
    for row in rows:
        record = row.record
        if record.generator not in (first, second) or (metric is not None and record.metric != metric):
            continue
        column = column_key(record)
        columns[column] = None
        old = best.get((record.generator, column))
        if old is None or (record.higher_is_better is not None and _better(row, old)):
            best[record.generator, column] = row
    pairs = []
    for column in columns:
        left, right = best.get((first, column)), best.get((second, column))
        if left is not None and right is not None:
            difference, verdict = _verdict(left, right)
            pairs.append(Pair(left, right, difference, verdict))
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
    pairs = compare_rows(rows_from_json(read_json(path)), first, second, metric)
    if as_json:
        print_json([_json(pair) for pair in pairs])
        return
    schema_path = root / "reports" / "schema.yaml"
    schema: dict[str, Any] = {}
    if schema_path.is_file():
        from bench.base.yaml_reader import read_yaml

        schema = read_yaml(schema_path)
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
    print("Each side is a generator's best variant in its column; tie: the 95 % interval of the difference holds zero.")


def _difference(difference: Difference | None, style: MetricStyle) -> str:
    if difference is None:
        return ""
    interval = format_interval(difference.ci95, style) if difference.ci95[0] != difference.ci95[1] else ""
    sign = "+" if difference.value > 0 else "−" if difference.value < 0 else ""
    return f"{sign}{format_value(abs(difference.value), style)}" + (f" ({interval})" if interval else "")
