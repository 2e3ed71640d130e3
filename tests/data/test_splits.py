"""Splits: nothing in two of them, the same every time, whole works held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.base.errors import BenchError
from bench.data.card_reader import load_card
from bench.data.cards import Card, Split
from bench.data.splits import carve, split_items, split_positions, split_texts


def card_of(split: Split, kind: str = "text") -> Card:
    return Card(Path("datasets/x.yaml"), "x", kind, "free", "me", split)


@given(st.integers(2, 200), st.data())
def test_carve_is_a_partition_that_depends_on_the_seed_alone(n, data):
    k = data.draw(st.integers(0, n))
    kept, held = carve(n, k, 0, "a")
    assert len(held) == k
    assert sorted([*kept, *held]) == list(range(n))
    assert np.array_equal(held, carve(n, k, 0, "a")[1])


def test_another_seed_carves_others():
    assert not np.array_equal(carve(1000, 100, 0)[1], carve(1000, 100, 1)[1])


def test_works_are_held_out_whole():
    works = {f"{name}.txt": f"{name} speaks." for name in "abcdef"}
    parts = split_texts(card_of(Split("works", ("e.txt",), ("b.txt", "d.txt"))), works)
    assert parts == {
        "train": "a speaks.\n\nc speaks.\n\nf speaks.",
        "validation": "e speaks.",
        "test": "b speaks.\n\nd speaks.",
    }


@pytest.mark.parametrize(
    ("split", "said"),
    [
        (Split("works", ("x.txt",), ("b.txt",)), "split.validation: no work 'x.txt'"),
        (Split("works", ("b.txt",), ("b.txt",)), "are in validation and in test"),
        (Split("works", ("a.txt",), ("b.txt", "c.txt")), "train would be empty"),
    ],
)
def test_wrong_works(split, said):
    with pytest.raises(BenchError) as error:
        split_texts(card_of(split), {f"{n}.txt": n for n in "abc"})
    assert said in str(error.value)
    assert "datasets/x.yaml" in str(error.value)


@given(st.text(alphabet="ab\n", max_size=400), st.floats(0.01, 0.49), st.floats(0.01, 0.49))
def test_positions_lose_nothing_and_cut_at_line_ends(text, validation, test):
    parts = split_positions(text, validation, test)
    assert "".join(parts.values()) == text
    for part in (parts["train"], parts["validation"]):
        assert not part or part.endswith("\n") or part == text or not parts["test"]


def test_position_shares():
    text = "".join(f"line {i}\n" for i in range(10_000))
    parts = split_texts(card_of(Split("position", 0.1, 0.05)), {"a.txt": text})
    assert len(parts["validation"]) / len(text) == pytest.approx(0.1, abs=0.001)
    assert len(parts["test"]) / len(text) == pytest.approx(0.05, abs=0.001)
    with pytest.raises(BenchError, match="validation would be empty"):
        split_texts(card_of(Split("position", 0.1, 0.1)), {"a.txt": "one line without an end"})


def test_fraction_of_files_and_of_pictures():
    works = {f"{i:03}.txt": f"work {i}" for i in range(50)}
    parts = split_texts(card_of(Split("fraction", 0.1, 0.2)), works)
    lines = {split: set(text.split("\n\n")) for split, text in parts.items()}
    assert [len(lines[s]) for s in ("train", "validation", "test")] == [35, 5, 10]
    assert not lines["train"] & lines["test"]
    with pytest.raises(BenchError, match="use `rule: position`"):
        split_texts(card_of(Split("fraction", 0.1, 0.2)), {"a": "x", "b": "y"})


def test_captions_of_one_picture_stay_on_one_side():
    names = sorted(f"{i:02}.png" for i in range(40) for _ in range(1 + i % 3))
    parts = split_items(card_of(Split("fraction", 0.2, 0.2), "captioned_images"), names)
    sides = [{names[i] for i in rows} for rows in parts.values()]
    assert sum(map(len, sides)) == 40
    assert sum(len(rows) for rows in parts.values()) == len(names)


def test_official_folders_and_carving():
    names = [f"train/{i}.png" for i in range(10)] + [f"test/{i}.png" for i in range(4)]
    parts = split_items(card_of(Split("official", 3), "images"), names)
    assert [len(parts[s]) for s in ("train", "validation", "test")] == [7, 3, 4]
    assert parts["test"].tolist() == [10, 11, 12, 13]
    with pytest.raises(BenchError, match=r"split\.validation: must be 1 to 9 pictures of train"):
        split_items(card_of(Split("official", 10), "images"), names)
    given_folder = split_items(card_of(Split("official"), "images"), [*names, "validation/0.png"])
    assert len(given_folder["train"]) == 10
    with pytest.raises(BenchError, match=r"'other/0\.png' lies in none of the folders"):
        split_items(card_of(Split("official", 3), "images"), [*names, "other/0.png"])


def test_shakespeare_card_mixes_genres_and_keeps_five_to_seven_per_cent():
    card = load_card(Path(__file__).parents[2] / "datasets/shakespeare.yaml")
    validation, test = card.split.validation, card.split.test
    assert isinstance(validation, tuple)
    assert isinstance(test, tuple)
    assert not set(validation) & set(test)
    # It shares poems with the Sonnets and Love's Labour's Lost, which are training works.
    assert "passionate_pilgrim_gut.txt" not in validation + test
