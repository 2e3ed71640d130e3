"""Two models on the same items: the interval of the difference of two ratios (bits per byte, say) from sums over common
blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bench.stats.intervals import Interval, bootstrap_mean_ci

__all__ = ["Items", "paired_ratio_difference"]

Items = dict[tuple[str, str, str], tuple[list[float], list[float]]]
"""(generator, metric, variant) -> numerators and denominators of the blocks that the number was measured on."""


def paired_ratio_difference(
    numerators_a: ArrayLike,
    denominators_a: ArrayLike,
    numerators_b: ArrayLike,
    denominators_b: ArrayLike,
    seed: int = 0,
) -> tuple[float, Interval]:
    """``sum(a) / sum(size_a) - sum(b) / sum(size_b)`` and its 95 % interval over blocks that both models were measured
    on.

    Each block's influence on the difference, to first order (Efron and Tibshirani 1993, section 22.4), is resampled:
    what makes a block hard for both models cancels, which separate intervals cannot see.

    >>> hard = np.array([300.0, 100.0, 250.0, 180.0, 220.0])
    >>> value, (low, high) = paired_ratio_difference(hard + [9, 11, 10, 10.5, 9.5], [100] * 5, hard, [100] * 5)
    >>> round(value, 3), low > 0
    (0.1, True)

    Raises:
        ValueError: the models were not measured on the same number of blocks.
    """
    shifted = []
    for top, bottom in ((numerators_a, denominators_a), (numerators_b, denominators_b)):
        one, size = np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64)
        ratio = one.sum() / size.sum()
        shifted.append(ratio + (one - ratio * size) / size.mean())
    if shifted[0].shape != shifted[1].shape:
        raise ValueError(
            f"{len(shifted[0])} and {len(shifted[1])} blocks: the models were not measured on the same items"
        )
    difference = shifted[0] - shifted[1]
    return float(difference.mean()), bootstrap_mean_ci(difference, seed)
