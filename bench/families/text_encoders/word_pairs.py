"""Words and their neighbours in a text: what word vectors learn from (Mikolov et al. 2013b, section 2).

A text is lines, a line is words in lower case. A pass over the text drops frequent words at random (eq. 5), then gives
every place a window of its own size, from one word to ``window`` words on both sides, and never past the end of its
line.

The places of a pass are cut into *blocks* of ``BLOCK`` neighbours, so that all pairs of a block stand in one small
matrix, places by columns: a product of matrices then does what a loop over pairs would.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from bench.base.errors import BenchError
from bench.base.texts import combining_marks, split_lines

__all__ = ["BLOCK", "Blocks", "Corpus", "keep_probabilities", "lower_words", "noise_distribution"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BLOCK = 32
"""Places in a block."""


@functools.cache
def _word() -> re.Pattern[str]:
    run = rf"[^\W\d_]+(?:{combining_marks()}+[^\W\d_]*)*"
    return re.compile(rf"{run}(?:['’]{run})*")


def lower_words(text: str) -> list[str]:
    """The words of a text in lower case: letters, with apostrophes inside; numbers and punctuation are left out.

    >>> lower_words("It's 1492: Columbus sailed.")
    ["it's", 'columbus', 'sailed']
    """
    # Lowering makes an i and a combining dot of "İ", which was and stays the end of a word: else the two İ among the
    # 2.5 million characters of `wiki` would shift every random draw of the vectors that are published.
    return _word().findall(text.replace("İ", "i ").lower().replace("’", "'"))


def keep_probabilities(counts: Ints, threshold: float) -> Floats:
    """Probability with which an occurrence of each word is kept: one minus eq. 5 of Mikolov et al. 2013b, ``sqrt(t /
    f(w))``, at most 1.

    Args:
        counts: ``(V,)`` occurrences.
        threshold: ``t``, a share of all words; 0 keeps everything.

    >>> keep_probabilities(np.array([900, 100]), 0.1).round(4).tolist()
    [0.3333, 1.0]
    """
    if not threshold:
        return np.ones(len(counts))
    return np.asarray(np.minimum(1.0, np.sqrt(threshold * counts.sum() / counts)))


def noise_distribution(counts: Ints, power: float = 0.75) -> Floats:
    """``P_n(w)``: the distribution of negatives, counts to the power 3/4 (section 2.2)."""
    raised = counts.astype(np.float64) ** power
    return np.asarray(raised / raised.sum())


@dataclass(frozen=True)
class Blocks:
    """Some blocks of a pass, B places and B + 2 window columns each.

    Attributes:
        places: ``(n, B)`` word at each place.
        columns: ``(n, B + 2 window)`` word at each column: the block, and the window before and after it.
        pairs: ``(n, B, B + 2 window)``: the word at the column is in the window of the place.
    """

    places: Ints
    columns: Ints
    pairs: Bools


@dataclass(frozen=True)
class Corpus:
    """A text as ids of known words.

    Attributes:
        words: the vocabulary, the most frequent first.
        counts: ``(V,)`` occurrences.
        ids: ``(N,)`` the text.
        lines: ``(N,)`` number of the line that each word stands in.
    """

    words: list[str]
    counts: Ints
    ids: Ints
    lines: Ints

    @classmethod
    def read(cls, text: str, min_count: int = 1, words: Sequence[str] | None = None) -> Corpus:
        """A text with the vocabulary of its own words seen at least ``min_count`` times, or with a given vocabulary.

        Raises:
            BenchError: the text holds no word, fewer than two words often enough, or no line with two known words.
        """
        lines = [line for line in map(lower_words, split_lines(text)) if line]
        flat = [word for line in lines for word in line]
        if not flat:
            raise BenchError("the training text holds no word (letters): check the dataset's card and `data/prepared`")
        if words is None:
            found = sorted(Counter(flat).items(), key=lambda item: (-item[1], item[0]))
            words = [word for word, count in found if count >= min_count]
            if len(words) < 2:
                (word, count), *_ = found
                raise BenchError(
                    f"{len(words)} of {len(found)} distinct words occur at least {min_count} times (the most "
                    f"frequent, {word!r}, {count} "
                    "times), and two are needed: lower `min_count` or give more text"
                )
        index = {word: i for i, word in enumerate(words)}
        ids = np.fromiter((index.get(word, -1) for word in flat), np.int64, len(flat))
        numbers = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
        kept = ids >= 0
        result = cls(
            list(words), np.bincount(ids[kept], minlength=len(words)).astype(np.int64), ids[kept], numbers[kept]
        )
        if not (result.lines[1:] == result.lines[:-1]).any():
            raise BenchError(
                "no line of the training text holds two known words: there is no pair of neighbours to learn from"
            )
        return result

    def thinned(self, keep: Floats, rng: np.random.Generator) -> Corpus:
        """The text with each occurrence of word ``w`` kept with probability ``keep[w]``; the counts stay those of the
        whole text."""
        kept = rng.random(len(self.ids)) < keep[self.ids]
        return Corpus(self.words, self.counts, self.ids[kept], self.lines[kept])

    def windows(self, window: int, rng: np.random.Generator) -> Ints:
        """``(N,)`` words on each side that count as neighbours of a place: 1 to ``window``, each as likely (section 4
        of 2013a)."""
        return rng.integers(1, window + 1, len(self.ids))

    def blocks(self, window: int, rng: np.random.Generator, per_batch: int) -> Iterator[Blocks]:
        """All places once, in blocks, the blocks in random order, ``per_batch`` at a time."""
        count = -(-len(self.ids) // BLOCK)
        reach = self.windows(window, rng)
        edge, rest = (np.full(size, -1) for size in (window, count * BLOCK - len(self.ids) + window))
        ids = np.concatenate([np.zeros(window, np.int64), self.ids, np.zeros(len(rest), np.int64)])
        lines = np.concatenate([edge, self.lines, rest])
        reach = np.concatenate([reach, np.zeros(count * BLOCK - len(reach), np.int64)])
        distance = np.abs(
            np.arange(BLOCK + 2 * window)[None, :] - window - np.arange(BLOCK)[:, None]
        )  # (B, B + 2 window)
        distance[distance == 0] = window + 1  # a place is no neighbour of itself
        order = rng.permutation(count)
        for start in range(0, count, per_batch):
            first = order[start : start + per_batch, None] * BLOCK
            columns = first + np.arange(BLOCK + 2 * window)
            places = first + window + np.arange(BLOCK)
            pairs = distance <= reach[places - window][:, :, None]
            pairs &= lines[columns][:, None, :] == lines[places][:, :, None]
            yield Blocks(ids[places], ids[columns], pairs)

    def pair_counts(self, window: int, keep: Floats, seed: int, passes: int = 5) -> csr_matrix:
        """``(V, V)`` how often a word (row) has another (column) in its window, mean over ``passes`` random passes."""
        size = len(self.words)
        keys = []
        for number in range(passes):
            rng = np.random.default_rng([seed, number])
            text = self.thinned(keep, rng)
            reach = text.windows(window, rng)
            for step in range(1, window + 1):
                a, b = text.ids[:-step], text.ids[step:]
                same = text.lines[:-step] == text.lines[step:]
                keys += [(a * size + b)[same & (reach[:-step] >= step)], (b * size + a)[same & (reach[step:] >= step)]]
        pairs, found = np.unique(np.concatenate(keys), return_counts=True)
        return csr_matrix((found / passes, (pairs // size, pairs % size)), shape=(size, size))
