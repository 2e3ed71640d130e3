"""Charts as inline SVG: no library, no script. Colours come from the page's CSS variables ``--s0`` to ``--s7``, so that
light, dark and print each have their own; every series also has its own marker, so that nothing hangs on colour
alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = [
    "Point",
    "Series",
    "effect_picture",
    "line_chart",
    "marker_path",
    "marker_svg",
    "micro_interval",
    "scatter",
    "ticks",
]

FEWEST_TICKS = 3
"""On every axis: fewer do not show whether it is linear."""
MOST_SERIES = 8
"""In one chart: more have no colour and mark of their own."""
FEWEST_POINTS = 3
"""Of a chart's longest series: fewer are a sentence, not a chart."""
MARKERS = ("circle", "square", "triangle", "diamond", "cross", "down", "hexagon", "bar")


@dataclass(frozen=True)
class Series:
    """A named line: (x, y) points in order, and the 95 % interval of each, or none."""

    name: str
    points: tuple[tuple[float, float], ...]
    intervals: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Point:
    """A labelled point with an interval in y; ``group`` chooses colour and marker; ``minor`` points carry no label."""

    label: str
    x: float
    y: float
    low: float
    high: float
    group: int
    title: str
    minor: bool = False


@dataclass(frozen=True)
class _Axis:
    """A scale from data to pixels."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    def __call__(self, value: float) -> float:
        a, b, v = (
            math.log10(x) if self.log else x for x in (self.low, self.high, max(value, self.low) if self.log else value)
        )
        share = (v - a) / (b - a) if b > a else 0.5
        return self.start + share * (self.end - self.start)


def ticks(low: float, high: float, log: bool = False, count: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``.

    >>> ticks(0, 10)
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    >>> ticks(1, 1000, log=True)
    [1.0, 10.0, 100.0, 1000.0]
    """
    if log:
        first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
        step = max(1, -(-(last - first) // count))
        found = [10.0**e for e in range(first, last + 1, step) if low * 0.999 <= 10.0**e <= high * 1.001]
        if len(found) >= FEWEST_TICKS:
            return found
        inside = [m * 10.0**e for e in range(first - 1, last + 1) for m in (1, 2, 5)]
        found = [value for value in inside if low * 0.999 <= value <= high * 1.001]
        if len(found) >= FEWEST_TICKS:
            return found
    span = high - low
    if span <= 0:
        return [low]
    while len(found := _even(low, high, count)) < FEWEST_TICKS:
        count += 1
    return found


def _even(low: float, high: float, count: int) -> list[float]:
    """About ``count`` multiples of 1, 2, 2.5 or 5 times a power of ten."""
    span = high - low
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    step_size = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step_size - 1e-9)
    return [round(i * step_size, 12) for i in range(first, math.floor(high / step_size + 1e-9) + 1)]


def _label(value: float) -> str:
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)) + 1e-9)
    if exponent >= 5 or exponent <= -4:
        mantissa = value / 10.0**exponent
        power = f'10<tspan dy="-4" font-size="8">{exponent}</tspan>'
        return power if abs(mantissa - 1) < 1e-6 else f"{mantissa:g}·{power}"
    return f"{value:,.6g}"


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def marker_path(kind: int, x: float, y: float, r: float = 4.0) -> str:
    """The marker of a series at a place."""
    name = MARKERS[kind % len(MARKERS)]
    if name == "circle":
        return f'<circle class="m" cx="{_n(x)}" cy="{_n(y)}" r="{_n(r)}"/>'
    if name == "square":
        return (
            f'<rect class="m" x="{_n(x - r * 0.9)}" y="{_n(y - r * 0.9)}" width="{_n(r * 1.8)}" '
            f'height="{_n(r * 1.8)}"/>'
        )
    shapes = {
        "triangle": ((0, -1.2), (1.1, 0.9), (-1.1, 0.9)),
        "down": ((0, 1.2), (1.1, -0.9), (-1.1, -0.9)),
        "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
        "cross": ((-1.2, -1.2), (0, -0.55), (1.2, -1.2), (0.55, 0), (1.2, 1.2), (0, 0.55), (-1.2, 1.2), (-0.55, 0)),
        "bar": ((-0.5, -1.3), (0.5, -1.3), (0.5, 1.3), (-0.5, 1.3)),
        "hexagon": ((0, -1.2), (1.05, -0.6), (1.05, 0.6), (0, 1.2), (-1.05, 0.6), (-1.05, -0.6)),
    }
    corners = " ".join(f"{_n(x + r * dx)},{_n(y + r * dy)}" for dx, dy in shapes[name])
    return f'<polygon class="m" points="{corners}"/>'


def marker_svg(group: int) -> str:
    """The marker of a series alone, for a legend in HTML."""
    mark = f'<g class="g{group % len(MARKERS)}">{marker_path(group, 7, 7, 4.5)}</g>'
    return f'<svg class="key" viewBox="0 0 14 14" width="14" height="14" aria-hidden="true">{mark}</svg>'


