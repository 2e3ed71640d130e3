"""The masking statistics of BERT: 15 % of the tokens, of them 80 / 10 / 10."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare

from bench.families.text_encoders.masking import hide, mask_tokens, masked_count

MASK, CLS, SEP = 4, 2, 3
ORDINARY = np.arange(5, 105)


def batch(rows: int, inner: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    tokens = rng.choice(ORDINARY, (rows, inner + 2))
    tokens[:, 0], tokens[:, -1] = CLS, SEP
    return tokens


@pytest.fixture(scope="module")
def large() -> tuple[np.ndarray, object]:
    tokens = batch(2000, 100, 0)
    return tokens, mask_tokens(tokens, 0.15, MASK, ORDINARY, np.random.default_rng(1))


def test_fifteen_percent_of_each_sequence_without_its_ends(large: tuple) -> None:
    tokens, masked = large
    assert masked.positions.shape == (2000, 15)
    assert masked.positions.min() >= 1 and masked.positions.max() <= 100
    assert (np.diff(masked.positions, axis=1) > 0).all()  # ascending: none twice
    np.testing.assert_array_equal(np.take_along_axis(tokens, masked.positions, 1), masked.targets)
    assert chisquare(np.bincount(masked.positions.ravel(), minlength=101)[1:]).pvalue > 1e-3  # every place alike


def test_the_others_are_untouched(large: tuple) -> None:
    tokens, masked = large
    chosen = np.zeros_like(tokens, dtype=bool)
    np.put_along_axis(chosen, masked.positions, True, 1)
    np.testing.assert_array_equal(masked.inputs[~chosen], tokens[~chosen])
    assert (masked.inputs[:, 0] == CLS).all() and (masked.inputs[:, -1] == SEP).all()


def test_eighty_ten_ten(large: tuple) -> None:
    _, masked = large
    seen = np.take_along_axis(masked.inputs, masked.positions, 1)
    n = seen.size
    is_mask, same = (seen == MASK).sum(), (seen == masked.targets).sum()
    other = n - is_mask - same
    # A random token is the right one by chance once in 100: 10.1 % stay, 9.9 % change.
    for count, share in ((is_mask, 0.8), (same, 0.1 + 0.1 / 100), (other, 0.1 * 99 / 100)):
        assert binomtest(int(count), n, share).pvalue > 1e-3, (count / n, share)
    replaced = seen[(seen != MASK) & (seen != masked.targets)]
    assert np.isin(replaced, ORDINARY).all()  # never a special token
    assert chisquare(np.bincount(replaced, minlength=105)[5:]).pvalue > 1e-3


def test_choice_and_fate_do_not_depend_on_the_token() -> None:
    tokens = np.where(np.arange(102)[None] % 2, 10, 11).repeat(500, 0)
    masked = mask_tokens(tokens, 0.15, MASK, ORDINARY, np.random.default_rng(5))
    assert binomtest(int((masked.targets == 10).sum()), masked.targets.size, 0.5).pvalue > 1e-3


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(2, 40), st.floats(0.01, 0.9), st.integers(0, 1000))
def test_shapes_of_any_batch(rows: int, inner: int, share: float, seed: int) -> None:
    tokens = batch(rows, inner, seed)
    before = tokens.copy()
    for masked in (
        mask_tokens(tokens, share, MASK, ORDINARY, np.random.default_rng(seed)),
        hide(tokens, share, MASK, np.random.default_rng(seed)),
    ):
        assert masked.positions.shape == masked.targets.shape == (rows, masked_count(inner, share))
        assert masked.inputs.shape == tokens.shape and (tokens == before).all()


def test_hiding_leaves_nothing_to_read_off() -> None:
    tokens = batch(50, 20, 2)
    masked = hide(tokens, 0.15, MASK, np.random.default_rng(0))
    assert (np.take_along_axis(masked.inputs, masked.positions, 1) == MASK).all()
    assert (masked.inputs != MASK).sum() == tokens.size - masked.positions.size


def test_same_generator_same_masks() -> None:
    tokens = batch(4, 30, 3)
    one, two, three = (mask_tokens(tokens, 0.15, MASK, ORDINARY, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert (one.inputs == two.inputs).all() and not (one.inputs == three.inputs).all()
