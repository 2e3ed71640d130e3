"""The plug-in checks itself: the contract suite of bench.testing, and its own numbers."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from letter_cache.lexical_variety import types_per_hundred

from bench.catalogue.metrics import metric_info
from bench.scoring import resolve_scorer
from bench.testing import Case, Check, Trained, checks

CASE = Case("letter_cache", "words", model={"window": 50, "share": 0.2}, data="text")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return CASE.fit(tmp_path_factory.mktemp("models") / CASE.name)


@pytest.mark.parametrize("check", checks(CASE), ids=lambda check: check.__name__)
def test_contract(check: Check, trained: Trained) -> None:
    check(trained)


def test_the_cache_helps_where_a_text_repeats_itself(trained: Trained) -> None:
    text = "zzzz qqqq " * 20
    assert trained.system.log_prob(text).sum() > trained.system.log_prob(text, share=0.0).sum() + 100


def test_without_a_cache_it_is_a_bigram_model(trained: Trained) -> None:
    sonnet = trained.case.splits["train"]
    pairs = sonnet.count("th")
    expected = np.log((pairs + 0.5) / (sonnet.count("t") + 0.5 * (len(set(sonnet)) + 1)))
    assert trained.system.log_prob("th", share=0.0)[1] == pytest.approx(expected)


def test_types_per_hundred() -> None:
    assert types_per_hundred("a b c d", 4) == 100
    assert types_per_hundred("a a a a", 4) == 25
    assert types_per_hundred("a b", 4) is None


def test_the_entry_points_are_found() -> None:
    assert resolve_scorer("lexical_variety").contracts == ("LanguageModel",)
    assert metric_info("type_token_ratio").unit == "types"
    assert Path(sys.modules["letter_cache"].__file__ or "").parents[1].name == "site", "the installed one"
