"""Texts with one label each: ``reuters-r8-train.tab`` and ``-test.tab``, or a user's ``label<TAB>text`` files.

A ``.tab`` file has three header lines (names, types, roles) and then ``label<TAB>text``; a ``.tsv`` or ``.csv`` file
has one header line that names the columns ``label`` and ``text``. Which split a file belongs to is told by its name
(train, validation, test) if the card's rule is ``official``; with the rule ``fraction`` all rows are drawn from
together, equal texts always to one side.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.files import write_text
from bench.base.tables import DELIMITERS, parse_rows, read_table
from bench.base.texts import read_text
from bench.data.cards import SPLITS, Card
from bench.data.contamination import count_repeated, text_keys
from bench.data.names import visible_files
from bench.data.splits import split_items

__all__ = ["TextSplit", "load", "prepare", "read_rows"]

_TAB_HEADER = 3


@dataclass(frozen=True)
class TextSplit:
    """One split of a set of labelled texts.

    Attributes:
        texts: N texts.
        labels: ``(N,)`` int64, indices into the ``classes`` of ``meta.json``.
    """

    texts: list[str]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: NDArray[np.integer] | Sequence[int]) -> TextSplit:
        """The items at ``indices``."""
        rows = np.asarray(indices, dtype=np.int64)
        return TextSplit([self.texts[i] for i in rows], self.labels[rows])


def read_rows(path: Path, encoding: str = "utf-8") -> list[tuple[str, str]]:
    """(label, text) of each row of a ``.tab``, ``.tsv`` or ``.csv`` file; white space is collapsed.

    Raises:
        BenchError: another suffix, a header without the two columns, or a row without label or text or of another
            length (file and line are named).
    """
    suffix = path.suffix.lower()
    if suffix == ".tab":
        rows = parse_rows(read_text(path, encoding), str(path), "\t")
        if long := next(((line, row) for line, row in rows if len(row) > 2), None):
            raise BenchError(f"{path}: line {long[0]}: {len(long[1])} fields, not label and text: no field holds a tab")
        rows, at = [(line, row) for line, row in rows if line > _TAB_HEADER], [0, 1]
    elif suffix in DELIMITERS:
        table = read_table(path, encoding)
        rows, at = table.rows, table.places("label", "text")
    else:
        raise BenchError(
            f"{path}: labelled texts are .tab, .tsv or .csv files, not {path.suffix or 'a file without suffix'}"
        )
    found = []
    for number, row in rows:
        fields = [" ".join(row[i].split()) if i < len(row) else "" for i in at]
        if not all(fields):
            raise BenchError(f"{path}: line {number}: needs a label and a text, got {row!r:.80}")
        found.append((fields[0], fields[1]))
    if not found:
        raise BenchError(f"{path}: no rows")
    return found


def _side(card: Card, name: str) -> str:
    """The split that a file's name tells."""
    sides = [split for split in SPLITS if split in name.lower()]
    if len(sides) != 1:
        raise card.error("members", f"rule official: the name of {name!r} must hold one of {', '.join(SPLITS)}")
    return sides[0]


def prepare(card: Card, raw: Path, folder: Path, quiet: bool) -> tuple[dict[str, int], str, dict[str, Any]]:
    """Write ``{train,validation,test}.jsonl``; rows of each split, ``"texts"``, and the classes. ``quiet`` makes no
    difference.

    Raises:
        BenchError: a malformed file, a label that the card's ``classes`` lack, or fewer than two classes.
    """
    rows: list[tuple[str, str]] = []
    names: list[str] = []
    for path in visible_files(raw):
        found = read_rows(path, card.encoding)
        rows += found
        names += (
            [f"{_side(card, path.name)}/"] * len(found)
            if card.split.rule == "official"
            else [text for _, text in found]
        )
    classes = list(card.classes) or sorted({label for label, _ in rows})
    if len(classes) < 2:
        raise card.error("classes", f"{classes} is one class: there is nothing to tell apart")
    if unknown := sorted({label for label, _ in rows} - set(classes)):
        raise card.error("classes", f"the label {unknown[0]!r} is not among {', '.join(classes)}")
    counts, shares = {}, {}
    keys: dict[str, list[bytes]] = {}
    for split, indices in split_items(card, names).items():
        kept = [rows[i] for i in indices[: card.limit.get(split)]]
        lines = [json.dumps({"label": label, "text": text}, ensure_ascii=False) for label, text in kept]
        write_text(folder / f"{split}.jsonl", "\n".join(lines) + "\n")
        counts[split] = len(kept)
        shares[split] = {name: sum(label == name for label, _ in kept) for name in classes}
        keys[split] = text_keys(text for _, text in kept)
    repeated = [count_repeated("texts", keys)]
    return counts, "texts", {"classes": classes, "per_class": shares, "repeated": repeated}


def load(folder: Path) -> dict[str, TextSplit]:
    """Split -> :class:`TextSplit`; the names of the classes are in ``meta.json``.

    Raises:
        BenchError: not prepared yet.
    """
    from bench.data.datasets import load_meta

    number = {name: i for i, name in enumerate(load_meta(folder)["classes"])}
    found = {}
    for split in SPLITS:
        path = folder / f"{split}.jsonl"
        if not path.is_file():
            raise BenchError(
                f"{path} is not there: run `python stages/fetch.py {folder.name}` and `python stages/prepare.py "
                f"{folder.name}`"
            )
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        found[split] = TextSplit(
            [row["text"] for row in rows], np.array([number[row["label"]] for row in rows], dtype=np.int64)
        )
    return found
