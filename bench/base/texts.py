"""Texts as files hold them: the one policy of encodings, line ends and letters.

A file is UTF-8 unless a card says otherwise; a byte-order mark (UTF-8, UTF-16, UTF-32) decides over both. Bytes that do
not fit are refused, never replaced. A line ends with ``\\n``, ``\\r\\n`` or ``\\r`` and with nothing else: U+2028,
U+0085, vertical tabs and form feeds, at which ``str.splitlines`` cuts too, are characters of a line.
"""

from __future__ import annotations

import codecs
import functools
import re
import unicodedata
from pathlib import Path

from bench.base.errors import BenchError

__all__ = ["ENCODINGS", "combining_marks", "decode_text", "read_text", "split_lines"]

ENCODINGS = ("utf-8", "latin-1", "cp1252")
"""What a card may name."""

_BYTE_ORDER_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WITH_MARKS = (range(0x300, 0x20000), range(0xE0100, 0xE0200))
"""The code points among which all combining marks are: looking at all of Unicode takes a third of a second."""
_JOINERS = "\u200c\u200d"


def _fits(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _place(content: bytes, at: int) -> str:
    """Line and byte of an offset."""
    line = content.count(b"\n", 0, at) + 1
    return f"line {line}: byte 0x{content[at]:02x} at offset {at:,}"


def _advice(content: bytes) -> str:
    if _fits(content, "cp1252") and b"\0" not in content:
        return "convert the file to UTF-8, or set `encoding: cp1252` in the card if it is a Western text from Windows"
    return "convert the file to UTF-8"


def decode_text(
    content: bytes, where: str, encoding: str = "utf-8", *, marks: bool = True, advice: str | None = None
) -> str:
    """The text of a file's bytes, with ``\\n`` line ends; a byte-order mark and a final DOS end-of-file mark (0x1a) are
    dropped.

    Args:
        content: the bytes.
        where: the file's name, for errors.
        encoding: one of ``ENCODINGS``, for bytes without a byte-order mark.
        marks: obey the byte-order marks of UTF-16 and UTF-32; else they are no UTF-8 and refused.
        advice: what to do about bytes that do not fit; by default what a card can say.

    Raises:
        BenchError: bytes that are not of the encoding (the place is named), UTF-8 or control characters where the card
            says ``cp1252`` or ``latin-1``, or NUL characters.
    """
    marked = next((name for mark, name in _BYTE_ORDER_MARKS if content.startswith(mark)), "")
    if marked and (marks or marked == "utf-8"):
        encoding = marked
    elif encoding != "utf-8" and not content.isascii() and _fits(content, "utf-8"):
        raise BenchError(
            f"{where}: the bytes are UTF-8, not {encoding}: {advice or 'leave `encoding` out of the card'}"
        )
    try:
        text = content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        name = f" but {marked}" if marked and marked != encoding else ""
        raise BenchError(
            f"{where}: {_place(content, error.start)} is not {encoding}{name}; {advice or _advice(content)}"
        ) from error
    if encoding == "latin-1" and (control := re.search("[\x80-\x9f]", text)):
        place = _place(content, control.start())
        raise BenchError(f"{where}: {place} is a control character in latin-1; {advice or _advice(content)}")
    if "\0" in text:
        raise BenchError(
            f"{where}: holds NUL characters at offset {text.index(chr(0)):,}: not a text, or UTF-16 without a "
            "byte-order mark: convert the file to UTF-8"
        )
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\x1a")


def read_text(path: Path, encoding: str = "utf-8", *, advice: str | None = None) -> str:
    """The text of a file, see :func:`decode_text`."""
    return decode_text(path.read_bytes(), str(path), encoding, advice=advice)


def split_lines(text: str) -> list[str]:
    """The lines of a text, without their ends.

    >>> split_lines("one\\u2028still one\\r\\ntwo\\n")
    ['one\\u2028still one', 'two']
    """
    lines = re.split(r"\r\n|\r|\n", text) if "\r" in text else text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


@functools.cache
def combining_marks() -> str:
    """A regular expression of what continues a word without being a letter: combining marks (vowel signs of Devanagari
    or Thai, points of Hebrew and Arabic, accents apart from their letter) and the two zero-width joiners.

    >>> re.sub(combining_marks(), "", "e\\u0301te\\u0301 \\u0939\\u093f")
    'ete \\u0939'
    """
    codes = [code for part in _WITH_MARKS for code in part if unicodedata.category(chr(code))[0] == "M"]
    starts = [code for before, code in zip([-2, *codes], codes, strict=False) if code != before + 1]
    ends = [code for code, after in zip(codes, [*codes[1:], -2], strict=True) if after != code + 1]
    ranges = "".join(f"{chr(a)}-{chr(b)}" for a, b in zip(starts, ends, strict=True))
    # Most words end before an ASCII character: the long class is not searched for it.
    return f"(?:(?![\\x00-\\u02ff])[{ranges}{_JOINERS}])"
