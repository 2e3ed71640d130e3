"""The pictures and charts of the report, made from evaluation extras, learning curves and the rows."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from bench.catalogue.families import FAMILIES
from bench.report.charts import (
    FEWEST_POINTS,
    MOST_SERIES,
    Point,
    Series,
    line_chart,
    marker_svg,
    micro_interval,
    scatter,
)
from bench.report.display import format_value, metric_style, short_variant
from bench.report.overview import Headline, best_lines
from bench.report.schema import Schema
from bench.report.tables import ROLE_TITLES, Table
from bench.results.extras import Curve, Figure, Film, Gallery, Line, of_kind
from bench.results.leaderboard import Row
from bench.results.pictures import png_size
from bench.results.sources import Entry

__all__ = [
    "BESIDE",
    "bucket_means",
    "dense_picture",
    "extra_curves",
    "film",
    "gallery",
    "learning_curves",
    "micro_pictures",
    "of_entries",
    "picture",
    "position_chart",
    "settings_chart",
]

T = TypeVar("T")
_NUMBER = re.compile(r"-?[0-9.]+(e-?[0-9]+)?")
BESIDE = {
    "neighbours": "Nearest training item of each sample",
    "real": "Real images for the same captions",
    "source": "Source image",
}


def bucket_means(x: Sequence[float], y: Sequence[float], buckets: int = 60) -> tuple[tuple[float, float], ...]:
    """At most ``buckets`` points, each the mean of consecutive finite ones: a learning curve small enough for a page.

    >>> bucket_means([1, 2, 3, 4], [4.0, 2.0, 1.0, 1.0], buckets=2)
    ((1.5, 3.0), (3.5, 1.0))
    """
    pairs = [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)]
    size = max(1, -(-len(pairs) // buckets))
    groups = [pairs[i : i + size] for i in range(0, len(pairs), size)]
    return tuple((sum(a for a, _ in group) / len(group), sum(b for _, b in group) / len(group)) for group in groups)


def picture(png: bytes, alt: str, width: int = 620) -> dict[str, Any]:
    """An image with its size on the page: a whole-number enlargement of small pictures."""
    w, h = png_size(png)
    factor = max(1, min(6, width // w))
    return {"png": png, "alt": alt, "width": w * factor, "height": h * factor}


def dense_picture(item: Figure) -> dict[str, Any]:
    """A figure for the page, drawn with ``density`` pixels for each of the page: sharp on any screen."""
    w, h = png_size(item.png)
    return {
        "png": item.png,
        "alt": item.alt or item.title,
        "width": round(w / item.density),
        "height": round(h / item.density),
    }


def film(item: Film, width: int = 620) -> dict[str, Any]:
    """A film for the page, in the size of its poster (small ones enlarged by a whole number)."""
    return {**picture(item.poster, item.alt or item.title, width), "mp4": item.mp4, "loop": item.loop}


def gallery(entries: Sequence[Entry], best: Mapping[str, str]) -> list[dict[str, Any]]:
    """Sample grids by generator, the real row first, each with its nearest training neighbours.

    The best setting of a generator (``best``: name -> variant) stands first, its other settings follow in ``more``. A
    source or a row of real pictures is shown once.
    """
    groups: list[dict[str, Any]] = []
    shown: set[bytes] = set()
    real_row = any(entry.role == "ceiling" and of_kind(entry.extras, Gallery) for entry in entries)
    for entry in entries:
        items = of_kind(entry.extras, Gallery)
        if not items:
            continue
        items.sort(key=lambda item: item.variant != best.get(entry.name))
        figures = []
        for item in items:
            alt = item.alt or f"Samples of {entry.name}"
            figure: dict[str, Any] = {
                "title": item.title or short_variant(item.variant),
                "captions": item.captions,
                "columns": item.columns,
                "main": picture(item.png, alt),
            }
            beside = {"neighbours": item.neighbours_png, "real": item.real_png, "source": item.source_png}
            for key, png in beside.items():
                hidden = not png or (key != "neighbours" and png in shown) or (key == "real" and real_row)
                figure[key] = None if hidden or not png else picture(png, f"{BESIDE[key]}, same order as: {alt}")
                shown.add(png or b"")
            figures.append(figure)
        head = {"generator": entry.name, "role": entry.role, "role_title": ROLE_TITLES[entry.role]}
        groups.append({**head, "first": figures[0], "more": figures[1:], "left_out": 0})
    return groups


def of_entries(entries: Sequence[Entry], kind: type[T]) -> list[tuple[dict[str, str], T]]:
    """Extras of one kind with whose they are, for the template."""
    return [
        ({"generator": entry.name, "role_title": ROLE_TITLES[entry.role]}, item)
        for entry in entries
        for item in of_kind(entry.extras, kind)
    ]


def extra_curves(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Extra curves: one chart for each, but the single lines of several generators under one title share a chart."""
    charts: dict[tuple[str, Curve], list[tuple[str, Line]]] = {}
    for entry in entries:
        for curve in of_kind(entry.extras, Curve):
            owner = "" if len(curve.series) == 1 else entry.name
            lines = [(entry.name, line) for line in curve.series]
            charts.setdefault((owner, replace(curve, series=())), []).extend(lines)
    figures = []
    for (owner, curve), drawn in charts.items():
        title = f"{curve.title}: {owner}" if owner else curve.title
        names = list(dict.fromkeys(name for name, _ in drawn))
        every = [Series(name if len(names) > 1 else line.name, line.points) for name, line in drawn]
        for series in _parts(every):
            svg = line_chart(
                series,
                curve.x,
                curve.y,
                title=title,
                log_x=curve.log_x,
                log_y=curve.log_y,
                width=420,
                height=270,
                markers=all(len(line.points) <= 30 for line in series),
            )
            if svg:
                named = len(every) > 1 or names[0] != series[0].name
                legend = [(marker_svg(i), line.name) for i, line in enumerate(series)] if named else []
                figures.append({"title": title, "svg": svg, "legend": legend})
    return figures


