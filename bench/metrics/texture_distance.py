"""Texture distance: how far the patches of a synthesised texture are distributed from those of real texture.

Sliced Wasserstein distance of patches (Rabin et al. 2012; for textures Heitz et al. 2021, Elnekave and Weiss 2022) at
every level of a Laplacian pyramid, as Karras et al. 2018 compare images; here without decimation ("a trous", Shensa
1992), so that the place of a crop on the grid of a regular texture does not count. It compares distributions, so it has
two sides: what the output lacks counts like what it adds. A mean distance to the nearest patch, even taken both ways
(Simakov et al. 2008), does not: a blurred patch is nearer to any texture than two pieces of it are to each other.

The output is compared with a real piece that its generator has not seen, in units of the distance between two real
pieces. A copy of the exemplar is then one more real piece: it gets about 1 and no less.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.metrics.arrays import canvas

__all__ = ["DIRECTIONS", "LEVELS", "PATCH", "TextureDistance", "level_count", "patch_wasserstein"]

Floats = NDArray[np.float64]
_NAME = "texture_distance"

PATCH = 3
"""Side of the patches. Projections of larger ones are sums of so many pixels that they are nearly normal, and random
phases in place of structure pass unnoticed; larger structure is seen at the coarser levels."""
LEVELS = 4
"""Most levels: with the smoothing before them patches span 3, 7, 15 and 31 pixels of the texture."""
DIRECTIONS = 64
"""Random directions that patches are projected on."""
LEAST_UNIT = 0.25
"""Grey levels: two real pieces that differ by less (a chess board) differ by rounding, which is no unit."""


def level_count(size: tuple[int, ...]) -> int:
    """How many levels of a picture of this height and width hold a patch, at most ``LEVELS``.

    >>> level_count((64, 64)), level_count((20, 22)), level_count((2, 64))
    (4, 3, 0)
    """
    return sum(min(size[:2]) >= 2 ** (level + 2) - 1 for level in range(LEVELS))


def _smoothed(image: Floats, step: int) -> Floats:
    """Weights 1, 2, 1 along both axes, taps ``step`` apart, whole windows only."""
    rows = (image[: -2 * step] + 2 * image[step:-step] + image[2 * step :]) / 4
    return (rows[:, : -2 * step] + 2 * rows[:, step:-step] + rows[:, 2 * step :]) / 4


def _pyramid(image: NDArray[Any]) -> list[Floats]:
    """What each smoothing takes away, finest first, then what is left: ``(H, W, C)`` each."""
    levels, rest = [], image.astype(np.float64)
    for level in range(level_count(image.shape) - 1):
        step = 2**level
        smooth = _smoothed(rest, step)
        levels.append(rest[step:-step, step:-step] - smooth)
        rest = smooth
    return [*levels, rest]


@lru_cache(maxsize=8)
def _directions(dimensions: int) -> Floats:
    """Unit vectors ``(DIRECTIONS, dimensions)``, the same at each call: they belong to the protocol."""
    drawn = np.random.default_rng(0).normal(size=(DIRECTIONS, dimensions))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


def _projections(image: NDArray[Any]) -> list[Floats]:
    """Of each level the sorted projections of all patches, ``(DIRECTIONS, P)``; pixels of a patch are as far apart as
    the taps of the level's smoothing."""
    found = []
    for level, band in enumerate(_pyramid(image)):
        step = 2**level
        span = (PATCH - 1) * step + 1
        patches = sliding_window_view(band, (span, span), axis=(0, 1))[..., ::step, ::step]
        vectors = patches.reshape(-1, band.shape[2] * PATCH**2)
        found.append(np.sort(_directions(vectors.shape[1]) @ vectors.T, axis=1))
    return found


def _wasserstein(one: list[Floats], two: list[Floats]) -> Floats:
    """Of each level: the first Wasserstein distance of equally many numbers is that of their ranks."""
    return np.array([np.abs(a - b).mean() for a, b in zip(one, two, strict=True)])


def patch_wasserstein(one: NDArray[Any], two: NDArray[Any]) -> Floats:
    """Sliced first Wasserstein distance of the patches of two pictures of one shape, in grey levels, ``(levels,)``.

    Equal sizes give equal numbers of patches, hence equal bias: the distance of finite samples is never zero.

    >>> stripes = np.tile(np.array([0.0, 8.0]), (16, 8))
    >>> patch_wasserstein(stripes, stripes).tolist()
    [0.0, 0.0, 0.0]

    Raises:
        BenchError: another shape, or pictures smaller than a patch.
    """
    one, two = canvas(one, _NAME), canvas(two, _NAME)
    if one.shape != two.shape or not level_count(one.shape):
        raise BenchError(
            f"texture_distance: two pictures of one shape and at least {PATCH}x{PATCH} pixels are compared, not "
            f"{one.shape} and {two.shape}"
        )
    return _wasserstein(_projections(one), _projections(two))


class TextureDistance:
    """Distance of pictures of one size to a real piece, in units of the distance of another real piece to it.

    Every distance is the mean over crops of the pieces of the same size, so that pieces of different sizes have no
    different bias. Each level is divided by its own unit; the mean over the levels is the result.

    Attributes:
        size: height and width that are compared: those of the pictures, or of the smallest piece.
        unit: distance of the two real pieces at each level, in grey levels.
    """

    def __init__(self, reference: NDArray[Any], other: NDArray[Any], size: tuple[int, int]) -> None:
        """
        Args:
            reference: real piece that the makers of the pictures have not seen, ``(H, W)`` or ``(H, W, C)``.
            other: another real piece of the same texture, which does not overlap it.
            size: height and width of the pictures.

        Raises:
            BenchError: a piece too small for a patch, or pieces of different channels.
        """
        reference, other = canvas(reference, _NAME), canvas(other, _NAME)
        shapes = [size, reference.shape[:2], other.shape[:2]]
        self.size = (min(shape[0] for shape in shapes), min(shape[1] for shape in shapes))
        if not level_count(self.size) or reference.shape[2] != other.shape[2]:
            raise BenchError(
                f"texture_distance: pieces of shapes {reference.shape} and {other.shape} for pictures of {size}: each "
                f"must be at least {PATCH}x{PATCH}, with the same channels"
            )
        self.channels = reference.shape[2]
        self._real = [_projections(crop) for crop in self._crops(reference)]
        self.unit = np.maximum(self._levels(other), LEAST_UNIT)

    def _crops(self, image: NDArray[Any]) -> list[NDArray[Any]]:
        """The crops of that size in the corners; one where they are the same."""
        starts = [sorted({0, image.shape[axis] - self.size[axis]}) for axis in (0, 1)]
        return [image[y : y + self.size[0], x : x + self.size[1]] for y, x in product(*starts)]

    def _levels(self, image: NDArray[Any]) -> Floats:
        crops = [_projections(crop) for crop in self._crops(image)]
        return np.asarray(np.mean([_wasserstein(crop, real) for crop in crops for real in self._real], axis=0))

    def of(self, picture: NDArray[Any]) -> float:
        """The distance of a picture ``(H, W)`` or ``(H, W, C)``: about 1 for real texture, more for anything else.

        Raises:
            BenchError: other channels than the pieces', or smaller than they were prepared for.
        """
        picture = canvas(picture, _NAME)
        if picture.shape[2] != self.channels or min(np.subtract(picture.shape[:2], self.size)) < 0:
            raise BenchError(
                f"texture_distance: a picture of shape {picture.shape} cannot be compared with "
                f"{self.channels} channels of {self.size[0]}x{self.size[1]} pixels"
            )
        return float((self._levels(picture) / self.unit).mean())
