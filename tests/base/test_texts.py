"""Encodings, line ends and combining marks."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.base.errors import BenchError
from bench.base.texts import combining_marks, decode_text, read_text, split_lines

WESTERN = "\u201cCaf\u00e9\u201d \u2013 it\u2019s 5 \u20ac.\n"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("said", ["utf-8", "cp1252", "latin-1"])
def test_a_byte_order_mark_decides(tmp_path: Path, encoding: str, said: str) -> None:
    (tmp_path / "a.txt").write_bytes((WESTERN + "\u0939\u093f\n").encode(encoding))
    assert read_text(tmp_path / "a.txt", said) == WESTERN + "\u0939\u093f\n"


@pytest.mark.parametrize("text", [WESTERN, "\u20ac", "a\nb\u2019c", "\u0160koda\u2026"])
def test_bytes_of_windows_are_refused_as_utf_8_and_as_latin_1_and_cp1252_is_offered(text: str) -> None:
    content = text.encode("cp1252")
    for said in ("utf-8", "latin-1"):
        with pytest.raises(BenchError, match=r"a\.txt: line \d: byte 0x.* at offset \d+ is .*`encoding: cp1252`"):
            decode_text(content, "a.txt", said)
    assert decode_text(content, "a.txt", "cp1252") == text


def test_cp1252_is_not_offered_nor_taken_where_the_bytes_do_not_fit_it() -> None:
    for said in ("utf-8", "latin-1", "cp1252"):
        with pytest.raises(BenchError, match=r"line 2: byte 0x81 at offset 3") as error:
            decode_text(b"ab\n\x81\x8d", "a.txt", said)
        assert "encoding: cp1252" not in str(error.value)


@pytest.mark.parametrize("said", ["cp1252", "latin-1"])
def test_utf_8_under_another_name_is_refused(said: str) -> None:
    with pytest.raises(BenchError, match=f"the bytes are UTF-8, not {said}"):
        decode_text(WESTERN.encode(), "a.txt", said)
    assert decode_text(b"plain\n", "a.txt", said) == "plain\n"
    assert decode_text("na\u00efve".encode("latin-1"), "a.txt", said) == "na\u00efve"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_utf_16_without_a_mark_is_no_text(encoding: str) -> None:
    with pytest.raises(BenchError, match=r"NUL characters at offset .* UTF-16 without a byte-order mark"):
        decode_text("plain".encode(encoding), "a.txt")


def test_half_of_a_utf_16_character_is_located() -> None:
    with pytest.raises(BenchError, match=r"a\.txt: line 1: byte 0x63 at offset 4 is not utf-16"):
        decode_text("ab".encode("utf-16-le").join([b"\xff\xfe", b""])[:4] + b"c", "a.txt")


@given(st.text())
def test_lines_end_as_in_a_file_opened_as_text(text: str) -> None:
    import io

    assert split_lines(text) == [line.rstrip("\n") for line in io.StringIO(text, newline=None)]


def test_every_combining_mark_and_no_letter() -> None:
    pattern = re.compile(combining_marks())
    for code in range(0x110000):
        mark = unicodedata.category(chr(code))[0] == "M" or code in (0x200C, 0x200D)
        if mark or code < 0x3000:
            assert bool(pattern.fullmatch(chr(code))) == mark, hex(code)
