"""The report: what the template is given, and the page itself. The page holds everything it shows and loads nothing."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.catalogue.families import FAMILIES
from bench.data.contamination import sentences
from bench.report.claims import FAILS, HOLDS, UNCLEAR, Comparison, Verdict, count_verdicts
from bench.report.display import format_interval, format_value, metric_style, short_variant
from bench.report.figures import (
    dense_picture,
    extra_curves,
    film,
    gallery,
    learning_curves,
    micro_pictures,
    of_entries,
    picture,
    position_chart,
)
from bench.report.overview import Headline, best_lines, headlines
from bench.report.schema import Schema
from bench.report.tables import ROLE_ORDER, ROLE_TITLES, Table, build_tables, leftover
from bench.results import extras
from bench.results.leaderboard import Row
from bench.results.sources import Entry, Sources

__all__ = ["build_context", "data_uri", "render"]

_BADGES = {HOLDS: ("holds", "✓"), FAILS: ("fails", "✗"), UNCLEAR: ("unclear", "?")}


def _provenance(entry: Entry, sources: Sources) -> dict[str, Any]:
    """Where a generator's rows come from and how to make them again."""
    import yaml

    stages = [entry.stages[kind] for kind in ("train", "sample", "evaluate") if kind in entry.stages]
    plain = [
        f"python stages/{kind}.py {entry.name}"
        for kind in ("train", "sample", "evaluate")
        if kind != "sample" or FAMILIES[entry.family].samples
    ]
    machine = entry.train.get("machine") or {}
    block = {
        key: value for key, value in entry.block.items() if key not in ("name", "family") and value not in ({}, None)
    }
    return {
        "name": entry.name,
        "system": entry.system,
        "dataset": entry.dataset,
        "role_title": ROLE_TITLES[entry.role],
        "facts": [
            (name, value)
            for name, value in (
                ("commit", sources.commit),
                ("DVC stages", ", ".join(stages)),
                ("data", f"{entry.dataset} {entry.data_hash}".strip()),
                ("profile, seed", f"{sources.profile}, {sources.seed}"),
                ("run key", entry.run_key),
                ("machine", ", ".join(str(machine[key]) for key in ("name", "device") if machine.get(key))),
                ("threads", str(machine.get("threads", ""))),
            )
            if value
        ],
        "command": "dvc repro -s " + " ".join(stages) if stages else " && ".join(plain),
        "parameters": yaml.safe_dump(
            {entry.family: {entry.name: block}}, sort_keys=False, allow_unicode=True, width=100
        ).rstrip(),
        "notes": [note.text for note in extras.of_kind(entry.extras, extras.Note)],
    }


def _tile(headline: Headline) -> dict[str, Any] | None:
    """The overview's card of one family."""
    best = headline.best
    if best is None or best.record.value is None:
        return None
    record, style = best.record, headline.style
    assert record.value is not None
    marks = []
    for role in ("floor", "memoriser", "ceiling"):
        row = headline.of_role(role)
        if row is not None:
            marks.append((ROLE_TITLES[role], format_value(row.record.value, style, record.unit)))
    position = headline.scale(record.value) if headline.scale else None
    return {
        "family": headline.family,
        "title": FAMILIES[headline.family].title,
        "dataset": headline.dataset,
        "generator": record.generator,
        "variant": short_variant(record.variant),
        "variant_id": record.variant,
        "metric": style.title,
        "arrow": {True: "↑", False: "↓", None: ""}[record.higher_is_better],
        "value": format_value(record.value, style, record.unit),
        "interval": format_interval(record.ci95, style),
        "tied": ", ".join(headline.tied),
        "marks": marks,
        "position": None if position is None else round(100 * min(1.0, max(0.0, position)), 1),
        "ceiling_title": headline.scale.ceiling_title if headline.scale else "",
    }


def _side(side: Mapping[str, Any], schema: Schema) -> str:
    """One side of a comparison as text."""
    if "generator" not in side:
        return f"{side['value']:g}"
    style = metric_style(schema, str(side["metric"]))
    name = " ".join(
        part
        for part in (
            side["generator"],
            short_variant(str(side["variant"])),
            f"({side['slice']})" if side["slice"] else "",
        )
        if part
    )
    ci = side.get("ci95")
    interval = f" [{format_interval((ci[0], ci[1]), style)}]" if ci else ""
    return f"{name}: {format_value(side['value'], style)}{interval}"


def _weakness(item: Comparison) -> tuple[int, float]:
    """Failing pairs first, then open ones, then those that hold by least."""
    order = {FAILS: 0, UNCLEAR: 1, HOLDS: 2}[item.verdict]
    return order, abs(item.estimate) if item.estimate is not None and math.isfinite(item.estimate) else math.inf


def _claim(verdict: Verdict, schema: Schema, limit: int = 12) -> dict[str, Any]:
    badge, sign = _BADGES[verdict.verdict]
    numbers = []
    for item in sorted(verdict.comparisons, key=_weakness):
        shown = "" if item.estimate is None or not math.isfinite(item.estimate) else f"{item.estimate:.3g}"
        interval = (
            ""
            if item.interval is None or not all(map(math.isfinite, item.interval))
            else f"[{item.interval[0]:.3g}, {item.interval[1]:.3g}]"
        )
        sides = [_side(side, schema) for side in (item.left, item.right)]
        numbers.append(
            {
                "left": sides[0],
                "right": sides[1],
                "estimate": f"{shown} {interval}".strip(),
                "verdict": item.verdict,
                "badge": _BADGES[item.verdict][0],
                "reason": item.reason,
            }
        )
    test = verdict.claim.test
    return {
        "claim": verdict.claim,
        "verdict": verdict.verdict,
        "badge": badge,
        "sign": sign,
        "reason": verdict.reason,
        "numbers": numbers[:limit],
        "more": max(0, len(numbers) - limit),
        "estimate_title": {"ratio": "ratio", "agree": "order"}.get(str(test["kind"]), "difference"),
    }


