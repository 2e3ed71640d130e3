"""A fingerprint of the code behind a stage: its import closure, hashed without comments and docstrings.

See docs/decisions/0001-import-closure.md.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

__all__ = ["closure", "computes_with_torch", "file_of", "fingerprint", "forget"]

_TABLES = frozenset(f"bench/catalogue/{name}.py" for name in ("families", "metrics", "scorers", "systems"))
"""A new line in a table makes nothing stale: a plan holds the entries that its own stage uses."""


@cache
def _examined(source: str) -> tuple[str, tuple[str, ...]]:
    """Digest and imports of a module, by its text.

    The digest is the sha256 of the syntax tree without docstrings, so that comments and prose retrain nothing. Imports
    are dotted names at the top or inside a function; ``from a import b`` gives a and a.b; what stands under ``if
    TYPE_CHECKING`` is never imported.
    """
    tree = ast.parse(source)
    names: set[str] = set()
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        guarded = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        todo += node.orelse if guarded and isinstance(node, ast.If) else ast.iter_child_nodes(node)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            if (
                body
                and isinstance(body[0], ast.Expr)
                and isinstance(body[0].value, ast.Constant)
                and isinstance(body[0].value.value, str)
            ):
                node.body = body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), tuple(sorted(names))


@cache
def _module(path: Path) -> tuple[str, tuple[str, ...]]:
    return _examined(path.read_text(encoding="utf-8"))


@cache
def file_of(root: Path, module: str) -> Path | None:
    base = root.joinpath(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def _edges(root: Path, path: Path) -> tuple[tuple[Path, ...], frozenset[str]]:
    """The project's files that one module imports, and the top-level names of other packages."""
    outside, files = set(), []
    for name in _module(path)[1]:
        first, *rest = name.split(".")
        if first != "bench":
            outside.add(first)
            continue
        steps = [".".join([first, *rest[:i]]) for i in range(len(rest) + 1)]
        files += [file for step in steps if (file := file_of(root, step)) is not None]
    return tuple(dict.fromkeys(files)), frozenset(outside)


def closure(root: Path, entries: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """The project's files that ``entries`` import, directly or not, and the top-level names of other packages."""
    todo, seen, outside = [Path(entry) for entry in entries], set[Path](), set[str]()
    for entry in list(todo):  # importing a module runs the __init__ of its packages first
        todo += [
            parent / "__init__.py"
            for parent in entry.parents
            if root in parent.parents and (parent / "__init__.py").is_file()
        ]
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        files, names = _edges(root, path)
        todo += files
        outside |= names
    tables = {root / table for table in _TABLES}
    return sorted(seen - tables), sorted(outside - set(sys.stdlib_module_names))


@cache
def _pins(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    pins = (line.split("==", 1) for line in lines if "==" in line and not line.startswith("#"))
    return {re.sub(r"[-_.]+", "-", name.strip().lower()): version.strip() for name, version in pins}


@cache
def _distributions() -> dict[str, list[str]]:
    return {name: list(found) for name, found in packages_distributions().items()}


def fingerprint(root: Path, entries: Iterable[Path]) -> dict[str, Any]:
    """Digest of every file of the closure, and the pinned version of every other package in it."""
    files, outside = closure(root, entries)
    pins = _pins(root / "constraints.txt")
    versions = {}
    for name in outside:
        for distribution in _distributions().get(name, [name]):
            key = re.sub(r"[-_.]+", "-", distribution.lower())
            if key in pins:
                versions[key] = pins[key]
    return {
        "files": {
            str(path.relative_to(root)) if path.is_relative_to(root) else path.name: _module(path)[0] for path in files
        },
        "packages": versions,
    }


def computes_with_torch(root: Path, entries: Iterable[Path]) -> bool:
    """Whether a stage computes with torch, whose results depend on the device and the number of threads."""
    files, _ = closure(root, entries)
    # base/processes.py imports torch only on behalf of systems that do.
    return any("torch" in _edges(root, path)[1] for path in files if path != root / "bench" / "base" / "processes.py")


def forget() -> None:
    """Read every file anew: a plan that is written knows no older text."""
    for cached in (_module, _edges, file_of, _pins):
        cached.cache_clear()
