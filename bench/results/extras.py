"""What an evaluation hands to the report besides its scores: galleries, texts, curves, tables, figures, films.

Each is a frozen dataclass. Pictures are encoded files (PNG, MP4) in memory; on disk they lie in the folder
``evaluations/<name>/`` and the JSON beside it holds their names. Use the same prompts and seeds in every model of a
family and keep a picture under about 60 kB: at most 10 by 4 small samples.
"""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from bench.base.errors import BenchError, did_you_mean

__all__ = [
    "KINDS",
    "Curve",
    "Extra",
    "Figure",
    "Film",
    "Gallery",
    "Items",
    "Line",
    "Note",
    "Strip",
    "Table",
    "Text",
    "extra_from_json",
    "extra_to_json",
    "lines_of",
    "of_kind",
    "read_extras",
    "write_extras",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Gallery:
    """A grid of samples; the report shows real data first, then the models.

    Attributes:
        title: short, shown above the grid.
        variant: the setting that it shows.
        png: the grid (:func:`bench.results.pictures.grid`), encoded.
        alt: what a blind reader is told.
        columns: pictures in one row of the grid.
        captions: one for each picture (prompts, asked classes), or none.
        neighbours_png: the nearest training item of each picture, same order.
        real_png: real pictures for the same captions.
        source_png: what the pictures were made from (an exemplar, the originals of a codec).
    """

    KIND: ClassVar[str] = "gallery"

    title: str
    png: bytes
    alt: str
    variant: str = ""
    columns: int = 0
    captions: tuple[str, ...] = ()
    neighbours_png: bytes | None = None
    real_png: bytes | None = None
    source_png: bytes | None = None


@dataclass(frozen=True)
class Strip:
    """Pictures on their way, from noise to sample; ``captions`` name the columns."""

    KIND: ClassVar[str] = "strips"

    title: str
    png: bytes
    alt: str
    variant: str = ""
    captions: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Text:
    """A sampled text, and the prompt that it continues."""

    KIND: ClassVar[str] = "texts"

    text: str
    title: str = ""
    variant: str = ""
    prompt: str = ""


@dataclass(frozen=True)
class Table:
    """A small table of its own, with a note below."""

    KIND: ClassVar[str] = "tables"

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Line:
    """One line of a curve: ``(x, y)`` points in order."""

    name: str
    points: tuple[tuple[float, float], ...]


def lines_of(points: Iterable[tuple[str, float, float]], least: int = 1) -> tuple[Line, ...]:
    """Lines out of ``(name, x, y)``, in order of first appearance, points in order of x.

    Args:
        points: of all lines; those whose y is not finite are left out.
        least: fewest points of a line.

    >>> lines_of([("a", 2, 0.5), ("b", 1, 0.0), ("a", 1, 1.0)], least=2)
    (Line(name='a', points=((1, 1.0), (2, 0.5))),)
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for name, x, y in points:
        if math.isfinite(y):
            found.setdefault(name, []).append((x, y))
    return tuple(Line(name, tuple(sorted(line))) for name, line in found.items() if len(line) >= least)


@dataclass(frozen=True)
class Curve:
    """A chart of lines. Single lines of several generators under one title and the same axes share a chart."""

    KIND: ClassVar[str] = "curves"

    title: str
    x: str
    y: str
    series: tuple[Line, ...]
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True)
class Figure:
    """A drawn figure; ``density`` is its pixels for each pixel of the page."""

    KIND: ClassVar[str] = "figures"

    title: str
    png: bytes
    alt: str
    note: str = ""
    density: float = 2.0


@dataclass(frozen=True)
class Film:
    """A video: H.264 in yuv420p, which plays everywhere, and the frame that stands for it in print."""

    KIND: ClassVar[str] = "videos"

    title: str
    mp4: bytes
    poster: bytes
    alt: str
    variant: str = ""
    note: str = ""
    loop: bool = True


@dataclass(frozen=True)
class Note:
    """One plain sentence that a reader needs beside the numbers."""

    KIND: ClassVar[str] = "notes"

    text: str


@dataclass(frozen=True)
class Items:
    """The parts of a mean by item or block, for paired comparisons of generators: ``sum(totals) / sum(weights)``.

    Attributes:
        metric: whose value they make up.
        variant: the setting.
        totals: of each item, in the order of the data.
        weights: of each item.
    """

    KIND: ClassVar[str] = "items"

    metric: str
    variant: str
    totals: tuple[float, ...]
    weights: tuple[float, ...] = field(default=())


Extra = Gallery | Strip | Text | Table | Curve | Figure | Film | Note | Items
KINDS: Mapping[str, type[Any]] = {
    kind.KIND: kind for kind in (Gallery, Strip, Text, Table, Curve, Figure, Film, Note, Items)
}
"""Name in the JSON -> dataclass."""


def extra_to_json(extra: Extra, files: dict[str, bytes]) -> dict[str, Any]:
    """A JSON-able mapping; pictures go into ``files`` (name -> content) and are named in it."""
    row: dict[str, Any] = {}
    for key in dataclasses.fields(extra):
        value = getattr(extra, key.name)
        if isinstance(value, bytes):
            ending = ".mp4" if key.name == "mp4" else ".png"
            name = f"{extra.KIND}-{len(files):03d}{ending}"
            files[name] = value
            value = name
        elif isinstance(value, tuple):
            value = [dataclasses.asdict(one) if isinstance(one, Line) else one for one in value]
        row[key.name] = value
    return row


def extra_from_json(kind: str, row: Mapping[str, Any], folder: Path) -> Extra:
    """The inverse of :func:`extra_to_json`.

    Raises:
        BenchError: an unknown kind or key, or a file that is not there.
    """
    if kind not in KINDS:
        raise BenchError(f"{folder}.json: extras: unknown kind {kind!r}.{did_you_mean(kind, KINDS)}")
    known = {key.name: str(key.type) for key in dataclasses.fields(KINDS[kind])}
    values: dict[str, Any] = {}
    for key, value in row.items():
        if key not in known:
            raise BenchError(f"{folder}.json: extras.{kind}: unknown key {key!r}.{did_you_mean(key, known)}")
        if "bytes" in known[key]:
            value = _content(folder / value) if value is not None else None
        values[key] = _frozen(value)
    if kind == Curve.KIND:
        values["series"] = tuple(Line(line["name"], _frozen(line["points"])) for line in row["series"])
    extra: Extra = KINDS[kind](**values)
    return extra


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BenchError(f"{path} is missing: run `dvc repro` (or `dvc checkout`) again") from None


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value


def write_extras(folder: Path, extras: Sequence[Extra]) -> dict[str, list[Any]]:
    """Pictures and films as files in ``folder`` (made anew), and the JSON that names them: kind -> extras in order."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    described: dict[str, list[Any]] = {}
    files: dict[str, bytes] = {}
    for extra in extras:
        described.setdefault(extra.KIND, []).append(extra_to_json(extra, files))
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return described


def read_extras(folder: Path, described: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Extra]:
    """The inverse of :func:`write_extras`.

    Raises:
        BenchError: an unknown kind or key, or a missing file.
    """
    return [extra_from_json(kind, row, folder) for kind, rows in described.items() for row in rows]


def of_kind(extras: Sequence[Extra], kind: type[T]) -> list[T]:
    """The extras of one dataclass, in order."""
    return [extra for extra in extras if isinstance(extra, kind)]
