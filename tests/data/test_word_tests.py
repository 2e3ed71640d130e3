"""Tests of word vectors: parsing, the prepared folder, and malformed files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.data.card_reader import card_of_block
from bench.data.datasets import load
from bench.data.prepare import prepare_card
from bench.data.word_tests import parse_analogies, parse_pairs

ROOT = Path(__file__).parents[2]
ANALOGIES = ": capitals\nAthens Greece Oslo Norway\nOslo Norway Athens Greece\n\n: family\nboy girl king queen\n"
PAIRS = "# a comment\n# Word 1\tWord 2\tHuman\nlove\tsex\t6.77\ntiger\tcat\t7.35\r\n"


def raw(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("__", ".").replace("_", "-")).write_text(text, encoding="utf-8")
    return folder


def test_prepared_tests_come_back_as_they_were(tmp_path: Path) -> None:
    source = raw(
        tmp_path / "raw", questions_words__txt=ANALOGIES, wordsim353__tsv=PAIRS, simlex999__txt="old\tnew\t1.58\n"
    )
    card = card_of_block("word-tests", {"card": "datasets/word-tests.yaml"}, root=ROOT)
    meta = prepare_card(card, source, tmp_path / "word-tests", quiet=True)
    assert (meta["splits"], meta["unit"]) == ({"analogies": 3, "simlex": 1, "wordsim": 2}, "items")
    tests = load(tmp_path / "word-tests")
    assert tests["wordsim"] == [("love", "sex", 6.77), ("tiger", "cat", 7.35)]
    assert tests["simlex"] == [("old", "new", 1.58)]
    assert tests["analogies"]["capitals"][1] == ["Oslo", "Norway", "Athens", "Greece"]
    assert list(tests["analogies"]) == ["capitals", "family"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b c d\n", "line 1: must be four words in a section"),
        (": s\na b c\n", "line 2: must be four words"),
        (": s\na b c d\n: s\n", "line 3: the section 's' is there twice"),
        (": s\n", "no analogies in 's'"),
        ("", "no analogies"),
    ],
)
def test_malformed_analogies_are_named(text: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        parse_analogies(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\tb\n", "line 1"),
        ("a\tb\tc\n", "line 1"),
        ("x\ty\t1\na b 3\n", "line 2"),
        ("a\t\t1\n", "line 1"),
        ("a\tb\tnan\n", "line 1"),
        ("\ta\tb\t1\n", "line 1"),
        ("a\tb\t1\t\n", "line 1"),
        ("x\ty\t1\na\u2028b\tc\n", "line 2"),
        ("# only\n", "no pairs"),
    ],
)
def test_malformed_pairs_are_named(text: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        parse_pairs(text)


def test_two_tests_of_one_name_and_a_limit_are_refused(tmp_path: Path) -> None:
    card = card_of_block("word-tests", {"card": "datasets/word-tests.yaml"}, root=ROOT)
    with pytest.raises(BenchError, match="two tests are called 'wordsim'"):
        prepare_card(
            card, raw(tmp_path / "raw", wordsim1__tsv=PAIRS, wordsim2__tsv=PAIRS), tmp_path / "out", quiet=True
        )
    limited = card_of_block("word-tests", {"card": "datasets/word-tests.yaml", "limit": {"test": 5}}, root=ROOT)
    with pytest.raises(BenchError, match="a test is used whole"):
        prepare_card(limited, raw(tmp_path / "more", wordsim1__tsv=PAIRS), tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()


def test_tests_that_are_not_prepared_say_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"stages/prepare\.py"):
        load(tmp_path / "word-tests")
