"""The one table: schema, order, ranks with ties, parity of json, csv and markdown, costs from the runs."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bench.base.errors import BenchError
from bench.base.files import read_json, write_json
from bench.catalogue.families import FAMILIES
from bench.catalogue.metrics import CATALOGUE
from bench.config.variants import variant_id
from bench.report.island import leftover
from bench.report.markdown import tables_markdown
from bench.report.overview import BEGIN, END, Scale, headlines, insert_block, readme_block
from bench.report.schema import Schema, read_schema
from bench.report.tables import build_tables
from bench.results.costs import cost_rows
from bench.results.leaderboard import COST_METRICS, build_rows, column_key, rows_from_json, to_csv, to_json
from bench.results.records import Record
from bench.results.sources import Sources, gather

Declared = Callable[[Path], dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def sources(workspace: Path, declared: Declared) -> Sources:
    return gather(workspace, declared(workspace))


@pytest.fixture(scope="module")
def schema(reports: Path) -> Schema:
    return read_schema(reports / "schema.yaml")


@pytest.fixture(scope="module")
def validator(reports: Path) -> Any:
    document = json.loads((reports / "leaderboard.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


def record(name: str, value: float | None, half: float | None = 0.1, **changes: Any) -> Record:
    interval = None if value is None or half is None else (value - half, value + half)
    plain: dict[str, Any] = {
        "generator": name,
        "system": "s",
        "family": "images",
        "dataset": "d",
        "metric": "fid",
        "protocol": "fid/net/v1",
    }
    return Record(**{**plain, "value": value, "ci95": interval, "n": 10, "higher_is_better": False, **changes})


# Schema


def test_every_row_fits_the_shipped_schema(sources: Sources, validator: Any) -> None:
    document = json.loads(json.dumps(to_json(build_rows(sources.records)), allow_nan=False))
    assert len(document["rows"]) > 300
    validator.validate(document)
    assert {row["family"] for row in document["rows"]} == {
        "words",
        "by_example",
        "encoders",
        "codecs",
        "images",
        "text_to_image",
    }


def test_the_shipped_schema_knows_every_family(reports: Path) -> None:
    document = json.loads((reports / "leaderboard.schema.json").read_text())
    assert document["$defs"]["row"]["properties"]["family"]["enum"] == list(FAMILIES)


@pytest.mark.parametrize(
    "broken",
    [
        {"protocol": ""},
        {"family": "poems"},
        {"value": "12"},
        {"ci95": [1.0]},
        {"split": "dev"},
        {"role": "hero"},
        {"rank": 0},
        {"surprise": 1},
        {"variant": "=5"},
        {"run_key": ""},
    ],
)
def test_schema_refuses_a_wrong_row(sources: Sources, validator: Any, broken: dict[str, Any]) -> None:
    document = to_json(build_rows(sources.records))
    document["rows"][0] = {**document["rows"][0], **broken}
    assert not validator.is_valid(json.loads(json.dumps(document)))


# Order and ranks


def test_rows_come_in_a_fixed_order_whatever_the_order_of_reading(sources: Sources) -> None:
    forward = [row.to_json() for row in build_rows(sources.records)]
    families = list(dict.fromkeys(row["family"] for row in forward))
    assert families == ["words", "by_example", "encoders", "codecs", "images", "text_to_image"]
    metrics = [row["metric"] in COST_METRICS for row in forward if row["generator"] == "ddpm-mnist"]
    assert metrics == sorted(metrics), "costs come after quality"


def test_overlapping_values_share_a_range_of_places() -> None:
    rows = build_rows([record("a", 9.0, 1.0), record("b", 9.1, 1.0), record("c", 20.0, 1.0)])
    assert [(row.record.generator, row.rank, row.rank_to, row.tied, row.place) for row in rows] == [
        ("a", 1, 2, True, "1–2"),
        ("b", 1, 2, True, "1–2"),
        ("c", 3, 3, False, "3"),
    ]


def test_a_number_of_unknown_interval_has_no_place_but_a_count_has() -> None:
    rows = build_rows([record("a", 1.0, None), record("b", 2.0, None)])
    assert [row.rank for row in rows] == [None, None]
    counted = {"metric": "parameters", "protocol": "cost/parameters/v1"}
    rows = build_rows([record("a", 10.0, None, **counted), record("b", 20.0, None, **counted)])
    assert [row.rank for row in rows] == [1, 2]


def test_the_validation_split_chooses_the_shown_setting_and_the_test_split_has_no_say() -> None:
    tested = [record("a", 5.0, variant="n=1"), record("a", 1.0, variant="n=2"), record("a", 3.0, variant="n=3")]
    chosen = [record("a", value, variant=f"n={n}", split="validation") for n, value in ((1, 9.0), (2, 8.0), (3, 7.0))]
    other = record("b", 2.0)
    first = build_rows([*tested, other])
    assert [(row.record.variant, row.shown, row.rank) for row in first] == [
        ("n=1", True, 2),
        ("n=2", False, None),
        ("n=3", False, None),
        ("", True, 1),
    ]
    rows = [row for row in build_rows([*tested, *chosen, other]) if row.record.split == "test"]
    assert [(row.record.variant, row.shown, row.rank) for row in rows] == [
        ("n=1", False, None),
        ("n=2", False, None),
        ("n=3", True, 2),
        ("", True, 1),
    ]
    assert all(row.rank is None for row in build_rows(chosen))


def test_blocks_behind_two_numbers_tell_them_apart() -> None:
    rows = [record("a", 2.10, 0.15), record("b", 2.15, 0.15)]
    hard = [1.5 + i / 15 for i in range(20)]
    items = {
        ("a", "fid", ""): ([value - 0.05 + 0.01 * (-1) ** i for i, value in enumerate(hard)], [1.0] * 20),
        ("b", "fid", ""): (hard, [1.0] * 20),
    }
    assert [row.place for row in build_rows(rows)] == ["1–2"] * 2
    assert [row.place for row in build_rows(rows, items)] == ["1", "2"]


def test_direction_decides_who_is_first() -> None:
    lower = build_rows([record("a", 1.0), record("b", 5.0)])
    higher = build_rows([record("a", 1.0, higher_is_better=True), record("b", 5.0, higher_is_better=True)])
    assert [row.rank for row in lower] == [1, 2]
    assert [row.rank for row in higher] == [2, 1]


@pytest.mark.parametrize("role", ["floor", "ceiling", "memoriser"])
def test_references_are_shown_but_never_ranked(role: str) -> None:
    rows = build_rows([record("best", 0.1, role=role), record("a", 5.0), record("b", 9.0)])
    assert [row.rank for row in rows] == [None, 1, 2]


@pytest.mark.parametrize(
    "change",
    [{"protocol": "fid/net/v2"}, {"slice": "unseen"}, {"split": "validation"}, {"dataset": "e"}, {"metric": "kid"}],
    ids=str,
)
def test_two_protocols_share_neither_rank_nor_column(change: dict[str, Any]) -> None:
    rows = build_rows([record("a", 1.0), record("b", 5.0, **change)])
    assert {row.rank for row in rows} == ({1, None} if "split" in change else {1})
    assert column_key(rows[0].record) != column_key(rows[1].record)


def test_infinite_and_neutral_values_have_no_rank() -> None:
    rows = build_rows(
        [
            record("a", math.inf, None),
            record("b", 3.0),
            record("c", 1.0, metric="nearest_train_ratio", higher_is_better=None),
        ]
    )
    assert {row.record.generator: row.rank for row in rows} == {"a": None, "b": 1, "c": None}
    assert rows[0].record.value is None


def test_the_same_number_twice_is_refused() -> None:
    with pytest.raises(BenchError, match="fid twice under fid/net/v1"):
        build_rows([record("a", 1.0), record("a", 2.0)])


def test_a_column_of_two_directions_is_refused() -> None:
    with pytest.raises(BenchError, match="some rows say higher"):
        build_rows([record("a", 1.0), record("b", 2.0, higher_is_better=True)])


# Forms


def test_json_gives_the_same_rows_again(sources: Sources) -> None:
    rows = build_rows(sources.records)
    assert rows_from_json(json.loads(json.dumps(to_json(rows)))) == rows


def test_csv_has_a_line_for_each_row_with_every_digit(sources: Sources) -> None:
    rows = [*build_rows(sources.records), *build_rows([record("a,b", 0.1 + 0.2, None, higher_is_better=None)])]
    lines = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        low, high = row.record.ci95 or (None, None)
        numbers = {"value": row.record.value, "ci95_low": low, "ci95_high": high, "rank": row.rank}
        assert {key: float(line[key]) if line[key] else None for key in numbers} == numbers
        flags = {"higher_is_better": row.record.higher_is_better, "tied": row.tied}
        assert {key: {"true": True, "false": False, "": None}[line[key]] for key in flags} == flags
        for key in ("generator", "metric", "protocol", "variant", "slice", "unit", "role", "run_key"):
            assert line[key] == getattr(row.record, key)
        assert (int(line["n"]), int(line["seed"])) == (row.record.n, row.record.seed)


def test_another_schema_version_is_refused() -> None:
    with pytest.raises(BenchError, match="schema version 99"):
        rows_from_json({"schema_version": 99, "rows": []})


def test_markdown_shows_every_number_of_every_table(sources: Sources, schema: Schema) -> None:
    tables = build_tables(build_rows(sources.records), schema)
    lines = tables_markdown(tables, schema).splitlines()
    body = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("| ") and "model" not in line and ":--" not in line
    ]
    expected = [
        [
            line.place,
            line.variant,
            *(f"{cell.text} ({cell.interval})" if cell.interval else cell.text for cell in line.cells),
        ]
        for table in tables
        for line in table.lines
    ]
    assert [[row[0], *row[2:]] for row in body] == expected
    for table in tables:
        for _, protocol in table.protocols:
            assert any(protocol in line for line in lines)


def test_ties_are_written_as_a_range(schema: Schema) -> None:
    same: dict[str, Any] = {"family": "words", "metric": "bits_per_byte", "protocol": "bits_per_byte/test/v1"}
    table = build_tables(
        build_rows([record("a", 2.0, **same), record("b", 2.01, **same), record("c", 5.0, **same)]), schema
    )[0]
    assert [(line.generator, line.place) for line in table.lines] == [
        ("a", "1\N{EN DASH}2"),
        ("b", "1\N{EN DASH}2"),
        ("c", "3"),
    ]


def test_the_column_with_most_models_ranks_and_numbers_sort_by_value(schema: Schema) -> None:
    """Of three protocols of the ranking metric, whichever comes first."""
    few, many, none = (f"bits_per_byte/works/known={count}/v1" for count in (90, 189, 1085))
    measured = [("a", 2.0, few), ("b", 3.0, many), ("c", 3.0, many), ("d", 1.0, none)]
    rows = [
        record(name, value, family="words", metric="bits_per_byte", protocol=protocol)
        for name, value, protocol in measured
    ]
    table = build_tables(build_rows(rows), schema)[0]
    assert [column.qualifier for column in table.columns] == ["known 189", "known 90", "known 1085"], (
        "the ranking one first"
    )
    assert table.ranking is not None and table.ranking.protocol == many
    assert {line.generator: line.place for line in table.lines} == {
        "a": "",
        "b": "1\N{EN DASH}2",
        "c": "1\N{EN DASH}2",
        "d": "",
    }


def test_lines_are_ordered_real_first_then_best_then_copier_then_floor(sources: Sources, schema: Schema) -> None:
    table = next(table for table in build_tables(build_rows(sources.records), schema) if table.id == "images-mnist")
    assert [line.role for line in table.lines] == ["ceiling", *["generator"] * 4, "memoriser", "floor"]
    values = [line.cells[0].sort for line in table.lines if line.role == "generator"]
    assert values[1:] == sorted(values[1:])  # type: ignore[type-var]
    assert [line.shown for line in table.lines if line.role == "generator"] == [True, False, False, False]
    assert values[0] == min(values), "the shown setting, its others beneath"  # type: ignore[type-var]
    assert all(
        any(column.cost and line.cells[i].text for i, column in enumerate(table.columns)) for line in table.lines
    )


def test_what_no_table_names_is_left_over_and_nothing_is_lost(schema: Schema) -> None:
    rows = build_rows([record("a", 1.0), record("a", 3.0, metric="brand_new_metric", protocol="new/v1")])
    assert [row.record.metric for row in leftover(rows, build_tables(rows, schema))] == ["brand_new_metric"]


# Costs and sources


def test_costs_stand_in_the_same_line_for_every_variant(sources: Sources) -> None:
    rows = [record for record in sources.records if record.generator == "ddpm-mnist"]
    variants = {record.variant for record in rows}
    assert len(variants) == 4
    for metric in COST_METRICS:
        assert {record.variant for record in rows if record.metric == metric} == variants
    assert all(record.protocol.startswith("cost/") for record in rows if record.metric in COST_METRICS)


def test_seconds_of_two_machines_never_share_a_column_but_flops_do() -> None:
    block = {"system": "ddpm", "family": "images", "dataset": "mnist"}
    found = [
        {
            row["metric"]: row["protocol"]
            for row in cost_rows("a", block, {"seconds": 1.0, "train_flops": 1e9, "machine": machine}, {}, [""], 0)
        }
        for machine in ({"device": "cpu", "threads": 2}, {"device": "cuda:0", "threads": 2})
    ]
    assert found[0]["train_seconds"] != found[1]["train_seconds"]
    assert found[0]["train_flops"] == found[1]["train_flops"]


def test_each_arm_carries_its_own_costs_and_other_rows_those_of_all() -> None:
    block = {"system": "transformer_lm", "family": "words", "dataset": "shakespeare"}
    train: dict[str, Any] = {"train_flops": 30.0, "parameters": 20.0, "peak_memory_bytes": 5.0}
    train["arms"] = {
        "small": {"train_flops": 10.0, "parameters": 4.0},
        "large": {"train_flops": 20.0, "parameters": 20.0},
    }
    rows = cost_rows("a", block, train, {}, ["arm=small", "arm=large,context=64", ""], 0)
    flops = {row["variant"]: row["value"] for row in rows if row["metric"] == "train_flops"}
    assert flops == {"arm=small": 10.0, "arm=large,context=64": 20.0, "": 30.0}
    assert {row["variant"]: row["value"] for row in rows if row["metric"] == "parameters"}["arm=small"] == 4.0
    assert {row["value"] for row in rows if row["metric"] == "peak_memory_bytes"} == {5.0}, (
        "one process trained them all"
    )


def test_costs_that_the_sample_stage_measured_become_rows(fresh_workspace: Path, declared: Declared) -> None:
    path = fresh_workspace / "runs/latent-diffusion-scenes/sample.json"
    cost = {
        "metric": "step_seconds_per_item",
        "variant": "space=latents",
        "value": 0.01,
        "ci95": [0.009, 0.011],
        "n": 5,
    }
    facts = read_json(path)
    first = next(iter(facts["variants"].values()))
    first["cost"] = [{**cost, "protocol": "cost/step/v1"}]
    write_json(path, facts)
    entry = gather(fresh_workspace, declared(fresh_workspace)).entries["latent-diffusion-scenes"]
    row = next(record for record in entry.records if record.metric == "step_seconds_per_item")
    assert (row.value, row.ci95, row.n) == (0.01, (0.009, 0.011), 5)
    assert (row.family, row.system, row.run_key) == ("text_to_image", "latent_diffusion", entry.run_key)
    assert (row.unit, row.higher_is_better) == ("s", False)


def test_direction_and_unit_are_the_catalogues_unless_a_row_is_not_ranked(
    fresh_workspace: Path, declared: Declared
) -> None:
    path = fresh_workspace / "evaluations/vqvae-ema.json"
    document = read_json(path)
    psnr = next(row for row in document["records"] if row["metric"] == "psnr")
    document["records"].append({**psnr, "slice": "against-content", "ranked": False})
    write_json(path, document)
    records = gather(fresh_workspace, declared(fresh_workspace)).records
    assert {"dB", "bits/byte", "FLOP", "bytes", "s"} <= {record.unit for record in records}
    for one in records:
        known = CATALOGUE[one.metric]
        assert one.unit == known.unit
        assert one.higher_is_better == (None if one.slice == "against-content" else known.higher_is_better)
    unranked = [row for row in build_rows(records) if row.record.slice == "against-content"]
    assert [row.rank for row in unranked] == [None]


def test_an_arm_has_its_own_settings_beside_those_of_its_variant(fresh_workspace: Path, declared: Declared) -> None:
    blocks = declared(fresh_workspace)
    blocks["vqvae-ema"]["arms"] = {"small": {"model": {"width": 8}, "share": 0.1}, "large": {"model": {"width": 32}}}
    path = fresh_workspace / "evaluations/vqvae-ema.json"
    document = read_json(path)
    rows = [row for row in document["records"] if row["metric"] == "psnr"]
    document["records"] = [{**row, "variant": f"arm={arm},steps=5"} for row in rows for arm in ("small", "large")]
    write_json(path, document)
    small, large, *_ = gather(fresh_workspace, blocks).entries["vqvae-ema"].records
    assert small.settings == {"share": 0.1, "width": 8, "arm": "small", "steps": 5}
    assert large.settings == {"share": 1.0, "width": 32, "arm": "large", "steps": 5}
    assert Record.from_json(json.loads(json.dumps(small.to_json()))) == small


def test_only_declared_generators_are_read(fresh_workspace: Path, declared: Declared) -> None:
    blocks = declared(fresh_workspace)
    before = gather(fresh_workspace, blocks).records
    del blocks["ddpm-mnist"]
    after = gather(fresh_workspace, blocks).records
    assert any(record.generator == "ddpm-mnist" for record in before)
    assert [record for record in before if record.generator != "ddpm-mnist"] == after
    assert (fresh_workspace / "evaluations/ddpm-mnist.json").exists(), "the file stays, the rows go"


def test_run_key_changes_with_the_block_and_the_inputs_only(fresh_workspace: Path, declared: Declared) -> None:
    blocks = declared(fresh_workspace)
    key = gather(fresh_workspace, blocks).entries["vqvae-ema"].run_key
    write_json(fresh_workspace / "runs/vqvae-ema/train.json", {"seconds": 99.0})
    assert gather(fresh_workspace, blocks).entries["vqvae-ema"].run_key == key, (
        "a slower run of the same inputs is the same run"
    )
    blocks["vqvae-ema"]["model"] = {"width": 3}
    assert gather(fresh_workspace, blocks).entries["vqvae-ema"].run_key != key


def test_provenance_comes_from_the_lock(sources: Sources) -> None:
    entry = sources.entries["ddpm-mnist"]
    assert entry.stages == {"train": "train-images@ddpm-mnist", "evaluate": "evaluate-images@ddpm-mnist"}
    assert entry.data_hash == "cd" * 16


def test_a_record_of_another_generator_is_refused(fresh_workspace: Path, declared: Declared) -> None:
    path = fresh_workspace / "evaluations/ddpm-mnist.json"
    document = read_json(path)
    document["records"][0]["generator"] = "someone-else"
    write_json(path, document)
    with pytest.raises(BenchError, match=r"ddpm-mnist\.json holds a record of 'someone-else'"):
        gather(fresh_workspace, declared(fresh_workspace))


def test_a_variant_is_read_into_values_that_are_written_the_same() -> None:
    text = "sampler=ddim,steps=50,guidance=3.0,eta=1e-05,mask=007,big=1e+03,odd=1_0,ema=True,stop=None,chance"
    settings = record("a", 1.0, variant=text).settings
    assert settings == {
        "sampler": "ddim",
        "steps": 50,
        "guidance": 3.0,
        "eta": 1e-05,
        "mask": "007",
        "big": "1e+03",
        "odd": "1_0",
        "ema": True,
        "stop": None,
    }
    assert f"{variant_id(settings)},chance" == text


# Overview


def test_position_runs_from_floor_to_ceiling() -> None:
    linear, log = Scale(8.0, 2.0), Scale(10_000.0, 1.0, log=True)
    assert (linear(8.0), linear(5.0), linear(2.0)) == (0.0, 0.5, 1.0)
    assert log(100.0) == pytest.approx(0.5)
    assert linear(9.0) < 0


def test_headline_has_the_best_generator_and_not_a_reference(sources: Sources, schema: Schema) -> None:
    found = {headline.family: headline for headline in headlines(build_rows(sources.records), schema)}
    assert found["images"].best is not None
    assert found["images"].best.record.generator == "ddpm-mnist"
    assert found["images"].scale is not None
    assert (found["images"].scale.floor, found["images"].scale.ceiling) == (27000.0, 3.9)
    assert found["codecs"].scale is not None
    assert found["codecs"].scale.ceiling == 1.0


def test_there_is_no_scale_up_to_real_data_that_score_worse_than_noise(sources: Sources, schema: Schema) -> None:
    records = [
        dataclasses.replace(record, value=30_000.0) if (record.metric, record.role) == ("fid", "ceiling") else record
        for record in sources.records
    ]
    found = {headline.family: headline for headline in headlines(build_rows(records), schema)}
    assert found["images"].scale is None
    assert found["images"].best is not None


def test_a_row_that_was_scored_without_sampling_shows_what_its_first_samples_cost(schema: Schema) -> None:
    common = {"generator": "lm", "system": "ngram", "family": "words", "dataset": "shakespeare"}
    scored = Record(metric="bits_per_byte", protocol="bpb/v1", value=2.0, higher_is_better=False, **common)
    costs = [
        Record(metric="sample_seconds_per_item", protocol="cost/v1", value=value, variant=variant, unit="s", **common)
        for variant, value in (("temperature=1.0", 0.012), ("temperature=0.7", 0.034))
    ]
    (line,) = (line for line in readme_block(build_rows([scored, *costs]), schema).splitlines() if "**lm**" in line)
    assert line.endswith("| 12.0 ms |")


def test_readme_block_is_inserted_between_its_markers_and_twice_is_once(sources: Sources, schema: Schema) -> None:
    block = readme_block(build_rows(sources.records), schema)
    page = f"# Title\n\n{BEGIN}\nold\n{END}\n\nThe end.\n"
    once = insert_block(page, block)
    assert "old" not in once
    assert once.startswith("# Title")
    assert once.endswith("The end.\n")
    assert insert_block(once, block) == once
    assert "ddpm-mnist" in once
    assert insert_block("# No markers\n", block).count(BEGIN) == 1
