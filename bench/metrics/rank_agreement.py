"""Do two measures put the same things in the same order?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["spearman"]


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's rank correlation of two series of equal length without ties; nan for fewer than two values.

    >>> spearman([1.0, 2.0, 9.0], [0.1, 0.2, 0.3]), spearman([1.0, 2.0, 3.0], [3.0, 2.0, 1.0])
    (1.0, -1.0)
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if len(a) < 2:
        return float("nan")
    return float(np.corrcoef(np.argsort(np.argsort(a)), np.argsort(np.argsort(b)))[0, 1])
