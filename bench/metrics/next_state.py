"""How often the likeliest next state of a Markov chain comes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["next_state_hits"]

Ints = NDArray[np.int64]


def next_state_hits(ids: Ints, matrix: NDArray[np.float64], order: int) -> NDArray[np.bool_]:
    """For each state after the first ``order``, whether it was the likeliest; an unknown state (-1) never is.

    Args:
        ids: ``(N,)`` states.
        matrix: ``(S ** order, S)`` probabilities of the next state; the last state of a run changes fastest.
        order: states that a row stands for.

    Returns:
        ``(N - order,)``.

    >>> next_state_hits(np.array([0, 1, 1, 0]), np.array([[0.1, 0.9], [0.2, 0.8]]), order=1).tolist()
    [True, True, False]
    """
    code = np.zeros(len(ids) - order, dtype=np.int64)
    known = np.ones(len(code), dtype=np.bool_)
    for offset in range(order):
        part = ids[offset : offset + len(code)]
        code, known = code * matrix.shape[1] + np.maximum(part, 0), known & (part >= 0)
    return np.asarray((matrix.argmax(1)[code] == ids[order:]) & known)
