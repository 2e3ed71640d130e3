"""Typed settings: frozen dataclasses whose annotations say what each key may hold.

One check serves ``params.yaml``, ``-o KEY=VALUE``, a stored ``model.json`` and a dataclass that is built by hand
(:class:`Checked`). A field's type is one of

    bool, int, float, str, Literal[...], X | None, tuple[X, ...], tuple[X, Y], Mapping[str, X], a dataclass

or ``Annotated`` with a :class:`Range`. Nothing is converted but lists (to tuples) and mappings (to the dataclass that
the type names): ``3`` is accepted for a float and stays ``3``, ``"3"`` and ``true`` are not numbers, nan and inf are
refused.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from bench.base.errors import BenchError, did_you_mean

__all__ = [
    "Checked",
    "Count",
    "Natural",
    "NotNegative",
    "NothingToSet",
    "Positive",
    "Range",
    "Share",
    "build_config",
    "changed",
    "field_types",
    "located",
    "merge",
    "split_type",
    "taken_over",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Range:
    """Bounds of a number: ``low`` and ``high`` belong to the range, ``above`` and ``below`` do not."""

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None

    def holds(self, value: float) -> bool:
        """Whether a number lies within."""
        return (
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        if self.low is not None and self.high is not None:
            return f" from {self.low:g} to {self.high:g}"
        parts = [
            f"{word} {bound:g}"
            for word, bound in (
                ("of at least", self.low),
                ("above", self.above),
                ("below", self.below),
                ("of at most", self.high),
            )
            if bound is not None
        ]
        return f" {' and '.join(parts)}" if parts else ""


Count = Annotated[int, Range(low=1)]
Natural = Annotated[int, Range(low=0)]
Share = Annotated[float, Range(low=0, high=1)]
Positive = Annotated[float, Range(above=0)]
NotNegative = Annotated[float, Range(low=0)]


class _Refused(ValueError):
    """A value that is not allowed; ``path`` are the keys that lead to it, ``known`` the names it may have meant."""

    def __init__(self, text: str, path: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.text, self.path = text, path

    def below(self, *path: str) -> _Refused:
        return _Refused(self.text, (*path, *self.path))

    def __str__(self) -> str:
        path = ""
        for part in self.path:
            path += part if part.startswith("[") or not path else f".{part}"
        return f"{path}: {self.text}" if path else self.text


@cache
def field_types(cls: Any) -> dict[str, Any]:
    """Type of each field of a dataclass, in order."""
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls) if field.init}


def split_type(kind: Any) -> tuple[Any, Range]:
    """A type without ``Annotated``, and its range."""
    bounds = Range()
    while get_origin(kind) is Annotated:
        kind, *notes = get_args(kind)
        bounds = next((note for note in notes if isinstance(note, Range)), bounds)
    return kind, bounds


def _named(values: Iterable[Any]) -> str:
    return ", ".join(str(value) for value in values)


def _allowed(kind: Any) -> str:
    """What a type allows, for people."""
    kind, bounds = split_type(kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"one of {_named(inner)}" if len(inner) > 1 else f"{inner[0]}"
    if origin in (Union, UnionType):
        return " or ".join("null" if one is NoneType else _allowed(one) for one in inner)
    if origin is tuple:
        count = "" if inner[-1] is Ellipsis else f" of {len(inner)}"
        return f"a list{count}, each {_allowed(inner[0])}"
    if origin is not None or kind is dict or dataclasses.is_dataclass(kind):
        return "a mapping"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    return f"{words.get(kind, 'a value')}{bounds}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _wrong(kind: Any, value: Any) -> _Refused:
    bare = split_type(kind)[0]
    choices: tuple[Any, ...] = get_args(bare) if get_origin(bare) is Literal else ()
    hint = did_you_mean(value, map(str, choices)) if choices and isinstance(value, str) else ""
    return _Refused(f"must be {_allowed(kind)}, not {_shown(value)}{f'.{hint}' if 'mean' in hint else ''}")


def _value(kind: Any, value: Any) -> Any:
    """The value as the type wants it.

    Raises:
        _Refused: the type does not allow it.
    """
    whole, (kind, bounds) = kind, split_type(kind)
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, UnionType):
        return _either(inner, value)
    if origin is Literal:
        fits = any(value == choice and type(value) is type(choice) for choice in inner)
    elif origin is tuple:
        return _sequence(inner, whole, value)
    elif origin is not None:
        return _mapping(inner, whole, value)
    elif dataclasses.is_dataclass(kind):
        return value if isinstance(value, kind) else _made(kind, {} if value is None else value)  # type: ignore[arg-type]
    elif kind in (int, float):
        number = isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
        fits = number and _finite(value) and bounds.holds(value)
    else:
        fits = isinstance(value, kind)
    if not fits:
        raise _wrong(whole, value)
    return value


def _finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the range of floats
        return False


def _either(inner: tuple[Any, ...], value: Any) -> Any:
    if value is None and NoneType in inner:
        return None
    kinds = [one for one in inner if one is not NoneType]
    for one in kinds[:-1]:
        try:
            return _value(one, value)
        except _Refused:
            continue
    if len(kinds) == 1:
        return _value(kinds[0], value)
    try:
        return _value(kinds[-1], value)
    except _Refused:
        raise _Refused(f"must be {' or '.join(map(_allowed, kinds))}, not {_shown(value)}") from None


def _sequence(inner: tuple[Any, ...], whole: Any, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple) or (inner[-1] is not Ellipsis and len(value) != len(inner)):
        raise _wrong(whole, value)
    kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
    found = []
    for number, (kind, item) in enumerate(zip(kinds, value, strict=True)):
        try:
            found.append(_value(kind, item))
        except _Refused as error:
            raise error.below(f"[{number}]") from None
    return tuple(found)


def _mapping(inner: tuple[Any, ...], whole: Any, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(whole, value)
    names, kind = inner
    found = {}
    for key, item in value.items():
        if not isinstance(key, str) or (get_origin(names) is Literal and key not in get_args(names)):
            known = get_args(names) if get_origin(names) is Literal else ("a text",)
            raise _Refused(f"unknown key {key!r}.{did_you_mean(str(key), known)}")
        try:
            found[key] = _value(kind, item)
        except _Refused as error:
            raise error.below(key) from None
        except ValueError as error:
            raise ValueError(located(key, str(error))) from error
    return found


def _made(cls: Any, values: Any, also: Iterable[str] = ()) -> Any:
    if not isinstance(values, Mapping):
        raise _Refused(f"must be a mapping, not {_shown(values)}")
    types = field_types(cls)
    for key in values:
        if key not in types:
            known = [*types, *also]
            raise _Refused(
                f"unknown key {key!r}.{did_you_mean(str(key), known)}"
                if known
                else f"unknown key {key!r}: there is nothing to set here"
            )
    given = {}
    for key, value in values.items():
        try:
            given[key] = _value(types[key], value)
        except _Refused as error:
            raise error.below(key) from None
        except ValueError as error:
            raise ValueError(located(key, str(error))) from error
    try:
        return cls(**given)
    except TypeError as error:  # a field without a default
        missing = [f.name for f in dataclasses.fields(cls) if f.default is f.default_factory and f.name not in given]
        raise _Refused(f"lacks {_named(missing)}" if missing else str(error)) from error


def located(where: str, text: str) -> str:
    """``where`` and the text of an error, whose own ``key: `` goes on where ``where`` ends in keys.

    >>> located("params.yaml: images.ddpm.model", "attention[0]: there is no level 7")
    'params.yaml: images.ddpm.model.attention[0]: there is no level 7'
    """
    own = re.match(r"[\w.\[\]-]+: ", text)
    keys = ": " in where or (re.fullmatch(r"[\w-]+(\.[\w-]+)+", where) and not where.endswith(".yaml"))
    return f"{where}.{text}" if own and keys else f"{where}: {text}"


def build_config(cls: Any, values: Any, where: str, also: Iterable[str] = ()) -> Any:
    """``cls(**values)`` for a frozen dataclass of settings.

    Args:
        cls: the dataclass; what its ``__post_init__`` refuses with a ValueError is an error of the user.
        values: as read from YAML or JSON.
        where: names file and key in errors.
        also: further keys that a misspelt one may have meant.

    Raises:
        BenchError: an unknown key (with the nearest one) or a value that is not allowed, at any depth: where, what is
            allowed, what was given.
    """
    try:
        return _made(cls, values, also)
    except _Refused as error:
        raise BenchError(located(where, str(error))) from error
    except ValueError as error:
        raise BenchError(located(where, str(error))) from error


class Checked:
    """Base of settings that are checked however they are made; cross-checks go to an overriding ``__post_init__``."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __post_init__(self) -> None:
        types: dict[str, Any] = field_types(type(self))  # type: ignore[arg-type]
        for name, kind in types.items():
            try:
                _value(kind, getattr(self, name))
            except _Refused as error:
                raise error.below(name) from None


