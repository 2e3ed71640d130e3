"""N-gram language models over characters or words (Shannon 1948; Kneser & Ney 1995; Chen & Goodman 1998).

One ``fit`` counts all orders up to ``order``; order ``n`` and ``smoothing`` are chosen when scoring or sampling, so
that one trained model gives every row of the classic table. On Shakespeare split by whole works, characters with
modified Kneser-Ney reach about 2.25, 2.17 and 2.15 bits per byte at n = 5, 6, 7; the whole fit takes seconds.

What is not in the vocabulary is spelled out: an unknown word by a character model of the rare training words, an
unknown character by its UTF-8 bytes. The escape has its place in the normalised distribution.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from bench.autoregressive.vocabulary import (
    UNKNOWN,
    Vocabulary,
    byte_nats,
    character_bytes,
    characters,
    check_text,
    utf8_lengths,
    words,
)
from bench.base.errors import BenchError
from bench.base.files import write_npz
from bench.base.settings import Checked, Count, Natural
from bench.contracts import RunContext
from bench.families.words.arpa import BEGIN, END, arpa_lines, plain_words, read_arpa
from bench.families.words.counts import GramCounts
from bench.families.words.smoothing import ARPA, Level, SmoothedModel, Smoothing, choose_k

__all__ = ["NGram", "NGramConfig", "NGramOptions"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_END = "\x03"
"""Ends the spelling of a word; a control character that no text should hold."""
_START = "\n\n"
"""What a text without a prompt is taken to continue: a blank line."""

_CHOOSING = 1_000_000
"""Characters of the training text on which add-k's k is chosen where there is no validation text."""


@dataclass(frozen=True)
class NGramConfig(Checked):
    """Hyper-parameters of :class:`NGram`.

    Attributes:
        unit: ``characters`` or ``words`` (with the space before them; punctuation and line breaks are tokens too).
        order: highest n that is counted.
        min_count: a token seen less often is escaped; 0 means 1 for characters and 2 for words.
        spelling_order: order of the character model that spells escaped words.
    """

    unit: Literal["characters", "words"] = "characters"
    order: Count = 6
    min_count: Natural = 0
    spelling_order: Count = 5


@dataclass(frozen=True)
class NGramOptions(Checked):
    """What is chosen when scoring or sampling.

    Attributes:
        n: order, at most the config's; null for the highest.
        smoothing: null for ``modified_kneser_ney``, or, in a model that was read from an ARPA file, for the file's own.
    """

    n: Count | None = None
    smoothing: Smoothing | None = None

    def check(self, config: NGramConfig) -> None:
        """Refuse an order that is not counted."""
        if self.n is not None and self.n > config.order:
            raise ValueError(f"n: {self.n} is not counted: from 1 to {config.order}, or raise `model: {{order: ...}}`")


