"""``bench compare``: two generators side by side, each in one setting, from ``reports/leaderboard.json``."""

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
from bench.results.choice import chosen_settings
from bench.results.leaderboard import COST_METRICS, ColumnKey, Row, column_key, estimate, rows_from_json
from bench.results.records import parse_variant
from bench.results.sources import read_items
from bench.stats.comparisons import Difference, Items, difference

__all__ = ["Pair", "compare_rows", "run"]


@dataclass(frozen=True)
class Pair:
    """One column of the leaderboard for two generators, each in its one setting."""

    first: Row
    second: Row
    difference: Difference | None
    verdict: str


def _verdict(first: Row, second: Row, items: Items) -> tuple[Difference | None, str]:
    a, b = first.record, second.record
    one, other = (a.generator, b.generator) if a.generator != b.generator else ("first", "second")
    if a.value is None or b.value is None:
        return None, "tie" if a.value is b.value else f"{one if b.value is None else other} is better"
    found = difference(estimate(a, items), estimate(b, items))
    if a.value == b.value:
        return found, "equal"
    if found is None:
        return None, "no interval"
    if found.ci95[0] <= 0.0 <= found.ci95[1]:
        return found, "tie"
    if a.higher_is_better is None:
        return found, "differ"
    better = one if (a.value > b.value) is a.higher_is_better else other
    return found, f"{better} is {'cheaper' if a.metric in COST_METRICS else 'better'}"


def _settings(rows: Sequence[Row], side: str) -> tuple[str, dict[str, str]]:
    """Generator and, by data set, setting of ``NAME`` (the setting that is shown) or ``NAME@SETTING``.

    Raises:
        BenchError: a generator without rows, or a setting that was not measured.
    """
    name, named, wanted = side.partition("@")
    known = list(dict.fromkeys(row.record.generator for row in rows))
    if name not in known:
        raise BenchError(f"the leaderboard has no rows of {name!r}.{did_you_mean(name, known)}")
    records = [row.record for row in rows if row.record.generator == name]
    if not named:
        return name, {dataset: variant for (_, dataset), variant in chosen_settings(records).items()}
    variants = list(dict.fromkeys(record.variant for record in records))
    found = next((one for one in variants if one == wanted or parse_variant(one) == parse_variant(wanted)), None)
    if found is None:
        raise BenchError(
            f"{name} was not measured in the setting {wanted!r}.{did_you_mean(wanted, filter(None, variants))}"
        )
    return name, dict.fromkeys((record.dataset for record in records), found)


def _rows_of(rows: Sequence[Row], side: str) -> dict[ColumnKey, Row]:
    """Column -> the side's row there: of its setting, or one that holds whatever the setting."""
    name, settings = _settings(rows, side)
    found: dict[ColumnKey, Row] = {}
    for row in rows:
        record = row.record
        if record.generator != name or record.split == "validation":
            continue
        setting = settings.get(record.dataset, "")
        if record.variant == setting or (not record.variant and column_key(record) not in found):
            found[column_key(record)] = row
    return found


def compare_rows(
    rows: Sequence[Row], first: str, second: str, metric: str | None = None, items: Items | None = None
) -> list[Pair]:
    """The columns (data set, metric, protocol, split, slice) that both have, in the order of the leaderboard.

    Args:
        rows: of the leaderboard.
        first: ``NAME``, in the setting that the leaderboard shows, or ``NAME@SETTING``.
        second: likewise.
        metric: only this one.
        items: the blocks behind numbers: where both rows have them, they are compared block by block.

    Raises:
        BenchError: a generator or setting without rows, an unknown metric, or nothing in common.
    """
    left, right = _rows_of(rows, first), _rows_of(rows, second)
    metrics = {row.record.metric for row in (*left.values(), *right.values())}
    if metric is not None and metric not in metrics:
        raise BenchError(f"neither has the metric {metric!r}.{did_you_mean(metric, metrics)}")
    pairs = [
        Pair(left[column], right[column], *_verdict(left[column], right[column], items or {}))
        for column in left
        if column in right and metric in (None, left[column].record.metric)
    ]
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
    return text + (f" ({interval})" if interval else "")


def _name(rows: Sequence[Row], side: str) -> str:
    """The side in full, as it can be asked for again."""
    name, settings = _settings(rows, side)
    return " or ".join(dict.fromkeys(f"{name}@{setting}" if setting else name for setting in settings.values()))


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
    names = [side.partition("@")[0] for side in (first, second)]
    items = {key: blocks for name in names for key, blocks in read_items(root, name).items()}
    rows = rows_from_json(read_json(path))
    pairs = compare_rows(rows, first, second, metric, items)
    if as_json:
        print_json([_json(pair) for pair in pairs])
        return
    schema_path = root / "reports" / "schema.yaml"
    schema = read_schema(schema_path) if schema_path.is_file() else Schema("", "", {})
    titles = names if names[0] != names[1] else ["first", "second"]
    lines = []
    for pair in pairs:
        record = pair.first.record
        style = metric_style(schema, record.metric)
        arrow = {True: " ↑", False: " ↓", None: ""}[record.higher_is_better]
        lines.append(
            {
                "metric": style.title + arrow + (f" ({record.slice})" if record.slice else ""),
                titles[0]: _side(pair.first, style),
                titles[1]: _side(pair.second, style),
                "difference": _difference(pair.difference, style),
                "verdict": pair.verdict,
                "protocol": record.protocol,
            }
        )
    print(f"{_name(rows, first)} against {_name(rows, second)}\n")
    print_table(["metric", *titles, "difference", "verdict", "protocol"], lines, fold="protocol", drop=("protocol",))
    print(
        "\nTie: the 95 % interval of the difference holds zero, block by block where both\n"
        "were measured on the same blocks and the evaluations are here. Columns without\n"
        "a row of the setting are left out."
    )


def _difference(difference: Difference | None, style: MetricStyle) -> str:
    if difference is None:
        return ""
    interval = format_interval(difference.ci95, style) if difference.ci95[0] != difference.ci95[1] else ""
    sign = "+" if difference.value > 0 else "−" if difference.value < 0 else ""
    return f"{sign}{format_value(abs(difference.value), style)}" + (f" ({interval})" if interval else "")
