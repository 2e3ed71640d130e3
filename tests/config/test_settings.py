"""The check of settings: types, ranges, choices and nesting, by hand and by property."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import json
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
from bench.catalogue.families import FAMILIES
from bench.catalogue.systems import BUILT_IN
from bench.config.load import PROFILES, Params, load_params
from bench.contracts import Adjustable
from bench.pipeline.plan import scorers_of, stage_modules
from bench.pipeline.validation import validate
from bench.registry import configs_of, resolve, sample_options
from bench.scoring import options_of, resolve_scorer, scorers

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


def parts(params: Params) -> Iterator[tuple[str, Any]]:
    """Where and what: the settings of every part of every block."""
    for name, block in params.generators().items():
        for arm, config in configs_of(block, name).items():
            yield f"{name}.model {arm}", config
        if FAMILIES[block["family"]].samples:
            yield f"{name}.sample", build_config(sampling_of(block), block["sample"], f"{name}.sample")
        for scorer in map(resolve_scorer, scorers_of(block)):
            yield f"{name}.evaluate {scorer.name}", options_of(scorer, block["evaluate"], f"{name}.evaluate")


def sampling_of(block: Mapping[str, Any]) -> Any:
    """The class of what may stand under ``sample:``."""
    (module,) = stage_modules(block, "sample")
    return importlib.import_module(module).SampleConfig


@pytest.mark.parametrize("profile", PROFILES)
def test_every_block_of_params_comes_back_from_json(profile: str) -> None:
    for where, made in parts(load_params(ROOT / "params.yaml", profile)):
        again = json.loads(json.dumps(dataclasses.asdict(made)))  # what model.json holds
        assert build_config(type(made), again, where) == made, where


def test_all_settings_are_checked() -> None:
    """However they are made: a class of settings derives from ``Checked``, or has nothing to set."""
    found: dict[Any, str] = {resolve_scorer(name).options: name for name in scorers()}
    for system in BUILT_IN:
        cls = resolve(system)
        found |= {getattr(cls, each): system for each in ("Config", "SampleOptions") if hasattr(cls, each)}
    for family in FAMILIES.values():
        for task in family.tasks:
            if task.sampling:
                found[importlib.import_module(task.sampling).SampleConfig] = task.sampling
    unchecked = {found[cls]: cls for cls in found if dataclasses.fields(cls) and not issubclass(cls, Checked)}
    assert not unchecked
    assert len(found) > 60


def keys_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to all keys that a schema, not the user, has named."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield (*path, key)
            yield from keys_of(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from keys_of(item, (*path, number))


FREE = {("sample", "exemplars"): 3, ("sample", "views"): 3, ("arms",): 2}
"""Where the user gives the names: path of the mapping, length of the path of a name in it."""
BLOCKS = [
    (block["family"], name, path)
    for name, block in GENERATORS.items()
    for path in keys_of({key: value for key, value in block.items() if key not in ("family", "name")})
    if not any(path[: len(free)] == free and len(path) == depth for free, depth in FREE.items())
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
    """Where a method names its options, its defaults are those of ``SampleOptions``; of a system with options in force
    null stands for these."""
    compared = 0
    for system in BUILT_IN:
        cls = resolve(system)
        options = getattr(cls, "SampleOptions", NothingToSet)
        for method in ("sample", "sample_batch", "log_prob", "synthesize", "stylise", "analogy", "play"):
            if not hasattr(cls, method):
                continue
            signature = inspect.signature(getattr(cls, method)).parameters
            for one in dataclasses.fields(options):
                if one.name in signature:
                    in_force = signature[one.name].default is None and isinstance(cls(cls.Config()), Adjustable)
                    assert in_force or signature[one.name].default == one.default, (system, method, one.name)
                    compared += 1
    assert compared > 10


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
    for name in ("schema", "claims", "literature", "history"):
        assert read_yaml(ROOT / "reports" / f"{name}.yaml")