def _family(
    family: str,
    sources: Sources,
    tables: Sequence[Table],
    rest: Sequence[Row],
    found: Sequence[Headline],
    schema: Schema,
) -> dict[str, Any]:
    best = {
        row.record.generator: row.record.variant
        for headline in found
        if headline.family == family
        for row in best_lines(headline)
    }
    entries = sorted((e for e in sources.entries.values() if e.family == family), key=lambda e: ROLE_ORDER[e.role])
    return {
        "id": family,
        "title": FAMILIES[family].title,
        "about": schema.families[family].about,
        "tables": [_board(table) for table in tables if table.family == family],
        "leftover": [_plain(row, schema) for row in rest if row.record.family == family],
        "gallery": gallery(entries, best),
        "texts": _texts(entries, best),
        "strips": [
            (whose, item, picture(item.png, item.alt or item.title, 900))
            for whose, item in of_entries(entries, extras.Strip)
        ],
        "films": [(whose, item, film(item)) for whose, item in of_entries(entries, extras.Film)],
        "figures": [(whose, item, dense_picture(item)) for whose, item in of_entries(entries, extras.Figure)],
        "extra_tables": of_entries(entries, extras.Table),
        "curves": extra_curves(entries),
        "learning": learning_curves(entries),
        "provenance": [_provenance(entry, sources) for entry in entries],
        "missing": [entry.name for entry in entries if not entry.records],
    }


def _board(table: Table) -> dict[str, Any]:
    """A table with the picture of each line's ranking value."""
    rank_index = table.columns.index(table.ranking) if table.ranking else None
    lines = list(zip(table.lines, micro_pictures(table), strict=True))
    return {
        "table": table,
        "lines": lines,
        "rank_index": rank_index,
        "folded": sum(not line.shown for line in table.lines),
    }


def _plain(row: Row, schema: Schema) -> dict[str, Any]:
    """A row in long form."""
    record, style = row.record, metric_style(schema, row.record.metric)
    value, interval = format_value(record.value, style, record.unit), format_interval(record.ci95, style)
    return {"record": record, "title": style.title, "value": value, "interval": interval}


def _texts(entries: Sequence[Entry], best: Mapping[str, str]) -> list[dict[str, Any]]:
    """Text samples by generator, those of its best setting first."""
    found = []
    for entry in entries:
        items = extras.of_kind(entry.extras, extras.Text)
        items.sort(key=lambda item: item.variant != best.get(entry.name))
        if items:
            found.append({"generator": entry.name, "role_title": ROLE_TITLES[entry.role], "items": items})
    return found


def build_context(
    sources: Sources,
    rows: Sequence[Row],
    verdicts: Sequence[Verdict],
    schema: Schema,
    literature: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything that the template shows: plain data, ready SVG, pictures and films as bytes."""
    tables = build_tables(rows, schema)
    rest = leftover(rows, tables)
    found = headlines(rows, schema)
    shown = {column.metric for table in tables for column in table.columns}
    machines = dict.fromkeys(
        str((entry.train.get("machine") or {}).get("name", "")) for entry in sources.entries.values()
    )
    present = [
        family for family in schema.families if any(entry.family == family for entry in sources.entries.values())
    ]
    return {
        "schema": schema,
        "sources": sources,
        "repeated": {name: sentences(meta) for name, meta in sources.datasets.items()},
        "rows": len(rows),
        "generators": sum(entry.role == "generator" for entry in sources.entries.values()),
        "references": sum(entry.role != "generator" for entry in sources.entries.values()),
        "machines": [name for name in machines if name],
        "tiles": [tile for tile in (_tile(headline) for headline in found) if tile],
        "claims": [_claim(verdict, schema) for verdict in verdicts],
        "verdicts": [(name, _BADGES[name], count) for name, count in count_verdicts(verdicts).items()],
        "controls": count_verdicts(verdicts, control=True),
        "main_plot": position_chart(found, rows, schema, "train_seconds", "training seconds", 1140, 430),
        "plots": [
            position_chart(found, rows, schema, "train_flops", "training FLOP"),
            position_chart(found, rows, schema, "sample_seconds_per_item", "seconds for one sample"),
        ],
        "scales": [(FAMILIES[h.family].title, h) for h in found if h.scale is not None],
        "families": [_family(family, sources, tables, rest, found, schema) for family in present],
        "literature": literature.get("rows") or [],
        "glossary": [
            metric_style(schema, metric)
            for metric in dict.fromkeys(c.metric for t in tables for c in t.columns)
            if metric in shown
        ],
    }


def data_uri(content: bytes, kind: str = "image/png") -> str:
    """A picture or film inside the page; ``kind`` is its MIME type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def render(context: Mapping[str, Any], templates: Path) -> str:
    """The page, from ``report.html.j2`` in ``templates``."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["data_uri"] = data_uri
    return environment.get_template("report.html.j2").render(context)
