"""The planted memoriser: replays passages of the training text. The memorisation test must flag it.

Its probability is that of a copyist: with probability ``1 - doubt`` the next character is the one that followed the
longest match of the context in the training text, else a letter drawn by its frequency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.autoregressive.vocabulary import UNKNOWN, Vocabulary, byte_nats, characters, utf8_lengths
from bench.base.errors import BenchError
from bench.base.files import write_text
from bench.base.settings import Checked, Count, Range
from bench.contracts import RunContext

__all__ = ["MemoriserWords", "MemoriserWordsConfig"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_PRIME = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class MemoriserWordsConfig(Checked):
    """Hyper-parameters of :class:`MemoriserWords`.

    Attributes:
        lengths: lengths of context that are looked up, the longest match decides; a list in params.yaml.
        doubt: share of the probability that goes to letters by frequency where a match is found.
    """

    lengths: tuple[Count, ...] = (20, 6)
    doubt: Annotated[float, Range(above=0, high=1)] = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.lengths:
            raise ValueError("lengths: at least one is needed")


def _hashes(tokens: Ints, length: int) -> NDArray[np.uint64]:
    """A hash of the ``length`` tokens before each place, for the places from ``length`` on: ``(T - length + 1,)``."""
    count = max(0, len(tokens) - length + 1)
    found = np.zeros(count, dtype=np.uint64)
    values = tokens.astype(np.uint64) + np.uint64(1)
    for i in range(length):
        found = found * _PRIME + values[i : i + count]
        found ^= found >> np.uint64(29)
    return found


class MemoriserWords:
    """The training text, and where each context stands in it.

    Args:
        config: see :class:`MemoriserWordsConfig`.
    """

    Config: ClassVar[type] = MemoriserWordsConfig
    SCORING: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: MemoriserWordsConfig) -> None:
        self.config = config
        self._vocabulary = Vocabulary([])
        self._tokens: Ints = np.zeros(0, dtype=np.int64)
        self._frequency: Floats = np.ones(1)
        self._text = ""
        self._indexes: dict[int, tuple[NDArray[np.uint64], Ints]] = {}

    @property
    def vocabulary_name(self) -> str:
        """For the protocol of perplexity per token."""
        return f"characters-{len(self._vocabulary)}"

    def _keep(self, text: str) -> None:
        self._text, self._vocabulary, self._indexes = text, Vocabulary.build(text), {}
        vocabulary, tokens = self._vocabulary, self._vocabulary.encode(characters(text))
        self._tokens = tokens
        counts = np.bincount(tokens, minlength=len(vocabulary)) + 1.0
        self._frequency = counts / counts.sum()

    def fit(self, corpus: Mapping[str, str], run: RunContext) -> None:
        """Keep ``corpus["train"]``.

        Raises:
            BenchError: the training text is empty.
        """
        if not corpus["train"]:
            raise BenchError(f"{run.name}: the training text is empty; check the dataset's card and `data/prepared`")
        self._keep(corpus["train"])
        run.cost.update(parameters=float(len(self._tokens)), train_flops=0.0)

    def _index(self, length: int) -> tuple[NDArray[np.uint64], Ints]:
        """Sorted hashes of the contexts in the training text and the place that follows the first occurrence of
        each."""
        if length not in self._indexes:
            hashes = _hashes(self._tokens[:-1], length)
            distinct, first = np.unique(hashes, return_index=True)
            self._indexes[length] = distinct, first + length
        return self._indexes[length]

    def _guesses(self, tokens: Ints) -> Ints:
        """For each place of ``tokens`` (one beyond its end too), the character that followed its longest match, -1 for
        none."""
        guesses = np.full(len(tokens) + 1, -1, dtype=np.int64)
        for length in sorted(self.config.lengths):
            distinct, follows = self._index(length)
            wanted = _hashes(tokens, length)
            if not len(distinct) or not len(wanted):
                continue
            places = np.minimum(np.searchsorted(distinct, wanted), len(distinct) - 1)
            found = distinct[places] == wanted
            guesses[length:][found] = self._tokens[follows[places[found]]]
        return guesses

    def log_prob(self, text: str) -> Floats:
        """Nats of each character of ``text``, unknown ones spelled out in bytes."""
        ids = self._vocabulary.encode(characters(text))
        guesses = self._guesses(ids)[:-1]
        p = self._frequency[ids]
        p = np.where(guesses >= 0, self.config.doubt * p + (1 - self.config.doubt) * (guesses == ids), p)
        nats = np.log(p)
        for place in np.flatnonzero(ids == UNKNOWN):
            nats[place] -= byte_nats(text[place])
        return nats

    def token_bytes(self, text: str) -> Ints:
        """UTF-8 bytes of each token that :meth:`log_prob` scores."""
        return utf8_lengths(characters(text))

    def distribution(self, context: str) -> Floats:
        """Probability of every character after ``context``, entry 0 the escape: ``(V,)``."""
        guess = int(self._guesses(self._vocabulary.encode(characters(context)))[-1])
        if guess < 0:
            return self._frequency.copy()
        p = self.config.doubt * self._frequency
        p[guess] += 1 - self.config.doubt
        return p

    def sample(self, n_chars: int, seed: int, prompt: str = "") -> str:
        """A passage of the training text, from where ``prompt`` was found in it if it was, from a random place
        otherwise."""
        rng = np.random.default_rng(seed)
        text = self._text
        starts = [start for start in _occurrences(text, prompt) if start + n_chars <= len(text)] if prompt else []
        start = starts[int(rng.integers(len(starts)))] if starts else int(rng.integers(max(1, len(text) - n_chars + 1)))
        return (text[start : start + n_chars] * (n_chars // max(1, len(text)) + 1))[:n_chars]

    def save(self, folder: Path) -> None:
        """``memory.txt``: the training text."""
        write_text(folder / "memory.txt", self._text)

    @classmethod
    def load(cls, folder: Path, config: MemoriserWordsConfig, device: str = "cpu") -> MemoriserWords:
        """The inverse of :meth:`save`."""
        path = folder / "memory.txt"
        if not path.is_file():
            raise BenchError(f"no text at {path}: run `dvc repro` first")
        model = cls(config)
        model._keep(path.read_bytes().decode())
        return model


def _occurrences(text: str, prompt: str, most: int = 1000) -> list[int]:
    """Places behind the first ``most`` occurrences of ``prompt``."""
    places: list[int] = []
    at = text.find(prompt)
    while at >= 0 and len(places) < most:
        places.append(at + len(prompt))
        at = text.find(prompt, at + 1)
    return places
