"""Nearest neighbours in bounded memory: distances by matrix products in chunks, the winners measured again exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError

__all__ = ["flatten_items", "nearest", "squared_distances"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def flatten_items(items: NDArray[Any]) -> NDArray[Any]:
    """``(N, ...)`` to ``(N, D)``."""
    return items.reshape(len(items), -1)


def squared_distances(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """``|a_i - b_j|^2`` as ``(N, M)`` by one matrix product, clamped at zero; precision is that of the inputs'
    dtype."""
    squares = np.einsum("nd,nd->n", a, a)[:, None] + np.einsum("md,md->m", b, b)[None, :]
    squares -= 2 * (a @ b.T)
    return np.asarray(np.maximum(squares, 0, out=squares))


def nearest(
    queries: NDArray[Any],
    base: NDArray[Any],
    k: int = 1,
    *,
    exclude_self: bool = False,
    query_chunk: int = 512,
    base_chunk: int = 8192,
    spare: int = 4,
) -> tuple[Floats, Ints]:
    """Euclidean distances and indices of the ``k`` nearest rows of ``base``, each ``(N, k)`` and ascending.

    Candidates (``k + spare``) come from float32 matrix products on centred data; their distances are then taken again
    from the differences in float64, because the product form loses exactly the digits that tell a copy from a near
    copy. Memory is bounded by ``query_chunk * base_chunk``, whatever the sizes: 2,000 against 60,000 pictures of 784
    pixels needs some 50 MB beside the data.

    Args:
        queries: ``(N, ...)``, flattened.
        base: ``(M, ...)``, flattened; bytes are converted a chunk at a time.
        k: neighbours.
        exclude_self: ``queries`` is ``base``; a row is not its own neighbour.
        query_chunk: rows at a time.
        base_chunk: rows at a time.
        spare: further candidates that are measured exactly.

    >>> points = np.array([[0.0], [1.0], [5.0]])
    >>> distances, indices = nearest(np.array([[4.0]]), points)
    >>> distances.tolist(), indices.tolist()
    ([[1.0]], [[2]])

    Raises:
        BenchError: different dimensions, or fewer than ``k`` neighbours to be had.
    """
    queries, base = flatten_items(queries), flatten_items(base)
    if queries.shape[1] != base.shape[1]:
        raise BenchError(
            f"nearest neighbours: items of {queries.shape[1]} values cannot be compared with items of {base.shape[1]}"
        )
    available = len(base) - int(exclude_self)
    if k < 1 or available < k:
        raise BenchError(f"nearest neighbours: asked for {k} neighbours among {available} items")
    keep = min(k + spare, available)
    centre = base.mean(axis=0, dtype=np.float64).astype(np.float32)
    distances = np.empty((len(queries), k))
    indices = np.empty((len(queries), k), dtype=np.int64)
    for start in range(0, len(queries), query_chunk):
        rows = slice(start, min(start + query_chunk, len(queries)))
        block = queries[rows].astype(np.float32) - centre
        candidates = _candidates(block, base, centre, keep, start if exclude_self else None, base_chunk)
        exact = _exact(queries[rows], base, candidates)
        order = np.lexsort((candidates, exact), axis=1)[:, :k]
        distances[rows] = np.sqrt(np.take_along_axis(exact, order, axis=1))
        indices[rows] = np.take_along_axis(candidates, order, axis=1)
    return distances, indices


def _candidates(
    block: NDArray[Any], base: NDArray[Any], centre: NDArray[Any], keep: int, own: int | None, base_chunk: int
) -> Ints:
    """Indices ``(n, keep)`` of the nearest rows of ``base`` as float32 sees them."""
    best = np.full((len(block), keep), np.inf, dtype=np.float32)
    where = np.zeros((len(block), keep), dtype=np.int64)
    lines = np.arange(len(block))
    for start in range(0, len(base), base_chunk):
        part = base[start : start + base_chunk].astype(np.float32) - centre
        squares = squared_distances(block, part)  # (n, m)
        if own is not None:
            mine = lines + own - start
            inside = (mine >= 0) & (mine < len(part))
            squares[lines[inside], mine[inside]] = np.inf
        if len(part) > keep:
            chosen = np.argpartition(squares, keep - 1, axis=1)[:, :keep]
            squares = np.take_along_axis(squares, chosen, axis=1)
        else:
            chosen = np.broadcast_to(np.arange(len(part)), squares.shape)
        merged = np.concatenate([best, squares], axis=1)
        origins = np.concatenate([where, chosen + start], axis=1)
        order = np.argpartition(merged, keep - 1, axis=1)[:, :keep]
        best, where = np.take_along_axis(merged, order, axis=1), np.take_along_axis(origins, order, axis=1)
    return where


def _exact(queries: NDArray[Any], base: NDArray[Any], candidates: Ints) -> Floats:
    """Squared distances ``(n, keep)`` from differences in float64."""
    values = np.empty(candidates.shape)
    wide = queries.astype(np.float64)
    for column in range(candidates.shape[1]):
        difference = wide - base[candidates[:, column]].astype(np.float64)
        values[:, column] = np.einsum("nd,nd->n", difference, difference)
    return values
