"""Configurations that contain one another."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

__all__ = ["taken_over"]

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
