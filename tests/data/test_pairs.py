"""Pictures before and after: drawing, joining, and a split by concept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.base.errors import BenchError
from bench.data import pairs
from bench.data.card_reader import load_card
from bench.data.cards import Card, Split
from bench.data.datasets import load
from bench.data.prepare import prepare_card

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 72 72">'
    '<rect x="18" y="18" width="36" height="36" fill="{}" stroke="black"/></svg>'
)
ROOT = Path(__file__).parents[2]


def card(path: Path, size: tuple[int, int] | None = (24, 24)) -> Card:
    return Card(
        path=path / "card.yaml",
        name="my-pairs",
        kind="pairs",
        licence="mine",
        attribution="me",
        split=Split("none"),
        size=size,
    )


def openmoji(raw: Path, names: list[str]) -> None:
    """A folder as the archive has it."""
    for side, fill in (("black", "none"), ("color", "#ff0000")):
        (raw / side / "svg").mkdir(parents=True)
        for name in names:
            (raw / side / "svg" / f"{name}.svg").write_text(SVG.format(fill))
    (raw / "data").mkdir()
    entries = [{"hexcode": name, "annotation": f"thing {name}", "subgroups": "things"} for name in names]
    (raw / "data" / "openmoji.json").write_text(json.dumps(entries))


def test_svg_pairs_are_drawn_on_white_and_named(tmp_path: Path) -> None:
    openmoji(tmp_path / "raw", ["1F600", "1F601", "1F602", "1F603"])
    meta = prepare_card(card(tmp_path), tmp_path / "raw", tmp_path / "out", quiet=True)
    assert meta["splits"] == {"train": 2, "validation": 1, "test": 1}
    assert (meta["groups"], meta["unit"]) == (["things"], "pairs")
    splits = load(tmp_path / "out")
    names = [name for split in splits.values() for name in split.names]
    assert sorted(names) == [f"thing 1F60{i}" for i in range(4)]
    train = splits["train"]
    assert train.before.shape == train.after.shape == (2, 24, 24, 3)
    assert (train.before[0, 0, 0] == 255).all() and (train.before[0, 12, 12] == 255).all(), "line art is empty inside"
    assert train.after[0, 12, 12].tolist() == [255, 0, 0]


def test_one_concept_stays_on_one_side(tmp_path: Path) -> None:
    names = [f"1F9D{i}{tail}" for i in range(8) for tail in ("", "-200D-2640-FE0F", "-1F3FB")]
    openmoji(tmp_path / "raw", names)
    prepare_card(card(tmp_path), tmp_path / "raw", tmp_path / "out", quiet=True)
    concepts = {
        split: {name.split()[1].split("-")[0] for name in part.names} for split, part in load(tmp_path / "out").items()
    }
    assert [len(found) for found in concepts.values()] == [5, 1, 2]
    assert len(set.union(*concepts.values())) == 8, "nothing is in two splits"


def test_own_pictures_in_groups(tmp_path: Path) -> None:
    for group in ("cats", "dogs"):
        for side, value in (("before", 50), ("after", 200)):
            folder = tmp_path / "raw" / side / group
            folder.mkdir(parents=True)
            for i in range(3):
                Image.fromarray(np.full((30, 40, 3), value + i, np.uint8)).save(folder / f"pet{i}.png")
    prepare_card(card(tmp_path), tmp_path / "raw", tmp_path / "out", quiet=True)
    for split in load(tmp_path / "out").values():
        assert sorted(split.groups) == ["cats", "dogs"]
        np.testing.assert_array_equal(split.before[:, 5, 5, 0] + 150, split.after[:, 5, 5, 0])


def test_same_members_same_bytes(tmp_path: Path) -> None:
    openmoji(tmp_path / "raw", ["1F600", "1F601", "1F602"])
    digests = [
        prepare_card(card(tmp_path), tmp_path / "raw", tmp_path / out, quiet=True)["digest"] for out in ("a", "b")
    ]
    assert digests[0] == digests[1]


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    def refuse(match: str, raw: Path, size: tuple[int, int] | None = (24, 24)) -> None:
        with pytest.raises(BenchError, match=match):
            prepare_card(card(tmp_path, size), raw, tmp_path / "out", quiet=True)

    openmoji(tmp_path / "lonely", ["1F600", "1F601", "1F602"])
    (tmp_path / "lonely" / "color" / "svg" / "1F601.svg").unlink()
    refuse("'1F601' is in one of before/ and after/ only", tmp_path / "lonely")
    openmoji(tmp_path / "few", ["1F600", "1F601", "1F600-200D"])
    refuse("group 'things' has 2 concepts", tmp_path / "few")
    openmoji(tmp_path / "broken", ["1F600", "1F601", "1F602"])
    (tmp_path / "broken" / "black" / "svg" / "1F602.svg").write_text("<svg")
    refuse("1F602.svg: not a readable SVG file", tmp_path / "broken")
    refuse("pairs are drawn or scaled to one", tmp_path / "broken", None)
    openmoji(tmp_path / "unknown", ["1F600", "1F601", "1F602"])
    (tmp_path / "unknown" / "data" / "openmoji.json").write_text("[]")
    refuse("no entry '1F600'", tmp_path / "unknown")
    (tmp_path / "empty").mkdir()
    refuse("pairs need pictures in before/ and after/", tmp_path / "empty")
    with pytest.raises(BenchError, match=r"prepare.py gone"):
        pairs.load(tmp_path / "gone")


def test_the_cards_of_this_kind_and_of_the_photographs() -> None:
    emoji = load_card(ROOT / "datasets" / "openmoji-pairs.yaml")
    names = [member.name for member in emoji.members]
    lines, colours = ([name.split("/")[-1] for name in names if name.startswith(side)] for side in ("black/", "color/"))
    assert lines == colours and len(lines) == len(set(lines)) == 40
    photos = load_card(ROOT / "datasets" / "photos.yaml")
    assert photos.kind == "textures" and all(member.sha256 for member in photos.members)
