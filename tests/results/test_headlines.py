"""The numbers of ``evaluations/NAME.metrics.json``: few, the family's headlines, none over another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from bench.base.files import read_json
from bench.config.load import load_params
from bench.report.overview import best_lines, headlines
from bench.report.schema import read_schema
from bench.results.headlines import headline_numbers, headline_views
from bench.results.leaderboard import COST_METRICS, build_rows, column_key, rows_from_json
from bench.results.sources import Sources, gather
from bench.tracking.run_content import MOST_METRICS, curve_of, metrics_of

ROOT = Path(__file__).resolve().parents[2]
VIEWS = [[{"metric": "fid", "slice": ""}], [{"metric": "kid"}]]


def row(metric: str, value: float | None, **fields: Any) -> dict[str, Any]:
    usual = {"generator": "g", "system": "s", "family": "images", "dataset": "d", "protocol": f"{metric}/v1"}
    return {**usual, "metric": metric, "value": value, **fields}


def numbers(*rows: dict[str, Any]) -> dict[str, float]:
    return headline_numbers(rows, VIEWS, "generator")


def test_the_chosen_setting_of_the_headline_alone() -> None:
    rows = [row("fid", 9.0, variant="steps=1"), row("fid", 3.0, variant="steps=9"), row("fid", None, variant="steps=0")]
    assert numbers(*rows, row("kid", 0.1), row("fid", 1.0, slice="part")) == {"fid": 9.0}
    chosen = [row("fid", 4.0, variant="steps=9", split="validation")]
    assert numbers(*rows, *chosen) == {"fid": 3.0}


def test_no_protocol_split_or_slice_overwrites_another() -> None:
    assert numbers(row("fid", 1.0), row("fid", 2.0, protocol="fid/other/v1")) == {
        "fid fid/v1": 1.0,
        "fid fid/other/v1": 2.0,
    }
    assert numbers(row("fid", 1.0), row("fid", 2.0, split="train")) == {"fid test": 1.0, "fid train": 2.0}
    assert numbers(row("kid", 1.0), row("kid", 2.0, slice="part")) == {"kid": 1.0, "kid part": 2.0}
    every = [row("kid", float(i), protocol=f"p{i // 4}", split=f"s{i // 2 % 2}", slice=f"c{i % 2}") for i in range(5)]
    assert sorted(numbers(*every).values()) == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_without_a_headline_what_ranks_the_tables_and_never_more_than_five() -> None:
    assert numbers(*(row("kid", float(i), slice=f"c{i}") for i in range(9))).keys() == {f"kid c{i}" for i in range(5)}
    assert numbers(row("psnr", 1.0)) == {}


def test_rows_of_another_role_are_not_the_generators() -> None:
    assert numbers(row("fid", 1.0, role="floor"), row("fid", 2.0)) == {"fid": 2.0}


@pytest.fixture(scope="module")
def committed() -> dict[str, list[Any]]:
    """Generator -> its rows of quality in the committed leaderboard."""
    rows = [one.record for one in rows_from_json(read_json(ROOT / "reports/leaderboard.json"))]
    rows = sorted((one for one in rows if one.metric not in COST_METRICS), key=lambda one: one.generator)
    return {name: list(found) for name, found in groupby(rows, key=lambda one: one.generator)}


def test_every_generator_of_the_committed_results_has_one_to_five(committed: dict[str, list[Any]]) -> None:
    measured = {one.metric for records in committed.values() for one in records}
    for name, records in committed.items():
        family, role = records[0].family, load_params(ROOT / "params.yaml").generator(name)["role"]
        views = headline_views(ROOT, family)
        found = headline_numbers([one.to_json() for one in records], views, role)
        newer = bool(views[0]) and measured.isdisjoint(view["metric"] for view in views[0])
        assert newer or len(found) >= 1, name  # results from before the headline's metric existed may have none
        assert len(found) <= 5, name


def test_they_are_what_the_readme_shows(committed: dict[str, list[Any]]) -> None:
    rows = rows_from_json(read_json(ROOT / "reports/leaderboard.json"))
    lines = [
        line.record for one in headlines(rows, read_schema(ROOT / "reports/schema.yaml")) for line in best_lines(one)
    ]
    assert len(lines) > 20
    for shown in lines:
        records = [one.to_json() for one in committed[shown.generator]]
        found = headline_numbers(records, headline_views(ROOT, shown.family), "generator")
        assert shown.value in [value for key, value in found.items() if key.split()[0] == shown.metric], shown


def _mlflow_says_what_the_readme_says(sources: Sources) -> int:
    """The bare value of each headline is the README's, in at most forty metrics; the number of values compared."""
    found, sizes = {}, Counter(map(column_key, sources.records))
    for name, entry in sources.entries.items():
        curve = {column for column, *_ in curve_of(entry)}
        views = headline_views(ROOT, entry.family)
        found[name] = metrics_of(entry.records, views, MOST_METRICS - len(curve), sizes)
        assert len(found[name]) + len(curve) <= MOST_METRICS
    compared = 0
    schema = read_schema(ROOT / "reports" / "schema.yaml")
    for headline in headlines(build_rows(sources.records, sources.items), schema):
        for line in best_lines(headline):
            name, metric = line.record.generator, line.record.metric
            assert found[name][f"eval/{metric}"] == line.record.value, f"{name}: {metric}"
            compared += 1
    return compared


def test_mlflow_has_the_values_of_the_readme(
    workspace: Path, declared: Callable[[Path], dict[str, dict[str, Any]]]
) -> None:
    assert _mlflow_says_what_the_readme_says(gather(workspace, declared(workspace))) >= 10


def test_mlflow_has_the_values_of_the_readme_on_a_real_run() -> None:
    sources = gather(ROOT, load_params(ROOT / "params.yaml").generators())
    if not sources.records:
        pytest.skip("nothing is evaluated in this checkout")
    assert _mlflow_says_what_the_readme_says(sources) >= 1
