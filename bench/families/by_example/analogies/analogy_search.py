"""The two searches of image analogies (Hertzmann et al. 2001, section 3.2) and the order that a level is filled in.

BestApproximateMatch is exact (matrix products over all of A) or a tree over the leading principal components whose few
answers are compared in full; BestCoherenceMatch (Ashikhmin 2001) tries the pixels that go on where the neighbours of q
were copied from. The coherent one is taken if ``d_coh <= d_app (1 + 2^(l - L) kappa)``.

A pixel needs the two rows above it as far as two columns to the right, and the two pixels to its left: all pixels with
the same ``x + 3 y`` are independent of each other and are searched for together. The result is that of scan order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bench.families.by_example.analogies.analogy_features import Atlas, Windows

__all__ = ["ExactSearch", "Filled", "Search", "TreeSearch", "fill", "nearest", "waves"]

Floats = NDArray[np.float64]
Features = NDArray[np.float32]
Ints = NDArray[np.int64]

BLOCK = 4096
"""Candidates in one matrix product: the distances of a wave stay in the cache."""
BASIS_SCALE = 2.0**12
EXACT_BELOW = 1024
"""A tree over fewer candidates answers no faster than a matrix product."""


class Search(Protocol):
    """Proposes candidates for features; :func:`fill` compares them in full."""

    def shortlist(self, queries: Features) -> Ints:
        """``(n, k)`` candidates for ``(n, K)`` queries."""


class ExactSearch:
    """The nearest candidate; of equally near ones the first.

    ``|a - q|^2 / 2 = |q|^2 / 2 - (q . a - |a|^2 / 2)``, and the last part is one product ``[q, -1] @ [a, |a|^2 / 2]``,
    exact in float32 because features are whole numbers below the limit of
    :mod:`bench.families.by_example.analogies.analogy_features`.
    """

    def __init__(self, features: Features) -> None:
        halves = (features.astype(np.float64) ** 2).sum(axis=1) / 2
        table = np.concatenate([features, halves[:, None].astype(np.float32)], axis=1)
        self._blocks = [np.ascontiguousarray(table[i : i + BLOCK].T) for i in range(0, len(table), BLOCK)]

    def shortlist(self, queries: Features) -> Ints:
        """``(n, 1)``."""
        left = np.concatenate([queries, np.full((len(queries), 1), -1, np.float32)], axis=1)
        rows = np.arange(len(queries))
        best, chosen = np.full(len(queries), -np.inf, np.float32), np.zeros(len(queries), np.int64)
        for number, block in enumerate(self._blocks):
            scores = left @ block
            found = scores.argmax(axis=1)
            score = scores[rows, found]
            better = score > best
            best[better], chosen[better] = score[better], found[better] + number * BLOCK
        return chosen[:, None]


class TreeSearch:
    """A k-d tree over the leading principal components (scipy's, with the ``epsilon`` of Arya and Mount's library).

    Args:
        features: ``(N, K)``.
        components: dimensions of the tree.
        neighbours: candidates for each query.
        epsilon: a k-th candidate may be ``1 + epsilon`` times as far as the k-th nearest.
    """

    def __init__(self, features: Features, components: int, neighbours: int, epsilon: float) -> None:
        from scipy.spatial import cKDTree

        exact = features.astype(np.float64)
        mean = exact.mean(axis=0)
        _, vectors = np.linalg.eigh(exact.T @ exact / len(exact) - np.outer(mean, mean))
        # Whole numbers again, so that a projection does not depend on what it is computed beside.
        self._basis = np.rint(vectors[:, ::-1][:, :components] * BASIS_SCALE)
        self._tree = cKDTree(exact @ self._basis)
        self._neighbours, self._epsilon = min(neighbours, len(features)), epsilon

    def shortlist(self, queries: Features) -> Ints:
        """``(n, neighbours)``."""
        _, found = self._tree.query(queries.astype(np.float64) @ self._basis, k=self._neighbours, eps=self._epsilon)
        return np.asarray(found, dtype=np.int64).reshape(len(queries), self._neighbours)


def nearest(features: Features, queries: Features, candidates: Ints) -> tuple[Ints, Floats]:
    """The nearest of each query's candidates and its squared distance; -1 is no candidate, and infinitely far.

    Args:
        features: ``(N, K)``.
        queries: ``(n, K)``.
        candidates: ``(n, k)``; the first of equally near ones wins.
    """
    difference = features[candidates] - queries[:, None, :]  # (n, k, K)
    distance = np.einsum("nkj,nkj->nk", difference, difference).astype(np.float64)
    distance[candidates < 0] = np.inf
    best = distance.argmin(axis=1)
    rows = np.arange(len(queries))
    return candidates[rows, best], distance[rows, best]


def waves(place: Ints, radius: int) -> Iterator[Ints]:
    """Numbers of the pixels that may be filled together, in order: those of the same ``x + (radius + 1) y``.

    >>> [wave.tolist() for wave in waves(np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1]]), 0)]
    [[0], [1, 2], [3]]
    """
    time = place[:, 2] + (radius + 1) * place[:, 1]
    order = np.argsort(time, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(time[order])) + 1)


@dataclass(frozen=True)
class Filled:
    """One level of B'.

    Attributes:
        sources: ``(M,)`` the pixel of A' that each pixel of B' was copied from.
        coherent: ``(M,)`` whether the coherence search chose it.
        canvas: ``(cells, C)`` values of B' in the cells of B's atlas.
    """

    sources: Ints
    coherent: NDArray[np.bool_]
    canvas: Features


def fill(
    features: Features,
    search: Search,
    windows: Windows,
    source: Atlas,
    values: Features,
    destination: Atlas,
    known: Features,
    canvas: Features,
    tolerance: float,
    progress: Callable[[int], None] | None = None,
) -> Filled:
    """Fills one level of B'.

    Args:
        features: ``(N, K)`` of all pixels of A and A'.
        search: over ``features``.
        windows: neighbourhoods of this level.
        source: A at this level.
        values: ``(N, C)`` pixels of A'.
        destination: B at this level.
        known: ``(M, known)`` part of the features of B.
        canvas: ``(cells, C)`` what stands in B' before it is filled (only the frame of it is ever read).
        tolerance: ``2^(l - L) kappa``.
        progress: called with the number of pixels that were filled.
    """
    canvas = canvas.copy()
    offsets = windows.causal
    there, here = offsets @ (source.stride, 1), offsets @ (destination.stride, 1)
    copied = np.zeros(len(canvas), dtype=np.int64)  # cell of A that a cell of B' was copied from; 0 is frame, nowhere
    chosen, coherent = np.zeros(len(known), np.int64), np.zeros(len(known), np.bool_)
    for wave in waves(destination.place, -int(offsets.min())):
        cells = destination.cells[wave]
        queries = np.concatenate([known[wave], windows.causal_part(canvas, cells, destination.stride)], axis=1)
        found, distance = nearest(features, queries, search.shortlist(queries))
        origin = copied[cells[:, None] + here]  # (n, causal)
        following = np.where(origin > 0, source.pixel[origin - there], -1)
        along, coherence = nearest(features, queries, following)
        kept = coherence <= distance * (1.0 + tolerance)
        found = np.where(kept, along, found)
        chosen[wave], coherent[wave] = found, kept
        canvas[cells], copied[cells] = values[found], source.cells[found]
        if progress is not None:
            progress(len(wave))
    return Filled(chosen, coherent, canvas)
