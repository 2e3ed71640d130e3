"""Pyramids and neighbourhoods of image analogies (Hertzmann et al. 2001, section 3), as whole numbers.

A feature is every pixel of a neighbourhood times the square root of its Gaussian weight, so that the squared distance
of two features is the weighted sum of squared differences of the paper. The products are rounded to whole numbers so
small that each sum over a feature is one that float32 holds exactly: neither the order of a sum nor a batch nor a
number of threads can change a distance.

Pictures that are worked on together lie below one another in one *atlas* with a frame of mirrored pixels around each,
so that a neighbourhood is a set of offsets into a flat array.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LIMIT", "Atlas", "Windows", "centred", "expand", "pyramid", "reduce", "steerable_responses"]

Floats = NDArray[np.float64]
Features = NDArray[np.float32]
Ints = NDArray[np.int64]

LIMIT = 2.0**22
"""Largest squared length of a feature: a squared distance is at most four times as large, and float32 counts to
2^24."""
LOW, HIGH = -0.25, 1.25
"""Values are cut off here; luminances lie in 0..1, remapped ones may lie beyond."""
_BINOMIAL = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16


def _blur(picture: Floats, axis: int) -> Floats:
    pad = [(0, 0)] * picture.ndim
    pad[axis] = (2, 2)
    framed = np.pad(picture, pad, mode="symmetric")
    length = picture.shape[axis]
    parts = [weight * framed.take(range(i, i + length), axis) for i, weight in enumerate(_BINOMIAL)]
    return np.asarray(sum(parts[1:], parts[0]))


def reduce(picture: Floats) -> Floats:
    """Half the size (rounded up): the 5-tap binomial of Burt and Adelson (1983), mirrored at the edges, every second
    pixel.

    >>> reduce(np.ones((5, 8, 1))).shape
    (3, 4, 1)
    """
    return _blur(_blur(picture, 0), 1)[::2, ::2]


def pyramid(picture: Floats, levels: int) -> list[Floats]:
    """``levels`` pictures, the coarsest first, ``picture`` itself last."""
    found = [picture]
    for _ in range(levels - 1):
        found.append(reduce(found[-1]))
    return found[::-1]


def centred(picture: Floats) -> Features:
    """Values around 0, cut off at -0.75 and 0.75: what features are made of."""
    return (np.clip(picture, LOW, HIGH) - 0.5).astype(np.float32)


def expand(picture: Features, shape: tuple[int, int]) -> Features:
    """Twice the size by repeated pixels, cut to ``shape``: what is known of a level before it is filled."""
    return picture.repeat(2, axis=0).repeat(2, axis=1)[: shape[0], : shape[1]]


def steerable_responses(luminance: Floats, angles: Sequence[float] = (0.0, 45.0, 90.0, 135.0)) -> Floats:
    """Second derivatives of a Gaussian at the given angles (degrees), steered from a basis of three (Freeman and
    Adelson 1991, table III).

    Args:
        luminance: ``(H, W)`` in 0..1.
        angles: direction of the derivative, 0 is along a row.

    Returns:
        ``(H, W, len(angles))`` around 0.5: half of a response that is 0.5 at most for values in 0..1, plus 0.5, gain 4.
    """
    axis = np.arange(-3, 4) * 0.67
    gauss = np.exp(-(axis**2))
    second, first = 0.9213 * (2 * axis**2 - 1) * gauss, np.sqrt(1.843) * axis * gauss
    pairs = ((second, gauss), (first, first), (gauss, second))  # (along a row, along a column) of G2a, G2b, G2c
    framed = np.pad(luminance, 3, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(framed, (7, 7))
    kernels = [np.outer(column, row) for row, column in pairs]
    kernels = [kernel - kernel.mean() for kernel in kernels]  # a constant picture has no derivative
    scale = 1.0 / np.abs(kernels[0]).sum()
    basis = [np.einsum("ijkl,kl->ij", windows, kernel) * scale for kernel in kernels]
    steered = []
    for angle in np.deg2rad(angles):
        c, s = np.cos(angle), np.sin(angle)
        steered.append(c * c * basis[0] - 2 * c * s * basis[1] + s * s * basis[2])
    return 0.5 + 2.0 * np.stack(steered, axis=2)


@dataclass(frozen=True)
class Atlas:
    """Pictures below one another, each in a frame of ``radius`` mirrored pixels.

    Attributes:
        values: ``(cells, C)``, see :func:`centred`.
        stride: cells in a row.
        cells: ``(N,)`` cell of each pixel, picture by picture, row by row.
        pixel: ``(cells,)`` the inverse: number of the pixel in a cell, -1 in the frames.
        place: ``(N, 3)`` picture, row and column of each pixel.
        starts: cell of the first pixel of each picture.
    """

    values: Features
    stride: int
    cells: Ints
    pixel: Ints
    place: Ints
    starts: Ints

    @classmethod
    def of(cls, pictures: Sequence[Features], radius: int) -> Atlas:
        """The atlas of centred pictures ``(H, W, C)`` of any sizes."""
        stride = max(picture.shape[1] for picture in pictures) + 2 * radius
        blocks, starts, places, row = [], [], [], 0
        for number, picture in enumerate(pictures):
            height, width = picture.shape[:2]
            framed = np.pad(picture, ((radius, radius), (radius, radius), (0, 0)), mode="symmetric")
            blocks.append(np.pad(framed, ((0, 0), (0, stride - framed.shape[1]), (0, 0))))
            starts.append((row + radius) * stride + radius)
            y, x = (axis.ravel() for axis in np.indices((height, width)))
            places.append(np.stack([np.full(height * width, number), y, x], axis=1))
            row += height + 2 * radius
        values = np.concatenate(blocks).reshape(row * stride, -1)
        place, first = np.concatenate(places), np.array(starts)
        cells = first[place[:, 0]] + place[:, 1] * stride + place[:, 2]
        pixel = np.full(len(values), -1, dtype=np.int64)
        pixel[cells] = np.arange(len(cells))
        return cls(values, stride, cells, pixel, place, first)

    def parents(self, finer: Atlas) -> Ints:
        """Cell here, one level coarser, that each pixel of ``finer`` lies in."""
        half = finer.place[:, 1:] // 2
        return np.asarray(self.starts[finer.place[:, 0]] + half[:, 0] * self.stride + half[:, 1])

    def shapes(self) -> list[tuple[int, int]]:
        """Height and width of each picture."""
        last = np.flatnonzero(np.diff(self.place[:, 0], append=len(self.starts)))
        return [(int(y) + 1, int(x) + 1) for _, y, x in self.place[last]]

    def pictures(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """``(N, ...)`` values of the pixels as one array ``(H, W, ...)`` for each picture."""
        shapes = self.shapes()
        parts = np.split(values, np.cumsum([height * width for height, width in shapes])[:-1])
        return [part.reshape(*shape, *values.shape[1:]) for part, shape in zip(parts, shapes, strict=True)]


def _square(side: int) -> Ints:
    """Row and column offsets of a square window, in reading order: ``(side * side, 2)``."""
    return np.stack(np.divmod(np.arange(side * side), side), axis=1) - side // 2


def _gaussian(offsets: Ints, sigma: float) -> Floats:
    """Weights of a neighbourhood, sum 1."""
    weights = np.exp(-(offsets**2).sum(axis=1) / (2 * sigma**2))
    return np.asarray(weights / weights.sum())


class Windows:
    """The neighbourhoods of one level and the rounding that all its features share.

    A feature is ``[A fine, A coarse, A' coarse, oriented responses | A' causal]``: all but the last part are known of B
    before its level is filled. Every part has total weight 1 (those of A: ``source_weight``), its pixels by a Gaussian
    of sigma ``side / 5``.

    Args:
        window: side of the fine neighbourhood.
        coarse_window: side of the coarse neighbourhood, 0 at the coarsest level.
        source_channels: channels of A and B.
        target_channels: channels of A' and B'.
        source_weight: total weight of a neighbourhood in A.
        oriented: number of oriented responses at the pixel itself.
    """

    def __init__(
        self,
        window: int,
        coarse_window: int,
        source_channels: int,
        target_channels: int,
        source_weight: float,
        oriented: int = 0,
    ) -> None:
        self.fine, self.coarse = _square(window), _square(coarse_window)
        self.causal = self.fine[: len(self.fine) // 2]
        fine = _gaussian(self.fine, window / 5)
        causal = _gaussian(self.causal, window / 5)
        coarse = _gaussian(self.coarse, coarse_window / 5) if coarse_window else np.zeros(0)
        known = [
            np.repeat(source_weight * fine, source_channels) / source_channels,
            np.repeat(source_weight * coarse, source_channels) / source_channels,
            np.repeat(coarse, target_channels) / target_channels,
            np.full(oriented, source_weight / max(oriented, 1)),
        ]
        weights = np.concatenate([*known, np.repeat(causal, target_channels) / target_channels])
        roots = np.sqrt(weights)
        furthest = HIGH - 0.5
        # |f|^2 <= s^2 furthest^2 sum(w) + s furthest sum(sqrt w) + len / 4 after rounding: the s at which that is
        # LIMIT.
        square, linear, rest = furthest**2 * weights.sum(), furthest * roots.sum(), len(weights) / 4 - LIMIT
        scale = (-linear + np.sqrt(linear**2 - 4 * square * rest)) / (2 * square)
        self.factors = (scale * roots).astype(np.float32)
        self.known = len(weights) - len(self.causal) * target_channels

    def known_part(self, source: Atlas, coarse: tuple[Atlas, Features] | None, oriented: Features | None) -> Features:
        """What is known of every pixel before its level is filled: ``(N, known)``.

        Args:
            source: A (or B) at this level.
            coarse: A (or B) one level coarser, and the values of A' (or B') in the cells of that atlas.
            oriented: ``(N, oriented)`` responses.
        """
        parts = [source.values[source.cells[:, None] + self.fine @ (source.stride, 1)].reshape(len(source.cells), -1)]
        if coarse is not None:
            atlas, target = coarse
            places = atlas.parents(source)[:, None] + self.coarse @ (atlas.stride, 1)
            parts += [values[places].reshape(len(places), -1) for values in (atlas.values, target)]
        if oriented is not None:
            parts.append(oriented)
        whole = np.concatenate(parts, axis=1)
        whole *= self.factors[: self.known]
        return np.rint(whole, out=whole)

    def causal_part(self, target: Features, cells: Ints, stride: int) -> Features:
        """The pixels of A' (or B') before each of ``cells`` in scan order: ``(n, 12 C)`` for a window of 5."""
        values = target[cells[:, None] + self.causal @ (stride, 1)].reshape(len(cells), -1)
        values *= self.factors[self.known :]
        return np.rint(values, out=values)
