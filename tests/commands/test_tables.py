"""Tables in a narrow terminal: whole columns are left out and named, cells fold between words."""

from __future__ import annotations

import io
import re
import sys
from typing import Any

import pytest

from bench.base.files import write_json
from bench.commands.comparing import run as compare
from bench.commands.printing import print_table
from bench.results.leaderboard import build_rows, to_json
from bench.results.records import Record


class Terminal(io.StringIO):
    """Standard output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def narrow(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 80 columns; called inside the test, whose own output pytest redirects after the fixtures."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    for name, value in (("COLUMNS", "80"), ("TERM", "xterm"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    return terminal


def lines(terminal: Terminal) -> list[str]:
    return [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in terminal.getvalue().splitlines()]


GENERATORS = [
    {
        "name": name,
        "family": "text_to_image",
        "system": "texture_synthesis",
        "dataset": "openmoji-pairs",
        "role": "memoriser",
        "trained": "yes",
        "evaluated": "-",
    }
    for name in ("latent-diffusion-scenes", "memoriser-scenes", "dummy-scenes")
]


def test_columns_are_left_out_whole_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = narrow(monkeypatch)
    print_table(list(GENERATORS[0]), GENERATORS, drop=("dataset", "system"))
    shown = lines(terminal)
    assert max(map(len, shown)) <= 80
    assert shown[0].split() == ["name", "family", "role", "trained", "evaluated"]
    assert [line.split()[:3] for line in shown[1:4]] == [
        [row["name"], row["family"], row["role"]] for row in GENERATORS
    ]
    assert shown[4:] == ["Left out at this width: dataset, system (--json has all)."]


def test_what_fits_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = narrow(monkeypatch)
    print_table(["name", "family"], GENERATORS, drop=("family",))
    assert lines(terminal)[0].split() == ["name", "family"]
    assert len(lines(terminal)) == 4


def test_cells_fold_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = narrow(monkeypatch)
    text = "every word of this sentence is longer than nothing and shorter than the column is wide"
    print_table(["what", "found", "remedy"], [{"what": "one", "found": text, "remedy": text}], fold="found")
    shown = lines(terminal)
    assert max(map(len, shown)) <= 80
    assert set(" ".join(shown).split()) == {"what", "found", "remedy", "one", *text.split()}


def test_a_pipe_gets_everything(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(list(GENERATORS[0]), GENERATORS, drop=("dataset", "system"))
    assert capsys.readouterr().out.splitlines()[0].split() == list(GENERATORS[0])


def rows() -> list[Record]:
    def row(name: str, metric: str, value: float, variant: str, protocol: str = "") -> Record:
        protocol = protocol or f"{metric}/with-a-long-name-of-a-protocol/n=2000/ref=test/v1"
        ci95 = None if metric == "train_seconds" else (value - 1, value + 1)
        return Record(
            name, "s", "images", "d", metric, protocol, value, variant, ci95=ci95, higher_is_better=False, n=9
        )

    return [
        row(name, metric, value + 100 * (metric == "kid") + shift, variant)
        for shift, name in ((0.0, "latent-diffusion-scenes"), (0.5, "memoriser-scenes"))
        for variant, value in (("steps=10", 5.0), ("steps=50,order=up", 900.0))
        for metric in ("fid", "kid", "train_seconds")
    ] + [row("latent-diffusion-scenes", "recall", 0.5, "steps=50,order=up")]


def test_comparing_keeps_the_metric_in_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    terminal = narrow(monkeypatch)
    write_json(tmp_path / "reports/leaderboard.json", to_json(build_rows(rows())))
    compare(tmp_path, "latent-diffusion-scenes", "memoriser-scenes", None, False)
    shown = lines(terminal)
    assert max(map(len, shown)) <= 80
    assert shown[0] == "latent-diffusion-scenes@steps=10 against memoriser-scenes@steps=10"
    firsts = [line.split()[0] for line in shown if line and not line.startswith(" ")]
    assert [name for name in firsts if name in ("metric", "FID", "KID", "Training")] == [
        "metric",
        "FID",
        "KID",
        "Training",
    ]
    assert any(line.startswith("Left out at this width: protocol") for line in shown)


def test_each_side_stands_in_one_setting(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(tmp_path / "reports/leaderboard.json", to_json(build_rows(rows())))
    compare(tmp_path, "latent-diffusion-scenes@order=up,steps=50", "latent-diffusion-scenes", None, False)
    out = capsys.readouterr().out
    assert out.startswith("latent-diffusion-scenes@steps=50,order=up against latent-diffusion-scenes@steps=10\n")
    fid, kid = (next(line for line in out.splitlines() if line.startswith(name)) for name in ("FID", "KID"))
    assert "900" in fid and "second is better" in fid
    assert "1,000" in kid.replace("1000", "1,000")
    assert "Recall" not in out, "the other side has no row of it"