class _Speller:
    """Probability of the spelling of a word: a character n-gram over the rare words of the training text, each ended by
    a mark."""

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
    SampleOptions: ClassVar[type] = NGramOptions
    SCORING: ClassVar[tuple[str, ...]] = ("n", "smoothing")
    """Options that change probabilities; :meth:`log_prob` takes them."""

    def __init__(self, config: NGramConfig) -> None:
        self.config = config
        self._vocabulary: Vocabulary | None = None
        self._model: SmoothedModel | None = None
        self._speller: _Speller | None = None
        self._plain = False  # the tokens are what stands between white space

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
        if self.config.unit == "characters":
            return characters(text)
        return plain_words(text) if self._plain else words(text)

    def encode(self, text: str) -> Ints:
        """Ids of the tokens of ``text``, 0 for those that are not in the vocabulary.

        Raises:
            BenchError: what is no text in UTF-8.
        """
        if self.config.unit == "characters":
            return self.vocabulary.encode_characters(check_text(text)).astype(np.int64, copy=False)
        return self.vocabulary.encode(self._tokens(check_text(text)))

    def fit(self, corpus: Mapping[str, str], run: RunContext) -> None:
        """Count ``corpus["train"]``; add-k's k is chosen on ``corpus["validation"]`` (on the start of the training text
        if there is none).

        Raises:
            BenchError: the training text is empty.
        """
        text = check_text(corpus["train"])
        if not text:
            raise BenchError(f"{run.name}: the training text is empty; check the dataset's card and `data/prepared`")
        by_words = self.config.unit == "words"
        min_count = self.config.min_count or (2 if by_words else 1)
        if by_words:
            tokens = words(text)
            self._vocabulary = Vocabulary.build(tokens, min_count)
            ids: NDArray[np.integer] = self._vocabulary.encode(tokens)
            rare = [token for token in tokens if token not in self._vocabulary]
            alphabet = Vocabulary.build([*set(text), _END])
            self._speller = _Speller.fit(rare, alphabet, self.config.spelling_order)
        else:
            self._vocabulary = Vocabulary.of_characters(text, min_count)
            ids = self._vocabulary.encode_characters(text, np.min_scalar_type(len(self._vocabulary)).type)
        counts = GramCounts.count(ids, len(self._vocabulary), self.config.order)
        self._model = SmoothedModel(counts, choose_k(counts, self.encode(corpus.get("validation") or text[:_CHOOSING])))
        run.cost["parameters"] = float(sum(len(keys) for keys in counts.keys))
        run.cost["train_flops"] = 0.0

    def log_prob(
        self,
        text: str,
        n: int | None = None,
        smoothing: str | None = None,
        *,
        discount: float | None = None,
        plain_unigram: bool = False,
    ) -> Floats:
        """Nats of each token of ``text`` (see :meth:`token_bytes`), escapes spelled out; ``-inf`` for what maximum
        likelihood never saw.

        Args:
            text: any text; its start is scored with as much context as there is.
            n: order, the highest counted by default.
            smoothing: ``mle``, ``add_k``, ``katz``, ``stupid_backoff``, ``kneser_ney`` or ``modified_kneser_ney`` (the
                default); for a model that was read from an ARPA file ``arpa`` alone.
            discount: fixed Kneser-Ney discount instead of the estimated ones.
            plain_unigram: leave the unigrams undiscounted.

        Raises:
            BenchError: unknown smoothing, an n that was not counted, or what is no text in UTF-8.
        """
        n, smoothing = self._settings(n, smoothing)
        ids = self.encode(text)
        with np.errstate(divide="ignore"):
            nats = np.log(self.model.probabilities(ids, n, smoothing, discount=discount, plain_unigram=plain_unigram))
        unknown = np.flatnonzero(ids == UNKNOWN)
        if len(unknown):
            tokens = self._tokens(text)
            nats[unknown] += self._spell([tokens[place] for place in unknown])
        return nats

    def score_sentences(self, sentences: Sequence[str], n: int | None = None, smoothing: str | None = None) -> Floats:
        """Nats of each of many texts, each by itself from an empty context, in one pass; escapes are spelled out.

        Args:
            sentences: N texts.
            n, smoothing: as for :meth:`log_prob`.

        Returns:
            ``(N,)``; 0 for an empty text.
        """
        n, smoothing = self._settings(n, smoothing)
        if self.config.unit == "characters":
            text = "".join(sentences)
            ids, lengths = self.encode(text), np.array([len(sentence) for sentence in sentences], dtype=np.int64)
            tokens: list[str] | None = None
        else:
            check_text("".join(sentences))
            parts = [self._tokens(sentence) for sentence in sentences]
            lengths = np.array([len(part) for part in parts], dtype=np.int64)
            tokens = [token for part in parts for token in part]
            ids = self.vocabulary.encode(tokens)
        starts = np.cumsum(lengths) - lengths
        depth = np.arange(1, len(ids) + 1) - np.repeat(starts, lengths)
        with np.errstate(divide="ignore"):
            nats = np.log(self.model.probabilities(ids, n, smoothing, depth=depth))
        unknown = np.flatnonzero(ids == UNKNOWN)
        if len(unknown):
            nats[unknown] += self._spell([tokens[i] if tokens is not None else text[i] for i in unknown])
        sums = np.add.reduceat(np.append(nats, 0.0), starts) if len(lengths) else np.zeros(0)
        return np.where(lengths > 0, sums, 0.0)

    def _spell(self, tokens: list[str]) -> Floats:
        """Nats of the spelling of each unknown token; nothing in a model of plain words, which has no spelling."""
        if self._plain:
            return np.zeros(len(tokens))
        return (
            self._speller.log_prob(tokens)
            if self._speller is not None
            else -np.array([byte_nats(token) for token in tokens])
        )

    def _settings(self, n: int | None, smoothing: str | None) -> tuple[int, str]:
        """What is meant where nothing is said: the highest order, and the best smoothing."""
        default = "modified_kneser_ney" if self.model.given is None else ARPA
        return self.model.counts.order if n is None else n, default if smoothing is None else smoothing

    def token_bytes(self, text: str) -> Ints:
        """UTF-8 bytes of each token that :meth:`log_prob` scores; their sum is the length of the text in bytes.

        Raises:
            BenchError: a model of plain words, which gives white space no probability: it has no bits per byte.
        """
        if self._plain:
            raise BenchError(
                "this ARPA file is one of plain words: white space and the spelling of unknown words have no "
                "probability there, so bits per byte mean nothing; use the perplexity per word"
            )
        text = check_text(text)
        return character_bytes(text) if self.config.unit == "characters" else utf8_lengths(words(text))

    def distribution(self, context: str, n: int | None = None, smoothing: str | None = None) -> Floats:
        """Probability of every token of the vocabulary after ``context``, entry 0 the escape: ``(V,)``."""
        return self.model.distribution(self.encode(context), *self._settings(n, smoothing))

    def sample(
        self, n_chars: int, seed: int, prompt: str = "", n: int | None = None, smoothing: str | None = None
    ) -> str:
        """``n_chars`` characters that continue ``prompt``, or a blank line if there is none.

        Raises:
            BenchError: unknown smoothing, or an n that was not counted.
        """
        n, smoothing = self._settings(n, smoothing)
        self.model.check(n, smoothing)
        rng = np.random.default_rng(seed)
        if self._plain:
            drawn = self._sentences(prompt, n, smoothing, rng)
        else:
            drawn = self._pieces(self.model.draw(self.encode(prompt or _START), n, smoothing, rng), rng)
        pieces, length = [], 0
        for piece in drawn:
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

    def _sentences(self, prompt: str, n: int, smoothing: str, rng: np.random.Generator) -> Iterator[str]:
        """Plain words, each with the space before it; a sentence ends in a line break, and the next begins afresh."""
        gap = " " if prompt and not prompt[-1].isspace() else ""
        context = self.vocabulary.encode([BEGIN, *plain_words(prompt.rpartition("\n")[2])])
        while True:
            for token in self.model.draw(context, n, smoothing, rng):
                word = "<unk>" if token == UNKNOWN else self.vocabulary.decode(token)
                if word == END:
                    break
                if word != BEGIN:
                    yield gap + word
                    gap = " "
            yield "\n"
            gap, context = "", self.vocabulary.encode([BEGIN])

    def save(self, folder: Path) -> None:
        """``ngram.npz``: counts, vocabulary, k; and the speller's under ``spelling_``."""
        arrays = {
            **self.model.counts.to_arrays(),
            "vocabulary": self.vocabulary.to_bytes(),
            "k": np.array(self.model.k),
        }
        for m, level in enumerate(self.model.given or (), 1):
            arrays |= {f"alpha_{m}": level.alpha, f"gamma_{m}": level.gamma}
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
        counts = GramCounts.from_arrays(arrays)
        given = (
            [Level(arrays[f"alpha_{m}"], arrays[f"gamma_{m}"]) for m in range(1, counts.order + 1)]
            if "alpha_1" in arrays
            else None
        )
        model._model = SmoothedModel(counts, [float(k) for k in arrays["k"]], given)
        model._plain = model._has_plain_words()
        spelling = {
            key.removeprefix("spelling_"): value for key, value in arrays.items() if key.startswith("spelling_")
        }
        if spelling:
            counts = GramCounts.from_arrays(spelling)
            model._speller = _Speller(
                Vocabulary.from_bytes(spelling["vocabulary"]), SmoothedModel(counts, [1.0] * counts.order)
            )
        return model

    def to_arpa(self, n: int | None = None, smoothing: str | None = None) -> Iterator[str]:
        """The lines of an ARPA file; other programs load it and give the same probabilities to known tokens.

        Raises:
            BenchError: a smoothing that the format cannot hold, or an n that was not counted.
        """
        return arpa_lines(self.model, self.vocabulary, *self._settings(n, smoothing))

    @classmethod
    def from_arpa(
        cls, lines: Iterable[str], unit: Literal["characters", "words"] = "words", where: str = "ARPA file"
    ) -> NGram:
        """A model that scores and samples as an ARPA file says (smoothing ``arpa``).

        In a file that :meth:`to_arpa` wrote, unknown tokens cost their bytes besides. A file of plain words, as KenLM
        and SRILM write it, scores the words between white space as those programs do, without sentence marks unless
        the text has them, and has no :meth:`token_bytes`.

        Raises:
            BenchError: the file is malformed (the line is named).
        """
        vocabulary, smoothed = read_arpa(lines, where)
        model = cls(NGramConfig(unit=unit, order=smoothed.counts.order))
        model._vocabulary, model._model = vocabulary, smoothed
        model._plain = model._has_plain_words()
        return model

    def _has_plain_words(self) -> bool:
        """Read from another program's file: our own tokens hold spaces and line breaks."""
        given = self.config.unit == "words" and self.model.given is not None
        return given and not any(set(token) & set(" \t\r\n") for token in self.vocabulary.tokens)

    def entropy(self, n: int, smoothing: str = "mle") -> float:
        """Shannon's F_n: bits of a token given the n - 1 before it, on the training counts themselves."""
        level = self.model.level(n, n, smoothing)
        counts = self.model.counts.counts[n - 1]
        return float(-(counts * np.log(level.alpha)).sum() / counts.sum() / math.log(2))
