"""The one table behind every form of the leaderboard: rows with ranks -> JSON, CSV, a data frame, and the wide tables
of ``bench/report/tables.py``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from bench.base.errors import BenchError
from bench.catalogue.families import FAMILIES
from bench.catalogue.metrics import CATALOGUE
from bench.results.choice import chosen_settings
from bench.results.records import SCHEMA_VERSION, Record
from bench.stats.comparisons import Estimate, Items, rank_ranges

if TYPE_CHECKING:
    import pandas

__all__ = [
    "COST_METRICS",
    "ColumnKey",
    "Row",
    "build_rows",
    "column_key",
    "estimate",
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
        shown: the one setting of the generator that stands for it in this column
            (:func:`bench.results.choice.chosen_settings`).
        rank: best place among the shown settings of the generators of its column that the data allow; None for other
            settings, floors, ceilings, memorisers, neutral metrics, values without a known interval, and every split
            but the test split.
        rank_to: worst place that the data allow.
    """

    record: Record
    shown: bool = True
    rank: int | None = None
    rank_to: int | None = None

    @property
    def tied(self) -> bool:
        """The data cannot tell it from another generator."""
        return self.rank != self.rank_to

    @property
    def place(self) -> str:
        """``"2"``, or ``"1-3"`` for what may be first, second or third; ``""`` for no place."""
        return "" if self.rank is None else f"{self.rank}–{self.rank_to}" if self.tied else str(self.rank)

    def to_json(self) -> dict[str, Any]:
        """A JSON-able mapping: the record's fields, ``shown``, ``rank``, ``rank_to`` and ``tied``."""
        places = {"shown": self.shown, "rank": self.rank, "rank_to": self.rank_to, "tied": self.tied}
        return {**self.record.to_json(), **places}


def column_key(record: Record) -> ColumnKey:
    """What must be equal for two rows to be compared."""
    return record.dataset, record.metric, record.protocol, record.split, record.slice


def estimate(record: Record, items: Items) -> Estimate:
    """The record's number for a comparison in its column."""
    info = CATALOGUE.get(record.metric)
    blocks = None if record.slice else items.get((record.generator, record.metric, record.variant))
    return Estimate(record.value, record.ci95, bool(info and info.exact), blocks)


def _ordered(records: Iterable[Record]) -> tuple[list[Record], dict[ColumnKey, list[int]]]:
    """The records, and the places of those of each column.

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
    for key, members in columns.items():
        if len({ordered[i].higher_is_better for i in members}) > 1:
            raise BenchError(f"{key[1]} ({key[2]}): some rows say higher is better and some say lower")
    return ordered, columns


def build_rows(records: Iterable[Record], items: Items | None = None) -> list[Row]:
    """Rows in a fixed order (family, data set, metric, protocol, slice, then as given), ranked column by column.

    This is the one place that decides which setting of a generator is shown, who is best and who is tied; the page, the
    README, ``bench compare``, MLflow and the claims ask here.

    Args:
        records: all of them.
        items: the blocks or items behind numbers, for paired tests.

    Raises:
        BenchError: the same number twice, or a column with two directions.
    """
    ordered, columns = _ordered(records)
    chosen = chosen_settings(ordered)
    rows = [Row(record) for record in ordered]
    for members in columns.values():
        standing = {ordered[i].generator: i for i in reversed(members)}
        standing |= {
            ordered[i].generator: i
            for i in members
            if ordered[i].variant == chosen.get((ordered[i].generator, ordered[i].dataset))
        }
        ranked = [i for i in standing.values() if ordered[i].role == "generator" and ordered[i].split in ("", "test")]
        column = [estimate(ordered[i], items or {}) for i in ranked]
        places = dict(zip(ranked, rank_ranges(column, ordered[members[0]].higher_is_better), strict=True))
        for i in members:
            first, last = places.get(i) or (None, None)
            rows[i] = Row(ordered[i], standing[ordered[i].generator] == i, first, last)
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
    """The inverse of :func:`to_json`; rows of version 1, which named no shown setting, get their places anew.

    Raises:
        BenchError: another schema version.
    """
    if document.get("schema_version") == 1:
        plain = ({key: value for key, value in row.items() if key not in ("rank", "tied")} for row in document["rows"])
        return build_rows(map(Record.from_json, plain))
    if document.get("schema_version") != SCHEMA_VERSION:
        raise BenchError(
            f"leaderboard.json has schema version {document.get('schema_version')!r}, this program reads "
            f"{SCHEMA_VERSION}"
        )
    rows = []
    for row in document["rows"]:
        values = dict(row)
        del values["tied"]
        places = [values.pop(name) for name in ("shown", "rank", "rank_to")]
        rows.append(Row(Record.from_json(values), *places))
    return rows


_FIELDS = [key.name for key in fields(Record) if key.name not in ("ci95", "settings")]


def to_frame(rows: Iterable[Row]) -> pandas.DataFrame:
    """A data frame with a line for each row: see :func:`bench.results.frame`."""
    import pandas

    listed = list(rows)
    columns: dict[str, list[Any]] = {name: [getattr(row.record, name) for row in listed] for name in _FIELDS}
    bounds = [row.record.ci95 or (None, None) for row in listed]
    columns |= {"ci95_low": [low for low, _ in bounds], "ci95_high": [high for _, high in bounds]}
    columns |= {name: [getattr(row, name) for row in listed] for name in ("shown", "rank", "rank_to", "tied")}
    columns["settings"] = [dict(row.record.settings) for row in listed]
    kinds = dict.fromkeys(("value", "ci95_low", "ci95_high"), "float64") | dict.fromkeys(("n", "seed"), "int64")
    kinds |= {"rank": "Int64", "rank_to": "Int64", "shown": "bool", "tied": "bool", "higher_is_better": "boolean"}
    return pandas.DataFrame(columns).astype(kinds)


def to_csv(rows: Iterable[Row]) -> str:
    """One line for each row; empty means none (an infinite value, no interval, no rank)."""
    table = to_frame(rows).drop(columns="settings")
    words = {True: "true", False: "false"}
    for name in ("higher_is_better", "shown", "tied"):
        table[name] = table[name].astype("object").map(words)
    return str(table.to_csv(index=False, lineterminator="\n"))