def _frame(
    width: int,
    height: int,
    x: _Axis,
    y: _Axis,
    x_title: str,
    y_title: str,
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
) -> str:
    parts = []
    for value in y_ticks:
        at = y(value)
        parts.append(f'<line class="grid" x1="{_n(x.start)}" x2="{_n(x.end)}" y1="{_n(at)}" y2="{_n(at)}"/>')
        parts.append(
            f'<text class="tick" x="{_n(x.start - 6)}" y="{_n(at + 3.5)}" text-anchor="end">{_label(value)}</text>'
        )
    for value in x_ticks:
        at = x(value)
        parts.append(f'<line class="grid" x1="{_n(at)}" x2="{_n(at)}" y1="{_n(y.start)}" y2="{_n(y.start + 4)}"/>')
        parts.append(
            f'<text class="tick" x="{_n(at)}" y="{_n(y.start + 16)}" text-anchor="middle">{_label(value)}</text>'
        )
    parts.append(f'<line class="axis" x1="{_n(x.start)}" x2="{_n(x.end)}" y1="{_n(y.start)}" y2="{_n(y.start)}"/>')
    parts.append(
        f'<text class="title" x="{_n((x.start + x.end) / 2)}" y="{height - 6}" '
        f'text-anchor="middle">{escape(x_title)}</text>'
    )
    parts.append(f'<text class="title" x="{_n(x.start - 44)}" y="12">{escape(y_title)}</text>')
    return "".join(parts)


def _svg(width: int, height: int, title: str, description: str, body: str, kind: str = "chart") -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{body}</svg>"
    )


def _range(values: Sequence[float], log: bool, pad: float = 0.05) -> tuple[float, float]:
    low, high = min(values), max(values)
    if log:
        if high <= low:
            return low / 2, high * 2
        factor = (high / low) ** pad
        return low / factor, high * factor
    span = (high - low) or abs(high) or 1.0
    return low - pad * span, high + pad * span


def line_chart(
    series: Sequence[Series],
    x_title: str,
    y_title: str,
    *,
    title: str,
    log_x: bool = False,
    log_y: bool = False,
    width: int = 360,
    height: int = 240,
    markers: bool = False,
) -> str:
    """Lines over one pair of axes; points that a log axis cannot show are left out. ``""`` if no line
    keeps three of them."""
    kept = []
    for index, item in enumerate(series):
        places = [
            (x, y, *(min(max(bound, y / 1e3), y * 1e3) if log_y else bound for bound in interval))
            for (x, y), interval in zip(item.points, item.intervals or item.points, strict=True)
            if math.isfinite(x) and math.isfinite(y) and (x > 0 or not log_x) and (y > 0 or not log_y)
        ]
        if places:
            points = [(x, y) for x, y, *_ in places]
            kept.append((index, item.name, points, [(x, low, high) for x, _, low, high in places if item.intervals]))
    if max((len(points) for _, _, points, _ in kept), default=0) < FEWEST_POINTS:
        return ""
    xs, ys = ([point[k] for _, _, points, _ in kept for point in points] for k in (0, 1))
    ends = [bound for *_, spans in kept for _, *bounds in spans for bound in bounds]
    x = _Axis(*_range(xs, log_x, 0.02), 52, width - 14, log_x)
    y = _Axis(*_range([*ys, *ends], log_y), height - 40, 24, log_y)
    body = [_frame(width, height, x, y, x_title, y_title, ticks(x.low, x.high, log_x, 4), ticks(y.low, y.high, log_y))]
    for index, name, points, spans in kept:
        path = "M" + "L".join(f"{_n(x(px))} {_n(y(py))}" for px, py in points)
        dots = points if markers else [points[-1]]
        drawn = "".join(
            f'<line class="w" x1="{_n(x(px))}" x2="{_n(x(px))}" y1="{_n(y(low))}" y2="{_n(y(high))}"/>'
            for px, low, high in spans
        ) + "".join(marker_path(index, x(px), y(py), 3.5) for px, py in dots)
        body.append(
            f'<g class="g{index % len(MARKERS)}"><title>{escape(name)}</title><path class="l" d="{path}"/>{drawn}</g>'
        )
    said = "; ".join(f"{name}: from {points[0][1]:.4g} to {points[-1][1]:.4g}" for _, name, points, _ in kept)
    return _svg(width, height, title, f"{y_title} against {x_title}. {said}.", "".join(body))


