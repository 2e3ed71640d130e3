"""The one table behind every form of the leaderboard: rows with ranks -> JSON, CSV, a data frame, and the wide tables
of ``bench/report/tables.py``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from bench.base.errors import BenchError
from bench.catalogue.families import FAMILIES
from bench.results.records import SCHEMA_VERSION, Record
from bench.stats.intervals import rank_with_ties

if TYPE_CHECKING:
    import pandas

__all__ = [
    "COST_METRICS",
    "ColumnKey",
    "Row",
    "build_rows",
    "column_key",
    "rows_from_json",
    "to_csv",
    "to_frame",
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


_FIELDS = [key.name for key in fields(Record) if key.name not in ("ci95", "settings")]


def to_frame(rows: Iterable[Row]) -> pandas.DataFrame:
    """A data frame with a line for each row: see :func:`bench.results.frame`."""
    import pandas

    listed = list(rows)
    columns: dict[str, list[Any]] = {name: [getattr(row.record, name) for row in listed] for name in _FIELDS}
    bounds = [row.record.ci95 or (None, None) for row in listed]
    columns |= {"ci95_low": [low for low, _ in bounds], "ci95_high": [high for _, high in bounds]}
    columns |= {"rank": [row.rank for row in listed], "tied": [row.tied for row in listed]}
    columns["settings"] = [dict(row.record.settings) for row in listed]
    kinds = dict.fromkeys(("value", "ci95_low", "ci95_high"), "float64") | dict.fromkeys(("n", "seed"), "int64")
    kinds |= {"rank": "Int64", "tied": "bool", "higher_is_better": "boolean"}
    return pandas.DataFrame(columns).astype(kinds)


def to_csv(rows: Iterable[Row]) -> str:
    """One line for each row; empty means none (an infinite value, no interval, no rank)."""
    table = to_frame(rows).drop(columns="settings")
    words = {True: "true", False: "false"}
    for name in ("higher_is_better", "tied"):
        table[name] = table[name].astype("object").map(words)
    return str(table.to_csv(index=False, lineterminator="\n"))
