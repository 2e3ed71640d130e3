"""Bengio's window model: the network against eq. 1 written out, the mixture against the closed form, the contract, bad
input."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.base.errors import BenchError
from bench.contracts import LanguageModel, RunContext
from bench.families.words.neural_lm import NeuralLM, NeuralLMConfig, WindowNetwork, mixture_weight

TEXT = "the cat sat on the mat. the rat sat on the hat.\n" * 20
TRAIN = {"steps": 60, "batch_size": 32, "lr": 1e-2, "warmup": 5, "checkpoint_every": 0}
SMALL = {"window": 3, "embedding": 8, "hidden": 16, "unit": "characters", "mixture_order": 3}


def small(steps: int = 60, **changes: object) -> NeuralLM:
    model = NeuralLM(NeuralLMConfig(**{**SMALL, **changes}))  # type: ignore[arg-type]
    model.fit({"train": TEXT, "validation": TEXT[:400]}, RunContext(seed=3, train={**TRAIN, "steps": steps}))
    return model


@pytest.fixture(scope="module")
def model() -> NeuralLM:
    return small()


@pytest.mark.parametrize("direct", [False, True])
def test_the_network_is_equation_one(direct: bool) -> None:
    torch.manual_seed(0)
    network = WindowNetwork(7, NeuralLMConfig(window=2, embedding=3, hidden=4, direct=direct))
    c, h, d = network.features.weight, network.hidden.weight, network.hidden.bias
    x = torch.cat([c[5], c[2]])
    expected = network.out.bias + network.out.weight @ torch.tanh(d + h @ x)
    if direct:
        expected = expected + network.direct.weight @ x
    torch.testing.assert_close(network(torch.tensor([[5, 2]]))[0], expected)


def test_one_hot_is_a_matrix_over_the_whole_window() -> None:
    torch.manual_seed(0)
    network = WindowNetwork(5, NeuralLMConfig(window=2, embedding=0, hidden=4))
    one_hot = torch.zeros(10)
    one_hot[3], one_hot[5 + 1] = 1, 1  # token 3 at the first place, token 1 at the second
    expected = network.out(torch.tanh(network.columns.weight.T @ one_hot + network.bias))
    torch.testing.assert_close(network(torch.tensor([[3, 1]]))[0], expected)


def test_expectation_maximisation_finds_the_best_weight() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.uniform(0.01, 1, 500), rng.uniform(0.01, 1, 500)
    grid = np.linspace(0.001, 0.999, 999)
    best = grid[np.argmax([np.log(w * first + (1 - w) * second).sum() for w in grid])]
    assert mixture_weight(first, second, 2000) == pytest.approx(best, abs=1.5e-3)


@pytest.mark.parametrize("mixture", ["none", "ngram", "both"])
def test_distribution_sums_to_one_and_agrees_with_log_prob(model: NeuralLM, mixture: str) -> None:
    text = "the rat"
    nats = model.log_prob(text, mixture)
    for i, letter in enumerate(text):
        p = model.distribution(text[:i], mixture)
        assert p.sum() == pytest.approx(1, abs=1e-9)
        assert nats[i] == pytest.approx(math.log(p[model.vocabulary.encode(letter)[0]]), abs=1e-6)


def test_the_mixture_is_at_least_as_good_as_its_parts_on_validation(model: NeuralLM) -> None:
    nats = {mixture: float(model.log_prob(TEXT[:400], mixture).sum()) for mixture in ("none", "ngram", "both")}
    assert 0 <= model.weight <= 1 and nats["both"] >= max(nats["none"], nats["ngram"]) - 1e-6


def test_contract(model: NeuralLM, tmp_path: Path) -> None:
    assert isinstance(model, LanguageModel)
    text = model.sample(40, 7, "the cat")
    assert len(text) == 40 and text == model.sample(40, 7, "the cat") != model.sample(40, 8, "the cat")
    model.save(tmp_path)
    loaded = NeuralLM.load(tmp_path, model.config)
    for mixture in ("none", "both"):
        np.testing.assert_array_equal(loaded.log_prob("the hat ☃", mixture), model.log_prob("the hat ☃", mixture))
    assert loaded.sample(40, 7, "the cat") == text
    sizes = model.token_bytes("the hat ☃")
    assert sizes.sum() == len("the hat ☃".encode()) and len(model.log_prob("")) == 0


def test_training_learns_and_byte_pairs_work_too() -> None:
    assert small().log_prob(TEXT[:200]).mean() > small(steps=1).log_prob(TEXT[:200]).mean() + 0.5
    pairs = small(unit="bpe", vocabulary=300)
    assert pairs.token_bytes(TEXT).sum() == len(TEXT) and len(pairs.sample(25, 1)) == 25


def test_bad_input(model: NeuralLM) -> None:
    with pytest.raises(BenchError, match=r"unknown mixture 'bth'.*both"):
        model.log_prob("a", "bth")
    with pytest.raises(BenchError, match="no longer than the window"):
        NeuralLM(NeuralLMConfig(**SMALL)).fit({"train": "ab"}, RunContext(train=TRAIN))  # type: ignore[arg-type]
    with pytest.raises(BenchError, match="no n-gram"):
        small(steps=1, mixture_order=0).log_prob("a", "both")
    with pytest.raises(BenchError, match="not trained"):
        NeuralLM(NeuralLMConfig()).log_prob("a")
    with pytest.raises(BenchError, match="dvc repro"):
        NeuralLM.load(Path("nowhere"), NeuralLMConfig())
    for wrong, match in (
        ({"window": 0}, "at least 1"),
        ({"unit": "x"}, "bpe"),
        ({"embedding": 0, "direct": True}, "features"),
    ):
        with pytest.raises(ValueError, match=match):
            NeuralLMConfig(**wrong)  # type: ignore[arg-type]
