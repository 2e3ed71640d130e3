"""A proportion as a score."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.scoring import Score
from bench.stats.intervals import wilson_interval

__all__ = ["share"]


def share(metric: str, hits: NDArray[Any], protocol: str, variant: str = "", slice: str = "") -> Score:  # noqa: A002
    """Share of ``hits`` (True or 1.0 where right) with Wilson's interval; no items give no value."""
    n, k = len(hits), float(np.sum(hits))
    return Score(metric, k / n if n else None, protocol, wilson_interval(k, n) if n else None, n, variant, slice=slice)
