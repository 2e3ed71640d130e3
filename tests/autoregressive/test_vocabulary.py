from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bench.autoregressive.vocabulary import UNKNOWN, Vocabulary, byte_nats, utf8_lengths, words


@given(st.text())
def test_words_lose_nothing(text: str) -> None:
    assert "".join(words(text)) == text


def test_words_keep_apostrophes_and_the_space_before() -> None:
    assert words("Ha! 'tis th'other -- ay.") == ["Ha", "!", " '", "tis", " th'other", " --", " ay", "."]


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
