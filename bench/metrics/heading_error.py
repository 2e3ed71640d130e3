"""Heading error: the angle between a motion and the motion that was asked for, or that is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["heading_error"]

Floats = NDArray[np.float64]


def heading_error(found: Floats, real: Floats) -> Floats:
    """Angles in degrees, 0 to 180, between the rows of two arrays of velocities ``(N, 2)``.

    >>> heading_error(np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[3.0, 0.0], [1.0, 0.0]])).tolist()
    [0.0, 90.0]
    """
    cross, dot = found[:, 0] * real[:, 1] - found[:, 1] * real[:, 0], (found * real).sum(axis=1)
    return np.asarray(np.degrees(np.abs(np.arctan2(cross, dot))))
