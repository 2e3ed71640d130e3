"""``leaderboard.md``: the tables of the page as text."""

from __future__ import annotations

from collections.abc import Sequence

from bench.catalogue.families import FAMILIES
from bench.report.schema import Schema
from bench.report.tables import Column, Table

__all__ = ["tables_markdown"]


def _markdown_table(table: Table) -> str:
    def heading(column: Column) -> str:
        words = [column.style.title, *((f"({column.label})",) if column.label else ()), column.arrow]
        return " ".join(word for word in words if word) + f" [{column.note}]"

    head = ["", "model", "variant", *(heading(column) for column in table.columns)]
    aligned = ["--:", ":--", ":--", *("--:" for _ in table.columns)]
    lines = [head, aligned]
    for line in table.lines:
        name = f"*{line.generator}* ({line.role_title})" if line.role_title else f"**{line.generator}**"
        cells = [f"{cell.text} ({cell.interval})" if cell.interval else cell.text for cell in line.cells]
        lines.append([line.place, name, line.variant, *cells])
    body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    notes = "  \n".join(f"[{note}] `{protocol}`" for note, protocol in table.protocols)
    return f"### {table.title} · {table.dataset}\n\n{body}\n\n{notes}\n"


def tables_markdown(tables: Sequence[Table], schema: Schema, intro: str = "") -> str:
    """``leaderboard.md``: every table, by family."""
    parts = [f"# {schema.title}: leaderboard\n", *([intro] if intro else [])]
    family = ""
    for table in tables:
        if table.family != family:
            family = table.family
            parts.append(f"## {FAMILIES[family].title}\n")
        parts.append(_markdown_table(table))
    return "\n".join(parts)
