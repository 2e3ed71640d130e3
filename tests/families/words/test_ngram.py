"""The n-gram models against a plain dictionary implementation, their sums, their edges."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.autoregressive.vocabulary import words
from bench.base.errors import BenchError
from bench.contracts import LanguageModel, RunContext
from bench.families.words.counts import GramCounts
from bench.families.words.ngram import NGram, NGramConfig
from bench.families.words.smoothing import SMOOTHINGS, SmoothedModel, choose_k, discounts

TRAIN = (
    "the cat sat on the mat. the cat ate the rat, and the rat sat on a hat.\nthat cat! that rat? at last the cat sat.\n"
    * 3
)
HELD_OUT = "the rat sat on the cat at last.\n"


def trained(text: str = TRAIN, validation: str = HELD_OUT, **config: object) -> NGram:
    model = NGram(NGramConfig(**config))  # type: ignore[arg-type]
    model.fit({"train": text, "validation": validation}, RunContext())
    return model


class Reference:
    """Kneser-Ney as the papers write it: dictionaries of tuples, one token at a time."""

    def __init__(self, tokens: list[int], size: int, n: int, modified: bool) -> None:
        self.size, self.n = size, n
        raw = {m: Counter(tuple(tokens[i : i + m]) for i in range(len(tokens) - m + 1)) for m in range(1, n + 1)}
        self.counts: dict[int, dict[tuple[int, ...], int]] = {n: dict(raw[n])}
        for m in range(1, n):
            before: dict[tuple[int, ...], set[int]] = defaultdict(set)
            for gram in raw[m + 1]:
                before[gram[1:]].add(gram[0])
            self.counts[m] = {gram: len(before[gram]) for gram in raw[m]}
        self.steps = {m: discounts(np.array(list(self.counts[m].values())), modified) for m in range(1, n + 1)}

    def p(self, token: int, context: tuple[int, ...]) -> float:
        context = context[-(self.n - 1) :] if self.n > 1 else ()
        return self._p(token, context)

    def _p(self, token: int, context: tuple[int, ...]) -> float:
        m = len(context) + 1
        lower = self._p(token, context[1:]) if context else 1 / self.size
        follow = {gram: count for gram, count in self.counts[m].items() if gram[:-1] == context and count > 0}
        if not follow:
            return lower
        steps, total = self.steps[m], sum(follow.values())
        count = follow.get((*context, token), 0)
        taken = sum(steps[min(c, 3) - 1] for c in follow.values())
        return (count - steps[min(count, 3) - 1] if count else 0.0) / total + taken / total * lower


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("smoothing", ["kneser_ney", "modified_kneser_ney"])
def test_kneser_ney_matches_the_dictionary_implementation(n: int, smoothing: str) -> None:
    model = trained(order=6)
    ids = [int(i) for i in model.vocabulary.encode(TRAIN)]
    reference = Reference(ids, len(model.vocabulary), n, smoothing.startswith("modified"))
    held = [int(i) for i in model.vocabulary.encode(HELD_OUT)]
    # The start of a text has a shorter context, which the reference meets as a model of lower order inside the
    # recursion.
    expected = [math.log(reference.p(token, tuple(held[:i]))) for i, token in enumerate(held)]
    np.testing.assert_allclose(model.log_prob(HELD_OUT, n, smoothing), expected, rtol=1e-10)


@pytest.mark.parametrize("unit", ["characters", "words"])
@pytest.mark.parametrize("n", [1, 3])
def test_mle_and_add_k_match_their_definitions(unit: str, n: int) -> None:
    model = trained(order=3, unit=unit, min_count=1)
    split = words if unit == "words" else list
    tokens, held = (
        split(TRAIN),
        split("the cat sat on the rat at sat.\n" if unit == "words" else "the cat sat on tho rat.\n"),
    )
    grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
    contexts = Counter(gram[:-1] for gram in grams.elements())
    places = range(n - 1, len(held))
    pairs = [(grams[tuple(held[i - n + 1 : i + 1])], contexts[tuple(held[i - n + 1 : i])]) for i in places]
    text = "".join(held)
    mle = [c / t if t else 0.0 for c, t in pairs]
    np.testing.assert_allclose(np.exp(model.log_prob(text, n, "mle"))[n - 1 :], mle, rtol=1e-12)
    k, size = model.model.k[n - 1], len(model.vocabulary)
    add_k = [(c + k) / (t + k * size) for c, t in pairs]
    np.testing.assert_allclose(np.exp(model.log_prob(text, n, "add_k"))[n - 1 :], add_k, rtol=1e-12)
    assert n == 1 or 0.0 in mle  # the case that makes maximum likelihood infinite is among them


corpora = st.text(alphabet="ab c.é\n", min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(
    text=corpora,
    context=st.text(alphabet="abxc \n", max_size=6),
    n=st.integers(1, 5),
    unit=st.sampled_from(["characters", "words"]),
)
def test_probabilities_sum_to_one_after_any_context(text: str, context: str, n: int, unit: str) -> None:
    model = trained(text, text, order=5, unit=unit)
    for smoothing in SMOOTHINGS:
        p = model.distribution(context, n, smoothing)
        assert p.shape == (len(model.vocabulary),)
        assert (p >= 0).all()
        if smoothing == "mle":
            assert math.isclose(p.sum(), 1, abs_tol=1e-9) or p.sum() == 0  # zero: the context was never seen
        else:
            assert math.isclose(p.sum(), 1, abs_tol=1e-9)
            assert p.min() > 0


@settings(max_examples=40, deadline=None)
@given(
    text=corpora,
    held=st.text(alphabet="abcxü \n", min_size=1, max_size=30),
    n=st.integers(1, 4),
    unit=st.sampled_from(["characters", "words"]),
)
def test_every_byte_is_covered_and_scores_agree_with_the_distribution(text: str, held: str, n: int, unit: str) -> None:
    model = trained(text, text, order=4, unit=unit)
    sizes = model.token_bytes(held)
    tokens = words(held) if unit == "words" else list(held)
    assert sizes.sum() == len(held.encode())
    for smoothing in SMOOTHINGS[1:]:
        nats = model.log_prob(held, n, smoothing)
        assert len(nats) == len(sizes) and np.isfinite(nats).all() and (nats < 0).all()
        for i, token in enumerate(tokens):
            if token in model.vocabulary:
                p = model.distribution("".join(tokens[:i]), n, smoothing)
                if words("".join(tokens[:i])) == tokens[:i] or unit == "characters":
                    assert math.isclose(math.exp(nats[i]), p[model.vocabulary.encode([token])[0]], rel_tol=1e-9)


def test_spellings_of_unknown_words_are_a_distribution() -> None:
    """All strings of one and two letters together with the mass of longer ones: the speller's probabilities never
    exceed one."""
    model = trained("ab ba aab b. ab cab bac. abba b ab", unit="words", order=2, spelling_order=3)
    assert model._speller is not None
    letters = [token for token in model._speller.vocabulary.tokens if token != "\x03"]
    short = [""] + letters + [a + b for a in letters for b in letters]
    mass = np.exp(model._speller.log_prob(short)).sum()
    assert 0.05 < mass < 1


def test_unknown_characters_cost_their_bytes() -> None:
    model = trained(order=3)
    known, unknown = model.log_prob("the cat"), model.log_prob("the c\u2603t")
    escape = model.distribution("the c", smoothing="modified_kneser_ney")[0]
    assert unknown[5] == pytest.approx(math.log(escape) - 3 * math.log(256))
    assert known[:5] == pytest.approx(unknown[:5])
    assert np.isneginf(model.log_prob("\u2603", 1, "mle")).all()


def test_discounts_by_hand() -> None:
    counts = np.array([1] * 10 + [2] * 5 + [3] * 3 + [4] * 2)
    assert discounts(counts, modified=False) == (0.5,) * 3
    y = 10 / 20
    assert discounts(counts, modified=True) == pytest.approx((1 - 2 * y * 5 / 10, 2 - 3 * y * 3 / 5, 3 - 4 * y * 2 / 3))
    assert discounts(np.array([5, 5]), modified=True) == (0.5, 1.0, 1.5)


@pytest.mark.parametrize(
    ("length", "size", "order"),
    [
        (0, 4, 3),
        (1, 4, 3),
        (300, 4, 5),
        (400, 2, 40),
        (200, 1, 4),
        (500, 70_000, 5),
        (2000, 300, 9),
    ],  # the last three need several sorts
)
def test_counts_equal_those_of_a_dictionary(length: int, size: int, order: int) -> None:
    tokens = np.random.default_rng(0).integers(0, size, length)
    tokens[length // 2 :] = tokens[: length - length // 2]  # long grams occur twice, too
    found = GramCounts.count(tokens.astype(np.min_scalar_type(size - 1)), size, order)
    grams: list[tuple[int, ...]] = [()]
    for m in range(1, order + 1):
        expected = Counter(tuple(tokens[i : i + m].tolist()) for i in range(length - m + 1))
        ours = [
            (*grams[prefix], key - prefix * size)
            for key, prefix in zip(found.keys[m - 1], found.prefixes(m), strict=True)
        ]
        assert dict(zip(ours, found.counts[m - 1], strict=True)) == expected
        assert ours == sorted(expected)
        if m > 1:
            before = Counter(gram[1:] for gram in expected)
            assert [before[gram] for gram in grams] == found.continuations[m - 2].tolist()
        grams = ours


def test_counting_refuses_what_64_bits_cannot_hold() -> None:
    with pytest.raises(BenchError, match="do not fit into 64 bits: lower `order`"):
        GramCounts.count(np.arange(5), 1 << 62, 3)


def test_k_is_the_best_of_its_grid_on_validation() -> None:
    model = trained(order=4)
    chosen = model.log_prob(HELD_OUT * 3, 4, "add_k")[3:].sum()
    for k in (1e-3, 1e-2, 0.1, 1.0):
        other = SmoothedModel(model.model.counts, [k] * 4)
        ids = model.vocabulary.encode(HELD_OUT * 3)
        assert np.log(other.probabilities(ids, 4, "add_k"))[3:].sum() <= chosen + 0.5
    easy = choose_k(model.model.counts, model.vocabulary.encode(TRAIN))
    assert easy[3] <= model.model.k[3]  # text seen in training wants hardly any smoothing


def test_samples_follow_the_distribution() -> None:
    model = trained(order=3)
    for smoothing in SMOOTHINGS:
        drawn = Counter(model.sample(1, seed, "the ca", n=3, smoothing=smoothing) for seed in range(3000))
        p = model.distribution("the ca", 3, smoothing)
        for token, count in drawn.items():
            expected = p[model.vocabulary.encode([token])[0]]
            assert abs(count / 3000 - expected) < 4.5 * math.sqrt(expected * (1 - expected) / 3000) + 1e-3


@pytest.mark.parametrize("unit", ["characters", "words"])
def test_contract(unit: str, tmp_path: Path) -> None:
    model = trained(unit=unit, order=3)
    assert isinstance(model, LanguageModel)
    text = model.sample(120, 7, "the cat")
    assert len(text) == 120
    assert text == model.sample(120, 7, "the cat") != model.sample(120, 8, "the cat")
    for folder in ("one", "two"):
        model.save(tmp_path / folder)
    assert (tmp_path / "one/ngram.npz").read_bytes() == (tmp_path / "two/ngram.npz").read_bytes()
    loaded = NGram.load(tmp_path / "one", model.config)
    for smoothing in SMOOTHINGS:
        np.testing.assert_array_equal(
            loaded.log_prob("the dog sat \u2603.", 3, smoothing), model.log_prob("the dog sat \u2603.", 3, smoothing)
        )
    assert loaded.sample(120, 7, "the cat") == text
    with pytest.raises(BenchError, match="no counts"):
        NGram.load(tmp_path / "nowhere", model.config)


def test_more_context_copies_more_and_kneser_ney_predicts_best() -> None:
    model = trained(order=5)
    bits = {smoothing: -model.log_prob(HELD_OUT, 5, smoothing).sum() for smoothing in SMOOTHINGS}
    assert bits["kneser_ney"] < bits["add_k"] < bits["mle"] or bits["mle"] == math.inf
    assert model.entropy(1) > model.entropy(2) > model.entropy(4)


def test_bad_input_is_named() -> None:
    with pytest.raises(BenchError, match="training text is empty"):
        trained("", order=2)
    model = trained(order=2)
    with pytest.raises(BenchError, match="Did you mean 'kneser_ney'"):
        model.log_prob("a", 2, "kneser_nay")
    with pytest.raises(BenchError, match="use 1 to 2"):
        model.log_prob("a", 3)
    with pytest.raises(BenchError, match="use 1 to 2"):
        model.sample(5, 0, n=9)
    with pytest.raises(BenchError, match="not trained"):
        NGram(NGramConfig()).log_prob("a")
    with pytest.raises(ValueError, match="unit: must be"):
        NGramConfig(unit="bytes")
    with pytest.raises(ValueError, match="order"):
        NGramConfig(order=0)


@pytest.mark.parametrize("text", ["aaaaaaaaaa", "a", "ab"])
def test_one_repeated_character_and_orders_beyond_the_text(text: str) -> None:
    model = trained(text, text, order=6)
    for smoothing in SMOOTHINGS[1:]:
        for n in (1, 2, 6):
            assert np.isfinite(model.log_prob("aab", n, smoothing)).all()
            assert len(model.sample(20, 0, n=n, smoothing=smoothing)) == 20
    assert model.distribution("a", 6)[-1] > 0.2


def test_empty_text_has_no_tokens() -> None:
    model = trained(order=2)
    assert len(model.log_prob("")) == len(model.token_bytes("")) == 0
