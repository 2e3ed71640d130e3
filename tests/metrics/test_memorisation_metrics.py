"""Memorisation of pictures and of text: planted copiers are flagged, honest samples are not, counts equal brute
force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from bench.base.errors import BenchError
from bench.metrics.hashing import hash_windows
from bench.metrics.memorisation import (
    TrainingText,
    nearest_train,
    verbatim_copy_counts,
    verbatim_copy_rate,
)


def pictures(n: int, seed: int) -> np.ndarray:
    """Smooth blobs, uint8 (n, 10, 10, 1)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:10, :10]
    centres = rng.uniform(2, 8, size=(n, 2, 1, 1))
    blob = np.exp(-((y - centres[:, 0]) ** 2 + (x - centres[:, 1]) ** 2) / 6)
    return np.clip(255 * blob + 8 * rng.normal(size=blob.shape), 0, 255).astype(np.uint8)[..., None]


def test_ratio_equals_sklearn_neighbours() -> None:
    samples, train, heldout = pictures(80, 1), pictures(500, 2), pictures(90, 3)
    model = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(train.reshape(500, -1).astype(float))
    ours, where = model.kneighbors(samples.reshape(80, -1).astype(float))
    base, _ = model.kneighbors(heldout.reshape(90, -1).astype(float))
    result = nearest_train(samples, train, heldout)
    assert result.value == pytest.approx(ours.mean() / base.mean())
    np.testing.assert_array_equal(result.indices, where[:, 0])


def test_a_memoriser_is_at_distance_0_and_an_honest_generator_at_that_of_unseen_images() -> None:
    train, heldout = pictures(800, 2), pictures(400, 3)
    assert nearest_train(pictures(400, 1), train, heldout).value == pytest.approx(1.0, abs=0.05)
    assert nearest_train(train[::2], train, heldout).value == 0.0


def test_heldout_data_inside_the_training_set_is_refused() -> None:
    train = pictures(50, 0)
    with pytest.raises(BenchError, match="check the splits"):
        nearest_train(train, train, train[:10])


def brute_force(texts: list[str], train: str, n: int) -> tuple[list[int], list[int]]:
    known = {train[i : i + n] for i in range(len(train) - n + 1)}
    windows = [[text[i : i + n] for i in range(len(text) - n + 1)] for text in texts]
    return [sum(window in known for window in row) for row in windows], [len(row) for row in windows]


@settings(deadline=None, max_examples=150)
@given(
    st.text(alphabet="abñ✓", max_size=60),
    st.lists(st.text(alphabet="abñ✓", max_size=20), max_size=4),
    st.integers(1, 9),
)
def test_copy_counts_equal_a_set_of_substrings(train: str, texts: list[str], n: int) -> None:
    copied, windows = verbatim_copy_counts(texts, train, n)
    assert (copied.tolist(), windows.tolist()) == brute_force(texts, train, n)


def test_copy_rate_brackets() -> None:
    rng = np.random.default_rng(0)
    train = "".join(rng.choice(list("abcdefgh "), 20_000))
    other = "".join(rng.choice(list("abcdefgh "), 5_000))
    assert verbatim_copy_rate([train[500:1500], train[-700:]], train, 20) == 1.0
    assert verbatim_copy_rate([other], train, 20) == 0.0
    index = TrainingText(train)
    rates = [verbatim_copy_rate([other], index, n) for n in (1, 3, 5, 7)]
    assert rates[0] == 1.0
    assert rates == sorted(rates, reverse=True)


def test_texts_shorter_than_the_window() -> None:
    with pytest.raises(BenchError, match="longer texts"):
        verbatim_copy_rate(["abc"], "abcabcabc", 5)
    assert verbatim_copy_rate(["abcdef"], "abc", 5) == 0.0  # nor can a training text that is shorter be copied from


def test_a_hash_collision_does_not_count_as_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a hash of two values nearly everything collides; the comparison of characters must still decide."""
    from bench.metrics import memorisation

    monkeypatch.setattr(memorisation, "hash_windows", lambda symbols, n: hash_windows(symbols, n) % np.uint64(2))
    train, texts = "the cat sat on the mat", ["the mat", "a cat sat", "xyzzy the"]
    copied, _ = verbatim_copy_counts(texts, train, 3)
    assert copied.tolist() == brute_force(texts, train, 3)[0]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=50), st.integers(1, 12))
def test_window_hashes_are_equal_exactly_for_equal_windows(symbols: list[int], n: int) -> None:
    hashes = hash_windows(np.array(symbols, dtype=np.uint8), n)
    windows = [tuple(symbols[i : i + n]) for i in range(len(symbols) - n + 1)]
    assert len(hashes) == len(windows)
    seen = dict(zip(windows, hashes.tolist(), strict=True))
    assert [seen[window] for window in windows] == hashes.tolist()
    assert len(set(seen.values())) == len(seen)


def test_thue_morse_words_do_not_collide() -> None:
    """The sequence on which every polynomial hash modulo 2^64 fails at length 2^11."""
    word = np.array([0], dtype=np.uint8)
    while len(word) < 4096:
        word = np.concatenate([word, 1 - word])
    hashes = hash_windows(word, 2048)
    windows = {word[i : i + 2048].tobytes() for i in range(len(hashes))}
    assert len(np.unique(hashes)) == len(windows)
