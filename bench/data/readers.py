"""Files of a raw data set into arrays: IDX, rows of a PNG, folders of pictures, captions."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.progress import Progress
from bench.base.tables import DELIMITERS, read_table
from bench.base.texts import read_text, split_lines
from bench.data.names import composed, visible_files
from bench.data.picture_files import PICTURES, decode_picture

__all__ = [
    "Pictures",
    "read_captions",
    "read_idx",
    "read_picture",
    "read_pictures",
    "read_rows",
]

_IDX_TYPES: dict[int, np.dtype[Any]] = {
    8: np.dtype("u1"),
    9: np.dtype("i1"),
    11: np.dtype(">i2"),
    12: np.dtype(">i4"),
    13: np.dtype(">f4"),
    14: np.dtype(">f8"),
}


def read_idx(path: Path) -> NDArray[Any]:
    """An array in the IDX format of MNIST's authors: two zero bytes, a type code, the number of dimensions, the
    dimensions (big-endian).

    Raises:
        BenchError: not IDX, or not as long as its header says.
    """
    if not path.is_file():
        raise BenchError(
            f"{path} is not there: format idx needs {{train,t10k}}-images-idx3-ubyte and "
            f"{{train,t10k}}-labels-idx1-ubyte"
        )
    content = path.read_bytes()
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES or len(content) < 4 + 4 * content[3]:
        raise BenchError(f"{path}: not an IDX file")
    rank = content[3]
    shape = struct.unpack(f">{rank}I", content[4 : 4 + 4 * rank])
    kind, body = _IDX_TYPES[content[2]], content[4 + 4 * rank :]
    expected = kind.itemsize * int(np.prod(shape, dtype=np.int64))
    if len(body) != expected:
        raise BenchError(f"{path}: truncated IDX file: {len(body):,} bytes of data, its header says {expected:,}")
    return np.frombuffer(body, kind).reshape(shape)


def read_rows(path: Path, size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
    """A lossless picture that holds one small picture in each row of pixels: ``(rows, height, width, channels)``.

    Raises:
        BenchError: broken, or rows of another length.
    """
    picture = decode_picture(path, channels)
    height, width = size
    if picture.shape[1] != height * width:
        raise BenchError(f"{path}: rows of {picture.shape[1]} pixels, but size is {height} x {width}")
    return picture.reshape(-1, height, width, channels)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """``(H, W)`` uint8 of a grey picture file, ``(H, W, 3)`` of any other.

    Turned upright as its EXIF tags say; transparency is laid over white; 16-bit pictures and floats in 0..1 are scaled
    to 8 bits.

    Raises:
        BenchError: no such file, or not a picture.
    """
    picture = decode_picture(path)
    return picture[:, :, 0] if picture.shape[2] == 1 else picture


def _fit(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Cropped to the middle in the target's proportions, then scaled (antialiased)."""
    from PIL import Image

    (height, width), (h, w, channels) = size, picture.shape
    if (h, w) == size:
        return picture
    scale = min(h / height, w / width)
    ch, cw = min(h, max(1, round(height * scale))), min(w, max(1, round(width * scale)))
    top, left = (h - ch) // 2, (w - cw) // 2
    crop = picture[top : top + ch, left : left + cw]
    image = Image.fromarray(crop[..., 0] if channels == 1 else crop)
    image = image.resize((width, height), Image.Resampling.BOX if scale > 1 else Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.uint8).reshape(height, width, channels)


@dataclass(frozen=True)
class Pictures:
    """Pictures of a folder.

    Attributes:
        names: file names below the folder, sorted, of the readable ones.
        images: ``(N, H, W, C)`` if a size was asked for, else one array for each name.
        broken: what is wrong with each file that was left out.
    """

    names: list[str]
    images: list[NDArray[np.uint8]]
    broken: list[str] = field(default_factory=list)


