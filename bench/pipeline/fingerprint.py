"""A fingerprint of the code behind a stage: its import closure, hashed without comments and docstrings.

The closure stays within this project and the packages that add to its tables by entry points.
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
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.catalogue.plugins import packages

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
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            inside = f"{source}." if node.module else source
            names |= {source, *(f"{inside}{alias.name}" for alias in node.names)}
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
def _home(root: Path, package: str) -> Path | None:
    """The folder that holds a package whose code is followed: the project's own, or a plug-in's; None for others."""
    if package == "bench":
        return root
    if package not in packages():
        return None
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parents[1 if spec.submodule_search_locations else 0]


def _files(folder: Path, module: str) -> list[Path]:
    """The files that Python runs to import a dotted name below a folder, as far as there are any."""
    files, base = [], folder
    for part in filter(None, module.split(".")):
        base = base / part
        files += [path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()][:1]
    return files


@cache
def file_of(root: Path, module: str) -> Path | None:
    """The file of a module of the project or of a plug-in; None for any other."""
    home = _home(root, module.partition(".")[0])
    files = _files(home, module) if home else []
    name = module.rpartition(".")[2]
    return files[-1] if files and name in (files[-1].stem, files[-1].parent.name) else None


@cache
def _edges(root: Path, path: Path) -> tuple[tuple[Path, ...], frozenset[str]]:
    """The followed files that one module imports, and the top-level names of other packages."""
    outside, files = set(), list[Path]()
    for name in _module(path)[1]:
        module = name.lstrip(".")
        level = len(name) - len(module)
        home = path.parents[level - 1] if level else _home(root, module.partition(".")[0])
        if home is None:
            outside.add(module.partition(".")[0])
        else:
            files += _files(home, module)
    return tuple(dict.fromkeys(files)), frozenset(outside)


def _packages_of(path: Path) -> list[Path]:
    """The ``__init__`` files that Python runs before a module, the nearest first."""
    found = []
    for parent in path.parents:
        if not (parent / "__init__.py").is_file():
            break
        found.append(parent / "__init__.py")
    return found


def _label(root: Path, path: Path) -> str:
    """A file's name in a plan: below the project, or below the folder that holds the plug-in, wherever that is."""
    inits = _packages_of(path)
    home = inits[-1].parents[1] if inits else root if path.is_relative_to(root / "stages") else path.parent
    return str(path.relative_to(home))


def closure(root: Path, entries: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """The followed files that ``entries`` import, directly or not, and the top-level names of other packages."""
    todo, seen, outside = [Path(entry) for entry in entries], set[Path](), set[str]()
    for entry in list(todo):  # importing a module runs the __init__ of its packages first
        todo += _packages_of(entry)
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
        "files": {_label(root, path): _module(path)[0] for path in files},
        "packages": versions,
    }


def computes_with_torch(root: Path, entries: Iterable[Path]) -> bool:
    """Whether a stage computes with torch, whose results depend on the device and the number of threads."""
    files, _ = closure(root, entries)
    # base/processes.py imports torch only on behalf of systems that do.
    return any("torch" in _edges(root, path)[1] for path in files if path != root / "bench" / "base" / "processes.py")


def forget() -> None:
    """Read every file anew: a plan that is written knows no older text."""
    for cached in (_module, _edges, _home, file_of, _pins):
        cached.cache_clear()
