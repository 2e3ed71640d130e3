"""Text to token ids and back: characters, or words with the space before them; every byte belongs to one token."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["UNKNOWN", "Vocabulary", "byte_nats", "characters", "utf8_lengths", "words"]

UNKNOWN = 0
"""Id of the escape token in every vocabulary."""

Ints = NDArray[np.int64]

_WORD = re.compile(r" ?\w+(?:['’-]\w+)*| ?[^\w\s]+|\s+?(?= \S)|\s+")


def words(text: str) -> list[str]:
    """Words and runs of punctuation, each with one space before it, and other white space; joined they are ``text``.

    >>> words("To be, or not\\n  to")
    ['To', ' be', ',', ' or', ' not', '\\n ', ' to']
    """
    return _WORD.findall(text)


def characters(text: str) -> list[str]:
    """The characters of ``text``."""
    return list(text)


def utf8_lengths(tokens: Iterable[str]) -> Ints:
    """Bytes of each token in UTF-8."""
    return np.array([len(token.encode()) for token in tokens], dtype=np.int64)


def byte_nats(text: str) -> float:
    """Cost in nats of spelling ``text`` byte by byte, each of the 256 values alike (UTF-8 is prefix-free: Kraft's sum is <= 1)."""
    return len(text.encode()) * math.log(256)


class Vocabulary:
    """Tokens by id; id 0 is the escape ``UNKNOWN``.

    Args:
        tokens: the known tokens, of ids 1, 2, ...
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = list(tokens)
        self._ids = {token: i for i, token in enumerate(self.tokens, 1)}

    @classmethod
    def build(cls, tokens: Iterable[str], min_count: int = 1) -> Vocabulary:
        """The tokens seen at least ``min_count`` times, in code-point order."""
        return cls(sorted(token for token, count in Counter(tokens).items() if count >= min_count))

    def __len__(self) -> int:
        """Number of ids, the escape included."""
        return len(self.tokens) + 1

    def __contains__(self, token: str) -> bool:
        return token in self._ids

    def encode(self, tokens: Iterable[str]) -> Ints:
        """Ids, ``UNKNOWN`` for tokens that are not known."""
        get = self._ids.get
        return np.fromiter((get(token, UNKNOWN) for token in tokens), dtype=np.int64)

    def decode(self, token: int) -> str:
        """The token of an id other than ``UNKNOWN``."""
        return self.tokens[token - 1]

    def to_bytes(self) -> NDArray[np.uint8]:
        """For an npz."""
        return np.frombuffer(json.dumps(self.tokens).encode(), dtype=np.uint8)

    @classmethod
    def from_bytes(cls, data: NDArray[np.uint8]) -> Vocabulary:
        """The inverse of :meth:`to_bytes`."""
        return cls(json.loads(data.tobytes()))
