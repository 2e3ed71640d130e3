"""Fine-tuning from [CLS], its baselines, and the intervals of the label experiment."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from bench.base.errors import BenchError
from bench.contracts import RunContext
from bench.data.labelled_texts import TextSplit
from bench.families.text_encoders.masked_lm import MaskedLM, MaskedLMConfig
from bench.metrics.macro_f1 import resampled_scores
from bench.nn.encoder import Encoder, EncoderShape
from bench.scorers.fine_tuning import Recipe, TextClassifier, classify, fine_tune
from bench.scorers.label_efficiency import majority, tfidf
from bench.scorers.text_classification import draw_labelled
from bench.stats.intervals import mean_of_runs_ci, mean_t_ci

WORDS = ["cat", "rat", "mat", "hat", "sat", "fat"]
RECIPE = Recipe(steps=60, batch_size=8, learning_rate=1e-2, max_tokens=12, dropout=0.0)


def news(n: int, seed: int) -> TextSplit:
    """The label is whether "cat" or "rat" is the first word of its text, among others of no meaning."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    texts = [" ".join([["cat", "rat"][label], *rng.choice(WORDS[2:], rng.integers(1, 5))]) for label in labels]
    return TextSplit(texts, labels.astype(np.int64))


@pytest.fixture(scope="module")
def encoder() -> MaskedLM:
    model = MaskedLM(MaskedLMConfig(width=16, layers=1, heads=2, context=12, vocabulary=40))
    model.fit({"train": "\n".join(news(60, 9).texts)}, RunContext(train={"steps": 5, "batch_size": 4, "warmup": 1}))
    return model


def test_it_learns_to_tell_two_classes_apart_from_cls_alone(encoder: MaskedLM) -> None:
    train, test = news(40, 0), news(60, 1)
    before = {name: tensor.clone() for name, tensor in encoder.network.state_dict().items()}
    for scratch in (False, True):
        network = fine_tune(encoder, train, 2, RECIPE, seed=0, scratch=scratch)
        assert (classify(network, encoder, test.texts, 12) == test.labels).mean() > 0.9
    after = encoder.network.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)  # fine-tuning works on a copy


def test_fine_tuning_starts_from_the_encoder_and_scratch_does_not(encoder: MaskedLM) -> None:
    """With a rate of (all but) zero, the network after a step is the one that it began with."""
    still = Recipe(1, 4, 1e-12, 12, 0.0)
    kept, fresh = (
        [fine_tune(encoder, news(10, 0), 2, still, seed, scratch=scratch) for seed in (0, 1)]
        for scratch in (False, True)
    )
    ours = encoder.network.encoder.words.weight
    for network in kept:
        torch.testing.assert_close(network.encoder.words.weight, ours, atol=1e-6, rtol=0)
        assert network.encoder.words.weight is not ours
    for network in fresh:
        assert (network.encoder.words.weight - ours).abs().max() > 0.01
    assert (fresh[0].encoder.words.weight - fresh[1].encoder.words.weight).abs().max() > 0.01
    torch.testing.assert_close(kept[0].head.weight, fresh[0].head.weight, atol=1e-6, rtol=0)  # the same new layer


def test_same_seed_same_predictions(encoder: MaskedLM) -> None:
    short = Recipe(6, 4, 1e-2, 12, 0.1)
    one, two = (fine_tune(encoder, news(20, 0), 2, short, 5) for _ in range(2))
    assert torch.equal(one.head.weight, two.head.weight)
    np.testing.assert_array_equal(*(classify(network, encoder, news(40, 1).texts, 12) for network in (one, two)))


def test_predictions_keep_the_order_of_the_texts(encoder: MaskedLM) -> None:
    network = fine_tune(encoder, news(40, 0), 2, RECIPE, 0)
    test = news(70, 3)  # more than a batch, of different lengths
    said = classify(network, encoder, test.texts, 12)
    np.testing.assert_array_equal(said[::-1], classify(network, encoder, test.texts[::-1], 12))
    np.testing.assert_array_equal(said[:5], [int(classify(network, encoder, [text], 12)[0]) for text in test.texts[:5]])
    assert len(classify(network, encoder, [], 12)) == 0
    assert classify(network, encoder, ["☃", "", "cat " * 40], 12).shape == (3,)


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    network = TextClassifier(Encoder(EncoderShape(20, 16, 2, 2, 32, 12)), 3, pad=0, dropout=0.0).eval()
    tokens = torch.tensor([[2, 7, 9, 3]])
    with torch.no_grad():
        torch.testing.assert_close(
            network(tokens), network(torch.tensor([[2, 7, 9, 3, 0, 0, 0, 0]])), atol=1e-6, rtol=1e-5
        )