def read_pictures(
    folder: Path, size: tuple[int, int] | None, channels: int | None, on_broken: str = "refuse", *, quiet: bool = True
) -> Pictures:
    """All pictures below ``folder``.

    Args:
        folder: searched with its subfolders.
        size: scale to (height, width), cropped in the middle; None keeps each as it is.
        channels: 1 or 3; None keeps grey pictures grey, ``(H, W, 1)``.
        on_broken: ``skip`` leaves unreadable files out, ``refuse`` raises; both name every one of them.
        quiet: no progress.

    Raises:
        BenchError: broken files and ``refuse``, or not one readable picture.
    """
    files = visible_files(folder, PICTURES)
    found = Pictures([], [])
    with Progress(f"reading pictures of {folder.name}", len(files), "pictures", quiet=quiet) as progress:
        for path in files:
            try:
                picture = decode_picture(path, channels)
                found.images.append(_fit(picture, size) if size else picture)
                found.names.append(path.relative_to(folder).as_posix())
            except BenchError as error:
                found.broken.append(str(error))
            progress.update()
    if found.broken and on_broken == "refuse":
        listed = "\n".join(f"- {b}" for b in found.broken)
        raise BenchError(
            f"{folder}: {len(found.broken)} of {len(files)} pictures cannot be read:\n{listed}\n"
            "Repair or remove them, or set `on_broken: skip` in the card."
        )
    if not found.names:
        raise BenchError(f"{folder}: not one readable picture ({', '.join(PICTURES)})")
    return found


def _caption_rows(path: Path, encoding: str) -> list[tuple[int, str, str]]:
    """(line, file, caption) of a .tsv or .csv with the columns file and caption, or a .jsonl with those keys."""
    if path.suffix.lower() in DELIMITERS:
        table = read_table(path, encoding)
        file, caption = table.places("file", "caption")
        return [(line, fields[file], fields[caption]) for line, fields in table.rows]
    rows = []
    for number, line in enumerate(split_lines(read_text(path, encoding)), 1):
        if line.strip():
            try:
                entry = json.loads(line)
                rows.append((number, str(entry["file"]), str(entry["caption"])))
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise BenchError(f"{path}: line {number}: not a JSON object with `file` and `caption`") from error
    return rows


def read_captions(folder: Path, where: str, names: Sequence[str], encoding: str = "utf-8") -> list[tuple[str, str]]:
    """(picture, caption) pairs, by picture name; a picture may have several captions.

    Args:
        folder: of the data set.
        where: ``sidecar`` (``cat.txt`` beside ``cat.png``; one caption a line), or the name of a .tsv, .csv or .jsonl
            file.
        names: the readable pictures; captions of others are left out.
        encoding: the card's.

    Raises:
        BenchError: a malformed file, an empty caption, a caption of a picture that is not there, or a picture without
            caption.
    """
    pairs: list[tuple[str, str]] = []
    problems: list[str] = []
    readable = set(names)
    if where == "sidecar":
        for name in names:
            side = (folder / name).with_suffix(".txt")
            lines = split_lines(read_text(side, encoding)) if side.exists() else []
            pairs += [(name, line.strip()) for line in lines if line.strip()]
    else:
        path = folder / where
        if not path.exists() or path.suffix.lower() not in (*DELIMITERS, ".jsonl"):
            raise BenchError(f"{path}: captions: must be `sidecar` or a .tsv, .csv or .jsonl file among the members")
        for line, stored, caption in _caption_rows(path, encoding):
            file = composed(stored)
            if not caption.strip():
                problems.append(f"{path}: line {line}: no caption for {file!r}")
            elif not (folder / file).is_file():
                problems.append(f"{path}: line {line}: no picture {file!r}")
            elif file in readable:
                pairs.append((file, " ".join(caption.split())))
    captioned = {name for name, _ in pairs}
    problems += [f"{folder / name}: no caption" for name in names if name not in captioned]
    if problems:
        raise BenchError(
            f"{folder}: captions and pictures do not fit together:\n" + "\n".join(f"- {p}" for p in problems)
        )
    return sorted(pairs)
