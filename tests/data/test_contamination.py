"""Equal items across splits are counted in ``meta.json``, and nothing else changes."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from bench.base.files import hash_file
from bench.data.card_reader import load_card
from bench.data.contamination import count_repeated, image_keys, line_keys, sentences, text_keys
from bench.data.prepare import prepare_card

ROOT = Path(__file__).parents[2]


def prepared(folder: Path, **keys: object) -> dict:
    raw = {"name": "x", "licence": "free", "attribution": "me", "sources": [{"path": "raw"}], **keys}
    (folder / "x.yaml").write_text(yaml.safe_dump(raw))
    return prepare_card(load_card(folder / "x.yaml"), folder / "raw", folder / "out", quiet=True)


def text(seed: int, lines: int) -> str:
    rng = random.Random(seed)
    return "\n".join(" ".join(rng.choice("abcdefgh") * 4 for _ in range(9)) for _ in range(lines)) + "\n"


def write_texts(folder: Path, **works: str) -> None:
    (folder / "raw").mkdir()
    for name, content in works.items():
        (folder / "raw" / f"{name}.txt").write_text(content)


WORKS = {"rule": "works", "validation": ["b.txt"], "test": ["c.txt"]}


def test_a_copy_of_the_test_file_in_the_training_text(tmp_path: Path) -> None:
    write_texts(tmp_path, a=text(1, 100), b=text(2, 50), c=text(3, 80), copy=text(3, 80).replace("\n", "  \n"))
    files, lines = prepared(tmp_path, kind="text", split=WORKS)["repeated"]
    assert files == {"unit": "files", "validation": [0, 1], "test": [1, 1]}
    assert lines == {"unit": "lines of 30 characters or more", "validation": [0, 50], "test": [80, 80]}


def test_a_passage_within_another_file(tmp_path: Path) -> None:
    passage = text(4, 7)
    write_texts(
        tmp_path, a=text(1, 100) + passage, b="short\n" + text(2, 50), c="short\n" + text(3, 20) + passage, d="short\n"
    )
    files, lines = prepared(tmp_path, kind="text", split=WORKS)["repeated"]
    assert (files["test"], lines["test"], lines["validation"]) == ([0, 1], [7, 27], [0, 50])


def test_a_text_cut_by_position_and_one_drawn_by_files(tmp_path: Path) -> None:
    write_texts(tmp_path, a=text(1, 90), b=text(1, 90))
    (lines,) = prepared(tmp_path, kind="text", split={"rule": "position", "validation": 0.1, "test": 0.1})["repeated"]
    assert lines["test"][0] == lines["test"][1] > 10
    for name in "cdefgh":
        (tmp_path / f"raw/{name}.txt").write_text(text(1, 90))
    share = {"rule": "fraction", "validation": 0.2, "test": 0.2}
    files, _ = prepared(tmp_path, kind="text", split=share)["repeated"]
    assert files == {"unit": "files", "validation": [2, 2], "test": [2, 2]}


@pytest.mark.parametrize("kind", ["images", "captioned_images"])
def test_pictures_are_compared_by_what_they_show(tmp_path: Path, kind: str) -> None:
    """A copy under another name, as another kind of file, is the same picture."""
    rng = np.random.default_rng(0)
    for split, n in (("train", 6), ("validation", 3), ("test", 4)):
        (tmp_path / "raw" / split / "x").mkdir(parents=True)
        for i in range(n):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(
                tmp_path / f"raw/{split}/x/{split}{i}.png"
            )
    again = Image.open(tmp_path / "raw/train/x/train0.png")
    again.save(tmp_path / "raw/test/x/copy.bmp")
    again.save(tmp_path / "raw/validation/x/copy.png", optimize=True)
    for path in (tmp_path / "raw").rglob("*.*"):
        path.with_suffix(".txt").write_text(f"a picture called {path.stem}")
    captions = {"captions": "sidecar"} if kind == "captioned_images" else {}
    meta = prepared(tmp_path, kind=kind, size=[8, 8], split={"rule": "official"}, **captions)
    assert meta["repeated"] == [{"unit": "pictures", "validation": [1, 4], "test": [1, 5]}]
    whole = hashlib.sha256()  # of the data alone, as it always was
    for path in sorted((tmp_path / "out").glob("*.npz")):
        whole.update(f"{path.name} {hash_file(path)}\n".encode())
    assert meta["digest"] == whole.hexdigest()


def test_keys() -> None:
    pictures = np.arange(2 * 4 * 4 * 1, dtype=np.uint8).reshape(2, 4, 4, 1)
    assert len(set(image_keys(np.concatenate([pictures, pictures])))) == 2
    assert image_keys(pictures, pictures[::-1]) != image_keys(pictures, pictures)
    assert text_keys(["a  b\n", " ", "a b"]) == text_keys(["a b", "a\tb"])
    assert len(line_keys("x" * 29 + "\n" + "y" * 30 + "\n")) == 1
    nothing = count_repeated("lines", {})
    assert nothing == {"unit": "lines", "validation": [0, 0], "test": [0, 0]}
    assert sentences({}) == []


def test_the_stage_says_it(tmp_path: Path) -> None:
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "datasets").mkdir()
    card = {"name": "x", "kind": "text", "licence": "free", "attribution": "me", "sources": [{"path": "raw"}]}
    (tmp_path / "datasets/x.yaml").write_text(yaml.safe_dump({**card, "split": WORKS}))
    (tmp_path / "params.yaml").write_text("profile: cpu\nseed: 0\ndatasets:\n  x: {card: datasets/x.yaml}\n")
    write_texts(tmp_path, a=text(1, 9), b=text(2, 5), c=text(1, 9))
    (tmp_path / "raw").rename(tmp_path / "data/raw/x")
    command = [sys.executable, str(ROOT / "stages/prepare.py"), "x"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "prepare x: files that an earlier split holds, too: test 1 of 1, validation 0 of 1" in done.stdout
    assert "test 9 of 9, validation 0 of 5" in done.stdout
