"""``reports/history.yaml``: when each method was published. It gives the years of the first screen and the timeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.base.settings import build_config
from bench.base.yaml_reader import read_yaml
from bench.report.charts import MARKERS, marker_path, marker_svg
from bench.results.sources import Entry

__all__ = ["Mark", "Method", "marks", "method_of", "read_methods", "timeline"]


@dataclass(frozen=True)
class Method:
    """A method and its first publication.

    Attributes:
        system: of params.yaml.
        year: of the first publication.
        title: on the timeline.
        source: author and year.
        setting: one setting of the system (``smoothing=katz``) with a publication of its own; ``""`` for the system.
    """

    system: str
    year: int
    title: str
    source: str
    setting: str = ""

    def fits(self, system: str, variant: str) -> bool:
        """Whether a generator's setting uses it."""
        return self.system == system and (not self.setting or self.setting in variant.split(","))


@dataclass(frozen=True)
class Mark:
    """A method that is measured here, and the generator whose card it leads to."""

    method: Method
    generator: str
    family: str


def read_methods(path: Path) -> tuple[Method, ...]:
    """The checked file.

    Raises:
        BenchError: missing, not YAML, or a key or value that is not allowed.
    """
    document = read_yaml(path)
    rows = document.get("methods") if isinstance(document, Mapping) else None
    if not isinstance(rows, list):
        raise BenchError(f"{path}: `methods` must be a list of mappings (system, year, title, source)")
    return tuple(build_config(Method, row, f"{path}: methods[{i}]") for i, row in enumerate(rows))


def method_of(methods: Iterable[Method], system: str, variant: str = "") -> Method | None:
    """The method behind a generator's setting: the setting's own publication before that of the system."""
    fitting = [method for method in methods if method.fits(system, variant)]
    return max(fitting, key=lambda method: (bool(method.setting), method.year), default=None)


def marks(methods: Iterable[Method], entries: Iterable[Entry]) -> list[Mark]:
    """Every method that a measured generator uses, by year; a card of one of its generators."""
    listed = [entry for entry in entries if entry.role == "generator"]
    found = []
    for method in methods:
        for entry in listed:
            variants = {record.variant for record in entry.records}
            if any(method.fits(entry.system, variant) for variant in variants):
                found.append(Mark(method, entry.name, entry.family))
                break
    return sorted(found, key=lambda mark: (mark.method.year, mark.method.title))


_LEFT, _RIGHT, _WIDTH, _BASE, _STEP = 26, 1290, 1340, 150, 21
_BREAK, _SHARE = 1995, 0.3
"""The years before the break take this share of the width: most methods are younger."""


def _place(year: float, first: int, last: int) -> float:
    broken = max(min(_BREAK, last - 1), first + 1)  # of a single year the whole width lies after it
    share = (
        _SHARE * (year - first) / (broken - first)
        if year <= broken
        else _SHARE + (1 - _SHARE) * (year - broken) / max(last - broken, 1)
    )
    return _LEFT + share * (_RIGHT - _LEFT)


def timeline(found: Sequence[Mark], families: Sequence[str], titles: Mapping[str, str]) -> dict[str, Any] | None:
    """The timeline as SVG: a mark for each method, linked to its card; None where nothing is measured.

    The first link is in the order of the Tab key, the others are reached with the arrow keys.
    """
    if not found:
        return None
    first, last = found[0].method.year, -(-(found[-1].method.year + 1) // 5) * 5
    lanes: list[list[tuple[float, float]]] = []
    body, stems = [], ""
    for i, mark in enumerate(found):
        x, width = _place(mark.method.year, first, last), 6.3 * len(mark.method.title) + 14
        rightward = x + width < _WIDTH
        span = (x - 8, x + width) if rightward else (x - width, x + 8)
        lane = next(
            (k for k, taken in enumerate(lanes) if all(span[1] < a or b < span[0] for a, b in taken)), len(lanes)
        )
        if lane == len(lanes):
            lanes.append([])
        lanes[lane].append(span)
        y = _BASE - 22 - _STEP * lane
        group = families.index(mark.family)
        text = escape(f"{mark.method.year}: {mark.method.title} ({mark.method.source})")
        label = f'x="{x + (10 if rightward else -10):.0f}" y="{y + 4}" text-anchor="{"start" if rightward else "end"}"'
        stems += f'<line class="grid" x1="{x:.0f}" x2="{x:.0f}" y1="{y}" y2="{_BASE}"/>'
        body.append(
            f'<a href="#card-{escape(mark.generator)}" tabindex="{0 if i == 0 else -1}" aria-label="{text}">'
            f'<title>{text}</title><g class="g{group % len(MARKERS)}">{marker_path(group, x, y, 5)}</g>'
            f'<text class="label" {label}>{escape(mark.method.title)}</text></a>'
        )
    top = _BASE - 22 - _STEP * len(lanes)
    height = _BASE + 24 - top
    ticks = [year for year in (*range(1900, _BREAK, 20), *range(_BREAK, last + 1, 5)) if first <= year <= last]
    axis = f'<line class="axis" x1="{_LEFT}" x2="{_RIGHT}" y1="{_BASE}" y2="{_BASE}"/>'
    for year in dict.fromkeys((first, *ticks)):
        x = _place(year, first, last)
        axis += f'<line class="axis" x1="{x:.0f}" x2="{x:.0f}" y1="{_BASE}" y2="{_BASE + 5}"/>'
        axis += f'<text class="tick" x="{x:.0f}" y="{_BASE + 18}" text-anchor="middle">{year}</text>'
    svg = (
        f'<svg class="chart timeline" viewBox="0 {top} {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="group" aria-label="Timeline of the methods, {first} to {last}">{stems}{axis}{"".join(body)}</svg>'
    )
    shown = dict.fromkeys(family for family in families if any(mark.family == family for mark in found))
    legend = [(marker_svg(families.index(family)), titles[family]) for family in shown]
    return {"svg": svg, "legend": legend}
