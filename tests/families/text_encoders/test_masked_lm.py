"""BERT as a system: what it promises, on a network small enough for a test."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.base.errors import BenchError
from bench.contracts import RunContext, TextEncoder
from bench.data.labelled_texts import TextSplit
from bench.families.text_encoders.masked_lm import MaskedLM, MaskedLMConfig
from bench.nn.attention import TransformerBlock
from bench.nn.encoder import Encoder, EncoderShape

TEXT = "the cat sat on the mat.\nthe rat sat on the hat.\nthe cat saw the rat, and the rat saw the mat.\n" * 12
TRAIN = {"steps": 60, "batch_size": 16, "lr": 1e-2, "warmup": 10, "log_every": 1, "checkpoint_every": 0}
SMALL = {"width": 32, "layers": 1, "heads": 2, "context": 12, "vocabulary": 60}


def small(
    steps: int = 60, seed: int = 3, text: str = TEXT, **config: object
) -> tuple[MaskedLM, list[dict[str, float]], RunContext]:
    curve: list[dict[str, float]] = []
    run = RunContext(
        name="bert", seed=seed, train={**TRAIN, "steps": steps}, curve=lambda step, values: curve.append(dict(values))
    )
    model = MaskedLM(MaskedLMConfig(**{**SMALL, **config}))  # type: ignore[arg-type]
    model.fit({"train": text}, run)
    return model, curve, run


@pytest.fixture(scope="module")
def model() -> MaskedLM:
    return small(600)[0]


def test_training_starts_at_chance_and_learns() -> None:
    model, curve, run = small()
    assert curve[0]["loss"] == pytest.approx(math.log(len(model.wordpiece)), rel=0.1)
    assert np.mean([p["loss"] for p in curve[-5:]]) < 0.7 * curve[0]["loss"]
    assert curve[-1]["masked_accuracy"] > curve[0]["masked_accuracy"]
    assert run.cost["train_flops"] > 0 and run.cost["tokens_seen"] == 60 * 16 * 10
    assert run.cost["parameters"] == sum(p.numel() for p in model.network.parameters())


def test_contract(model: MaskedLM, tmp_path: Path) -> None:
    assert isinstance(model, TextEncoder)
    for folder in ("one", "two"):
        model.save(tmp_path / folder)
    for name in ("network.safetensors", "shape.json", "vocabulary.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    loaded = MaskedLM.load(tmp_path / "one", model.config)
    np.testing.assert_array_equal(loaded.embed_texts(["the hat", "☃"]), model.embed_texts(["the hat", "☃"]))
    np.testing.assert_array_equal(loaded.pseudo_log_prob("the cat sat"), model.pseudo_log_prob("the cat sat"))
    with pytest.raises(BenchError, match="no vocabulary"):
        MaskedLM.load(tmp_path / "nowhere", model.config)


def test_same_seed_trains_the_same_weights_and_another_seed_others() -> None:
    one, two, other = (small(3, seed)[0].network.state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["encoder.words.weight"], other["encoder.words.weight"])


def test_embeddings_do_not_depend_on_their_company(model: MaskedLM) -> None:
    texts = ["the cat", "", "the rat saw the mat, and the cat saw the rat on the hat on the mat", "☃", "the hat"]
    together = model.embed_texts(texts)
    assert together.shape == (5, 32) and together.dtype == np.float32
    for i, text in enumerate(texts):
        np.testing.assert_array_equal(model.embed_texts([text])[0], together[i])
    assert model.embed_texts([]).shape == (0, 32)
    assert np.abs(together[0] - together[4]).max() > 1e-3


def test_pooling(model: MaskedLM) -> None:
    ids = torch.from_numpy(model.encode(["the cat sat"])[0])[None]
    with torch.no_grad():
        states = model.network.encoder(ids)[0].numpy()
    np.testing.assert_allclose(model.embed_texts(["the cat sat"])[0], states.mean(0), atol=1e-5)
    cls = MaskedLM(MaskedLMConfig(**SMALL, pooling="cls"))  # type: ignore[arg-type]
    cls._wordpiece, cls._network = model.wordpiece, model.network
    np.testing.assert_allclose(cls.embed_texts(["the cat sat"])[0], states[0], atol=1e-5)


def test_a_text_longer_than_the_context_is_cut(model: MaskedLM) -> None:
    long = "the cat sat on the mat. " * 20
    (ids,) = model.encode([long])
    assert len(ids) == 12 and ids[0] == model.wordpiece.cls and ids[-1] == model.wordpiece.sep
    np.testing.assert_array_equal(model.embed_texts([long]), model.embed_texts([long + "the rat"]))
    assert len(model.encode([long], limit=5)[0]) == 5 and len(model.encode([long], limit=99)[0]) == 12


def test_pseudo_log_prob_hides_one_token_at_a_time(model: MaskedLM) -> None:
    text = "the cat saw the rat"
    nats = model.pseudo_log_prob(text)
    ids = model.wordpiece.encode([text])[0]
    for i, token in enumerate(ids):
        inputs = np.concatenate([[model.wordpiece.cls], ids, [model.wordpiece.sep]])
        inputs[i + 1] = model.wordpiece.mask
        with torch.no_grad():
            logits = model.network.encoder(torch.from_numpy(inputs)[None])
            logits = model.network.head(logits, model.network.encoder.words.weight)[0, i + 1]
        assert nats[i] == pytest.approx(float(logits.double().log_softmax(-1)[token]), abs=1e-5)
    for batch_size in (1, 3, 64):
        np.testing.assert_allclose(model.pseudo_log_prob(text, batch_size=batch_size), nats, atol=1e-5)
    assert len(model.pseudo_log_prob("")) == 0


def test_pseudo_log_prob_of_a_long_text_goes_by_stretches(model: MaskedLM) -> None:
    long = "the cat sat on the mat. the rat sat on the hat. the cat saw the rat."
    ids = model.wordpiece.encode([long])[0]
    nats = model.pseudo_log_prob(long)
    assert len(nats) == len(ids) >= 20
    np.testing.assert_allclose(nats[:10], model.hidden_one_by_one(ids[:10]), atol=1e-6)
    np.testing.assert_allclose(nats[10:20], model.hidden_one_by_one(ids[10:20]), atol=1e-6)


def test_it_has_learned_the_text(model: MaskedLM) -> None:
    good, bad = model.pseudo_log_prob("the cat sat on the mat."), model.pseudo_log_prob("mat the on sat. cat the")
    assert good.mean() > bad.mean() + 1
    (guesses,) = model.cloze("the cat saw the [MASK], and the")
    assert guesses[0][0] == "rat" and guesses[0][1] > 0.3 and len(guesses) == 5
    two = model.cloze("the [MASK] sat on the [MASK].", k=2)
    assert {len(place) for place in two} == {2} and len(two) == 2
    assert sum(p for _, p in model.cloze("the [MASK] sat", k=len(model.wordpiece))[0]) <= 1 + 1e-9


def test_left_only_sees_nothing_on_the_right(model: MaskedLM) -> None:
    a, b = (np.array([[2, 9, 4, x, y, 3]]) for x, y in ((10, 11), (12, 13)))
    place = np.array([[2]])
    np.testing.assert_array_equal(model.fill(a, place, left_only=True), model.fill(b, place, left_only=True))
    assert np.abs(model.fill(a, place) - model.fill(b, place)).max() > 1e-3
    assert np.exp(model.fill(a, place)).sum() == pytest.approx(1)
    causal, _, _ = small(2, causal=True)
    np.testing.assert_array_equal(causal.fill(a, place), causal.fill(b, place))
    np.testing.assert_allclose(causal.fill(a, place), causal.fill(a, place, left_only=True), atol=1e-6)


def test_the_rotary_pre_norm_form_is_the_language_models_block() -> None:
    """Block by block against nn.attention.TransformerBlock with the same weights; and only distances of tokens
    count."""
    torch.manual_seed(0)
    shape = EncoderShape(30, 16, 2, 2, 64, 24, epsilon=1e-5, positions="rotary", pre_norm=True)
    encoder = Encoder(shape).eval()
    tokens = torch.randint(5, 30, (2, 12))
    states = encoder.hidden_states(tokens)
    x = states[0]
    for block in encoder.blocks:
        other = TransformerBlock(16, 2, rotary=True).eval()
        other.load_state_dict(block.state_dict())
        x = other(x)
    assert encoder.last_norm is not None and encoder.positions is None
    torch.testing.assert_close(states[-1], encoder.last_norm(x))
    later = torch.cat([torch.zeros(2, 5, dtype=torch.long), tokens], dim=1)
    seen = torch.arange(17) >= 5
    torch.testing.assert_close(encoder(later, seen[None, None])[:, 5:], states[-1], atol=1e-5, rtol=1e-4)


def test_an_untrained_floor_keeps_its_random_weights() -> None:
    model, curve, run = small(pretrain=False)
    assert not curve and run.cost["parameters"] > 0
    assert abs(model.pseudo_log_prob(TEXT[:80]).mean() + math.log(len(model.wordpiece))) < 0.5
    assert model.network.training is False


def test_a_killed_run_goes_on_as_if_unbroken(tmp_path: Path) -> None:
    whole = small(6)[0].network.state_dict()
    values = {**TRAIN, "checkpoint_every": 2}
    for steps in (4, 6):
        model = MaskedLM(MaskedLMConfig(**SMALL))  # type: ignore[arg-type]
        # A constant rate, so that the first part does not depend on where the end is.
        model.fit(
            {"train": TEXT},
            RunContext(seed=3, train={**values, "steps": steps, "schedule": "constant"}, checkpoints=tmp_path),
        )
    unbroken = MaskedLM(MaskedLMConfig(**SMALL))  # type: ignore[arg-type]
    unbroken.fit({"train": TEXT}, RunContext(seed=3, train={**values, "steps": 6, "schedule": "constant"}))
    resumed, straight = model.network.state_dict(), unbroken.network.state_dict()
    assert all(torch.equal(resumed[name], straight[name]) for name in whole)


def test_labelled_texts_can_be_learned_from_without_their_labels() -> None:
    lines = TEXT.split("\n")
    run = RunContext(seed=3, train={**TRAIN, "steps": 2})
    from_texts, from_text = (MaskedLM(MaskedLMConfig(**SMALL)) for _ in range(2))  # type: ignore[arg-type]
    from_texts.fit({"train": TextSplit(lines, np.zeros(len(lines), dtype=np.int64))}, run)
    from_text.fit({"train": TEXT}, run)
    np.testing.assert_array_equal(from_texts.embed_texts(["the cat"]), from_text.embed_texts(["the cat"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "bert: the training text is empty"), (" \n\t\n", "empty"), ("ab", "no letter occurs 3 times")],
)
def test_texts_too_small_to_train_on(text: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        small(1, text=text)


def test_one_repeated_character_and_a_text_shorter_than_the_context() -> None:
    model, curve, _ = small(2, text="a a a a a")
    assert len(curve) == 2 and all(math.isfinite(p["loss"]) for p in curve)
    assert model.embed_texts(["a", "b"]).shape == (2, 32)
    with pytest.raises(BenchError, match="has 1 tokens"):
        small(2, text="aaa")


def test_cloze_says_what_is_missing(model: MaskedLM) -> None:
    with pytest.raises(BenchError, match=r"write \[MASK\] in place of a word"):
        model.cloze("the cat sat")
    with pytest.raises(BenchError, match="context of 12"):
        model.cloze("the cat sat on the mat. " * 5 + "[MASK]")
    with pytest.raises(BenchError, match="not trained"):
        MaskedLM(MaskedLMConfig()).cloze("[MASK]")


def test_positions_beyond_the_context_are_refused(model: MaskedLM) -> None:
    with pytest.raises(ValueError, match="13 tokens are more than the 12 positions"):
        model.network.encoder(torch.zeros(1, 13, dtype=torch.long))


@pytest.mark.parametrize(
    "values",
    [
        {"width": 10, "heads": 3},
        {"layers": 0},
        {"context": 3},
        {"mask_share": 0.0},
        {"dropout": 1.0},
        {"pooling": "max"},
        {"attention": "flash"},
    ],
)
def test_settings_that_make_no_sense(values: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        MaskedLMConfig(**values)  # type: ignore[arg-type]
