"""Tables and JSON on standard output."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["print_json", "print_table"]

_COLOURS = {"ok": "green", "warn": "yellow", "error": "red", "corrupt": "red", "missing": "red", "stale": "yellow"}


def print_json(value: Any) -> None:
    """Indented JSON."""
    print(json.dumps(value, indent=1, ensure_ascii=False))


def print_table(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    title: str = "",
    fold: str = "",
    drop: Sequence[str] = (),
) -> None:
    """A table as wide as the terminal; where the output goes elsewhere, as wide as it needs.

    Where the terminal is narrow, whole columns are left out and named, and cells are folded between words.

    Args:
        columns: their order.
        rows: column -> cell; the words ok, warn, error, corrupt, missing and stale are coloured.
        title: above the table.
        fold: the column that is folded first.
        drop: columns that may be left out, the first one first.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    plain = not console.is_terminal
    if plain:
        console = Console(width=10_000)
    cells = {column: [str(row.get(column, "")) for row in rows] for column in columns}
    left_out, widths = _fitted(cells, console.width, fold, drop)
    table = Table(title=title or None, box=None, pad_edge=False, header_style="bold", title_justify="left")
    for column, width in widths.items():
        table.add_column(_folded(column, width), overflow="fold", no_wrap=False, width=width)
    for i in range(len(rows)):
        texts = {column: cells[column][i] for column in widths}
        table.add_row(*[Text(_folded(text, widths[c]), style=_COLOURS.get(text, "")) for c, text in texts.items()])
    if not plain:
        console.print(table)
        if left_out:
            console.print(f"Left out at this width: {', '.join(left_out)} (--json has all).", style="dim")
        return
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


_GAP = 2
_LEAST_FOLD = 16
_KEPT = "\0–\0"  # the two ends of an interval stay in one line


def _fitted(
    cells: Mapping[str, Sequence[str]], room: int, fold: str, drop: Sequence[str]
) -> tuple[list[str], dict[str, int]]:
    """(columns that are left out, width of each other column) for a terminal of ``room`` characters."""
    natural = {c: max(len(text) for text in (c, *texts)) for c, texts in cells.items()}
    least = {c: max(_longest_word(text) for text in (c, *texts)) for c, texts in cells.items()}
    if fold in least:
        least[fold] = min(least[fold], _LEAST_FOLD)
    left_out: list[str] = []
    for name in drop:
        if sum(natural.values()) + _GAP * (len(natural) - 1) <= room:
            break
        if name in natural:
            left_out.append(name)
            del natural[name]
    widths, spare = natural, room - _GAP * (len(natural) - 1)
    while sum(widths.values()) > spare:
        loose = [c for c in widths if widths[c] > least[c]]
        if not loose:
            break
        widths[fold if fold in loose else max(loose, key=lambda c: widths[c])] -= 1
    return left_out, widths


def _longest_word(text: str) -> int:
    return max(len(piece) for piece in re.split(r"\s+|(?<=\w-)(?=\w)", text.replace(" – ", _KEPT)))


def _folded(text: str, width: int) -> str:
    """Lines of at most ``width`` characters, broken at spaces and after hyphens; a longer word is left to the table."""
    if len(text) <= width:
        return text
    lines = textwrap.wrap(text.replace(" – ", _KEPT), width, break_long_words=False)
    return "\n".join(lines).replace(_KEPT, " – ")
