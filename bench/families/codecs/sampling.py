"""Codecs: pictures to codes to pictures, the part that drawing and scoring share, and the reconstructions for the
gallery."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.files import SampleSet
from bench.base.settings import Checked, Count, build_config
from bench.context import StageContext
from bench.data.datasets import load_images

__all__ = ["SampleConfig", "roundtrip", "sample"]

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class SampleConfig(Checked):
    """Keys under ``sample:``.

    Attributes:
        n: validation pictures to reconstruct for the gallery; the time for one picture is measured on them.
    """

    n: Count = 256


def roundtrip(system: Any, images: Bytes, batch: int = 1024) -> tuple[NDArray[Any], Bytes]:
    """Codes and reconstructions of all pictures, ``batch`` at a time to bound memory."""
    codes, pictures = [], []
    for start in range(0, len(images), batch):
        codes.append(system.encode(images[start : start + batch]))
        pictures.append(system.decode(codes[-1]))
    return np.concatenate(codes), np.concatenate(pictures)


def sample(context: StageContext) -> list[SampleSet]:
    """Reconstructions of validation pictures, with the originals beside them."""
    config: SampleConfig = build_config(
        SampleConfig, context.block.get("sample") or {}, f"{context.family}.{context.name}.sample"
    )
    split, system = load_images(context.data)["validation"], context.load()
    originals = split.images[: config.n]
    labels = None if split.labels is None else split.labels[: config.n]
    start = time.perf_counter()
    _, pictures = roundtrip(system, originals)
    seconds = time.perf_counter() - start
    info = {"seconds": seconds, "seconds_per_item": seconds / max(len(originals), 1)}
    return [SampleSet(images=pictures, labels=labels, info=info, extra={"originals": originals})]
