"""From the gathered sources to every product of the report stage: one call, used by the stage, the command line and the
tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.base.yaml_reader import read_yaml
from bench.report.claim_tests import judge
from bench.report.claims import Verdict, claims_json, load_claims
from bench.report.history import read_methods
from bench.report.markdown import tables_markdown
from bench.report.overview import readme_block
from bench.report.page import build_context, render
from bench.report.preview import preview_png
from bench.report.schema import read_schema
from bench.report.tables import build_tables
from bench.results.leaderboard import Row, build_rows, to_csv, to_json
from bench.results.sources import Sources

__all__ = ["Products", "build"]


@dataclass(frozen=True)
class Products:
    """What the report stage writes, and the README's block."""

    rows: tuple[Row, ...]
    verdicts: tuple[Verdict, ...]
    leaderboard: Mapping[str, Any]
    csv: str
    markdown: str
    claims: Mapping[str, Any]
    html: str
    preview: bytes
    readme: str


def build(sources: Sources, reports: Path) -> Products:
    """Everything, from ``sources`` and the descriptions in ``reports/`` (schema, claims, literature,
    history, templates).

    Raises:
        BenchError: a description or an evaluation is wrong; nothing was written.
    """
    schema, literature = read_schema(reports / "schema.yaml"), read_yaml(reports / "literature.yaml")
    blocks = {name: entry.block for name, entry in sources.entries.items()}
    claims = load_claims(read_yaml(reports / "claims.yaml"), blocks=blocks)
    methods = read_methods(reports / "history.yaml")
    items = sources.items
    rows = build_rows(sources.records, items)
    verdicts = [judge(claim, [row.record for row in rows], items) for claim in claims]
    context = build_context(sources, rows, verdicts, schema, literature, methods)
    intro = (
        "All rows: leaderboard.json and leaderboard.csv. Value (95 % interval); 1–3 is a tie of three; a letter names "
        "the protocol.\n"
    )
    return Products(
        rows=tuple(rows),
        verdicts=tuple(verdicts),
        leaderboard=to_json(rows),
        csv=to_csv(rows),
        markdown=tables_markdown(build_tables(rows, schema), schema, intro),
        claims=claims_json(verdicts),
        html=render(context, reports / "templates"),
        preview=preview_png(context),
        readme=readme_block(rows, schema),
    )
