"""The one table behind every form of the leaderboard: rows with ranks -> JSON, CSV, and the wide tables of
``tables.py``."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from bench.base.errors import BenchError
from bench.catalogue.families import FAMILIES
from bench.results.records import SCHEMA_VERSION, Record
from bench.stats.intervals import rank_with_ties

__all__ = [
    "COST_METRICS",
    "ColumnKey",
    "Row",
    "build_rows",
    "column_key",
    "from_csv",
    "rows_from_json",
    "to_csv",
    "to_json",
]

COST_METRICS = ("train_seconds", "train_flops", "parameters", "peak_memory_bytes", "sample_seconds_per_item")
"""The metrics that say what a number cost."""

ColumnKey = tuple[str, str, str, str, str]
"""(dataset, metric, protocol, split, slice): rows are compared and ranked only inside one of these."""


@dataclass(frozen=True)
class Row:
    """A record and its place.

    Attributes:
        record: the measurement.
        rank: 1 = best among the generators of its column; None for floors, ceilings, memorisers, neutral metrics and
            missing values.
        tied: another generator has the same rank: the data cannot tell them apart.
    """

    record: Record
    rank: int | None = None
    tied: bool = False

    def to_json(self) -> dict[str, Any]:
        """A JSON-able mapping: the record's fields, ``rank`` and ``tied``."""
        return {**self.record.to_json(), "rank": self.rank, "tied": self.tied}


def column_key(record: Record) -> ColumnKey:
    """What must be equal for two rows to be compared."""
    return record.dataset, record.metric, record.protocol, record.split, record.slice


def build_rows(records: Iterable[Record]) -> list[Row]:
    """Rows in a fixed order (family, data set, metric, protocol, slice, then as given), ranked column by column.

    Raises:
        BenchError: the same number twice, or a column with two directions.
    """
    ordered = list(records)
    seen: set[tuple[Any, ...]] = set()
    columns: dict[ColumnKey, list[int]] = defaultdict(list)
    for i, record in enumerate(ordered):
        identity = (*column_key(record), record.generator, record.variant, record.seed)
        if identity in seen:
            raise BenchError(
                f"{record.generator} ({record.variant or 'no variant'}) reports {record.metric} twice under "
                f"{record.protocol}"
            )
        seen.add(identity)
        columns[column_key(record)].append(i)
    rows = [Row(record) for record in ordered]
    for key, members in columns.items():
        if len({ordered[i].higher_is_better for i in members}) > 1:
            raise BenchError(f"{key[1]} ({key[2]}): some rows say higher is better and some say lower")
        if ordered[members[0]].higher_is_better is None:
            continue
        ranked = [i for i in members if ordered[i].role == "generator"]
        values, intervals = [ordered[i].value for i in ranked], [ordered[i].ci95 for i in ranked]
        ranks = rank_with_ties(values, intervals, ordered[members[0]].higher_is_better)
        for i, rank in zip(ranked, ranks, strict=True):
            rows[i] = Row(ordered[i], rank, rank is not None and ranks.count(rank) > 1)
    place = {family: i for i, family in enumerate(FAMILIES)}
    position = {id(row): i for i, row in enumerate(rows)}

    def order(row: Row) -> tuple[Any, ...]:
        record = row.record
        column = record.metric in COST_METRICS, record.metric, record.protocol, record.split, record.slice
        return place.get(record.family, len(place)), record.family, record.dataset, *column, position[id(row)]

    return sorted(rows, key=order)


def to_json(rows: Iterable[Row]) -> dict[str, Any]:
    """The content of ``leaderboard.json`` (checked by ``reports/leaderboard.schema.json``)."""
    return {"schema_version": SCHEMA_VERSION, "rows": [row.to_json() for row in rows]}


def rows_from_json(document: Mapping[str, Any]) -> list[Row]:
    """The inverse of :func:`to_json`.

    Raises:
        BenchError: another schema version.
    """
    if document.get("schema_version") != SCHEMA_VERSION:
        raise BenchError(
            f"leaderboard.json has schema version {document.get('schema_version')!r}, this program reads "
            f"{SCHEMA_VERSION}"
        )
    rows = []
    for row in document["rows"]:
        values = dict(row)
        rank, tied = values.pop("rank"), values.pop("tied")
        rows.append(Row(Record.from_json(values), rank, tied))
    return rows


_FIELDS = [f.name for f in fields(Record) if f.name != "ci95"]
_HEADER = [*_FIELDS, "ci95_low", "ci95_high", "rank", "tied"]


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def to_csv(rows: Iterable[Row]) -> str:
    """One line for each row; empty means none (an infinite value, no interval, no rank)."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_HEADER)
    for row in rows:
        low, high = row.record.ci95 or (None, None)
        values = [getattr(row.record, name) for name in _FIELDS]
        writer.writerow([_text(value) for value in (*values, low, high, row.rank, row.tied)])
    return buffer.getvalue()


def from_csv(text: str) -> list[Row]:
    """The inverse of :func:`to_csv`."""
    rows = []
    for line in csv.DictReader(io.StringIO(text)):
        low, high = line.pop("ci95_low"), line.pop("ci95_high")
        rank, tied = line.pop("rank"), line.pop("tied")
        values: dict[str, Any] = dict(line)
        values["value"] = float(line["value"]) if line["value"] else None
        values["seed"], values["n"] = int(line["seed"]), int(line["n"])
        values["higher_is_better"] = {"true": True, "false": False, "": None}[line["higher_is_better"]]
        values["ci95"] = (float(low), float(high)) if low else None
        rows.append(Row(Record(**values), int(rank) if rank else None, tied == "true"))
    return rows
