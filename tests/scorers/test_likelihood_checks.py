"""Language models that cheat while they are scored are refused; trained honest ones pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.contracts import RunContext
from bench.families.words.ngram import NGram, NGramConfig
from bench.registry import resolve
from bench.scorers.likelihood import token_scores
from bench.scorers.likelihood_checks import check_excerpt, check_prefix, check_sums


def text(seed: int, lines: int) -> str:
    rng = np.random.default_rng(seed)
    names, verbs = ["the king", "a fool", "my lady", "the duke", "old Tom"], ["sees", "hears", "fears", "mocks"]
    return "".join(
        f"{names[rng.integers(5)]} {verbs[rng.integers(4)]} {names[rng.integers(5)]}.\n" for _ in range(lines)
    )


TRAIN, TEST = text(0, 300), text(1, 120)


@pytest.fixture(scope="module")
def model() -> NGram:
    found = NGram(NGramConfig(order=4))
    found.fit({"train": TRAIN, "validation": TRAIN[:200]}, RunContext())
    return found


class Cheat:
    """An n-gram model with a false log_prob."""

    def __init__(self, model: NGram) -> None:
        self.model, self.vocabulary_name = model, model.vocabulary_name

    def token_bytes(self, text: str) -> Any:
        return self.model.token_bytes(text)

    def log_prob(self, text: str) -> Any:
        return self.model.log_prob(text)


class MixesInTheText(Cheat):
    def log_prob(self, text: str) -> Any:
        counts = Counter(text)
        own = np.array([counts[character] / len(text) for character in text])
        return np.log(0.7 * np.exp(self.model.log_prob(text)) + 0.3 * own)


class ReadsTheNext(Cheat):
    def log_prob(self, text: str) -> Any:
        nats = self.model.log_prob(text).copy()
        later = np.array([a == "t" for a in text[1:]] + [False])
        nats[later] += 0.1
        return nats


class Sums(Cheat):
    """``factor`` times too much at some places."""

    def __init__(self, model: NGram, factor: float, where: str) -> None:
        super().__init__(model)
        self.factor, self.where = factor, where

    def log_prob(self, text: str) -> Any:
        nats = self.model.log_prob(text).copy()
        before = np.array([False, *(character == " " for character in text[:-1])])
        everywhere = {"always": np.arange(len(text)) >= 0, "late": np.arange(len(text)) >= 65, "space": before}
        return nats + np.log(self.factor) * everywhere[self.where]


def checked(system: Any, seed: int = 0, options: Mapping[str, Any] | None = None) -> None:
    rng, own = np.random.default_rng(seed), options or {}
    nats, sizes = token_scores(system, TEST, own)
    check_prefix("who", system, own, TEST, nats, sizes, rng)
    check_excerpt("who", system, own, TEST, rng)
    check_sums("who", system, own, TEST, rng)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cheat", [MixesInTheText, ReadsTheNext])
def test_a_model_that_looks_ahead_is_refused(model: NGram, cheat: type[Cheat], seed: int) -> None:
    with pytest.raises(BenchError, match=r"who: token .* has another log-probability in the first"):
        checked(cheat(model), seed)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("factor", "where"), [(1.02, "always"), (1.02, "late"), (1.5, "space")])
def test_a_model_whose_probabilities_sum_to_more_than_one_is_refused(
    model: NGram, factor: float, where: str, seed: int
) -> None:
    with pytest.raises(BenchError, match=r"who: after character .* sum to 1\."):
        checked(Sums(model, factor, where), seed)


TRAINING = {"steps": 20, "batch_size": 8, "warmup": 2}


@pytest.mark.parametrize(
    ("system", "settings", "train"),
    [
        ("ngram", {"order": 3}, {}),
        ("ngram", {"unit": "words", "order": 3, "spelling_order": 3}, {}),
        ("transformer_lm", {"width": 16, "heads": 2, "layers": 2, "context": 32}, TRAINING),
        ("transformer_lm", {"unit": "bpe", "vocabulary": 300, "width": 16, "heads": 2, "context": 24}, TRAINING),
        ("neural_lm", {"unit": "bpe", "vocabulary": 300, "window": 3, "embedding": 8, "hidden": 8}, TRAINING),
        ("memoriser_words", {}, {}),
        ("dummy_words", {}, {}),
    ],
)
def test_trained_honest_models_pass(system: str, settings: dict[str, Any], train: dict[str, Any]) -> None:
    cls = resolve(system)
    honest = cls(cls.Config(**settings))
    honest.fit({"train": TRAIN, "validation": TRAIN[:500]}, RunContext(train=train))
    for seed in range(12):
        checked(honest, seed)
