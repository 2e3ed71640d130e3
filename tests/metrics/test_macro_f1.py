"""Macro-F1 against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix as sklearn_confusion
from sklearn.metrics import f1_score

from bench.base.errors import BenchError
from bench.metrics.macro_f1 import confusion_matrix, f1_from_confusion, macro_f1


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.integers(1, 80), st.integers(0, 10_000))
def test_equals_an_independent_implementation(classes: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, said = rng.integers(0, classes, n), rng.integers(0, classes, n)
    names = list(range(classes))
    np.testing.assert_array_equal(confusion_matrix(truth, said, classes), sklearn_confusion(truth, said, labels=names))
    expected = f1_score(truth, said, labels=names, average=None, zero_division=0)
    np.testing.assert_allclose(f1_from_confusion(confusion_matrix(truth, said, classes)), expected)
    assert macro_f1(truth, said, classes) == pytest.approx(expected.mean())


def test_perfect_constant_and_absent_classes() -> None:
    assert macro_f1([0, 1, 2], [0, 1, 2], 3) == 1
    assert macro_f1([0] * 99 + [1], [0] * 100, 2) == pytest.approx(0.5 * 198 / 199)
    assert macro_f1([0, 1], [0, 1], 4) == 0.5  # two classes that are never seen count as zero


@pytest.mark.parametrize(("truth", "said"), [([], []), ([0, 1], [0]), ([0, 2], [0, 1]), ([0, 1], [-1, 1])])
def test_bad_input(truth: list[int], said: list[int]) -> None:
    with pytest.raises(BenchError, match="macro_f1"):
        macro_f1(truth, said, 2)
