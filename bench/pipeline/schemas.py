"""The JSON Schemas of ``params.yaml`` and of cards, by which editors complete keys and underline mistakes.

They say what one value may be; what needs two (n of order, a role's contract, a scorer's option of a block that lists
others) is checked by :mod:`bench.pipeline.validation` alone.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from bench.base.files import write_text
from bench.base.settings import NothingToSet
from bench.base.texts import ENCODINGS
from bench.catalogue.families import FAMILIES
from bench.catalogue.scorers import BUILT_IN as BUILT_IN_SCORERS
from bench.catalogue.systems import BUILT_IN
from bench.config.json_schema import object_of, strict
from bench.config.load import PROFILES, ROLES, RuntimeConfig, TrainConfig
from bench.contracts import Adjustable, DataNeed, Need
from bench.data import card_reader
from bench.data.cards import SPLITS
from bench.pipeline.plan import has_model, measures, needs_of, scorers_of, stage_modules
from bench.registry import contract_of, family_of, resolve
from bench.scoring import resolve_scorer
from bench.series import Arm

__all__ = ["card_schema", "params_schema", "write_schemas"]

_DRAFT = "http://json-schema.org/draft-07/schema#"
_TEXT, _COUNT = {"type": "string"}, {"type": "integer", "minimum": 1}
_ONLY = {"type": "array", "items": {"enum": list(PROFILES)}, "description": "Profiles that this is a part of."}
_SHA = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def _several(one: dict[str, Any]) -> dict[str, Any]:
    """One value, or a list of them."""
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


def _profiles(overlay: dict[str, Any]) -> dict[str, Any]:
    return strict(dict.fromkeys(PROFILES, overlay), description="What another profile changes.")


def _sampling(cls: Any, block: dict[str, str]) -> dict[str, Any]:
    """Keys under ``sample:``, the variants with the options of the system."""
    (module,) = stage_modules(block, "sample")
    config = importlib.import_module(module).SampleConfig
    schema = object_of(config)
    properties = schema["properties"]
    if "variants" in properties:
        kind = getattr(cls, "SampleOptions", NothingToSet)
        options = object_of(kind, swept=True)
        options["properties"] |= object_of(config.Own, swept=True)["properties"]
        options["properties"]["arm"] = _several(_TEXT)
        properties["variants"] |= {"type": "array", "items": options, "minItems": 1}
        properties["defaults"] |= object_of(kind) if isinstance(cls(cls.Config()), Adjustable) else strict({})
    return schema


def _scoring(block: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Keys under ``evaluate:``, the block's key ``scorers``, and the roles of the scorers that it may list."""
    system, family = block["system"], block["family"]
    usual = scorers_of(block)
    fitting = {name: found for name in BUILT_IN_SCORERS if measures(found := resolve_scorer(name), system, family)}
    if not has_model(system):
        fitting = {name: found for name, found in fitting.items() if not found.model}
    options, roles = strict({}), dict[str, Any]()
    # A key that scorers share is described as by those that measure unless the block says otherwise.
    for name in sorted(fitting, key=lambda name: name in usual):
        options["properties"] |= object_of(fitting[name].options)["properties"]
        roles |= fitting[name].needs
    listed = {
        "type": "array",
        "items": {"anyOf": [{"enum": sorted(fitting)}, _TEXT]},
        "minItems": 1,
        "uniqueItems": True,
        "description": f"What is measured, instead of {', '.join(usual)}.",
    }
    return options, listed, roles


def _role(need: Need) -> dict[str, Any]:
    what = f"data set of kind {need.kind}" if isinstance(need, DataNeed) else f"generator of contract {need.contract}"
    return {**_TEXT, "description": f"A {what}."}


def _block(name: str, system: str, family: str) -> dict[str, Any]:
    """Definitions of a generator's block of a family whose ``system`` is this one, and of its parts."""
    block = {"system": system, "family": family}
    cls = resolve(system)
    scoring, listed, scored = _scoring(block)
    measured = contract_of(cls, family) if has_model(system) else name
    made = {
        f"{name}.model": object_of(cls.Config),
        f"{name}.sample": _sampling(cls, block) if FAMILIES[family].samples else strict({}),
        f"{measured}.evaluate": scoring,
        f"{measured}.scorers": listed,
    }
    keys = dict(zip(("model", "sample", "evaluate", "scorers"), made, strict=True), train="train")
    parts: dict[str, Any] = {key: {"$ref": f"#/definitions/{part}"} for key, part in keys.items()}
    parts["role"] = {"enum": list(ROLES)}
    arm = object_of(Arm)
    arm["properties"] |= {key: parts[key] for key in ("model", "train")}
    parts["arms"] = {
        "type": "object",
        "additionalProperties": arm,
        "minProperties": 1,
        "description": "Trainings of the system, by name, and what each changes.",
    }
    needs = needs_of(system)
    roles = {role: _role(need) for role, need in {**scored, **needs}.items()}
    usual = {role for found in map(resolve_scorer, scorers_of(block)) for role in found.needs} - set(needs)
    own = {"system": {"const": system}, "dataset": _TEXT, "only": _ONLY, **parts, **roles}
    own["profiles"] = _profiles({"$ref": f"#/definitions/{name}.changes"})
    whole = strict(own, ("system", "dataset", *needs))
    if usual:  # what the usual scorers need, unless the block lists others
        whole["anyOf"] = [{"required": ["scorers"]}, {"required": sorted(usual)}]
    return {**made, f"{name}.changes": strict(parts), name: whole}


