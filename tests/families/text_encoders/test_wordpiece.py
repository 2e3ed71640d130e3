"""WordPiece: the same text gives the same vocabulary, and the splitting is BERT's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.base.errors import BenchError
from bench.families.text_encoders.wordpiece import SPECIAL, WordPiece

LINES = [
    "the cat sat on the mat, and the cats sat on the mats",
    "A Hat! that hatter's hat: naïve; the rat ate the mat",
] * 6


@pytest.fixture(scope="module")
def pieces() -> WordPiece:
    return WordPiece.train(LINES, 56)


def test_special_tokens_come_first_and_nothing_else_is_special(pieces: WordPiece) -> None:
    assert [pieces.token(i) for i in range(5)] == list(SPECIAL)
    assert (pieces.pad, pieces.unknown, pieces.cls, pieces.sep, pieces.mask) == (0, 1, 2, 3, 4)
    assert len(pieces) == 56 and pieces.special.tolist() == [0, 1, 2, 3, 4]
    assert not set(pieces.special[2:]) & set(
        pieces.encode(["[MASK] [CLS] [SEP]"])[0].tolist()
    )  # a user's text gives no commands


def test_frequent_words_are_whole_and_rare_ones_in_pieces(pieces: WordPiece) -> None:
    ids = pieces.encode(["The cat", "hatter"])
    assert pieces.text(ids[0]) == "the cat" and len(ids[0]) == 2
    assert len(ids[1]) > 1 and pieces.text(ids[1]) == "hatter"
    assert pieces.token(ids[1][1]).startswith("##")


def test_accents_and_capitals(pieces: WordPiece) -> None:
    np.testing.assert_array_equal(pieces.encode(["NAÏVE"])[0], pieces.encode(["naive"])[0])
    cased = WordPiece.train(LINES, 56, lowercase=False)
    assert cased.text(cased.encode(["A Hat"])[0]) == "A Hat"


def test_unknown_characters_empty_texts_and_endless_words(pieces: WordPiece) -> None:
    assert pieces.encode(["☃", "", " \n\t", "a" * 200]) is not None
    snowman, empty, blank, endless = pieces.encode(["the ☃ sat", "", " \n\t", "a" * 200])
    assert pieces.text(snowman) == "the [UNK] sat" and len(empty) == len(blank) == 0
    assert endless.tolist() == [pieces.unknown]
    assert pieces.encode([]) == []


def test_another_process_learns_the_same_vocabulary(pieces: WordPiece) -> None:
    """The library's own trainer numbers pieces in the order of a hash map that differs from process to process."""
    code = (
        f"from bench.families.text_encoders.wordpiece import WordPiece; print(WordPiece.train({LINES!r}, "
        "56).to_text(), end='')"
    )
    texts = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert texts == {pieces.to_text()}


def test_round_trip_and_published_forms(pieces: WordPiece, tmp_path: Path) -> None:
    again = WordPiece.from_text(pieces.to_text())
    assert again.to_text() == pieces.to_text()
    (tmp_path / "vocab.txt").write_text("\n".join(pieces.token(i) for i in range(len(pieces))) + "\n", encoding="utf-8")
    listed = WordPiece.read(tmp_path)
    (tmp_path / "tokenizer.json").write_text(pieces.to_text(), encoding="utf-8")
    for other in (listed, WordPiece.read(tmp_path)):
        for a, b in zip(other.encode(LINES), pieces.encode(LINES), strict=True):
            np.testing.assert_array_equal(a, b)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_text_can_be_split(text: str) -> None:
    global _shared
    if _shared is None:
        _shared = WordPiece.train(LINES, 56)
    (ids,) = _shared.encode([text])
    assert ids.dtype == np.int64 and (ids >= 0).all() and (ids < len(_shared)).all()


_shared: WordPiece | None = None


@pytest.mark.parametrize(
    ("lines", "size", "message"),
    [
        ([], 56, "no letter occurs 3 times"),
        ([" \n", "ab"], 56, "no letter occurs"),
        (LINES, 20, r"raise `model\.vocabulary` above 20"),
    ],
)
def test_texts_without_a_vocabulary(lines: list[str], size: int, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        WordPiece.train(lines, size)


def test_files_that_are_no_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"must hold tokenizer\.json or vocab\.txt"):
        WordPiece.read(tmp_path)
    with pytest.raises(BenchError, match="not a vocabulary"):
        WordPiece.from_text("{}")
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\nthe\n", encoding="utf-8")
    with pytest.raises(BenchError, match=r"lacks \[CLS\], \[SEP\], \[MASK\]"):
        WordPiece.read(tmp_path)
