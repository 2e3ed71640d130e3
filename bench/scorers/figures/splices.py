"""Sampled lines that join pieces of several lines of the training text at shared words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bench.autoregressive.vocabulary import words
from bench.base.files import SampleSet
from bench.base.settings import Checked
from bench.results.extras import Table
from bench.scorers.texts import corpus, is_series
from bench.scoring import Output, Subject, scorer

__all__ = ["SpliceOptions", "pieces_of", "splice_tables", "splices"]


@dataclass(frozen=True)
class SpliceOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        splices: list sampled lines that join pieces of several lines of the training text.
    """

    splices: bool = False


@scorer("LanguageModel", "StateModel", options=SpliceOptions)
def splices(subject: Subject, options: SpliceOptions) -> Iterator[Output]:
    """How many sampled lines are the training text's own and how many join pieces of several, with examples."""
    if options.splices and not is_series(subject):
        yield from splice_tables(subject.samples, corpus(subject)["train"])


def pieces_of(line: str, source: str) -> list[str]:
    """A line cut into the longest runs of words that stand in ``source``, from left to right; a word of its own where
    none does.

    >>> pieces_of("the cat ate the mat", "the cat sat on the mat. a dog ate the cat")
    ['the cat', ' ate the', ' mat']
    """
    tokens, pieces, start = words(line), [], 0
    while start < len(tokens):
        stop = start + 1
        while stop < len(tokens) and "".join(tokens[start : stop + 1]) in source:
            stop += 1
        pieces.append("".join(tokens[start:stop]))
        start = stop
    return pieces


def _lines(item: SampleSet, least: int) -> Iterator[str]:
    """The whole lines of the samples with at least so many words; a sample's first line continues a prompt and its last
    is cut."""
    for text in item.texts or []:
        for line in text.split("\n")[1:-1]:
            if len(line.split()) >= least:
                yield line.strip()


def splice_tables(sets: Sequence[SampleSet], source: str, shown: int = 12) -> Iterator[Table]:
    """Two tables: how many sampled lines are the source's own and how many join pieces of several, and examples of the
    latter.

    Args:
        sets: samples of word models.
        source: the training text.
        shown: examples in all.
    """
    where = {line.strip(): number for number, line in enumerate(source.split("\n"), 1)}
    summary: list[tuple[Any, ...]] = []
    examples: list[tuple[Any, ...]] = []
    for item in sets:
        cuts = [(line, pieces_of(line, source)) for line in _lines(item, least=4)]
        if not cuts:
            continue
        made = Counter(min(len(pieces), 4) if line not in where else 1 for line, pieces in cuts)
        shares = (round(made[k] / len(cuts), 3) for k in (1, 2, 3, 4))
        words_per_piece = sum(len(line.split()) for line, _ in cuts) / sum(len(pieces) for _, pieces in cuts)
        summary.append((item.variant, len(cuts), *shares, round(words_per_piece, 2)))
        joined = [
            (line, pieces) for line, pieces in cuts if len(pieces) == 2 and min(len(p.split()) for p in pieces) > 1
        ]
        for line, pieces in joined[: max(1, shown // max(1, len(sets)))]:
            origins = " + ".join(f"line {_line_of(piece, source)}" for piece in pieces)
            examples.append((item.variant, line, " ‖ ".join(piece.strip() for piece in pieces), origins))
    if summary:
        yield Table(
            "Sentences joined at shared words",
            ("setting", "lines", "stand in the source", "join two pieces", "three", "more", "words a piece"),
            tuple(summary),
            "Sampled lines of four words or more, cut greedily into the longest runs of words that stand in the "
            "training text.",
        )
    if examples:
        yield Table(
            "New lines out of two old ones",
            ("setting", "line", "its pieces", "where they come from"),
            tuple(examples),
            "The mark shows the joint; the numbers are lines of the training text where the pieces stand first.",
        )


def _line_of(piece: str, source: str) -> int:
    return source.count("\n", 0, source.index(piece)) + 1
