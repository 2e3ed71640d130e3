"""Shannon's letter entropies of the training text, beside the values that he published in 1951."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from bench.base.settings import Checked, Range
from bench.metrics.letter_entropy import SHANNON, letter_entropies, word_entropy
from bench.metrics.protocols import protocol_id
from bench.results.extras import Table
from bench.scorers.texts import corpus, is_series
from bench.scoring import Output, Score, Subject, scorer
from bench.stats.intervals import jackknife_ci

__all__ = ["EntropyOptions", "entropies", "letter_entropy"]


@dataclass(frozen=True)
class EntropyOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        letter_entropies: highest n of Shannon's letter entropies of the training text, up to 3; 0 for none.
    """

    letter_entropies: Annotated[int, Range(low=0, high=3)] = 0


@scorer("LanguageModel", "StateModel", options=EntropyOptions)
def letter_entropy(subject: Subject, options: EntropyOptions) -> Iterator[Output]:
    """F_1 .. F_n and the word entropy of the training text."""
    if options.letter_entropies and not is_series(subject):
        yield from entropies(corpus(subject)["train"], options.letter_entropies)


def entropies(text: str, highest: int) -> Iterator[Output]:
    """F_1 .. F_n of a text as scores, and a table of them and of the word entropy beside Shannon's values."""
    rows = []
    for letters, published in SHANNON.items():
        protocol = protocol_id("letter_entropy", "train", letters=letters)
        for n, (value, left_out) in enumerate(letter_entropies(text, letters, highest)):
            if n:
                interval, part = jackknife_ci(value, left_out), f"F{n}-of-{letters}-letters"
                yield Score("letter_entropy", value, protocol, interval, len(text), split="train", slice=part)
            rows.append((letters, f"F{n}", round(value, 3), published[f"F{n}"]))
        rows.append((letters, "words", round(word_entropy(text, letters), 3), published["word"]))
    yield Table(
        "Entropy of letters",
        ("letters", "entropy", "here", "Shannon 1951"),
        tuple(rows),
        "Bits a letter, from relative frequencies in the training text (26 letters; 27 with the space), beside "
        "Shannon's values for English prose (1951). His F3 comes from tables of trigrams that end at word boundaries.",
    )
