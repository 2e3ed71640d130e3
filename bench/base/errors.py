"""Errors that a user can act on: the command line prints their text, not a traceback."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

__all__ = ["BenchError", "did_you_mean", "friendly"]


class BenchError(Exception):
    """Something the user can mend; the message says what and how."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``" Did you mean 'x'?"`` for the nearest known name, or the list of all.

    >>> did_you_mean("ngrm", ["ngram", "clip"])
    " Did you mean 'ngram'?"
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {close[0]!r}?" if close else f" Known: {', '.join(names)}."


@contextmanager
def friendly() -> Iterator[None]:
    """Around a script's work: a :class:`BenchError` becomes one message on standard error and exit status 1."""
    try:
        yield
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
