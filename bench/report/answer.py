"""The first screen: one sentence with the figures, and for each family who wins, by how much, at what cost, and a
sample to look at."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from bench.catalogue.families import FAMILIES
from bench.report.display import format_interval, format_value, metric_style, short_variant
from bench.report.history import Method, method_of
from bench.report.overview import Headline, best_lines, cost_text
from bench.report.schema import Schema
from bench.report.tables import FEWEST_RANKED, ROLE_TITLES
from bench.results import extras
from bench.results.leaderboard import Row
from bench.results.sources import Sources

__all__ = ["answers", "first_pictures", "summary"]

_PICTURES, _CHARACTERS = 4, 160


def first_pictures(png: bytes, columns: int, wanted: int = _PICTURES, gap: int = 2) -> bytes:
    """PNG of the first pictures of a grid (:func:`bench.results.pictures.grid`)."""
    from PIL import Image

    image: Image.Image = Image.open(io.BytesIO(png))
    columns = columns or 10
    if columns > 1:
        side = (image.width + gap) // columns
        image = image.crop((0, 0, min(image.width, wanted * side - gap), min(image.height, side - gap)))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _sample(sources: Sources, row: Row) -> dict[str, Any]:
    """A line of text or four pictures of the winner: of its shown setting, else of the first that has some."""
    entry = sources.entries[row.record.generator]
    found: dict[str, Any] = {"text": "", "prompt": "", "png": None, "alt": ""}
    texts = extras.of_kind(entry.extras, extras.Text)
    galleries = extras.of_kind(entry.extras, extras.Gallery)
    if texts:
        item = next((text for text in texts if text.variant == row.record.variant), texts[0])
        line = " ".join(item.text.split())
        cut = line if len(line) <= _CHARACTERS else line[:_CHARACTERS].rsplit(" ", 1)[0] + " …"
        found |= {"text": cut, "prompt": item.prompt}
    elif galleries:
        sheet = next((sheet for sheet in galleries if sheet.variant == row.record.variant), galleries[0])
        prompt = " · ".join(sheet.captions[:_PICTURES])
        found |= {
            "png": first_pictures(sheet.png, sheet.columns),
            "alt": f"First pictures of {entry.name}" + (f": {prompt}" if prompt else ""),
            "prompt": prompt,
        }
    return found


def _answer(
    headline: Headline, sources: Sources, rows: Sequence[Row], schema: Schema, methods: Sequence[Method]
) -> dict[str, Any] | None:
    best = headline.best
    if best is None or best.record.value is None:
        return None
    record, style = best.record, headline.style
    assert record.value is not None
    marks = {}
    for role in ("floor", "memoriser", "ceiling"):
        row = headline.of_role(role)
        if row is not None:
            marks[role] = (ROLE_TITLES[role], format_value(row.record.value, style, record.unit))
    scale = headline.scale
    if "ceiling" not in marks and scale is not None:
        marks["ceiling"] = ("ideal", format_value(scale.ceiling, style, record.unit))

    def position(value: float) -> float | None:
        return round(100 * min(1.0, max(0.0, scale(value))), 1) if scale else None

    ends = sorted(position(bound) or 0.0 for bound in record.ci95) if scale and record.ci95 else None
    method = method_of(methods, record.system, record.variant)
    competitors = best_lines(headline)
    return {
        "family": headline.family,
        "title": FAMILIES[headline.family].title,
        "dataset": headline.dataset,
        "generator": record.generator,
        "variant": short_variant(record.variant),
        "variant_id": record.variant,
        "year": method.year if method else None,
        "source": method.source if method else "",
        "metric": style.title,
        "better": {True: "higher is better", False: "lower is better", None: ""}[record.higher_is_better],
        "arrow": {True: "↑", False: "↓", None: ""}[record.higher_is_better],
        "value": format_value(record.value, style, record.unit),
        "interval": format_interval(record.ci95, style),
        "tied": list(headline.tied),
        "of": len(competitors),
        "ranked": len(competitors) >= FEWEST_RANKED,
        "marks": list(marks.values()),
        "low": marks.get("floor"),
        "high": marks.get("ceiling"),
        "position": position(record.value),
        "ends": ends,
        "ceiling_title": scale.ceiling_title if scale else "",
        "costs": [
            (metric_style(schema, metric).title, cost_text(rows, record, metric, schema))
            for metric in ("train_seconds", "sample_seconds_per_item")
        ],
        "sample": _sample(sources, best),
    }


def _unscored(family: str, sources: Sources, rows: Sequence[Row], methods: Sequence[Method]) -> dict[str, Any] | None:
    """A family without a headline metric: its first measured generator, with a sample, its costs in the tables."""
    mine = [row for row in rows if row.record.family == family and row.record.role == "generator" and row.shown]
    if not mine:
        return None
    record = mine[0].record
    method = method_of(methods, record.system, record.variant)
    return {
        "family": family,
        "title": FAMILIES[family].title,
        "generator": record.generator,
        "variant": short_variant(record.variant),
        "year": method.year if method else None,
        "source": method.source if method else "",
        "value": "",
        "costs": [],
        "sample": _sample(sources, mine[0]),
    }


def answers(
    found: Sequence[Headline], sources: Sources, rows: Sequence[Row], schema: Schema, methods: Sequence[Method]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """One for each family, by its first headline metric on the data set with most generators (a family without such a
    metric has no score); and all the others."""
    chosen: dict[str, Headline] = {}
    for headline in found:
        rival = chosen.get(headline.family)
        if rival is None or (headline.key[1] == rival.key[1] and len(best_lines(headline)) > len(best_lines(rival))):
            chosen[headline.family] = headline
    made = [(headline, _answer(headline, sources, rows, schema, methods)) for headline in found]
    best = {headline.family: answer for headline, answer in made if chosen[headline.family] is headline}
    every = (best.get(family) or _unscored(family, sources, rows, methods) for family in schema.families)
    first = [answer for answer in every if answer]
    rest = [answer for headline, answer in made if answer and chosen[headline.family] is not headline]
    return first, rest


def summary(sources: Sources, methods: Sequence[Method], counts: Mapping[str, int]) -> str:
    """The report in one sentence; ``counts`` of the verdicts of claims, in the order of the page."""
    generators = [entry for entry in sources.entries.values() if entry.role == "generator"]
    years = [method.year for entry in generators if (method := method_of(methods, entry.system))]
    seconds = sum(float(entry.train.get("seconds") or 0.0) for entry in sources.entries.values())
    families = len({entry.family for entry in generators})
    span = f" of the years {min(years)} to {max(years)}" if years else ""
    amount = f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{seconds / 60:.0f} minutes"
    verdicts = ", ".join(f"{count} {name}" for name, count in counts.items())
    return (
        f"{len(generators)} generators of {families} families{span}, {amount} of training in total; of "
        f"{sum(counts.values())} claims from the literature {verdicts}."
    )
