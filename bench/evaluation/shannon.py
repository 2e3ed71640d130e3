"""What n-gram models show beside their likelihood: entropies of letters, copying over the order, sentences joined at
shared words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.autoregressive.vocabulary import words
from bench.base.files import SampleSet
from bench.context import StageContext
from bench.metrics.letter_entropy import SHANNON, letter_entropies, word_entropy
from bench.metrics.memorisation import TrainingText, verbatim_copy_counts
from bench.metrics.protocols import protocol_id
from bench.results.records import Record, parse_variant
from bench.stats.intervals import jackknife_ci

__all__ = ["copy_curves", "entropy_rows", "pieces_of", "splices"]


def entropy_rows(context: StageContext, text: str, highest: int) -> tuple[list[Record], dict[str, Any]]:
    """F_0 .. F_n of a text and its word entropy as rows and as a table beside the values that Shannon published in
    1951."""
    records, table = [], []
    for letters, published in SHANNON.items():
        found = letter_entropies(text, letters, highest)
        for n, (value, left_out) in enumerate(found):
            if n:
                interval = jackknife_ci(value, left_out)
                protocol = protocol_id("letter_entropy", "train", letters=letters)
                records.append(
                    context.record(
                        "letter_entropy",
                        value,
                        protocol,
                        ci95=interval,
                        n=len(text),
                        split="train",
                        slice=f"F{n}-of-{letters}-letters",
                    )
                )
            table.append([letters, f"F{n}", round(value, 3), published[f"F{n}"]])
        table.append([letters, "words", round(word_entropy(text, letters), 3), published["word"]])
    note = (
        "Bits a letter, from relative frequencies in the training text (26 letters; 27 with the space), beside "
        "Shannon's values for "
        "English prose (1951). His F3 comes from tables of trigrams that end at word boundaries."
    )
    columns = ["letters", "entropy", "here", "Shannon 1951"]
    return records, {"title": "Entropy of letters", "columns": columns, "rows": table, "note": note}


def copy_curves(
    sets: Sequence[SampleSet], train: TrainingText, held_out: Sequence[str], copied: int
) -> list[dict[str, Any]]:
    """Share of copied windows over the order n (a line for each smoothing), and over the length of the window for the
    highest orders.

    Args:
        sets: samples; those whose variant has no ``n`` are left out.
        train: the training text.
        held_out: text that nobody copied, in pieces.
        copied: length of the windows of the first curve.
    """
    settings = {item.variant: parse_variant(item.variant) for item in sets}
    chosen = [item for item in sets if "n" in settings[item.variant]]
    if not chosen:
        return []
    lines: dict[str, list[list[float]]] = {}
    last: dict[str, SampleSet] = {}
    for item in chosen:
        name = settings[item.variant].get("smoothing", "").replace("_", " ")
        lines.setdefault(name, []).append([float(settings[item.variant]["n"]), _share(item.texts or [], train, copied)])
        if name not in last or int(settings[last[name].variant]["n"]) < int(settings[item.variant]["n"]):
            last[name] = item
    curves = [
        _curve(
            f"Copied stretches of {copied} characters against the order n",
            "n",
            {k: sorted(v) for k, v in lines.items()},
        )
    ]
    lengths = [length for length in (5, 10, 20, 30, 50, 80) if any(len(text) >= length for text in held_out)]
    texts = {f"{name}, n = {settings[item.variant]['n']}": item.texts or [] for name, item in last.items()}
    by_length = {
        name: [[float(n), _share(pieces, train, n)] for n in lengths if any(len(piece) >= n for piece in pieces)]
        for name, pieces in {**texts, "held-out text": held_out}.items()
    }
    return [*curves, _curve("Copied share against the length of the stretch", "characters", by_length)]


def _share(texts: Sequence[str], train: TrainingText, length: int) -> float:
    copied, windows = verbatim_copy_counts(texts, train, length)
    return float(copied.sum() / max(1, windows.sum()))


def _curve(title: str, x: str, lines: Mapping[str, list[list[float]]]) -> dict[str, Any]:
    series = [{"name": name, "points": points} for name, points in lines.items() if points]
    return {"title": title, "x": x, "y": "share copied", "log_x": False, "log_y": False, "series": series}


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


def splices(sets: Sequence[SampleSet], source: str, shown: int = 12) -> list[dict[str, Any]]:
    """Two tables: how many sampled lines are the source's own and how many join pieces of several, and examples of the
    latter.

    Args:
        sets: samples of word models.
        source: the training text.
        shown: examples in all.
    """
    where = {line.strip(): number for number, line in enumerate(source.split("\n"), 1)}
    summary: list[list[Any]] = []
    examples: list[list[Any]] = []
    for item in sets:
        cuts = [(line, pieces_of(line, source)) for line in _lines(item, least=4)]
        if not cuts:
            continue
        made = Counter(min(len(pieces), 4) if line not in where else 1 for line, pieces in cuts)
        words_per_piece = sum(len(line.split()) for line, _ in cuts) / sum(len(pieces) for _, pieces in cuts)
        summary.append(
            [item.variant, len(cuts), *(round(made[k] / len(cuts), 3) for k in (1, 2, 3, 4)), round(words_per_piece, 2)]
        )
        joined = [
            (line, pieces) for line, pieces in cuts if len(pieces) == 2 and min(len(p.split()) for p in pieces) > 1
        ]
        for line, pieces in joined[: max(1, shown // max(1, len(sets)))]:
            origins = " + ".join(f"line {_line_of(piece, source)}" for piece in pieces)
            examples.append([item.variant, line, " ‖ ".join(piece.strip() for piece in pieces), origins])
    if not summary:
        return []
    columns = ["setting", "lines", "stand in the source", "join two pieces", "three", "more", "words a piece"]
    note = (
        "Sampled lines of four words or more, cut greedily into the longest runs of words that stand in the "
        "training text."
    )
    tables = [{"title": "Sentences joined at shared words", "columns": columns, "rows": summary, "note": note}]
    if examples:
        note = "The mark shows the joint; the numbers are lines of the training text where the pieces stand first."
        columns = ["setting", "line", "its pieces", "where they come from"]
        tables.append({"title": "New lines out of two old ones", "columns": columns, "rows": examples, "note": note})
    return tables


def _line_of(piece: str, source: str) -> int:
    return source.count("\n", 0, source.index(piece)) + 1
