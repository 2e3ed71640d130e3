"""Texts and captions of other programs: what ends a line, and in which encoding."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.base.files import read_text_samples
from bench.data.samples_from_files import read_samples


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85"])
def test_only_line_ends_end_a_row(tmp_path: Path, odd: str) -> None:
    lines = [
        {"text": f"one{odd}two", "variant": "", "info": {}, "prompt": ""},
        {"text": "b", "variant": "", "info": {}},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in lines[:1]), encoding="utf-8")
    assert read_text_samples(path)[0].texts == [f"one{odd}two"]
    path.write_text("".join(json.dumps({"text": row["text"]}, ensure_ascii=False) + "\n" for row in lines))
    assert read_samples(path, ".jsonl")[0].texts == [f"one{odd}two", "b"]
    np.save(tmp_path / "a.npy", np.zeros((2, 4, 4), np.uint8))
    rows = [{"caption": f"one{odd}two"}, {"caption": "b"}]
    (tmp_path / "c.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    (one,) = read_samples(tmp_path / "a.npy", ".npz", tmp_path / "c.jsonl")
    assert one.prompts == [f"one{odd}two", "b"]


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_other_encodings_are_read_by_their_mark_or_refused(tmp_path: Path, name: str) -> None:
    content = '{"text": "\u20ac 5"}\n' if name == "a.jsonl" else "\u20ac 5"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / name).write_bytes(content.encode(encoding))
        assert read_samples(tmp_path / name, ".jsonl")[0].texts == ["\u20ac 5"]
    (tmp_path / name).write_bytes(content.encode("cp1252"))
    with pytest.raises(BenchError, match=r"line 1: byte 0x80 at offset \d+ is not utf-8; save the file as UTF-8"):
        read_samples(tmp_path / name, ".jsonl")
