"""How fast an iteration converges."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["convergence_rate"]


def convergence_rate(changes: Sequence[float]) -> float:
    """Mean factor by which a sweep shrinks the largest change, over the second half of the sweeps; 0 for too few.

    >>> convergence_rate([8.0, 4.0, 2.0, 1.0, 0.5])
    0.5
    """
    tail = [change for change in changes[len(changes) // 2 :] if change > 0]
    return float((tail[-1] / tail[0]) ** (1 / (len(tail) - 1))) if len(tail) > 1 else 0.0
