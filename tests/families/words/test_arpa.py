"""ARPA files: kenlm reads ours and agrees, ours reads a plain one, and what is wrong with a file is said."""

from __future__ import annotations

import math
from pathlib import Path

import kenlm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.autoregressive.vocabulary import words
from bench.base.errors import BenchError
from bench.contracts import LanguageModel, RunContext
from bench.families.words.arpa import arpa_token, plain_token, read_arpa
from bench.families.words.ngram import NGram, NGramConfig

TRAIN = (
    "the cat sat on the mat. the cat ate the rat, and the rat sat on a hat.\nthat cat! that rat? at last the cat sat.\n"
    "a dog saw the cat on the mat; the dog sat, too.\nno rat ate a hat.\n"
) * 2
HELD_OUT = [
    "the rat sat on the cat.\n",
    "a cat saw the dog at last!\n",
    "no zebra ate that hat, \u00e9h?\n",
    "\n",
    "the",
]
BACKING_OFF = ("kneser_ney", "modified_kneser_ney", "katz", "stupid_backoff")
SMALL = """
\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-0.5\t<unk>
-0.6\tthe\t-0.3
-0.7\tcat\t-0.2
-1.5\tmat

\\2-grams:
-0.1\tthe cat
-0.4\tcat the

\\end\\
"""


def trained(unit: str, order: int, text: str = TRAIN) -> NGram:
    model = NGram(NGramConfig(unit=unit, order=order))
    model.fit({"train": text, "validation": text}, RunContext())
    return model


@pytest.mark.parametrize("unit", ["characters", "words"])
@pytest.mark.parametrize("smoothing", BACKING_OFF)
def test_kenlm_reads_our_file_and_gives_the_same_log_probability(unit: str, smoothing: str, tmp_path: Path) -> None:
    model = trained(unit, 4)
    path = tmp_path / "model.arpa"
    path.write_text("".join(model.to_arpa(smoothing=smoothing)), encoding="utf-8")
    theirs = kenlm.Model(str(path))
    assert theirs.order == 4
    for sentence in HELD_OUT:
        tokens = words(sentence) if unit == "words" else list(sentence)
        ours = float(np.log10(model.model.probabilities(model.encode(sentence), 4, smoothing)).sum())
        assert theirs.score(" ".join(map(arpa_token, tokens)), bos=False, eos=False) == pytest.approx(ours, abs=1e-4)


@pytest.mark.parametrize("unit", ["characters", "words"])
@pytest.mark.parametrize("smoothing", BACKING_OFF)
@pytest.mark.parametrize("n", [1, 3])
def test_written_and_read_again_nothing_changes(unit: str, smoothing: str, n: int, tmp_path: Path) -> None:
    model = trained(unit, 3)
    again = NGram.from_arpa(model.to_arpa(n, smoothing), unit)
    assert isinstance(again, LanguageModel)
    for sentence in HELD_OUT:
        ours, back = (
            np.log(m.model.probabilities(m.encode(sentence), n, s)) for m, s in ((model, smoothing), (again, "arpa"))
        )
        np.testing.assert_allclose(back, ours, atol=1e-6)
        p = again.distribution(sentence)
        assert (
            p.sum() == pytest.approx(1, abs=1e-6) and len(p) == len(model.vocabulary) + 2
        )  # the sentence marks, at 1e-99
    assert len(again.sample(50, 3)) == 50
    again.save(tmp_path)
    loaded = NGram.load(tmp_path, again.config)
    np.testing.assert_array_equal(loaded.log_prob(HELD_OUT[0]), again.log_prob(HELD_OUT[0]))
    assert loaded.sample(50, 3) == again.sample(50, 3)


def test_a_plain_file_scores_as_its_format_says() -> None:
    vocabulary, model = read_arpa(SMALL.splitlines())
    assert vocabulary.tokens == ["cat", "mat", "the"]
    log10 = np.log10(
        model.probabilities(vocabulary.encode(["the", "cat", "mat", "the", "the", "dog", "cat"]), 2, "arpa")
    )
    # the; the cat; cat backs off; mat has no weight; the backs off; the backs off to the unknown; the unknown has no
    # weight
    np.testing.assert_allclose(log10, [-0.6, -0.1, -0.2 - 1.5, -0.6, -0.3 - 0.6, -0.3 - 0.5, -0.7], atol=1e-12)


def test_what_the_file_does_not_list_as_unknown_has_no_probability() -> None:
    text = SMALL.replace("-0.5\t<unk>\n", "").replace("ngram 1=4", "ngram 1=3")
    model = NGram.from_arpa(text.splitlines())
    assert model.log_prob("dog")[0] == -math.inf