def _members() -> dict[str, dict[str, str]]:
    """Family -> name of the definition -> system. A system without a family of its own may stand in all that sample."""
    members: dict[str, dict[str, str]] = {family: {} for family in FAMILIES}
    for system in BUILT_IN:
        if home := family_of(system):
            members[home][system] = system
        else:
            for family in FAMILIES.values():
                members[family.name] |= {f"{family.name}.{system}": system} if family.samples else {}
    return members


def params_schema() -> dict[str, Any]:
    """Of ``params.yaml``. Imports every system."""
    limit = strict(dict.fromkeys(SPLITS, _COUNT), description="Only the first so many items of a split.")
    scenes = dict.fromkeys((*SPLITS, "judge", "scale"), _COUNT)
    named = {"card": _TEXT, "only": _ONLY}
    definitions: dict[str, Any] = {"train": object_of(TrainConfig)}
    properties: dict[str, Any] = {
        "profile": {"enum": list(PROFILES)},
        "seed": {"type": "integer"},
        "runtime": object_of(RuntimeConfig),
        "datasets": {
            "additionalProperties": strict(
                {**named, "limit": limit, "profiles": _profiles(strict({"limit": limit}))}, ("card",)
            )
        },
        "derived_datasets": {
            "additionalProperties": strict(
                {**named, "source": _TEXT, **scenes, "profiles": _profiles(strict(scenes))}, ("card",)
            )
        },
    }
    for family, names in _members().items():
        for name, system in names.items():
            definitions |= _block(name, system, family)
        choose = [
            {
                "if": {"properties": {"system": {"const": system}}, "required": ["system"]},
                "then": {"$ref": f"#/definitions/{name}"},
            }
            for name, system in names.items()
        ]
        block = {
            "type": "object",
            "required": ["dataset", "system"],
            "properties": {"system": {"anyOf": [{"enum": list(names.values())}, _TEXT]}},
            "allOf": choose,
        }
        properties[family] = {"type": ["object", "null"], "additionalProperties": block}
    return {"$schema": _DRAFT, "title": "params.yaml", **strict(properties), "definitions": definitions}


def _sources() -> dict[str, Any]:
    digests = {"anyOf": [_SHA, {"type": "array", "items": {"anyOf": [_SHA, {"type": "null"}]}}]}
    keys = {"sha256": digests, "prefix": _TEXT, "kind": {"enum": ["sdist", "wheel"]}}
    one = [
        strict(
            {client: _several(_TEXT) if client == "url" else _TEXT, **{key: keys[key] for key in further}}, (client,)
        )
        for client, further in card_reader.SOURCE_KEYS.items()
    ]
    return {"type": "array", "items": {"anyOf": one}, "minItems": 1}


def card_schema() -> dict[str, Any]:
    """Of ``datasets/*.yaml``."""
    share = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.5}
    part = {"anyOf": [share, {"type": "integer", "minimum": 0}, {"type": "array", "items": _TEXT, "minItems": 1}]}
    rules = sorted({rule for known in card_reader.RULES.values() for rule in known})
    number = {"type": "number"}
    state = {
        **dict.fromkeys(("state", "column", "minus"), _TEXT),
        **dict.fromkeys(("above", "below"), number),
        "one_of": {"type": "array", "minItems": 1},
    }
    properties: dict[str, Any] = {
        **dict.fromkeys(("title", "captions", "source"), _TEXT),
        **{key: {"type": "string", "minLength": 1} for key in ("licence", "attribution")},
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]*$"},
        "kind": {"enum": list(card_reader.KINDS)},
        "format": {"enum": sorted({name for known in card_reader.FORMATS.values() for name in known})},
        "sources": _sources(),
        "members": {
            "type": "array",
            "items": {"anyOf": [_TEXT, strict({"name": _TEXT, "sha256": _SHA}, ("name",))]},
            "minItems": 1,
        },
        "split": strict(
            {"rule": {"enum": rules}, "validation": part, "test": part, "seed": {"type": "integer", "minimum": 0}},
            ("rule",),
        ),
        "encoding": {"enum": list(ENCODINGS)},
        "size": {"type": "array", "items": [_COUNT, _COUNT], "minItems": 2, "maxItems": 2},
        "channels": {"enum": [1, 3]},
        "classes": {"type": "array", "items": _TEXT},
        "on_broken": {"enum": ["skip", "refuse"]},
        "render": strict(dict.fromkeys((*SPLITS, "judge", "scale"), _COUNT)),
        "states": {"type": "array", "items": strict(state, ("state",)), "minItems": 1},
        "rendered": {"type": "array", "items": _TEXT},
    }
    by_kind = [
        {
            "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
            "then": {
                "properties": {
                    "format": {"enum": list(card_reader.FORMATS[kind])},
                    "split": {"properties": {"rule": {"enum": list(card_reader.RULES[kind])}}},
                }
            },
        }
        for kind in card_reader.KINDS
    ]
    required = ("name", "kind", "licence", "attribution")
    return {"$schema": _DRAFT, "title": "A data set card", **strict(properties, required), "allOf": by_kind}


def write_schemas(root: Path) -> list[Path]:
    """Write ``docs/schema/*.json``; those that were out of date."""
    written = []
    for name, schema in (("params", params_schema()), ("card", card_schema())):
        path = root / "docs" / "schema" / f"{name}.schema.json"
        text = json.dumps(schema, indent=1, sort_keys=True) + "\n"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
            written.append(path)
    return written
