"""Shifted pointwise mutual information: what skip-gram with negative sampling learns as v.c (Levy and Goldberg 2014,
"Neural word embedding as implicit matrix factorization", eq. 9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ShiftedPMI", "shifted_pmi"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ShiftedPMI:
    """PMI - log k of the pairs that meet often.

    Attributes:
        pairs: ``(P, 2)`` word and neighbour.
        smoothed: ``(P,)`` nats, where the neighbour's probability is that of the noise it was told from (``P_n``).
        plain: ``(P,)`` nats, with the neighbour's plain frequency.
    """

    pairs: Ints
    smoothed: Floats
    plain: Floats


def shifted_pmi(met: Any, noise: Floats, negatives: int, at_least: float) -> ShiftedPMI:
    """``log P(c | w) - log P(c) - log k`` of the pairs expected to meet at least ``at_least`` times.

    Args:
        met: sparse ``(V, V)``: how often a word (row) has another (column) in its window.
        noise: ``(V,)`` distribution of the negatives.
        negatives: k.
        at_least: fewer meetings say little of a pair.

    >>> from scipy.sparse import csr_matrix
    >>> found = shifted_pmi(csr_matrix([[0.0, 6.0], [2.0, 4.0]]), np.array([0.5, 0.5]), 1, 3.0)
    >>> found.pairs.tolist(), found.smoothed.round(3).tolist()
    ([[0, 1], [1, 1]], [0.693, 0.288])
    """
    rows, columns = np.asarray(met.sum(1)).ravel(), np.asarray(met.sum(0)).ravel()
    pairs = met.tocoo()
    often = pairs.data >= at_least
    w, c, n = pairs.row[often].astype(np.int64), pairs.col[often].astype(np.int64), pairs.data[often]
    given = np.log(n / rows[w]) - np.log(negatives)
    return ShiftedPMI(np.stack([w, c], 1), given - np.log(noise[c]), given - np.log(columns[c] / columns.sum()))
