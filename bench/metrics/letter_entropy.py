"""Entropy of printed English by letters and by words (Shannon 1951, "Prediction and entropy of printed English",
section 2)."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError

__all__ = ["SHANNON", "fold_letters", "letter_entropies", "word_entropy"]

Floats = NDArray[np.float64]

SHANNON = {
    26: {"F0": 4.70, "F1": 4.14, "F2": 3.56, "F3": 3.3, "word": 2.62},
    27: {"F0": 4.76, "F1": 4.03, "F2": 3.32, "F3": 3.1, "word": 2.14},
}
"""Shannon's published values in bits a letter, without and with the space as a 27th letter (1951, the table of section
2)."""


_FOLD = bytes(c if chr(c) in "abcdefghijklmnopqrstuvwxyz" else ord(" ") for c in range(256))


def fold_letters(text: str, space: bool = False) -> str:
    """Lower-case letters a to z only, accents and apostrophes dropped; with ``space``, each run of anything else is one
    space.

    >>> fold_letters("Na\u00efve, 2 bees!"), fold_letters("Na\u00efve, 2 bees!", space=True)
    ('naivebees', 'naive bees')
    """
    plain = re.sub("[\u0300-\u036f\u2019]", "", unicodedata.normalize("NFKD", text.lower()))
    letters = plain.encode("ascii", "replace").translate(_FOLD, b"'").decode("ascii")
    return " ".join(letters.split()) if space else letters.replace(" ", "")


def _entropy(counts: NDArray[np.int64]) -> float:
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log2(p)).sum())


def letter_entropies(text: str, letters: int = 26, highest: int = 3, groups: int = 20) -> list[tuple[float, Floats]]:
    """F_0 .. F_n (Shannon 1951, eq. 1): bits of a letter given the n - 1 before it, the entropy of n-grams minus that
    of (n - 1)-grams.

    Args:
        text: any English text; it is folded first.
        letters: 26, or 27 to count the space as a letter.
        highest: n, up to 3, beyond which the counts of a few million letters are too thin; F_0 is the logarithm of the
            alphabet's size.
        groups: contiguous parts for :func:`bench.stats.intervals.jackknife_ci`.

    Returns:
        For each n, F_n, and ``(groups,)`` the values with each part left out.

    >>> [round(value, 2) + 0.0 for value, _ in letter_entropies("abab" * 500, highest=2)]
    [4.7, 1.0, 0.0]

    Raises:
        BenchError: an n or an alphabet that is not meant, or too short a text.
    """
    if letters not in (26, 27) or not 0 <= highest <= 3:
        raise BenchError(
            f"letter_entropies: n = {highest} of {letters} letters; n is 0 to 3 and the alphabet has 26 letters, "
            "27 with the space"
        )
    codes = np.frombuffer(fold_letters(text, space=letters == 27).encode("ascii"), dtype=np.uint8)
    if len(codes) < groups * (highest + 1):
        raise BenchError(f"letter_entropies: {len(codes)} letters are too few for {groups} groups")
    symbols = np.where(codes == ord(" "), 0, codes.astype(np.int64) - ord("a") + 1)
    found = [(math.log2(letters), np.full(groups, math.log2(letters)))]
    below = np.zeros(groups + 1)
    for n in range(1, highest + 1):
        parts = np.stack([np.bincount(_windows(part, n), minlength=27**n) for part in np.array_split(symbols, groups)])
        whole = parts.sum(0)
        blocks = np.array([_entropy(whole), *(_entropy(whole - part) for part in parts)])
        found.append((float(blocks[0] - below[0]), blocks[1:] - below[1:]))
        below = blocks
    return found


def _windows(symbols: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """The code of the n-gram at each place."""
    codes = np.zeros(len(symbols) - n + 1, dtype=np.int64)
    for offset in range(n):
        codes = codes * 27 + symbols[offset : offset + len(codes)]
    return codes


def word_entropy(text: str, letters: int = 26) -> float:
    """Bits a letter of independently drawn words: entropy of the word frequencies over the mean length of a word (plus
    one for 27).

    Relative frequencies underestimate it by about (different words) / (2 ln 2 words of the text) bits a word.

    >>> round(word_entropy("aa bb aa bb"), 6)
    0.5
    """
    counts = Counter(fold_letters(text, space=True).split(" "))
    total = counts.total()
    length = sum(len(word) * count for word, count in counts.items()) / total + (letters == 27)
    return _entropy(np.array(list(counts.values()))) / length
