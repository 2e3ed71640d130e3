"""From raw members to a prepared data set, by kind. The same card and the same members give the same bytes."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.seeds import derive
from bench.base.texts import read_text
from bench.data import datasets, readers
from bench.data.archives import replace_folder
from bench.data.cards import Card
from bench.data.contamination import SHORTEST_LINE, count_repeated, image_keys, line_keys, text_keys
from bench.data.datasets import ImageSplit
from bench.data.names import composed, visible_files
from bench.data.splits import split_items, split_texts, work_sides

__all__ = ["prepare_card"]

_LINES = f"lines of {SHORTEST_LINE} characters or more"


def _text(card: Card, raw: Path) -> tuple[dict[str, str], dict[str, Any]]:
    files = visible_files(raw)
    if card.format == "wikitext":
        works: dict[str, str] = {}
        source: dict[str, str] = {}
        for path in files:
            articles = importlib.import_module("bench.data.wikitext").read_wikitext(path)
            if twice := sorted(articles.keys() & works.keys()):
                raise card.error(
                    "members",
                    f"{source[twice[0]]} and {path.relative_to(raw)} both hold articles called "
                    f"{', '.join(map(repr, twice[:3]))}{f' and {len(twice) - 3} more' if len(twice) > 3 else ''}: "
                    "leave one of the dumps out",
                )
            works |= articles
            source |= dict.fromkeys(articles, path.relative_to(raw).as_posix())
    else:
        works = {p.relative_to(raw).as_posix(): read_text(p, card.encoding) for p in files}
    texts = {split: text[: card.limit.get(split)] for split, text in split_texts(card, works).items()}
    repeated = [count_repeated(_LINES, {split: line_keys(text) for split, text in texts.items()})]
    if sides := work_sides(card, works):
        whole = {split: text_keys(works[name] for name in works if sides[name] == split) for split in texts}
        repeated.insert(0, count_repeated("works" if card.format == "wikitext" else "files", whole))
    return texts, {"repeated": repeated}


def _official(card: Card, train: ImageSplit, test: ImageSplit) -> dict[str, ImageSplit]:
    """Train and test as the authors gave them; validation carved from train."""
    names = ["train/"] * len(train) + ["test/"] * len(test)
    parts = split_items(card, names)
    return {"train": train.take(parts["train"]), "validation": train.take(parts["validation"]), "test": test}


def _idx(card: Card, raw: Path) -> dict[str, ImageSplit]:
    """The four files of the IDX convention: {train,t10k}-{images-idx3,labels-idx1}-ubyte."""
    halves = []
    for half in ("train", "t10k"):
        images, labels = (readers.read_idx(raw / f"{half}-{name}-ubyte") for name in ("images-idx3", "labels-idx1"))
        if images.ndim != 3 or images.dtype != np.uint8 or labels.shape != (len(images),):
            raise BenchError(
                f"{raw}/{half}-*: pictures {images.shape} {images.dtype} and labels {labels.shape} do not fit together"
            )
        halves.append(ImageSplit(images.astype(np.uint8)[..., None], labels.astype(np.int64)))
    return _official(card, *halves)


def _rows(card: Card, raw: Path) -> dict[str, ImageSplit]:
    """Pictures in the rows of data_batch_*.png and test_batch.png, labels in train_*.json and test_*.json."""
    halves = []
    for half, pattern in (("train", "data_batch_*.png"), ("test", "test_batch.png")):
        batches, lists = sorted(raw.glob(pattern)), sorted(raw.glob(f"{half}_*.json"))
        if not batches or len(lists) != 1 or card.size is None:
            raise card.error("format", f"rows: needs size, {pattern} and one {half}_*.json in {raw}")
        images = np.concatenate([readers.read_rows(b, card.size, card.channels) for b in batches])
        labels = np.array(json.loads(read_text(lists[0], card.encoding)), dtype=np.int64)
        if len(labels) != len(images):
            raise BenchError(f"{lists[0]}: {len(labels)} labels for {len(images)} pictures")
        halves.append(ImageSplit(images, labels))
    return _official(card, *halves)


def _classes(card: Card, names: list[str]) -> tuple[list[str], NDArray[np.int64] | None]:
    """Class names and labels from the folder that each picture lies in; none if the pictures lie in no folder of their
    own."""
    depth = 1 if card.split.rule == "official" else 0
    folders = ["/".join(name.split("/")[depth:-1]) for name in names]
    if not any(folders):
        return list(card.classes), None
    if not all(folders):
        raise card.error("members", f"{names[folders.index('')]!r} lies in no class folder, others do")
    classes = [composed(name) for name in card.classes] or sorted(set(folders))
    unknown = sorted(set(folders) - set(classes))
    if unknown:
        raise card.error("classes", f"the folder {unknown[0]!r} is not among {', '.join(classes)}")
    return classes, np.array([classes.index(f) for f in folders], dtype=np.int64)


def _folder(card: Card, raw: Path, quiet: bool) -> tuple[dict[str, ImageSplit], dict[str, Any]]:
    pictures = readers.read_pictures(raw, card.size, card.channels, card.on_broken, quiet=quiet)
    extra: dict[str, Any] = {"skipped": [b.replace(str(raw), raw.name) for b in pictures.broken]}
    images, names = np.stack(pictures.images), pictures.names
    if card.kind == "captioned_images":
        pairs = readers.read_captions(raw, card.captions, names, card.encoding)
        row = {name: i for i, name in enumerate(names)}
        whole = ImageSplit(images[[row[name] for name, _ in pairs]], captions=[caption for _, caption in pairs])
        names = [name for name, _ in pairs]
    else:
        extra["classes"], labels = _classes(card, names)
        whole = ImageSplit(images, labels)
    return {split: whole.take(rows) for split, rows in split_items(card, names).items()}, extra


def _textures(card: Card, raw: Path, quiet: bool) -> tuple[dict[str, NDArray[np.uint8]], dict[str, Any]]:
    pictures = readers.read_pictures(raw, None, None, card.on_broken, quiet=quiet)
    named: dict[str, NDArray[np.uint8]] = {}
    for name, image in zip(pictures.names, pictures.images, strict=True):
        stem = name.rsplit(".", 1)[0].replace("/", "-")
        if stem in named:
            raise card.error("members", f"two pictures are called {stem!r}")
        named[stem] = image[..., 0] if image.shape[2] == 1 else image
    return named, {"skipped": [b.replace(str(raw), raw.name) for b in pictures.broken]}


def prepare_card(card: Card, raw: Path, folder: Path, seed: int = 0, *, quiet: bool = False) -> dict[str, Any]:
    """Make ``folder`` (its whole content afterwards) from the raw members of a card; its ``meta.json``.

    Args:
        card: the data set.
        raw: folder of its members; for scenes, the *prepared* folder of the digits.
        folder: ``data/prepared/<name>``.
        seed: the global seed; only rendered scenes depend on it (a card's split has a seed of its own).
        quiet: no progress.

    Raises:
        BenchError: something in the data or the card that the user can mend.
    """
    if not raw.is_dir():
        raise BenchError(
            f"{raw} is not there: run `python stages/{'prepare' if card.kind == 'scenes' else 'fetch'}.py "
            f"{raw.name}` first"
        )
    extra: dict[str, Any] = {}
    with replace_folder(folder) as fresh:
        if card.kind == "text":
            texts, extra = _text(card, raw)
            counts, unit = datasets.write_texts(fresh, texts), "characters"
        elif card.kind == "textures":
            exemplars, extra = _textures(card, raw, quiet)
            counts, unit = datasets.write_exemplars(fresh, exemplars), "exemplars"
            extra["shapes"] = {name: list(image.shape) for name, image in exemplars.items()}
        elif card.kind not in ("images", "captioned_images", "scenes"):  # a kind with a module of its own
            counts, unit, extra = importlib.import_module(f"bench.data.{card.kind}").prepare(card, raw, fresh, quiet)
        else:
            if card.kind == "scenes":
                from bench.data.scenes import render_splits

                splits = render_splits(
                    datasets.load_images(raw), card.render, derive(seed, card.name, "render"), quiet=quiet
                )
                extra = {"source": card.source, "source_digest": datasets.load_meta(raw)["digest"]}
            elif card.format == "folder":
                splits, extra = _folder(card, raw, quiet)
            else:
                splits = _idx(card, raw) if card.format == "idx" else _rows(card, raw)
                extra = {"classes": list(card.classes)}
            splits = {split: data.take(slice(card.limit.get(split))) for split, data in splits.items()}
            counts, unit = datasets.write_images(fresh, splits), "pictures"
            extra["shape"] = list(splits["train"].images.shape[1:])
            keys = {split: image_keys(data.images) for split, data in splits.items() if split in datasets.SPLITS}
            extra["repeated"] = [count_repeated("pictures", keys)]
        head = {
            "name": card.name,
            "kind": card.kind,
            "title": card.title,
            "licence": card.licence,
            "attribution": card.attribution,
        }
        return datasets.write_meta(fresh, {**head, **extra, "splits": counts, "unit": unit})
