"""Prepared data sets: what the train and evaluate stages read from ``data/prepared/<name>/``."""

from __future__ import annotations

import hashlib
import importlib
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.files import hash_file, read_json, write_json, write_npz, write_text
from bench.contracts import DataFacts, DependsOnData

__all__ = [
    "ImageSplit",
    "check_images",
    "facts_of",
    "load",
    "load_exemplars",
    "load_images",
    "load_meta",
    "load_text",
    "write_exemplars",
    "write_images",
    "write_meta",
    "write_texts",
]

SPLITS = ("train", "validation", "test")
_PLAIN = ("images", "labels", "captions", "names")


@dataclass(frozen=True)
class ImageSplit:
    """One split of a set of pictures.

    Attributes:
        images: ``(N, H, W, C)`` uint8.
        labels: ``(N,)`` int64 class of each picture, or None.
        captions: N captions, or None.
        scene: for rendered scenes, the ground truth: arrays whose first axis is N (see :mod:`bench.data.scenes`); else
            None.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None = None
    captions: list[str] | None = None
    scene: dict[str, NDArray[Any]] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: NDArray[np.integer] | NDArray[np.bool_] | slice) -> ImageSplit:
        """The items at ``indices`` (integers, a mask, or a slice)."""
        rows = np.arange(len(self.images))[indices]
        return ImageSplit(
            self.images[rows],
            None if self.labels is None else self.labels[rows],
            None if self.captions is None else [self.captions[i] for i in rows],
            None if self.scene is None else {name: array[rows] for name, array in self.scene.items()},
        )


def _need(path: Path) -> Path:
    if not path.exists():
        name = path.parent.name
        raise BenchError(
            f"{path} is not there: run `python stages/fetch.py {name}` and `python stages/prepare.py {name}`, or "
            "`dvc repro`"
        )
    return path


def facts_of(folder: Path) -> DataFacts:
    """What ``meta.json`` of a prepared data set says of its pictures."""
    meta = load_meta(folder)
    shape, classes = meta.get("shape"), meta.get("classes")
    return DataFacts(
        str(meta["name"]),
        str(meta["kind"]),
        tuple(meta["shapes"]) if "shapes" in meta else None,
        (shape[0], shape[1]) if shape else None,
        shape[2] if shape else None,
        len(classes) or None if classes else None,
    )


def check_images(config: Any, images: NDArray[np.uint8], who: str, name: str = "train") -> None:
    """Refuse pictures that a system's settings do not fit, where no card or ``meta.json`` was asked before.

    Args:
        config: of the system, asked if it is :class:`bench.contracts.DependsOnData`.
        images: ``(N, H, W, C)``.
        who: whose settings they are, in the error.
        name: what the pictures are called there.

    Raises:
        BenchError: another shape, no pictures, or the key that does not fit.
    """
    if images.ndim != 4 or 0 in images.shape:
        raise BenchError(f"{who}: pictures of {name} must be (N, H, W, C) and at least one, not {images.shape}")
    if isinstance(config, DependsOnData):
        _, height, width, channels = images.shape
        try:
            config.check_data(DataFacts(name, "images", size=(height, width), channels=channels))
        except ValueError as error:
            raise BenchError(f"{who}: model.{error}") from error


def load_meta(folder: Path) -> dict[str, Any]:
    """``meta.json``: name, kind, title, licence, attribution, splits, digest, and what the kind adds."""
    meta: dict[str, Any] = read_json(_need(folder / "meta.json"))
    return meta


def load_text(folder: Path) -> dict[str, str]:
    """``{"train": ..., "validation": ..., "test": ...}`` of a prepared text."""
    return {split: _need(folder / f"{split}.txt").read_bytes().decode("utf-8") for split in SPLITS}


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """The arrays of an npz."""
    try:
        with np.load(_need(path), allow_pickle=False) as file:
            yield file
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise BenchError(
            f"{path}: truncated or broken ({error}); run `python stages/prepare.py {path.parent.name}` again"
        ) from error


def _read_split(path: Path) -> ImageSplit:
    with _open(path) as file:
        scene = {name: file[name] for name in file.files if name not in _PLAIN}
        return ImageSplit(
            images=file["images"],
            labels=file["labels"] if "labels" in file.files else None,
            captions=[str(c) for c in file["captions"]] if "captions" in file.files else None,
            scene=scene or None,
        )


def load_images(folder: Path) -> dict[str, ImageSplit]:
    """The splits of prepared pictures: train, validation, test, and for scenes also ``judge`` (training digits, all
    colour-digit pairs)."""
    extra = ("judge",) if (folder / "judge.npz").exists() else ()
    return {split: _read_split(folder / f"{split}.npz") for split in (*SPLITS, *extra)}


def load_exemplars(folder: Path) -> dict[str, NDArray[np.uint8]]:
    """Name -> ``(H, W)`` or ``(H, W, 3)`` uint8 of prepared textures."""
    with _open(folder / "exemplars.npz") as file:
        return {name: file[name] for name in file.files}


def load(folder: Path) -> dict[str, Any]:
    """Whatever kind of data ``folder`` holds: texts, image splits, exemplars ..., by split or name.

    A kind with a module of its own (``bench/data/video.py``) is read by that module's ``load``.
    """
    kind = load_meta(folder)["kind"]
    if kind in _KINDS:
        return _KINDS[kind](folder)
    return dict(importlib.import_module(f"bench.data.{kind}").load(folder))


_KINDS: Mapping[str, Callable[[Path], dict[str, Any]]] = {
    "text": load_text,
    "textures": load_exemplars,
    **dict.fromkeys(("images", "captioned_images", "scenes"), load_images),
}


def write_texts(folder: Path, texts: Mapping[str, str]) -> dict[str, int]:
    """The texts of the splits; characters of each."""
    for split, text in texts.items():
        write_text(folder / f"{split}.txt", text)
    return {split: len(text) for split, text in texts.items()}


def write_images(folder: Path, splits: Mapping[str, ImageSplit]) -> dict[str, int]:
    """The npz of each split; pictures of each."""
    for split, data in splits.items():
        arrays: dict[str, NDArray[Any]] = {"images": data.images}
        if data.labels is not None:
            arrays["labels"] = data.labels.astype(np.int64)
        if data.captions is not None:
            arrays["captions"] = np.array(data.captions, dtype=np.str_)
        write_npz(folder / f"{split}.npz", {**arrays, **(data.scene or {})})
    return {split: len(data) for split, data in splits.items()}


def write_exemplars(folder: Path, exemplars: Mapping[str, NDArray[np.uint8]]) -> dict[str, int]:
    """``exemplars.npz``; the number of exemplars counts as the split ``exemplars``."""
    write_npz(folder / "exemplars.npz", exemplars)
    return {"exemplars": len(exemplars)}


def write_meta(folder: Path, meta: Mapping[str, Any]) -> dict[str, Any]:
    """``meta.json`` with the digest of everything else in ``folder``."""
    whole = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.name != "meta.json":
            whole.update(f"{path.name} {hash_file(path)}\n".encode())
    full = {**meta, "digest": whole.hexdigest()}
    write_json(folder / "meta.json", full)
    return full
