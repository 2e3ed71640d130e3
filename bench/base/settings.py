"""Configurations that contain, change and overlay one another."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from bench.base.errors import BenchError, did_you_mean

__all__ = ["changed", "merge", "taken_over"]

T = TypeVar("T")


def taken_over(cls: type[T], source: Any, **more: Any) -> T:
    """An instance of the dataclass ``cls`` with the values of the like-named fields of the dataclass ``source``.

    So a system's configuration states the shape of its network once, flat beside its own settings, and hands it to the
    network without a list of fields.

    Args:
        cls: what is made.
        source: an instance of another dataclass.
        more: fields that ``source`` does not have, or that differ.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Network:
    ...     width: int
    ...     channels: int = 1
    >>> @dataclasses.dataclass(frozen=True)
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
        BenchError: unknown field (with the nearest), or a value that the dataclass refuses, naming ``where``.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Options:
    ...     steps: int = 50
    >>> changed(Options(), {"steps": 10})
    Options(steps=10)
    """
    assert dataclasses.is_dataclass(options) and not isinstance(options, type)
    known = {field.name for field in dataclasses.fields(options)}
    for key in changes:
        if key not in known:
            raise BenchError(f"{where}: unknown setting {key!r}.{did_you_mean(key, known)}")
    try:
        return dataclasses.replace(options, **changes)
    except (TypeError, ValueError) as error:
        raise BenchError(f"{where}: {error}") from error


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
