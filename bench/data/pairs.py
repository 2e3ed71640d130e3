"""Pictures before and after: what an analogy learns from and is judged by.

Members lie in two folders, ``before/`` and ``after/`` (or, as OpenMoji calls them, ``black/`` and ``color/``), under
the same name; SVG is drawn at the card's ``size``, other pictures are scaled to it. ``before/cats/tom.png`` belongs to
the group ``cats``; with OpenMoji's ``data/openmoji.json`` among the members, the group is the concept's subgroup.

Split by *concept*, the name up to the first hyphen (OpenMoji's base code point), so that skin tones and genders of one
concept stay on one side: of each group three concepts in ten are for the test, at least one, and one is for validation,
drawn by the card's name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.files import write_npz
from bench.base.progress import track
from bench.base.seeds import generator
from bench.base.texts import read_text
from bench.data.cards import Card
from bench.data.contamination import count_repeated, image_keys
from bench.data.datasets import SPLITS
from bench.data.names import visible_files
from bench.data.picture_files import PICTURES, decode_picture
from bench.data.readers import read_pictures

__all__ = ["PairSplit", "load", "prepare"]

SIDES: Mapping[str, tuple[str, ...]] = {"before": ("before", "black"), "after": ("after", "color")}
TEST_SHARE = 0.3


@dataclass(frozen=True)
class PairSplit:
    """One split.

    Attributes:
        before: ``(N, H, W, 3)`` uint8.
        after: the same pictures afterwards.
        names: what each shows.
        groups: what each belongs to, ``""`` without groups.
    """

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    names: list[str]
    groups: list[str]

    def __len__(self) -> int:
        return len(self.names)


def _drawn(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """An SVG file on white, ``(H, W, 3)``."""
    import resvg_py

    height, width = size
    try:
        content = resvg_py.svg_to_bytes(
            svg_path=str(path), width=width, height=height, background="white", skip_system_fonts=True
        )
    except (ValueError, OSError) as error:
        raise BenchError(f"{path}: not a readable SVG file ({error})") from error
    picture = decode_picture(bytes(content), 3, str(path))
    if picture.shape[:2] != size:
        raise BenchError(
            f"{path}: draws as {picture.shape[0]}x{picture.shape[1]}, not in the proportions of size {height}x{width}"
        )
    return picture


def _side(
    card: Card, raw: Path, folders: tuple[str, ...], size: tuple[int, int], quiet: bool
) -> dict[str, NDArray[np.uint8]]:
    """Name below its folder (without ending) -> picture."""
    found: dict[str, NDArray[np.uint8]] = {}

    def keep(name: Path, picture: NDArray[np.uint8]) -> None:
        key = "/".join(part for part in name.with_suffix("").parts if part != "svg")
        if key in found:
            raise card.error("members", f"two pictures are called {key!r}")
        found[key] = picture

    for folder in (raw / name for name in folders if (raw / name).is_dir()):
        for path in track(
            visible_files(folder, (".svg",)), f"drawing {card.name}/{folder.name}", "pictures", quiet=quiet
        ):
            keep(path.relative_to(folder), _drawn(path, size))
        if visible_files(folder, PICTURES):
            pictures = read_pictures(folder, size, 3, card.on_broken, quiet=quiet)
            for name, picture in zip(pictures.names, pictures.images, strict=True):
                keep(Path(name), picture)
    return found


def _described(raw: Path, names: list[str]) -> tuple[list[str], list[str]]:
    """Title and group of each name."""
    listing = raw / "data" / "openmoji.json"
    if not listing.is_file():
        return [name.rsplit("/", 1)[-1] for name in names], [name.rpartition("/")[0] for name in names]
    known = {entry["hexcode"]: entry for entry in json.loads(read_text(listing))}
    if missing := [name for name in names if name not in known]:
        raise BenchError(f"{listing}: no entry {missing[0]!r}")
    return [known[name]["annotation"] for name in names], [known[name]["subgroups"] for name in names]


def _split(card: Card, names: list[str], groups: list[str]) -> dict[str, list[int]]:
    """Indices of each split."""
    sides: dict[tuple[str, str], str] = {}
    for group in sorted(set(groups)):
        concepts = sorted(
            {name.rsplit("/", 1)[-1].split("-")[0] for name, g in zip(names, groups, strict=True) if g == group}
        )
        if len(concepts) < 3:
            raise card.error(
                "members", f"group {group!r} has {len(concepts)} concepts; train, validation and test need one each"
            )
        order = generator(card.name, group, card.split.seed, "split").permutation(len(concepts))
        tests = max(1, round(TEST_SHARE * len(concepts)))
        for at, index in enumerate(order):
            sides[group, concepts[index]] = "test" if at < tests else "validation" if at == tests else "train"
    found: dict[str, list[int]] = {split: [] for split in SPLITS}
    for i, (name, group) in enumerate(zip(names, groups, strict=True)):
        found[sides[group, name.rsplit("/", 1)[-1].split("-")[0]]].append(i)
    return found


def prepare(card: Card, raw: Path, folder: Path, quiet: bool) -> tuple[dict[str, int], str, dict[str, Any]]:
    """Writes ``train.npz``, ``validation.npz`` and ``test.npz``; pairs in each, the unit, and the names in each split.

    Raises:
        BenchError: a picture without its other half, too few concepts in a group, a broken file, no size.
    """
    if card.size is None:
        raise card.error("size", "missing: pairs are drawn or scaled to one [height, width]")
    pictures = {side: _side(card, raw, folders, card.size, quiet) for side, folders in SIDES.items()}
    names = sorted(pictures["before"])
    if not any(pictures.values()):
        raise card.error("members", "pairs need pictures in before/ and after/ (or black/ and color/)")
    if lonely := sorted(pictures["before"].keys() ^ pictures["after"].keys()):
        raise card.error("members", f"{lonely[0]!r} is in one of before/ and after/ only: every picture needs both")
    titles, groups = _described(raw, names)
    counts, keys = {}, {}
    for split, rows in _split(card, names, groups).items():
        arrays: dict[str, NDArray[Any]] = {
            side: np.stack([drawn[names[i]] for i in rows]) for side, drawn in pictures.items()
        }
        arrays["names"] = np.array([titles[i] for i in rows], dtype=np.str_)
        arrays["groups"] = np.array([groups[i] for i in rows], dtype=np.str_)
        write_npz(folder / f"{split}.npz", arrays)
        counts[split] = len(rows)
        keys[split] = image_keys(arrays["before"], arrays["after"])
    facts = {"shape": [*card.size, 3], "groups": sorted(set(groups)), "repeated": [count_repeated("pairs", keys)]}
    return counts, "pairs", facts


def load(folder: Path) -> dict[str, PairSplit]:
    """The splits of a prepared folder."""
    splits = {}
    for split in SPLITS:
        path = folder / f"{split}.npz"
        if not path.is_file():
            raise BenchError(f"{path} is not there: run `python stages/prepare.py {folder.name}`, or `dvc repro`")
        with np.load(path, allow_pickle=False) as file:
            names, groups = ([str(text) for text in file[key]] for key in ("names", "groups"))
            splits[split] = PairSplit(file["before"], file["after"], names, groups)
    return splits
