"""Arms of a series: each is what it would be alone, and the series is a language model of its first arm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.contracts import LanguageModel, RunContext
from bench.families.words.model_series import ModelSeries, ModelSeriesConfig
from bench.families.words.transformer_lm import TransformerLM, TransformerLMConfig

TEXT = "the cat sat on the mat. the rat sat on the hat.\n" * 20
BASE = {"width": 16, "layers": 1, "heads": 2, "context": 16}
TRAIN = {"steps": 5, "batch_size": 8, "lr": 3e-3, "warmup": 1, "log_every": 1, "checkpoint_every": 0}


@pytest.fixture(scope="module")
def series() -> ModelSeries:
    config = ModelSeriesConfig(
        base=BASE, arms={"rotary": {}, "learned": {"positions": "learned"}, "half": {"share": 0.5, "steps": 3}}
    )
    series = ModelSeries(config)
    series.fit({"train": TEXT}, RunContext(seed=3, train=TRAIN))
    return series


def test_an_arm_is_the_model_that_it_would_be_alone(series: ModelSeries) -> None:
    alone = TransformerLM(TransformerLMConfig(**BASE, positions="learned"))
    alone.fit({"train": TEXT}, RunContext(seed=3, train=TRAIN))
    np.testing.assert_array_equal(series.log_prob("the hat", arm="learned"), alone.log_prob("the hat"))
    halved = TransformerLM(TransformerLMConfig(**BASE))
    halved.fit({"train": TEXT[: len(TEXT) // 2]}, RunContext(seed=3, train={**TRAIN, "steps": 3}))
    np.testing.assert_array_equal(series.log_prob("the hat", arm="half"), halved.log_prob("the hat"))
    assert series.facts["half"]["train_tokens"] == len(TEXT) // 2 and series.facts["rotary"]["parameters"] > 0


def test_contract(series: ModelSeries, tmp_path: Path) -> None:
    assert isinstance(series, LanguageModel)
    np.testing.assert_array_equal(series.log_prob("the hat"), series.log_prob("the hat", arm="rotary"))
    assert (series.log_prob("the hat") != series.log_prob("the hat", arm="learned")).any()
    text = series.sample(20, 1, "the", arm="learned", context=32)
    series.save(tmp_path)
    loaded = ModelSeries.load(tmp_path, series.config)
    assert loaded.sample(20, 1, "the", arm="learned") == text and loaded.facts == series.facts
    np.testing.assert_array_equal(
        loaded.log_prob(TEXT, arm="half", context=32), series.log_prob(TEXT, arm="half", context=32)
    )
    model, rest = series.part({"arm": "half", "context": 8})
    assert model is series.models["half"] and rest == {"context": 8}


def test_curves_and_costs_are_those_of_all_arms() -> None:
    points: list[dict[str, float]] = []
    run = RunContext(train={**TRAIN, "steps": 2}, curve=lambda step, values: points.append(dict(values)))
    ModelSeries(ModelSeriesConfig(base=BASE, arms={"a": {}, "b": {"width": 32}})).fit({"train": TEXT}, run)
    assert {key for point in points for key in point} >= {"loss", "loss_a", "loss_b"}
    assert run.cost["train_flops"] > 0 and run.cost["images_seen"] == 2 * 2 * 8


def test_bad_input(series: ModelSeries, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"no arm 'rotar'.*rotary"):
        series.log_prob("a", arm="rotar")
    with pytest.raises(BenchError, match="no arms"):
        ModelSeries.load(tmp_path, series.config)
    for wrong, match in (
        ({"arms": {}}, "at least one"),
        ({"member": "gpt"}, "transformer_lm"),
        ({"arms": {"a": {"share": 0}}}, "share"),
        ({"arms": {"a": {"widht": 3}}}, "width"),
    ):
        with pytest.raises(ValueError, match=match):
            ModelSeriesConfig(**wrong)  # type: ignore[arg-type]
