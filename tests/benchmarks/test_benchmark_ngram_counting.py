"""Counting n-grams: against nltk in the same run, and how time and memory grow with the text.

Both count all orders up to five of the same letters, and the counts are first shown equal. The growth is measured in a
process of its own for each size, on Shakespeare drawn anew in stretches with one letter in twenty replaced, so that a
third of the n-grams of order eight is new. Sizes end at a hundred million letters (4 GB, half a minute), or where
``COUNT_UP_TO`` says; at a million where nothing is measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nltk.lm import NgramCounter
from nltk.util import everygrams

from bench.families.words.counts import GramCounts

ORDER, NLTK_LETTERS, OUR_LETTERS = 5, 20_000, 200_000
TEXT = Path(__file__).parents[2] / "data/prepared/shakespeare/train.txt"
SIZES = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000)
UP_TO = int(os.environ.get("COUNT_UP_TO", SIZES[-1]))

GROWTH = """
import json, sys, time
import numpy as np
from bench.families.words.counts import GramCounts
def peak():
    "The high-water mark of this program alone: that of getrusage is handed down from the one that started it."
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
size, order, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
rng = np.random.default_rng(0)
try:
    text = np.frombuffer(open(path, "rb").read(), dtype=np.uint8)
except FileNotFoundError:
    text = np.minimum(rng.zipf(1.4, 4_000_000), 90).astype(np.uint8)
used = np.unique(text)
table = np.zeros(256, dtype=np.uint8)
table[used] = np.arange(1, len(used) + 1)
source, stretch = table[text], 2_000
tokens = np.empty(size, dtype=np.uint8)
for at in range(0, size, stretch):
    start = rng.integers(0, len(source) - stretch)
    tokens[at : at + stretch] = source[start : start + stretch][: size - at]
noisy = rng.random(size, dtype=np.float32) < 0.05
tokens[noisy] = rng.integers(1, len(used) + 1, int(noisy.sum()))
del noisy
before = peak()
start, cpu = time.perf_counter(), time.process_time()
counts = GramCounts.count(tokens, len(used) + 1, order)
print(json.dumps({
    "letters": size,
    "seconds": time.perf_counter() - start,
    "cpu_seconds": time.process_time() - cpu,
    "peak_bytes": peak(),
    "bytes_before": before,
    "grams": [len(keys) for keys in counts.keys],
}))
"""


def letters(count: int) -> tuple[str, str]:
    """Shakespeare where it is prepared, otherwise letters drawn by Zipf's law."""
    if TEXT.is_file():
        return "shakespeare", TEXT.read_text(encoding="utf-8")[:count]
    return "zipf", "".join(chr(96 + rank) for rank in np.minimum(np.random.default_rng(0).zipf(1.5, count), 26))


def nltk_count(text: str) -> Any:
    """Counts of all orders up to five, as nltk's language models make them."""
    return NgramCounter([everygrams(text, max_len=ORDER)])


def our_count(text: str) -> GramCounts:
    """The same, from the text on."""
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    used, ids = np.unique(codes, return_inverse=True)
    return GramCounts.count(ids, len(used), ORDER)


def test_counting_against_nltk(benchmark: Any, aim: Any) -> None:
    """The same counts; aim: ten times nltk's letters a second."""
    name, text = letters(OUR_LETTERS)
    part = text[:NLTK_LETTERS]
    theirs, ours = nltk_count(part), our_count(part)
    for m in range(1, ORDER + 1):
        table = theirs.unigrams if m == 1 else theirs[m]
        expected = Counter(
            table.values() if m == 1 else (count for context in table.values() for count in context.values())
        )
        assert Counter(ours.counts[m - 1].tolist()) == expected
        assert len(ours.keys[m - 1]) == sum(expected.values())
    times: dict[str, list[float]] = {"nltk": [], "ours": []}

    def nltk_round() -> tuple[tuple[()], dict[str, Any]]:
        start = time.perf_counter()
        nltk_count(part)
        times["nltk"].append((time.perf_counter() - start) / len(part))
        return (), {}

    def our_round() -> None:
        start = time.perf_counter()
        our_count(text)
        times["ours"].append((time.perf_counter() - start) / len(text))

    benchmark.pedantic(our_round, setup=nltk_round, rounds=5, iterations=1)
    ratio = float(np.median(times["nltk"]) / np.median(times["ours"]))
    benchmark.extra_info.update(
        text=name,
        order=ORDER,
        nltk_letters_per_second=round(1 / float(np.median(times["nltk"]))),
        our_letters_per_second=round(1 / float(np.median(times["ours"]))),
        threads=1,
    )
    aim(ratio, 10)


def test_growth_with_the_text(benchmark: Any) -> None:
    """Time grows like T log T, and the peak stays below 150 bytes a letter; every size counts all orders up to
    eight."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    sizes = [size for size in SIZES if size <= min(UP_TO, 1_000_000 if benchmark.disabled else SIZES[-1])]

    def measure(size: int) -> dict[str, Any]:
        command = [sys.executable, "-c", GROWTH, str(size), "8", str(TEXT)]
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
        )
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    rows = [measure(size) for size in sizes[:-1]]
    rows.append(benchmark.pedantic(measure, args=(sizes[-1],), rounds=1, iterations=1))
    benchmark.extra_info.update(order=8, rows=rows, threads=1)
    for row in rows:
        assert row["grams"][0] < 128 and row["grams"][7] <= row["letters"] - 7
        assert row["grams"] == sorted(row["grams"])
        if row["letters"] >= 300_000:
            assert row["peak_bytes"] - row["bytes_before"] < 150 * row["letters"] + 64 * 2**20


@pytest.mark.parametrize("size", [1000])
def test_sizes_are_what_they_say(size: int) -> None:
    """The program that measures the growth counts the letters that it was asked for."""
    result = subprocess.run(
        [sys.executable, "-c", GROWTH, str(size), "3", "no such file"], capture_output=True, text=True, check=True
    )
    assert json.loads(result.stdout)["letters"] == size
