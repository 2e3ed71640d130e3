"""params.yaml of the project with one entry changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.config.load import load_params
from bench.pipeline.validation import validate

ROOT = Path(__file__).parents[2]
ORIGINAL = (ROOT / "params.yaml").read_text(encoding="utf-8")


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[str, str, str], None]:
    """``refused(old, new, message)``: with ``new`` for the first ``old`` the file is refused, naming itself."""

    def check(old: str, new: str, message: str) -> None:
        assert old in ORIGINAL
        path = tmp_path / "params.yaml"
        path.write_text(ORIGINAL.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(BenchError, match=message) as caught:
            validate(load_params(path, "cpu"), ROOT)
        assert str(path) in str(caught.value)

    return check
