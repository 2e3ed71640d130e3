"""A table of word vectors: look-up, nearest neighbours, analogies, and the two file formats of word2vec."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.files import atomic
from bench.metrics.analogy import solve_analogies

__all__ = ["WordVectors", "read_word2vec", "write_word2vec"]

Vectors = NDArray[np.float32]


class WordVectors:
    """Words and their vectors.

    Args:
        words: distinct words.
        vectors: ``(V, D)``, a row for each word.

    Raises:
        BenchError: another number of rows than of words, a word twice, or numbers that are not finite.
    """

    def __init__(self, words: Sequence[str], vectors: NDArray[np.floating]) -> None:
        self.words = list(words)
        self.vectors: Vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self.index = {word: i for i, word in enumerate(self.words)}
        """Word -> row."""
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.words):
            raise BenchError(f"{len(self.words)} words and vectors of shape {self.vectors.shape} do not fit together")
        if len(self.index) != len(self.words):
            twice = next(word for i, word in enumerate(self.words) if self.index[word] != i)
            raise BenchError(f"the word {twice!r} has two vectors")
        if not np.isfinite(self.vectors).all():
            raise BenchError("some vectors hold numbers that are not finite")
        length = np.linalg.norm(self.vectors.astype(np.float64), axis=1, keepdims=True)
        self.unit: Vectors = np.asarray(self.vectors / np.where(length > 0, length, 1), dtype=np.float32)
        """``(V, D)`` vectors of length one (zero stays zero)."""

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.index

    def row(self, word: str) -> int:
        """The row of a word.

        Raises:
            BenchError: it has no vector; similar words that have one are named.
        """
        if word not in self.index:
            self._unknown(word)
        return self.index[word]

    def _unknown(self, word: str) -> NoReturn:
        near = difflib.get_close_matches(word.lower(), self.words, n=3)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise BenchError(f"{word!r} is not among the {len(self.words):,} words that have a vector.{hint}")

    def similarity(self, first: str, second: str) -> float:
        """Cosine of two words."""
        return float(self.unit[self.row(first)] @ self.unit[self.row(second)])

    def neighbours(self, word: str, n: int = 10) -> list[tuple[str, float]]:
        """The ``n`` words of highest cosine, best first, the word itself left out.

        Raises:
            BenchError: an unknown word.
        """
        row = self.row(word)
        cosines = self.unit @ self.unit[row]
        cosines[row] = -np.inf
        return [
            (self.words[i], float(cosines[i])) for i in np.argsort(-cosines, kind="stable")[: min(n, len(self) - 1)]
        ]

    def analogy(self, a: str, b: str, c: str, n: int = 1) -> list[tuple[str, float]]:
        """The ``n`` best answers to "a is to b as c is to ...", by 3CosAdd (Mikolov et al. 2013), with their scores.

        Raises:
            BenchError: an unknown word.
        """
        question = np.array([[self.row(word) for word in (a, b, c)]])
        answers, scores = solve_analogies(self.vectors, question, n)
        return [(self.words[i], float(score)) for i, score in zip(answers[0], scores[0], strict=True)]


def write_word2vec(path: Path, words: Sequence[str], vectors: NDArray[np.floating], *, binary: bool = False) -> None:
    """The format of word2vec's authors: a line with V and D, then every word and its D numbers, as text or as
    little-endian float32.

    The text form has nine digits, which give every float32 back exactly.

    Raises:
        BenchError: a word that is empty or holds white space, which the format cannot tell from two words.
    """
    rows = np.ascontiguousarray(vectors, dtype="<f4")
    if rows.ndim != 2 or len(rows) != len(words):
        raise BenchError(f"{path}: {len(words)} words and vectors of shape {rows.shape} do not fit together")
    for word in words:
        if not word or word.split() != [word]:
            raise BenchError(f"{path}: {word!r} cannot be written: the word2vec format ends a word at white space")
    with atomic(path) as temporary, temporary.open("wb") as out:
        out.write(f"{len(words)} {rows.shape[1]}\n".encode())
        for word, row in zip(words, rows, strict=True):
            numbers = row.tobytes() if binary else " ".join(f"{value:.9g}" for value in row).encode()
            out.write(word.encode() + b" " + numbers + b"\n")


def read_word2vec(path: Path, *, binary: bool = False) -> WordVectors:
    """The inverse of :func:`write_word2vec`; also reads binary files without line ends, as gensim writes them.

    Raises:
        BenchError: no such file, not in this format, more or fewer words than the first line says, or not UTF-8.
    """
    if not path.is_file():
        raise BenchError(f"no file {path}")
    content = path.read_bytes()
    head, _, body = content.partition(b"\n")
    try:
        count, size = (int(part) for part in head.split())
    except ValueError:
        raise BenchError(
            f"{path}: the first line must hold the number of words and of dimensions, not {head[:60]!r}"
        ) from None
    if count < 0 or size < 1:
        raise BenchError(f"{path}: {count} words of {size} dimensions")
    try:
        words, vectors = (_read_binary if binary else _read_text)(path, body, count, size)
    except UnicodeDecodeError as error:
        raise BenchError(
            f"{path}: a word is not UTF-8 ({error}); is it the {'text' if binary else 'binary'} format?"
        ) from error
    return WordVectors(words, vectors)


def _table(path: Path, body: bytes, count: int, size: int, least: int) -> Vectors:
    """An empty table, if the file is long enough to fill it.

    Args:
        path: for the error.
        body: the file without its first line.
        count: words.
        size: numbers of each.
        least: bytes of a number.

    Raises:
        BenchError: it is not.
    """
    needed = count * (1 + size * least)
    if needed > len(body) + 1:  # the last line may lack its end
        raise BenchError(
            f"{path}: ends in word {len(body) // (1 + size * least) + 1:,} of {count:,}: truncated or another format: "
            f"the first line says {count:,} words of {size:,} numbers, at least {needed:,} bytes, not {len(body):,}"
        )
    return np.empty((count, size), np.float32)


def _read_binary(path: Path, body: bytes, count: int, size: int) -> tuple[list[str], Vectors]:
    words, vectors, at = [], _table(path, body, count, size, 4), 0
    for row in range(count):
        end = body.find(b" ", at)
        if end < 0 or end + 1 + 4 * size > len(body):
            raise BenchError(f"{path}: ends in word {row + 1} of {count}: truncated, or not the binary format")
        words.append(body[at:end].lstrip(b"\n").decode())
        vectors[row] = np.frombuffer(body, "<f4", size, end + 1)
        at = end + 1 + 4 * size
    if rest := len(body[at:].strip(b"\n")):
        raise BenchError(
            f"{path}: {rest:,} bytes follow the {count:,} words that the first line says: a wrong first line?"
        )
    return words, vectors


def _read_text(path: Path, body: bytes, count: int, size: int) -> tuple[list[str], Vectors]:
    lines = body.decode().split("\n")
    if lines and not lines[-1]:
        lines.pop()
    if len(lines) != count:
        raise BenchError(
            f"{path}: {len(lines)} words where the first line says {count}: truncated, or not the text format"
        )
    words, vectors = [], _table(path, body, count, size, 2)  # a space and a digit
    for row, line in enumerate(lines):
        word, *numbers = line.rstrip().split(" ")
        try:
            vectors[row] = np.array(numbers, dtype=np.float32).reshape(size)
        except ValueError:
            raise BenchError(f"{path}: line {row + 2}: must be a word and {size} numbers, not {line[:60]!r}") from None
        words.append(word)
    return words, vectors
