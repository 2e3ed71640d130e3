"""The character transformer: what it promises as a language model, on a network small enough for a test."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.base.errors import BenchError
from bench.contracts import LanguageModel, RunContext
from bench.families.words.transformer_lm import TransformerLM, TransformerLMConfig, TransformerLMOptions

TEXT = "the cat sat on the mat. the rat sat on the hat.\n" * 20
TRAIN = {"steps": 60, "batch_size": 8, "lr": 3e-3, "warmup": 5}


def small(steps: int = 60, **config: object) -> TransformerLM:
    model = TransformerLM(TransformerLMConfig(**{"width": 32, "layers": 2, "heads": 2, "context": 16, **config}))  # type: ignore[arg-type]
    model.fit({"train": TEXT}, RunContext(seed=3, train={**TRAIN, "steps": steps}))
    return model


@pytest.fixture(scope="module")
def model() -> TransformerLM:
    return small()


def test_training_lowers_the_loss_of_one_batch() -> None:
    curve: list[float] = []
    model = TransformerLM(TransformerLMConfig(width=32, layers=1, heads=2, context=16))
    run = RunContext(
        train={**TRAIN, "lr": 1e-2, "log_every": 1}, curve=lambda step, values: curve.append(values["loss"])
    )
    model.fit({"train": TEXT[:18]}, run)  # two stretches are all there is
    assert curve[0] == pytest.approx(math.log(len(model.vocabulary)), rel=0.2)
    assert curve[-1] < 0.2 * curve[0]
    assert run.cost["parameters"] > 0 and run.cost["train_flops"] > 0 and run.cost["tokens_seen"] == 60 * 8 * 16


def test_contract(model: TransformerLM, tmp_path: Path) -> None:
    assert isinstance(model, LanguageModel)
    text = model.sample(40, 7, "the cat")
    assert len(text) == 40 and text == model.sample(40, 7, "the cat") != model.sample(40, 8, "the cat")
    for folder in ("one", "two"):
        model.save(tmp_path / folder)
        (tmp_path / folder / "decoder.safetensors").read_bytes()
    assert (tmp_path / "one/decoder.safetensors").read_bytes() == (tmp_path / "two/decoder.safetensors").read_bytes()
    loaded = TransformerLM.load(tmp_path / "one", model.config)
    np.testing.assert_array_equal(loaded.log_prob("the hat \u2603"), model.log_prob("the hat \u2603"))
    assert loaded.sample(40, 7, "the cat") == text
    with pytest.raises(BenchError, match="no vocabulary"):
        TransformerLM.load(tmp_path / "nowhere", model.config)


def test_same_seed_trains_the_same_weights() -> None:
    one, two = small(steps=3), small(steps=3)
    for a, b in zip(one.decoder.parameters(), two.decoder.parameters(), strict=True):
        assert torch.equal(a, b)


def test_samples_do_not_depend_on_the_batch(model: TransformerLM) -> None:
    prompts, seeds = (
        ["the cat", "", "on the m", "the rat", "", "a very long beginning beyond the context "],
        [5, 6, 7, 8, 9, 10],
    )
    together = model.sample_batch(50, seeds, prompts)
    assert together == [model.sample(50, seed, prompt) for seed, prompt in zip(seeds, prompts, strict=True)]
    assert all(len(text) == 50 for text in together)


def test_cached_sampling_equals_reading_everything_again(model: TransformerLM) -> None:
    """Greedy continuation inside the context, token by token, without a cache."""
    prompt, count = "the c", 11  # 16 in all: the context is never full
    expected = prompt
    for _ in range(count):
        ids = torch.from_numpy(model.vocabulary.encode(expected))[None]
        with torch.inference_mode():
            logits = model.decoder(ids)[0, -1, 1:]  # without the escape
        expected += model.vocabulary.decode([int(logits.argmax()) + 1])
    assert model.sample(count, 0, prompt, temperature=0) == expected[len(prompt) :]


def test_scores_are_those_of_the_distribution(model: TransformerLM) -> None:
    text = "the cat sat"
    nats = model.log_prob(text)
    for i, letter in enumerate(text):
        p = model.distribution(text[:i])
        assert p.sum() == pytest.approx(1, abs=1e-9)
        assert nats[i] == pytest.approx(math.log(p[model.vocabulary.encode(letter)[0]]), abs=1e-5)


def test_every_byte_is_covered_and_the_future_is_not_seen(model: TransformerLM) -> None:
    text = "the r\u2603t sat on \u00e9 mat. " * 5
    nats = model.log_prob(text)
    assert model.token_bytes(text).sum() == len(text.encode()) and len(nats) == len(text)
    assert nats[5] < -3 * math.log(256)
    for stride in (1, 3, 8, 16):
        whole, part = model.log_prob(text, stride=stride), model.log_prob(text[:17], stride=stride)
        np.testing.assert_allclose(whole[:14], part[:14], atol=1e-5)
    assert len(model.log_prob("")) == 0


def test_a_smaller_stride_gives_more_context(model: TransformerLM) -> None:
    assert model.log_prob(TEXT[:400], stride=1).sum() > model.log_prob(TEXT[:400], stride=16).sum()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_attention_form_does_not_change_the_model(precision: str, tmp_path: Path) -> None:
    losses = []
    for form in ("explicit", "sdpa"):
        model = TransformerLM(TransformerLMConfig(width=32, layers=2, heads=2, context=16, attention=form))  # type: ignore[arg-type]
        model.fit({"train": TEXT}, RunContext(seed=1, train={**TRAIN, "steps": 20, "precision": precision}))
        losses.append(-model.log_prob(TEXT[:200]).mean())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4 if precision == "fp32" else 0.05)
    assert losses[0] < 2.5


def test_untied_head_and_bad_settings() -> None:
    assert small(steps=2, tied=False).decoder.head is not None
    with pytest.raises(BenchError, match="at least two characters"):
        TransformerLM(TransformerLMConfig()).fit({"train": "a"}, RunContext(train=TRAIN))
    with pytest.raises(ValueError, match="not a multiple of 2 x 4 heads"):
        TransformerLMConfig(width=36, heads=4)
    with pytest.raises(ValueError, match="stride"):
        TransformerLMOptions(stride=-1)
    with pytest.raises(BenchError, match="not trained"):
        TransformerLM(TransformerLMConfig()).log_prob("a")
    repeated = TransformerLM(TransformerLMConfig(width=16, layers=1, heads=1, context=8))
    repeated.fit({"train": "aaaa"}, RunContext(train={**TRAIN, "steps": 30}))
    assert repeated.sample(5, 0) == "aaaaa"


def test_stride_out_of_range(model: TransformerLM) -> None:
    with pytest.raises(BenchError, match="stride: at most the context of 16, not 99"):
        model.log_prob("a", stride=99)


@pytest.mark.parametrize("positions", ["none", "learned", "sinusoidal", "rotary"])
@pytest.mark.parametrize("unit", ["characters", "bpe"])
def test_cached_sampling_and_scoring_agree_for_every_kind_of_position(positions: str, unit: str) -> None:
    model = small(steps=3, positions=positions, unit=unit, vocabulary=300)
    text = model.sample_batch(30, [1, 2], ["the cat ", "the cat "])
    assert [len(t) for t in text] == [30, 30] and text[1] == model.sample(30, 2, "the cat ")
    sizes = model.token_bytes("the hat ☃ sat")
    assert sizes.sum() == len("the hat ☃ sat".encode()) and len(model.log_prob("the hat ☃ sat")) == len(sizes)
    # Cached decoding sees what a full pass sees: greedy continuations agree with the argmax of `distribution`.
    prompt = "the rat sat"
    greedy = model.sample(1, 0, prompt, top_k=1)
    if unit == "characters":
        logits = model.decoder(torch.from_numpy(model.vocabulary.encode(prompt))[None])[0, -1, 1:]
        assert model.vocabulary.encode(greedy)[0] == int(logits.argmax()) + 1


def test_without_positions_the_order_of_the_past_is_lost() -> None:
    lost, kept = small(steps=1, layers=1, positions="none"), small(steps=1, layers=1)
    forward, shuffled = "tahe s", "eaht s"
    differs = [np.abs(m.distribution(forward) - m.distribution(shuffled)).max() for m in (lost, kept)]
    assert differs[0] < 1e-6 < differs[1]


def test_learned_positions_end_and_others_go_on() -> None:
    learned, rotary = small(steps=3, positions="learned"), small(steps=3)
    assert len(learned.log_prob(TEXT, context=32)) == len(TEXT)
    assert np.isfinite(rotary.log_prob(TEXT, context=64)).all()
    np.testing.assert_allclose(rotary.log_prob(TEXT, context=16), rotary.log_prob(TEXT), atol=1e-6)
    with pytest.raises(BenchError, match="transformer_lm: context: a window holds at least 2 tokens"):
        rotary.log_prob(TEXT, context=1)


def test_attention_maps_are_causal_distributions() -> None:
    model = small(steps=3, mlp_ratio=0, layers=1)
    tokens, maps = model.attention_maps("the cat sat on")
    assert tokens == list("the cat sat on") and maps.shape == (1, 2, 14, 14)
    np.testing.assert_allclose(maps.sum(-1), 1, atol=1e-5)
    assert (maps[..., np.triu_indices(14, 1)[0], np.triu_indices(14, 1)[1]] == 0).all()
    assert not any("mlp" in name for name, _ in model.decoder.named_parameters())
    with pytest.raises(BenchError, match="at least one token"):
        model.attention_maps("")


def test_byte_pairs_cover_any_text_and_spell_it_back() -> None:
    from bench.autoregressive.tokens import BytePairs, restore_tokens

    tokens = BytePairs.train(TEXT, 265)
    assert len(tokens) == 265
    for text in ("the cat\n", "☃ naïve\x00\t", "", "\n\n"):
        ids = tokens.encode(text)
        assert tokens.decode(ids) == text and tokens.lengths(text).sum() == len(text.encode()) and (ids > 0).all()
    again = restore_tokens("bpe", tokens.to_bytes())
    np.testing.assert_array_equal(again.encode(TEXT), tokens.encode(TEXT))
    assert len(tokens.encode(TEXT)) < len(TEXT) / 2


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"unit": "syllables"}, "characters, bpe"),
        ({"unit": "bpe", "vocabulary": 256}, "at least 300"),
        ({"positions": "alibi"}, "rotary"),
        ({"mlp_ratio": -1}, "at least 0"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        TransformerLMConfig(**wrong)  # type: ignore[arg-type]
