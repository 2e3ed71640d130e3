"""Labelled texts: reading, splitting, and what is wrong with a file, by its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bench.base.errors import BenchError
from bench.data.card_reader import load_card
from bench.data.datasets import load, load_meta
from bench.data.labelled_texts import read_rows
from bench.data.prepare import prepare_card

CARD: dict[str, Any] = {
    "name": "news",
    "kind": "labelled_texts",
    "licence": "none",
    "attribution": "nobody",
    "sources": [{"path": "."}],
    "split": {"rule": "official", "validation": 2, "seed": 0},
}
HEADER = "Category\tText\nd\tstring\nclass\t\n"


def prepared(tmp_path: Path, files: dict[str, str], **changes: Any) -> Path:
    raw = tmp_path / "raw"
    raw.mkdir(exist_ok=True)
    for name, content in files.items():
        (raw / name).write_text(content, encoding="utf-8")
    path = tmp_path / "news.yaml"
    path.write_text(yaml.safe_dump({**CARD, **changes}), encoding="utf-8")
    prepare_card(load_card(path), raw, tmp_path / "news", quiet=True)
    return tmp_path / "news"


def rows(count: int, word: str = "text") -> str:
    return HEADER + "".join(f"{'ab'[i % 2]}\t{word}  number\u00a0{i} \n" for i in range(count))


def test_official_split_with_validation_carved_from_train(tmp_path: Path) -> None:
    folder = prepared(tmp_path, {"r8-train.tab": rows(8), "r8-test.tab": rows(4, "unseen")})
    data, meta = load(folder), load_meta(folder)
    assert (
        {name: len(split) for name, split in data.items()} == meta["splits"] == {"train": 6, "validation": 2, "test": 4}
    )
    assert meta["classes"] == ["a", "b"] and meta["unit"] == "texts" and meta["repeated"][0]["test"] == [0, 4]
    assert data["test"].texts == [f"unseen number {i}" for i in range(4)]
    assert data["test"].labels.tolist() == [0, 1, 0, 1] and data["test"].labels.dtype == np.int64
    seen = {*data["train"].texts, *data["validation"].texts}
    assert seen == {f"text number {i}" for i in range(8)}
    for split in data.values():
        assert all(int(text.split()[-1]) % 2 == label for text, label in zip(split.texts, split.labels, strict=True))
    assert data["train"].take([1, 0]).texts == data["train"].texts[1::-1]


def test_preparing_twice_gives_the_same_digest(tmp_path: Path) -> None:
    files = {"r8-train.tab": rows(8), "r8-test.tab": rows(4, "unseen")}
    first = load_meta(prepared(tmp_path, files))["digest"]
    assert load_meta(prepared(tmp_path, files))["digest"] == first


def test_equal_texts_stay_on_one_side_and_are_counted_if_the_source_repeats_them(tmp_path: Path) -> None:
    table = "text,label\n" + "".join(f'"number {i // 2}, said twice",{"xy"[i // 2 % 2]}\n' for i in range(40))
    rule = {"rule": "fraction", "validation": 0.2, "test": 0.2}
    data = load(prepared(tmp_path, {"all.csv": table}, split=rule))
    texts = {name: set(split.texts) for name, split in data.items()}
    assert not texts["train"] & texts["test"] and not texts["train"] & texts["validation"]
    assert sum(map(len, data.values())) == 40
    again = prepared(tmp_path / "raw", {"train.tab": rows(6), "test.tab": rows(3)})
    assert load_meta(again)["repeated"] == [{"unit": "texts", "validation": [0, 2], "test": [3, 3]}]


def test_limits_cut_each_split(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    prepared(tmp_path, {"train.tab": rows(9), "test.tab": rows(5, "unseen")})
    import dataclasses

    card = dataclasses.replace(load_card(tmp_path / "news.yaml"), limit={"train": 3, "test": 2})
    prepare_card(card, raw, tmp_path / "small", quiet=True)
    assert load_meta(tmp_path / "small")["splits"] == {"train": 3, "validation": 2, "test": 2}


@pytest.mark.parametrize(
    ("files", "changes", "message"),
    [
        ({"train.tab": HEADER + "a\t\n"}, {}, r"train\.tab: line 4: needs a label and a text"),
        ({"train.tsv": "name\ttext\nx\ty\n"}, {}, "first line must name the columns label and text, not name, text"),
        ({"train.json": "{}"}, {}, r"are \.tab, \.tsv or \.csv files, not \.json"),
        ({"train.tab": HEADER}, {}, "no rows"),
        ({"train.tab": HEADER + "a\tx\ty\n"}, {}, r"train\.tab: line 4: 3 fields, not label and text"),
        ({"train.csv": "label,text\na,x, y\n"}, {}, r"train\.csv: line 2: 3 fields under the 2 columns label, text"),
        ({"train.tsv": "label\ttext\na\n"}, {}, r"train\.tsv: line 2: 1 fields under the 2 columns"),
        ({"train.csv": 'label,text\na,"good" film\n'}, {}, r"train\.csv: line 2: .*quotation mark"),
        ({"train.csv": 'label,text\na,x\nb,"good film\na,y\n'}, {}, r"line 3: a quotation mark is never closed"),
        ({"one.tab": rows(4)}, {}, r"'one\.tab' must hold one of train, validation, test"),
        (
            {"train.tab": HEADER + "a\tx\na\ty\na\tz\n", "test.tab": HEADER + "a\tw\n"},
            {},
            "is one class: there is nothing to tell apart",
        ),
        (
            {"train.tab": rows(8), "test.tab": HEADER + "c\tw\n"},
            {"classes": ["a", "b"]},
            "the label 'c' is not among a, b",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, files: dict[str, str], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        prepared(tmp_path, files, **changes)


def test_a_very_long_text_is_read(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("label,text\na," + "word " * 50_000 + "\n", encoding="utf-8")
    ((label, text),) = read_rows(path)
    assert label == "a" and len(text) == 5 * 50_000 - 1


def test_a_folder_that_is_not_prepared(tmp_path: Path) -> None:
    folder = prepared(tmp_path, {"train.tab": rows(8), "test.tab": rows(4, "unseen")})
    (folder / "test.jsonl").unlink()
    with pytest.raises(BenchError, match=r"test\.jsonl is not there: run `python stages/fetch\.py news`"):
        load(folder)


def test_a_tsv_has_no_quotation(tmp_path: Path) -> None:
    texts = ['"good film', "bad film", '"lovely" she said', 'dull "', '""', *(f"sentence {i}" for i in range(22))]
    path = tmp_path / "d.tsv"
    path.write_text("label\ttext\n" + "".join(f"{'ab'[i % 2]}\t{text}\n" for i, text in enumerate(texts)))
    assert read_rows(path) == [("ab"[i % 2], text) for i, text in enumerate(texts)]


@pytest.mark.parametrize("suffix", [".tab", ".tsv", ".csv"])
def test_only_line_ends_end_a_row(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"d{suffix}"
    head = HEADER if suffix == ".tab" else "label\ttext\n"
    content = head + "a\tone\u2028two\x85three\x0bfour\x0cfive\r\nb\tsix\n"
    path.write_text(content.replace("\t", "," if suffix == ".csv" else "\t"), encoding="utf-8", newline="")
    assert read_rows(path) == [("a", "one two three four five"), ("b", "six")]
