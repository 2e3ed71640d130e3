"""Spearman's correlation against scipy's, 3CosAdd against gensim's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from scipy.stats import spearmanr

from bench.base.errors import BenchError
from bench.metrics.analogy import analogy_hits, solve_analogies
from bench.metrics.word_similarity import pair_cosines, spearman, spearman_interval, spearman_pseudo_values


@pytest.mark.parametrize("seed", range(5))
def test_spearman_with_ties_is_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 6, 50)
    y = x + rng.normal(0, 3, 50).round()
    assert spearman(x, y) == pytest.approx(float(spearmanr(x, y).statistic), abs=1e-12)


def test_pseudo_values_are_those_of_leaving_one_out() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, 150), rng.standard_normal(150)
    without = [float(spearmanr(np.delete(x, i), np.delete(y, i)).statistic) for i in range(150)]
    np.testing.assert_allclose(
        spearman_pseudo_values(x, y), 150 * spearmanr(x, y).statistic - 149 * np.array(without), atol=1e-9
    )


def test_spearman_of_something_constant_is_zero() -> None:
    assert spearman([1, 1, 1, 1], [1, 2, 3, 4]) == 0.0


@pytest.mark.parametrize(("x", "y"), [([1, 2], [1, 2]), ([1, 2, 3], [1, 2]), ([1, 2, np.nan], [1, 2, 3])])
def test_spearman_refuses_what_it_cannot_rank(x: list[float], y: list[float]) -> None:
    with pytest.raises(BenchError, match="at least three pairs"):
        spearman(x, y)


def test_the_interval_covers_the_true_correlation() -> None:
    """Normal pairs of correlation r have Spearman's 6 / pi asin(r / 2)."""
    r, inside = 0.5, 0
    truth = 6 / np.pi * np.arcsin(r / 2)
    for seed in range(100):
        x = np.random.default_rng(seed).standard_normal((2, 150))
        low, high = spearman_interval(x[0], r * x[0] + np.sqrt(1 - r * r) * x[1], seed, repeats=400)
        inside += low < truth < high
    assert 88 <= inside <= 99


def test_cosines() -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [-2.0, 0.0]])
    np.testing.assert_allclose(
        pair_cosines(vectors, [[0, 1], [0, 2], [0, 3], [1, 1]]), [np.sqrt(0.5), 0, -1, 1], atol=1e-12
    )


@pytest.fixture
def keyed() -> KeyedVectors:
    table = KeyedVectors(6)
    table.add_vectors(
        [f"w{i}" for i in range(60)], np.random.default_rng(0).standard_normal((60, 6)).astype(np.float32)
    )
    return table


def test_answers_and_their_order_are_gensims(keyed: KeyedVectors) -> None:
    questions = np.random.default_rng(1).permuted(np.tile(np.arange(60), (30, 1)), axis=1)[:, :3]
    answers, scores = solve_analogies(keyed.vectors, questions, 4)
    for (a, b, c), found, values in zip(questions, answers, scores, strict=True):
        expected = keyed.most_similar(positive=[f"w{b}", f"w{c}"], negative=[f"w{a}"], topn=4)
        assert [f"w{i}" for i in found] == [word for word, _ in expected]
        assert (np.diff(values) <= 0).all()
    np.testing.assert_array_equal(solve_analogies(keyed.vectors, questions)[0][:, 0], answers[:, 0])


def test_the_share_right_is_gensims(keyed: KeyedVectors, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    rows = rng.permuted(np.tile(np.arange(60), (200, 1)), axis=1)[:, :4]
    rows[::3, 3] = solve_analogies(keyed.vectors, rows[::3, :3])[0][:, 0]  # a third are right by construction
    file = tmp_path / "questions.txt"
    file.write_text(": s\n" + "\n".join(" ".join(f"w{i}" for i in row) for row in rows) + "\n")
    score, _ = keyed.evaluate_word_analogies(str(file), case_insensitive=False)
    assert analogy_hits(keyed.vectors, rows).mean() == pytest.approx(score)
    assert score > 0.3


@pytest.mark.parametrize(
    ("vectors", "questions", "message"),
    [
        (np.eye(3), [[0, 1, 2]], "at least four"),
        (np.eye(5), [[0, 1]], r"\(Q, 3\)"),
        (np.eye(5), [[0, 1, 5]], "rows must be from 0 to 4"),
    ],
)
def test_questions_that_cannot_be_asked(vectors: np.ndarray, questions: list[list[int]], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        solve_analogies(vectors, questions)


def test_no_questions_no_answers() -> None:
    assert analogy_hits(np.eye(5), np.zeros((0, 4))).shape == (0,)
