"""The script that compares two runs sees every difference in a deterministic row, and no other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "equality.py"


def row(metric: str = "fid", **changes: Any) -> dict[str, Any]:
    plain = {"generator": "ddpm", "variant": "steps=50", "metric": metric, "slice": "", "split": "test"}
    return {**plain, "protocol": f"{metric}/v1", "value": 14.25, "ci95": [13.0, 15.5], "n": 2000, **changes}


def compared(folder: Path, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> tuple[int, str]:
    """Before as a leaderboard, after as evaluations: both forms of a run."""
    folder.mkdir(exist_ok=True)
    (folder / "leaderboard.json").write_text(json.dumps({"schema_version": 1, "rows": before}))
    evaluations = folder / "evaluations"
    evaluations.mkdir(exist_ok=True)
    for name in {one["generator"] for one in after} | {"ddpm"}:
        mine = [one for one in after if one["generator"] == name]
        (evaluations / f"{name}.json").write_text(json.dumps({"records": mine, "extras": {}}))
        (evaluations / f"{name}.metrics.json").write_text("{}")
    command = [sys.executable, str(SCRIPT), str(folder / "leaderboard.json"), str(evaluations)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


TIMED = [
    row("step_seconds_per_item"),
    row("seconds_per_pixel"),
    row("growth_exponent"),
    row("latent_speedup"),
    row("new_timing", unit="s"),
]


def test_equal_runs_are_equal_whatever_their_order_and_timings(tmp_path: Path) -> None:
    rows = [row(), row(variant="steps=10"), row("kid"), row("perplexity", value=None, ci95=None)]
    costs = [row("train_seconds"), row("parameters")]
    slower = [{**one, "value": 2 * one["value"], "n": 7} for one in TIMED]
    status, text = compared(tmp_path, [*rows, *costs, *TIMED], [*slower, *reversed(rows)])
    assert (status, text.splitlines()[0]) == (0, "9 rows before, 9 after, 0 differences")
    assert "left out: 1 rows, slope of measured times" in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"value": 14.250000000000002}, "ddpm steps=50 fid test [fid/v1]: value 14.25 -> 14.250000000000002"),
        ({"value": None}, "value 14.25 -> None"),
        ({"ci95": [13.0, 15.500000001]}, "ci95 [13.0, 15.5] -> [13.0, 15.500000001]"),
        ({"ci95": None}, "ci95 [13.0, 15.5] -> None"),
        ({"n": 1999}, "n 2000 -> 1999"),
        ({"variant": "steps=51"}, "ddpm steps=51 fid test [fid/v1]: only after"),
        ({"slice": "unseen"}, "ddpm steps=50 fid unseen test [fid/v1]: only after"),
        ({"split": "validation"}, "only before"),
        ({"protocol": "fid/v2"}, "[fid/v2]: only after"),
        ({"generator": "other"}, "other steps=50 fid test [fid/v1]: only after"),
    ],
)
def test_any_difference_is_printed_by_name(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    status, text = compared(tmp_path, [row(), row("kid")], [row(**change), row("kid")])
    assert status == 1
    assert said in text
    assert "kid" not in text


def test_two_leaderboards_have_equal_costs_but_for_timings(tmp_path: Path) -> None:
    def status(name: str, rows: list[dict[str, Any]]) -> int:
        paths = [tmp_path / "before.json", tmp_path / f"{name}.json"]
        costs = [row("parameters"), row("train_seconds"), row("peak_memory_bytes")]
        for path, listed in zip(paths, (costs, rows), strict=True):
            path.write_text(json.dumps({"schema_version": 1, "rows": listed}))
        return subprocess.run(
            [sys.executable, str(SCRIPT), *map(str, paths)], capture_output=True, check=False
        ).returncode

    timings = [row("train_seconds", value=1.0), row("peak_memory_bytes", value=2.0)]
    assert status("slower", [row("parameters"), *timings]) == 0
    assert status("larger", [row("parameters", value=15.0), *timings]) == 1


def test_a_row_that_is_gone_is_a_difference(tmp_path: Path) -> None:
    assert compared(tmp_path, [row(), row("kid")], [row()])[0] == 1


def test_a_row_that_stands_twice_or_a_missing_file_is_an_error(tmp_path: Path) -> None:
    status, text = compared(tmp_path, [row(), row()], [row()])
    assert status == 1 and "stands twice" in text
    status, text = compared(tmp_path, [row()], [])
    assert status == 1 and "no rows" in text
    command = [sys.executable, str(SCRIPT), str(tmp_path / "nowhere.json"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "is missing" in done.stderr
