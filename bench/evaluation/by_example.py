"""Textures: how near what was drawn comes to its exemplar without copying it, and how well it fills holes.

Records carry the exemplar in ``slice``, and the mean over the exemplars has none;
:mod:`bench.families.by_example.textures.sampling` cuts the pieces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.files import SampleSet, read_image_samples
from bench.context import Evaluation, StageContext
from bench.evaluation.texture_figures import holes_figure, outward_figure, windows_figure
from bench.families.by_example.textures.sampling import Holes, Piece, pieces_of, sample_config, stacked, tiles
from bench.metrics.protocols import protocol_id
from bench.metrics.psnr import psnr
from bench.metrics.seam_error import seam_error
from bench.metrics.ssim import ssim
from bench.metrics.structure_error import copied_share, structure_error
from bench.registry import build_config
from bench.results.pictures import grid, png_data_uri
from bench.results.records import Record, variant_id
from bench.stats.intervals import stratified_t_ci

__all__ = ["EvalConfig", "evaluate", "histogram_distance", "mean_run"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EvalConfig:
    """Keys under ``evaluate:``.

    Attributes:
        patches: sides of the patches of the structure error, in pixels.
        copied: side of the patch that must stand verbatim in the exemplar to count as copied.
        seam: side of the patches across the border of a filled hole.
    """

    patches: tuple[int, ...] = (5, 9, 17)
    copied: int = 15
    seam: int = 7


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
    """Length of the copied run that a pixel lies in, mean over pixels: how many in a row come from a row of the
    exemplar.

    >>> mean_run(np.stack([np.zeros((1, 4), int), np.array([[5, 6, 7, 2]])], axis=-1))
    2.5
    """
    goes_on = (
        (np.diff(sources.astype(np.int64), axis=1) == (0, 1)).all(axis=2)
        & (sources[:, 1:, 0] >= 0)
        & (sources[:, :-1, 0] >= 0)
    )
    total = 0
    for row in goes_on:
        breaks = np.flatnonzero(np.concatenate([[True], ~row, [True]]))
        total += int((np.diff(breaks) ** 2).sum())
    return total / int(sources.shape[0] * sources.shape[1])


@dataclass(frozen=True)
class _Column:
    """A metric as rows show it."""

    metric: str
    protocol: str
    higher_is_better: bool | None = False
    unit: str = ""
    low: float = 0.0
    high: float = np.inf


def _rows(context: StageContext, column: _Column, table: Floats, names: list[str], variant: str) -> list[Record]:
    """The mean over exemplars, then each exemplar as a slice; ``table`` is ``(exemplars, pictures)``."""
    parts = [("", table), *((name, table[i : i + 1]) for i, name in enumerate(names))]
    return [
        context.record(
            column.metric,
            float(part.mean()),
            column.protocol,
            ci95=stratified_t_ci(list(part), column.low, column.high),
            n=part.size,
            higher_is_better=column.higher_is_better,
            variant=variant,
            slice=name,
            unit=column.unit,
        )
        for name, part in parts
    ]


def evaluate(context: StageContext) -> Evaluation:
    """Structure error against copied share, histogram distance, copied runs, filled holes; pictures of all of them."""
    drawing, holes = sample_config(context)
    pieces = pieces_of(context, drawing)
    where = f"{context.family}.{context.name}.evaluate"
    scoring: EvalConfig = build_config(EvalConfig, context.block.get("evaluate") or {}, where)
    assert context.samples is not None
    by_task: dict[str, list[SampleSet]] = {"grow": [], "fill": [], "extrapolate": []}
    for samples in read_image_samples(context.samples):
        by_task[samples.info["task"]].append(samples)
    records: list[Record] = []
    for samples in by_task["grow"]:
        records += _texture_rows(context, samples, pieces, scoring)
    figures = [windows_figure(by_task["grow"], pieces)] if len(by_task["grow"]) > 1 else []
    if holes is not None:
        scores = {
            samples.variant: _hole_scores(samples, pieces, holes, scoring.seam, context.name)
            for samples in by_task["fill"]
        }
        for samples in by_task["fill"]:
            records += _hole_rows(context, scores[samples.variant], list(pieces), samples.variant, holes, scoring)
        records += _gain_rows(context, scores, list(pieces), holes, scoring)
        figures.append(holes_figure(by_task["fill"], pieces, holes, context.name))
    figures += [outward_figure(samples, pieces) for samples in by_task["extrapolate"]]
    extras: dict[str, Any] = {
        "gallery": [_gallery(samples, pieces, beside=number == 0) for number, samples in enumerate(by_task["grow"])],
        "figures": figures,
        "notes": [_NOTE],
        "curves": [
            curve
            for samples in by_task["grow"]
            if "operations" in samples.info
            for curve in _curves(samples.info["operations"])
        ],
    }
    return Evaluation(records, extras)


_NOTE = (
    "Textures: structure error alone is won by copying, so read it beside the copied share; the ceiling row is "
    "another piece of "
    "the same photograph, the floor has the exemplar's histogram and nothing else. PSNR of a filled hole prefers a "
    "blur to any "
    "texture that differs from what was there: read it beside SSIM and the seam error."
)


def _own(image: NDArray[np.uint8], exemplar: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture in the channels of its exemplar: grey ones were stacked with coloured ones."""
    return image[:, :, : exemplar.shape[2]]


