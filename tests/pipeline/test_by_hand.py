"""The stages need no DVC: run by hand, in order, they leave every evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.config.load import load_params

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_the_stages_run_without_dvc(by_hand: dict[str, Any]) -> None:
    params = load_params(Path(__file__).parents[2] / "params.yaml", profile="smoke")
    assert {key.split(" | ")[0] for key in by_hand} == set(params.generators())
