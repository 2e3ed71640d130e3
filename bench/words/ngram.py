"""N-gram language models over characters or words (Shannon 1948; Kneser & Ney 1995; Chen & Goodman 1998).

One ``fit`` counts all orders up to ``order``; order ``n`` and ``smoothing`` are chosen when scoring or sampling, so that one
trained model gives every row of the classic table. On Shakespeare split by whole works, characters with modified
Kneser-Ney reach about 2.25, 2.17 and 2.15 bits per byte at n = 5, 6, 7; the whole fit takes seconds.

What is not in the vocabulary is spelled out: an unknown word by a character model of the rare training words, an unknown
character by its UTF-8 bytes. The escape has its place in the normalised distribution.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.contracts import RunContext
from bench.errors import BenchError
from bench.files import write_npz
from bench.words.counts import GramCounts
from bench.words.smoothing import SmoothedModel, choose_k
from bench.words.vocabulary import UNKNOWN, Vocabulary, byte_nats, characters, utf8_lengths, words

__all__ = ["NGram", "NGramConfig"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_END = "\x03"
"""Ends the spelling of a word; a control character that no text should hold."""
_START = "\n\n"
"""What a text without a prompt is taken to continue: a blank line."""


@dataclass(frozen=True)
class NGramConfig:
    """Hyper-parameters of :class:`NGram`.

    Attributes:
        unit: ``characters`` or ``words`` (with the space before them; punctuation and line breaks are tokens too).
        order: highest n that is counted.
        min_count: a token seen less often is escaped; 0 means 1 for characters and 2 for words.
        spelling_order: order of the character model that spells escaped words.
    """

    unit: str = "characters"
    order: int = 6
    min_count: int = 0
    spelling_order: int = 5

    def __post_init__(self) -> None:
        if self.unit not in ("characters", "words"):
            raise ValueError(f"unit must be 'characters' or 'words', not {self.unit!r}")
        if self.order < 1 or self.spelling_order < 1:
            raise ValueError(f"order and spelling_order must be at least 1, not {self.order} and {self.spelling_order}")
        if self.min_count < 0:
            raise ValueError(f"min_count must not be negative, not {self.min_count}")


class _Speller:
    """Probability of the spelling of a word: a character n-gram over the rare words of the training text, each ended by a mark."""

    def __init__(self, vocabulary: Vocabulary, model: SmoothedModel) -> None:
        self.vocabulary, self.model = vocabulary, model

    @classmethod
    def fit(cls, rare: list[str], alphabet: Vocabulary, order: int) -> _Speller:
        stream = _END + _END.join([*rare, ""])
        tokens = alphabet.encode(stream)
        return cls(alphabet, SmoothedModel(GramCounts.count(tokens, len(alphabet), order), [1.0] * order))

    def log_prob(self, spelled: list[str]) -> Floats:
        """Nats of each word's characters and its end mark, each word by itself."""
        if not spelled:
            return np.zeros(0)
        stream = "".join(f"{_END}{word}{_END}" for word in spelled)
        lengths = np.array([len(word) + 2 for word in spelled])
        starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
        depth = np.arange(1, len(stream) + 1) - starts
        tokens = self.vocabulary.encode(stream)
        order = self.model.counts.order
        nats = np.log(self.model.probabilities(tokens, order, "kneser_ney", depth=depth))
        nats[depth == 1] = 0.0  # the opening mark is given
        for place in np.flatnonzero(tokens == UNKNOWN):
            nats[place] -= byte_nats(stream[place])
        return np.add.reduceat(nats, np.cumsum(lengths) - lengths)

    def draw(self, rng: np.random.Generator) -> str:
        """A word; at most 40 characters."""
        text = ""
        for token in self.model.draw(self.vocabulary.encode(_END), self.model.counts.order, "kneser_ney", rng):
            piece = self.vocabulary.decode(token) if token != UNKNOWN else ""
            if (piece == _END and text) or len(text) >= 40:
                break
            text += piece if piece != _END else ""
        return text


