"""What other packages add to the tables, by entry points: name -> ``module:attribute``, as in the tables themselves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType

from bench.base.errors import BenchError

__all__ = ["GROUPS", "packages", "plugins", "with_plugins"]

GROUPS = ("systems", "scorers", "metrics")
"""Each is an entry point group: ``words_and_pixels.systems``."""


@cache
def plugins(group: str) -> Mapping[str, str]:
    """The entries of other packages; nothing is imported.

    Raises:
        BenchError: two packages add different entries under one name.
    """
    found: dict[str, str] = {}
    for point in entry_points(group=f"words_and_pixels.{group}"):
        if found.setdefault(point.name, point.value) != point.value:
            raise BenchError(
                f"two installed packages add {point.name!r} to the {group}: {found[point.name]} and {point.value}. "
                "Uninstall one"
            )
    return MappingProxyType(found)


def with_plugins(group: str, built_in: Mapping[str, str]) -> Mapping[str, str]:
    """A table with the entries of other packages.

    Raises:
        BenchError: another package uses a name of the table.
    """
    others = plugins(group)
    for name in others.keys() & built_in.keys():
        raise BenchError(
            f"an installed package adds {name!r} ({others[name]}) to the {group}, where the name is taken by "
            f"{built_in[name]}: rename its entry point or uninstall it"
        )
    return MappingProxyType({**built_in, **others})


def packages() -> frozenset[str]:
    """Top-level names of the packages that add something."""
    return frozenset(value.partition(":")[0].partition(".")[0] for group in GROUPS for value in plugins(group).values())
