"""Tables and JSON on standard output."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["print_json", "print_table"]

_COLOURS = {"ok": "green", "warn": "yellow", "error": "red", "corrupt": "red", "missing": "red", "stale": "yellow"}


def print_json(value: Any) -> None:
    """Indented JSON."""
    print(json.dumps(value, indent=1, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], title: str = "", fold: str = "") -> None:
    """A table as wide as the terminal; where the output goes elsewhere, as wide as it needs.

    ``fold`` is the column that is folded where the terminal is narrow; the words ok, warn, error, corrupt, missing and
    stale are coloured.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    plain = not console.is_terminal
    if plain:
        console = Console(width=10_000)
    table = Table(title=title or None, box=None, pad_edge=False, header_style="bold", title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column != fold)
    for row in rows:
        cells = [str(row.get(column, "")) for column in columns]
        table.add_row(*[Text(cell, style=_COLOURS.get(cell, "")) for cell in cells])
    if not plain:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))
