"""The JSON Schemas of ``params.yaml`` and of cards, by which editors complete keys and underline mistakes.

They say what one value may be; what needs two (n of order, a role's contract) is checked by
:mod:`bench.pipeline.validation` alone.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from bench.base.files import write_text
from bench.base.settings import NothingToSet
from bench.catalogue.families import FAMILIES
from bench.catalogue.systems import BUILT_IN
from bench.config.json_schema import object_of, strict
from bench.config.load import PROFILES, ROLES, RuntimeConfig, TrainConfig
from bench.contracts import DataNeed
from bench.data import card_reader
from bench.data.cards import SPLITS
from bench.pipeline.plan import needs_of, scorers_of, stage_modules
from bench.registry import family_of, resolve
from bench.scoring import resolve_scorer

__all__ = ["card_schema", "params_schema", "write_schemas"]

_DRAFT = "http://json-schema.org/draft-07/schema#"
_TEXT, _COUNT, _ANY = {"type": "string"}, {"type": "integer", "minimum": 1}, {"type": "object"}
_ONLY = {"type": "array", "items": {"enum": list(PROFILES)}, "description": "Profiles that this is a part of."}
_SHA = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def _profiles(overlay: dict[str, Any]) -> dict[str, Any]:
    return strict(dict.fromkeys(PROFILES, overlay), description="What another profile changes.")


def _sampling(cls: Any, block: dict[str, str]) -> dict[str, Any]:
    """Keys under ``sample:``, the variants with the options of the system."""
    (module,) = stage_modules(block, "sample")
    config = importlib.import_module(module).SampleConfig
    schema = object_of(config)
    if "variants" in schema["properties"]:
        options = object_of(getattr(cls, "SampleOptions", NothingToSet), swept=True)
        options["properties"] |= object_of(config.Own, swept=True)["properties"]
        options["properties"]["arm"] = _TEXT
        said = schema["properties"]["variants"].get("description", "")
        schema["properties"]["variants"] = {"type": "array", "items": options, "minItems": 1, "description": said}
        schema["properties"]["defaults"] = object_of(getattr(cls, "SampleOptions", NothingToSet))
    return schema


def _block(system: str) -> dict[str, Any]:
    """Definitions of a generator's block whose ``system`` is this one, and of its parts."""
    block = {"system": system, "family": family_of(system)}
    cls, found = resolve(system), [resolve_scorer(name) for name in scorers_of(block)]
    scoring: dict[str, Any] = strict({})
    for scorer in found:
        scoring["properties"] |= object_of(scorer.options)["properties"]
    made = {
        f"{system}.model": object_of(cls.Config),
        f"{system}.sample": _sampling(cls, block) if FAMILIES[block["family"]].samples else strict({}),
        f"{system}.evaluate": scoring,
    }
    names = dict(zip(("model", "sample", "evaluate"), made, strict=True), train="train")
    parts = {"role": {"enum": list(ROLES)}, **{key: {"$ref": f"#/definitions/{name}"} for key, name in names.items()}}
    scored = {role: need for scorer in found for role, need in scorer.needs.items()}
    roles = {
        role: {
            **_TEXT,
            "description": f"A data set of kind {need.kind}."
            if isinstance(need, DataNeed)
            else f"A generator of contract {need.contract}.",
        }
        for role, need in {**scored, **needs_of(system)}.items()
    }
    arm = strict({"model": _ANY, "train": _ANY, "share": {"type": "number", "exclusiveMinimum": 0, "maximum": 1}})
    parts["arms"] = {"type": "object", "additionalProperties": arm, "description": "Trainings that differ in this."}
    parts["scorers"] = {"type": "array", "items": _TEXT, "description": "What is measured, instead of the family's."}
    own = {"system": {"const": system}, "dataset": _TEXT, "only": _ONLY, **parts, **roles}
    own["profiles"] = _profiles({"$ref": f"#/definitions/{system}.changes"})
    return {**made, f"{system}.changes": strict(parts), system: strict(own, ("system", "dataset", *roles))}


def params_schema() -> dict[str, Any]:
    """Of ``params.yaml``. Imports every system."""
    members: dict[str, list[str]] = {family: [] for family in FAMILIES}
    for system in BUILT_IN:
        members[family_of(system)].append(system)
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
    for family, names in members.items():
        for name in names:
            definitions |= _block(name)
        choose = [
            {
                "if": {"properties": {"system": {"const": name}}, "required": ["system"]},
                "then": {"$ref": f"#/definitions/{name}"},
            }
            for name in names
        ]
        block = {
            "type": "object",
            "required": ["dataset", "system"],
            "properties": {"system": {"anyOf": [{"enum": names}, _TEXT]}},
            "allOf": choose,
        }
        properties[family] = {"type": ["object", "null"], "additionalProperties": block}
    return {"$schema": _DRAFT, "title": "params.yaml", **strict(properties), "definitions": definitions}


def _sources() -> dict[str, Any]:
    digests = {"anyOf": [_SHA, {"type": "array", "items": {"anyOf": [_SHA, {"type": "null"}]}}]}
    keys = {"sha256": digests, "prefix": _TEXT, "kind": {"enum": ["sdist", "wheel"]}}
    several = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}
    one = [
        strict({client: several if client == "url" else _TEXT, **{key: keys[key] for key in further}}, (client,))
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
        "encoding": {"enum": ["utf-8", "latin-1"]},
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