def test_one_class_only_is_refused(encoder: MaskedLM) -> None:
    data = TextSplit(["cat", "rat"], np.zeros(2, dtype=np.int64))
    with pytest.raises(BenchError, match="2 texts of one class: there is nothing to learn"):
        fine_tune(encoder, data, 2, RECIPE, 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 5), st.integers(0, 10_000))
def test_draws_hold_every_class_and_are_nested(classes: int, seed: int) -> None:
    labels = np.concatenate([np.arange(classes), np.zeros(40, dtype=np.int64)])
    np.random.default_rng(seed).shuffle(labels)
    before: set[int] = set()
    for n in (classes, classes + 3, 30, len(labels), 0):
        drawn = draw_labelled(labels, n, classes, seed)
        assert len(set(drawn.tolist())) == len(drawn) == (n or len(labels))
        assert set(labels[drawn].tolist()) == set(range(classes))
        assert before <= set(drawn.tolist())
        before = set(drawn.tolist())
    np.testing.assert_array_equal(draw_labelled(labels, 10, classes, seed), draw_labelled(labels, 10, classes, seed))


def test_draws_that_cannot_be() -> None:
    with pytest.raises(BenchError, match="2 labels for 3 classes"):
        draw_labelled(np.array([0, 1, 2, 0]), 2, 3, 0)
    with pytest.raises(BenchError, match="1 of them without a text"):
        draw_labelled(np.array([0, 1, 1, 0]), 3, 3, 0)


def test_baselines() -> None:
    assert majority(np.array([2, 1, 2, 0]), 3).tolist() == [2, 2, 2]
    train, test = news(40, 0), news(50, 1)
    said = tfidf(train, test.texts, strength=10.0)
    vectors = TfidfVectorizer(sublinear_tf=True).fit(train.texts)
    expected = LogisticRegression(C=10.0, max_iter=2000).fit(vectors.transform(train.texts), train.labels)
    np.testing.assert_array_equal(said, expected.predict(vectors.transform(test.texts)))
    assert (said == test.labels).mean() > 0.95


def test_replicates_are_a_bootstrap_over_test_items() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    said = np.stack([np.where(rng.random(300) < 0.8, truth, rng.integers(0, 3, 300)) for _ in range(2)])
    accuracy, f1 = resampled_scores(said, truth, 3, seed=4, repeats=400)
    assert accuracy.shape == f1.shape == (400, 2)
    draws = np.random.default_rng(4).multinomial(300, np.full(300, 1 / 300), size=400)
    for i in (0, 7):
        rows = np.repeat(np.arange(300), draws[i])
        assert accuracy[i, 1] == pytest.approx((said[1] == truth)[rows].mean())
        assert f1[i, 1] == pytest.approx(
            f1_score(truth[rows], said[1][rows], average="macro", labels=[0, 1, 2], zero_division=0)
        )
    p = (said[0] == truth).mean()
    assert accuracy[:, 0].std() == pytest.approx(np.sqrt(p * (1 - p) / 300), rel=0.12)
    np.testing.assert_array_equal(resampled_scores(said, truth, 3, seed=4, repeats=400)[1], f1)


def test_intervals_add_the_errors_of_items_and_runs_in_squares() -> None:
    items = np.random.default_rng(0).normal(0.5, 0.01, 4000)
    low, high = mean_of_runs_ci(np.array([0.5]), items)
    assert (high - low) / 2 == pytest.approx(1.96 * items.std(ddof=1))
    runs = np.array([0.4, 0.5, 0.6])
    low, high = mean_of_runs_ci(runs, items)
    of_runs = (mean_t_ci(runs)[1] - mean_t_ci(runs)[0]) / 2
    assert (high - low) / 2 == pytest.approx(
        np.hypot(of_runs, 1.96 * items.std(ddof=1))
    ) and low + high == pytest.approx(1.0)
    assert mean_of_runs_ci(np.array([0.999]), items)[1] == 1.0
    assert mean_of_runs_ci(np.array([-0.999]), items, (-1.0, 1.0))[0] == -1.0


def test_intervals_cover_in_simulation() -> None:
    """A method whose true accuracy differs from run to run: the interval holds the mean of all runs in about 95 of 100
    cases."""
    rng = np.random.default_rng(1)
    inside = 0
    for trial in range(120):
        easy = rng.beta(8, 2, 150)  # chance of each test text to be sorted right
        skill = rng.normal(0, 0.03, 4)
        right = rng.random((4, 150)) < np.clip(easy + skill[:, None], 0, 1)
        accuracy, _ = resampled_scores(np.where(right, 1, 0), np.ones(150, dtype=np.int64), 2, seed=trial, repeats=200)
        low, high = mean_of_runs_ci(right.mean(1), accuracy.mean(1))
        inside += low <= 0.8 <= high
    assert inside >= 0.9 * 120
