"""Word vectors: look-up, neighbours, analogies, and files that gensim reads and writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.base.errors import BenchError
from bench.families.text_encoders.word_vectors import WordVectors, read_word2vec, write_word2vec

WORDS = ["king", "queen", "man", "woman", "apple", "café"]


@pytest.fixture
def vectors() -> WordVectors:
    table = np.random.default_rng(0).standard_normal((len(WORDS), 8)).astype(np.float32)
    table[1] = table[0] - table[2] + table[3] + 0.1 * table[1]
    return WordVectors(WORDS, table)


def theirs(vectors: WordVectors) -> KeyedVectors:
    table = KeyedVectors(vectors.vectors.shape[1])
    table.add_vectors(vectors.words, vectors.vectors)
    return table


def test_neighbours_analogies_and_cosines_are_gensims(vectors: WordVectors) -> None:
    other = theirs(vectors)
    for word in WORDS:
        ours, expected = vectors.neighbours(word, 3), other.most_similar(word, topn=3)
        assert [w for w, _ in ours] == [w for w, _ in expected]
        np.testing.assert_allclose([s for _, s in ours], [s for _, s in expected], atol=1e-6)
    assert vectors.similarity("king", "apple") == pytest.approx(other.similarity("king", "apple"), abs=1e-6)
    answers = vectors.analogy("man", "king", "woman", 3)
    expected = other.most_similar(positive=["king", "woman"], negative=["man"], topn=3)
    assert [word for word, _ in answers] == [word for word, _ in expected]
    assert answers[0][0] == "queen"


def test_a_word_is_not_its_own_neighbour_nor_an_answer_to_its_own_question(vectors: WordVectors) -> None:
    assert {word for word, _ in vectors.neighbours("king", 99)} == set(WORDS) - {"king"}
    assert {word for word, _ in vectors.analogy("man", "king", "woman", 99)} == set(WORDS) - {"man", "king", "woman"}


@pytest.mark.parametrize(
    ("word", "hint"),
    [("qeen", "Did you mean 'queen'"), ("Apple", "'apple'"), ("zzzz", "not among the 6 words that have a vector\\.$")],
)
def test_an_unknown_word_gets_a_suggestion(vectors: WordVectors, word: str, hint: str) -> None:
    for ask in (
        lambda: vectors.neighbours(word),
        lambda: vectors.analogy("man", word, "king"),
        lambda: vectors.similarity("man", word),
    ):
        with pytest.raises(BenchError, match=hint):
            ask()


@pytest.mark.parametrize("binary", [False, True])
def test_gensim_loads_what_we_write_and_we_load_what_it_writes(
    tmp_path: Path, vectors: WordVectors, binary: bool
) -> None:
    write_word2vec(tmp_path / "ours", vectors.words, vectors.vectors, binary=binary)
    loaded = KeyedVectors.load_word2vec_format(str(tmp_path / "ours"), binary=binary)
    assert loaded.index_to_key == WORDS
    np.testing.assert_array_equal(loaded.vectors, vectors.vectors)
    theirs(vectors).save_word2vec_format(str(tmp_path / "gensim"), binary=binary)
    back = read_word2vec(tmp_path / "gensim", binary=binary)
    assert back.words == WORDS
    np.testing.assert_array_equal(back.vectors, vectors.vectors)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("says", [0, len(WORDS) - 1, len(WORDS) + 1, 99_999_999_999])
def test_a_first_line_of_gensims_file_that_says_another_number_is_refused(
    tmp_path: Path, vectors: WordVectors, binary: bool, says: int
) -> None:
    path = tmp_path / "gensim"
    theirs(vectors).save_word2vec_format(str(path), binary=binary)
    _, _, body = path.read_bytes().partition(b"\n")
    path.write_bytes(f"{says} 8\n".encode() + body)
    with pytest.raises(BenchError, match="the first line says"):
        read_word2vec(path, binary=binary)


@pytest.mark.parametrize("binary", [False, True])
def test_a_word_of_gensims_file_ends_at_a_space_alone(tmp_path: Path, binary: bool) -> None:
    words = ["20\xa0000", "New\u2009York", "a\u2028b", "c\x85d", "\u0939\u093f"]
    table = KeyedVectors(3)
    table.add_vectors(words, np.arange(15, dtype=np.float32).reshape(5, 3))
    table.save_word2vec_format(str(tmp_path / "gensim"), binary=binary)
    assert KeyedVectors.load_word2vec_format(str(tmp_path / "gensim"), binary=binary).index_to_key == words
    back = read_word2vec(tmp_path / "gensim", binary=binary)
    assert back.words == words
    np.testing.assert_array_equal(back.vectors, table.vectors)


@pytest.mark.parametrize("binary", [False, True])
@given(
    words=st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Z", "C"]), min_size=1, max_size=6),
        min_size=1,
        max_size=6,
        unique=True,
    ),
    seed=st.integers(0, 9),
)
@settings(max_examples=25, deadline=None)
def test_files_give_every_word_and_number_back(
    tmp_path_factory: pytest.TempPathFactory, binary: bool, words: list[str], seed: int
) -> None:
    path = tmp_path_factory.mktemp("w2v") / "vectors"
    table = (np.random.default_rng(seed).standard_normal((len(words), 3)) * 10.0 ** np.arange(-20, 40, 20)).astype(
        np.float32
    )
    table = np.nan_to_num(table, posinf=3e38, neginf=-3e38)
    write_word2vec(path, words, table, binary=binary)
    back = read_word2vec(path, binary=binary)
    assert back.words == words
    np.testing.assert_array_equal(back.vectors, table)


@pytest.mark.parametrize("word", ["two words", "", "tab\t", "line\nbreak", "no\xa0break"])
def test_a_word_that_the_format_cannot_hold_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(BenchError, match="cannot be written"):
        write_word2vec(tmp_path / "x", [word], np.zeros((1, 2)))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("content", "binary", "message"),
    [
        (b"", False, "first line"),
        (b"word 0.1 0.2\n", False, "first line"),
        (b"2 2\na 1 2\n", False, "1 words where the first line says 2"),
        (b"1 2\na 1\n", False, "line 2: must be a word and 2 numbers"),
        (b"1 2\na 1 x\n", False, "line 2"),
        (b"1 2\na 1 nan\n", False, "not finite"),
        (b"2 1\na 1\na 2\n", False, "'a' has two vectors"),
        (b"1 0\na\n", False, "0 dimensions"),
        (b"1 1\na 1\nb 1\n", False, "2 words where the first line says 1"),
        (b"1 99999999999\na 1 2\n", False, "ends in word 1 of 1: .* at least 199,999,999,999 bytes"),
        (b"99999999999 300\nthe 1 2\n", False, "1 words where the first line says 99999999999"),
        (b"99999999999 300\nthe 1 2\n", True, "ends in word 1 of 99,999,999,999"),
        (b"1 99999999999\nthe 1 2\n", True, "ends in word 1 of 1"),
        (b"0 1\na 1234", True, "6 bytes follow the 0 words"),
        (b"1 2\na " + b"\0" * 7, True, "ends in word 1 of 1"),
        (b"1 1\n\xff\xfe " + b"\0" * 4, True, "not UTF-8"),
        (b"1 1\n\xff\xfe 1\n", False, "not UTF-8"),
    ],
)
def test_a_file_that_is_not_in_the_format_is_named(tmp_path: Path, content: bytes, binary: bool, message: str) -> None:
    path = tmp_path / "vectors"
    path.write_bytes(content)
    with pytest.raises(BenchError, match=message):
        read_word2vec(path, binary=binary)


def test_a_missing_file_and_rows_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no file"):
        read_word2vec(tmp_path / "none")
    with pytest.raises(BenchError, match="do not fit together"):
        WordVectors(["a"], np.zeros((2, 3)))
    with pytest.raises(BenchError, match="do not fit together"):
        write_word2vec(tmp_path / "x", ["a"], np.zeros((2, 3)))
