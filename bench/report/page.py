"""The report: what the template is given, and the page itself. The page holds everything it shows and loads nothing."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.catalogue.families import FAMILIES
from bench.data.contamination import sentences
from bench.report.answer import answers, summary
from bench.report.claim_view import BADGES, claim_rows
from bench.report.claims import Verdict, count_verdicts
from bench.report.display import metric_style
from bench.report.figures import (
    BESIDE,
    dense_picture,
    extra_curves,
    film,
    gallery,
    learning_curves,
    micro_pictures,
    of_entries,
    picture,
    position_chart,
    settings_chart,
)
from bench.report.history import Method, marks, method_of, timeline
from bench.report.island import island, leftover
from bench.report.overview import Headline, best_lines, headlines
from bench.report.pictures import small_picture
from bench.report.schema import Schema
from bench.report.tables import ROLE_ORDER, ROLE_TITLES, Table, build_tables
from bench.results import extras
from bench.results.leaderboard import Row
from bench.results.pictures import png_size
from bench.results.sources import Entry, Sources

__all__ = ["build_context", "data_uri", "picture_uri", "render"]

MOST_TEXTS = 4
"""Samples of the shown setting of a generator, and settings besides it: all are under evaluations/."""
PICTURE_BYTES, FILM_BYTES = 1_150_000, 560_000
"""What the page may take for pictures and for films, so that it stays below 4 MB."""


def _provenance(entry: Entry, sources: Sources, methods: Sequence[Method]) -> dict[str, Any]:
    """Where a generator's rows come from and how to make them again."""
    import yaml

    stages = [entry.stages[kind] for kind in ("train", "sample", "evaluate") if kind in entry.stages]
    plain = [
        f"python stages/{kind}.py {entry.name}"
        for kind in ("train", "sample", "evaluate")
        if kind != "sample" or FAMILIES[entry.family].samples
    ]
    machine = entry.train.get("machine") or {}
    method = method_of(methods, entry.system)
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
                ("method", f"{method.title}: {method.source}" if method else ""),
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


def _family(
    family: str,
    sources: Sources,
    tables: Sequence[Table],
    rest: Sequence[Row],
    found: Sequence[Headline],
    schema: Schema,
    methods: Sequence[Method],
) -> dict[str, Any]:
    mine = [table for table in tables if table.family == family]
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
        "tables": [_board(table) for table in mine if table.ranked],
        "settings": [_board(table) for table in mine if not table.ranked],
        "further": sum(row.record.family == family for row in rest),
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
        "provenance": [_provenance(entry, sources, methods) for entry in entries],
        "missing": [entry.name for entry in entries if not entry.records],
    }


def _fit(families: Sequence[dict[str, Any]], taken: int) -> None:
    """Take samples of further settings, figures, strips and films out, largest first, until the page is small enough;
    each place says so. ``taken``: bytes of the pictures of the first screen."""

    def size(png: bytes) -> int:
        return len(small_picture(png)[1])

    def sheet(item: Mapping[str, Any]) -> int:
        return sum(size(item[key]["png"]) for key in ("main", *BESIDE) if item.get(key))

    candidates: list[tuple[int, dict[str, Any], dict[str, Any] | None]] = []
    films = [shown for family in families for *_, shown in family["films"]]
    taken += sum(size(shown["png"]) for shown in films)
    for family in families:
        taken += sum(sheet(group["first"]) for group in family["gallery"])
        candidates += [(sheet(item), item, group) for group in family["gallery"] for item in group["more"]]
        drawn = [shown for kind in ("strips", "figures") for *_, shown in family[kind]]
        candidates += [(size(shown["png"]), shown, None) for shown in drawn]
    for used, item, group in sorted(candidates, key=lambda one: one[0]):
        taken += used
        if taken > PICTURE_BYTES and group is not None:
            group["more"].remove(item)
            group["left_out"] += 1
        elif taken > PICTURE_BYTES:
            item["png"] = b""
    played = 0
    for shown in sorted(films, key=lambda shown: len(shown["mp4"])):
        played += len(shown["mp4"])
        if played > FILM_BYTES:
            shown["mp4"] = b""


def _board(table: Table) -> dict[str, Any]:
    """A table with the picture of each line's ranking value."""
    rank_index = table.columns.index(table.ranking) if table.ranking else None
    lines = list(zip(table.lines, micro_pictures(table), strict=True))
    return {
        "table": table,
        "lines": lines,
        "rank_index": rank_index,
        "folded": sum(not line.shown for line in table.lines) if table.ranked else 0,
        "chart": settings_chart(table),
    }


def _texts(entries: Sequence[Entry], best: Mapping[str, str]) -> list[dict[str, Any]]:
    """Text samples by generator: some of its shown setting, then one of each other setting."""
    found = []
    for entry in entries:
        items = extras.of_kind(entry.extras, extras.Text)
        items.sort(key=lambda item: item.variant != best.get(entry.name))
        own = [item for item in items if item.variant == items[0].variant]
        others = {item.variant: item for item in reversed(items) if item.variant != items[0].variant}
        shown = [*own[:MOST_TEXTS], *list(others.values())[::-1][:MOST_TEXTS]]
        if items:
            found.append({"generator": entry.name, "role_title": ROLE_TITLES[entry.role], "items": shown})
    return found


def build_context(
    sources: Sources,
    rows: Sequence[Row],
    verdicts: Sequence[Verdict],
    schema: Schema,
    literature: Mapping[str, Any],
    methods: Sequence[Method],
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
    families = [_family(family, sources, tables, rest, found, schema, methods) for family in present]
    counts = count_verdicts(verdicts)
    tested = claim_rows(verdicts, schema)
    first, others = answers(found, sources, rows, schema, methods)
    _fit(families, sum(len(item["sample"]["png"] or b"") for item in (*first, *others)))
    titles = {name: family.title for name, family in FAMILIES.items()}
    hidden = {id(row) for row in rest}
    return {
        "schema": schema,
        "summary": summary(sources, methods, {word: counts[name] for name, (_, _, word) in BADGES.items()}),
        "timeline": timeline(marks(methods, sources.entries.values()), list(schema.families), titles),
        "island": island(rows, {i for i, row in enumerate(rows) if id(row) in hidden}),
        "sources": sources,
        "repeated": {name: sentences(meta) for name, meta in sources.datasets.items()},
        "rows": len(rows),
        "generators": sum(entry.role == "generator" for entry in sources.entries.values()),
        "references": sum(entry.role != "generator" for entry in sources.entries.values()),
        "machines": [name for name in machines if name],
        "answers": first,
        "other_answers": others,
        "claims": [item for item in tested if not item["claim"].control],
        "controls": [item for item in tested if item["claim"].control],
        "verdicts": [(name, badge, counts[name]) for name, badge in BADGES.items()],
        "main_plot": position_chart(found, rows, schema, "train_seconds", "training seconds", 1140, 430),
        "plots": [
            position_chart(found, rows, schema, "train_flops", "training FLOP"),
            position_chart(found, rows, schema, "sample_seconds_per_item", "seconds for one sample"),
        ],
        "scales": [(FAMILIES[h.family].title, h) for h in found if h.scale is not None],
        "families": families,
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


def picture_uri(png: bytes) -> str:
    """A PNG file inside the page, in the smallest form (:func:`bench.report.pictures.small_picture`)."""
    kind, content = small_picture(png)
    return data_uri(content, kind)


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
    environment.filters |= {"data_uri": data_uri, "picture_uri": picture_uri, "png_size": png_size}
    return environment.get_template("report.html.j2").render(context)
