"""``reports/schema.yaml``, typed: which columns stand in which table, how numbers are written, what ranks a family.

Unknown keys, families, metrics and formats are refused: a misspelt one would vanish from the page without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from bench.base.errors import BenchError, did_you_mean
from bench.base.settings import build_config
from bench.base.yaml_reader import read_yaml
from bench.catalogue.families import FAMILIES
from bench.catalogue.metrics import metric_info
from bench.results.leaderboard import COST_METRICS
from bench.results.records import Record

__all__ = ["FamilyView", "HeadlineView", "MetricView", "Schema", "Selector", "TableView", "load_schema", "read_schema"]

_FORMAT = re.compile(r"(fixed|percent|sig)(:[0-9])?|seconds|bytes|count")


def _known_metric(name: object) -> None:
    try:
        metric_info(str(name))
    except BenchError as error:
        raise ValueError(str(error)) from None


@dataclass(frozen=True)
class MetricView:
    """How a metric is written.

    Attributes:
        title: where it differs from the catalogue's.
        format: ``fixed:N`` (decimals), ``percent``, ``sig:N`` (significant digits), ``seconds``, ``bytes``, ``count``.
        unit: False where the title says the unit.
    """

    title: str = ""
    format: str = ""
    unit: bool = True

    def __post_init__(self) -> None:
        if self.format and not _FORMAT.fullmatch(self.format):
            raise ValueError(
                f"format {self.format!r} must be fixed:N, percent, percent:N, sig:N, seconds, bytes or count"
            )


@dataclass(frozen=True)
class Selector:
    """Which records: shell patterns of their fields; None takes all."""

    metric: str | None = None
    protocol: str | None = None
    variant: str | None = None
    slice: str | None = None
    split: str | None = None
    dataset: str | None = None
    generator: str | None = None
    system: str | None = None
    role: str | None = None

    def __post_init__(self) -> None:
        if self.metric is not None:
            _known_metric(self.metric)

    def __call__(self, record: Record) -> bool:
        """Whether a record fits."""
        return all(
            pattern is None or fnmatchcase(str(getattr(record, name)), str(pattern)) for name, pattern in self._patterns
        )

    @property
    def _patterns(self) -> list[tuple[str, str | None]]:
        return [(key.name, getattr(self, key.name)) for key in fields(self)]


@dataclass(frozen=True)
class TableView:
    """A table of a family, made for each of its data sets.

    Attributes:
        id: anchor on the page.
        title: above the table.
        rank_by: of the columns that fit the first of these, the one with most models orders the table.
        columns: in order; columns without numbers are left out.
        about: one or two sentences below the title.
        without: rows that are left to "Further measurements".
    """

    id: str
    title: str
    rank_by: tuple[Selector, ...]
    columns: tuple[Selector, ...]
    about: str = ""
    without: tuple[Selector, ...] = ()


@dataclass(frozen=True)
class HeadlineView:
    """The number that stands for a family on the first screen, in the README and in the plots against compute.

    Attributes:
        metric: canonical name.
        scale: of the position between baseline and real data.
        slice: of its rows.
        variant: shell pattern of its rows.
        protocol: shell pattern of its rows.
        ideal: stands in where no row of real data exists.
        ideal_title: what it is.
    """

    metric: str
    scale: Literal["linear", "log"]
    slice: str = ""
    variant: str = "*"
    protocol: str = "*"
    ideal: float | None = None
    ideal_title: str = "the ideal value"

    def __post_init__(self) -> None:
        _known_metric(self.metric)


@dataclass(frozen=True)
class FamilyView:
    """A section of the page; its title stands in :mod:`bench.catalogue.families`."""

    about: str
    headline: tuple[HeadlineView, ...]
    tables: tuple[TableView, ...]


@dataclass(frozen=True)
class Schema:
    """The whole file.

    Attributes:
        title: of the page.
        subtitle: below it.
        families: in the order of the page.
        metrics: where a metric is not written as the catalogue and its kind suggest.
        cost_columns: metrics that stand in every table, right after the ranking one.
        more_columns: metrics that stand last in a table, behind the switch "more columns".
    """

    title: str
    subtitle: str
    families: Mapping[str, FamilyView]
    metrics: Mapping[str, MetricView] = field(default_factory=dict)
    cost_columns: tuple[str, ...] = COST_METRICS
    more_columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (*self.metrics, *self.cost_columns, *self.more_columns):
            _known_metric(name)
        for name in self.families:
            if name not in FAMILIES:
                raise ValueError(f"families: unknown family {name!r}.{did_you_mean(name, FAMILIES)}")


def read_schema(path: Path) -> Schema:
    """The checked file.

    Raises:
        BenchError: missing, not YAML, or a key or value that is not allowed: file, key, what is allowed.
    """
    return load_schema(read_yaml(path), str(path))


def load_schema(document: Any, where: str = "reports/schema.yaml") -> Schema:
    """The checked content of the file.

    Raises:
        BenchError: a key or value that is not allowed.
    """
    values = _mapping(document, where)
    metrics = _mapping(values.get("metrics"), f"{where}: metrics")
    families = _mapping(values.get("families"), f"{where}: families")
    typed = {
        **values,
        "metrics": {
            name: build_config(MetricView, _mapping(value, f"{where}: metrics.{name}"), f"{where}: metrics.{name}")
            for name, value in metrics.items()
        },
        "families": {name: _family(value, f"{where}: families.{name}") for name, value in families.items()},
    }
    schema: Schema = build_config(Schema, typed, where)
    return schema


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise BenchError(f"{where} must be a mapping, not {value!r}")
    return dict(value or {})


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value] if value else []


def _family(value: Any, where: str) -> FamilyView:
    values = _mapping(value, where)
    values["headline"] = tuple(
        build_config(HeadlineView, _mapping(item, f"{where}.headline"), f"{where}.headline")
        for item in _listed(values.get("headline"))
    )
    values["tables"] = tuple(_table(item, f"{where}.tables") for item in _listed(values.get("tables")))
    view: FamilyView = build_config(FamilyView, values, where)
    return view


def _table(value: Any, where: str) -> TableView:
    values = _mapping(value, where)
    where = f"{where}.{values.get('id', '?')}"
    for key in ("rank_by", "columns", "without"):
        values[key] = tuple(_selectors(_listed(values.get(key)), f"{where}.{key}"))
    for key in ("rank_by", "columns"):
        if not values[key]:
            raise BenchError(f"{where}.{key} is missing: name a metric, or a mapping of metric, slice, protocol, ...")
    view: TableView = build_config(TableView, values, where)
    return view


def _selectors(items: Iterable[Any], where: str) -> list[Selector]:
    """A text is the name of a metric."""
    return [
        build_config(Selector, {"metric": item} if isinstance(item, str) else _mapping(item, where), where)
        for item in items
    ]
