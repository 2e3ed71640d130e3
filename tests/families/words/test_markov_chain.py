"""Markov chains against brute force, linear algebra and simulation; a chain whose memory is known; bad input."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from bench.base.errors import BenchError
from bench.contracts import LanguageModel, RunContext, StateModel
from bench.families.words.markov_chain import MarkovChain, MarkovChainConfig

NAMES = ("cloudy", "rain", "sunny")
# The next state after (the day before, today), rows in the order of NAMES: today's rain lasts if it also rained the day
# before.
SECOND = np.array(
    [
        [[0.6, 0.2, 0.2], [0.2, 0.2, 0.6], [0.3, 0.1, 0.6]],
        [[0.2, 0.6, 0.2], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2]],
        [[0.1, 0.1, 0.8], [0.4, 0.2, 0.4], [0.1, 0.1, 0.8]],
    ]
)


def lines(states: np.ndarray) -> str:
    return "".join(f"{NAMES[i]}\n" for i in states)


def second_order(length: int, seed: int) -> str:
    rng = np.random.default_rng(seed)
    states = [0, 1]
    for u in rng.random(length):
        states.append(int(np.searchsorted(np.cumsum(SECOND[states[-2], states[-1]]), u)))
    return lines(np.array(states[2:]))


def first_order(length: int, seed: int) -> str:
    rng, states = np.random.default_rng(seed), [0]
    for u in rng.random(length):
        states.append(int(np.searchsorted(np.cumsum(SECOND[0, states[-1]]), u)))
    return lines(np.array(states[1:]))


def trained(text: str, **config: object) -> MarkovChain:
    chain = MarkovChain(MarkovChainConfig(**config))  # type: ignore[arg-type]
    chain.fit({"train": text}, RunContext())
    return chain


WEATHER = second_order(4000, 0)


def test_counts_and_matrix_by_brute_force() -> None:
    chain = trained(WEATHER, order=2, prior=4.0)
    states = WEATHER.split()
    assert chain.states == NAMES
    pairs, triples = Counter(pairwise(states)), Counter(zip(states, states[1:], states[2:], strict=False))
    single = Counter(states)
    p0 = {a: (single[a] + 4 / 3) / (len(states) + 4) for a in NAMES}
    p1 = {(a, b): (pairs[a, b] + 4 * p0[b]) / (sum(pairs[a, c] for c in NAMES) + 4) for a in NAMES for b in NAMES}
    for row, (a, b) in enumerate(product(NAMES, NAMES)):
        assert chain.contexts(2)[row] == (a, b)
        assert chain.counts(2)[row].tolist() == [triples[a, b, c] for c in NAMES]
        total = sum(triples[a, b, c] for c in NAMES)
        expected = [(triples[a, b, c] + 4 * p1[b, c]) / (total + 4) for c in NAMES]
        np.testing.assert_allclose(chain.transition_matrix(2)[row], expected, rtol=1e-12)
    np.testing.assert_allclose(chain.transition_matrix(0), [[p0[a] for a in NAMES]])


def test_intervals_are_wilsons_and_hold_the_truth() -> None:
    chain = trained(WEATHER, order=2)
    counts, intervals = chain.counts(2), chain.intervals(2)
    for row, total in enumerate(counts.sum(1)):
        for column in range(3):
            theirs = binomtest(int(counts[row, column]), int(total)).proportion_ci(method="wilson")
            np.testing.assert_allclose(intervals[row, column], theirs, atol=1e-9)
    truth = SECOND.reshape(9, 3)
    assert ((intervals[..., 0] < truth) & (truth < intervals[..., 1])).mean() > 0.85
    unseen = trained("rain\nsunny\nrain\n", order=1).intervals(1)
    assert unseen.shape == (2, 2, 2) and trained("rain\nsunny\n", order=1).intervals(1)[1].tolist() == [[0, 1], [0, 1]]


def test_the_order_of_the_data_wins_on_held_out_data() -> None:
    """Memory of two days: order 2 beats 1 beats 0. Memory of one: order 2 gains nothing."""
    chain, held = trained(WEATHER, order=2), second_order(4000, 1)
    loss = [-chain.log_prob(held, k).mean() for k in (0, 1, 2)]
    truth = -np.mean([math.log(SECOND[a, b, c]) for a, b, c in _windows(held)])
    assert loss[2] < loss[1] - 0.03 < loss[0] - 0.06
    assert loss[2] == pytest.approx(truth, abs=0.01)
    chain, held = trained(first_order(4000, 2), order=2), first_order(4000, 3)
    assert -chain.log_prob(held, 2).mean() > -chain.log_prob(held, 1).mean() - 0.002


def _windows(text: str) -> list[tuple[int, int, int]]:
    states = [NAMES.index(name) for name in text.split()]
    return list(zip(states, states[1:], states[2:], strict=False))


def test_stationary_distribution_by_eigenvector_and_by_the_long_run() -> None:
    chain = trained(WEATHER, order=2)
    values, vectors = np.linalg.eig(chain.transition_matrix(1).T)
    leading = np.real(vectors[:, np.argmin(np.abs(values - 1))])
    np.testing.assert_allclose(chain.stationary(1), leading / leading.sum(), atol=1e-10)
    pairs = np.zeros((9, 9))
    for row, (_, b) in enumerate(product(range(3), range(3))):
        for c in range(3):
            pairs[row, 3 * b + c] = chain.transition_matrix(2)[row, c]
    values, vectors = np.linalg.eig(pairs.T)
    leading = np.real(vectors[:, np.argmin(np.abs(values - 1))])
    np.testing.assert_allclose(chain.stationary(2), (leading / leading.sum()).reshape(3, 3).sum(0), atol=1e-9)
    for order in (0, 1, 2):
        run = chain.simulate(60_000, 5, order)
        np.testing.assert_allclose(np.bincount(run, minlength=3) / len(run), chain.stationary(order), atol=0.015)


def test_mean_first_passage_by_linear_equations_and_by_simulation() -> None:
    chain = trained(WEATHER, order=1)
    matrix, found = chain.transition_matrix(1), chain.mean_first_passage()
    for j in range(3):
        others = [i for i in range(3) if i != j]
        hitting = np.linalg.solve(np.eye(2) - matrix[np.ix_(others, others)], np.ones(2))  # h = 1 + Q h
        np.testing.assert_allclose(found[others, j], hitting, rtol=1e-9)
        assert (
            found[j, j] == pytest.approx(1 + matrix[j, others] @ hitting) == pytest.approx(1 / chain.stationary(1)[j])
        )
    run = chain.simulate(40_000, 1, 1)
    rain = np.flatnonzero(run == 1)
    assert np.diff(rain).mean() == pytest.approx(found[1, 1], rel=0.05)
    starts = np.flatnonzero(run[: rain[-1]] == 2)
    assert (rain[np.searchsorted(rain, starts)] - starts).mean() == pytest.approx(found[2, 1], rel=0.05)


def test_forecasts_are_powers_of_the_matrix_and_settle() -> None:
    chain = trained(WEATHER, order=2)
    first = chain.forecast(["rain"], 40, 1)
    for step in (1, 2, 5):
        np.testing.assert_allclose(
            first[step - 1], np.linalg.matrix_power(chain.transition_matrix(1), step)[1], rtol=1e-12
        )
    np.testing.assert_allclose(first[-1], chain.stationary(1), atol=1e-9)
    second = chain.forecast(["sunny", "rain"], 2, 2)
    matrix = chain.transition_matrix(2).reshape(3, 3, 3)
    np.testing.assert_allclose(second[0], matrix[2, 1])
    np.testing.assert_allclose(second[1], matrix[2, 1] @ matrix[1])
    np.testing.assert_allclose(chain.forecast([], 3, 0), np.tile(chain.transition_matrix(0), (3, 1)))
    assert chain.predict(["cloudy", "rain"]) == NAMES[int(matrix[0, 1].argmax())]
    assert chain.predict(["rain"], 1) == NAMES[int(chain.transition_matrix(1)[1].argmax())]


@settings(max_examples=40, deadline=None)
@given(
    text=st.text(alphabet="abc\n", min_size=1, max_size=60),
    order=st.integers(0, 3),
    prior=st.sampled_from([0.0, 0.5, 10.0]),
    unit=st.sampled_from(["lines", "characters"]),
)
def test_rows_sum_to_one(text: str, order: int, prior: float, unit: str) -> None:
    chain = trained(text, order=order, prior=prior, unit=unit)
    for k in range(order + 1):
        matrix = chain.transition_matrix(k)
        assert matrix.shape == (chain.size**k, chain.size)
        np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-12)
        assert (matrix >= 0).all()
    assert chain.token_bytes(text).sum() == len(text.encode()) and len(chain.log_prob(text)) == len(
        chain.token_bytes(text)
    )


@settings(max_examples=30, deadline=None)
@given(text=st.text(alphabet="ab\u00e9\u2603", min_size=1, max_size=20), order=st.integers(0, 2))
def test_scores_agree_with_the_matrix_and_unknown_states_cost_their_bytes(text: str, order: int) -> None:
    chain = trained("abab\u00e9ba" * 5, order=2, unit="characters")
    nats, total, run = chain.log_prob(text, order), 35, 0
    for i, state in enumerate(text):
        if state not in chain.states:
            assert nats[i] == pytest.approx(-math.log(total + 1) - len(state.encode()) * math.log(256))
            run = 0
            continue
        k = min(run, order)
        row = chain.contexts(k).index(tuple(text[i - k : i]))
        assert nats[i] == pytest.approx(
            math.log(chain.transition_matrix(k)[row, chain.states.index(state)] * total / (total + 1))
        )
        run += 1


@pytest.mark.parametrize("unit", ["lines", "characters"])
def test_markov_chain_contract(unit: str, tmp_path: Path) -> None:
    chain = trained(WEATHER[:3000], unit=unit, order=2)
    assert isinstance(chain, LanguageModel) and isinstance(chain, StateModel)
    text = chain.sample(90, 4, "rain\nrain\n")
    assert len(text) == 90 and text == chain.sample(90, 4, "rain\nrain\n") != chain.sample(90, 5, "rain\nrain\n")
    for folder in ("one", "two"):
        chain.save(tmp_path / folder)
    assert (tmp_path / "one/markov_chain.npz").read_bytes() == (tmp_path / "two/markov_chain.npz").read_bytes()
    loaded = MarkovChain.load(tmp_path / "one", chain.config)
    assert loaded.sample(90, 4) == chain.sample(90, 4)
    np.testing.assert_array_equal(loaded.log_prob("rain\nhail\nrain\n"), chain.log_prob("rain\nhail\nrain\n"))
    assert (
        loaded.simulate(20, 1, start=chain.states[:1]).tolist()
        == chain.simulate(20, 1, start=chain.states[:1]).tolist()
    )


def test_samples_follow_the_chain() -> None:
    chain = trained(WEATHER, order=2)
    drawn = Counter(chain.sample(40, seed, "sunny\nrain\n").split("\n")[0] for seed in range(2000))
    expected = chain.forecast(["sunny", "rain"], 1)[0]
    for state, p in zip(NAMES, expected, strict=True):
        assert drawn[state] / 2000 == pytest.approx(p, abs=4.5 * math.sqrt(p * (1 - p) / 2000))


def test_what_a_chain_refuses(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="training text is empty"):
        trained("")
    with pytest.raises(BenchError, match="100 states at order 4 make 10,000,000,000 transitions: lower `order`"):
        trained("".join(map(chr, range(100, 200))), unit="characters", order=4)
    chain = trained(WEATHER[:500], order=1)
    with pytest.raises(BenchError, match="use 0 to 1, or raise"):
        chain.log_prob("rain\n", 2)
    with pytest.raises(BenchError, match=r"unknown state 'rian'\. Did you mean 'rain'"):
        chain.predict(["rian"])
    with pytest.raises(BenchError, match="predicts from 1 states, and 0 were given"):
        chain.predict([])
    with pytest.raises(BenchError, match="not trained"):
        MarkovChain(MarkovChainConfig()).log_prob("rain\n")
    with pytest.raises(BenchError, match="no counts at"):
        MarkovChain.load(tmp_path, MarkovChainConfig())
    with pytest.raises(BenchError, match="is not UTF-8"):
        chain.log_prob("ra\udce9n\n")
    never_meet = trained("a\n" * 5 + "b\n" * 5 + "a\n", order=1, prior=0.0)
    assert never_meet.stationary(1).shape == (2,)
    apart = MarkovChain(MarkovChainConfig(order=1, prior=0.0))
    apart.fit({"train": "a\na\na\nb\nb\nb\n"}, RunContext())  # a goes to b and never back
    with pytest.raises(BenchError, match="'a' is left for ever"):
        apart.mean_first_passage()
    for wrong, message in (({"unit": "words"}, "unit: must be"), ({"order": -1}, "order"), ({"prior": -1.0}, "prior")):
        with pytest.raises(ValueError, match=message):
            MarkovChainConfig(**wrong)  # type: ignore[arg-type]


def test_one_repeated_state() -> None:
    chain = trained("rain\n" * 30, order=2)
    assert chain.predict(["rain", "rain"]) == "rain" and chain.stationary(2).tolist() == [1.0]
    assert chain.mean_first_passage().tolist() == [[1.0]]
    assert chain.sample(10, 0) == "rain\nrain\n"
    assert np.isfinite(chain.log_prob("rain\nsnow\n")).all()
