"""How well language models predict held-out text: bits per byte, perplexity, and the same of the training text.

Every model is scored on the same bytes of the test split, whatever its tokens are. Settings that change only the
sampling (temperature) share the score of the setting that they belong to.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.base.errors import BenchError
from bench.base.progress import Progress
from bench.base.seeds import generator
from bench.base.settings import Checked, Count, Natural
from bench.capabilities import HasNote
from bench.contracts import Floats, Ints
from bench.metrics.bits_per_byte import bits_per_byte, count_bytes
from bench.metrics.perplexity import perplexity, perplexity_bounds
from bench.metrics.protocols import protocol_id
from bench.results.extras import Curve, Items, Note, Table, lines_of
from bench.scorers.likelihood_checks import check_excerpt, check_prefix, check_sums
from bench.scorers.texts import Setting, corpus, held_out, is_series, settings
from bench.scoring import Output, Score, Subject, scorer
from bench.stats.intervals import bootstrap_ratio_ci

__all__ = ["LikelihoodOptions", "TextLikelihood", "likelihood", "text_likelihood"]

CLOSELY = 8
"""Settings of a generator, evenly spaced, that are asked for excerpts and sums: some hundred texts each."""


@dataclass(frozen=True)
class LikelihoodOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        characters: score only the first so many characters of the test split; 0 for all (a limit becomes part of the
            protocol).
        block: bytes of the blocks that the intervals resample.
        train_characters: also score so many characters from the start of the training text (rows of the split
            ``train``); 0 for none.
    """

    characters: Natural = 0
    block: Count = 4000
    train_characters: Natural = 0


@dataclass(frozen=True)
class TextLikelihood:
    """A text scored by a model.

    Attributes:
        nats: minus the log-probability of each block.
        sizes: bytes of each block.
        tokens: tokens of each block.
        impossible: share of the tokens that got no probability.
    """

    nats: Floats
    sizes: Floats
    tokens: Floats
    impossible: float

    @property
    def bits_per_byte(self) -> float:
        """Infinite if any token got no probability."""
        return bits_per_byte(float(self.nats.sum()), int(self.sizes.sum()))

    @property
    def perplexity(self) -> float:
        """Per token of the model's own vocabulary."""
        return perplexity(float(self.nats.sum()), int(self.tokens.sum()))

    def bits_interval(self, seed: int) -> tuple[float, float] | None:
        """Of bits per byte, over the blocks; None if they are infinite."""
        return bootstrap_ratio_ci(self.nats / math.log(2), self.sizes, seed) if np.isfinite(self.nats).all() else None

    def perplexity_interval(self, seed: int) -> tuple[float, float] | None:
        """Of the perplexity, over the blocks; None if it is infinite."""
        if not np.isfinite(self.nats).all():
            return None
        return perplexity_bounds(bootstrap_ratio_ci(self.nats, self.tokens, seed))


def token_scores(model: Any, text: str, options: Mapping[str, Any]) -> tuple[Floats, Ints]:
    """Minus the log-probability of each token of ``text``, and its bytes.

    Raises:
        BenchError: the model's tokens do not cover the text.
    """
    nats = -np.asarray(model.log_prob(text, **options), dtype=np.float64)
    sizes = np.asarray(model.token_bytes(text), dtype=np.int64)
    if len(nats) != len(sizes) or sizes.sum() != count_bytes(text):
        raise BenchError(
            f"{type(model).__name__}: {len(nats)} log-probabilities over {int(sizes.sum())} bytes for a text of "
            f"{count_bytes(text)} bytes: log_prob and token_bytes must cover every byte"
        )
    return nats, sizes


def text_likelihood(model: Any, text: str, block: int, options: Mapping[str, Any]) -> TextLikelihood:
    """Log-probabilities of ``text`` in blocks of ``block`` bytes.

    Raises:
        BenchError: the model's tokens do not cover the text.
    """
    return in_blocks(*token_scores(model, text, options), block)


def in_blocks(nats: Floats, sizes: Ints, block: int) -> TextLikelihood:
    """Sums of tokens over blocks of ``block`` bytes; a token belongs to the block that it begins in."""
    blocks = (np.cumsum(sizes) - sizes) // block
    if blocks[-1] and (sizes.sum() - blocks[-1] * block) < block / 2:  # a short last block joins the one before
        blocks = np.minimum(blocks, blocks[-1] - 1)
    with np.errstate(invalid="ignore"):
        sums = [np.bincount(blocks, weights=values).astype(np.float64) for values in (nats, sizes, np.ones(len(sizes)))]
    return TextLikelihood(sums[0], sums[1], sums[2], float(np.isinf(nats).mean()))


