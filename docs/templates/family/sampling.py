"""What is drawn from a denoiser: pieces of the exemplars, made noisy, and what it makes of them."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from bench.base.files import SampleSet
from bench.base.seeds import derive, generator
from bench.config.variants import variant_id
from bench.context import StageContext
from bench.contracts import Images
from bench.data.datasets import load_exemplars
from bench.registry import build_config

__all__ = ["SampleConfig", "clean_pieces", "noisy_pieces", "sample"]


@dataclass(frozen=True)
class SampleConfig:
    """The keys under ``sample:``.

    Attributes:
        side: of a piece, in pixels.
        sigmas: standard deviations of the noise, in units of 0..255; each is a variant.
    """

    side: int = 96
    sigmas: tuple[float, ...] = (10.0, 25.0, 50.0)


def _config(context: StageContext) -> SampleConfig:
    where = f"{context.family}.{context.name}.sample"
    config: SampleConfig = build_config(SampleConfig, context.block["sample"], where)
    return config


def clean_pieces(context: StageContext) -> Images:
    """The middle of every exemplar in grey, ``(N, side, side, 1)``."""
    side, pieces = _config(context).side, []
    for picture in load_exemplars(context.data).values():
        grey = picture if picture.ndim == 2 else np.rint(picture.mean(2)).astype(np.uint8)
        top, left = ((length - side) // 2 for length in grey.shape)
        if top >= 0 and left >= 0:
            pieces.append(grey[top : top + side, left : left + side, None])
    return np.stack(pieces)


def noisy_pieces(context: StageContext, sigma: float) -> Images:
    """The same pieces under noise, which is the same for every generator."""
    clean = clean_pieces(context)
    rng = generator(derive(context.seed, context.family, str(context.block["dataset"])), f"sigma={sigma}")
    return np.rint(clean + sigma * rng.standard_normal(clean.shape)).clip(0, 255).astype(np.uint8)


def sample(context: StageContext) -> list[SampleSet]:
    """One set for each amount of noise."""
    system, sets = context.load(), []
    for sigma in _config(context).sigmas:
        noisy, start = noisy_pieces(context, sigma), time.monotonic()
        images = system.denoise(noisy, sigma)
        info = {"seconds_per_item": (time.monotonic() - start) / len(images), "sigma": sigma}
        sets.append(SampleSet(variant_id({"sigma": sigma}), images=images, info=info))
    return sets
