"""Colour of image analogies: YIQ, luminance remapping, and reading what a user gives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.finite import rounded_pixels

__all__ = ["as_unit", "luminance", "remapping", "rgb_to_yiq", "to_bytes", "yiq_to_rgb"]

Floats = NDArray[np.float64]

_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_RGB = np.linalg.inv(_YIQ)


def as_unit(picture: NDArray[np.uint8], what: str) -> Floats:
    """``(H, W, 1)`` or ``(H, W, 3)`` in 0..1.

    Raises:
        BenchError: another type (16 bits, floats), another number of channels (alpha), or no pixels.
    """
    array = np.asarray(picture)
    if array.dtype != np.uint8:
        raise BenchError(
            f"{what} is {array.dtype}; image analogies work on 8-bit pictures (uint8): rescale it to 0..255 first"
        )
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3):
        raise BenchError(
            f"{what} has shape {array.shape}; allowed are (H, W), (H, W, 1) and (H, W, 3): drop an alpha channel first"
        )
    if array.size == 0:
        raise BenchError(f"{what} has no pixels: its shape is {array.shape}")
    return array.astype(np.float64) / 255.0


def to_bytes(picture: Floats) -> NDArray[np.uint8]:
    """0..1 (cut off there) as uint8."""
    return rounded_pixels(picture * 255.0)


def rgb_to_yiq(picture: Floats) -> Floats:
    """``(..., 3)`` RGB to the NTSC's luminance and two chroma channels.

    >>> np.abs(rgb_to_yiq(np.ones((1, 3)))).round(6).tolist()
    [[1.0, 0.0, 0.0]]
    """
    # Sums in a fixed order: a matrix product may round otherwise beside other pixels.
    return np.stack([sum(weight * picture[..., i] for i, weight in enumerate(row)) for row in _YIQ], axis=-1)


def yiq_to_rgb(picture: Floats) -> Floats:
    """The inverse of :func:`rgb_to_yiq`."""
    return np.stack([sum(weight * picture[..., i] for i, weight in enumerate(row)) for row in _RGB], axis=-1)


def luminance(picture: Floats) -> Floats:
    """``(H, W, 1)``: Y of a colour picture, a grey one as it is."""
    return picture if picture.shape[2] == 1 else rgb_to_yiq(picture)[:, :, :1]


def remapping(a: Floats, b: Floats) -> tuple[float, float]:
    """``(gain, offset)`` that give B the mean and standard deviation of A: section 3.4 of the paper.

    The paper maps A and A' to B, ``Y <- (sigma_B / sigma_A) (Y - mu_A) + mu_B``. Here B is mapped to A and the answer
    back, which scales all distances alike and so chooses the same pixels, and one search serves any number of B. A
    constant A or B is only shifted.

    >>> remapping(np.array([0.2, 0.4]), np.array([0.5, 0.9]))
    (0.5, -0.05)
    """
    spread_a, spread_b = float(a.std()), float(b.std())
    gain = spread_a / spread_b if min(spread_a, spread_b) > 1e-6 else 1.0
    return round(gain, 12), round(float(a.mean()) - gain * float(b.mean()), 12)
