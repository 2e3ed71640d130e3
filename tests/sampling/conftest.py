"""A stage context whose system is an object made by the test, which records how it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.context import StageContext


@dataclass(frozen=True)
class Planted(StageContext):
    """Loads the given system instead of a trained one."""

    system: Any = None

    def load(self) -> Any:
        return self.system


@pytest.fixture
def planted(tmp_path: Path) -> Callable[..., StageContext]:
    """``planted(family, system, sample, role="generator", name="one", seed=0)``; the prepared data lie in
    ``tmp_path``."""

    def make(
        family: str,
        system: Any,
        sample: Mapping[str, Any],
        role: str = "generator",
        name: str = "one",
        seed: int = 0,
    ) -> StageContext:
        block = {"system": "fake", "dataset": "play", "role": role, "sample": sample}
        return Planted(name, family, block, seed, "cpu", tmp_path, tmp_path, quiet=True, system=system)

    return make


@pytest.fixture
def check_time() -> Callable[[Mapping[str, Any], int], None]:
    """Asserts that the seconds of a sample set are those of all its items, and the seconds of one the ``n``-th part."""

    def check(info: Mapping[str, Any], n: int) -> None:
        assert info["seconds"] > 0
        assert info["seconds_per_item"] * n == pytest.approx(info["seconds"])

    return check
