"""Tests of word vectors: analogies by section, and pairs of words with the similarity that people gave them.

A file whose first line of content begins with ``:`` holds analogies (the format of Mikolov et al. 2013); any other
holds pairs, two words and a score apart by tabs, and is called by its name without digits and suffix:
``wordsim353.tsv`` is ``wordsim``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.base.files import read_json, write_json
from bench.base.tables import parse_rows
from bench.base.texts import read_text, split_lines
from bench.data.cards import Card
from bench.data.names import visible_files

__all__ = ["load", "parse_analogies", "parse_pairs", "prepare"]

_FILE = "word_tests.json"


def _lines(text: str) -> list[tuple[int, str]]:
    """(number, content) of the lines that are neither empty nor comments."""
    return [
        (number, line.strip())
        for number, line in enumerate(split_lines(text), 1)
        if line.strip() and not line.startswith("#")
    ]


def parse_analogies(text: str, where: str = "analogies") -> dict[str, list[list[str]]]:
    """Section -> quadruples (a, b, c, d): a is to b as c is to d.

    >>> parse_analogies(": capitals\\nAthens Greece Oslo Norway\\n")
    {'capitals': [['Athens', 'Greece', 'Oslo', 'Norway']]}

    Raises:
        BenchError: a line outside a section or of other than four words, or a section named twice or without lines.
    """
    sections: dict[str, list[list[str]]] = {}
    name = None
    for number, line in _lines(text):
        if line.startswith(":"):
            name = line[1:].strip()
            if not name or name in sections:
                raise BenchError(f"{where}: line {number}: the section {name!r} is there twice or has no name")
            sections[name] = []
        elif name is None or len(line.split()) != 4:
            raise BenchError(f"{where}: line {number}: must be four words in a section (`: name`), not {line!r}")
        else:
            sections[name].append(line.split())
    if not sections or not all(sections.values()):
        raise BenchError(
            f"{where}: no analogies in {next((repr(s) for s, rows in sections.items() if not rows), 'the file')}"
        )
    return sections


def parse_pairs(text: str, where: str = "pairs") -> list[tuple[str, str, float]]:
    """(word, word, score) of each line.

    >>> parse_pairs("# two words and a mean\\ntiger\\tcat\\t7.35\\n")
    [('tiger', 'cat', 7.35)]

    Raises:
        BenchError: a line that is not two words and a number, or no line at all.
    """
    pairs = []
    for number, parts in parse_rows(text, where, "\t"):
        if parts[0].startswith("#"):
            continue
        try:
            first, second, score = parts[0].strip(), parts[1].strip(), float(parts[2])
        except (IndexError, ValueError):
            first, second, score = "", "", math.nan
        if len(parts) != 3 or not first or not second or not math.isfinite(score):
            raise BenchError(
                f"{where}: line {number}: must be word, word and score apart by tabs, not {chr(9).join(parts)!r}"
            )
        pairs.append((first, second, score))
    if not pairs:
        raise BenchError(f"{where}: no pairs")
    return pairs


def prepare(card: Card, raw: Path, folder: Path, quiet: bool) -> tuple[dict[str, int], str, dict[str, Any]]:
    """Write ``word_tests.json``; items of each test. ``quiet`` makes no difference.

    Raises:
        BenchError: a malformed file, two tests of one name, or a limit (tests are used whole).
    """
    if card.limit:
        raise card.error("limit", "not allowed for word tests: a test is used whole")
    tests: dict[str, Any] = {}
    for path in visible_files(raw):
        text = read_text(path, card.encoding)
        first = next((line for _, line in _lines(text)), "")
        analogies = first.startswith(":")
        name = "analogies" if analogies else path.stem.rstrip("0123456789-_")
        if name in tests:
            raise card.error("members", f"two tests are called {name!r}; the second is {path.name}")
        tests[name] = parse_analogies(text, str(path)) if analogies else parse_pairs(text, str(path))
    write_json(folder / _FILE, tests)
    counts = {name: sum(map(len, t.values())) if isinstance(t, Mapping) else len(t) for name, t in tests.items()}
    return counts, "items", {}


def load(folder: Path) -> dict[str, Any]:
    """``{"analogies": {section: [[a, b, c, d], ...]}, "wordsim": [(word, word, score), ...], "simlex": [...]}``.

    Raises:
        BenchError: not prepared yet.
    """
    path = folder / _FILE
    if not path.is_file():
        raise BenchError(
            f"{path} is not there: run `python stages/fetch.py {folder.name}` and `python stages/prepare.py "
            f"{folder.name}`"
        )
    tests: dict[str, Any] = read_json(path)
    return {
        name: test if isinstance(test, dict) else [(a, b, float(score)) for a, b, score in test]
        for name, test in tests.items()
    }
