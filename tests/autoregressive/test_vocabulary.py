from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.autoregressive.vocabulary import UNKNOWN, Vocabulary, byte_nats, utf8_lengths, words
from bench.families.text_encoders.word_pairs import lower_words


@given(st.text())
def test_words_lose_nothing(text: str) -> None:
    assert "".join(words(text)) == text


def test_words_keep_apostrophes_and_the_space_before() -> None:
    assert words("Ha! 'tis th'other -- ay.") == ["Ha", "!", " '", "tis", " th'other", " --", " ay", "."]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("\u0939\u093f\u0928\u094d\u0926\u0940 \u092d\u093e\u0937\u093e", 2),  # Hindi vowel signs
        ("\u0e20\u0e32\u0e29\u0e32 \u0e44\u0e17\u0e22 \u0e17\u0e35\u0e48", 3),  # Thai vowels and tones
        ("\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd \u05dc\u05b0\u05da\u05b8", 2),  # Hebrew points
        ("\u0627\u0644\u0637\u0651\u0648\u0628 \u0643\u064e\u062a\u064e\u0628\u064e", 2),  # Arabic
        ("e\u0301te\u0301 d'e\u0301te\u0301", 2),  # accents apart from their letters
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", 1),  # a Persian joiner
    ],
)
def test_combining_marks_belong_to_their_word(text: str, count: int) -> None:
    assert len(words(text)) == count
    assert "".join(words(text)) == text
    assert lower_words(text) == [word.strip() for word in words(text)]
    assert len(words(f"{text}, ({text})!")) == 2 * count + 3


@given(st.text(st.characters(exclude_categories=["M", "Cf"])))
def test_a_text_without_combining_marks_is_cut_as_ever(text: str) -> None:
    assert words(text) == re.findall(r" ?\w+(?:['\u2019-]\w+)*| ?[^\w\s]+|\s+?(?= \S)|\s+", text)
    lower = text.lower().replace("\u2019", "'")
    assert lower_words(text) == re.findall(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*", lower)


def test_vocabulary_round_trip_and_escape() -> None:
    vocabulary = Vocabulary.build(["b", "a", "b", "\n", "\u2603"], min_count=1)
    assert vocabulary.encode(["a", "zz", "\u2603"]).tolist() == [2, UNKNOWN, 4]
    again = Vocabulary.from_bytes(vocabulary.to_bytes())
    assert again.tokens == vocabulary.tokens and len(again) == 5
    assert [vocabulary.decode(int(i)) for i in vocabulary.encode(["b", "\n"])] == ["b", "\n"]
    assert len(Vocabulary.build("aab", min_count=2)) == 2


def test_bytes() -> None:
    assert utf8_lengths(["a", "\u2603", ""]).tolist() == [1, 3, 0]
    assert byte_nats("\u2603") == 3 * np.log(256)
