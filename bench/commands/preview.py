"""A picture in the terminal: two pixels in each character, in 24-bit colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["half_blocks"]


def half_blocks(picture: NDArray[np.uint8], columns: int, lines: int = 40) -> str:
    """``picture`` as lines of upper half blocks, reduced by whole numbers to fit.

    Args:
        picture: ``(H, W, C)`` uint8, C in {1, 3}.
        columns: characters in a line.
        lines: most lines.

    >>> half_blocks(np.zeros((2, 1, 1), np.uint8), 80)
    '\\x1b[38;2;0;0;0m\\x1b[48;2;0;0;0m\u2580\\x1b[0m'
    """
    height, width, channels = picture.shape
    step = max(1, -(-width // columns), -(-height // (2 * lines)))
    rows, across = -(-height // step), -(-width // step)
    padded = np.pad(picture, ((0, rows * step - height), (0, across * step - width), (0, 0)), mode="edge")
    small = padded.reshape(rows, step, across, step, channels).mean(axis=(1, 3)).round().astype(int)
    small = np.repeat(small, 3 // channels, axis=2)
    if rows % 2:
        small = np.concatenate([small, np.zeros_like(small[:1])])
    text = []
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        cells = (
            f"\x1b[38;2;{r};{g};{b}m\x1b[48;2;{x};{y};{z}m\u2580"
            for (r, g, b), (x, y, z) in zip(upper, lower, strict=True)
        )
        text.append("".join(cells) + "\x1b[0m")
    return "\n".join(text)