@dataclass(frozen=True)
class NothingToSet:
    """The settings of what has none."""


def taken_over(cls: type[T], source: Any, **more: Any) -> T:
    """An instance of the dataclass ``cls`` with the values of the like-named fields of the dataclass ``source``.

    So a system's configuration states the shape of its network once, flat beside its own settings, and hands it to the
    network without a list of fields.

    Args:
        cls: what is made.
        source: an instance of another dataclass.
        more: fields that ``source`` does not have, or that differ.

    >>> @dataclass(frozen=True)
    ... class Network:
    ...     width: int
    ...     channels: int = 1
    >>> @dataclass(frozen=True)
    ... class System:
    ...     width: int = 8
    ...     steps: int = 1000
    >>> taken_over(Network, System(width=4), channels=3)
    Network(width=4, channels=3)
    """
    assert dataclasses.is_dataclass(cls)
    names = {field.name for field in dataclasses.fields(source)}
    shared = {field.name: getattr(source, field.name) for field in dataclasses.fields(cls) if field.name in names}
    return cls(**{**shared, **more})


def changed(options: T, changes: Mapping[str, Any], where: str = "options") -> T:
    """The dataclass ``options`` with some fields changed.

    Raises:
        BenchError: an unknown field (with the nearest one) or a value that is not allowed, naming ``where``.

    >>> @dataclass(frozen=True)
    ... class Options:
    ...     steps: int = 50
    >>> changed(Options(), {"steps": 10})
    Options(steps=10)
    """
    kind: Any = type(options)
    kept = {name: getattr(options, name) for name in field_types(kind) if name not in changes}
    found: T = build_config(kind, {**kept, **changes}, where)
    return found


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Deep merge: mappings are merged, everything else (lists too) is replaced.

    >>> merge({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 4}})
    {'a': 1, 'b': {'c': 4, 'd': 3}}
    """
    merged = dict(base)
    for key, value in overlay.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged
