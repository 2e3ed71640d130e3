"""Numbers for people."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bench.report.display import MetricStyle, format_interval, format_value, metric_style


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
    schema = yaml.safe_load((reports / "schema.yaml").read_text())
    assert metric_style(schema, "class_accuracy").format == "percent"
    assert format_interval((0.5, 0.75), metric_style(schema, "class_accuracy")) == "50.0 – 75.0"
    assert metric_style(schema, "never_heard_of").title == "never heard of"
