"""Protocol ids, and the guard that refuses to measure a distribution from too few items.

An id reads ``metric/instrument/key=value/.../v1``: what is measured, with which network, on how many items, against
what. Two numbers may be compared if and only if their ids are equal; ``docs/protocols.md`` lists them with their
reasons.
"""

from __future__ import annotations

import re

from bench.base.errors import BenchError

__all__ = ["MINIMUM_N", "protocol_id", "require_minimum"]

MINIMUM_N = 1000
"""Fewest items a Frechet or kernel distance is computed on: at 500 digits the floor itself wanders by a factor of
two."""

_PART = re.compile(r"[a-z0-9][a-z0-9._+-]*")


def protocol_id(
    metric: str, *parts: str, version: int = 1, minimum_n: int = MINIMUM_N, **settings: int | float | str | None
) -> str:
    """``metric/part/key=value/v1``: ``n`` and ``ref`` first, other settings by name, those that are None left out.

    The order is fixed so that equal settings give equal ids however a caller lists them.

    A ``minimum_n`` below the standard one is written into the id (``min=64``), so that a quick profile's figure can
    never share a column with a real one.

    >>> protocol_id("fid", "resnet-digits", n=2000, ref="test")
    'fid/resnet-digits/n=2000/ref=test/v1'
    >>> protocol_id("fid", "resnet-digits", n=128, ref="test", minimum_n=64)
    'fid/resnet-digits/n=128/ref=test/min=64/v1'

    Raises:
        BenchError: a part that is not lower case letters, digits and ``._+-``.
    """
    pieces = [metric.replace("_", "-"), *parts]
    order = sorted(settings, key=lambda key: (key != "n", key != "ref", key))
    pieces += [f"{key.replace('_', '-')}={settings[key]}" for key in order if settings[key] is not None]
    if minimum_n != MINIMUM_N:
        pieces.append(f"min={minimum_n}")
    for piece in pieces:
        for word in piece.split("=", 1):
            if not _PART.fullmatch(word):
                raise BenchError(
                    f"protocol id of {metric}: {word!r} may hold only lower case letters, digits and . _ + -"
                )
    pieces[0] = metric
    return "/".join([*pieces, f"v{version}"])


def require_minimum(n: int, minimum: int, what: str) -> None:
    """Refuse to compute ``what`` on fewer than ``minimum`` items.

    >>> require_minimum(500, 1000, "fid")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    bench.base.errors.BenchError: fid needs at least 1000 items and got 500: fewer cannot rank generators. ...

    Raises:
        BenchError: ``n < minimum``, saying how to mend it.
    """
    if n < minimum:
        raise BenchError(
            f"{what} needs at least {minimum} items and got {n}: fewer cannot rank generators. Sample more, or state a "
            "lower minimum_n, which becomes part of the protocol id."
        )
