"""A table of pictures with names at its rows and titles over its columns, as one picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["labelled_grid"]

FONT, GAP = 15, 6


def labelled_grid(
    rows: Sequence[Sequence[NDArray[np.uint8]]],
    titles: Sequence[str] | Sequence[Sequence[str]],
    names: Sequence[str] = (),
    scale: int = 1,
) -> NDArray[np.uint8]:
    """Rows of pictures, enlarged without smoothing.

    Args:
        rows: pictures ``(h, w, C)`` uint8, as many in each row as there are ``titles``; sizes may differ.
        titles: one for each column, or a list of them above each row.
        names: one for each row, or none.
        scale: whole-number enlargement.

    Returns:
        ``(height, width, 3)`` uint8.

    Raises:
        ValueError: rows of unequal length.
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(FONT)
    above: list[Sequence[str]] = [[str(title) for title in titles]] if isinstance(titles[0], str) else list(titles)
    if {len(row) for row in rows} != {len(above[0])}:
        raise ValueError(f"expected rows of {len(above[0])} pictures, got rows of {[len(row) for row in rows]}")
    above += [()] * (len(rows) - len(above))
    left = max((round(font.getlength(name)) + 2 * GAP for name in names), default=GAP)
    widths = [max(row[i].shape[1] for row in rows) * scale for i in range(len(rows[0]))]
    for line in above:
        lengths = [round(font.getlength(title)) for title in line] or widths
        widths = [max(pair) for pair in zip(widths, lengths, strict=True)]
    heights = [max(max(cell.shape[0] for cell in row) * scale, FONT) for row in rows]
    height = sum(heights) + GAP * (len(rows) + 1) + sum(FONT + GAP for line in above if line)
    sheet = Image.new("RGB", (left + sum(widths) + GAP * len(widths), height), "white")
    pen = ImageDraw.Draw(sheet)
    starts = [left + sum(widths[:i]) + GAP * i for i in range(len(widths))]
    y = GAP
    for i, row in enumerate(rows):
        for x, title in zip(starts, above[i], strict=False):
            pen.text((x, y), title, fill="black", font=font)
        y += FONT + GAP if above[i] else 0
        if names:
            pen.text((GAP, y + heights[i] // 2 - FONT // 2), names[i], fill="black", font=font)
        for x, cell in zip(starts, row, strict=True):
            image = Image.fromarray(cell[:, :, 0] if cell.shape[2] == 1 else cell)
            sheet.paste(image.resize((cell.shape[1] * scale, cell.shape[0] * scale), Image.Resampling.NEAREST), (x, y))
        y += heights[i] + GAP
    return np.asarray(sheet)