def _texture_rows(
    context: StageContext, samples: SampleSet, pieces: Mapping[str, Piece], scoring: EvalConfig
) -> list[Record]:
    assert samples.images is not None and samples.prompts is not None
    size, patches = "x".join(map(str, samples.images.shape[1:3])), "+".join(map(str, scoring.patches))
    scores: dict[str, list[float]] = {key: [] for key in ("mean", *map(str, scoring.patches), "copied", "histogram")}
    for image, name in zip(samples.images, samples.prompts, strict=True):
        exemplar = pieces[name].exemplar
        image = _own(image, exemplar)
        errors = structure_error(image, exemplar, scoring.patches)
        scores["mean"].append(errors["value"])
        for patch in scoring.patches:
            scores[str(patch)].append(errors[f"size={patch}"])
        scores["copied"].append(copied_share(image, exemplar, scoring.copied))
        scores["histogram"].append(histogram_distance(image, exemplar))
    columns = {
        "mean": _Column("structure_error", protocol_id("structure_error", patches=patches, size=size)),
        **{
            str(p): _Column("structure_error", protocol_id("structure_error", patches=p, size=size))
            for p in scoring.patches
        },
        "copied": _Column("copied_share", protocol_id("copied_share", patch=scoring.copied, size=size), high=1.0),
        "histogram": _Column("histogram_distance", protocol_id("histogram_distance", "wasserstein-1", size=size)),
    }
    if len(scoring.patches) == 1:
        del columns[str(scoring.patches[0])]  # the same protocol as their mean
    if "sources" in samples.extra:
        scores["run"] = [mean_run(one) for one in samples.extra["sources"]]
        columns["run"] = _Column("copied_run", protocol_id("copied_run", "rows", size=size), None, "px")
    tables = {key: np.array(scores[key]).reshape(len(pieces), -1) for key in columns}
    records = [
        row
        for key, column in columns.items()
        for row in _rows(context, column, tables[key], list(pieces), samples.variant)
    ]
    if "operations_per_item" in samples.info:
        cost = (float(samples.info["operations_per_item"]), "cost/counted-flops/v1")
        records.append(
            context.record(
                "sample_flops_per_item", *cost, n=1, higher_is_better=False, variant=samples.variant, unit="FLOP"
            )
        )
    return records


def _hole_scores(
    samples: SampleSet, pieces: Mapping[str, Piece], holes: Holes, seam: int, where: str
) -> dict[str, Floats]:
    """PSNR of the hole, SSIM where the window's middle lies in it, seam error: ``(exemplars, holes)`` each."""
    assert samples.images is not None
    inside = slice(holes.margin, holes.margin + holes.side)
    around = slice(holes.margin - SSIM_RADIUS, holes.margin + holes.side + SSIM_RADIUS)
    scores: dict[str, list[Any]] = {"psnr": [], "ssim": [], "seam_error": []}
    for i, piece in enumerate(pieces.values()):
        truth = tiles(piece, holes, where)
        filled = samples.images[i * holes.count : (i + 1) * holes.count, :, :, : truth.shape[3]]
        scores["psnr"].append(psnr(filled[:, inside, inside], truth[:, inside, inside]))
        scores["ssim"].append(ssim(filled[:, around, around], truth[:, around, around]))
        scores["seam_error"].append([seam_error(one, holes.known, piece.exemplar, seam) for one in filled])
    return {metric: np.array(values, dtype=np.float64) for metric, values in scores.items()}


