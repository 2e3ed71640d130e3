"""The wide tables of the report: one line a model, one column a (metric, protocol, split, slice), cost in the same
line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.report.display import MetricStyle, format_interval, format_value, metric_style, short_variant
from bench.report.schema import Schema, Selector, TableView
from bench.results.leaderboard import COST_METRICS, ColumnKey, Row, column_key
from bench.results.records import Record

__all__ = [
    "ROLE_ORDER",
    "ROLE_TITLES",
    "Cell",
    "Column",
    "Line",
    "Table",
    "build_tables",
]

FEWEST_RANKED = 3
"""Generators from which on places are shown."""
OPEN_COLUMNS = 5
"""Measurements beside the ranking one and the costs that are in view before the switch."""
ROLE_ORDER = {"ceiling": 0, "generator": 1, "memoriser": 2, "floor": 3}
ROLE_TITLES = {"ceiling": "real data", "generator": "", "memoriser": "memorising baseline", "floor": "baseline"}


@dataclass(frozen=True)
class Column:
    """One (metric, protocol, split, slice) of one data set; ``more`` columns stand last, behind a switch."""

    metric: str
    protocol: str
    split: str
    slice: str
    unit: str
    style: MetricStyle
    higher_is_better: bool | None
    ranking: bool = False
    note: str = ""
    qualifier: str = ""
    more: bool = False

    @property
    def cost(self) -> bool:
        """A cost column."""
        return self.metric in COST_METRICS

    @property
    def label(self) -> str:
        """Slice, split (unless test) and what sets this protocol apart from the others of the metric in the table."""
        split = self.split if self.split not in ("", "test") else ""
        return ", ".join(part for part in (self.slice, split, self.qualifier) if part)

    @property
    def arrow(self) -> str:
        """Which way is better."""
        return {True: "↑", False: "↓", None: ""}[self.higher_is_better]


@dataclass(frozen=True)
class Cell:
    """One number as text, and the number itself for sorting."""

    text: str = ""
    interval: str = ""
    rank: int | None = None
    place: str = ""
    sort: float | None = None
    n: int = 0
    bounds: tuple[float, float] | None = None


@dataclass(frozen=True)
class Line:
    """One model (generator and variant); ``shown`` is the setting that stands for its generator."""

    generator: str
    variant: str
    system: str
    role: str
    cells: tuple[Cell, ...]
    place: str = ""
    run_key: str = ""
    shown: bool = True

    @property
    def setting(self) -> str:
        """The variant for people."""
        return short_variant(self.variant)

    @property
    def role_title(self) -> str:
        """``""`` for an ordinary generator."""
        return ROLE_TITLES[self.role]


@dataclass(frozen=True)
class Table:
    """One table of one family on one data set.

    Attributes:
        id: of the table in ``reports/schema.yaml`` and the data set.
        name: title in ``reports/schema.yaml``.
        about: one or two sentences.
        columns: the ranking one, the main costs, the other measurements, then those behind the switch.
        lines: best generator first, its other settings beneath.
    """

    id: str
    family: str
    dataset: str
    name: str
    about: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]

    @property
    def competitors(self) -> tuple[str, ...]:
        """The generators, best first, without floors, memorisers and ceilings."""
        return tuple(dict.fromkeys(line.generator for line in self.lines if line.role == "generator"))

    @property
    def ranked(self) -> bool:
        """A leaderboard: places are shown. With fewer than three generators it is a table of their settings."""
        return len(self.competitors) >= FEWEST_RANKED

    @property
    def title(self) -> str:
        """What it is."""
        if self.ranked or not self.competitors:
            return self.name
        return f"Settings of {' and '.join(self.competitors)}: {self.name}"

    def address(self, line: Line) -> str:
        """The anchor of a line on the page: unique, and the same in every report."""
        return "row=" + "/".join((self.id, line.generator, line.variant)).replace(" ", "_")

    @property
    def more(self) -> int:
        """How many columns stand behind the switch."""
        return sum(column.more for column in self.columns)

    @property
    def ranking(self) -> Column | None:
        """The column that orders the table."""
        return next((column for column in self.columns if column.ranking), None)

    @property
    def protocols(self) -> tuple[tuple[str, str], ...]:
        """(footnote letter, protocol id) in column order, each once."""
        return tuple(dict.fromkeys((column.note, column.protocol) for column in self.columns))


def _letter(i: int) -> str:
    return chr(ord("a") + i) if i < 26 else _letter(i // 26 - 1) + _letter(i % 26)


def _columns(rows: Sequence[Row], view: TableView, schema: Schema) -> list[Column]:
    """The columns of one table on one data set; of those that fit ``rank_by`` first, the one with most models ranks.

    Scores on the validation split choose settings and stand under "Further measurements".
    """
    rows = [row for row in rows if row.record.split != "validation"]
    picked: dict[ColumnKey, Row] = {}
    models = Counter(column_key(row.record) for row in rows)
    for selector in (*view.columns, *(Selector(metric) for metric in schema.cost_columns)):
        matching = {column_key(row.record): row for row in rows if selector(row.record)}
        for key in sorted(matching, key=lambda key: (key[4] != "", _natural(key[4]), _natural(key[2]))):
            picked.setdefault(key, matching[key])
    fitting = ([key for key, row in picked.items() if selector(row.record)] for selector in view.rank_by)
    chosen = next((max(keys, key=models.__getitem__) for keys in fitting if keys), None)
    columns = []
    for key, row in picked.items():
        record = row.record
        style = metric_style(schema, record.metric)
        place = record.metric, record.protocol, record.split, record.slice
        alike = [k[2] for k in picked if (k[1], *k[3:]) == (key[1], *key[3:])]
        columns.append(
            Column(
                *place,
                record.unit,
                style,
                record.higher_is_better,
                ranking=key == chosen,
                qualifier=_apart(record.protocol, alike),
            )
        )
    having = {key: len({row.record.generator for row in rows if column_key(row.record) == key}) for key in picked}
    usual = having[chosen] if chosen else 0
    return _arranged(columns, [2 * having[key] < usual for key in picked], schema)


def _arranged(columns: Sequence[Column], few: Sequence[bool], schema: Schema) -> list[Column]:
    """The ranking column, the main costs, the other measurements, and last what stands behind the switch: metrics that
    ``reports/schema.yaml`` names, measurements of ``few`` models, and whatever exceeds :data:`OPEN_COLUMNS`."""
    rare = [
        not column.ranking and (column.metric in schema.more_columns or (alone and not column.cost))
        for column, alone in zip(columns, few, strict=True)
    ]
    open_ones = [i for i, column in enumerate(columns) if not (column.ranking or column.cost or rare[i])]
    for i in open_ones[OPEN_COLUMNS:]:
        rare[i] = True
    marked = [replace(column, more=hidden) for column, hidden in zip(columns, rare, strict=True)]
    placed = sorted(marked, key=lambda column: (not column.ranking, column.more, not column.cost))
    notes: dict[str, str] = {}
    return [replace(column, note=notes.setdefault(column.protocol, _letter(len(notes)))) for column in placed]


def _natural(text: str) -> tuple[tuple[int, str], ...]:
    """For sorting: numbers inside a text by their value.

    >>> sorted(["labels=1000", "labels=50"], key=_natural)
    ['labels=50', 'labels=1000']
    """
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text))


def _apart(protocol: str, alike: Sequence[str]) -> str:
    """The parts of a protocol id that the other protocols of the same metric do not share; ``""`` if it is the only
    one."""
    if len(alike) < 2:
        return ""
    common = set.intersection(*(set(other.split("/")) for other in alike))
    return " ".join(part.replace("=", " ") for part in protocol.split("/") if part not in common)


def _cell(row: Row, column: Column) -> Cell:
    record = row.record
    worst = float("-inf") if column.higher_is_better else float("inf")
    return Cell(
        text=format_value(record.value, column.style, record.unit),
        interval=format_interval(record.ci95, column.style),
        rank=row.rank,
        place=row.place,
        sort=record.value if record.value is not None else worst,
        n=record.n,
        bounds=record.ci95,
    )


def _lines(rows: Sequence[Row], columns: Sequence[Column], dataset: str) -> list[Line]:
    """Best generator first by its shown setting, its other settings beneath."""
    index = {(dataset, c.metric, c.protocol, c.split, c.slice): i for i, c in enumerate(columns)}
    cells: dict[tuple[str, str], list[Cell]] = {}
    first: dict[tuple[str, str], Record] = {}
    ranking = next((i for i, column in enumerate(columns) if column.ranking), None)
    shown: dict[str, str] = {}
    for row in rows:
        i = index.get(column_key(row.record))
        if i is None:
            continue
        model = (row.record.generator, row.record.variant)
        first.setdefault(model, row.record)
        cells.setdefault(model, [Cell()] * len(columns))[i] = _cell(row, columns[i])
        if row.shown and not columns[i].cost and (i == ranking or row.record.generator not in shown):
            shown[row.record.generator] = row.record.variant
    quality = [i for i, column in enumerate(columns) if not column.cost]
    lines = []
    for (generator, variant), places in cells.items():
        if not any(places[i].text for i in quality):
            continue
        record = first[generator, variant]
        place = places[ranking].place if ranking is not None else ""
        stands = shown.get(generator, variant) == variant
        if stands:
            places = [
                cell if cell.text or not columns[i].cost else _cost_of(cells, generator, i)
                for i, cell in enumerate(places)
            ]
        lines.append(Line(generator, variant, record.system, record.role, tuple(places), place, record.run_key, stands))
    rising = ranking is not None and not columns[ranking].higher_is_better

    def value(line: Line) -> float:
        cell = line.cells[ranking] if ranking is not None else Cell()
        number = cell.sort if cell.sort is not None else float("inf") if rising else float("-inf")
        return number if rising else -number

    leading = {line.generator: (ROLE_ORDER[line.role], value(line)) for line in lines if line.shown}

    def order(line: Line) -> tuple[Any, ...]:
        top = leading.get(line.generator, (ROLE_ORDER[line.role], value(line)))
        return *top, line.generator, not line.shown, value(line), line.variant

    return sorted(lines, key=order)


def _cost_of(cells: Mapping[tuple[str, str], Sequence[Cell]], generator: str, column: int) -> Cell:
    """A cost of a generator's shown line: its own, else that of its first setting that has one (a language model is
    scored without a temperature and samples with one)."""
    return next((row[column] for (name, _), row in cells.items() if name == generator and row[column].text), Cell())


def build_tables(rows: Sequence[Row], schema: Schema) -> list[Table]:
    """Every table that ``reports/schema.yaml`` describes, split by data set; tables and columns without numbers are
    left out."""
    tables = []
    for family, section in schema.families.items():
        mine = [row for row in rows if row.record.family == family]
        for view in section.tables:
            for dataset in dict.fromkeys(row.record.dataset for row in mine):
                here = [
                    row
                    for row in mine
                    if row.record.dataset == dataset and not any(hidden(row.record) for hidden in view.without)
                ]
                columns = _columns(here, view, schema)
                if all(column.cost for column in columns):
                    continue
                lines = _lines(here, columns, dataset)
                used = [i for i in range(len(columns)) if any(line.cells[i].text for line in lines)]
                tables.append(
                    Table(
                        id=f"{view.id}-{dataset}",
                        family=family,
                        dataset=dataset,
                        name=view.title,
                        about=view.about,
                        columns=tuple(columns[i] for i in used),
                        lines=tuple(replace(line, cells=tuple(line.cells[i] for i in used)) for line in lines),
                    )
                )
    return [table if table.ranked else _without_places(table) for table in tables]


def _without_places(table: Table) -> Table:
    """Fewer than three generators: a place would say nothing."""
    lines = tuple(
        replace(line, place="", cells=tuple(replace(cell, rank=None, place="") for cell in line.cells))
        for line in table.lines
    )
    return replace(table, lines=lines)
