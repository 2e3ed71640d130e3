"""word2vec: loss and steps against autograd and gensim, what it learns, and its edges."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gensim.models import Word2Vec as GensimWord2Vec

from bench.base.errors import BenchError
from bench.contracts import RunContext, TextEncoder
from bench.families.text_encoders.word2vec import (
    Word2Vec,
    Word2VecConfig,
    cbow_step,
    negative_sampling_loss,
    skip_gram_step,
)
from bench.families.text_encoders.word_pairs import Blocks, Corpus, noise_distribution


def topics(lines: int = 400, seed: int = 0) -> str:
    """Lines of eight words, each line of one of three topics."""
    rng = np.random.default_rng(seed)
    bags = [[f"{name}{letter}" for letter in "abcdefgh"] for name in ("sea", "sky", "fire")]
    return "\n".join(" ".join(rng.choice(bags[rng.integers(3)], 8)) for _ in range(lines))


def trained(text: str | None = None, seed: int = 0, **config: Any) -> Word2Vec:
    system = Word2Vec(
        Word2VecConfig(**{"dimensions": 12, "min_count": 1, "subsample": 0.0, "epochs": 6, "lr": 0.05, **config})
    )
    system.fit({"train": topics() if text is None else text}, RunContext(seed=seed))
    return system


# ------------------------------------------------------------------------------------------------------- loss and steps


def test_the_loss_is_equation_4() -> None:
    rng = np.random.default_rng(0)
    v, u, noise = rng.standard_normal((3, 4)), rng.standard_normal((3, 4)), rng.standard_normal((3, 5, 4))
    s = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731 (the paper's sigma)
    expected = [-np.log(s(v[i] @ u[i])) - sum(np.log(s(-v[i] @ n)) for n in noise[i]) for i in range(3)]
    found = negative_sampling_loss(*(torch.from_numpy(x) for x in (v, u, noise)))
    np.testing.assert_allclose(found.numpy(), expected)


def frozen(seed: int = 0, size: int = 9, dimensions: int = 5) -> tuple[torch.Tensor, torch.Tensor, Blocks, Any]:
    """Two tables, the blocks of a small text, and negatives."""
    text = "a b c d e a b\nf g h i a c e g\n" * 6
    corpus = Corpus.read(text)
    blocks = next(corpus.blocks(3, np.random.default_rng(seed), per_batch=99))
    generator = torch.Generator().manual_seed(seed)
    tables = [torch.randn(size, dimensions, generator=generator, dtype=torch.float64) for _ in range(2)]
    return *tables, blocks, np.random.default_rng(seed).integers(0, size, (len(blocks.places), 4))


def plain_loss(
    inputs: torch.Tensor, outputs: torch.Tensor, blocks: Blocks, noise: Any, k: int, cbow: bool
) -> tuple[torch.Tensor, int]:
    """Sum of eq. 4 over pairs, one at a time; a block's shared negatives weigh k / K each."""
    total, count = torch.zeros((), dtype=inputs.dtype), 0
    for n in range(len(blocks.places)):
        for row, place in enumerate(blocks.places[n]):
            near = [blocks.columns[n, c] for c in np.flatnonzero(blocks.pairs[n, row])]
            means = [(inputs[near].mean(0), place)] if near else []
            pairs = means if cbow else [(inputs[place], c) for c in near]
            for v, u in pairs:
                scores = outputs[noise[n]] @ v
                weight = k / noise.shape[1]
                total = (
                    total
                    - torch.nn.functional.logsigmoid(v @ outputs[u])
                    - weight * torch.nn.functional.logsigmoid(-scores).sum()
                )
                count += 1
    return total, count


@pytest.mark.parametrize("cbow", [False, True])
def test_a_step_is_gradient_descent_on_the_plain_sum(cbow: bool) -> None:
    inputs, outputs, blocks, noise = frozen()
    v, u = inputs.clone().requires_grad_(), outputs.clone().requires_grad_()
    loss, count = plain_loss(v, u, blocks, noise, 5, cbow)
    loss.backward()
    assert v.grad is not None and u.grad is not None
    after_v, after_u = inputs.clone(), outputs.clone()
    mean = (cbow_step if cbow else skip_gram_step)(after_v, after_u, blocks, noise, 5, lr=1e-4, measure=True)
    assert mean == pytest.approx(float(loss.detach()) / count, rel=1e-9)
    torch.testing.assert_close((outputs - after_u) / 1e-4, u.grad, rtol=1e-6, atol=1e-8)
    if not cbow:
        torch.testing.assert_close((inputs - after_v) / 1e-4, v.grad, rtol=1e-6, atol=1e-8)


