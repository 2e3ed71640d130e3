"""How numbers are written for people: formats by metric, compact units, intervals. Data for it:
``reports/schema.yaml``."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.catalogue.metrics import CATALOGUE
from bench.report.schema import MetricView, Schema

__all__ = ["MetricStyle", "format_interval", "format_value", "metric_style", "short_variant"]

_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


@dataclass(frozen=True)
class MetricStyle:
    """How one metric is shown.

    Attributes:
        name: canonical name.
        title: column heading.
        format: ``fixed:N``, ``percent``, ``sig:N``, ``seconds``, ``bytes`` or ``count``.
        about: one sentence for the glossary.
        unit: False where the title says the unit.
    """

    name: str
    title: str
    format: str = "sig:3"
    about: str = ""
    unit: bool = True


def metric_style(schema: Schema, name: str) -> MetricStyle:
    """Title and format that ``reports/schema.yaml`` gives a metric, over what the catalogue of metrics knows of it."""
    view, info = schema.metrics.get(name, MetricView()), CATALOGUE.get(name)
    title = view.title or (info.title if info else name.replace("_", " "))
    plain = "percent" if info and info.share else "sig:3"
    return MetricStyle(name, title, view.format or plain, info.meaning if info else "", view.unit)


def _significant(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if exponent >= 5 or exponent < -4:
        return f"{value:.{digits - 1}e}".replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
    rounded = round(value, digits - 1 - exponent)
    return f"{rounded:,.{max(0, digits - 1 - exponent)}f}"


def _scaled(value: float, unit: str) -> str:
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor:
            return f"{_significant(value / factor, 3)} {prefix}{unit}".rstrip()
    return f"{_significant(value, 3)} {unit}".rstrip()


def _seconds(value: float) -> str:
    if value >= 120:
        return f"{_significant(value / 60, 3)} min"
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= factor:
            return f"{_significant(value / factor, 3)} {unit}"
    return "0 s" if value == 0 else f"{_significant(value / 1e-9, 3)} ns"


def format_value(value: float | None, style: MetricStyle, unit: str = "") -> str:
    """A value for people; None is an infinite one.

    >>> format_value(0.947, MetricStyle("class_accuracy", "accuracy", "percent"))
    '94.7 %'
    >>> format_value(None, MetricStyle("perplexity", "perplexity"))
    '∞'
    """
    if value is None:
        return "∞"
    kind, _, digits = style.format.partition(":")
    unit = unit if style.unit else ""
    if kind == "percent":
        return f"{100 * value:.{int(digits or 1)}f} %"
    if kind == "fixed":
        return f"{value:,.{int(digits or 2)}f}" + (f" {unit}" if unit else "")
    if kind == "seconds":
        return _seconds(value)
    if kind == "bytes":
        return _scaled(value, "B")
    if kind == "count":
        return _scaled(value, "FLOP" if unit == "FLOP" else "")
    return _significant(value, int(digits or 3)) + (f" {unit}" if unit else "")


def format_interval(ci95: tuple[float, float] | None, style: MetricStyle) -> str:
    """``low – high`` in the format of the value, without its unit; ``""`` for none.

    >>> format_interval((0.91, 0.97), MetricStyle("class_accuracy", "accuracy", "percent"))
    '91.0 – 97.0'
    """
    if ci95 is None:
        return ""
    low, high = (format_value(bound, style) for bound in ci95)
    return f"{low.removesuffix(' %')} – {high.removesuffix(' %')}"


def short_variant(text: str) -> str:
    """The settings for people.

    >>> short_variant("n=5,smoothing=kneser_ney")
    'n 5 · smoothing kneser ney'
    """
    return " · ".join(part.replace("=", " ").replace("_", " ") for part in text.split(",") if part)
