"""Scoring sentences against kenlm on the same ARPA file, in the same run: first the same log-probabilities, then tokens
a second.

The model is a modified Kneser-Ney 5-gram over words that kenlm reads from our export. Each sentence is scored by itself
from an empty context. kenlm is timed from its tokens, joined by spaces, on; ours from the raw text on (splitting, ids,
look-ups, logarithms). Both are single-threaded, and their rounds alternate, so that a busy machine slows both alike.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import kenlm
import numpy as np
import pytest

from bench.autoregressive.vocabulary import words
from bench.contracts import RunContext
from bench.families.words.arpa import arpa_token
from bench.families.words.ngram import NGram, NGramConfig

ORDER, TRAIN_CHARACTERS, SENTENCES = 5, 2_000_000, 4_000


def corpus() -> tuple[str, str, list[str]]:
    """Shakespeare where it is prepared, otherwise words drawn by Zipf's law."""
    folder = Path(__file__).parents[2] / "data/prepared/shakespeare"
    if folder.is_dir():
        train, test = ((folder / f"{split}.txt").read_text(encoding="utf-8") for split in ("train", "test"))
        return "shakespeare", train[:TRAIN_CHARACTERS], [line for line in test.splitlines() if line.strip()][:SENTENCES]
    ranks = np.random.default_rng(0).zipf(1.3, 400_000)
    text = "".join(f" w{rank}" + "\n" * (i % 9 == 8) for i, rank in enumerate(ranks) if rank < 20_000)
    return "zipf", text[:TRAIN_CHARACTERS], text[TRAIN_CHARACTERS:].splitlines()[:SENTENCES]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, NGram, Any, list[str], list[str]]:
    """Name of the text, our model, kenlm's, the sentences, and the sentences in kenlm's tokens."""
    name, train, sentences = corpus()
    ours = NGram(NGramConfig(unit="words", order=ORDER, min_count=1))
    ours.fit({"train": train}, RunContext())
    path = tmp_path_factory.mktemp("arpa") / "model.arpa"
    with path.open("w", encoding="utf-8") as file:
        file.writelines(ours.to_arpa())
    # kenlm has one probability for all unknown words, ours spells them: sentences of known words compare.
    sentences = [sentence for sentence in sentences if (ours.encode(sentence) > 0).all()]
    return (
        name,
        ours,
        kenlm.Model(str(path)),
        sentences,
        [" ".join(map(arpa_token, words(sentence))) for sentence in sentences],
    )


def test_scoring_against_kenlm(benchmark: Any, aim: Any, models: tuple[str, NGram, Any, list[str], list[str]]) -> None:
    """The same log-probabilities to 1e-4 a sentence; aim: 0.2 times kenlm's tokens a second."""
    name, ours, theirs, sentences, joined = models
    same = [theirs.score(sentence, bos=False, eos=False) for sentence in joined]
    np.testing.assert_allclose(ours.score_sentences(sentences) / np.log(10), same, atol=1e-4)
    tokens = sum(len(sentence.split()) for sentence in joined)
    times: dict[str, list[float]] = {"kenlm": [], "ours": []}

    def kenlm_round() -> tuple[tuple[()], dict[str, Any]]:
        start = time.perf_counter()
        for sentence in joined:
            theirs.score(sentence, bos=False, eos=False)
        times["kenlm"].append(time.perf_counter() - start)
        return (), {}

    def our_round() -> None:
        start = time.perf_counter()
        ours.score_sentences(sentences)
        times["ours"].append(time.perf_counter() - start)

    benchmark.pedantic(our_round, setup=kenlm_round, rounds=9, iterations=1)
    ratio = float(np.median(times["kenlm"]) / np.median(times["ours"]))
    benchmark.extra_info.update(
        text=name,
        sentences=len(sentences),
        tokens=tokens,
        kenlm_tokens_per_second=round(tokens / float(np.median(times["kenlm"]))),
        our_tokens_per_second=round(tokens / float(np.median(times["ours"]))),
        threads=1,
    )
    aim(ratio, 0.2)
