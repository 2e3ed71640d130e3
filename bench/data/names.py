"""Names of members inside an archive or a folder: which are safe, fit a pattern, or are clutter of a system."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path, PurePosixPath

from bench.base.errors import BenchError

__all__ = ["composed", "is_clutter", "matches", "may_hold", "plain_path", "relative", "visible_files"]

_CLUTTER = ("__macosx", "thumbs.db", "desktop.ini")


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


def composed(name: str) -> str:
    """A name in the normal form NFC, in which members are kept: macOS stores accents apart from their letters."""
    return unicodedata.normalize("NFC", name)


def matches(name: str, pattern: str) -> bool:
    """Whether a member's name fits a pattern: ``*`` stays inside one folder, ``**`` crosses folders.

    >>> matches("train/cat/1.png", "train/**"), matches("train/cat/1.png", "train/*"), matches("a_gut.txt", "*_gut.txt")
    (True, False, True)
    """
    parts = re.split(r"(\*\*/?|\*|\?)", PurePosixPath(pattern).as_posix())
    table = {"**": ".*", "**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return re.fullmatch("".join(table.get(p) or re.escape(p) for p in parts), name) is not None


def may_hold(name: str, pattern: str) -> bool:
    """Whether something below the folder ``name`` can fit a pattern.

    >>> may_hold("my/dog", "my/*/*.png"), may_hold("my/dog", "**/*.png"), may_hold("my/dog", "my/*.png")
    (True, True, False)
    """
    parts, wanted = name.split("/"), PurePosixPath(pattern).as_posix().split("/")
    for i, part in enumerate(parts):
        if i >= len(wanted) - 1:  # the last part of a pattern names files, unless it crosses folders
            return "**" in wanted[-1]
        if "**" in wanted[i]:
            return True
        if not matches(part, wanted[i]):
            return False
    return True


def is_clutter(name: str) -> bool:
    """Whether a file was left by an operating system or is hidden: dot files, ``__MACOSX/``, ``Thumbs.db``.

    >>> [is_clutter(name) for name in ("__MACOSX/a/._1.png", "a/.DS_Store", "Thumbs.db", ".git/config", "a/1.png")]
    [True, True, True, True, False]
    """
    return any(part.startswith(".") or part.lower() in _CLUTTER for part in name.split("/"))


def visible_files(folder: Path, suffixes: tuple[str, ...] = ()) -> list[Path]:
    """The files below a folder, sorted, without clutter; with ``suffixes`` (lower case) those alone.

    Raises:
        BenchError: a link to a folder, whose files would be left out.
    """
    found = []
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_clutter(name)]
        if linked := next((name for name in sorted(folders) if Path(base, name).is_symlink()), None):
            raise BenchError(f"{Path(base, linked)} is a link to a folder: put the folder itself in its place")
        found += [Path(base, name) for name in names if not is_clutter(name)]
    return sorted(path for path in found if path.is_file() and (not suffixes or path.suffix.lower() in suffixes))