def _place_labels(
    points: Sequence[tuple[Point, float, float]], width: int, bottom: float
) -> list[tuple[str, float, float, str]]:
    """(text, x, y, anchor) of labels that overlap neither each other nor a marker, where there is room."""
    boxes = [(px - 6, py - 6, px + 6, py + 6) for _, px, py in points]
    placed = []
    for point, px, py in points:
        if point.minor:
            continue
        size = 6.9 * len(point.label)
        options = [(px + 9, py + 4, "start"), (px - 9, py + 4, "end")]
        options += [
            (px + dx, py + dy, anchor)
            for dy in (-10, 17, -22, 29, -34, 41)
            for dx, anchor in ((6, "start"), (-6, "end"))
        ]
        for lx, ly, anchor in options:
            left = lx if anchor == "start" else lx - size
            box = (left, ly - 10, left + size, ly + 2)
            if box[0] < 50 or box[2] > width - 2 or box[1] < 16 or box[3] > bottom:
                continue
            own = (px - 6, py - 6, px + 6, py + 6)
            if all(box[2] < b[0] or b[2] < box[0] or box[3] < b[1] or b[3] < box[1] for b in boxes if b != own):
                boxes.append(box)
                placed.append((point.label, lx, ly, anchor))
                break
    return placed


def scatter(
    points: Sequence[Point],
    x_title: str,
    y_title: str,
    *,
    title: str,
    log_x: bool = True,
    y_range: tuple[float, float] | None = None,
    width: int = 760,
    height: int = 400,
) -> str:
    """Labelled points with intervals in y. ``""`` for fewer than three."""
    shown = [
        point for point in points if math.isfinite(point.x) and math.isfinite(point.y) and (point.x > 0 or not log_x)
    ]
    if len(shown) < FEWEST_POINTS:
        return ""
    x = _Axis(*_range([point.x for point in shown], log_x, 0.06), 52, width - 16, log_x)
    y = _Axis(
        *(y_range or _range([v for point in shown for v in (point.low, point.high)], False)), height - 40, 24, False
    )
    body = [_frame(width, height, x, y, x_title, y_title, ticks(x.low, x.high, log_x, 7), ticks(y.low, y.high))]
    at = [(point, x(point.x), y(min(max(point.y, y.low), y.high))) for point in shown]
    for point, px, py in at:
        low, high = (y(min(max(v, y.low), y.high)) for v in (point.low, point.high))
        whisker = (
            f'<line class="w" x1="{_n(px)}" x2="{_n(px)}" y1="{_n(low)}" y2="{_n(high)}"/>' if low - high > 1 else ""
        )
        weight = " minor" if point.minor else ""
        marker = marker_path(point.group, px, py, 3.2 if point.minor else 5.5)
        body.append(
            "<g "
            f'class="g{point.group % len(MARKERS)}{weight}"><title>{escape(point.title)}</title>{whisker}{marker}</g>'
        )
    for text, lx, ly, anchor in _place_labels(at, width, height - 40):
        body.append(f'<text class="label" x="{_n(lx)}" y="{_n(ly)}" text-anchor="{anchor}">{escape(text)}</text>')
    listing = "; ".join(point.title for point in shown if not point.minor)
    return _svg(width, height, title, f"{y_title} against {x_title}. {listing}.", "".join(body))


def micro_interval(
    value: float, low: float, high: float, bounds: tuple[float, float], log: bool = False, width: int = 96
) -> str:
    """A dot with its interval on a short common scale: the picture beside a number in a table (decorative: the number
    is the text)."""
    if log and (bounds[0] <= 0 or value <= 0):
        log = False
    axis = _Axis(bounds[0], bounds[1], 4, width - 4, log)
    left, right, at = (axis(min(max(v, bounds[0]), bounds[1])) for v in (low, high, value))
    whisker = f'<line class="w" x1="{_n(left)}" x2="{_n(right)}" y1="7" y2="7"/>' if right - left > 1 else ""
    return (
        f'<svg class="micro" viewBox="0 0 {width} 14" width="{width}" height="14" aria-hidden="true">'
        f'<line class="grid" x1="4" x2="{width - 4}" y1="7" y2="7"/>{whisker}<circle class="m" cx="{_n(at)}" '
        'cy="7" r="3.5"/></svg>'
    )


def effect_picture(value: float, interval: tuple[float, float], limits: Sequence[float], width: int = 110) -> str:
    """An effect with its interval beside the limits that it must exceed or stay within (decorative, as
    :func:`micro_interval`)."""
    low, high = _range([value, *interval, *limits], False, 0.1)
    axis = _Axis(low, high, 4, width - 4, False)
    marks = "".join(
        f'<line class="limit" x1="{_n(axis(v))}" x2="{_n(axis(v))}" y1="1" y2="13"/>' for v in dict.fromkeys(limits)
    )
    left, right = (axis(v) for v in interval)
    return (
        f'<svg class="micro" viewBox="0 0 {width} 14" width="{width}" height="14" aria-hidden="true">'
        f'<line class="grid" x1="4" x2="{width - 4}" y1="7" y2="7"/>{marks}'
        f'<line class="w" x1="{_n(left)}" x2="{_n(right)}" y1="7" y2="7"/>'
        f'<circle class="m" cx="{_n(axis(value))}" cy="7" r="3.5"/></svg>'
    )
