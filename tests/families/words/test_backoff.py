"""Katz and stupid back-off against plain dictionary implementations, and what bad input gets."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.lm import StupidBackoff
from nltk.util import everygrams

from bench.autoregressive.vocabulary import Vocabulary, character_bytes, check_text
from bench.base.errors import BenchError
from bench.contracts import RunContext
from bench.families.words.ngram import NGram, NGramConfig
from bench.families.words.smoothing import SMOOTHINGS, katz_discounts

TRAIN = (
    "the cat sat on the mat. the cat ate the rat, and the rat sat on a hat.\nthat cat! that rat? at last the cat sat.\n"
    * 3
)
HELD_OUT = "the rat sat on the cat at last.\n"
SKEWED = "".join(chr(97 + min(15, int(r))) for r in np.random.default_rng(0).geometric(0.25, 4000))


def trained(text: str, **config: object) -> NGram:
    model = NGram(NGramConfig(**config))  # type: ignore[arg-type]
    model.fit({"train": text, "validation": text}, RunContext())
    return model


class Katz:
    """Katz (1987) as the paper writes it, one token at a time over dictionaries."""

    def __init__(self, tokens: list[int], size: int, n: int) -> None:
        self.size = size
        self.counts = {
            m: Counter(tuple(tokens[i : i + m]) for i in range(len(tokens) - m + 1)) for m in range(1, n + 1)
        }
        self.factors = {m: katz_discounts(np.array(list(counts.values()))) for m, counts in self.counts.items()}

    def kept(self, gram: tuple[int, ...], total: float) -> float:
        count = self.counts[len(gram)][gram]
        return (self.factors[len(gram)][count] if count <= 5 else 1.0) * count / total

    def p(self, token: int, context: tuple[int, ...]) -> float:
        m = len(context) + 1
        lower = (lambda w: self.p(w, context[1:])) if context else (lambda w: 1 / self.size)
        follow = [gram for gram in self.counts[m] if gram[:-1] == context]
        if not follow:
            return lower(token)
        total = sum(self.counts[m][gram] for gram in follow)
        mass = sum(self.kept(gram, total) for gram in follow)
        if len(follow) == self.size:
            return self.kept((*context, token), total) / mass
        if mass > 1 - 1e-12:
            total, mass = total + 1, mass * total / (total + 1)
        if (*context, token) in self.counts[m]:
            return self.kept((*context, token), total)
        return (1 - mass) / (1 - sum(lower(gram[-1]) for gram in follow)) * lower(token)


@pytest.mark.parametrize("text", [TRAIN, SKEWED[:600]])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_katz_matches_the_dictionary_implementation(text: str, n: int) -> None:
    model = trained(text, order=4)
    held = HELD_OUT if text is TRAIN else SKEWED[1000:1030]
    reference = Katz(model.encode(text).tolist(), len(model.vocabulary), n)
    ids = model.encode(held).tolist()
    expected = [reference.p(token, tuple(ids[max(0, i - n + 1) : i])) for i, token in enumerate(ids)]
    np.testing.assert_allclose(model.model.probabilities(np.array(ids), n, "katz"), expected, rtol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_stupid_backoff_is_nltks_divided_by_its_sum(n: int) -> None:
    model = trained(TRAIN, order=3, unit="words", min_count=1)
    names = model.vocabulary.tokens
    train = [names[i - 1] for i in model.encode(TRAIN)]
    theirs = StupidBackoff(alpha=0.4, order=n)
    theirs.fit([everygrams(train, max_len=n)], vocabulary_text=train)
    for context in ([], [" cat"], [" the", " rat"], [" rat", " the"], [" hat", " mat"]):
        context = context[max(0, len(context) - n + 1) :] if n > 1 else []
        scores = np.array([theirs.score(token, context) for token in names])
        assert (scores > 0).all()
        ours = model.model.distribution(model.vocabulary.encode(context), n, "stupid_backoff")
        assert ours.sum() == pytest.approx(1)
        # nltk knows no escape: what is left of ours is its scores, all divided by one number.
        np.testing.assert_allclose(ours[1:] / ours[1:].sum(), scores / scores.sum(), rtol=1e-9)


def test_good_turing_where_the_counts_allow_it_and_half_a_count_where_not() -> None:
    counts = np.repeat([1, 2, 3, 4, 5, 6, 40], [640, 240, 120, 70, 50, 30, 9])
    q = 6 * 30 / 640
    expected = [
        ((r + 1) * b / a / r - q) / (1 - q)
        for r, a, b in zip(range(1, 6), (640, 240, 120, 70, 50), (240, 120, 70, 50, 30), strict=True)
    ]
    np.testing.assert_allclose(katz_discounts(counts), [0, *expected])
    for few in ([], [7, 8, 9], [1, 1, 2], [1] * 5 + [2] * 50 + [3, 4, 5, 6]):
        np.testing.assert_allclose(katz_discounts(np.array(few, dtype=np.int64)), [0, 0.5, 0.75, 2.5 / 3, 0.875, 0.9])


def test_the_smoothings_come_in_the_order_of_the_textbooks() -> None:
    """On text with a long tail of rare continuations: add-k above Katz, Katz above Kneser-Ney."""
    rng = np.random.default_rng(1)
    lines = ["the " + " ".join(f"w{min(400, int(r))}" for r in rng.zipf(1.5, 6)) + " of the end" for _ in range(900)]
    model = trained("\n".join(lines[:700]), order=3, unit="words")
    bits = {s: -model.log_prob("\n".join(lines[700:]), 3, s).sum() for s in ("add_k", "katz", "modified_kneser_ney")}
    assert bits["modified_kneser_ney"] < bits["katz"] < bits["add_k"]


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(alphabet="abcd e\n", min_size=1, max_size=200),
    context=st.text(alphabet="abcdxe \n", max_size=7),
    n=st.integers(1, 8),
    unit=st.sampled_from(["characters", "words"]),
    smoothing=st.sampled_from(SMOOTHINGS[1:]),
)
def test_probabilities_sum_to_one_for_any_corpus_order_and_smoothing(
    text: str, context: str, n: int, unit: str, smoothing: str
) -> None:
    model = trained(text, order=8, unit=unit, min_count=1)
    p = model.distribution(context, n, smoothing)
    assert p.min() >= 0 and (p[1:] > 0).all()
    assert math.isclose(p.sum(), 1, abs_tol=1e-9)


def test_n_larger_than_the_text_backs_off() -> None:
    model = trained("abc", order=8)
    for smoothing in SMOOTHINGS[1:]:
        nats = model.log_prob("abcabcabcabc", 8, smoothing)
        assert np.isfinite(nats).all() and len(nats) == 12
    assert [len(keys) for keys in model.model.counts.keys] == [3, 2, 1, 0, 0, 0, 0, 0]


def test_an_unseen_word_is_spelled_and_the_rest_is_scored_as_ever() -> None:
    model = trained(TRAIN, order=3, unit="words")
    known, unknown = model.log_prob("the cat sat."), model.log_prob("the xylophone sat.")
    assert np.isfinite(unknown).all() and unknown[1] < known[1] - 10
    assert model.token_bytes("the xylophone sat.").tolist() == [3, 10, 4, 1]


@pytest.mark.parametrize("unit", ["characters", "words"])
def test_bytes_that_are_no_utf8_are_refused(unit: str) -> None:
    broken = b"caf\xe9".decode("utf-8", "surrogateescape")
    model = trained(TRAIN, order=2, unit=unit)
    for call in (
        model.log_prob,
        model.token_bytes,
        lambda text: model.sample(5, 0, text),
        lambda text: trained(text, unit=unit),
    ):
        with pytest.raises(BenchError, match="'\\\\udce9', which stands for a byte that is not UTF-8"):
            call(broken)
        with pytest.raises(BenchError, match="a text is needed, not bytes: decode it first"):
            call(b"caf\xe9")
    assert check_text("caf\u00e9") == "caf\u00e9"


@given(text=st.text(max_size=40), least=st.integers(1, 2))
def test_character_tables_equal_the_plain_way(text: str, least: int) -> None:
    vocabulary = Vocabulary.of_characters(text, least)
    assert vocabulary.tokens == Vocabulary.build(text, least).tokens
    assert vocabulary.encode_characters(text + "\U0001f600").tolist() == vocabulary.encode(text + "\U0001f600").tolist()
    assert character_bytes(text).tolist() == [len(c.encode()) for c in text]


@pytest.mark.parametrize("unit", ["characters", "words"])
def test_sentences_are_scored_each_by_itself(unit: str) -> None:
    model = trained(TRAIN, order=3, unit=unit)
    sentences = ["the cat sat.", "", "a \u2603 sat", "the rat ate the zebra", ""]
    for smoothing in ("katz", "modified_kneser_ney"):
        expected = [model.log_prob(sentence, 3, smoothing).sum() for sentence in sentences]
        np.testing.assert_allclose(model.score_sentences(sentences, 3, smoothing), expected, rtol=1e-12)
    assert model.score_sentences([]).shape == (0,) and model.score_sentences(["\u2603", ""], 1, "mle")[0] == -math.inf
