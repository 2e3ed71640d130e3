"""Kneser-Ney scoring against nltk's in the same run: first the same probabilities, then tokens a second.

Both models are trigrams over the same words with nltk's definition (one fixed discount at every order, unigrams
undiscounted), both are single-threaded, and their rounds alternate, so that a busy machine slows both alike. Ours is
timed from the text on (splitting, ids, look-ups, logarithms), nltk's from its tokens on.
"""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nltk.lm import KneserNeyInterpolated
from nltk.util import everygrams

from bench.autoregressive.vocabulary import words
from bench.contracts import RunContext
from bench.families.words.ngram import NGram, NGramConfig

ORDER, DISCOUNT, TRAIN_TOKENS = 3, 0.1, 20_000
NLTK_TOKENS = 40
"""nltk walks through all its counts for every token, about 10 ms each."""


def text() -> tuple[str, list[str]]:
    """Shakespeare where it is prepared, otherwise words drawn by Zipf's law."""
    path = Path(__file__).parents[2] / "data/prepared/shakespeare/train.txt"
    if path.is_file():
        return "shakespeare", words(path.read_text(encoding="utf-8")[:400_000])
    ranks = np.random.default_rng(0).zipf(1.3, 80_000)
    return "zipf", [f" w{rank}" for rank in ranks if rank < 5_000]


@pytest.fixture(scope="module")
def models() -> tuple[str, NGram, Any, list[str]]:
    """Name of the text, our model, nltk's, and held-out tokens that both know."""
    name, tokens = text()
    pairs = list(pairwise(tokens))[:TRAIN_TOKENS]
    # nltk and we differ on a pair that stands at the very start and nowhere else (it has no token before it): start at
    # another.
    start = next(i for i, pair in enumerate(pairs) if pair in pairs[i + 1 :])
    train, rest = tokens[start : start + TRAIN_TOKENS], tokens[start + TRAIN_TOKENS :]
    theirs = KneserNeyInterpolated(ORDER, discount=DISCOUNT)
    theirs.fit([everygrams(train, max_len=ORDER)], vocabulary_text=train)
    ours = NGram(NGramConfig(unit="words", order=ORDER, min_count=1))
    ours.fit({"train": "".join(train)}, RunContext())
    held_out = [token for token in rest if token in ours.vocabulary][:20_000]
    held_out = words("".join(held_out))  # tokens left out may have joined their neighbours
    return name, ours, theirs, [token for token in held_out if token in ours.vocabulary]


def nltk_scores(theirs: Any, tokens: list[str]) -> list[float]:
    """Probability of each token after the two before it."""
    return [theirs.score(token, tuple(tokens[max(0, i - ORDER + 1) : i])) for i, token in enumerate(tokens)]


def our_scores(ours: NGram, tokens: str) -> np.ndarray[Any, Any]:
    """The same from the text."""
    return ours.log_prob(tokens, ORDER, "kneser_ney", discount=DISCOUNT, plain_unigram=True)


def test_kneser_ney_scoring_against_nltk(benchmark: Any, aim: Any, models: tuple[str, NGram, Any, list[str]]) -> None:
    """The same probabilities; aim: 1,000 times nltk's tokens a second."""
    name, ours, theirs, held_out = models
    part = held_out[:NLTK_TOKENS]
    ids = ours.vocabulary.encode(part)
    same = ours.model.probabilities(ids, ORDER, "kneser_ney", discount=DISCOUNT, plain_unigram=True)
    np.testing.assert_allclose(same, nltk_scores(theirs, part), rtol=1e-9)

    whole = "".join(held_out)
    count = len(ours.token_bytes(whole))
    times: dict[str, list[float]] = {"nltk": [], "ours": []}

    def nltk_round() -> tuple[tuple[()], dict[str, Any]]:
        start = time.perf_counter()
        nltk_scores(theirs, part)
        times["nltk"].append((time.perf_counter() - start) / len(part))
        return (), {}

    def our_round() -> None:
        start = time.perf_counter()
        our_scores(ours, whole)
        times["ours"].append((time.perf_counter() - start) / count)

    our_round()  # makes the tables, as nltk made its counters in fit
    times["ours"].clear()
    benchmark.pedantic(our_round, setup=nltk_round, rounds=5, iterations=1)
    ratio = float(np.median(times["nltk"]) / np.median(times["ours"]))
    benchmark.extra_info.update(
        text=name,
        train_tokens=TRAIN_TOKENS,
        tokens=count,
        nltk_tokens_per_second=round(1 / float(np.median(times["nltk"]))),
        our_tokens_per_second=round(1 / float(np.median(times["ours"]))),
        threads=1,
    )
    aim(ratio, 1000)
