"""Retrieval: does the right caption come first for a picture, and the right picture for a caption?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.base.errors import BenchError
from bench.metrics.arrays import unit_rows

__all__ = ["retrieval_at_k"]

Floats = NDArray[np.float64]


def retrieval_at_k(query_emb: ArrayLike, target_emb: ArrayLike, k: int = 1, groups: ArrayLike | None = None) -> Floats:
    """1 where a right target is among the ``k`` nearest of its query, else 0, ``(N,)``.

    Picture to caption: ``retrieval_at_k(images, texts)``; caption to picture: the arguments swapped. The number depends
        on N,
    which therefore stands in the protocol id.

    Args:
        query_emb: ``(N, D)``.
        target_emb: ``(N, D)``; target ``i`` belongs to query ``i``.
        k: how many may be looked at.
        groups: ``(N,)`` ids; targets with the query's id are right as well (equal captions). None: only target ``i``.

    Ties count against the query: an encoder that maps everything to one point scores 0, not 1.

    >>> retrieval_at_k([[1, 0], [0, 1], [1, 1]], [[1, 0], [0, 1], [1, -1]]).tolist()
    [1.0, 1.0, 0.0]
    """
    queries, targets = unit_rows(query_emb), unit_rows(target_emb)
    if queries.shape != targets.shape or queries.ndim != 2:
        raise BenchError(f"retrieval: queries {queries.shape} and targets {targets.shape} must both be (N, D)")
    ids = (
        np.arange(len(queries)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
    )
    hits = np.empty(len(queries))
    for start in range(0, len(queries), 1024):
        rows = slice(start, min(start + 1024, len(queries)))
        scores = queries[rows] @ targets.T
        right = ids[rows, None] == ids[None, :]
        best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
        ahead = ((scores >= best - 1e-12) & ~right).sum(axis=1)
        hits[rows] = ahead < k
    return hits
