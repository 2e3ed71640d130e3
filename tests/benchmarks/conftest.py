"""Speeds are measured by `make bench`, which notes every ratio beside its aim; `make test` runs each program once, for
its parity.

A busy machine makes no test fail: what the clock says goes into the table (docs/benchmarks.md), not into an assertion.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def aim(benchmark: Any) -> Callable[[float, float], None]:
    """``aim(ratio, at_least)``: note how many times the peer's speed was reached, and what was aimed at."""

    def note(ratio: float, at_least: float) -> None:
        benchmark.extra_info.update(ratio=float(f"{ratio:.3g}"), aim=at_least, reached=bool(ratio >= at_least))

    return note
