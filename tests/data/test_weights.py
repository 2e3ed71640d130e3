"""Data sets of kind `weights`: one file of tensors, kept as safetensors."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bench.base.errors import BenchError
from bench.data.card_reader import load_card
from bench.data.cards import Card
from bench.data.datasets import load
from bench.data.prepare import prepare_card

TENSORS = {"b.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.tensor([1.5]), "a.count": torch.tensor(7)}


@pytest.fixture
def card(tmp_path: Path) -> Card:
    text = "name: net\nkind: weights\nlicence: none\nattribution: us\nsources: [{path: raw}]\n"
    (tmp_path / "net.yaml").write_text(text)
    (tmp_path / "raw").mkdir()
    return load_card(tmp_path / "net.yaml")


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "sub/w.safetensors"])
def test_tensors_are_kept_by_name(card: Card, tmp_path: Path, name: str) -> None:
    path = tmp_path / "raw" / name
    path.parent.mkdir(exist_ok=True)
    save_file(TENSORS, path) if path.suffix == ".safetensors" else torch.save(TENSORS, path)
    meta = prepare_card(card, tmp_path / "raw", tmp_path / "net", quiet=True)
    assert (meta["splits"], meta["unit"], meta["tensors"], meta["file"]) == ({"weights": 7}, "parameters", 3, path.name)
    assert sorted(p.name for p in (tmp_path / "net").iterdir()) == ["meta.json", "weights.safetensors"]
    kept = load(tmp_path / "net")
    assert {key: value.tolist() for key, value in kept.items()} == {
        key: value.tolist() for key, value in TENSORS.items()
    }


def test_same_member_same_bytes(card: Card, tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "raw" / "w.pth")
    digests = [
        prepare_card(card, tmp_path / "raw", tmp_path / folder, quiet=True)["digest"] for folder in ("one", "two")
    ]
    assert digests[0] == digests[1]


def test_shared_and_strided_tensors_are_kept(card: Card, tmp_path: Path) -> None:
    """A state dict may hold one tensor twice, or a transposed view; safetensors takes neither as it is."""
    table = torch.arange(6.0).reshape(2, 3)
    torch.save({"one": table, "two": table, "turned": table.T}, tmp_path / "raw" / "w.pth")
    prepare_card(card, tmp_path / "raw", tmp_path / "net", quiet=True)
    kept = load_file(tmp_path / "net" / "weights.safetensors")
    assert torch.equal(kept["one"], table) and torch.equal(kept["two"], table) and torch.equal(kept["turned"], table.T)


def test_exactly_one_file_of_weights(card: Card, tmp_path: Path) -> None:
    (tmp_path / "raw" / "readme.txt").write_text("x")
    with pytest.raises(BenchError, match=r"members: must name one file of weights .* not 0"):
        prepare_card(card, tmp_path / "raw", tmp_path / "net", quiet=True)
    for name in ("a.pth", "b.pth"):
        torch.save(TENSORS, tmp_path / "raw" / name)
    with pytest.raises(BenchError, match="not 2"):
        prepare_card(card, tmp_path / "raw", tmp_path / "net", quiet=True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([torch.zeros(1)], "no table of tensors"),
        ({"a": 1.0}, "no table of tensors"),
        ({"a": dataclasses.Field}, "would run code"),
    ],
)
def test_anything_but_tensors_is_refused(card: Card, tmp_path: Path, content: object, said: str) -> None:
    torch.save(content, tmp_path / "raw" / "w.pth")
    with pytest.raises(BenchError, match=said):
        prepare_card(card, tmp_path / "raw", tmp_path / "net", quiet=True)
    assert not (tmp_path / "net").exists()


def test_a_broken_file_is_refused(card: Card, tmp_path: Path) -> None:
    (tmp_path / "raw" / "w.safetensors").write_bytes(b"\x08" * 40)
    with pytest.raises(BenchError, match="no file of weights"):
        prepare_card(card, tmp_path / "raw", tmp_path / "net", quiet=True)


def test_an_unprepared_set_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="prepare"):
        load(tmp_path / "net")
