"""Letter entropies by dictionaries, total variation by its other definition."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from bench.base.errors import BenchError
from bench.metrics.letter_entropy import SHANNON, fold_letters, letter_entropies, word_entropy
from bench.metrics.total_variation import total_variation

TEXT = (
    "It was the best of times, it was the worst of times; it was the age of wisdom, it was the age of foolishness. " * 4
)


def test_folding() -> None:
    assert fold_letters("Don't — PANIC: caf\u00e9s!") == "dontpaniccafes"
    assert fold_letters("  Don\u2019t — PANIC:\n caf\u00e9s! ", space=True) == "dont panic cafes"
    assert fold_letters("\u4f60 12") == ""


@pytest.mark.parametrize("letters", [26, 27])
def test_entropies_against_dictionaries(letters: int) -> None:
    """One group has no window across a border: the definition itself."""
    folded = fold_letters(TEXT, space=letters == 27)
    found = letter_entropies(TEXT, letters, groups=1)
    blocks = [0.0]
    for n in (1, 2, 3):
        counts = Counter(folded[i : i + n] for i in range(len(folded) - n + 1))
        blocks.append(float(entropy(list(counts.values()), base=2)))
        assert found[n][0] == pytest.approx(blocks[n] - blocks[n - 1], rel=1e-12)
    assert found[0][0] == math.log2(letters)


def test_groups_left_out_and_the_interval_of_random_letters() -> None:
    text = "".join(chr(97 + i) for i in np.random.default_rng(0).integers(0, 26, 40_000))
    for value, left_out in letter_entropies(text, highest=2)[1:]:
        assert len(left_out) == 20 and np.abs(left_out - value).max() < 0.02
        assert value == pytest.approx(math.log2(26), abs=0.02)


def test_word_entropy_by_hand() -> None:
    words = fold_letters(TEXT, space=True).split()
    bits = float(entropy(list(Counter(words).values()), base=2))
    length = sum(map(len, words)) / len(words)
    assert word_entropy(TEXT) == pytest.approx(bits / length)
    assert word_entropy(TEXT, 27) == pytest.approx(bits / (length + 1))


def test_shannons_values_and_what_is_refused() -> None:
    assert SHANNON[26]["F1"] == 4.14 and SHANNON[27]["F0"] == pytest.approx(math.log2(27), abs=0.01)
    for arguments in ((TEXT, 28), (TEXT, 26, 4), ("too short", 26, 3)):
        with pytest.raises(BenchError, match="letter_entropies"):
            letter_entropies(*arguments)  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6))
def test_total_variation_is_the_largest_difference_of_any_event(pairs: list[tuple[float, float]]) -> None:
    p, q = np.array(pairs).T + 0.01
    p, q = p / p.sum(), q / q.sum()
    events = [list(e) for size in range(len(p) + 1) for e in combinations(range(len(p)), size)]
    assert total_variation(p, q) == pytest.approx(max(abs(p[e].sum() - q[e].sum()) for e in events), abs=1e-12)


def test_total_variation_refuses_what_is_no_distribution() -> None:
    for p, q in (([1, 2], [1, 2, 3]), ([-1, 2], [1, 1]), ([0, 0], [1, 1]), ([math.nan, 1], [1, 1])):
        with pytest.raises(BenchError, match="total_variation"):
            total_variation(p, q)
