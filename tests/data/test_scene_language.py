"""Captions: written, read back, refused, encoded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.base.errors import BenchError
from bench.scene_language import (
    COLOURS,
    MAX_WORDS,
    VOCABULARY,
    AskedObject,
    AskedScene,
    caption_of,
    encode_captions,
    parse_caption,
    unseen_pairs,
)

objects = st.tuples(st.one_of(st.none(), st.integers(0, 7)), st.integers(0, 9), st.booleans())


@given(st.lists(objects, min_size=1, max_size=4), st.integers(0, 3))
def test_caption_is_read_back_as_it_was_written(items, relation):
    relation = relation if len(items) == 2 else None
    read = parse_caption(caption_of(items, relation))
    assert read.relation == relation
    assert read.objects == tuple(AskedObject(digit, colour, True if small else None) for colour, digit, small in items)


@given(st.one_of(st.none(), st.integers(0, 7)), st.integers(0, 9), st.integers(2, 4))
def test_counted_caption_is_read_back(colour, digit, count):
    read = parse_caption(caption_of([(colour, digit, False)] * count, of_a_kind=True))
    assert read == AskedScene((AskedObject(digit, colour),) * count)


@given(st.lists(objects, min_size=1, max_size=4))
def test_every_caption_fits_the_token_length(items):
    tokens = encode_captions([caption_of([(c, d, False) for c, d, _ in items])])
    assert tokens.shape == (1, MAX_WORDS)
    assert (tokens == 2).sum() == 1


def test_tokens_spell_the_caption():
    (row,) = encode_captions(["an orange four above a small seven"])
    words = [VOCABULARY[t] for t in row]
    assert words[:9] == ["<start>", "a", "orange", "four", "above", "a", "small", "seven", "<end>"]
    assert set(words[9:]) == {"<pad>"}
    assert encode_captions([""])[0, :3].tolist() == [1, 2, 0]


def test_vocabulary_has_39_different_words():
    assert len(VOCABULARY) == len(set(VOCABULARY)) == 39


def test_articles_are_english_and_a_for_an_is_understood():
    assert caption_of([(6, 4, False), (None, 8, False)]) == "an orange four and an eight"
    assert caption_of([(6, 4, True)]) == "a small orange four"
    assert parse_caption("a orange four") == parse_caption("An orange  four")
    assert np.array_equal(encode_captions(["a eight"]), encode_captions(["an eight"]))


def test_held_out_pairs():
    names = list(COLOURS)
    assert {(names[c], d) for c, d in unseen_pairs()} == {
        *{("red", 1), ("green", 4), ("blue", 7), ("yellow", 0), ("cyan", 3), ("pink", 6), ("orange", 9), ("white", 2)}
    }
    assert parse_caption("a red one").unseen
    assert parse_caption("two blue sevens").unseen
    assert not parse_caption("a blue one and a one").unseen


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a redd three", "Did you mean 'red'?"),
        ("a red thre", "Did you mean 'three'?"),
        ("a purple three", "'purple' is not a word of the scenes"),
        ("<start> a three", "'<start>' is not a word"),
        ("a red", "expected a digit, found the end"),
        ("red three", "expected 'a', found 'red'"),
        ("a three left a four", "found 'left'"),
        ("a three above a four above a five", "expected the end, found 'above'"),
        ("two red four", "expected the plural of a digit, found 'four'"),
        ("one red fours", "two, three or four"),
        ("five red fours", "expected 'a', found 'five'"),
        ("a one and a one and a one and a one and a one", "at most 4"),
        ("", "expected 'a', found the end"),
    ],
)
def test_wrong_captions_are_refused_with_the_reason(text, said):
    with pytest.raises(BenchError) as error:
        parse_caption(text)
    assert said in str(error.value)


def test_too_long_a_caption_is_refused():
    with pytest.raises(BenchError, match="17 words, at most 16"):
        encode_captions(["a " * 17])
