from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.contracts import LanguageModel, RunContext
from bench.families.words.dummy_words import DummyWords, DummyWordsConfig
from bench.families.words.memoriser_words import MemoriserWords, MemoriserWordsConfig
from bench.metrics.memorisation import verbatim_copy_rate

TEXT = "".join(f"line {i} of {i * i} in all, said the clerk {i % 7}.\n" for i in range(200))
HELD_OUT = "line 7 of the held-out text was never said, nor \u2603.\n"


def memoriser() -> MemoriserWords:
    model = MemoriserWords(MemoriserWordsConfig(lengths=(12, 4)))
    model.fit({"train": TEXT}, RunContext())
    return model


def test_dummy_costs_eight_bits_a_byte(tmp_path: Path) -> None:
    model = DummyWords(DummyWordsConfig())
    model.fit({"train": TEXT}, RunContext())
    assert isinstance(model, LanguageModel)
    assert -model.log_prob(HELD_OUT).sum() / math.log(2) == pytest.approx(8 * len(HELD_OUT.encode()))
    assert model.token_bytes(HELD_OUT).sum() == len(HELD_OUT.encode())
    assert model.distribution("x").sum() == 1
    model.save(tmp_path)
    loaded = DummyWords.load(tmp_path, model.config)
    assert loaded.sample(50, 1) == model.sample(50, 1) != model.sample(50, 2)
    assert len(model.sample(50, 1)) == 50


def test_memoriser_writes_nothing_of_its_own(tmp_path: Path) -> None:
    model = memoriser()
    assert isinstance(model, LanguageModel)
    texts = [model.sample(150, seed, prompt) for seed in range(4) for prompt in ("", "said the ", "no such prompt")]
    assert verbatim_copy_rate(texts, TEXT, 50) == 1.0
    assert all(len(text) == 150 for text in texts)
    assert model.sample(20, 3, "said the ").startswith("clerk")
    assert model.sample(150, 1) == model.sample(150, 1) != model.sample(150, 2)
    model.save(tmp_path)
    loaded = MemoriserWords.load(tmp_path, model.config)
    np.testing.assert_array_equal(loaded.log_prob(HELD_OUT), model.log_prob(HELD_OUT))
    assert loaded.sample(60, 1) == model.sample(60, 1)


def test_memoriser_is_a_distribution_that_knows_its_text_and_little_else() -> None:
    model = memoriser()
    for context in ("", "said the c", "zzzz", HELD_OUT):
        assert model.distribution(context).sum() == pytest.approx(1)
    nats = model.log_prob(HELD_OUT)
    for i in (1, 5, 13):
        token = model._vocabulary.encode(HELD_OUT[i])[0]
        assert nats[i] == pytest.approx(math.log(model.distribution(HELD_OUT[:i])[token]))
    assert model.token_bytes(HELD_OUT).sum() == len(HELD_OUT.encode())
    own, held = -model.log_prob(TEXT[500:1500]).mean(), -nats.mean()
    assert own < 0.6 * held


def test_bad_input() -> None:
    with pytest.raises(BenchError, match="empty"):
        MemoriserWords(MemoriserWordsConfig()).fit({"train": ""}, RunContext())
    with pytest.raises(ValueError, match="doubt"):
        MemoriserWordsConfig(doubt=0.0)
    short = MemoriserWords(MemoriserWordsConfig())
    short.fit({"train": "ab"}, RunContext())
    assert len(short.sample(7, 0)) == 7
    assert np.isfinite(short.log_prob("abc")).all()
