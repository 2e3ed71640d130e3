"""Series: states from the columns of a CSV file, by the rules of a card."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.data.card_reader import load_card
from bench.data.datasets import load, load_meta
from bench.data.prepare import prepare_card
from bench.data.series import states_of

CSV = "day,rain,high,low,sky\n" + "".join(
    f"{i},{i % 3 - 1},{20 + i % 5},{10 + i % 2},{'abc'[i % 3]}\n" for i in range(20)
)
CARD = """
name: days
kind: series
licence: mine
attribution: me
sources: [{path: days.csv}]
states:
  - {state: wet day, column: rain, above: 0}
  - {state: warm, column: high, minus: low, above: 11, below: 14}
  - {state: dull}
split: {rule: position, validation: 0.1, test: 0.25}
"""


def prepared(tmp_path: Path, card: str = CARD, text: str = CSV) -> Path:
    (tmp_path / "raw").mkdir(exist_ok=True)
    (tmp_path / "raw/days.csv").write_text(text)
    (tmp_path / "days.yaml").write_text(card)
    prepare_card(load_card(tmp_path / "days.yaml"), tmp_path / "raw", tmp_path / "days", quiet=True)
    return tmp_path / "days"


def test_rules_are_tried_in_turn_and_the_end_is_held_out(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    data, expected = load(folder), []
    for i in range(20):
        span = (20 + i % 5) - (10 + i % 2)
        expected.append("wet day" if i % 3 == 2 else "warm" if 11 < span < 14 else "dull")
    assert (data["train"] + data["validation"] + data["test"]).splitlines() == expected
    assert [len(data[split].splitlines()) for split in ("train", "validation", "test")] == [13, 2, 5]
    meta = load_meta(folder)
    assert (meta["states"], meta["splits"], meta["unit"]) == (
        ["wet day", "warm", "dull"],
        {"train": 13, "validation": 2, "test": 5},
        "states",
    )


def test_categories() -> None:
    rules = [{"state": "clear", "column": "sky", "one_of": ["a", "b"]}, {"state": "other"}]
    assert states_of(CSV, rules)[:4] == ["clear", "clear", "other", "clear"]


@pytest.mark.parametrize(
    ("one_of", "values"),
    [
        ("[yes]", "yes no no"),
        ("[on, off]", "on no off"),
        ("['010']", "010 10 1"),
        ("[12]", "12 1 2"),
        ("[12:30]", "12:30 a b"),
    ],
)
def test_a_category_is_the_text_that_stands_in_the_file(tmp_path: Path, one_of: str, values: str) -> None:
    text = "day,code\n" + "".join(f"{i},{values.split()[i % 3]}\n" for i in range(60))
    states = f"  - {{state: hit, column: code, one_of: {one_of}}}\n  - {{state: rest}}\n"
    card = CARD[: CARD.index("  - {")] + states + CARD[CARD.index("split:") :]
    folder = prepared(tmp_path, card, text)
    hits = sum((folder / f"{split}.txt").read_text().count("hit") for split in ("train", "validation", "test"))
    assert hits == 20 * len(one_of.split(","))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "column: rain, above: 0",
            "column: sky, one_of: [A, 010]",
            r"sky is never 'A', '10'; found there: 'a', 'b', 'c'",
        ),
        ("column: rain", "column: rian", r"no column 'rian'. Did you mean 'rain'"),
        ("minus: low", "minus: lwo", r"no column 'lwo'"),
        ("  - {state: dull}\n", "", r"days.csv: line 2: no rule fits; end `states` with a rule without a column"),
        ("column: rain", "column: sky", r"days.csv: line 2: sky is 'a', which is no number"),
    ],
)
def test_what_does_not_fit_the_file_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        prepared(tmp_path, CARD.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("states:", "stats:", r"unknown key 'stats'. Did you mean 'states'"),
        ("above: 0", "above: much", r"states\[0\].above: must be a number, not 'much'"),
        ("above: 0", "over: 0", r"states\[0\]: unknown key 'over'"),
        (", above: 0", "", r"states\[0\]: needs `column` with"),
        ("column: rain, above: 0", "column: sky, one_of: a", r"must be a list of values"),
        (
            "column: rain, above: 0",
            "column: sky, one_of: [true]",
            r"must be texts or whole numbers, not True: put it in q",
        ),
        ("column: rain, above: 0", "column: sky, one_of: [1e3]", r"must be texts or whole numbers, not 1000.0"),
        ("above: 0", "above: .nan", r"states\[0\].above: must be a number, not nan"),
        ("above: 11", "above: -.inf", r"states\[1\].above: must be a number, not -inf"),
        ("state: wet day", "state: 3", r"states\[0\].state: must be the name of a state"),
        ("kind: series", "kind: text", r"states: not allowed for kind 'text'"),
        ("position", "works", r"'works' is not allowed"),
    ],
)
def test_a_wrong_card_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "days.yaml").write_text(CARD.replace(old, new, 1))
    with pytest.raises(BenchError, match=message):
        load_card(tmp_path / "days.yaml")


@pytest.mark.parametrize(
    ("text", "message"), [("day,rain,high,low,sky\n", "no rows"), (CSV[:33], "would be empty with 1 rows")]
)
def test_too_short_a_series(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        prepared(tmp_path, text=text)


def test_two_files_are_no_series(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/more.csv").write_text(CSV)
    with pytest.raises(BenchError, match="one CSV file, not 2"):
        prepared(tmp_path)


def test_a_decimal_comma_is_two_fields_and_a_tab_is_told_by_the_suffix(tmp_path: Path) -> None:
    rules = [{"state": "rain", "column": "mm", "above": 0}, {"state": "dry"}]
    for text in ("day,mm\n1,0\n2,3,5\n", "day,mm\n1,0\n2\n"):
        with pytest.raises(BenchError, match=r"days.csv: line 3: \d fields under the 2 columns day, mm"):
            states_of(text, rules, "days.csv")
    assert states_of('day\tmm\n"1\t0\n2\t3.5\n', rules, "days.tsv", "\t") == ["dry", "rain"]
