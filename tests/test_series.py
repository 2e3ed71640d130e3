"""Arms of a series: each is what it would be alone, and the series stands where its system would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.base.files import write_json
from bench.contracts import Codec, ImageGenerator, LanguageModel, RunContext, VideoSynthesizer
from bench.data.datasets import ImageSplit
from bench.families.by_example.video.video_textures import VideoTextures
from bench.families.codecs.vqvae import VQVAE
from bench.families.images.ddpm import DDPM, DDPMConfig
from bench.families.words.neural_lm import NeuralLM
from bench.families.words.transformer_lm import TransformerLM, TransformerLMConfig
from bench.registry import build_system, description, load_model
from bench.series import Series, series_of

TEXT = "the cat sat on the mat. the rat sat on the hat.\n" * 20
BASE = {"width": 16, "layers": 1, "heads": 2, "context": 16}
TRAIN = {"steps": 5, "batch_size": 8, "lr": 3e-3, "warmup": 1, "log_every": 1, "checkpoint_every": 0}
ARMS = {"rotary": {}, "learned": {"model": {"positions": "learned"}}, "half": {"share": 0.5, "train": {"steps": 3}}}
PIXELS = {"widths": (8, 8), "embedding": 16, "classes": 3, "steps": 50, "attention": ()}


def built(system: str, model: Mapping[str, Any], arms: Mapping[str, Any]) -> Any:
    return build_system({"system": system, "model": dict(model), "arms": dict(arms)}, "block")


def pictures(n: int = 48) -> ImageSplit:
    rng = np.random.default_rng(0)
    return ImageSplit(rng.integers(0, 256, (n, 8, 8, 1)).astype(np.uint8), rng.integers(0, 3, n))


@pytest.fixture(scope="module")
def series() -> Any:
    series = built("transformer_lm", BASE, ARMS)
    series.fit({"train": TEXT}, RunContext(seed=3, train=TRAIN))
    return series


@pytest.fixture(scope="module")
def chains() -> Any:
    """A diffusion model by two targets."""
    series = built(
        "ddpm", PIXELS, {"eps": {}, "x0": {"model": {"target": "x0", "input_skip": False}}, "half": {"share": 0.5}}
    )
    series.fit({"train": pictures()}, RunContext(seed=3, train=TRAIN))
    return series


def test_an_arm_is_the_model_that_it_would_be_alone(series: Any) -> None:
    alone = TransformerLM(TransformerLMConfig(**BASE, positions="learned"))  # type: ignore[arg-type]
    alone.fit({"train": TEXT}, RunContext(seed=3, train=TRAIN))
    np.testing.assert_array_equal(series.log_prob("the hat", arm="learned"), alone.log_prob("the hat"))
    halved = TransformerLM(TransformerLMConfig(**BASE))  # type: ignore[arg-type]
    halved.fit({"train": TEXT[: len(TEXT) // 2]}, RunContext(seed=3, train={**TRAIN, "steps": 3}))
    np.testing.assert_array_equal(series.log_prob("the hat", arm="half"), halved.log_prob("the hat"))
    assert series.facts["half"]["train_tokens"] == len(TEXT) // 2 and series.facts["rotary"]["parameters"] > 0


def test_a_series_of_language_models_is_one(series: Any, tmp_path: Path) -> None:
    assert isinstance(series, LanguageModel) and isinstance(series, Series)
    np.testing.assert_array_equal(series.log_prob("the hat"), series.log_prob("the hat", arm="rotary"))
    assert (series.log_prob("the hat") != series.log_prob("the hat", arm="learned")).any()
    assert series.SCORING == ("arm", "stride", "context") and series.vocabulary_name == "characters-14"
    assert not hasattr(series, "window_note")  # it would speak of one arm
    text = series.sample(20, 1, "the", arm="learned", context=32)
    assert series.sample_batch(20, [1], ["the"], arm="learned") == [text]
    assert series.sample(200, 1, arm="learned") != series.sample(200, 1)
    series.save(tmp_path)
    write_json(tmp_path / "model.json", {"system": "transformer_lm", **description(series)})
    loaded = load_model(tmp_path)
    assert list(loaded.systems) == list(ARMS), "the order is kept, though JSON sorts"
    assert loaded.sample(20, 1, "the", arm="learned") == text and loaded.facts == series.facts
    np.testing.assert_array_equal(
        loaded.log_prob(TEXT, arm="half", context=32), series.log_prob(TEXT, arm="half", context=32)
    )
    model, rest = series.part({"arm": "half", "context": 8})
    assert model is series.systems["half"] and rest == {"context": 8}


def test_an_image_generator_by_two_targets(chains: Any, tmp_path: Path) -> None:
    assert isinstance(chains, ImageGenerator)
    labels = np.array([0, 1, 2])
    for arm, target in (("eps", {}), ("x0", {"target": "x0", "input_skip": False})):
        alone = DDPM(replace(DDPMConfig(**PIXELS), **target))  # type: ignore[arg-type]
        alone.fit({"train": pictures()}, RunContext(seed=3, train=TRAIN))
        drawn = alone.sample(3, 5, labels, steps=4)
        assert np.array_equal(chains.sample(3, 5, labels=labels, arm=arm, steps=4), drawn)
        strip = chains.denoising_strip(labels, 5, 4, arm=arm, steps=4)
        assert np.array_equal(strip[:, -1], drawn)
    assert not np.array_equal(chains.sample(3, 5, labels, steps=4), chains.sample(3, 5, labels, arm="x0", steps=4))
    assert not np.array_equal(chains.sample(3, 5, labels, steps=4), chains.sample(3, 5, labels, arm="half", steps=4))
    chains.save(tmp_path)
    write_json(tmp_path / "model.json", {"system": "ddpm", **description(chains)})
    again = load_model(tmp_path)
    assert np.array_equal(again.sample(3, 5, labels, arm="x0", steps=4), chains.sample(3, 5, labels, arm="x0", steps=4))


def test_codecs_and_systems_without_training() -> None:
    codec = built("vqvae", {"codes": 8, "dim": 4, "widths": [8, 8]}, {"few": {}, "many": {"model": {"codes": 16}}})
    codec.fit({"train": pictures()}, RunContext(train=TRAIN))
    images = pictures().images[:4]
    assert isinstance(codec, Codec) and codec.codebook_size == 8
    assert codec.encode(images).shape == codec.encode(images, arm="many").shape == (4, 2, 2)
    assert codec.decode(codec.encode(images, arm="many"), arm="many").shape == images.shape
    for cls, contract in ((VideoTextures, VideoSynthesizer), (NeuralLM, LanguageModel), (VQVAE, Codec)):
        names = {name for name in dir(contract) if not name.startswith("_")}
        assert names <= {*dir(series_of(cls)), "codebook_size"}
    grown = built("texture_synthesis", {"epsilon": 0.1}, {"onion": {}, "raster": {"model": {"order": "raster"}}})
    grown.fit({}, RunContext())
    exemplar = np.random.default_rng(0).integers(0, 256, (16, 16)).astype(np.uint8)
    one, other = (grown.synthesize(exemplar, (12, 12), 0, arm=arm, window=5) for arm in ("onion", "raster"))
    assert one.shape == (12, 12) and not np.array_equal(one, other)


def test_curves_and_costs_are_those_of_each_arm_and_of_all() -> None:
    points: list[dict[str, float]] = []
    run = RunContext(train={**TRAIN, "steps": 2}, curve=lambda step, values: points.append(dict(values)))
    series = built("transformer_lm", BASE, {"a": {}, "b": {"model": {"width": 32}}})
    series.fit({"train": TEXT}, run)
    assert {key for point in points for key in point} >= {"loss", "loss_a", "loss_b"}
    costs = series.costs
    assert run.cost["train_flops"] == costs["a"]["train_flops"] + costs["b"]["train_flops"] > 0
    assert run.cost["parameters"] == costs["b"]["parameters"] > costs["a"]["parameters"]
    assert run.cost["images_seen"] == 2 * 2 * 8 and all(cost["seconds"] > 0 for cost in costs.values())
    assert not any("seconds" in key for facts in series.facts.values() for key in facts), "models do not tell the time"


def test_bad_input(series: Any, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"no arm 'rotar'.*rotary"):
        series.log_prob("a", arm="rotar")
    with pytest.raises(BenchError, match="no arms"):
        type(series).load(tmp_path, series.configs)
    with pytest.raises(BenchError, match="not trained"):
        built("transformer_lm", BASE, ARMS).log_prob("a")
    with pytest.raises(BenchError, match="at least one"):
        series_of(TransformerLM)({})
    for wrong, match in (
        ({"share": 0}, "share"),
        ({"model": {"widht": 3}}, r"arms\.a\.model: unknown key 'widht'.*width"),
        ({"positions": "learned"}, r"arms\.a: unknown key 'positions'"),
    ):
        with pytest.raises(BenchError, match=match):
            built("transformer_lm", BASE, {"a": wrong})
    with pytest.raises(BenchError, match="share: this data set"):
        built("texture_synthesis", {}, {"a": {"share": 0.5}}).fit({"one": np.zeros((8, 8))}, RunContext())
