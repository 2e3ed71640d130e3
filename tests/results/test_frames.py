"""Every row as a data frame."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import bench.results
from bench.base.errors import BenchError
from bench.pipeline.fingerprint import closure
from bench.results.leaderboard import Row, build_rows, to_json
from bench.results.records import Record
from bench.results.sources import gather

Declared = Callable[[Path], dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def rows(workspace: Path, declared: Declared) -> list[Row]:
    return build_rows(gather(workspace, declared(workspace)).records)


@pytest.fixture(scope="module")
def table(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    path = tmp_path_factory.mktemp("frame") / "leaderboard.json"
    path.write_text(json.dumps(to_json(rows)))
    return bench.results.frame(path)


def test_the_frame_holds_every_field_of_every_row(table: pd.DataFrame, rows: list[Row]) -> None:
    assert len(table) == len(rows) > 300
    names = [field.name for field in dataclasses.fields(Record) if field.name not in ("ci95", "settings")]
    places = ["shown", "rank", "rank_to", "tied"]
    assert list(table.columns) == [*names, "ci95_low", "ci95_high", *places, "settings"]
    for line, row in zip(table.itertuples(), rows, strict=True):
        for name in names:
            expected, shown = getattr(row.record, name), getattr(line, name)
            assert pd.isna(shown) if expected is None else shown == expected, name
        low, high = row.record.ci95 or (None, None)
        assert (pd.isna(line.ci95_low) and low is None) or (line.ci95_low, line.ci95_high) == (low, high)
        assert (pd.isna(line.rank) and row.rank is None) or line.rank == row.rank
        assert (pd.isna(line.rank_to) and row.rank_to is None) or line.rank_to == row.rank_to
        assert (line.shown, line.tied, line.settings) == (row.shown, row.tied, row.record.settings)


def test_numbers_are_numbers(table: pd.DataFrame) -> None:
    kinds = {name: str(kind) for name, kind in table.dtypes.items()}
    assert (kinds["value"], kinds["ci95_low"], kinds["n"], kinds["rank"]) == ("float64", "float64", "int64", "Int64")
    tested = (table.metric == "bits_per_byte") & (table.split == "test")
    infinite = table[(table.generator == "ngram-char") & tested & table.value.isna()]
    assert len(infinite) == 4, "n = 3 to 6 without smoothing"


def test_a_setting_is_a_column_of_numbers(table: pd.DataFrame) -> None:
    smooth = table[
        (table.generator == "ngram-char")
        & (table.metric == "verbatim_copy_rate")
        & (table.settings.str["smoothing"] == "kneser_ney")
    ]
    curve = smooth.assign(n=smooth.settings.str["n"]).set_index("n").value
    assert curve.index.tolist() == [1, 2, 3, 4, 5, 6]
    assert curve[6] == pytest.approx(0.95)


def test_evaluations_give_the_same_numbers_without_costs(workspace: Path, table: pd.DataFrame) -> None:
    measured = bench.results.frame(workspace / "evaluations")
    quality = table[~table.protocol.str.startswith("cost/")].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        measured.drop(columns=["run_key"]).sort_values(["generator", "metric", "variant", "slice"], ignore_index=True),
        quality.drop(columns=["run_key"]).sort_values(["generator", "metric", "variant", "slice"], ignore_index=True),
    )


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"nowhere\.json is missing: run `dvc repro`"):
        bench.results.frame(tmp_path / "nowhere.json")


def test_an_empty_folder_gives_an_empty_frame_with_the_columns(table: pd.DataFrame, tmp_path: Path) -> None:
    empty = bench.results.frame(tmp_path)
    assert list(empty.columns) == list(table.columns)
    assert len(empty) == 0


def test_stages_that_use_records_do_not_depend_on_the_leaderboard() -> None:
    """A plan follows every import: through the package, an edit of the table would retrain all systems."""
    root = Path(bench.results.__file__).parents[2]
    files, _ = closure(root, [root / "bench/results/records.py", root / "bench/results/extras.py"])
    names = {file.relative_to(root).as_posix() for file in files}
    assert "bench/results/__init__.py" in names
    assert not names & {"bench/results/frames.py", "bench/results/leaderboard.py", "bench/results/sources.py"}
