"""Tiny real data of every kind of data set, as ``fit`` takes it: what a contract is checked on in seconds.

A sonnet, scikit-learn's handwritten digits, scenes rendered from them, and pictures with known content.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import did_you_mean
from bench.data.cards import Render
from bench.data.datasets import ImageSplit, write_meta
from bench.data.scenes import render_splits

__all__ = ["KINDS", "SONNET", "prepared", "tiny"]

SONNET = (
    "Shall I compare thee to a summer's day?\nThou art more lovely and more temperate:\n"
    "Rough winds do shake the darling buds of May,\nAnd summer's lease hath all too short a date:\n"
    "Sometime too hot the eye of heaven shines,\nAnd often is his gold complexion dimm'd;\n"
    "And every fair from fair sometime declines,\nBy chance or nature's changing course untrimm'd;\n"
    "But thy eternal summer shall not fade\nNor lose possession of that fair thou owest;\n"
    "Nor shall Death brag thou wander'st in his shade,\nWhen in eternal lines to time thou growest:\n"
    "So long as men can breathe or eyes can see,\nSo long lives this and this gives life to thee.\n"
)


def _digits() -> dict[str, ImageSplit]:
    """Scikit-learn's 8x8 handwritten digits, enlarged to 28x28."""
    from sklearn.datasets import load_digits

    source = load_digits()
    enlarged = (source.images * 15.9).astype(np.uint8).repeat(3, 1).repeat(3, 2)
    pictures = np.pad(enlarged, ((0, 0), (2, 2), (2, 2)))[..., None]
    labels = source.target.astype(np.int64)
    parts = {"train": slice(0, 400), "validation": slice(400, 500), "test": slice(500, 700)}
    return {name: ImageSplit(pictures[part], labels[part]) for name, part in parts.items()}


def _scenes() -> dict[str, ImageSplit]:
    return render_splits(_digits(), Render(train=96, validation=32, test=32, judge=96), seed=0)


def _pair() -> dict[str, NDArray[np.uint8]]:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 16, 18, 3), dtype=np.uint8)
    return dict(zip(("one", "other"), pictures, strict=True))


def _textures() -> dict[str, NDArray[np.uint8]]:
    """One in grey, two in colour."""
    return {"stripes": (np.indices((24, 24)).sum(0) % 4 * 60).astype(np.uint8), **_pair()}


def _clips() -> dict[str, SimpleNamespace]:
    return {"swing": SimpleNamespace(frames=np.random.default_rng(0).integers(0, 256, (30, 6, 8, 3), dtype=np.uint8))}


def _vgg() -> dict[str, Any]:
    """VGG-16 with two filters a layer, in the names of the paper (Simonyan and Zisserman 2015)."""
    import torch

    generator, state, inside = torch.Generator().manual_seed(0), {}, 3
    for name in (f"conv{i}_{j}" for i, count in enumerate((2, 2, 3, 3, 3), start=1) for j in range(1, count + 1)):
        state[f"{name}.weight"] = torch.randn((2, inside, 3, 3), generator=generator)
        state[f"{name}.bias"] = torch.zeros(2)
        inside = 2
    return state


KINDS: Mapping[str, Callable[[], Mapping[str, Any]]] = MappingProxyType(
    {
        "text": lambda: {"train": SONNET * 6, "validation": SONNET},
        "series": lambda: {
            "train": "sunny\nsunny\nrain\ncloudy\nrain\nsunny\n" * 20,
            "validation": "rain\nsunny\n" * 4,
        },
        "images": _digits,
        "captioned_images": _scenes,
        "scenes": _scenes,
        "textures": _textures,
        "pairs": _pair,
        "video": _clips,
        "weights": _vgg,
    }
)
"""Kind of a card -> makes the data."""


def tiny(kind: str) -> Mapping[str, Any]:
    """The data of a kind.

    Raises:
        AssertionError: no tiny data of this kind.
    """
    if kind not in KINDS:
        raise AssertionError(
            f"no tiny data of kind {kind!r}.{did_you_mean(kind, KINDS)} Known are {', '.join(KINDS)}: add the kind to "
            "bench/testing/data.py, or hand the data itself to the case (`data={'train': ...}`)"
        )
    return KINDS[kind]()


def prepared(kind: str, folder: Path) -> Path:
    """A prepared data set of a kind, for a system that reads a further one; ``folder``, made at the first call.

    Raises:
        AssertionError: of this kind none can be written.
    """
    if kind != "weights":
        raise AssertionError(
            f"no tiny prepared data set of kind {kind!r}: hand the folder of one to the case (`needs={{role: folder}}`)"
        )
    if not (folder / "meta.json").is_file():
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file(dict(tiny(kind)), folder / "weights.safetensors")
        write_meta(folder, {"name": folder.name, "kind": kind})
    return folder
