"""Text to token ids and back: characters, or words with the space before them; every byte belongs to one token."""

from __future__ import annotations

import functools
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.texts import combining_marks

__all__ = ["UNKNOWN", "Vocabulary", "byte_nats", "character_bytes", "characters", "check_text", "utf8_lengths", "words"]

UNKNOWN = 0
"""Id of the escape token in every vocabulary."""

Ints = NDArray[np.int64]

_CHUNK = 1 << 24
_CODES = 0x110000


def check_text(text: str) -> str:
    """``text``, if it is one that has bytes in UTF-8.

    Raises:
        BenchError: bytes, or half of a surrogate pair (what Python makes of bytes that are not UTF-8 when told to keep
            them).
    """
    if not isinstance(text, str):
        raise BenchError(f"a text is needed, not {type(text).__name__}: decode it first, text = data.decode('utf-8')")
    try:
        for start in range(0, len(text), _CHUNK):
            text[start : start + _CHUNK].encode()
    except UnicodeEncodeError as error:
        found = error.object[error.start]
        raise BenchError(
            f"the text holds {found!r}, which stands for a byte that is not UTF-8: read the file in its own encoding"
        ) from None
    return text


def _code_points(text: str) -> Iterator[NDArray[np.uint32]]:
    """The code points of a text, in parts of bounded size."""
    for start in range(0, len(text), _CHUNK):
        yield np.frombuffer(text[start : start + _CHUNK].encode("utf-32-le"), dtype=np.uint32)


def character_bytes(text: str) -> Ints:
    """Bytes of each character in UTF-8.

    >>> character_bytes("n\u00e4\u2603").tolist()
    [1, 2, 3]
    """
    parts = [
        1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000) for codes in _code_points(text)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


@functools.cache
def _word() -> re.Pattern[str]:
    marks = combining_marks()
    run = rf"\w+(?:{marks}+\w*)*"
    return re.compile(rf" ?{run}(?:['’-]{run})*| ?[^\w\s]+|\s+?(?= \S)|\s+")


def words(text: str) -> list[str]:
    """Words and runs of punctuation, each with one space before it, and other white space; joined they are ``text``.

    >>> words("To be, or not\\n  to")
    ['To', ' be', ',', ' or', ' not', '\\n ', ' to']
    >>> len(words("\\u0939\\u093f\\u0928\\u094d\\u0926\\u0940"))  # vowel signs are no punctuation
    1
    """
    return _word().findall(text)


def characters(text: str) -> list[str]:
    """The characters of ``text``."""
    return list(text)


def utf8_lengths(tokens: Iterable[str]) -> Ints:
    """Bytes of each token in UTF-8."""
    return np.array([len(token.encode()) for token in tokens], dtype=np.int64)


def byte_nats(text: str) -> float:
    """Cost in nats of spelling ``text`` byte by byte, each of the 256 values alike (UTF-8 is prefix-free: Kraft's sum
    is <= 1)."""
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

    @classmethod
    def of_characters(cls, text: str, min_count: int = 1) -> Vocabulary:
        """The same as ``build(text, min_count)`` without a Python object for each character."""
        counts = np.zeros(_CODES, dtype=np.int64)
        for codes in _code_points(text):
            part = np.bincount(codes)
            counts[: len(part)] += part
        return cls([chr(code) for code in np.flatnonzero(counts >= max(1, min_count))])

    def __len__(self) -> int:
        """Number of ids, the escape included."""
        return len(self.tokens) + 1

    def __contains__(self, token: str) -> bool:
        return token in self._ids

    def encode(self, tokens: Iterable[str]) -> Ints:
        """Ids, ``UNKNOWN`` for tokens that are not known."""
        return np.fromiter(map(self._ids.get, tokens, repeat(UNKNOWN)), dtype=np.int64)

    def encode_characters(self, text: str, dtype: type[np.integer] = np.int64) -> NDArray[np.integer]:
        """The same as ``encode(text)`` for a vocabulary of characters, by a table; ``dtype`` may be a smaller one."""
        table = np.full(_CODES, UNKNOWN, dtype=dtype)
        table[[ord(token) for token in self.tokens if len(token) == 1]] = [
            i for token, i in self._ids.items() if len(token) == 1
        ]
        parts = [table[codes] for codes in _code_points(text)]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=dtype)

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
