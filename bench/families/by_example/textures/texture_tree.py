"""An approximate search for large samples: a tree over principal components proposes, exact distances decide.

Principal components need whole vectors, but the windows of a growing texture are known in part, each in another. So
there is a tree for each of a few shapes (a half, a corner, all but the middle), and a window asks the tree of the shape
of most weight that it is wholly known in. The distance over the shape is never larger than that over all known pixels,
and its part in the first components is smaller still: the tree's nearest are a guess. The guesses are measured exactly,
and the rule of the paper (within 10 % of the best) is applied to them. A window that covers no shape is searched for
exactly.

Components are rounded to whole numbers, so that coordinates are exact: batch and threads do not change the picture.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.families.by_example.textures.texture_search import Floats, Found, Ints, Search, Singles, gaussian_weights

__all__ = ["TreeSearch", "shapes"]

SCALE = 1024
"""Of the rounded components."""
FITTED = 4096
"""Most windows that the components are computed from."""
CHUNK = 8192


def shapes(window: int) -> NDArray[np.bool_]:
    """Parts of a window that a growing front leaves known, ``(shapes, window * window)``: halves, corners, all but the
    middle.

    >>> len(shapes(5)), shapes(3)[0].reshape(3, 3).astype(int).tolist()
    (17, [[1, 1, 1], [0, 0, 0], [0, 0, 0]])
    """
    y, x = np.indices((window, window)) - window // 2
    halves = [y < 0, y > 0, x < 0, x > 0]
    corners = [one & other for one in halves[:2] for other in halves[2:]]
    wide = [one & other for one in halves[:2] for other in (x <= 0, x >= 0)]
    tall = [one & other for one in halves[2:] for other in (y <= 0, y >= 0)]
    listed: list[NDArray[np.bool_]] = [*halves, *corners, *wide, *tall, (y != 0) | (x != 0)]
    return np.stack(listed).reshape(len(listed), -1)


@dataclass(frozen=True)
class _Tree:
    """The candidates, seen through one shape.

    Attributes:
        known: indices of the shape's window pixels.
        components: ``(len(known) * C, components)`` whole numbers, weighted by the root of the Gaussian.
        tree: of the candidates' coordinates.
    """

    known: Ints
    components: Floats
    tree: Any


class TreeSearch(Search):
    """See the module.

    Args:
        exemplar, window, usable, pool, threads: as in :class:`Search`.
        sigma: of the Gaussian.
        components: dimensions of the trees.
        neighbours: candidates that a tree proposes.
    """

    def __init__(
        self,
        exemplar: NDArray[np.uint8],
        window: int,
        usable: NDArray[np.bool_] | None = None,
        pool: ThreadPoolExecutor | None = None,
        threads: int = 1,
        *,
        sigma: float,
        components: int = 12,
        neighbours: int = 32,
    ) -> None:
        super().__init__(exemplar, window, usable, pool, threads, sigma=sigma, tables=False)
        self._shapes = shapes(window)
        self._gaussian = gaussian_weights(window, sigma)
        self._by_weight = np.argsort(-(self._shapes * self._gaussian).sum(axis=1), kind="stable")
        self._components, self._neighbours = components, min(neighbours, len(self.centres))
        self._trees: dict[int, _Tree] = {}

    def _tree(self, shape: int) -> _Tree:
        if shape not in self._trees:
            from scipy.spatial import cKDTree

            known = self._shapes[shape].nonzero()[0]
            roots = np.repeat(np.sqrt(self._gaussian[known] / self._gaussian.max()), self._channels)
            some = np.linspace(0, len(self._corners) - 1, min(FITTED, len(self._corners))).astype(int)
            windows = self._windows(some, known) * roots
            windows -= windows.mean(axis=0)
            _, vectors = np.linalg.eigh(windows.T @ windows)
            components = np.rint(SCALE * vectors[:, ::-1][:, : self._components] * roots[:, None])
            every = [np.arange(i, min(i + CHUNK, len(self._corners))) for i in range(0, len(self._corners), CHUNK)]
            self._trees[shape] = _Tree(
                known, components, cKDTree(np.concatenate([self._windows(rows, known) @ components for rows in every]))
            )
        return self._trees[shape]

    def _windows(self, candidates: Ints, known: Ints) -> Floats:
        """Pixels of candidates at some places of the window, less the shift: ``(n, len(known) * C)``."""
        pixels = self._pixels[self._corners[candidates][:, None] + self._offsets[known]] - self._shift
        return np.asarray(pixels.reshape(len(candidates), -1))

    def pick(self, weights: Singles, pixels: Singles, draws: Floats, epsilon: float, largest: Floats) -> Found:
        """A random one of the proposed candidates with ``d <= (1 + epsilon)`` of the best proposed; see
        :meth:`Search.pick`."""
        missing = (weights == 0).astype(np.float32) @ self._shapes.T.astype(np.float32)  # of each shape in each window
        fits = (missing == 0)[:, self._by_weight]
        chosen = np.where(fits.any(axis=1), self._by_weight[fits.argmax(axis=1)], -1)
        found = Found(np.empty(len(draws), np.int64), np.empty(len(draws), np.int64), np.empty(len(draws), bool))
        for shape in np.unique(chosen).tolist():
            rows = (chosen == shape).nonzero()[0]
            given = (weights[rows], pixels[rows], draws[rows], epsilon, largest[rows])
            answer = self._exactly(*given) if shape < 0 else self._guessed(self._tree(shape), *given)
            for whole, some in zip(found, answer, strict=True):
                whole[rows] = some
        return found

    def _exactly(self, weights: Singles, pixels: Singles, draws: Floats, epsilon: float, largest: Floats) -> Found:
        distances = self.distances(weights, pixels)
        everyone = np.broadcast_to(np.arange(distances.shape[1]), distances.shape)
        return _draw(everyone, distances, draws, epsilon, largest)

    def _guessed(
        self, tree: _Tree, weights: Singles, pixels: Singles, draws: Floats, epsilon: float, largest: Floats
    ) -> Found:
        seen = (pixels[:, tree.known].astype(np.float64) - self._shift).reshape(len(pixels), -1)
        _, near = tree.tree.query(seen @ tree.components, k=self._neighbours, workers=self._threads)
        near = np.sort(near.reshape(len(pixels), -1), axis=1)  # in the exemplar's order
        rows = np.repeat(np.arange(len(pixels)), near.shape[1])
        distances = self._pairs(weights, pixels, rows, near.ravel()).reshape(near.shape)
        return _draw(near, distances, draws, epsilon, largest)


def _draw(candidates: Ints, distances: Floats, draws: Floats, epsilon: float, largest: Floats) -> Found:
    """The rule of the paper, on ``(B, n)`` candidates and their distances."""
    inside = distances <= (distances.min(axis=1) * (1.0 + epsilon))[:, None]
    counts = inside.sum(axis=1)
    flat = inside.ravel().nonzero()[0]
    at = flat[np.cumsum(counts) - counts + (draws * counts).astype(np.int64)]
    return Found(candidates.ravel()[at], counts, distances.ravel()[at] <= largest)
