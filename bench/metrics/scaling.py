"""Scaling laws: how a loss falls with size and data (Hestness et al. 2017; Kaplan et al. 2020, eq. 1.5 without the
floor)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["power_law"]

Floats = NDArray[np.float64]


def power_law(loss: Floats, scales: Sequence[Floats]) -> list[tuple[float, tuple[float, float]]]:
    """Exponents of ``loss ~ c * prod_i scale_i ** -alpha_i`` with 95 % intervals, by least squares on logarithms.

    Args:
        loss: ``(N,)`` positive.
        scales: arrays ``(N,)`` of positive numbers; one that does not vary gets no exponent of its own.

    Raises:
        ValueError: fewer than two more points than exponents.

    >>> x = np.array([1.0, 2.0, 4.0, 8.0])
    >>> [round(value, 3) for value, _ in power_law(3 * x ** -0.5, [x])]
    [0.5]
    """
    from scipy.special import stdtrit

    design = np.stack([np.ones(len(loss)), *(-np.log(scale) for scale in scales)], axis=1)
    freedom = len(loss) - design.shape[1]
    if freedom < 1:
        raise ValueError(f"{len(loss)} points do not determine {len(scales)} exponents")
    inverse = np.linalg.pinv(design.T @ design)
    found = inverse @ design.T @ np.log(loss)
    residual = np.log(loss) - design @ found
    error = np.sqrt(np.diag(inverse) * float(residual @ residual) / freedom)
    half = float(stdtrit(freedom, 0.975)) * error
    return [(float(value), (float(value - h), float(value + h))) for value, h in zip(found[1:], half[1:], strict=True)]
