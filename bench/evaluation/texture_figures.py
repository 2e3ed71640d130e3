"""Textures side by side, with names at the rows and columns: figures for the report, drawn with Pillow and its own
font."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.files import SampleSet
from bench.families.by_example.textures.sampling import Holes, Piece, tiles
from bench.results.pictures import png_data_uri

__all__ = ["holes_figure", "labelled_grid", "outward_figure", "windows_figure"]

Picture = NDArray[np.uint8]
FONT, GAP = 15, 6


def labelled_grid(
    rows: Sequence[Sequence[Picture]],
    names: Sequence[str],
    titles: Sequence[str] | Sequence[Sequence[str]],
    scale: int = 2,
) -> str:
    """Rows of pictures as a PNG data URI, enlarged without smoothing, in at most 256 colours.

    Args:
        rows: pictures ``(h, w, C)`` uint8, as many in each row as there are ``titles``; sizes may differ.
        names: one for each row; empty for none.
        titles: one for each column, or a list of them above each row.
        scale: whole-number enlargement.
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(FONT)
    above: list[Sequence[str]] = [[str(title) for title in titles]] if isinstance(titles[0], str) else list(titles)
    above += [()] * (len(rows) - len(above))
    left = max((round(font.getlength(name)) for name in names), default=-GAP) + 2 * GAP
    widths = [max(row[i].shape[1] for row in rows) * scale for i in range(len(rows[0]))]
    for line in above:
        widths = [
            max(width, round(font.getlength(title)))
            for width, title in zip(widths, line or [""] * len(widths), strict=True)
        ]
    heights = [max(max(cell.shape[0] for cell in row) * scale, FONT) for row in rows]
    height_of_all = sum(heights) + GAP * (len(rows) + 1) + sum(FONT + GAP for line in above if line)
    sheet = Image.new("RGB", (left + sum(widths) + GAP * len(widths), height_of_all), "white")
    pen = ImageDraw.Draw(sheet)
    starts = [left + sum(widths[:i]) + GAP * i for i in range(len(widths))]
    y = GAP
    for i, (row, height) in enumerate(zip(rows, heights, strict=True)):
        for x, title in zip(starts, above[i], strict=False):
            pen.text((x, y), title, fill="black", font=font)
        y += FONT + GAP if above[i] else 0
        if names:
            pen.text((GAP, y + height // 2 - FONT // 2), names[i], fill="black", font=font)
        for x, cell in zip(starts, row, strict=True):
            image = Image.fromarray(cell[:, :, 0] if cell.shape[2] == 1 else cell)
            sheet.paste(image.resize((cell.shape[1] * scale, cell.shape[0] * scale), Image.Resampling.NEAREST), (x, y))
        y += height + GAP
    return png_data_uri(np.asarray(sheet), 256, dither=False)


def windows_figure(sets: Sequence[SampleSet], pieces: Mapping[str, Piece]) -> dict[str, Any]:
    """A row for each exemplar: itself, then one picture of every window."""
    rows = []
    for i, piece in enumerate(pieces.values()):
        rows.append(
            [
                piece.exemplar,
                *(item.images[i * len(item.images) // len(pieces)] for item in sets if item.images is not None),
            ]
        )
    windows = [item.variant.removeprefix("window=") for item in sets]
    return {
        "title": "Window sizes side by side",
        "png": labelled_grid(rows, list(pieces), ["exemplar", *(f"window {window}" for window in windows)]),
        "alt": f"Rows: {', '.join(pieces)}. Columns: the exemplar, then pictures grown with windows of "
        f"{', '.join(windows)} pixels",
        "note": "Too small a window loses the structure, a large one keeps it and in the end copies.",
    }


def holes_figure(sets: Sequence[SampleSet], pieces: Mapping[str, Piece], holes: Holes, where: str) -> dict[str, Any]:
    """A row for each exemplar: the truth, the hole, then the first hole filled in every way."""
    rows = []
    for i, piece in enumerate(pieces.values()):
        truth = tiles(piece, holes, where)[0]
        broken = np.where(holes.known[:, :, None], truth, 255).astype(np.uint8)
        rows.append([truth, broken, *(item.images[i * holes.count] for item in sets if item.images is not None)])
    ways = []
    for item in sets:
        options = dict(part.split("=", 1) for part in item.variant.split(","))
        ways.append(", ".join(value for key, value in options.items() if key != "task") or "filled")
    return {
        "title": "Holes in unseen pieces, filled from the exemplar",
        "png": labelled_grid(rows, list(pieces), ["truth", "hole", *ways]),
        "alt": f"Rows: {', '.join(pieces)}. Columns: what was there, the hole, and how it was filled: "
        f"{'; '.join(ways)}",
        "note": "Each hole lies in a piece of the photograph that the exemplar does not overlap; the margin around "
        "it is real.",
    }


def outward_figure(samples: SampleSet, pieces: Mapping[str, Piece], columns: int = 3) -> dict[str, Any]:
    """Exemplars grown outwards."""
    assert samples.images is not None
    cells, names = list(samples.images), list(pieces)
    empty = -len(cells) % columns
    padded, titles = cells + [np.full_like(cells[0], 255)] * empty, names + [""] * empty
    starts = range(0, len(padded), columns)
    return {
        "title": "Grown outwards",
        "png": labelled_grid([padded[i : i + columns] for i in starts], [], [titles[i : i + columns] for i in starts]),
        "alt": f"Extrapolated exemplars: {', '.join(names)}",
        "note": "The middle of each is the exemplar; everything around it grew, window "
        f"{samples.variant.rpartition('=')[2]}.",
    }
