"""Filters whose answer is known: A' = filter(A), and what an analogy should make of B is filter(B)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["FILTERS", "blur", "edge", "emboss", "painterly"]

Picture = NDArray[np.uint8]
_LUMA = np.array([0.299, 0.587, 0.114])


def _bytes(values: NDArray[np.float64]) -> Picture:
    rounded: Picture = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded


def _grey(picture: Picture) -> NDArray[np.float64]:
    """Luminance, ``(H, W)`` in 0..255."""
    values = picture.astype(np.float64)
    return (
        values
        if values.ndim == 2
        else sum((values[:, :, i] * weight for i, weight in enumerate(_LUMA)), np.zeros(values.shape[:2]))
    )


def blur(picture: Picture, sigma: float = 2.0) -> Picture:
    """Gaussian blur of every channel."""
    from scipy.ndimage import gaussian_filter

    return _bytes(gaussian_filter(picture.astype(np.float64), sigma, axes=(0, 1), mode="reflect"))


def edge(picture: Picture, gain: float = 0.6) -> Picture:
    """Dark lines on white where the luminance is steep (Sobel magnitude), ``(H, W)``."""
    from scipy.ndimage import sobel

    grey = _grey(picture)
    return _bytes(255.0 - gain * np.hypot(sobel(grey, 0), sobel(grey, 1)))


def emboss(picture: Picture, gain: float = 0.5) -> Picture:
    """A relief lit from the top left: middle grey plus the luminance's derivative down the diagonal, ``(H, W)``.

    >>> emboss(np.full((4, 4), 90, np.uint8)).tolist()[0]
    [128, 128, 128, 128]
    """
    from scipy.ndimage import sobel

    grey = _grey(picture)
    return _bytes(128.0 + gain * (sobel(grey, 0) + sobel(grey, 1)) / np.sqrt(2.0))


def painterly(picture: Picture, radius: int = 3) -> Picture:
    """Kuwahara's filter (1976): each pixel becomes the mean of that of its four quadrants in which the luminance varies
    least."""
    from scipy.ndimage import uniform_filter

    colour = np.atleast_3d(picture).astype(np.float64)
    grey, side = _grey(picture), radius + 1
    best, result = np.full(grey.shape, np.inf), np.empty_like(colour)
    for down in (True, False):
        for right in (True, False):
            # The window of `side` pixels that ends (or begins) at the pixel itself, in each direction.
            origin = tuple(-(side // 2) if ahead else side - 1 - side // 2 for ahead in (down, right))
            mean = uniform_filter(grey, side, origin=origin, mode="reflect")
            variance = uniform_filter(grey**2, side, origin=origin, mode="reflect") - mean**2
            means = np.stack(
                [uniform_filter(c, side, origin=origin, mode="reflect") for c in np.moveaxis(colour, 2, 0)], axis=2
            )
            better = variance < best - 1e-6
            best[better], result[better] = variance[better], means[better]
    return _bytes(result.reshape(picture.shape))


FILTERS: Mapping[str, Callable[[Picture], Picture]] = {
    "blur": blur,
    "edge": edge,
    "emboss": emboss,
    "painterly": painterly,
}
"""By name."""
