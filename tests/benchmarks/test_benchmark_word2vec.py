"""Skip-gram training against gensim's with one worker, in the same run: first equal vectors in quality, then words a
second.

Both read the same sentences with the same vocabulary, window, negatives, subsampling, step size and epochs, on one
thread, and their rounds alternate, so that a busy machine slows both alike. Timed is the training itself, without
splitting the text into words.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gensim.models import Word2Vec as GensimWord2Vec

from bench.contracts import RunContext
from bench.families.text_encoders.word2vec import Word2Vec, Word2VecConfig
from bench.families.text_encoders.word_pairs import lower_words
from bench.metrics.word_similarity import pair_cosines, spearman

EPOCHS, QUALITY_EPOCHS = 2, 10
SETTINGS: dict[str, Any] = {"window": 5, "min_count": 5}


def corpus() -> tuple[str, str, list[tuple[str, str, float]]]:
    """The wiki prose and WordSim-353 where they are prepared, otherwise words of planted topics drawn by Zipf's law."""
    data = Path(__file__).parents[2] / "data/prepared"
    if (data / "wiki/train.txt").is_file() and (data / "word-tests/word_tests.json").is_file():
        from bench.data.datasets import load

        return "wiki", (data / "wiki/train.txt").read_text(encoding="utf-8"), load(data / "word-tests")["wordsim"]
    rng = np.random.default_rng(0)
    names = ["".join(chr(97 + int(d)) for d in f"{i:04d}") for i in range(2000)]
    lines = []
    for topic in rng.integers(0, 20, 12_000):
        ranks = np.minimum(rng.zipf(1.4, 20), 100) - 1
        lines.append(" ".join(names[topic * 100 + rank] for rank in ranks))
    pairs = [
        (names[a], names[b], float(a // 100 == b // 100)) for a, b in zip(*rng.integers(0, 2000, (2, 400)), strict=True)
    ]
    pairs += [(names[100 * t], names[100 * t + i], 1.0) for t in range(20) for i in range(1, 6)]
    return "planted topics", "\n".join(lines), pairs


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def ours(text: str, epochs: int) -> Word2Vec:
    system = Word2Vec(Word2VecConfig(epochs=epochs, **SETTINGS))
    run = RunContext()
    system.fit({"train": text}, run)
    system.words_per_second = run.cost["words_per_second"]  # type: ignore[attr-defined]
    return system


def theirs(sentences: list[list[str]]) -> GensimWord2Vec:
    model = GensimWord2Vec(vector_size=100, negative=5, sample=1e-3, sg=1, workers=1, seed=1, **SETTINGS)
    model.build_vocab(sentences)
    return model


def quality(index: dict[str, int], vectors: np.ndarray[Any, Any], pairs: list[tuple[str, str, float]]) -> float:
    known = [(index[a.lower()], index[b.lower()], s) for a, b, s in pairs if a.lower() in index and b.lower() in index]
    return spearman(pair_cosines(vectors, [(a, b) for a, b, _ in known]), [s for *_, s in known])


def test_skip_gram_training_against_gensim(benchmark: Any, aim: Any, one_thread: None) -> None:
    """Equal quality; aim: half of gensim's words a second."""
    name, text, pairs = corpus()
    sentences = [words for words in map(lower_words, text.splitlines()) if words]
    model = theirs(sentences)
    model.train(sentences, total_examples=len(sentences), epochs=QUALITY_EPOCHS)
    system = ours(text, QUALITY_EPOCHS)
    assert set(system.vectors.words) == set(model.wv.index_to_key)
    scores = {
        "gensim": quality(model.wv.key_to_index, model.wv.vectors, pairs),
        "ours": quality(system.vectors.index, system.vectors.vectors, pairs),
    }
    assert scores["ours"] > scores["gensim"] - 0.05
    assert scores["gensim"] > 0.2, "there is something to be equal to"

    speeds: dict[str, list[float]] = {"gensim": [], "ours": []}
    words = sum(map(len, sentences))

    def gensim_round() -> tuple[tuple[()], dict[str, Any]]:
        start = time.perf_counter()
        model.train(sentences, total_examples=len(sentences), epochs=EPOCHS)
        speeds["gensim"].append(words * EPOCHS / (time.perf_counter() - start))
        return (), {}

    def our_round() -> None:
        speeds["ours"].append(ours(text, EPOCHS).words_per_second * words / int(system.counts.sum()))  # type: ignore[attr-defined]

    benchmark.pedantic(our_round, setup=gensim_round, rounds=3, iterations=1)
    ratio = float(np.median(speeds["ours"]) / np.median(speeds["gensim"]))
    benchmark.extra_info.update(
        text=name,
        words=words,
        gensim_words_per_second=round(float(np.median(speeds["gensim"]))),
        our_words_per_second=round(float(np.median(speeds["ours"]))),
        gensim_score=round(scores["gensim"], 3),
        our_score=round(scores["ours"], 3),
        threads=1,
    )
    aim(ratio, 0.5)
