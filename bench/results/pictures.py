"""Pictures for the report, and the schema of the ``extras`` that an evaluation hands to it.

``Evaluation.extras`` is small JSON. Every key is optional and every list may hold several items; unknown keys are
ignored::

    extras = {
        "gallery": [{                      # a grid of samples; the report puts the real row first, then the models
            "title": "DDIM, 50 steps",     # short, shown above the grid
            "variant": "sampler=ddim,steps=50",
            "png": png_data_uri(grid(images, columns=10)),
            "alt": "Ten generated digits, 0 to 9",          # required: what a blind reader is told
            "columns": 10,                 # how many pictures stand in one row of the grid
            "captions": ["zero", ...],     # optional: one for each picture (the prompts, the asked classes)
            "neighbours_png": png_data_uri(grid(nearest, columns=10)),  # optional: nearest training item of each, same
            order "real_png": png_data_uri(grid(real, columns=10)),           # optional: real pictures for the same
            captions "source_png": ...,             # optional: exemplar (textures) or originals (codecs)
        }],
        "texts": [{"title": "Kneser-Ney, n = 5", "variant": "n=5,smoothing=kneser_ney", "prompt": "To be", "text":
        "..."}], "strips": [{"title": "Noise to digit", "variant": "...", "png": ..., "alt": "...", "captions":
        ["t=999", ..., "t=0"]}], "tables": [{"title": "Ladder of known degradations", "columns": ["what", "FID"],
        "rows": [["blur 1.0", 355.0]], "note": ""}], "curves": [{"title": "FID against DDIM steps", "x": "steps", "y":
        "FID", "log_x": True, "log_y": True,
                    "series": [{"name": "ddim", "points": [[1, 2457.0], [2, 2352.0]]}]}],
        "videos": [{"title": "Endless play", "variant": "", "mp4": "data:video/mp4;base64,...", "poster":
        png_data_uri(frame),
                    "alt": "A pendulum that swings for ever", "note": "", "loop": True}],   # H.264 in yuv420p plays
                    everywhere
        "figures": [{"title": "Transition matrix", "png": ..., "alt": "...", "note": "", "density": 2}],  # pixels for
        each of the page's "notes": ["one plain sentence that a reader needs beside the numbers"],
    }

Use the same prompts and seeds in every model of a family and keep a picture under about 60 kB: at most 10 by 4 small
samples.
"""

from __future__ import annotations

import base64
import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["data_uri_size", "figure_data_uri", "figure_png", "grid", "png", "png_bytes", "png_data_uri"]


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

    >>> grid(np.zeros((3, 4, 4, 1), np.uint8), columns=2, gap=1).shape
    (9, 9, 1)
    """
    array = np.asarray(images, dtype=np.uint8)
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
    """
    array = np.ascontiguousarray(np.asarray(image, dtype=np.uint8))
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3) or array.size == 0:
        raise ValueError(f"expected a picture (H, W), (H, W, 1) or (H, W, 3), got {array.shape}")
    return _packed(Image.fromarray(array.squeeze(-1) if array.shape[-1] == 1 else array))


def _packed(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _uri(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")


def png(image: NDArray[Any], colours: int = 0, dither: bool = True) -> bytes:
    """PNG file of a uint8 picture (see :func:`png_bytes`), with fewer colours if asked.

    Args:
        image: ``(H, W)``, ``(H, W, 1)`` or ``(H, W, 3)``.
        colours: 2 to 256: an RGB picture keeps this many chosen colours, which takes a third of the bytes for
            photographs; 0 keeps all.
        dither: spread the error of a chosen colour over its neighbours (good for photographs, bad for letters).
    """
    array = np.asarray(image, dtype=np.uint8)
    if not colours or array.ndim != 3 or array.shape[-1] != 3:
        return png_bytes(array)
    spread = Image.Dither.FLOYDSTEINBERG if dither else Image.Dither.NONE
    return _packed(Image.fromarray(array).quantize(colours, method=Image.Quantize.MEDIANCUT, dither=spread))


def png_data_uri(image: NDArray[Any], colours: int = 0, dither: bool = True) -> str:
    """``data:image/png;base64,...`` of :func:`png`.

    >>> png_data_uri(np.zeros((2, 2), np.uint8))[:22]
    'data:image/png;base64,'
    """
    return _uri(png(image, colours, dither))


def figure_png(figure: Any) -> bytes:
    """PNG file of a matplotlib figure, in 128 colours; nothing in it depends on the clock."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return png(np.asarray(canvas.buffer_rgba())[..., :3], colours=128, dither=False)


def figure_data_uri(figure: Any) -> str:
    """``data:image/png;base64,...`` of :func:`figure_png`."""
    return _uri(figure_png(figure))


def data_uri_size(uri: str) -> tuple[int, int]:
    """(width, height) in pixels of a PNG data URI.

    Raises:
        ValueError: not a PNG data URI.
    """
    prefix = "data:image/png;base64,"
    if not uri.startswith(prefix):
        raise ValueError("not a PNG data URI")
    head = base64.b64decode(uri[len(prefix) : len(prefix) + 44])
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("not a PNG data URI")
    width, height = struct.unpack(">II", head[16:24])
    return int(width), int(height)
