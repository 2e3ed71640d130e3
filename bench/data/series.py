"""Series of states: one state for each row of a .csv or .tsv file, by the rules of the card, oldest first.

A rule names a state and what a row must fulfil: ``{state: rain, column: precipitation, above: 0}``, with ``above``,
``below`` or both, ``minus: other_column`` for a difference of two columns, or ``one_of: [a, b]`` for categories. The
first rule that fits decides; a last rule without a column takes the rest. A prepared series is a text with one state a
line, so that whatever reads texts reads a series too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError, did_you_mean
from bench.base.files import write_text
from bench.base.tables import DELIMITERS, parse_table
from bench.base.texts import read_text
from bench.data.cards import Card
from bench.data.datasets import load_text
from bench.data.names import visible_files

__all__ = ["load", "prepare", "states_of"]


def _number(row: Mapping[str, str], column: str, where: str) -> float:
    try:
        value = float(row[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BenchError(f"{where}: {column} is {row[column]!r}, which is no number; mend the row or cut it out")
    return value


def _fits(rule: Mapping[str, Any], row: Mapping[str, str], where: str) -> bool:
    if "column" not in rule:
        return True
    if "one_of" in rule:
        return row[rule["column"]] in [str(value) for value in rule["one_of"]]
    value = _number(row, rule["column"], where)
    if "minus" in rule:
        value -= _number(row, rule["minus"], where)
    return bool(value > rule.get("above", -math.inf) and value < rule.get("below", math.inf))


def states_of(text: str, rules: Sequence[Mapping[str, Any]], where: str = "series", delimiter: str = ",") -> list[str]:
    """The state of each row of a table with a header.

    >>> rules = [{"state": "rain", "column": "mm", "above": 0}, {"state": "dry"}]
    >>> states_of("day,mm\\n1,0\\n2,3.5\\n", rules)
    ['dry', 'rain']

    Raises:
        BenchError: no rows, an unknown column, a value that is no number, a row that no rule fits (file and line are
            named), or categories of a rule that never occur.
    """
    table = parse_table(text, where, delimiter)
    named = {rule[key] for rule in rules for key in ("column", "minus") if key in rule}
    if unknown := sorted(named - set(table.columns)):
        raise BenchError(f"{where}: no column {unknown[0]!r}.{did_you_mean(unknown[0], table.columns)}")
    at = {column: table.places(column)[0] for column in named}
    states, seen = [], [set[str]() for _ in rules]
    for number, fields in table.rows:
        line, row = f"{where}: line {number}", {column: fields[place] for column, place in at.items()}
        for rule, values in zip(rules, seen, strict=True):
            if "one_of" in rule:
                values.add(row[rule["column"]])
        state = next((str(rule["state"]) for rule in rules if _fits(rule, row, line)), None)
        if state is None:
            raise BenchError(
                f"{line}: no rule fits; end `states` with a rule without a column, such as {{state: other}}"
            )
        states.append(state)
    if not states:
        raise BenchError(f"{where}: no rows below the header")
    for rule, values in zip(rules, seen, strict=True):
        if "one_of" in rule and values.isdisjoint(map(str, rule["one_of"])):
            wanted = ", ".join(repr(str(value)) for value in rule["one_of"])
            found = ", ".join(map(repr, sorted(map(str, values))[:8]))
            raise BenchError(f"{where}: {rule['column']} is never {wanted}; found there: {found}")
    return states


def prepare(card: Card, raw: Path, folder: Path, quiet: bool) -> tuple[dict[str, int], str, dict[str, Any]]:
    """Write ``train.txt``, ``validation.txt`` and ``test.txt``, the last two from the end of the series. ``quiet``
    makes no difference.

    Raises:
        BenchError: not one file, a malformed row, or a split without states.
    """
    files = visible_files(raw)
    if len(files) != 1:
        raise card.error("members", f"a series is one CSV file, not {len(files)}")
    delimiter = DELIMITERS.get(files[0].suffix.lower(), ",")
    states = states_of(read_text(files[0], card.encoding), card.states, str(files[0]), delimiter)
    held = [round(float(share) * len(states)) for share in (card.split.validation, card.split.test)]  # type: ignore[arg-type]
    cuts = [0, len(states) - sum(held), len(states) - held[1], len(states)]
    counts = {}
    for split, start, stop in zip(("train", "validation", "test"), cuts, cuts[1:], strict=False):
        part = states[start:stop][: card.limit.get(split)]
        if not part:
            raise card.error("split", f"{split} would be empty with {len(states)} rows")
        write_text(folder / f"{split}.txt", "".join(f"{state}\n" for state in part))
        counts[split] = len(part)
    return counts, "states", {"states": list(dict.fromkeys(str(rule["state"]) for rule in card.states))}


def load(folder: Path) -> dict[str, str]:
    """``{"train": "sunny\\nrain\\n...", "validation": ..., "test": ...}``: a state a line.

    Raises:
        BenchError: not prepared yet.
    """
    return load_text(folder)
