"""Copied run: how many pixels in a row a picture took over from a row of its exemplar."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["copied_run"]


def copied_run(sources: NDArray[np.integer[Any]]) -> float:
    """Length of the copied run that a pixel lies in, mean over pixels.

    Args:
        sources: ``(H, W, K)`` where each pixel was copied from: its row and column in the exemplar, which the number of
            the exemplar may precede; negative for pixels that were not copied.

    >>> copied_run(np.array([[[0, 5], [0, 6], [0, 7], [0, 2]]]))
    2.5
    """
    step = np.diff(sources.astype(np.int64), axis=1)  # (H, W - 1, K)
    copied = sources[:, :, 0] >= 0
    goes_on = (step[:, :, :-1] == 0).all(axis=2) & (step[:, :, -1] == 1) & copied[:, 1:] & copied[:, :-1]
    total = 0
    for row in goes_on:
        breaks = np.flatnonzero(np.concatenate([[True], ~row, [True]]))
        total += int((np.diff(breaks) ** 2).sum())
    return total / int(sources.shape[0] * sources.shape[1])
