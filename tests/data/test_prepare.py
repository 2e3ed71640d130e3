"""Prepared data sets: written, read back, the same bytes every time, for every kind of card."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from bench.base.errors import BenchError
from bench.data.card_reader import load_card
from bench.data.cards import Card, Render
from bench.data.datasets import ImageSplit, load, load_exemplars, load_images, load_meta, load_text, write_images
from bench.data.prepare import prepare_card

ROOT = Path(__file__).parents[2]


def make_card(tmp_path: Path, **keys: object) -> Card:
    raw = {"name": "x", "licence": "free", "attribution": "me", "sources": [{"path": "x"}], **keys}
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(raw))
    return load_card(tmp_path / "x.yaml")


def everything(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def picture(path: Path, value: int, shape: tuple[int, ...] = (8, 8, 3)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, value, np.uint8)).save(path)


def write_idx(folder: Path, train: int, test: int) -> None:
    """Files as MNIST's: every picture has its label's value in all pixels, and its place in the first."""
    folder.mkdir(parents=True)
    for half, n in (("train", train), ("t10k", test)):
        labels = (np.arange(n) % 10).astype(np.uint8)
        images = np.broadcast_to(labels[:, None, None], (n, 28, 28)).copy()
        images[:, 0, 0] = np.arange(n) % 256
        for name, array in ((f"{half}-images-idx3-ubyte", images), (f"{half}-labels-idx1-ubyte", labels)):
            head = bytes([0, 0, 8, array.ndim]) + b"".join(int(s).to_bytes(4, "big") for s in array.shape)
            (folder / name).write_bytes(head + array.tobytes())


def test_text(tmp_path):
    card = make_card(tmp_path, kind="text", split={"rule": "works", "validation": ["b.txt"], "test": ["sub/c.txt"]})
    raw = tmp_path / "raw"
    (raw / "sub").mkdir(parents=True)
    for name, text in (("a.txt", "One.\r\n"), ("b.txt", "Zwölf."), ("sub/c.txt", "Three."), ("d.txt", "Four.")):
        (raw / name).write_text(text, encoding="utf-8", newline="")
    meta = prepare_card(card, raw, tmp_path / "out", quiet=True)
    assert (
        load_text(tmp_path / "out")
        == load(tmp_path / "out")
        == {"train": "One.\n\n\nFour.", "validation": "Zwölf.", "test": "Three."}
    )
    assert meta == load_meta(tmp_path / "out")
    assert (meta["kind"], meta["licence"], meta["unit"]) == ("text", "free", "characters")
    assert meta["splits"] == {"train": 12, "validation": 6, "test": 6}
    limited = dataclasses.replace(card, limit={"train": 3})
    assert prepare_card(limited, raw, tmp_path / "out", quiet=True)["splits"]["train"] == 3


def test_idx_is_carved_without_overlap_and_is_byte_deterministic(tmp_path):
    write_idx(tmp_path / "raw", 200, 50)
    card = dataclasses.replace(
        load_card(ROOT / "datasets/mnist.yaml"),
        split=dataclasses.replace(load_card(ROOT / "datasets/mnist.yaml").split, validation=30),
    )
    first = prepare_card(card, tmp_path / "raw", tmp_path / "out", quiet=True)
    content = everything(tmp_path / "out")
    prepare_card(card, tmp_path / "raw", tmp_path / "out", quiet=True)
    assert everything(tmp_path / "out") == content
    splits = load_images(tmp_path / "out")
    assert (
        {name: len(s) for name, s in splits.items()} == {"train": 170, "validation": 30, "test": 50} == first["splits"]
    )
    places = {name: set(s.images[:, 0, 0, 0].tolist()) for name, s in splits.items()}
    assert not places["train"] & places["validation"]
    assert places["train"] | places["validation"] == set(range(200))
    for split in splits.values():
        assert split.images.shape[1:] == (28, 28, 1)
        assert split.labels.dtype == np.int64
        assert np.array_equal(split.images[:, 5, 5, 0], split.labels)
    (tmp_path / "raw/train-labels-idx1-ubyte").unlink()
    with pytest.raises(BenchError, match="train-labels-idx1-ubyte is not there"):
        prepare_card(card, tmp_path / "raw", tmp_path / "out", quiet=True)
    assert everything(tmp_path / "out") == content  # a failed run leaves the old data as they were


def test_folder_of_classes(tmp_path):
    card = make_card(
        tmp_path, kind="images", size=[4, 4], channels=1, split={"rule": "fraction", "validation": 0.2, "test": 0.2}
    )
    for i in range(10):
        picture(tmp_path / f"raw/cat/{i}.png", 10)
        picture(tmp_path / f"raw/dog/{i}.png", 200)
    meta = prepare_card(card, tmp_path / "raw", tmp_path / "out", quiet=True)
    assert meta["classes"] == ["cat", "dog"]
    assert meta["splits"] == {"train": 12, "validation": 4, "test": 4}
    for split in load_images(tmp_path / "out").values():
        assert np.array_equal(split.images[:, 0, 0, 0] > 100, split.labels == 1)
    with pytest.raises(BenchError, match="classes: the folder 'dog' is not among cat"):
        prepare_card(dataclasses.replace(card, classes=("cat",)), tmp_path / "raw", tmp_path / "out", quiet=True)
    picture(tmp_path / "raw/loose.png", 3)
    with pytest.raises(BenchError, match=r"'loose\.png' lies in no class folder"):
        prepare_card(card, tmp_path / "raw", tmp_path / "out", quiet=True)


def test_flat_folder_has_no_labels_and_official_folders_are_kept(tmp_path):
    for half, n in (("train", 6), ("test", 2)):
        for i in range(n):
            picture(tmp_path / f"raw/{half}/{i}.png", 10 * i)
    card = make_card(tmp_path, kind="images", size=[4, 4], split={"rule": "official", "validation": 2})
    prepare_card(card, tmp_path / "raw", tmp_path / "out", quiet=True)
    splits = load_images(tmp_path / "out")
    assert [len(splits[s]) for s in ("train", "validation", "test")] == [4, 2, 2]
    assert splits["test"].images[:, 0, 0, 0].tolist() == [0, 10]
    assert splits["train"].labels is None
    assert splits["train"].scene is None


def test_broken_pictures_are_skipped_and_told_or_refused(tmp_path):
    for i in range(8):
        picture(tmp_path / f"raw/{i}.png", i)
    (tmp_path / "raw/5.png").write_bytes(b"\x89PNG half")
    keys = {"kind": "images", "size": [4, 4], "split": {"rule": "fraction", "validation": 0.2, "test": 0.2}}
    meta = prepare_card(make_card(tmp_path, **keys, on_broken="skip"), tmp_path / "raw", tmp_path / "out", quiet=True)
    assert sum(meta["splits"].values()) == 7
    assert len(meta["skipped"]) == 1
    assert meta["skipped"][0].startswith("raw/5.png: not a readable picture")
    assert str(tmp_path) not in meta["skipped"][0]
    with pytest.raises(BenchError, match=r"1 of 8 pictures cannot be read:\n- .*5\.png"):
        prepare_card(make_card(tmp_path, **keys), tmp_path / "raw", tmp_path / "other", quiet=True)
    assert not (tmp_path / "other").exists()


def test_captioned_pictures(tmp_path):
    rows = ["file,caption"]
    for i in range(10):
        picture(tmp_path / f"raw/{i}.png", 20 * i)
        rows += [f"{i}.png,picture {i}", f"{i}.png,number {i}"]
    (tmp_path / "raw/captions.csv").write_text("\n".join(rows))
    split = {"rule": "fraction", "validation": 0.1, "test": 0.2}
    card = make_card(tmp_path, kind="captioned_images", captions="captions.csv", size=[8, 8], split=split)
    prepare_card(card, tmp_path / "raw", tmp_path / "out", quiet=True)
    splits = load_images(tmp_path / "out")
    assert [len(splits[s]) for s in ("train", "validation", "test")] == [14, 2, 4]
    for part in splits.values():
        assert [int(c.split()[1]) for c in part.captions] == (part.images[:, 0, 0, 0] // 20).tolist()


def test_textures(tmp_path):
    picture(tmp_path / "raw/grey.png", 9, (5, 7))
    picture(tmp_path / "raw/sub/colour.png", 9, (4, 3, 3))
    meta = prepare_card(make_card(tmp_path, kind="textures"), tmp_path / "raw", tmp_path / "out", quiet=True)
    found = load_exemplars(tmp_path / "out")
    assert {name: image.shape for name, image in found.items()} == {"grey": (5, 7), "sub-colour": (4, 3, 3)}
    assert meta["splits"] == {"exemplars": 2}


def test_scenes_from_prepared_digits(tmp_path):
    write_idx(tmp_path / "raw", 200, 50)
    base = load_card(ROOT / "datasets/mnist.yaml")
    prepare_card(
        dataclasses.replace(base, split=dataclasses.replace(base.split, validation=40)),
        tmp_path / "raw",
        tmp_path / "mnist",
        quiet=True,
    )
    card = dataclasses.replace(load_card(ROOT / "datasets/scenes.yaml"), render=Render(30, 10, 20, 30))
    meta = prepare_card(card, tmp_path / "mnist", tmp_path / "scenes", seed=3, quiet=True)
    assert meta["splits"] == {"train": 30, "validation": 10, "test": 20, "judge": 30}
    assert meta["source_digest"] == load_meta(tmp_path / "mnist")["digest"]
    splits = load_images(tmp_path / "scenes")
    assert set(splits) == {"train", "validation", "test", "judge"}
    part = splits["test"].take(np.array([2, 5]))
    assert part.captions == [splits["test"].captions[i] for i in (2, 5)]
    assert np.array_equal(part.scene["centres"], splits["test"].scene["centres"][[2, 5]])
    again = prepare_card(card, tmp_path / "mnist", tmp_path / "scenes", seed=3, quiet=True)
    assert again["digest"] == meta["digest"]
    assert prepare_card(card, tmp_path / "mnist", tmp_path / "scenes", seed=4, quiet=True)["digest"] != meta["digest"]


def test_missing_and_truncated_data_say_what_to_run(tmp_path):
    card = load_card(ROOT / "datasets/mnist.yaml")
    with pytest.raises(BenchError, match=r"run `python stages/fetch.py mnist` first"):
        prepare_card(card, tmp_path / "mnist", tmp_path / "out")
    with pytest.raises(BenchError, match=r"prepare.py mnist`, or `dvc repro`"):
        load_images(tmp_path / "mnist")
    (tmp_path / "mnist").mkdir()
    write_images(
        tmp_path / "mnist", {s: ImageSplit(np.zeros((3, 2, 2, 1), np.uint8)) for s in ("train", "validation", "test")}
    )
    whole = (tmp_path / "mnist/test.npz").read_bytes()
    (tmp_path / "mnist/test.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BenchError, match=r"test\.npz: truncated or broken .*prepare.py mnist` again"):
        load_images(tmp_path / "mnist")


def test_loading_data_imports_no_torch():
    code = "import sys, bench.data.datasets, bench.data.prepare, bench.data.scenes; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
