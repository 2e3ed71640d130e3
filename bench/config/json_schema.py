"""JSON Schema (draft 7, which editors know) of the types that settings are declared with."""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from bench.base.settings import Range, field_types, split_type

__all__ = ["described", "object_of", "schema_of", "strict"]

_BOUNDS = (
    ("low", "minimum"),
    ("high", "maximum"),
    ("above", "exclusiveMinimum"),
    ("below", "exclusiveMaximum"),
)
_NAMES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def strict(properties: dict[str, Any], required: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """An object with these properties and no other."""
    found = {"type": "object", "properties": properties, "additionalProperties": False, **more}
    return {**found, "required": sorted(required)} if required else found


@cache
def described(cls: Any) -> dict[str, str]:
    """What the ``Attributes:`` of a dataclass and of its bases say of each field."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        text = (base.__dict__.get("__doc__") or "").partition("Attributes:\n")[2]
        for names, said in re.findall(r"^ {8}([a-z]\w*(?:, \w+)*): (.*(?:\n {9,}\S.*)*)", text, re.MULTILINE):
            plain = re.sub(r"\s+", " ", re.sub(r":\w+:`~?([^`]*)`", r"\1", said)).replace("``", "")
            found |= dict.fromkeys(names.split(", "), plain)
    return found


def _bounded(name: str, bounds: Range) -> dict[str, Any]:
    limits = {word: getattr(bounds, key) for key, word in _BOUNDS if getattr(bounds, key) is not None}
    return {"type": name, **limits}


def object_of(cls: Any, swept: bool = False) -> dict[str, Any]:
    """An object whose properties are the fields of a dataclass.

    Args:
        cls: the dataclass.
        swept: a property may also be a list of values, as in ``sample.variants``.
    """
    properties = {}
    for field in dataclasses.fields(cls):
        if field.init:
            schema = schema_of(field_types(cls)[field.name])
            schema = {"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1}]} if swept else schema
            if field.name in described(cls):
                schema = {**schema, "description": described(cls)[field.name]}
            if isinstance(field.default, bool | int | float | str) and not swept:
                schema = {**schema, "default": field.default}
            properties[field.name] = schema
    return strict(properties)


def schema_of(kind: Any) -> dict[str, Any]:
    """The schema of a type (see :mod:`bench.base.settings`).

    >>> schema_of(tuple[float, float])
    {'type': 'array', 'items': [{'type': 'number'}, {'type': 'number'}], 'minItems': 2, 'maxItems': 2}
    """
    kind, bounds = split_type(kind)
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return {}
    if kind is NoneType:
        return {"type": "null"}
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in (Union, UnionType):
        return {"anyOf": [schema_of(one) for one in inner]}
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return {"type": "array", "items": schema_of(inner[0])}
        count = len(inner)
        return {"type": "array", "items": [schema_of(one) for one in inner], "minItems": count, "maxItems": count}
    if origin is not None:
        names, value = inner
        if get_origin(names) is Literal:
            return strict({name: schema_of(value) for name in get_args(names)})
        return {"type": "object", "additionalProperties": schema_of(value)}
    if dataclasses.is_dataclass(kind):
        return {**object_of(kind), "type": ["object", "null"]}
    return _bounded(_NAMES[kind], bounds)
