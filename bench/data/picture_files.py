"""Picture files into uint8 arrays: the one decoder of every reader.

What a viewer shows is what is read: EXIF orientation is carried out, transparency lies over white, deep grey pictures
are scaled to 8 bits, and of an animation the first frame counts.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["PICTURES", "decode_picture"]

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
MAX_PIXELS = 1 << 27
"""Larger pictures are taken for decompression bombs; the largest cameras of telephones stay below."""
_ORIENTATION = 0x0112
_GREY_STEPS = {"L;2": (3, 85), "L;4": (15, 17)}
"""Raw mode of a PNG with 2 or 4 bits -> (mask of a stored value, its step in 8 bits)."""


def decode_picture(source: Path | bytes, channels: int | None = None, name: str = "") -> NDArray[np.uint8]:
    """A picture file as it is shown: ``(H, W, C)`` uint8.

    Args:
        source: a file, or the bytes of one.
        channels: 1 or 3; None keeps grey pictures grey and makes any other RGB.
        name: for messages; the path if there is one.

    Raises:
        BenchError: no such file, not a picture, broken, too large, or grey values outside of what can be scaled.
    """
    from PIL import Image

    name = name or (str(source) if isinstance(source, Path) else "the picture")
    try:
        with (
            warnings.catch_warnings(action="ignore"),  # of sizes below our own limit, and of broken tags
            Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as file,
        ):
            if file.width * file.height > MAX_PIXELS:
                raise ValueError(f"{file.width}x{file.height} pixels are more than {MAX_PIXELS:,}: reduce it first")
            raw_mode = _raw_mode(file)  # Pillow forgets it while loading
            file.load()
            grey = file.mode in ("1", "L", "LA", "La", "F") or file.mode.startswith("I")
            array = _over_white(file, raw_mode, channels or (1 if grey else 3))
            array = _upright(array, _orientation(file))
    except Exception as error:  # Pillow's plug-ins raise whatever they stumble over in a broken file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if isinstance(source, Path):
            reason = reason.replace(str(source), source.name)
        raise BenchError(f"{name}: not a readable picture ({reason})") from error
    return np.ascontiguousarray(array)


def _raw_mode(file: Image.Image) -> str:
    """How the samples are stored (``L;4``: grey of 4 bits), as far as the format tells."""
    tiles: list[Any] = getattr(file, "tile", None) or [("", (), 0, "")]
    return tiles[0][3] if isinstance(tiles[0][3], str) else ""


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Deep grey pictures scaled to 0..255, which Pillow would only cut off there: 16 bits, and floats in 0..1.

    Raises:
        ValueError: values outside the range.
    """
    from PIL import Image

    if not picture.mode.startswith(("I", "F")):
        return picture
    values = np.asarray(picture).astype(np.float64)
    low, high = (0.0, 1.0) if picture.mode == "F" else (0.0, 65535.0)
    if not np.isfinite(values).all() or values.min() < low or values.max() > high:
        raise ValueError(
            f"values from {values.min():g} to {values.max():g}, mode {picture.mode}: rescale them to 8 bits first"
        )
    return Image.fromarray(np.rint(values * (255.0 / high)).astype(np.uint8))


def _over_white(file: Image.Image, raw_mode: str, channels: int) -> NDArray[np.uint8]:
    """``(H, W, channels)`` of a loaded picture, transparency laid over white."""
    from PIL import Image

    picture, clear = _eight_bits(file), None
    key = file.info.get("transparency")
    if file.mode.endswith("a"):  # premultiplied
        picture = file.convert(f"{file.mode[:-1]}A")
    if "A" in picture.getbands() or (file.mode == "P" and key is not None):
        layer = picture.convert("RGBA")
        picture = Image.new("RGBA", layer.size, "white")
        picture.alpha_composite(layer)
    elif isinstance(key, int | tuple):
        clear = _equals(np.asarray(file), key, raw_mode)
    array = np.asarray(picture.convert("L" if channels == 1 else "RGB"), dtype=np.uint8)
    array = array.reshape(*array.shape[:2], channels)
    return array if clear is None else np.where(clear[:, :, None], np.uint8(255), array)


def _equals(values: NDArray[Any], key: int | tuple[int, ...], raw_mode: str) -> NDArray[np.bool_]:
    """Which pixels have the one colour that a file declares transparent, ``(H, W)``.

    A PNG gives the colour in its stored depth, and Pillow does not scale it. Of 16-bit colours Pillow keeps the high
    bytes, so that these alone can be compared.
    """
    if isinstance(key, tuple):
        wanted = np.array([part >> 8 if ";16" in raw_mode else part & 255 for part in key])
        same: NDArray[np.bool_] = (values.reshape(*values.shape[:2], -1) == wanted).all(axis=2)
        return same
    if values.dtype == np.bool_:
        key = int(key > 0)
    elif values.dtype == np.uint8:
        mask, step = _GREY_STEPS.get(raw_mode, (255, 1))
        key = (key & mask) * step
    same = values == key
    return same


def _orientation(file: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or the tags are broken."""
    try:
        found = file.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken tags are no reason to refuse the picture: viewers show it as it is stored
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _upright(array: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Stored rows and columns into shown ones (EXIF 2.3, tag 0x0112).

    >>> [int(_upright(np.array([[1, 2], [3, 4]], np.uint8)[..., None], o)[0, 0, 0]) for o in range(1, 9)]
    [1, 2, 4, 3, 1, 3, 4, 2]
    """
    if orientation >= 5:
        array = array.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array
