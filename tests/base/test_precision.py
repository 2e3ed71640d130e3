"""Half precision is taken where the processor has instructions for it, and only where it is asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from bench.base import precision
from bench.base.precision import autocast, resolve_precision


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    resolve_precision.cache_clear()
    yield
    resolve_precision.cache_clear()


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        (["avx2", "avx512f"], "fp32"),
        ([], "fp32"),
        (["avx512_bf16"], "bf16"),
        (["amx_bf16"], "bf16"),
        (["bf16"], "bf16"),
    ],
)
def test_auto_follows_the_processor(monkeypatch: pytest.MonkeyPatch, flags: list[str], found: str) -> None:
    monkeypatch.setattr(precision, "cpu_flags", lambda: flags)
    assert resolve_precision("auto") == found
    dtype = torch.bfloat16 if found == "bf16" else torch.float32
    with autocast("cpu", "auto"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_what_is_asked_for_is_taken_whatever_the_processor(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setattr(precision, "cpu_flags", lambda: ["avx2"] if asked == "bf16" else ["avx512_bf16"])
    assert resolve_precision(asked) == asked


def test_the_flags_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    monkeypatch.setattr(precision, "cpu_flags", lambda: read.append(1) or [])
    for _ in range(5):
        autocast("cpu", "auto")
    assert len(read) == 1
