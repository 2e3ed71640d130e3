"""Pictures small enough for one page: WebP, exact for drawings and grey samples, compressed for photographs."""

from __future__ import annotations

import io
from functools import lru_cache

from bench.results.pictures import png_size

__all__ = ["small_picture"]

_FEW_COLOURS, _SMALL_SHEET, _LARGE_SHEET = 96, 60_000, 250_000
_QUALITIES = (80, 55, 42)
"""Of a small sheet of samples, which is looked at pixel by pixel; of a photograph; of a sheet of many photographs."""
_WORTH = 0.6
"""A compressed picture must be this much smaller than the exact one."""


@lru_cache(maxsize=512)
def small_picture(png: bytes) -> tuple[str, bytes]:
    """MIME type and content of the smallest of the given file, exact WebP and (in colour alone) compressed WebP.

    Raises:
        ValueError: not a PNG.
    """
    from PIL import Image

    width, height = png_size(png)
    image: Image.Image = Image.open(io.BytesIO(png))
    grey = image.mode in ("L", "1", "I;16")
    image = image.convert("L" if grey else "RGB")

    def encoded(**options: int | bool) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", **options)
        return buffer.getvalue()

    exact = min(("image/png", png), ("image/webp", encoded(lossless=True, quality=60, method=3)), key=_size)
    if grey or len(image.getcolors(width * height) or ()) <= _FEW_COLOURS:
        return exact
    quality = _QUALITIES[(width * height > _SMALL_SHEET) + (width * height > _LARGE_SHEET)]
    small = "image/webp", encoded(quality=quality, method=4)
    return small if _size(small) <= _WORTH * _size(exact) else exact


def _size(file: tuple[str, bytes]) -> int:
    return len(file[1])
