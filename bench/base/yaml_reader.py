"""The one YAML reader: ``params.yaml``, cards, claims, report schema, literature and ``-o KEY=VALUE``.

Scalars are those of YAML 1.2's core schema, as DVC reads them: ``1e-05`` is a number, ``yes``, ``no``, ``on``, ``off``,
``12:30`` and ``2024-01-01`` are texts. A key that stands twice in one mapping is an error. Merge keys (``<<``) work.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from bench.base.errors import BenchError
from bench.base.texts import decode_text

__all__ = ["UTF8_ONLY", "parse_yaml", "read_yaml"]

UTF8_ONLY = "save the file as UTF-8, which is what YAML files of this project are"

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times as fast, and every stage reads YAML
_INT = r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"


class _Loader(_BASE):  # type: ignore[misc]
    """Scalars of the core schema of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 (PyYAML's own name; those of YAML 1.1 are dropped)


def _integer(loader: Any, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10)) if text[:2] in ("0o", "0x") else int(text)


def _number(loader: Any, node: yaml.ScalarNode) -> float:
    text = str(loader.construct_scalar(node)).lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", _INT, "-+0123456789"),
    ("float", _FLOAT, "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), list(_first))
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _number)


def _problem(text: str, mark: yaml.Mark) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, text, mark)


def _check(node: yaml.Node, above: tuple[int, ...] = (), seen: set[int] | None = None) -> None:
    """Refuses a key that stands twice in one mapping, and an alias inside of its own anchor."""
    seen = set() if seen is None else seen
    if id(node) in above:
        raise _problem("an alias stands inside of the part that it repeats", node.start_mark)
    if id(node) in seen or isinstance(node, yaml.ScalarNode):
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check(item, (*above, id(node)), seen)
    elif isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in first:
                raise _problem(f"the key {name!r} stands in line {first[name]} already", key.start_mark)
            first[name] = key.start_mark.line + 1
            _check(value, (*above, id(node)), seen)


def parse_yaml(text: str | bytes) -> Any:
    """The value of one YAML document, without tags of the application's own.

    >>> parse_yaml("{lr: 1e-05, on: [yes, 0x10, 010, 12:30], empty: }")
    {'lr': 1e-05, 'on': ['yes', 16, 10, '12:30'], 'empty': None}

    Raises:
        yaml.YAMLError: not YAML, or a key that stands twice.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def read_yaml(path: Path, missing: str = "no such file here: run the command in the project's root folder") -> Any:
    """The parsed file.

    Args:
        path: the file, UTF-8.
        missing: what to do where there is none.

    Raises:
        BenchError: no such file, not UTF-8, or not YAML; file, line and what is wrong are named.
    """
    try:
        return parse_yaml(decode_text(path.read_bytes(), str(path), marks=False, advice=UTF8_ONLY))
    except FileNotFoundError:
        raise BenchError(f"{path}: {missing}") from None
    except (IsADirectoryError, PermissionError) as error:
        raise BenchError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark, text = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        raise BenchError(f"{path} is not YAML: {place}{text}") from error