def _parts(items: Sequence[T]) -> list[Sequence[T]]:
    """What shares one chart: at most eight series, as even as can be."""
    count = -(-len(items) // MOST_SERIES)
    size = -(-len(items) // count) if count else 1
    return [items[i : i + size] for i in range(0, len(items), size)]


def learning_curves(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Loss by step, by second and by FLOP; generators of one system on one data set share the axes, because their
    losses compare."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        if sum(map(math.isfinite, entry.history.get("loss", ()))) > 1:
            groups.setdefault((entry.system, entry.dataset), []).append(entry)
    figures = []
    for (system, dataset), everyone in groups.items():
        for members in _parts(everyone):
            charts = []
            for column, title in (("step", "step"), ("seconds", "seconds"), ("flops", "FLOP")):
                series = [
                    Series(e.name, bucket_means(e.history[column], e.history["loss"]))
                    for e in members
                    if column in e.history
                ]
                positive = all(y > 0 for line in series for _, y in line.points)
                name = f"{system} on {dataset}: loss by {title}"
                svg = line_chart(series, title, "training loss", title=name, log_y=positive)
                if svg:
                    charts.append(svg)
            if charts:
                legend = [(marker_svg(i), entry.name) for i, entry in enumerate(members)]
                figures.append({"title": f"{system} on {dataset}", "charts": charts, "legend": legend})
    return figures


def micro_pictures(table: Table) -> list[str]:
    """The small interval picture of each line's ranking value, on one scale: that of the generators (a floor far off
    shows none)."""
    column = table.ranking
    if column is None:
        return [""] * len(table.lines)
    index = table.columns.index(column)
    spans: list[tuple[float, float, float] | None] = []
    for line in table.lines:
        cell = line.cells[index]
        known = cell.sort is not None and math.isfinite(cell.sort)
        low, high = cell.bounds or (cell.sort, cell.sort)
        spans.append((float(cell.sort), float(low), float(high)) if known else None)  # type: ignore[arg-type]
    shown = [
        span for span, line in zip(spans, table.lines, strict=True) if span and line.role in ("generator", "ceiling")
    ]
    if len(shown) < 2:
        return [""] * len(table.lines)
    bounds = min(low for _, low, _ in shown), max(high for *_, high in shown)
    log = bounds[0] > 0 and bounds[1] / bounds[0] > 30
    return [micro_interval(*span, bounds, log) if span and bounds[0] <= span[0] <= bounds[1] else "" for span in spans]


def settings_chart(table: Table) -> dict[str, Any] | None:
    """The ranking value of a table without ranks along a numeric setting, a line for each choice of the other settings
    (at most eight, those with most points); None where no line has three points."""
    column = table.ranking
    if table.ranked or column is None:
        return None
    index, share = table.columns.index(column), column.style.format.startswith("percent")
    factor = 100.0 if share else 1.0
    found: dict[str, dict[str, list[tuple[float, float, tuple[float, float] | None]]]] = {}
    for line in table.lines:
        cell = line.cells[index]
        parts = [part.partition("=") for part in line.variant.split(",") if part]
        for i, (name, _, setting) in enumerate(parts):
            value = cell.sort
            if line.role != "generator" or value is None or not math.isfinite(value) or not _NUMBER.fullmatch(setting):
                continue
            others = " ".join(f"{key} {other}" for j, (key, _, other) in enumerate(parts) if j != i)
            label = f"{line.generator} {others}".strip() if len(table.competitors) > 1 or not others else others
            bounds = (factor * cell.bounds[0], factor * cell.bounds[1]) if cell.bounds else None
            point = float(setting), factor * value, bounds
            found.setdefault(name, {}).setdefault(label.replace("_", " "), []).append(point)
    name, series = _longest(found)
    xs, ys = ([point[k] for line in series for point in line.points] for k in (0, 1))
    if not series:
        return None
    svg = line_chart(
        series,
        name.replace("_", " "),
        f"{column.style.title}{', %' if share else ''} {column.arrow}".strip(),
        title=f"{table.title} on {table.dataset}: {column.style.title} by {name.replace('_', ' ')}",
        log_x=_wide(xs),
        log_y=_wide(ys),
        width=520,
        height=270,
        markers=True,
    )
    return {"svg": svg, "legend": [(marker_svg(i), line.name) for i, line in enumerate(series)]} if svg else None


def _longest(
    found: Mapping[str, Mapping[str, list[tuple[float, float, tuple[float, float] | None]]]],
) -> tuple[str, list[Series]]:
    """The setting along which most points lie, and its longest lines."""
    best: tuple[int, str, list[Series]] = (0, "", [])
    for name, lines in found.items():
        long = {
            label: sorted(points, key=lambda point: point[:2])
            for label, points in lines.items()
            if len({x for x, *_ in points}) >= FEWEST_POINTS
        }
        kept = sorted(long, key=lambda label: (-len(long[label]), label))[:MOST_SERIES]
        count = sum(len(long[label]) for label in kept)
        if count > best[0]:
            series = []
            for label in kept:
                spans = tuple(bounds for *_, bounds in long[label] if bounds)
                points = tuple((x, y) for x, y, _ in long[label])
                series.append(Series(label, points, spans if len(spans) == len(points) else ()))
            best = count, name, series
    return best[1:]


def _wide(values: Sequence[float]) -> bool:
    """Whether a logarithmic axis shows them better."""
    return min(values) > 0 and max(values) / min(values) > 20


def position_chart(
    found: Sequence[Headline],
    rows: Sequence[Row],
    schema: Schema,
    metric: str,
    x_title: str,
    width: int = 560,
    height: int = 380,
) -> dict[str, Any] | None:
    """Quality (0 = baseline, 1 = real data of its family) against a cost, all families on one plot; None for fewer
    than three points."""
    costs = {
        (row.record.generator, row.record.variant): row.record.value for row in rows if row.record.metric == metric
    }
    points: list[Point] = []
    legend: dict[int, str] = {}
    for group, family in enumerate(schema.families):
        for headline in found:
            if headline.family != family or headline.scale is None:
                continue
            best = {id(row) for row in best_lines(headline)}
            for row in headline.rows:
                record = row.record
                cost = costs.get((record.generator, record.variant))
                if record.role != "generator" or record.value is None or not cost:
                    continue
                ends = [headline.scale(v) for v in (record.ci95 or (record.value, record.value))]
                y = headline.scale(record.value)
                value = format_value(record.value, headline.style, record.unit)
                cost_text = format_value(cost, metric_style(schema, metric), "FLOP" if metric == "train_flops" else "")
                name = f"{record.generator} {short_variant(record.variant)}".strip()
                text = f"{name}: {headline.style.title} {value}, {y:.0%} of the way, {cost_text}"
                points.append(
                    Point(
                        record.generator, float(cost), y, min(ends), max(ends), group, text, minor=id(row) not in best
                    )
                )
                legend[group] = FAMILIES[family].title
    if len(points) < FEWEST_POINTS:
        return None
    lowest, highest = min(0.0, *(point.y for point in points)), max(1.0, *(point.y for point in points))
    svg = scatter(
        points,
        x_title,
        "position between baseline (0) and real data (1)",
        title=f"Quality against {x_title}",
        y_range=(max(-0.25, lowest) - 0.03, min(1.5, highest) + 0.06),
        width=width,
        height=height,
    )
    return {"svg": svg, "legend": [(marker_svg(group), name) for group, name in legend.items()]}
