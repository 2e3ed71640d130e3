"""Analogies of words by 3CosAdd: a is to b as c is to the word nearest to b - a + c (Mikolov et al. 2013; Levy and
Goldberg 2014)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.base.errors import BenchError
from bench.metrics.arrays import unit_rows

__all__ = ["analogy_hits", "solve_analogies"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def solve_analogies(vectors: ArrayLike, questions: ArrayLike, n: int = 1) -> tuple[Ints, Floats]:
    """The ``n`` best answers to each question and their scores, best first: ``(Q, n)`` each.

    The score of d is ``cos(d, b) - cos(d, a) + cos(d, c)``; a, b and c themselves are no answers.

    Args:
        vectors: ``(V, D)``.
        questions: ``(Q, 3)`` rows of a, b and c.
        n: answers, at most V - 3.

    >>> vectors = [[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1], [-1, 0, 0]]
    >>> solve_analogies(vectors, [[0, 1, 2]])[0].tolist()
    [[3]]

    Raises:
        BenchError: wrong shapes, rows that do not exist, or fewer than four vectors.
    """
    unit, asked = unit_rows(vectors), np.asarray(questions, dtype=np.int64)
    if asked.ndim != 2 or asked.shape[1] != 3:
        raise BenchError(f"analogies: questions must be (Q, 3), not {asked.shape}")
    if len(unit) < 4:
        raise BenchError(f"analogies: needs at least four words, got {len(unit)}")
    if asked.size and not (asked.min() >= 0 and asked.max() < len(unit)):
        raise BenchError(f"analogies: rows must be from 0 to {len(unit) - 1}")
    n = min(n, len(unit) - 3)
    answers, best = np.empty((len(asked), n), np.int64), np.empty((len(asked), n))
    for start in range(0, len(asked), 512):
        part = asked[start : start + 512]
        a, b, c = (unit[part[:, i]] for i in range(3))
        scores = (b - a + c) @ unit.T  # (q, V)
        np.put_along_axis(scores, part, -np.inf, axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :n] if n > 1 else scores.argmax(1)[:, None]
        answers[start : start + 512] = order
        best[start : start + 512] = np.take_along_axis(scores, order, axis=1)
    return answers, best


def analogy_hits(vectors: ArrayLike, quadruples: ArrayLike) -> Floats:
    """1 where the best answer to a, b, c is d, else 0: ``(Q,)``.

    Args:
        vectors: ``(V, D)``.
        quadruples: ``(Q, 4)`` rows of a, b, c and d.
    """
    rows = np.asarray(quadruples, dtype=np.int64).reshape(-1, 4)
    found = solve_analogies(vectors, rows[:, :3])[0][:, 0]
    return np.asarray(found == rows[:, 3], dtype=np.float64)
