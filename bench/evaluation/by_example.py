"""Textures: what is drawn from which piece of which photograph, and how near it comes without copying.

Each photograph is reduced and cut into the *exemplar*, which the generators see, and a *held-out* piece beside it, which
only the ceiling row sees. A sample set is one setting of the sweep (``window=9``) over all exemplars; records carry the
exemplar in ``slice``, and the mean over the exemplars has none.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.datasets import load_exemplars
from bench.errors import BenchError, did_you_mean
from bench.evaluation.base import Evaluation, StageContext
from bench.files import SampleSet, read_image_samples
from bench.metrics.protocols import protocol_id
from bench.metrics.psnr import psnr
from bench.metrics.structure_error import copied_share, structure_error
from bench.progress import Progress
from bench.registry import build_config
from bench.results.pictures import grid, png_data_uri
from bench.results.records import Record, variant_id

__all__ = ["Cut", "DrawConfig", "Piece", "ScoreConfig", "cut", "draw", "evaluate", "histogram_distance", "stratified_interval"]


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
class ScoreConfig:
    """Keys under ``evaluate:``.

    Attributes:
        patches: sides of the patches of the structure error, in pixels.
        copied: side of the patch that must stand verbatim in the exemplar to count as copied.
    """

    patches: tuple[int, ...] = (5, 9, 17)
    copied: int = 15


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


def _pieces(data: Path, config: DrawConfig, where: str) -> dict[str, Piece]:
    """Exemplar and held-out piece of every photograph of the block; grey ones get three channels if any is in colour."""
    pictures = load_exemplars(data)
    pieces = {}
    for name, values in config.exemplars.items():
        if name not in pictures:
            raise BenchError(f"{where}.exemplars: no picture {name!r} in {data}.{did_you_mean(name, pictures)}")
        how = build_config(Cut, values or {}, f"{where}.exemplars.{name}")
        pieces[name] = cut(pictures[name], how, f"{where}.exemplars.{name}", config.side)
    if not pieces:
        raise BenchError(f"{where}.exemplars: name at least one of {', '.join(sorted(pictures))}")
    channels = max(piece.exemplar.shape[2] for piece in pieces.values())
    return {name: Piece(_widen(piece.exemplar, channels), _widen(piece.held_out, channels)) for name, piece in pieces.items()}


def _widen(image: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    return np.repeat(image, channels // image.shape[2], axis=2)


def _configs(context: StageContext) -> tuple[DrawConfig, ScoreConfig, dict[str, Piece]]:
    where = f"{context.family}.{context.name}"
    drawing = build_config(DrawConfig, context.block.get("sample") or {}, f"{where}.sample")
    scoring = build_config(ScoreConfig, context.block.get("evaluate") or {}, f"{where}.evaluate")
    return drawing, scoring, _pieces(context.data, drawing, f"{where}.sample")


def _hole(shape: Sequence[int], side: int) -> tuple[slice, slice]:
    """Rows and columns of a square hole in the middle."""
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    return slice(top, top + side), slice(left, left + side)


def _with_hole(piece: Piece, side: int, where: str) -> NDArray[np.uint8]:
    """The part of the held-out piece, at most as large as the exemplar, whose middle is taken out."""
    height, width = piece.exemplar.shape[:2]
    truth = piece.held_out[:height, :width]
    if min(truth.shape[:2]) < side + 2:
        raise BenchError(f"{where}: a hole of {side} pixels does not fit the held-out piece of {truth.shape[0]}x{truth.shape[1]}")
    return truth


def draw(context: StageContext) -> list[SampleSet]:
    """A sample set for each window: ``pictures`` of each exemplar, their sources in the exemplar, and the filled holes."""
    config, _, pieces = _configs(context)
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
                    truth = _with_hole(piece, config.hole, f"{context.family}.{context.name}.sample.hole")
                    hole = _hole(truth.shape, config.hole)
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


def histogram_distance(output: NDArray[np.uint8], exemplar: NDArray[np.uint8]) -> float:
    """First Wasserstein distance of the values, mean over channels, in units of a 0-1 range.

    >>> histogram_distance(np.array([[[0], [255]]], np.uint8), np.array([[[0], [0]]], np.uint8))
    0.5
    """
    total = 0.0
    for channel in range(exemplar.shape[2]):
        one, two = (np.bincount(image[:, :, channel].ravel(), minlength=256) for image in (output, exemplar))
        total += float(np.abs(np.cumsum(one / one.sum() - two / two.sum())).sum()) / 255.0
    return total / int(exemplar.shape[2])


def mean_run(sources: NDArray[np.integer[Any]]) -> float:
    """Length of the copied run that a pixel lies in, mean over pixels: how many in a row come from a row of the exemplar.

    >>> mean_run(np.stack([np.zeros((1, 4), int), np.array([[5, 6, 7, 2]])], axis=-1))
    2.5
    """
    goes_on = (np.diff(sources.astype(np.int64), axis=1) == (0, 1)).all(axis=2) & (sources[:, 1:, 0] >= 0) & (sources[:, :-1, 0] >= 0)
    total = 0
    for row in goes_on:
        breaks = np.flatnonzero(np.concatenate([[True], ~row, [True]]))
        total += int((np.diff(breaks) ** 2).sum())
    return total / int(sources.shape[0] * sources.shape[1])


def stratified_interval(values: NDArray[np.float64], high: float = np.inf) -> tuple[float, float] | None:
    """95 % t interval of the mean over fixed exemplars, from the spread between the pictures of each.

    Args:
        values: ``(exemplars, pictures)``, not negative.
        high: largest possible value; the interval is cut off at 0 and there.

    Returns:
        None for one picture each.
    """
    from scipy.stats import t

    exemplars, pictures = values.shape
    if pictures < 2:
        return None
    error = float(np.sqrt((values.var(axis=1, ddof=1) / pictures).sum())) / exemplars
    half = float(t.ppf(0.975, exemplars * (pictures - 1))) * error
    return max(0.0, float(values.mean()) - half), min(high, float(values.mean()) + half)


def evaluate(context: StageContext) -> Evaluation:
    """Structure error against copied share, histogram distance, copied runs, filled holes; a gallery for each window."""
    drawing, scoring, pieces = _configs(context)
    assert context.samples is not None
    records: list[Record] = []
    gallery: list[dict[str, Any]] = []
    size = "x".join(map(str, drawing.size))
    patches = "+".join(map(str, scoring.patches))
    for samples in read_image_samples(context.samples):
        assert samples.images is not None and samples.prompts is not None
        scores: dict[str, list[float]] = {"structure_error": [], "copied_share": [], "histogram_distance": []}
        for image, name in zip(samples.images, samples.prompts, strict=True):
            exemplar = pieces[name].exemplar
            scores["structure_error"].append(structure_error(image, exemplar, scoring.patches)["value"])
            scores["copied_share"].append(copied_share(image, exemplar, scoring.copied))
            scores["histogram_distance"].append(histogram_distance(image, exemplar))
        if "sources" in samples.extra:
            scores["copied_run"] = [mean_run(one) for one in samples.extra["sources"]]
        protocols = {
            "structure_error": protocol_id("structure_error", patches=patches, size=size),
            "copied_share": protocol_id("copied_share", patch=scoring.copied, size=size),
            "histogram_distance": protocol_id("histogram_distance", "wasserstein-1", size=size),
            "copied_run": protocol_id("copied_run", "rows", size=size),
        }
        for metric, listed in scores.items():
            table = np.array(listed).reshape(len(pieces), -1)
            records += _rows(context, metric, table, list(pieces), protocols[metric], samples.variant)
        if "holes" in samples.extra:
            records += _hole_rows(context, samples, pieces, drawing.hole)
        gallery.append(_picture(samples, pieces, drawing))
    return Evaluation(records, {"gallery": gallery, "notes": [_NOTE]})


_NOTE = (
    "Textures: structure error alone is won by copying, so read it beside the copied share; the ceiling row is another piece of "
    "the same photograph, the floor has the exemplar's histogram and nothing else."
)
_UNITS = {"copied_run": "px", "structure_error": "", "copied_share": "", "histogram_distance": ""}
_BETTER: Mapping[str, bool | None] = {"structure_error": False, "copied_share": False, "histogram_distance": False, "copied_run": None}


def _rows(context: StageContext, metric: str, table: NDArray[np.float64], names: list[str], protocol: str, variant: str) -> list[Record]:
    """The mean over exemplars, then each exemplar as a slice."""
    parts = [("", table), *((name, table[i : i + 1]) for i, name in enumerate(names))]
    return [
        context.record(
            metric,
            float(part.mean()),
            protocol,
            ci95=stratified_interval(part, 1.0 if metric == "copied_share" else np.inf),
            n=part.size,
            higher_is_better=_BETTER[metric],
            variant=variant,
            slice=name,
            unit=_UNITS[metric],
        )
        for name, part in parts
    ]


def _hole_rows(context: StageContext, samples: SampleSet, pieces: Mapping[str, Piece], side: int) -> list[Record]:
    """PSNR of the filled holes against what was there; no interval: one hole in each exemplar."""
    values = {}
    for (name, piece), hole in zip(pieces.items(), samples.extra["holes"], strict=True):
        whole = _with_hole(piece, side, context.name)
        truth = whole[_hole(whole.shape, side)]
        values[name] = float(psnr(hole[None], truth[None])[0])
    protocol = protocol_id("psnr", "hole", side=side)
    parts = [("", float(np.mean(list(values.values())))), *values.items()]
    common: dict[str, Any] = {"higher_is_better": True, "variant": samples.variant, "unit": "dB"}
    return [context.record("psnr", value, protocol, n=1 if name else len(values), slice=name, **common) for name, value in parts]


def _picture(samples: SampleSet, pieces: Mapping[str, Piece], drawing: DrawConfig) -> dict[str, Any]:
    """One row of the gallery: two pictures of each exemplar, the exemplars themselves and, where drawn, the filled holes."""
    assert samples.images is not None and samples.prompts is not None
    shown = [i for name in pieces for i in [j for j, prompt in enumerate(samples.prompts) if prompt == name][:2]]
    captions = [samples.prompts[i] for i in shown]
    title = samples.variant.replace("window=", "Window ") if samples.variant else "Textures"
    height, width = drawing.size
    smallest = min(min(piece.exemplar.shape[:2]) for piece in pieces.values())
    view = (slice(0, min(height, smallest)), slice(0, min(width, smallest)))
    entry: dict[str, Any] = {
        "title": title,
        "variant": samples.variant,
        "png": png_data_uri(grid(samples.images[shown], columns=len(shown))),
        "alt": f"Synthesised textures, two for each exemplar: {', '.join(pieces)}",
        "columns": len(shown),
        "captions": captions,
        "source_png": png_data_uri(grid(np.stack([pieces[name].exemplar[view] for name in captions]), columns=len(shown))),
    }
    beside = [
        piece.held_out[view] for name in captions if min((piece := pieces[name]).held_out.shape[:2]) >= max(view[0].stop, view[1].stop)
    ]
    if len(beside) == len(captions):
        entry["real_png"] = png_data_uri(grid(np.stack(beside), columns=len(shown)))
    return entry
