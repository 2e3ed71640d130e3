"""The plain lines of progress: numbers that a reader can trust after a resume."""

from __future__ import annotations

import pytest

from bench.base import progress as subject
from bench.base.progress import Progress


def line_after(initial: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What is written 10 s after the start, 20 items later."""
    clock = [100.0]
    monkeypatch.setattr(subject.time, "monotonic", lambda: clock[0])
    progress = Progress("train net", 1000, "step", initial=initial, interval=5.0)
    clock[0] += 10.0
    progress.update(20)
    return capsys.readouterr().err


def test_a_resumed_run_counts_earlier_steps_but_not_in_the_rate(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    assert line_after(900, capsys, monkeypatch) == "train net: 920 of 1,000 step (92 %), 2.0 step/s, 40 s left\n"


def test_a_fresh_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    assert line_after(0, capsys, monkeypatch) == "train net: 20 of 1,000 step (2 %), 2.0 step/s, 490 s left\n"
