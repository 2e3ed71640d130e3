"""Names of members inside an archive: which are safe, which fit a pattern."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

__all__ = ["matches", "plain_path", "relative"]


def plain_path(name: str) -> bool:
    """True if ``name`` is a relative path that stays inside its folder on every system."""
    parts = name.split("/")
    return (
        bool(name)
        and "\\" not in name
        and "\0" not in name
        and ":" not in parts[0]
        and not any(p in ("", ".", "..") for p in parts)
    )


def relative(name: str, prefix: str) -> str | None:
    """``name`` without ``prefix``, or None if it lies elsewhere."""
    return name.removeprefix(prefix) if name.startswith(prefix) else None


def matches(name: str, pattern: str) -> bool:
    """Whether a member's name fits a pattern: ``*`` stays inside one folder, ``**`` crosses folders.

    >>> matches("train/cat/1.png", "train/**"), matches("train/cat/1.png", "train/*"), matches("a_gut.txt", "*_gut.txt")
    (True, False, True)
    """
    parts = re.split(r"(\*\*/?|\*|\?)", PurePosixPath(pattern).as_posix())
    table = {"**": ".*", "**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return re.fullmatch("".join(table.get(p) or re.escape(p) for p in parts), name) is not None
