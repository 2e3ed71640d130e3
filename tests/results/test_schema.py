"""reports/schema.yaml: what is shipped is right, and every wrong key or name is refused with the nearest right one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.base.errors import BenchError
from bench.catalogue.families import FAMILIES
from bench.report.schema import Schema, Selector, load_schema, read_schema
from bench.results.records import Record

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def shipped(reports: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((reports / "schema.yaml").read_text(encoding="utf-8")))


def test_the_shipped_file_is_read_whole(reports: Path, shipped: dict[str, Any]) -> None:
    schema = read_schema(reports / "schema.yaml")
    assert list(schema.families) == list(FAMILIES) == list(shipped["families"])
    for name, view in schema.families.items():
        described = shipped["families"][name]
        assert [table.id for table in view.tables] == [table["id"] for table in described["tables"]]
        assert [len(table.columns) for table in view.tables] == [len(table["columns"]) for table in described["tables"]]
        assert [item.metric for item in view.headline] == [item["metric"] for item in described["headline"]]
    assert list(schema.cost_columns) == shipped["cost_columns"]
    assert {name: view.format for name, view in schema.metrics.items()} == {
        name: entry.get("format", "") for name, entry in shipped["metrics"].items()
    }


def test_no_metric_stands_twice(reports: Path) -> None:
    """A second entry of the same key would silently win."""
    text = (reports / "schema.yaml").read_text(encoding="utf-8")
    block = text[text.index("\nmetrics:") : text.index("\ncost_columns:")]
    names = [line.split(":")[0].strip() for line in block.splitlines()[2:] if line.startswith("  ") and ":" in line]
    assert len(names) > 20
    assert len(set(names)) == len(names)


def words(document: dict[str, Any]) -> dict[str, Any]:
    return dict(document["families"]["words"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(titel="x"), r"schema.yaml: unknown key 'titel'.*Did you mean 'title'"),
        (lambda d: d["metrics"].update(fdi={}), r"unknown metric 'fdi'.*Did you mean 'fid'"),
        (lambda d: d["metrics"]["psnr"].update(formt="x"), r"metrics.psnr: unknown key 'formt'.*Did you mean 'format'"),
        (lambda d: d["metrics"]["psnr"].update(format="fixd:2"), r"metrics.psnr: format 'fixd:2' must be fixed:N"),
        (lambda d: d["metrics"].update(psnr="fixed:2"), r"metrics.psnr must be a mapping, not 'fixed:2'"),
        (lambda d: d["cost_columns"].append("flops"), r"unknown metric 'flops'.*Did you mean 'train_flops'"),
        (lambda d: d["families"].update(wrods=words(d)), r"unknown family 'wrods'.*Did you mean 'words'"),
        (lambda d: d["families"]["words"].update(title="Words"), r"families.words: unknown key 'title'"),
        (lambda d: d["families"]["words"].pop("about"), r"families.words: lacks about"),
        (
            lambda d: d["families"]["codecs"]["headline"][0].update(metric="sism"),
            r"families.codecs.headline: unknown metric 'sism'.*Did you mean 'ssim'",
        ),
        (
            lambda d: d["families"]["codecs"]["headline"][0].update(scale="logarithmic"),
            r"families.codecs.headline.scale: must be one of linear, log, not 'logarithmic'",
        ),
        (
            lambda d: d["families"]["codecs"]["tables"][0]["columns"].append("pnsr"),
            r"families.codecs.tables.codecs.columns: unknown metric 'pnsr'.*Did you mean 'psnr'",
        ),
        (
            lambda d: d["families"]["codecs"]["tables"][0]["columns"].append({"metric": "psnr", "slise": ""}),
            r"families.codecs.tables.codecs.columns: unknown key 'slise'.*Did you mean 'slice'",
        ),
        (
            lambda d: d["families"]["codecs"]["tables"][0].pop("rank_by"),
            r"families.codecs.tables.codecs.rank_by is missing",
        ),
        (
            lambda d: d["families"]["codecs"]["tables"][0].update(rankby="psnr"),
            r"families.codecs.tables.codecs: unknown key 'rankby'.*Did you mean 'rank_by'",
        ),
    ],
)
def test_a_wrong_key_or_name_is_refused(shipped: dict[str, Any], change: Change, message: str) -> None:
    document = copy.deepcopy(shipped)
    load_schema(document)
    change(document)
    with pytest.raises(BenchError, match=message):
        load_schema(document)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"schema\.yaml"):
        read_schema(tmp_path / "schema.yaml")


def test_a_selector_takes_what_all_its_patterns_fit() -> None:
    record = Record("g", "s", "images", "d", "fid", "fid/net/v1", 1.0, variant="steps=50", slice="unseen-pairs")
    assert Selector()(record)
    assert Selector("fid", protocol="fid/*/v1", variant="steps=*", slice="unseen*")(record)
    assert not Selector("fid", slice="")(record)
    assert not Selector("kid")(record)


def test_costs_end_every_table_unless_the_file_says_otherwise(shipped: dict[str, Any]) -> None:
    fewer = {**shipped, "cost_columns": ["parameters"]}
    without = {key: value for key, value in shipped.items() if key != "cost_columns"}
    assert load_schema(fewer).cost_columns == ("parameters",)
    assert load_schema(without).cost_columns == Schema("", "", {}).cost_columns != ()
