"""How often one letter follows another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

__all__ = ["Pairs"]


class Pairs:
    """Probabilities of a letter after another, each count raised by ``add``.

    A letter that was never seen is an escape, then its bytes, each 1 of 256: every byte of any text is covered.
    """

    def __init__(self, counts: Mapping[tuple[str, str], int], add: float) -> None:
        self.counts, self.add = counts, add
        self.letters = sorted({letter for _, letter in counts})
        self.known = frozenset(self.letters)
        self.before: Counter[str] = Counter()
        for (first, _), count in counts.items():
            self.before[first] += count

    def probability(self, before: str, letter: str) -> float:
        """Of ``letter`` after ``before``."""
        total = self.before[before] + self.add * (len(self.letters) + 1)
        if letter in self.known:
            return (self.counts.get((before, letter), 0) + self.add) / total
        return self.add / total * 256.0 ** -len(letter.encode())

    def draw(self, before: str, rng: np.random.Generator) -> str:
        """A known letter."""
        weights = np.array([self.counts.get((before, letter), 0) + self.add for letter in self.letters])
        return str(rng.choice(self.letters, p=weights / weights.sum()))
