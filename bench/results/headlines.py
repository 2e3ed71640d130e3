"""The few numbers of a generator that `dvc metrics show` and `dvc exp show` are for: its family's headlines.

Which metrics these are stands in ``reports/schema.yaml``: ``headline`` of the family, and for a generator without one
of them (a chain among language models) what ranks the tables of its family. All rows are in ``evaluations/NAME.json``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from bench.base.yaml_reader import parse_yaml
from bench.results.choice import chosen_settings
from bench.results.records import Record

__all__ = ["MOST", "headline_numbers", "headline_views"]

MOST = 5
"""Numbers of one generator."""
View = Mapping[str, Any]
_PATTERNS = ("metric", "protocol", "variant", "slice", "split")


@cache
def _schema(text: str) -> Any:
    return parse_yaml(text)


def headline_views(root: Path, family: str) -> list[list[View]]:
    """The headlines of a family, then what ranks its tables: patterns of a row's fields each.

    The report reads the whole file strictly; here what is not there is no headline.
    """
    path = root / "reports" / "schema.yaml"
    document = _schema(path.read_text(encoding="utf-8")) if path.is_file() else {}
    section = ((document or {}).get("families") or {}).get(family) or {}
    ranking = [view for table in section.get("tables") or () for view in _views(table.get("rank_by"))]
    return [[{"slice": "", **view} for view in _views(section.get("headline"))], ranking]


def _views(value: Any) -> Iterator[View]:
    for item in value if isinstance(value, list) else [value] if value else []:
        view = {"metric": item} if isinstance(item, str) else item
        yield {key: view[key] for key in _PATTERNS if key in view}


def headline_numbers(rows: Iterable[Mapping[str, Any]], views: Iterable[Sequence[View]], role: str) -> dict[str, float]:
    """At most five numbers of one generator.

    Of each column (protocol, split and slice of a metric) the chosen setting, which is the one that the leaderboard and
    the README show. Two columns of one metric are told apart by what differs, so that none overwrites another.

    Args:
        rows: of its evaluation.
        views: groups of patterns; the first group that any row fits is used.
        role: of the generator: rows of chance and the like have another.

    Returns:
        Metric, with protocol, split or slice where several columns need them -> value.
    """
    every = list(map(Record.from_json, rows))
    chosen = chosen_settings(every)
    records = [
        record for record in every if record.role == role and record.value is not None and record.split != "validation"
    ]
    for group in views:
        columns: dict[str, dict[tuple[str, str, str], Record]] = {}
        for view in group:
            for record in records:
                if all(fnmatchcase(str(getattr(record, key)), str(pattern)) for key, pattern in view.items()):
                    shown = columns.setdefault(record.metric, {})
                    place = (record.protocol, record.split, record.slice)
                    if place not in shown or record.variant == chosen[record.generator, record.dataset]:
                        shown[place] = record
        if columns:
            named = [number for metric, shown in columns.items() for number in _named(metric, shown)]
            return dict(named[:MOST])
    return {}


def _named(metric: str, shown: Mapping[tuple[str, str, str], Record]) -> Iterator[tuple[str, float]]:
    differs = [len({place[i] for place in shown}) > 1 for i in range(3)]
    for place, record in shown.items():
        assert record.value is not None
        parts = [part for part, apart in zip(place, differs, strict=True) if apart and part]
        yield " ".join([metric, *parts]), record.value
