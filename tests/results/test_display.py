"""Numbers for people."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.report.display import MetricStyle, format_interval, format_value, metric_style
from bench.report.schema import read_schema


@pytest.mark.parametrize(
    ("value", "style", "unit", "text"),
    [
        (0.947, "percent", "", "94.7 %"),
        (2.1374, "fixed:3", "", "2.137"),
        (27000.0, "sig:3", "", "27,000"),
        (123456.0, "sig:3", "", "1.23e5"),
        (0.000012, "sig:3", "", "1.20e-5"),
        (0.0123, "seconds", "s", "12.3 ms"),
        (59.96, "seconds", "s", "60.0 s"),
        (202.0, "seconds", "s", "3.37 min"),
        (4.2e8, "bytes", "bytes", "420 MB"),
        (5.3e12, "count", "FLOP", "5.30 TFLOP"),
        (638_000.0, "count", "", "638 k"),
        (None, "sig:3", "", "∞"),
        (23.1, "fixed:2", "dB", "23.10 dB"),
    ],
)
def test_numbers_are_written_for_people(value: float | None, style: str, unit: str, text: str) -> None:
    assert format_value(value, MetricStyle("m", "m", style), unit) == text


def test_a_share_is_shown_in_percent_because_the_catalogue_says_so(reports: Path) -> None:
    schema = read_schema(reports / "schema.yaml")
    assert metric_style(schema, "class_accuracy").format == "percent"
    assert format_interval((0.5, 0.75), metric_style(schema, "class_accuracy")) == "50.0 – 75.0"
    assert metric_style(schema, "never_heard_of").title == "never heard of"


def test_a_unit_that_the_title_says_is_not_written_again(reports: Path) -> None:
    schema = read_schema(reports / "schema.yaml")
    assert format_value(2.1374, metric_style(schema, "bits_per_byte"), "bits/byte") == "2.137"
    assert format_value(4.14, metric_style(schema, "letter_entropy"), "bits/letter") == "4.140 bits/letter"
