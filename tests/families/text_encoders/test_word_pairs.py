"""Which pairs of words are trained on: subsampling, windows, blocks and counts against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.base.errors import BenchError
from bench.families.text_encoders.word_pairs import BLOCK, Corpus, keep_probabilities, lower_words, noise_distribution

TEXT = "The cat sat on the mat.\nA cat ate; the rat sat!\n\nRats\n" * 9


def test_words_are_letters_in_lower_case() -> None:
    assert lower_words("Don’t STOP—it's 3rd 1492, École! 'quoted' x_y") == [
        "don't",
        "stop",
        "it's",
        "rd",
        "école",
        "quoted",
        "x",
        "y",
    ]


def test_the_vocabulary_is_sorted_by_frequency_and_rare_words_are_dropped_before_windows() -> None:
    corpus = Corpus.read("b a a c\na b d\n", min_count=2)
    assert corpus.words == ["a", "b"]
    assert corpus.counts.tolist() == [3, 2]
    assert [(corpus.words[i], line) for i, line in zip(corpus.ids, corpus.lines, strict=True)] == [
        ("b", 0),
        ("a", 0),
        ("a", 0),
        ("a", 1),
        ("b", 1),
    ]
    given_words = Corpus.read("b a a c\na b d\n", words=["c", "a"])
    assert (given_words.words, given_words.counts.tolist()) == (["c", "a"], [1, 3])


@pytest.mark.parametrize(
    ("text", "min_count", "message"),
    [
        ("", 1, "holds no word"),
        ("123 ... \n 7", 1, "holds no word"),
        (
            "a b c",
            2,
            r"0 of 3 distinct words occur at least 2 times \(the most frequent, 'a', 1 times\).*lower `min_count`",
        ),
        ("aaaa", 1, "1 of 1 distinct words"),
        ("a a a a", 2, "1 of 1 distinct words"),
        ("a\nb\na\nb\n", 2, "no line of the training text holds two known words"),
    ],
)
def test_a_text_without_pairs_says_what_is_wrong(text: str, min_count: int, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        Corpus.read(text, min_count)


def test_subsampling_is_equation_5() -> None:
    counts = np.array([5000, 300, 20, 1])
    discard = 1 - np.sqrt(1e-2 / (counts / counts.sum()))
    np.testing.assert_allclose(keep_probabilities(counts, 1e-2), 1 - np.maximum(discard, 0))
    assert keep_probabilities(counts, 0).tolist() == [1, 1, 1, 1]


def test_thinning_keeps_the_stated_share_of_each_word() -> None:
    corpus = Corpus.read("a a a a a a a a b c\n" * 2000)
    keep = keep_probabilities(corpus.counts, 0.05)
    thin = corpus.thinned(keep, np.random.default_rng(0))
    share = np.bincount(thin.ids, minlength=3) / corpus.counts
    np.testing.assert_allclose(share, keep, atol=0.03)
    np.testing.assert_array_equal(thin.counts, corpus.counts)


def test_noise_is_counts_to_the_power_three_quarters() -> None:
    np.testing.assert_allclose(noise_distribution(np.array([16, 81, 1])), np.array([8, 27, 1]) / 36)


@given(lengths=st.lists(st.integers(1, 40), min_size=2, max_size=12), window=st.integers(1, 6), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_blocks_hold_exactly_the_pairs_of_a_plain_loop(lengths: list[int], window: int, seed: int) -> None:
    text = "\n".join(" ".join("abcdefg"[(i * 3 + j) % 7] for j in range(n)) for i, n in enumerate([*lengths, 2]))
    corpus = Corpus.read(text)
    reach = corpus.windows(window, np.random.default_rng(seed))
    expected = sorted(
        (int(corpus.ids[i]), int(corpus.ids[j]))
        for i in range(len(corpus.ids))
        for j in range(max(0, i - reach[i]), min(len(corpus.ids), i + reach[i] + 1))
        if i != j and corpus.lines[i] == corpus.lines[j]
    )
    found = []
    for blocks in corpus.blocks(window, np.random.default_rng(seed), per_batch=3):
        assert blocks.pairs.shape == (*blocks.places.shape, BLOCK + 2 * window)
        n, row, column = np.nonzero(blocks.pairs)
        found += list(zip(blocks.places[n, row].tolist(), blocks.columns[n, column].tolist(), strict=True))
    assert sorted(found) == expected


def test_windows_have_every_size_alike() -> None:
    corpus = Corpus.read(TEXT)
    sizes = np.concatenate([corpus.windows(4, np.random.default_rng(seed)) for seed in range(100)])
    share = np.bincount(sizes, minlength=6)[1:] / len(sizes)
    np.testing.assert_allclose(share, [0.25, 0.25, 0.25, 0.25, 0], atol=0.02)


def test_pair_counts_are_the_mean_over_passes_of_what_blocks_hold() -> None:
    corpus = Corpus.read(TEXT)
    keep = np.ones(len(corpus.words))
    counts = corpus.pair_counts(3, keep, seed=0, passes=400).toarray()
    position = np.arange(len(corpus.ids))
    expected = np.zeros_like(counts)
    for step, weight in ((1, 1.0), (2, 2 / 3), (3, 1 / 3)):  # a window of random size reaches so far
        for i in position[:-step]:
            if corpus.lines[i] == corpus.lines[i + step]:
                expected[corpus.ids[i], corpus.ids[i + step]] += weight
                expected[corpus.ids[i + step], corpus.ids[i]] += weight
    np.testing.assert_allclose(counts, expected, atol=0.7)
    assert counts.sum() == pytest.approx(expected.sum(), rel=0.01)
