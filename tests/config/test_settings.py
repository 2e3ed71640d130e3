"""The check of settings: types, ranges, choices and nesting, by hand and by property."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bench.base.errors import BenchError
from bench.base.settings import Checked, Count, NothingToSet, Range, Share, build_config
from bench.base.yaml_reader import read_yaml
from bench.catalogue.systems import BUILT_IN
from bench.config.load import PROFILES, Params, load_params
from bench.pipeline.plan import stage_module
from bench.pipeline.validation import validate
from bench.registry import resolve, sample_options

ROOT = Path(__file__).parents[2]
PARAMS = load_params(ROOT / "params.yaml", "cpu")
GENERATORS = PARAMS.generators()


@dataclass(frozen=True)
class Inner(Checked):
    side: Count = 1
    kind: Literal["plain", "fancy"] = "plain"


@dataclass(frozen=True)
class Outer(Checked):
    share: Share = 0.5
    pair: tuple[int, float] = (1, 2.0)
    many: tuple[Annotated[float, Range(above=0, below=2)], ...] = ()
    named: Mapping[str, Inner] = field(default_factory=dict)
    inner: Inner | None = None
    flag: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.flag and self.inner is None:
            raise ValueError("flag: needs inner")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shar": 1}, "p.yaml: x: unknown key 'shar'. Did you mean 'share'"),
        ({"share": True}, r"p.yaml: x.share: must be a number from 0 to 1, not True"),
        ({"share": "0.5"}, r"x.share: must be a number from 0 to 1, not '0.5'"),
        ({"share": float("nan")}, r"x.share: must be a number from 0 to 1, not nan"),
        ({"many": [float("inf")]}, r"x.many\[0\]: must be a number above 0 and below 2, not inf"),
        ({"many": [1, 2]}, r"x.many\[1\]: must be a number above 0 and below 2, not 2"),
        ({"many": "12"}, r"x.many: must be a list, each a number above 0"),
        ({"pair": [1]}, r"x.pair: must be a list of 2"),
        ({"pair": [1.0, 1]}, r"x.pair\[0\]: must be a whole number, not 1.0"),
        ({"named": {"a": {"side": 0}}}, r"x.named.a.side: must be a whole number of at least 1, not 0"),
        (
            {"named": {"a": {"kind": "fanci"}}},
            r"x.named.a.kind: must be one of plain, fancy, not 'fanci'. Did",
        ),
        ({"named": {1: {}}}, r"x.named: unknown key 1"),
        ({"inner": {"sid": 2}}, r"x.inner: unknown key 'sid'. Did you mean 'side'"),
        ({"inner": []}, r"x.inner: must be a mapping"),
        ({"flag": "yes"}, r"x.flag: must be true or false, not 'yes'"),
        ({"flag": True}, r"x.flag: needs inner"),
        ([], r"p.yaml: x: must be a mapping"),
    ],
)
def test_what_is_refused(values: Any, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        build_config(Outer, values, "p.yaml: x")


def test_what_is_accepted_and_what_becomes_of_it() -> None:
    made = build_config(Outer, {"share": 1, "pair": [3, 4], "named": {"a": None, "b": {"side": 2}}, "inner": None}, "x")
    assert made == Outer(share=1, pair=(3, 4), named={"a": Inner(), "b": Inner(side=2)})
    assert type(made.share) is int, "a number stays as it is written: names of variants depend on it"
    with pytest.raises(BenchError, match="there is nothing to set here"):
        build_config(NothingToSet, {"n": 1}, "x")


def test_the_same_check_serves_what_is_built_by_hand() -> None:
    with pytest.raises(ValueError, match="share: must be a number from 0 to 1, not 2"):
        Outer(share=2)
    with pytest.raises(ValueError, match=r"many\[0\]: must be"):
        dataclasses.replace(Outer(), many=(0.0,))


def parts(params: Params) -> Iterator[tuple[str, type, Any]]:
    """Where, class and values of everything that a block holds."""
    for name, block in params.generators().items():
        yield f"{name}.model", resolve(block["system"]).Config, block["model"]
        for part, config in (("sample", "SampleConfig"), ("evaluate", "EvalConfig")):
            if part == "evaluate" or block["sample"]:
                yield f"{name}.{part}", getattr(stage_module(block, part), config), block[part]


@pytest.mark.parametrize("profile", PROFILES)
def test_every_block_of_params_comes_back_from_json(profile: str) -> None:
    for where, cls, values in parts(load_params(ROOT / "params.yaml", profile)):
        made = build_config(cls, values, where)
        again = dataclasses.asdict(made)  # what model.json holds
        assert build_config(cls, again, where) == made, where


def keys_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to all keys that a schema, not the user, has named."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield (*path, key)
            yield from keys_of(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from keys_of(item, (*path, number))


FREE = {("sample", "exemplars"), ("sample", "views"), ("model", "arms")}
"""Mappings whose keys are names that the user gives."""
BLOCKS = [
    (block["family"], name, path)
    for name, block in GENERATORS.items()
    for path in keys_of({key: value for key, value in block.items() if key not in ("family", "name")})
    if path[:2] not in FREE or len(path) > 3
]


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_typing_mistake_in_any_key_at_any_depth_is_refused(data: st.DataObject) -> None:
    family, name, path = data.draw(st.sampled_from(BLOCKS))
    raw = copy.deepcopy({key: value for key, value in PARAMS.raw.items() if key not in PARAMS_FAMILIES})
    raw[family] = {name: {k: copy.deepcopy(v) for k, v in GENERATORS[name].items() if k not in ("family", "name")}}
    for role in needed(name):
        block = GENERATORS[role]
        raw.setdefault(block["family"], {})[role] = {k: v for k, v in block.items() if k not in ("family", "name")}
    place = raw[family][name]
    for key in path[:-1]:
        place = place[key]
    key = str(path[-1])
    at = data.draw(st.integers(0, len(key) - 1))
    letter = data.draw(st.sampled_from(string.ascii_lowercase))
    wrong = data.draw(st.sampled_from([key[:at] + key[at + 1 :], key[:at] + letter + key[at:], key + letter]))
    assume(wrong and wrong not in place)
    value = place.pop(path[-1])
    place[wrong] = value
    with pytest.raises(BenchError):
        validate(Params(raw, ROOT / "params.yaml", "cpu"), ROOT)


PARAMS_FAMILIES = {block["family"] for block in GENERATORS.values()}


def needed(name: str) -> set[str]:
    """The generators that a block names, directly or not."""
    found: set[str] = set()
    todo = [name]
    while todo:
        for other in PARAMS.uses(todo.pop()).values():
            if other not in found:
                found.add(other)
                todo.append(other)
    return found


def test_defaults_of_sampling_stand_in_one_place() -> None:
    """Where a method still names its options, its defaults are those of ``SampleOptions``."""
    compared = 0
    for system in BUILT_IN:
        cls = resolve(system)
        options = getattr(cls, "SampleOptions", NothingToSet)
        for method in ("sample", "sample_batch", "synthesize", "stylise", "analogy", "play"):
            if not hasattr(cls, method):
                continue
            signature = inspect.signature(getattr(cls, method)).parameters
            for one in dataclasses.fields(options):
                if one.name in signature and not (one.default is None and signature[one.name].default == 0.0):
                    assert signature[one.name].default == one.default, (system, method, one.name)
                    compared += 1
    assert compared > 15


@pytest.mark.parametrize("system", ["dummy_words", "memoriser_words", "dummy_images", "real_images", "dummy_scenes"])
def test_floors_take_no_options(system: str) -> None:
    cls = resolve(system)
    for option in ("temperature", "steps", "guidance", "n", "sampler"):
        with pytest.raises(BenchError, match="there is nothing to set here"):
            sample_options(cls, cls.Config(), {option: 1}, system)


def test_options_replace_the_configs_own_values_and_go_with_them() -> None:
    texture, ngram = resolve("texture_synthesis"), resolve("ngram")
    config = texture.Config(window=7, order="raster")
    assert sample_options(texture, config, {"window": 9}, "x") == texture.Config(window=9, order="raster")
    assert sample_options(ngram, ngram.Config(order=4), {"n": 4}, "x").n == 4
    with pytest.raises(BenchError, match="n: 5 is not counted: from 1 to 4"):
        sample_options(ngram, ngram.Config(order=4), {"n": 5}, "x")


def test_the_files_of_the_report_are_read_strictly() -> None:
    for name in ("schema", "claims", "literature"):
        assert read_yaml(ROOT / "reports" / f"{name}.yaml")