def test_a_row_that_a_batch_holds_too_often_moves_as_far_as_it_may() -> None:
    """Its terms weigh 1 a pair and k more for negatives; beyond 2 / lr of them the step stops growing."""
    inputs, outputs, blocks, noise = frozen()
    small_v, large_v = inputs.clone(), inputs.clone()
    skip_gram_step(small_v, outputs.clone(), blocks, noise, 5, lr=1e-6)
    skip_gram_step(large_v, outputs.clone(), blocks, noise, 5, lr=1.0)
    mass = np.bincount(blocks.places.ravel(), 6.0 * blocks.pairs.sum(2).ravel(), minlength=len(inputs))
    expected = (inputs - small_v) / 1e-6 * torch.from_numpy(np.minimum(1.0, 2.0 / np.maximum(mass, 1e-9)))[:, None]
    assert (mass > 2).all()
    torch.testing.assert_close(inputs - large_v, expected, rtol=1e-5, atol=1e-8)


def test_cbow_gives_every_neighbour_the_whole_error() -> None:
    """One pair of neighbours and a word: autograd's share of each neighbour is half of what the authors' program gives
    it."""
    inputs, outputs = torch.randn(3, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    blocks = Blocks(np.array([[1]]), np.array([[0, 1, 2]]), np.array([[[True, False, True]]]))
    v = inputs.clone().requires_grad_()
    plain_loss(v, outputs, blocks, np.array([[0, 2]]), 5, cbow=True)[0].backward()
    assert v.grad is not None
    before = inputs.clone()
    cbow_step(inputs, outputs.clone(), blocks, np.array([[0, 2]]), 5, lr=0.1)
    torch.testing.assert_close(inputs[[0, 2]], (before - 0.1 * 2 * v.grad)[[0, 2]])
    torch.testing.assert_close(inputs[1], before[1])


def test_measuring_the_loss_does_not_change_the_step() -> None:
    for step in (skip_gram_step, cbow_step):
        inputs, outputs, blocks, noise = frozen()
        quiet = [inputs.clone(), outputs.clone()]
        assert step(*quiet, blocks, noise, 5, 0.1) == 0.0
        step(inputs, outputs, blocks, noise, 5, 0.1, measure=True)
        torch.testing.assert_close([inputs, outputs], quiet, rtol=0, atol=0)


def gensim_table(scores: torch.Tensor) -> torch.Tensor:
    """A score as gensim looks it up: cut to a grid of 83 steps a unit (its 1000 / 6 / 2 is a division of whole
    numbers), read at 83.3."""
    return (torch.floor((scores + 6) * 83) / 1000 * 2 - 1) * 6


def test_the_loss_on_gensims_vectors_is_the_loss_that_gensim_reports() -> None:
    """gensim's own weights, frozen (a step size of 1e-12), the same text, windows and negatives in expectation.

    Two habits of gensim's are allowed for: it drops a negative that is the word itself, and it reads sigmoids from a
    coarse table, which alone makes its figure 2 % too high.
    """
    text = topics(150, seed=1)
    sentences = [line.split() for line in text.splitlines()]
    model = GensimWord2Vec(
        sentences, vector_size=12, window=3, negative=5, min_count=1, sample=0, sg=1, workers=1, epochs=5, seed=1
    )
    passes = 40
    model.train(
        sentences, total_examples=len(sentences), epochs=passes, start_alpha=1e-12, end_alpha=1e-12, compute_loss=True
    )
    corpus = Corpus.read(text, words=model.wv.index_to_key)
    rng = np.random.default_rng(0)
    v, u = (torch.from_numpy(np.asarray(table, np.float64)) for table in (model.wv.vectors, model.syn1neg))
    p = torch.from_numpy(noise_distribution(corpus.counts))
    scores = v @ u.T  # (V, V)
    assert float(scores.abs().max()) < 6, "gensim leaves larger scores out"
    pairs_of = v.repeat_interleave(len(v), 0), u.repeat(len(u), 1), torch.zeros(len(v) ** 2, 0, 12, dtype=v.dtype)
    right = negative_sampling_loss(*pairs_of).view_as(scores)
    softplus = torch.nn.functional.softplus
    ours = right + 5 * ((softplus(scores) @ p)[:, None] - softplus(scores) * p)
    table = softplus(-gensim_table(scores)) + 5 * (
        (softplus(-gensim_table(-scores)) @ p)[:, None] - softplus(-gensim_table(-scores)) * p
    )
    total, looked_up, pairs = 0.0, 0.0, 0
    for _ in range(passes):
        for blocks in corpus.blocks(3, rng, per_batch=8):
            n, row, column = np.nonzero(blocks.pairs)
            place, near = blocks.places[n, row], blocks.columns[n, column]
            total += float(ours[place, near].sum())
            looked_up += float(table[place, near].sum())
            pairs += len(place)
    assert pairs > 100_000
    assert model.get_latest_training_loss() == pytest.approx(looked_up, rel=0.004)
    assert model.get_latest_training_loss() == pytest.approx(total, rel=0.03)


# -------------------------------------------------------------------------------------------------------- what it
# learns


@pytest.mark.parametrize("architecture", ["skip_gram", "cbow"])
def test_words_of_one_topic_come_together(architecture: str) -> None:
    curve: list[float] = []
    system = Word2Vec(
        Word2VecConfig(architecture=architecture, dimensions=12, min_count=1, subsample=0.0, epochs=20, lr=0.05)
    )
    run = RunContext(curve=lambda _, values: curve.append(values["loss"]))
    system.fit({"train": topics()}, run)
    assert isinstance(system, TextEncoder)
    for word in system.vectors.words:
        assert {near.rstrip("abcdefgh") for near, _ in system.vectors.neighbours(word, 7)} == {word.rstrip("abcdefgh")}
    assert curve[0] == pytest.approx(6 * np.log(2), rel=1e-3), "vectors start near zero: every sigmoid is a half"
    assert curve[-1] < 0.8 * curve[0]
    assert run.cost["parameters"] == 2 * 24 * 12
    assert run.cost["words_per_second"] > 0


def test_a_score_tends_to_shifted_pmi() -> None:
    """With room in the vectors, v.u of eq. 4 is log(p(w, c) / (p(w) P_n(c))) - log k (Levy and Goldberg 2014, eq.
    12)."""
    rng = np.random.default_rng(0)
    table = rng.random((6, 6)) ** 2
    drawn = rng.choice(36, 2000, p=(table / table.sum()).ravel())
    text = "\n".join(f"{'abcdef'[i // 6]} {'abcdef'[i % 6]}" for i in drawn)
    system = trained(text, dimensions=16, window=1, negatives=2, epochs=30, lr=0.1, shared=64)
    counts = Corpus.read(text, words=system.vectors.words).pair_counts(1, np.ones(6), 0, passes=1).toarray()
    pmi = np.log(counts / counts.sum(1, keepdims=True) / noise_distribution(system.counts)) - np.log(2)
    np.testing.assert_allclose(system.vectors.vectors @ system.outputs.T, pmi, atol=0.25)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    one, two, other = trained(), trained(), trained(seed=1)
    assert one.vectors.vectors.tobytes() == two.vectors.vectors.tobytes()
    assert one.outputs.tobytes() == two.outputs.tobytes()
    assert one.vectors.vectors.tobytes() != other.vectors.vectors.tobytes()


def test_a_share_of_the_lines_is_drawn_by_seed_and_known_afterwards(tmp_path: Path) -> None:
    text = topics()
    system = trained(text, share=0.3)
    seen = system.training_text(text).splitlines()
    assert 80 < len(seen) < 160
    assert set(seen) <= set(text.splitlines())
    assert int(system.counts.sum()) == sum(len(line.split()) for line in seen)
    system.save(tmp_path)
    assert Word2Vec.load(tmp_path, system.config).training_text(text).splitlines() == seen
    assert trained(text).training_text(text) == text


def test_saved_and_loaded_nothing_changes(tmp_path: Path) -> None:
    system = trained()
    system.save(tmp_path)
    other = Word2Vec.load(tmp_path, copy.copy(system.config))
    assert other.vectors.words == system.vectors.words
    np.testing.assert_array_equal(other.vectors.vectors, system.vectors.vectors)
    np.testing.assert_array_equal(other.outputs, system.outputs)
    np.testing.assert_array_equal(other.counts, system.counts)


def test_a_text_is_the_mean_of_its_known_words() -> None:
    system = trained()
    index, table = system.vectors.index, system.vectors.vectors
    found = system.embed_texts(["Seaa, SKYB! unknown", "unknown 12", ""])
    assert (found.shape, found.dtype) == ((3, 12), np.float32)
    np.testing.assert_allclose(found[0], (table[index["seaa"]] + table[index["skyb"]]) / 2, rtol=1e-6)
    assert not found[1:].any()
    assert system.embed_texts([]).shape == (0, 12)


# -----------------------------------------------------------------------------------------------------------------
# edges


@pytest.mark.parametrize("text", ["", "12 34", "aaaa", "z " * 100, "x\ny\n" * 50])
def test_a_text_without_pairs_is_refused(text: str) -> None:
    with pytest.raises(BenchError, match=r"no word|two are needed|no pair"):
        trained(text)


def test_nothing_above_min_count_is_refused() -> None:
    with pytest.raises(BenchError, match=r"0 of 3 distinct words occur at least 5 times.*lower `min_count`"):
        trained("one two three one", min_count=5)


def test_a_model_that_is_not_trained_says_so(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="not trained"):
        Word2Vec(Word2VecConfig()).embed_texts(["a"])
    with pytest.raises(BenchError, match="dvc repro"):
        Word2Vec.load(tmp_path, Word2VecConfig())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("architecture", "glove"),
        ("dimensions", 0),
        ("window", 0),
        ("negatives", 0),
        ("epochs", 0),
        ("subsample", 1.0),
        ("share", 0.0),
        ("lr", 1e-9),
    ],
)
def test_a_wrong_setting_is_named(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=key):
        Word2VecConfig(**{key: value})  # type: ignore[arg-type]