SSIM_RADIUS = 5
"""Of the window of :func:`bench.metrics.ssim.ssim`: so many pixels around a hole make each of its pixels a middle."""


def _hole_columns(holes: Holes, scoring: EvalConfig) -> dict[str, _Column]:
    return {
        "psnr": _Column("psnr", protocol_id("psnr", "hole", side=holes.side), True, "dB"),
        "ssim": _Column("ssim", protocol_id("ssim", "hole", side=holes.side), True, low=-1.0, high=1.0),
        "seam_error": _Column("seam_error", protocol_id("seam_error", patch=scoring.seam, side=holes.side)),
    }


def _hole_rows(
    context: StageContext, scores: dict[str, Floats], names: list[str], variant: str, holes: Holes, scoring: EvalConfig
) -> list[Record]:
    columns = _hole_columns(holes, scoring)
    return [row for metric, column in columns.items() for row in _rows(context, column, scores[metric], names, variant)]


def _gain_rows(
    context: StageContext, scores: dict[str, dict[str, Floats]], names: list[str], holes: Holes, scoring: EvalConfig
) -> list[Record]:
    """What onion order gains on raster order, hole by hole: the same holes, so the interval is that of the
    differences."""
    records = []
    for window in holes.windows:
        pair = [
            scores.get(variant_id({"task": "fill", "order": order, "window": window})) for order in ("onion", "raster")
        ]
        if pair[0] is None or pair[1] is None:
            continue
        protocol = protocol_id("seam_gain", patch=scoring.seam, side=holes.side)
        gain = pair[1]["seam_error"] - pair[0]["seam_error"]
        records += _rows(
            context, _Column("seam_gain", protocol, True, low=-np.inf), gain, names, f"task=fill,window={window}"
        )
    return records


def _view(images: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """The top left parts, of one size."""
    side = min(min(image.shape[:2]) for image in images)
    return [image[:side, :side] for image in images]


def _gallery(samples: SampleSet, pieces: Mapping[str, Piece], beside: bool) -> dict[str, Any]:
    """A picture for each exemplar; ``beside``: the exemplars and other pieces of the photographs as well."""
    assert samples.images is not None and samples.prompts is not None
    each, names, columns = len(samples.images) // len(pieces), list(pieces), len(pieces)
    shown = [i * each for i in range(columns)]
    height, width = samples.images.shape[1:3]
    entry: dict[str, Any] = {
        "title": samples.variant.replace("window=", "Window ") if samples.variant else "Textures",
        "variant": samples.variant,
        "png": png_data_uri(grid(samples.images[shown], columns=columns), 256),
        "alt": f"Synthesised textures, one for each exemplar: {', '.join(names)}",
        "columns": columns,
        "captions": [samples.prompts[i] for i in shown],
    }
    if beside:
        for key, kind in (("source_png", "exemplar"), ("real_png", "held_out")):
            views = _view([getattr(piece, kind)[:height, :width] for piece in pieces.values()])
            entry[key] = png_data_uri(grid(stacked(views), columns=columns), 256)
    return entry


def _curves(operations: Mapping[str, list[list[float]]]) -> list[dict[str, Any]]:
    """Counted operations of an output pixel along each axis, and the line of proportional growth through the first
    point."""
    titles = {
        "output": ("Search of a pixel, by output", "side of the output"),
        "sample": ("Search of a pixel, by sample", "side of the square of candidates"),
        "window": ("Search of a pixel, by window", "side of the window"),
    }
    curves = []
    for axis, points in operations.items():
        (x0, y0), power = points[0], 0 if axis == "output" else 2
        title, x = titles[axis]
        expected = [[size, y0 * (size / x0) ** power] for size, _ in points]
        series = [{"name": "counted", "points": points}, {"name": "proportional", "points": expected}]
        curves.append({"title": title, "x": x, "y": "FLOP", "log_x": True, "log_y": True, "series": series})
    return curves