@given(token=st.text(min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_tokens_survive_and_hold_no_white_space(token: str) -> None:
    shown = arpa_token(token)
    assert plain_token(shown) == token
    assert shown.split() == [shown]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\", "", r"no ARPA file"),
        ("\\end\\", "", r"cut off"),
        ("ngram 2=2", "ngram 2=3", r"3 grams of order 2 were announced and 2 are there"),
        ("ngram 2=2", "ngram 3=2", r"line 4: must be `ngram 2=COUNT`"),
        ("\\2-grams:", "\\3-grams:", r"2-grams: was expected"),
        ("-0.1\tthe cat", "-0.1\tthe", r"line 13: must be a number, 2 tokens"),
        ("-0.1\tthe cat", "x\tthe cat", r"line 13: must be a number"),
        ("-0.1\tthe cat", "-0.1\tthe dog", r"'the dog' begins or ends with what the lower orders lack"),
        ("-0.1\tthe cat", "-0.1\tcat the", r"order 2 is there twice"),
        ("ngram 2=2\n", "", r"1 orders were announced and 2 are there"),
        ("-0.6\tthe", "0.30103\tthe", r"line 8: the log10 probability 0.30103 is above 0"),
        ("-0.1\tthe cat", "1e-3\tthe cat", r"line 13: the log10 probability 1e-3 is above 0"),
        ("-0.1\tthe cat", "inf\tthe cat", r"line 13: the log10 probability inf is above 0"),
        ("-0.6\tthe", "-0_6\tthe", r"line 8: must be a number"),
        ("the\t-0.3", "the\tinf", r"line 8: must be a number"),
        ("-1.5\tmat", "-1.5\t<UNK>", r"order 1 is there twice"),
    ],
)
def test_broken_files_are_named(old: str, new: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        read_arpa(SMALL.replace(old, new, 1).splitlines(), "small.arpa")


def test_what_the_format_cannot_hold() -> None:
    model = trained("words", 2)
    for smoothing in ("mle", "add_k"):
        with pytest.raises(BenchError, match="use katz or modified_kneser_ney"):
            list(model.to_arpa(smoothing=smoothing))
    with pytest.raises(BenchError, match="unknown smoothing 'katz'"):
        NGram.from_arpa(SMALL.splitlines()).log_prob("the cat", smoothing="katz")


def arpa(unigrams: list[str], bigrams: list[str]) -> str:
    return "\n".join(
        [
            *("\\data\\", f"ngram 1={len(unigrams)}", f"ngram 2={len(bigrams)}", ""),
            *("\\1-grams:", *unigrams, ""),
            *("\\2-grams:", *bigrams, "", "\\end\\", ""),
        ]
    )


PLAIN = arpa(
    [
        "-1.0\t<unk>\t0",
        "0\t<s>\t-0.3",
        "-1\t</s>\t0",
        "-0.6\tto\t-0.3",
        "-0.6\tbe\t-0.3",
        "-0.7\tor\t-0.3",
        "-0.7\tnot\t-0.3",
        "-0.9\t20\xa0000\t-0.1",
        "-0.9\tcaf\u00e9,\t0.2",
    ],
    [
        "-0.2\tto be",
        "-0.2\tbe or",
        "-0.3\tor not",
        "-0.1\tnot to",
        "-0.4\t<s> to",
        "-0.5\tbe </s>",
        "-0.2\tto 20\xa0000",
    ],
)


@pytest.mark.parametrize(
    "text",
    [
        "to be or not to be",
        "be to to or",
        "to 20\xa0000 be",
        "20 000",
        "to  sleep\nperchance to",
        "caf\u00e9, not\x0cto\x0bbe",
    ],
)
@pytest.mark.parametrize("unknown", ["<unk>", "<UNK>"])
def test_a_file_of_plain_words_scores_as_in_kenlm(text: str, unknown: str, tmp_path: Path) -> None:
    path = tmp_path / "plain.arpa"
    path.write_text(PLAIN.replace("<unk>", unknown), encoding="utf-8")
    theirs = kenlm.Model(str(path))
    with path.open(encoding="utf-8") as file:
        model = NGram.from_arpa(file)
    expected = theirs.score(text, bos=False, eos=False)
    assert model.log_prob(text).sum() / math.log(10) == pytest.approx(expected, abs=1e-5)
    assert model.score_sentences([text, ""]) / math.log(10) == pytest.approx([expected, 0], abs=1e-5)
    model.save(tmp_path)
    assert NGram.load(tmp_path, model.config).log_prob(text).tolist() == model.log_prob(text).tolist()


def test_the_six_words_of_the_question() -> None:
    assert NGram.from_arpa(PLAIN.split("\n")).log_prob("to be or not to be").sum() / math.log(10) == pytest.approx(-1.6)


def test_tokens_end_at_spaces_tabs_and_line_ends_alone() -> None:
    tokens = ["20\xa0000", "a\u2028b", "c\x85d", "e\x0bf", "\u3000"]
    text = arpa([f"-0.5\t{token}\t0" for token in tokens], [f"-0.1 {tokens[0]} {token}" for token in tokens])
    vocabulary, _ = read_arpa(text.split("\n"))
    assert vocabulary.tokens == sorted(tokens)


def test_plain_words_are_sampled_as_sentences_and_have_no_bits_per_byte() -> None:
    model = NGram.from_arpa(PLAIN.split("\n"))
    text = model.sample(400, 1)
    assert len(text) == 400 and text == model.sample(400, 1) != model.sample(400, 2)
    assert "\n" in text and "<s>" not in text and "</s>" not in text
    complete = text[: text.rindex(" ")].replace("<unk>", "").split(" ")
    assert {word for part in complete for word in part.split("\n")} <= {*model.vocabulary.tokens, ""}
    assert model.sample(4, 0, prompt="to")[0] in " \n" and model.sample(4, 0, prompt="to ")[0] != " "
    with pytest.raises(BenchError, match=r"white space .* no probability"):
        model.token_bytes("to be")
