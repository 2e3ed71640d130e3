"""Textures: what is drawn from which piece of which photograph.

Each photograph is reduced and cut into the *exemplar*, which the generators see, and a *held-out* piece beside it, which
only the ceiling row sees. A sample set is one setting of the sweep (``window=9``) over all exemplars.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.datasets import load_exemplars
from bench.errors import BenchError, did_you_mean
from bench.evaluation.base import StageContext
from bench.files import SampleSet
from bench.progress import Progress
from bench.registry import build_config
from bench.results.records import variant_id

__all__ = ["Cut", "DrawConfig", "Piece", "cut", "draw", "draw_config", "hole_of", "pieces_of", "with_hole"]


@dataclass(frozen=True)
class Cut:
    """Where in a photograph the exemplar lies.

    Attributes:
        downscale: whole-number reduction by means of blocks; the rest is counted in reduced pixels.
        flatten: sigma in pixels of the Gaussian mean that is divided out, for unevenly lit pages; 0 for none.
        rows, columns: usable part, ``[first, one past the last]``; null for all.
        side: height and width of the exemplar, which is the top left corner of that part; null for the block's.
    """

    downscale: int = 1
    flatten: float = 0.0
    rows: tuple[int, int] | None = None
    columns: tuple[int, int] | None = None
    side: int | None = None


@dataclass(frozen=True)
class DrawConfig:
    """Keys under ``sample:`` of a block of this family.

    Attributes:
        exemplars: name of the photograph -> :class:`Cut`.
        side: height and width of the exemplars that do not say their own.
        windows: the sweep; empty for a system without windows.
        size: height and width of the pictures.
        pictures: pictures of each exemplar and window, each with a seed of its own.
        hole: side of the square hole in each held-out piece that is filled from the exemplar, 0 for none.
    """

    exemplars: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    side: int = 64
    windows: tuple[int, ...] = ()
    size: tuple[int, int] = (64, 64)
    pictures: int = 4
    hole: int = 0


@dataclass(frozen=True)
class Piece:
    """One photograph, cut: ``exemplar`` and ``held_out`` are ``(H, W, C)`` uint8 and do not overlap."""

    exemplar: NDArray[np.uint8]
    held_out: NDArray[np.uint8]


def cut(picture: NDArray[np.uint8], how: Cut, where: str, side: int = 64) -> Piece:
    """Reduces and cuts one photograph; the held-out piece lies right of the exemplar, or below where that is larger.

    ``side`` counts where ``how`` has none.

    Raises:
        BenchError: the usable part is smaller than the exemplar.
    """
    image = picture[:, :, None] if picture.ndim == 2 else picture
    step = how.downscale
    height, width = image.shape[0] // step, image.shape[1] // step
    blocks = image[: height * step, : width * step].reshape(height, step, width, step, -1)
    reduced = blocks.mean(axis=(1, 3))
    if how.flatten:
        from scipy.ndimage import gaussian_filter

        reduced = reduced / np.maximum(gaussian_filter(reduced, how.flatten, axes=(0, 1)), 1.0) * reduced.mean()
    image = np.clip(np.rint(reduced), 0, 255).astype(np.uint8)
    image = image[slice(*(how.rows or (None,))), slice(*(how.columns or (None,)))]
    height, width = image.shape[:2]
    side = how.side or side
    if min(height, width) < side:
        raise BenchError(f"{where}: the usable part is {height}x{width} pixels, smaller than the exemplar's side of {side}")
    right, below = image[:, side:], image[side:]
    return Piece(image[:side, :side], right if min(right.shape[:2]) >= min(below.shape[:2]) else below)


def pieces_of(context: StageContext, config: DrawConfig) -> dict[str, Piece]:
    """Exemplar and held-out piece of every photograph of the block; grey ones get three channels if any is in colour.

    Raises:
        BenchError: no photograph, an unknown one, or one too small.
    """
    where = f"{context.family}.{context.name}.sample.exemplars"
    pictures = load_exemplars(context.data)
    pieces = {}
    for name, values in config.exemplars.items():
        if name not in pictures:
            raise BenchError(f"{where}: no picture {name!r} in {context.data}.{did_you_mean(name, pictures)}")
        how = build_config(Cut, values or {}, f"{where}.{name}")
        pieces[name] = cut(pictures[name], how, f"{where}.{name}", config.side)
    if not pieces:
        raise BenchError(f"{where}: name at least one of {', '.join(sorted(pictures))}")
    channels = max(piece.exemplar.shape[2] for piece in pieces.values())
    return {name: Piece(_widen(piece.exemplar, channels), _widen(piece.held_out, channels)) for name, piece in pieces.items()}


def _widen(image: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    return np.repeat(image, channels // image.shape[2], axis=2)


def draw_config(context: StageContext) -> DrawConfig:
    """The keys under ``sample:``, for drawing and for scoring what was drawn."""
    config: DrawConfig = build_config(DrawConfig, context.block.get("sample") or {}, f"{context.family}.{context.name}.sample")
    return config


def hole_of(shape: Sequence[int], side: int) -> tuple[slice, slice]:
    """Rows and columns of a square hole in the middle."""
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    return slice(top, top + side), slice(left, left + side)


def with_hole(piece: Piece, side: int, where: str) -> NDArray[np.uint8]:
    """The part of the held-out piece, at most as large as the exemplar, whose middle is taken out."""
    height, width = piece.exemplar.shape[:2]
    truth = piece.held_out[:height, :width]
    if min(truth.shape[:2]) < side + 2:
        raise BenchError(f"{where}: a hole of {side} pixels does not fit the held-out piece of {truth.shape[0]}x{truth.shape[1]}")
    return truth


def draw(context: StageContext) -> list[SampleSet]:
    """A sample set for each window: ``pictures`` of each exemplar, their sources in the exemplar, and the filled holes."""
    config = draw_config(context)
    pieces = pieces_of(context, config)
    system = context.load()
    together = hasattr(system, "growths")
    options: list[dict[str, Any]] = [{"window": window} for window in config.windows] or [{}]
    height, width = config.size
    filled = height * width * config.pictures * len(pieces) * len(options)
    sets = []
    with Progress(f"sample {context.name}", filled, "pixels", quiet=context.quiet) as progress:
        for option in options:
            images, sources, holes, names = [], [], [], []
            start = time.monotonic()
            for name, piece in pieces.items():
                seeds = [context.derive("sample", name, number) for number in range(config.pictures)]
                if together:
                    grown = system.growths(piece.exemplar, config.size, seeds, progress=progress.update, **option)
                    images += [one.picture for one in grown]
                    sources += [one.sources for one in grown]
                else:
                    for seed in seeds:
                        images.append(system.synthesize(piece.exemplar, config.size, seed, held_out=piece.held_out, **option))
                        progress.update(height * width)
                names += [name] * config.pictures
            seconds = time.monotonic() - start
            if config.hole:
                for name, piece in pieces.items():
                    truth = with_hole(piece, config.hole, f"{context.family}.{context.name}.sample.hole")
                    hole = hole_of(truth.shape, config.hole)
                    known = np.ones(truth.shape[:2], dtype=bool)
                    known[hole] = False
                    given = {"initial": np.where(known[:, :, None], truth, 0).astype(np.uint8), "mask": known, **option}
                    holes.append(system.synthesize(piece.exemplar, known.shape, context.derive("hole", name), **given)[hole])
            extra = {"sources": np.stack(sources).astype(np.int16)} if sources else {}
            if holes:
                extra["holes"] = np.stack(holes)
            info = {"seconds": seconds, "seconds_per_item": seconds / len(images), "size": list(config.size)}
            sets.append(SampleSet(variant=variant_id(option), images=np.stack(images), prompts=names, info=info, extra=extra))
    return sets
