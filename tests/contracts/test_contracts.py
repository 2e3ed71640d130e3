"""The contract suite on every block of params.yaml, whatever its system (smoke settings, tiny real data).

A generator added to params.yaml is tested here without a further line. One on a new kind of data set needs tiny data
of that kind in bench/testing/data.py, and fails until there is some.
"""

from __future__ import annotations

from typing import Any

from bench.testing import Case, Check


def test_contract(case: Case, check: Check, workshop: Any) -> None:
    check(workshop.make(case))