@scorer("LanguageModel", "StateModel", options=LikelihoodOptions, model=True)
def likelihood(subject: Subject, options: LikelihoodOptions) -> Iterator[Output]:
    """Bits per byte and perplexity of every setting, the blocks behind them, and curves over the order n.

    Of several settings the bits per byte of the validation split as well, by which one is chosen. A model that looks
    ahead, or whose probabilities sum to more than one, is refused.
    """
    if is_series(subject):
        return
    whole, system, every = held_out(subject), subject.system, settings(subject)
    text = whole[: options.characters or None]
    part = "all-bytes" if len(text) == len(whole) else f"first-{count_bytes(text)}-bytes"
    validation = _whole_words(corpus(subject).get("validation", "")[: options.characters or None])
    excerpt = _whole_words(corpus(subject)["train"][: options.train_characters])
    found: dict[str, TextLikelihood] = {}
    known: dict[str, TextLikelihood] = {}
    closely = every[:: -(-len(every) // CLOSELY)]
    with Progress(f"evaluate {subject.name}", len(every), "settings", quiet=subject.context.quiet) as progress:
        for setting in every:
            model, own = setting.model(system)
            nats, sizes = token_scores(model, text, own)
            who, rng = f"{subject.name} {setting.variant}".strip(), generator(subject.derive("checks", setting.variant))
            check_prefix(who, model, own, text, nats, sizes, rng)
            if setting in closely:
                check_excerpt(who, model, own, text, rng)
                check_sums(who, model, own, text, rng)
            found[setting.variant] = in_blocks(nats, sizes, options.block)
            yield from _held_out(subject, found[setting.variant], setting.variant, part, model.vocabulary_name)
            if len(every) > 1 and validation:
                yield _for_choice(subject, text_likelihood(model, validation, options.block, own), setting.variant)
            if excerpt:
                known[setting.variant] = text_likelihood(model, excerpt, options.block, own)
                yield _of_training(subject, known[setting.variant], setting.variant, count_bytes(excerpt))
            progress.update(1, setting.variant)
    yield from _blocks(found)
    yield from _impossible(found)
    yield Note(
        f"Perplexity is per token of the vocabulary {system.vocabulary_name}; bits per byte alone compares across "
        "vocabularies."
    )
    if isinstance(system, HasNote):
        yield Note(system.note)
    yield from _over_n(every, found, known)


def _whole_words(text: str) -> str:
    """Up to the last space: half a word at the cut would be new to a model of words."""
    return text[: text.rfind(" ") if " " in text else None]


def _held_out(subject: Subject, found: TextLikelihood, variant: str, part: str, vocabulary: str) -> Iterator[Score]:
    seed = subject.derive("intervals", variant)
    size, tokens = int(found.sizes.sum()), int(found.tokens.sum())
    protocol = protocol_id("bits_per_byte", "test", part)
    yield Score("bits_per_byte", found.bits_per_byte, protocol, found.bits_interval(seed), size, variant)
    protocol = protocol_id("perplexity", "test", vocabulary, part)
    yield Score("perplexity", found.perplexity, protocol, found.perplexity_interval(seed), tokens, variant)


def _for_choice(subject: Subject, found: TextLikelihood, variant: str) -> Score:
    """Bits per byte of the validation split."""
    size = int(found.sizes.sum())
    protocol = protocol_id("bits_per_byte", "validation", f"first-{size}-bytes")
    interval = found.bits_interval(subject.derive("validation", variant))
    return Score("bits_per_byte", found.bits_per_byte, protocol, interval, size, variant, split="validation")


def _of_training(subject: Subject, known: TextLikelihood, variant: str, size: int) -> Score:
    """Bits per byte of the start of the training text: how far the model has learnt it."""
    protocol = protocol_id("bits_per_byte", "train", f"first-{size}-bytes")
    interval = known.bits_interval(subject.derive("train", variant))
    return Score(
        "bits_per_byte", known.bits_per_byte, protocol, interval, size, variant, split="train", slice="training-text"
    )


def _blocks(found: Mapping[str, TextLikelihood]) -> Iterator[Items]:
    """Sums of the blocks, so that claims can compare models block by block on the same text."""
    for variant, value in found.items():
        if math.isfinite(value.bits_per_byte):
            bits = tuple(round(float(nats) / math.log(2), 3) for nats in value.nats)
            yield Items("bits_per_byte", variant, bits, tuple(value.sizes.astype(int).tolist()))


def _impossible(found: Mapping[str, TextLikelihood]) -> Iterator[Output]:
    rows = tuple((variant, round(value.impossible, 6)) for variant, value in found.items() if value.impossible)
    if rows:
        columns = ("setting", "share of held-out tokens without probability")
        note = "One such token makes the bits per byte infinite."
        yield Table("Held-out text that cannot happen", columns, rows, note)
        yield Note(
            "Infinite bits per byte are shown as a dash: the model gives no probability to something in the "
            "held-out text."
        )


def _over_n(
    every: Sequence[Setting], found: Mapping[str, TextLikelihood], known: Mapping[str, TextLikelihood]
) -> Iterator[Curve]:
    """Bits per byte over the order n, a line for each smoothing, finite values only."""
    points = [
        (line, float(setting.options["n"]), scored[setting.variant].bits_per_byte)
        for setting in every
        if "n" in setting.options
        for name in [str(setting.options.get("smoothing", "")).replace("_", " ")]
        for line, scored in ((name, found), (f"{name}, on training text", known))
        if scored
    ]
    if series := lines_of(points):
        yield Curve("Bits per byte against the order n", "n", "bits per byte", series)
