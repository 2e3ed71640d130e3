"""Tables in text files: the one policy of ``.csv`` and ``.tsv``.

A ``.csv`` follows RFC 4180: fields apart by commas, one that holds a comma, a quotation mark or a line break in double
quotes. A ``.tsv`` has no quotation at all: a tab ends a field, a line end a row, and a quotation mark is a character.
Every row has as many fields as the first has names; a row of another length is refused, for a field was cut in two or
lost. Empty lines are skipped.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.base.errors import BenchError
from bench.base.texts import read_text, split_lines

__all__ = ["DELIMITERS", "Table", "parse_rows", "parse_table", "read_table"]

DELIMITERS = {".csv": ",", ".tsv": "\t"}
"""Suffix -> what stands between two fields."""

Row = tuple[int, list[str]]


@dataclass(frozen=True)
class Table:
    """Rows under named columns.

    Attributes:
        where: the file's name, for errors.
        columns: names of the first row, without the white space around them.
        rows: (number of its first line, fields) of each row below.
    """

    where: str
    columns: list[str]
    rows: list[Row]

    def places(self, *names: str) -> list[int]:
        """Where the columns of these names stand; large and small letters are alike where only one fits.

        Raises:
            BenchError: no such column, or two.
        """
        lowered = [column.lower() for column in self.columns]
        found = []
        for name in names:
            column, among = (name, self.columns) if name in self.columns else (name.lower(), lowered)
            if column not in among:
                listed = ", ".join(self.columns) or "nothing"
                raise BenchError(
                    f"{self.where}: the first line must name the columns {' and '.join(names)}, not {listed}"
                    " (a .csv has commas between them, a .tsv tabs)"
                )
            if among.count(column) > 1:
                raise BenchError(f"{self.where}: the column {name!r} is there twice")
            found.append(among.index(column))
        return found


def _quoted_rows(lines: Sequence[str], where: str, delimiter: str) -> list[Row]:
    rows: list[Row] = []
    first = 1
    limit = csv.field_size_limit(sum(map(len, lines)) + len(lines) + 1)  # the module's own is 2^17 characters
    try:
        reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=True)
        for fields in reader:
            rows.append((first, fields))
            first = reader.line_num + 1
    except csv.Error as error:
        reason = "a quotation mark is never closed" if "end of data" in str(error) else str(error)
        raise BenchError(
            f"{where}: line {first}: {reason}; a quotation mark inside of a quoted field is written twice"
        ) from error
    finally:
        csv.field_size_limit(limit)
    return rows


def parse_rows(text: str, where: str, delimiter: str) -> list[Row]:
    """(number of its first line, fields) of each row that is not empty.

    >>> parse_rows('a,"b, c"\\n', "x.csv", ","), parse_rows('a\\t"b\\n', "x.tsv", "\\t")
    ([(1, ['a', 'b, c'])], [(1, ['a', '"b'])])

    Raises:
        BenchError: quotation marks that do not fit together.
    """
    lines = split_lines(text)
    if delimiter == "\t":
        rows = [(number, line.split("\t")) for number, line in enumerate(lines, 1)]
    else:
        rows = _quoted_rows(lines, where, delimiter)
    return [(line, fields) for line, fields in rows if len(fields) > 1 or (fields and fields[0].strip())]


def parse_table(text: str, where: str, delimiter: str = ",") -> Table:
    """A table whose first row names its columns.

    Raises:
        BenchError: a row with more or fewer fields than there are columns, or wrong quotation; file and line are named.
    """
    rows = parse_rows(text, where, delimiter)
    columns = [name.strip() for name in rows[0][1]] if rows else []
    for line, fields in rows[1:]:
        if len(fields) != len(columns):
            held = (
                "in a .tsv no field holds a tab" if delimiter == "\t" else "put a field with a comma in double quotes"
            )
            raise BenchError(
                f"{where}: line {line}: {len(fields)} fields under the {len(columns)} columns {', '.join(columns)}: "
                f"{held}"
            )
    return Table(where, columns, rows[1:])


def read_table(path: Path, encoding: str = "utf-8") -> Table:
    """A ``.csv`` or ``.tsv`` file, told by its suffix; see :func:`parse_table`.

    Raises:
        BenchError: another suffix, or what :func:`bench.base.texts.decode_text` and :func:`parse_table` refuse.
    """
    if (delimiter := DELIMITERS.get(path.suffix.lower())) is None:
        raise BenchError(f"{path}: tables are .csv or .tsv files, not {path.suffix or 'a file without suffix'}")
    return parse_table(read_text(path, encoding), str(path), delimiter)
