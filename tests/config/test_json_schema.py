"""The JSON Schemas: up to date, right of every committed file, and wrong of a wrong entry."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from bench.base.yaml_reader import read_yaml
from bench.pipeline.schemas import card_schema, params_schema, write_schemas

ROOT = Path(__file__).parents[2]
CARDS = sorted((ROOT / "datasets").glob("*.yaml"))
PARAMS: dict[str, Any] = read_yaml(ROOT / "params.yaml")


@pytest.fixture(scope="module")
def params() -> Draft7Validator:
    schema = json.loads((ROOT / "docs/schema/params.schema.json").read_text(encoding="utf-8"))
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


@pytest.fixture(scope="module")
def card() -> Draft7Validator:
    schema = json.loads((ROOT / "docs/schema/card.schema.json").read_text(encoding="utf-8"))
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


def test_the_committed_schemas_are_up_to_date(tmp_path: Path) -> None:
    write_schemas(tmp_path)
    for name in ("params", "card"):
        made = (tmp_path / f"docs/schema/{name}.schema.json").read_text(encoding="utf-8")
        committed = ROOT / f"docs/schema/{name}.schema.json"
        assert committed.read_text(encoding="utf-8") == made, "run `bench schema`"
    assert write_schemas(tmp_path) == []
    assert params_schema()["$schema"] == card_schema()["$schema"]


@pytest.mark.parametrize("path", [ROOT / "params.yaml", *CARDS], ids=lambda path: path.name)
def test_the_first_line_names_the_schema(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (path.parent / first.partition("=")[2]).resolve().is_file()


def test_params_are_right(params: Draft7Validator) -> None:
    assert [error.message for error in params.iter_errors(PARAMS)] == []


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_cards_are_right(card: Draft7Validator, path: Path) -> None:
    assert [error.message for error in card.iter_errors(read_yaml(path))] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("images.ddpm-mnist.model.widths", [32, 0]),
        ("images.ddpm-mnist.model.width", [32]),
        ("images.ddpm-mnist.train.betas", [0.9]),
        ("images.ddpm-mnist.sample.variants", [{"sampler": ["ddim", "dimm"]}]),
        ("images.ddpm-mnist.sample.variants", [{"steps": []}]),
        ("images.ddpm-mnist.profiles.smoke.model.heads", "two"),
        ("images.ddpm-mnist", {"system": "ddpm", "dataset": "mnist"}),  # without its feature_net
        ("images.ddpm-mnist.profiles.smok", {}),
        ("images.ddpm-mnist.codec", "kl-vae-scenes"),
        ("by_example.efros-leung.sample.exemplars.brick.downscal", 4),
        ("by_example.efros-leung.sample.holes.side", 0),
        ("by_example.analogies-filters.sample.tasks.blurr", {}),
        ("words.ngram-char.evaluate.letter_entropy", 3),
        ("words.dummy-words.sample.variants", [{"n": 3}]),
        ("words.transformer-positions.arms.rotary.model.position", "rotary"),
        ("words.transformer-positions.arms.rotary.model.positions", "rotry"),
        ("words.transformer-positions.arms.rotary.train.steps", 0),
        ("words.transformer-positions.arms.rotary.shar", 0.5),
        ("words.transformer-positions.arms.rotary.share", 0),
        ("words.transformer-positions.arms", {}),
        ("words.transformer-positions.profiles.smoke.arms", {"a": {"modle": {}}}),
        ("by_example.dummy-texture.scorers", "texture_structure"),
        ("by_example.dummy-texture.scorers", []),
        ("by_example.dummy-texture.scorers", ["texture_structure", "texture_structure"]),
        ("images.ddpm-mnist.sample.defaults.chunks", 500),
        ("images.ddpm-mnist.sample.defaults.precision", "bf61"),
        ("images.ddpm-mnist.profiles.gpu.sample.defaults.chunk", 0),
        ("words.neural-lm.sample.defaults", {"temperature": 0.5}),
        ("images.dummy-images.feature_net", None),
        ("images.mine", {"system": "external_samples", "dataset": "mnist", "model": {"paths": "mine.npz"}}),
        ("datasets.mnist.limt", {}),
        ("runtime.threads", 0),
        ("tracking", {}),
    ],
)
def test_a_wrong_entry_is_not(params: Draft7Validator, path: str, value: object) -> None:
    assert list(params.iter_errors(changed(path, value)))


def changed(path: str, value: object) -> dict[str, Any]:
    """params.yaml with one entry changed, or with a new one."""
    params = copy.deepcopy(PARAMS)
    *parents, last = path.split(".")
    place = params
    for key in parents:
        place = place.setdefault(key, {})
    place[last] = value
    return params


MINE = {"system": "external_samples", "dataset": "mnist", "model": {"path": "mine.npz"}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("by_example.dummy-texture.scorers", ["texture_structure", "scorer_of_a_plug_in"]),
        ("images.dummy-images", {"system": "dummy_images", "dataset": "mnist", "scorers": ["memorisation"]}),
        ("images.mine", {**MINE, "feature_net": "resnet-digits", "evaluate": {"neighbours": 100}}),
        ("images.mine", {**MINE, "scorers": ["memorisation"]}),
        ("images.ddpm-mnist.arms", {"wide": {"model": {"widths": [64, 128]}, "train": {"steps": 9}, "share": 0.5}}),
        ("images.ddpm-mnist.profiles.gpu.scorers", ["distribution"]),
        ("words.mine", {"system": "system_of_a_plug_in", "dataset": "shakespeare", "model": {"anything": 1}}),
    ],
)
def test_a_right_entry_is(params: Draft7Validator, path: str, value: object) -> None:
    assert [error.message for error in params.iter_errors(changed(path, value))] == []


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "picture"},
        {"licence": ""},
        {"split": {"rule": "works", "validation": 5000}},
        {"sources": [{"npm": "a@1", "url": "b"}]},
        {"sources": [{"npm": "a@1", "sha": "0"}]},
        {"channels": 2},
        {"channel": 1},
        {"members": []},
    ],
)
def test_a_wrong_card_is_not(card: Draft7Validator, change: dict[str, object]) -> None:
    assert list(card.iter_errors({**read_yaml(ROOT / "datasets/mnist.yaml"), **change}))


def test_keys_are_explained(params: Draft7Validator) -> None:
    definitions = params.schema["definitions"]
    assert definitions["ddpm.model"]["properties"]["heads"]["description"] == "attention heads."
    assert definitions["train"]["properties"]["lr"]["default"] == 0.001
    explained = [
        "description" in one
        for name, schema in definitions.items()
        for one in schema.get("properties", {}).values()
        if name == "train" or ("." in name and not name.endswith(".changes"))
    ]
    assert sum(explained) > 0.9 * len(explained)
