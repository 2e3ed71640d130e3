"""The parts of the page: history, first screen, tables, curves, claims, the rows as JSON, small pictures."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from bench.base.errors import BenchError
from bench.report.answer import first_pictures
from bench.report.charts import FEWEST_TICKS, MOST_SERIES, Series, line_chart
from bench.report.claim_view import claim_rows
from bench.report.claims import FAILS, HOLDS, UNCLEAR, Claim, Comparison, Verdict
from bench.report.figures import extra_curves, settings_chart
from bench.report.history import method_of, read_methods
from bench.report.island import FIELDS, island
from bench.report.page import build_context
from bench.report.pictures import small_picture
from bench.report.schema import Schema, read_schema
from bench.report.tables import OPEN_COLUMNS, build_tables
from bench.results.extras import Curve, Line
from bench.results.leaderboard import Row, build_rows
from bench.results.pictures import grid, png, png_bytes
from bench.results.records import Record
from bench.results.sources import Entry, gather

Declared = Callable[[Path], dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def schema(reports: Path) -> Schema:
    return read_schema(reports / "schema.yaml")


@pytest.fixture(scope="module")
def context(workspace: Path, declared: Declared, reports: Path, schema: Schema) -> dict[str, Any]:
    sources = gather(workspace, declared(workspace))
    methods = read_methods(reports / "history.yaml")
    return build_context(sources, build_rows(sources.records, sources.items), [], schema, {}, methods)


def record(generator: str, value: float, variant: str = "", **changes: Any) -> Record:
    row = {
        "generator": generator,
        "system": "ngram",
        "family": "words",
        "dataset": "shakespeare",
        "role": "generator",
        "seed": 0,
        "metric": "bits_per_byte",
        "protocol": "bits_per_byte/test/v1",
        "value": value,
        "ci95": [value - 0.01, value + 0.01],
        "n": 10,
        "variant": variant,
        "split": "test",
        "slice": "",
    }
    return Record.from_json({**row, **changes})


# History


def test_every_measured_system_has_a_year_and_a_source(reports: Path) -> None:
    params = yaml.safe_load((reports.parent / "params.yaml").read_text())
    methods = read_methods(reports / "history.yaml")
    systems = {
        block["system"]
        for family, section in params.items()
        if isinstance(section, dict) and family != "datasets"
        for block in section.values()
        if isinstance(block, dict) and "system" in block and block.get("role", "generator") == "generator"
    }
    assert len(systems) > 10
    missing = sorted(system for system in systems if method_of(methods, system) is None)
    assert not missing, f"give a year and a source to {missing} in reports/history.yaml"
    for method in methods:
        assert 1900 < method.year < 2030
        assert re.search(r"\d{4}", method.source), f"{method.title}: the source names a year"


def test_a_setting_with_a_publication_of_its_own_has_its_year(reports: Path) -> None:
    methods = read_methods(reports / "history.yaml")
    for variant, year in (
        ("n=3", 1948),
        ("n=5,smoothing=kneser_ney", 1995),
        ("n=5,smoothing=modified_kneser_ney", 1998),
    ):
        method = method_of(methods, "ngram", variant)
        assert method is not None
        assert method.year == year
    assert method_of(methods, "never_heard_of") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("methods: [{ system: ngram, yaer: 1948, title: a, source: b }]", "yaer"),
        ("methods: [{ system: ngram, year: soon, title: a, source: b }]", "year"),
        ("years: []", "methods"),
    ],
)
def test_a_wrong_history_is_refused_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "history.yaml").write_text(text)
    with pytest.raises(BenchError, match=message):
        read_methods(tmp_path / "history.yaml")


def test_the_timeline_links_each_method_to_its_card(context: dict[str, Any]) -> None:
    svg = context["timeline"]["svg"]
    for title, card in (
        ("n-grams", "ngram-char"),
        ("DDPM", "ddpm-mnist"),
        ("latent diffusion", "latent-diffusion-scenes"),
    ):
        assert re.search(rf'<a href="#card-{card}"[^>]*>(?:(?!</a>).)*>{title}</text></a>', svg)
    assert svg.count('tabindex="0"') == 1, "one Tab stop, the arrow keys do the rest"
    places = [int(x) for x in re.findall(r'<text class="tick" x="(\d+)"', svg)]
    assert places == sorted(set(places))


# First screen


def test_the_first_screen_says_who_wins_at_what_cost(context: dict[str, Any]) -> None:
    answers = {answer["family"]: answer for answer in context["answers"]}
    assert len(answers) == len(context["answers"]), "one row a family"
    assert list(answers) == [family["id"] for family in context["families"]], "every family has a row"
    words = answers["words"]
    assert (words["generator"], words["variant"]) == ("ngram-word", "n 3 · smoothing kneser ney")
    assert (words["year"], words["value"], words["interval"]) == (1995, "1.844", "1.824 – 1.864")
    assert words["low"] == ("baseline", "6.900")
    assert words["high"] == ("ideal", "1.300")
    assert (words["ends"], words["position"]) == ([89.9, 90.6], 90.3)
    assert words["costs"] == [("Training", "32.0 s"), ("One sample", "34.0 ms")]
    assert words["sample"]["text"].startswith("To be the state")
    assert Image.open(io.BytesIO(answers["images"]["sample"]["png"])).size == (4 * 30 - 2, 28)
    assert answers["images"]["of"] == 1
    assert context["summary"].startswith(
        "12 generators of 6 families of the years 1948 to 2022, 41 minutes of training"
    )


def test_the_sample_is_the_beginning_of_the_grid() -> None:
    images = np.arange(1, 13, dtype=np.uint8)[:, None, None, None] * np.full((1, 5, 5, 1), 10, np.uint8)
    first = np.asarray(Image.open(io.BytesIO(first_pictures(png(grid(images, columns=6)), 6))))
    assert first.shape == (5, 4 * 7 - 2)
    assert [int(first[0, 7 * i]) for i in range(4)] == [10, 20, 30, 40]


# Tables


def test_fewer_than_three_generators_are_settings_without_places(schema: Schema) -> None:
    rows = build_rows([record("a", 2.0, "n=1"), record("a", 1.5, "n=2"), record("b", 3.0)])
    (table,) = build_tables(rows, schema)
    assert table.title == "Settings of a and b: Language models"
    assert not table.ranked
    assert {line.place for line in table.lines} == {""}
    assert {cell.rank for line in table.lines for cell in line.cells} == {None}
    (board,) = build_tables(build_rows([*(row.record for row in rows), record("c", 4.0)]), schema)
    assert board.ranked
    assert board.title == "Language models"
    assert [(line.generator, line.place) for line in board.lines if line.shown] == [("a", "1"), ("b", "2"), ("c", "3")]


def test_costs_stand_right_after_the_ranking_column(context: dict[str, Any], schema: Schema) -> None:
    for family in context["families"]:
        for board in (*family["tables"], *family["settings"]):
            columns = board["table"].columns
            kinds = ["rank" if c.ranking else "more" if c.more else "cost" if c.cost else "open" for c in columns]
            assert kinds == sorted(kinds, key=["rank", "cost", "open", "more"].index), board["table"].id
            assert kinds.count("open") <= OPEN_COLUMNS
            costs = [column.metric for column in columns if column.cost and not column.more]
            assert costs == [metric for metric in schema.cost_columns if metric in costs], board["table"].id
            assert "sample_seconds_per_item" in costs


def test_a_shown_line_takes_a_cost_that_only_another_setting_has(schema: Schema) -> None:
    cost = {"metric": "sample_seconds_per_item", "protocol": "cost/sampling-time/cpu/v2", "split": "", "ci95": None}
    scored = [record(name, value) for name, value in (("a", 1.0), ("b", 2.0), ("c", 3.0))]
    sampled = [record("a", 0.25, "temperature=0.8", **cost), record("b", 0.5, "", **cost)]
    also = record("a", 1.1, "temperature=0.8")
    (table,) = build_tables(build_rows([*scored, also, *sampled]), schema)
    place = [column.metric for column in table.columns].index("sample_seconds_per_item")
    shown = {line.generator: line.cells[place].text for line in table.lines if line.shown}
    assert shown == {"a": "250 ms", "b": "500 ms", "c": ""}


def test_addresses_of_lines_are_unique(context: dict[str, Any]) -> None:
    boards = [board for family in context["families"] for board in (*family["tables"], *family["settings"])]
    addresses = [board["table"].address(line) for board in boards for line in board["table"].lines]
    assert len(addresses) == len(set(addresses)) > 40
    assert not any(re.search(r"\s", address) for address in addresses)


# Charts


def test_settings_are_drawn_along_their_number(schema: Schema) -> None:
    listed = [
        record("a", 5.0 / n + extra, f"n={n},smoothing={kind}")
        for n in (1, 2, 4, 8)
        for kind, extra in (("x", 0), ("y", 1))
    ]
    (table,) = build_tables(build_rows([*listed, record("a", 9.0, "n=1,smoothing=z")]), schema)
    chart = settings_chart(table)
    assert chart is not None
    assert [name for _, name in chart["legend"]] == ["smoothing x", "smoothing y"], "one point alone is no line"
    assert chart["svg"].count('class="w"') == 8, "each point has its interval"
    assert (
        settings_chart(build_tables(build_rows([record("a", 1.0, "n=1"), record("a", 2.0, "n=2")]), schema)[0]) is None
    )


def test_more_than_eight_series_are_several_charts() -> None:
    lines = tuple(Line(f"line {i}", tuple((float(x), float(x + i)) for x in range(1, 5))) for i in range(19))
    entry = Entry("a", {"family": "words", "system": "ngram", "dataset": "d"}, extras=(Curve("T", "x", "y", lines),))
    figures = extra_curves([entry])
    sizes = [len(figure["legend"]) for figure in figures]
    assert sum(sizes) == 19
    assert max(sizes) <= MOST_SERIES
    assert len(figures) == 3


def test_every_axis_has_three_ticks(context: dict[str, Any]) -> None:
    svgs = [context["main_plot"], *context["plots"], *(c for f in context["families"] for c in f["curves"])]
    for item in filter(None, svgs):
        anchors = re.findall(r'<text class="tick"[^>]*text-anchor="(\w+)"', item["svg"])
        assert anchors.count("end") >= FEWEST_TICKS, "y"
        assert anchors.count("middle") >= FEWEST_TICKS, "x"


def test_an_interval_is_inside_the_axis() -> None:
    points = ((1.0, 1.0), (2.0, 2.0), (3.0, 4.0))
    svg = line_chart([Series("a", points, ((0.5, 1.5), (1.0, 3.0), (0.1, 9.0)))], "x", "y", title="t", height=240)
    ends = [float(y) for line in re.findall(r'class="w"[^>]*y1="([\d.]+)" y2="([\d.]+)"', svg) for y in line]
    assert len(ends) == 6
    assert all(24 <= y <= 200 for y in ends)


# Claims


def test_failures_come_first_and_the_effect_stands_beside_what_was_claimed(schema: Schema) -> None:
    def verdict(name: str, word: str, estimate: float, test: dict[str, Any]) -> Verdict:
        claim = Claim(name, name, name, "Somebody 1999", "words", test, since="2026-11-21")
        pair = Comparison({"value": 1.0}, {"value": 2.0}, estimate, (estimate - 0.1, estimate + 0.1), word)
        return Verdict(claim, word, "because", (pair,))

    less, ratio = {"kind": "less", "margin": 0.2}, {"kind": "ratio", "at_least": 4}
    made = [
        verdict("good", HOLDS, -1.0, less),
        verdict("open", UNCLEAR, 0.0, {"kind": "within", "margin": 0.5}),
        verdict("bad", FAILS, 2.0, ratio),
    ]
    rows = claim_rows(made, schema)
    assert [row["claim"].id for row in rows] == ["bad", "open", "good"]
    assert [row["wanted"] for row in rows] == ["at least 4", "within ±0.5", "below -0.2"]
    assert [row["effect"] for row in rows] == ["2 [1.9, 2.1]", "0 [-0.1, 0.1]", "-1 [-1.1, -0.9]"]
    assert [row["picture"].count('class="limit"') for row in rows] == [1, 2, 1]


# Rows as JSON, pictures


def test_every_row_rides_along_once() -> None:
    rows = build_rows([record("a", 1.23456789, "n=1"), record("b", 2.0, protocol="</script>")])
    text = island(rows, {1})
    assert "</script>" not in text
    document = json.loads(text)
    back = [dict(zip(document["fields"], values, strict=True)) for values in document["rows"]]
    assert [document["strings"][row["generator"]] for row in back] == [row.record.generator for row in rows]
    assert [row["further"] for row in back] == [0, 1]
    assert back[[row.record.generator for row in rows].index("a")]["value"] == 1.23457
    assert document["texts"] == len(FIELDS)
    assert island([Row(record("a", 1.0, ci95=None))], ()).count("null") == 4


def test_grey_samples_are_exact_and_photographs_small() -> None:
    rng = np.random.default_rng(0)
    digits = rng.integers(0, 256, (60, 80, 1), dtype=np.uint8)
    kind, content = small_picture(png_bytes(digits))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content)).convert("L")), digits[..., 0])
    y, x = np.mgrid[:200, :300] / 100
    colours = np.stack([np.sin(x * 3), np.cos(y * 5), np.sin(x * y)], -1) * 90 + 128 + rng.normal(0, 4, (200, 300, 3))
    photograph = png_bytes(colours.clip(0, 255).astype(np.uint8))
    kind, content = small_picture(photograph)
    assert kind == "image/webp"
    assert len(content) < len(photograph) / 4
    shown = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(float)
    assert np.abs(shown - colours.clip(0, 255)).mean() < 6
    line_art = np.full((90, 90, 3), 255, np.uint8)
    line_art[::9] = (200, 30, 40)
    kind, content = small_picture(png_bytes(line_art))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content)).convert("RGB")), line_art), "drawings are exact"
