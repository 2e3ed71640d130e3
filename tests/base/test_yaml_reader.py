"""The YAML reader against YAML 1.2's core schema, and against DVC's own reader of params.yaml."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.serialize import parse_yaml as dvc_parse
from hypothesis import given
from hypothesis import strategies as st

from bench.base.errors import BenchError
from bench.base.yaml_reader import parse_yaml, read_yaml

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(word, word) for word in ("yes", "no", "on", "off", "Yes", "y", "N", "12:30", "2024-01-01", "1_000", "<")],
        *[(word, True) for word in ("true", "True", "TRUE")],
        *[(word, None) for word in ("", "~", "null", "Null")],
        ("1e-05", 1e-5),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("-2.", -2.0),
        ("+3", 3),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-.inf", -math.inf),
        ("nan", "nan"),
        ("'1e-05'", "1e-05"),
    ],
)
def test_scalars_of_yaml_1_2(text: str, value: object) -> None:
    found = parse_yaml(f"[{text}]")[0] if text else parse_yaml("a: ")["a"]
    assert found == value and type(found) is type(value)


def test_nan_is_a_number() -> None:
    assert math.isnan(parse_yaml(".nan"))


@pytest.mark.parametrize(
    "path", [ROOT / "params.yaml", *sorted((ROOT / "datasets").glob("*.yaml"))], ids=lambda p: p.stem
)
def test_reads_what_dvc_reads(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert parse_yaml(text) == dvc_parse(text, str(path))


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(), st.text("abc-: #'\"{[yn", max_size=9))
def test_what_pyyaml_writes_comes_back(number: float, whole: int, text: str) -> None:
    value: dict[str, Any] = {"number": number, "whole": whole, "text": text, "list": [text, number]}
    assert parse_yaml(yaml.safe_dump(value)) == value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\nb: {c: 1, c: 2}\n", r"p.yaml is not YAML: line 2, column 11: the key 'c' stands in line 2 already"),
        (b"words: {}\n\nwords: {}\n", r"line 3, column 1: the key 'words' stands in line 1 already"),
        (b"a: &x\n  b: *x\n", r"line 1, column 4: an alias stands inside of the part that it repeats"),
        (b"a: 1\n---\nb: 2\n", r"line 2"),
        (b"a: [", r"p.yaml is not YAML: line "),
        (b"a: !!python/name:os.system\n", r"could not determine a constructor"),
        (
            "profile: cpu # f\u00fcr mich\n".encode("latin-1"),
            r"p.yaml: line 1: byte 0xfc at offset 16 is not utf-8; save the file",
        ),
        ("profile: cpu\n".encode("utf-16"), r"p.yaml: line 1: byte 0xff at offset 0 is not utf-8 but utf-16; save"),
        ("profile: cpu\n".encode("utf-32"), r"p.yaml: .* is not utf-8 but utf-32; save the file as UTF-8"),
        (
            "profile: cpu # \u201c\u20ac\u201d\n".encode("cp1252"),
            r"p.yaml: line 1: byte 0x93 .* save the file as UTF-8",
        ),
        ("profile: cpu\n".encode("utf-16-le"), r"p.yaml: holds NUL characters"),
    ],
)
def test_what_is_no_yaml_names_file_and_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(content)
    with pytest.raises(BenchError, match=message):
        read_yaml(path)


def test_a_mark_of_byte_order_and_merge_keys(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(b"\xef\xbb\xbfbase: &b {x: 1, y: 2}\nmine: {<<: *b, y: 3}\nagain: *b\n")
    assert read_yaml(path) == {"base": {"x": 1, "y": 2}, "mine": {"x": 1, "y": 3}, "again": {"x": 1, "y": 2}}
    with pytest.raises(BenchError, match="run the command in the project's root folder"):
        read_yaml(tmp_path / "none.yaml")
