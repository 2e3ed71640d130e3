"""The short answer: the best of each family between its floor and its ceiling, and the README's table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bench.catalogue.families import FAMILIES
from bench.report.display import MetricStyle, format_interval, format_value, metric_style, short_variant
from bench.report.schema import HeadlineView, Schema
from bench.results.leaderboard import ColumnKey, Row, column_key
from bench.results.records import Record

__all__ = ["BEGIN", "END", "Headline", "Scale", "best_lines", "cost_text", "headlines", "insert_block", "readme_block"]

BEGIN, END = "<!-- leaderboard:begin -->", "<!-- leaderboard:end -->"


@dataclass(frozen=True)
class Scale:
    """From a value to its position between floor (0) and ceiling (1).

    Attributes:
        floor: value of the best floor row of the column.
        ceiling: value of real data, or the ideal that ``reports/schema.yaml`` names.
        log: positions on the logarithm (Frechet distances span four decades).
        ceiling_title: what the ceiling is.
    """

    floor: float
    ceiling: float
    log: bool = False
    ceiling_title: str = "real data"

    def __call__(self, value: float) -> float:
        """Position of ``value``; outside 0..1 if it is worse than the floor or better than the ceiling."""
        a, b, v = self.floor, self.ceiling, value
        if self.log:
            a, b, v = (math.log(max(x, 1e-12)) for x in (a, b, v))
        return (v - a) / (b - a) if b != a else 0.0


@dataclass(frozen=True)
class Headline:
    """The headline column of one family on one data set.

    Attributes:
        family: section of params.yaml.
        dataset: name of the data set.
        key: the column.
        style: how its values are written.
        rows: every row of the column, best first, floors and ceilings included.
        scale: position between floor and ceiling, None where the table has no floor.
    """

    family: str
    dataset: str
    key: ColumnKey
    style: MetricStyle
    rows: tuple[Row, ...]
    scale: Scale | None

    @property
    def best(self) -> Row | None:
        """The best generator, by its shown setting."""
        return next(iter(best_lines(self)), None)

    @property
    def tied(self) -> tuple[str, ...]:
        """Generators that the data cannot tell from the best."""
        return tuple(row.record.generator for row in best_lines(self)[1:] if row.rank == 1)

    def of_role(self, role: str) -> Row | None:
        """The best row of a role."""
        return next((row for row in self.rows if row.record.role == role and row.record.value is not None), None)


def _scale(rows: Sequence[Row], view: HeadlineView) -> Scale | None:
    def value(role: str) -> float | None:
        return next(
            (row.record.value for row in rows if row.record.role == role and row.record.value is not None), None
        )

    floor, ceiling = value("floor"), value("ceiling")
    title = "real data"
    if ceiling is None and view.ideal is not None:
        ceiling, title = float(view.ideal), view.ideal_title
    if floor is None or ceiling is None or floor == ceiling:
        return None
    if (ceiling > floor) is not (rows[0].record.higher_is_better is True):
        return None  # real data scores worse than noise (a metric that rewards copying): there is no scale between them
    return Scale(floor, ceiling, view.scale == "log", title)


def headlines(rows: Sequence[Row], schema: Schema) -> list[Headline]:
    """One for each headline metric of a family and each data set that has it.

    The column is the one that most rows share among those that hold a generator's row of the described slice, variant
    and protocol.
    """
    found = []
    for family, section in schema.families.items():
        for view in section.headline:
            mine = [row for row in rows if row.record.family == family and row.record.metric == view.metric]
            columns: dict[str, dict[ColumnKey, int]] = {}
            for row in mine:
                record = row.record
                fits = record.slice == view.slice and fnmatchcase(record.variant, view.variant)
                fits = fits and record.split != "validation" and fnmatchcase(record.protocol, view.protocol)
                if fits and record.role == "generator":
                    key = column_key(record)
                    columns.setdefault(record.dataset, {})[key] = sum(column_key(other.record) == key for other in mine)
            for dataset, counts in columns.items():
                key = max(counts, key=lambda key: counts[key])
                members = [row for row in mine if column_key(row.record) == key]
                sign = -1.0 if members[0].record.higher_is_better else 1.0
                members.sort(key=lambda row: sign * row.record.value if row.record.value is not None else math.inf)
                style = metric_style(schema, view.metric)
                found.append(Headline(family, dataset, key, style, tuple(members), _scale(members, view)))
    return found


def best_lines(headline: Headline) -> list[Row]:
    """The shown setting of every generator, best first (floors, memorisers and ceilings left out)."""
    return [
        row for row in headline.rows if row.shown and row.record.role == "generator" and row.record.value is not None
    ]


def cost_text(rows: Sequence[Row], record: Record, metric: str, schema: Schema) -> str:
    """A cost of the row's own variant, written; where that draws nothing (a language model is scored without a
    temperature) of the first that does."""
    costs = [row.record for row in rows if (row.record.metric, row.record.generator) == (metric, record.generator)]
    costs = [cost for cost in costs if cost.variant == record.variant] or costs
    return format_value(costs[0].value, metric_style(schema, metric), costs[0].unit) if costs else ""


def readme_block(rows: Sequence[Row], schema: Schema) -> str:
    """The README's table: the shown setting of every generator on its family's headline metric, between floor and
    ceiling."""
    lines = [
        "| family | generator | metric | value (95 % interval) | baseline | real data | training | one sample |",
        "|:--|:--|:--|--:|--:|--:|--:|--:|",
    ]
    for headline in headlines(rows, schema):
        style = headline.style
        for row in best_lines(headline):
            record = row.record
            interval = format_interval(record.ci95, style)
            value = format_value(record.value, style, record.unit) + (f" ({interval})" if interval else "")
            reference = [headline.of_role(role) for role in ("floor", "ceiling")]
            bounds = [format_value(item.record.value, style, record.unit) if item else "" for item in reference]
            costs = [cost_text(rows, record, metric, schema) for metric in ("train_seconds", "sample_seconds_per_item")]
            arrow = {True: "↑", False: "↓", None: ""}[record.higher_is_better]
            name = f"**{record.generator}** {short_variant(record.variant)}".strip()
            family = FAMILIES[headline.family].title
            lines.append("| " + " | ".join([family, name, f"{style.title} {arrow}", value, *bounds, *costs]) + " |")
    return "\n".join([BEGIN, "", *lines, "", END])


def insert_block(text: str, block: str) -> str:
    """``text`` with what stands between the markers replaced by ``block`` (markers included); appended if it has
    none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    return before + block + after if begin and end else text.rstrip("\n") + "\n\n" + block + "\n"