class NGram:
    """Counts of all orders, and the distributions that the smoothings make of them.

    Args:
        config: see :class:`NGramConfig`.
    """

    Config: ClassVar[type] = NGramConfig
    SCORING: ClassVar[tuple[str, ...]] = ("n", "smoothing")
    """Options that change probabilities; :meth:`log_prob` takes them."""

    def __init__(self, config: NGramConfig) -> None:
        self.config = config
        self._vocabulary: Vocabulary | None = None
        self._model: SmoothedModel | None = None
        self._speller: _Speller | None = None

    @property
    def vocabulary(self) -> Vocabulary:
        """Known tokens; id 0 is the escape."""
        if self._vocabulary is None:
            raise BenchError("this n-gram model is not trained: call fit or load first")
        return self._vocabulary

    @property
    def model(self) -> SmoothedModel:
        """Counts and distributions over token ids."""
        if self._model is None:
            raise BenchError("this n-gram model is not trained: call fit or load first")
        return self._model

    @property
    def vocabulary_name(self) -> str:
        """For the protocol of perplexity per token, e.g. ``characters-84``."""
        return f"{self.config.unit}-{len(self.vocabulary)}"

    def _tokens(self, text: str) -> list[str]:
        return characters(text) if self.config.unit == "characters" else words(text)

    def fit(self, corpus: Mapping[str, str], run: RunContext) -> None:
        """Count ``corpus["train"]``; add-k's k is chosen on ``corpus["validation"]`` (on the training text if there is none).

        Raises:
            BenchError: the training text is empty.
        """
        tokens = self._tokens(corpus["train"])
        if not tokens:
            raise BenchError(f"{run.name}: the training text is empty; check the dataset's card and `data/prepared`")
        by_words = self.config.unit == "words"
        min_count = self.config.min_count or (2 if by_words else 1)
        self._vocabulary = Vocabulary.build(tokens, min_count)
        ids = self._vocabulary.encode(tokens)
        counts = GramCounts.count(ids, len(self._vocabulary), self.config.order)
        validation = corpus.get("validation") or corpus["train"]
        self._model = SmoothedModel(counts, choose_k(counts, self._vocabulary.encode(self._tokens(validation))))
        if by_words:
            rare = [token for token in tokens if token not in self._vocabulary]
            alphabet = Vocabulary.build([*set(corpus["train"]), _END])
            self._speller = _Speller.fit(rare, alphabet, self.config.spelling_order)
        run.cost["parameters"] = float(sum(len(keys) for keys in counts.keys))
        run.cost["train_flops"] = 0.0

    def log_prob(
        self,
        text: str,
        n: int | None = None,
        smoothing: str = "modified_kneser_ney",
        *,
        discount: float | None = None,
        plain_unigram: bool = False,
    ) -> Floats:
        """Nats of each token of ``text`` (see :meth:`token_bytes`), escapes spelled out; ``-inf`` for what maximum likelihood never saw.

        Args:
            text: any text; its start is scored with as much context as there is.
            n: order, the highest counted by default.
            smoothing: ``mle``, ``add_k``, ``kneser_ney`` or ``modified_kneser_ney``.
            discount: fixed Kneser-Ney discount instead of the estimated ones.
            plain_unigram: leave the unigrams undiscounted.

        Raises:
            BenchError: unknown smoothing, or an n that was not counted.
        """
        n = self.config.order if n is None else n
        tokens = self._tokens(text)
        ids = self.vocabulary.encode(tokens)
        with np.errstate(divide="ignore"):
            nats = np.log(self.model.probabilities(ids, n, smoothing, discount=discount, plain_unigram=plain_unigram))
        unknown = np.flatnonzero(ids == UNKNOWN)
        spelled = [tokens[place] for place in unknown]
        if self._speller is not None:
            nats[unknown] += self._speller.log_prob(spelled)
        elif spelled:
            nats[unknown] -= np.array([byte_nats(token) for token in spelled])
        return nats

    def token_bytes(self, text: str) -> Ints:
        """UTF-8 bytes of each token that :meth:`log_prob` scores; their sum is the length of the text in bytes."""
        return utf8_lengths(self._tokens(text))

    def distribution(self, context: str, n: int | None = None, smoothing: str = "modified_kneser_ney") -> Floats:
        """Probability of every token of the vocabulary after ``context``, entry 0 the escape: ``(V,)``."""
        ids = self.vocabulary.encode(self._tokens(context))
        return self.model.distribution(ids, self.config.order if n is None else n, smoothing)

    def sample(self, n_chars: int, seed: int, prompt: str = "", n: int | None = None, smoothing: str = "modified_kneser_ney") -> str:
        """``n_chars`` characters that continue ``prompt``, or a blank line if there is none.

        Raises:
            BenchError: unknown smoothing, or an n that was not counted.
        """
        n = self.config.order if n is None else n
        self.model.check(n, smoothing)
        rng = np.random.default_rng(seed)
        context = self.vocabulary.encode(self._tokens(prompt or _START))
        pieces, length = [], 0
        for piece in self._pieces(self.model.draw(context, n, smoothing, rng), rng):
            if length >= n_chars:
                break
            pieces.append(piece)
            length += len(piece)
        return "".join(pieces)[:n_chars]

    def _pieces(self, tokens: Iterator[int], rng: np.random.Generator) -> Iterator[str]:
        for token in tokens:
            if token != UNKNOWN:
                yield self.vocabulary.decode(token)
            elif self._speller is not None:
                yield self._speller.draw(rng)
            else:  # a character that the training text lacks: any, for there is nothing to go by
                yield self.vocabulary.decode(int(rng.integers(1, len(self.vocabulary))))

    def save(self, folder: Path) -> None:
        """``ngram.npz``: counts, vocabulary, k; and the speller's under ``spelling_``."""
        arrays = {**self.model.counts.to_arrays(), "vocabulary": self.vocabulary.to_bytes(), "k": np.array(self.model.k)}
        if self._speller is not None:
            arrays["spelling_vocabulary"] = self._speller.vocabulary.to_bytes()
            arrays |= {f"spelling_{key}": value for key, value in self._speller.model.counts.to_arrays().items()}
        write_npz(folder / "ngram.npz", arrays)

    @classmethod
    def load(cls, folder: Path, config: NGramConfig, device: str = "cpu") -> NGram:
        """The inverse of :meth:`save`; ``device`` makes no difference."""
        path = folder / "ngram.npz"
        if not path.is_file():
            raise BenchError(f"no counts at {path}: run `dvc repro` first")
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        model = cls(config)
        model._vocabulary = Vocabulary.from_bytes(arrays["vocabulary"])
        model._model = SmoothedModel(GramCounts.from_arrays(arrays), [float(k) for k in arrays["k"]])
        spelling = {key.removeprefix("spelling_"): value for key, value in arrays.items() if key.startswith("spelling_")}
        if spelling:
            counts = GramCounts.from_arrays(spelling)
            model._speller = _Speller(Vocabulary.from_bytes(spelling["vocabulary"]), SmoothedModel(counts, [1.0] * counts.order))
        return model

    def entropy(self, n: int, smoothing: str = "mle") -> float:
        """Shannon's F_n: bits of a token given the n - 1 before it, on the training counts themselves."""
        level = self.model.level(n, n, smoothing)
        counts = self.model.counts.counts[n - 1]
        return float(-(counts * np.log(level.alpha)).sum() / counts.sum() / math.log(2))
