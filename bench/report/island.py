"""All rows as one compact JSON in the page: what the script exports, explains and draws "further measurements" from."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from bench.report.tables import Table
from bench.results.leaderboard import COST_METRICS, Row, column_key
from bench.results.records import Record

__all__ = ["FIELDS", "island", "leftover"]

FIELDS = ("family", "dataset", "generator", "variant", "metric", "protocol", "split", "slice", "role", "unit")
"""Text fields: each row holds their places in ``strings``. Then follow value, low, high, n, shown, rank, rank_to and
further (stands in no table)."""


def _short(value: float | None) -> float | int | None:
    """Six significant digits: the exact numbers are in leaderboard.json."""
    if value is None:
        return None
    short = float(f"{value:.6g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def island(rows: Sequence[Row], further: Collection[int]) -> str:
    """The JSON; ``further`` are the places in ``rows`` of those that no table shows."""
    strings: dict[str, int] = {}
    lines: list[list[Any]] = []
    for i, row in enumerate(rows):
        record = row.record
        low, high = record.ci95 or (None, None)
        texts = [strings.setdefault(str(getattr(record, name)), len(strings)) for name in FIELDS]
        places = [int(row.shown), row.rank, row.rank_to, int(i in further)]
        lines.append([*texts, _short(record.value), _short(low), _short(high), record.n, *places])
    names = [*FIELDS, "value", "low", "high", "n", "shown", "rank", "rank_to", "further"]
    document = {"fields": names, "texts": len(FIELDS), "strings": list(strings), "rows": lines}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def leftover(rows: Iterable[Row], tables: Iterable[Table]) -> list[Row]:
    """Rows that stand in none of the tables (the report lists them in full below)."""
    shown = {
        (table.dataset, column.metric, column.protocol, column.split, column.slice, line.generator, line.variant)
        for table in tables
        for column in table.columns
        for line in table.lines
    }

    def hidden(record: Record) -> bool:
        return (
            *column_key(record),
            record.generator,
            record.variant,
        ) not in shown and record.metric not in COST_METRICS

    return [row for row in rows if hidden(row.record)]
