"""A table of pictures with titles over its columns, as one picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["labelled_grid"]

INK = (70, 74, 84)
GAP = 4


def labelled_grid(
    rows: Sequence[Sequence[NDArray[np.uint8]]], columns: Sequence[str], scale: int = 1
) -> NDArray[np.uint8]:
    """Pictures of one size in rows and columns, a title over each column.

    Args:
        rows: pictures ``(H, W, 3)`` uint8; every row as long as ``columns``.
        columns: their titles.
        scale: whole-number enlargement of the pictures (nearest neighbour).

    Returns:
        ``(height, width, 3)`` uint8.

    Raises:
        ValueError: rows of unequal length, or pictures of unequal size.
    """
    from PIL import Image, ImageDraw, ImageFont

    shapes = {picture.shape for row in rows for picture in row}
    if len(shapes) != 1 or {len(row) for row in rows} != {len(columns)}:
        raise ValueError(
            f"expected rows of {len(columns)} pictures of one size, got {sorted(shapes)} in rows of "
            f"{[len(r) for r in rows]}"
        )
    height, width = (scale * side for side in next(iter(shapes))[:2])
    size = max(11, min(18, width // 9))
    font = ImageFont.load_default(size=size)
    head = int(size * 1.6)
    canvas = Image.new(
        "RGB", (len(columns) * (width + GAP) - GAP, head + len(rows) * (height + GAP) - GAP), (255, 255, 255)
    )
    draw = ImageDraw.Draw(canvas)
    for x, title in enumerate(columns):
        draw.text((x * (width + GAP) + width / 2, head / 2), title, fill=INK, font=font, anchor="mm")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            enlarged = np.repeat(np.repeat(picture, scale, axis=0), scale, axis=1)
            canvas.paste(Image.fromarray(enlarged), (x * (width + GAP), head + y * (height + GAP)))
    return np.asarray(canvas)
