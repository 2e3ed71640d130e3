"""Pictures as PNG files in memory: grids of samples, drawn figures, sizes."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.base.finite import pixels_of

__all__ = ["figure_png", "grid", "png", "png_bytes", "png_size"]


def grid(
    images: NDArray[Any],
    columns: int = 10,
    gap: int = 2,
    background: int = 255,
    scale: int = 1,
) -> NDArray[np.uint8]:
    """Many pictures of one size as one picture, row by row.

    Args:
        images: ``(N, H, W)`` or ``(N, H, W, C)`` uint8, C in {1, 3}.
        columns: pictures in a row (fewer if N is smaller).
        gap: pixels between pictures.
        background: grey value of the gaps and of empty places.
        scale: whole-number enlargement (nearest neighbour).

    Returns:
        ``(rows, cols, C)`` uint8.

    Raises:
        ValueError: no pictures, or a wrong shape.
        BenchError: NaN, infinity, or values outside of 0 to 255.

    >>> grid(np.zeros((3, 4, 4, 1), np.uint8), columns=2, gap=1).shape
    (9, 9, 1)
    """
    array = pixels_of(images)
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or len(array) == 0 or array.shape[-1] not in (1, 3):
        raise ValueError(f"expected (N, H, W) or (N, H, W, 1|3) with N > 0, got {array.shape}")
    if scale > 1:
        array = array.repeat(scale, axis=1).repeat(scale, axis=2)
    n, height, width, channels = array.shape
    columns = max(1, min(columns, n))
    rows = -(-n // columns)
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), background, dtype=np.uint8)
    for i in range(n):
        y, x = (i // columns) * (height + gap), (i % columns) * (width + gap)
        canvas[y : y + height, x : x + width] = array[i]
    return canvas


def png_bytes(image: NDArray[Any]) -> bytes:
    """PNG file of a uint8 picture ``(H, W)``, ``(H, W, 1)`` or ``(H, W, 3)``; the bytes depend on the pixels alone.

    Raises:
        ValueError: another shape.
        BenchError: NaN, infinity, or values outside of 0 to 255.
    """
    array = np.ascontiguousarray(pixels_of(image))
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3) or array.size == 0:
        raise ValueError(f"expected a picture (H, W), (H, W, 1) or (H, W, 3), got {array.shape}")
    return _packed(Image.fromarray(array.squeeze(-1) if array.shape[-1] == 1 else array))


def _packed(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def png(image: NDArray[Any], colours: int = 0, dither: bool = True) -> bytes:
    """PNG file of a uint8 picture (see :func:`png_bytes`), in fewer colours where asked.

    Args:
        image: ``(H, W)``, ``(H, W, 1)`` or ``(H, W, 3)``.
        colours: 2 to 256: an RGB picture keeps this many chosen colours, which takes a third of the bytes for
            photographs; 0 keeps all.
        dither: spread the error of a chosen colour over its neighbours (good for photographs, bad for letters).

    >>> png(np.zeros((2, 3), np.uint8))[1:4], png_size(png(np.zeros((2, 3), np.uint8)))
    (b'PNG', (3, 2))
    """
    array = pixels_of(image)
    if not colours or array.ndim != 3 or array.shape[-1] != 3:
        return png_bytes(array)
    spread = Image.Dither.FLOYDSTEINBERG if dither else Image.Dither.NONE
    return _packed(Image.fromarray(array).quantize(colours, method=Image.Quantize.MEDIANCUT, dither=spread))


def figure_png(figure: Any) -> bytes:
    """PNG file of a matplotlib figure, in 128 colours; nothing in it depends on the clock."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return png(np.asarray(canvas.buffer_rgba())[..., :3], colours=128, dither=False)


def png_size(content: bytes) -> tuple[int, int]:
    """(width, height) in pixels of a PNG file.

    Raises:
        ValueError: not a PNG.
    """
    if content[:8] != b"\x89PNG\r\n\x1a\n" or len(content) < 24:
        raise ValueError("not a PNG")
    width, height = struct.unpack(">II", content[16:24])
    return int(width), int(height)
