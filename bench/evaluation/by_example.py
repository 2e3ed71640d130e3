"""Textures: how near what was drawn comes to its exemplar without copying it.

Records carry the exemplar in ``slice``, and the mean over the exemplars has none; :mod:`bench.drawing.by_example` cuts the pieces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.drawing.by_example import DrawConfig, Piece, draw_config, hole_of, pieces_of, with_hole
from bench.evaluation.base import Evaluation, StageContext
from bench.files import SampleSet, read_image_samples
from bench.metrics.protocols import protocol_id
from bench.metrics.psnr import psnr
from bench.metrics.structure_error import copied_share, structure_error
from bench.registry import build_config
from bench.results.pictures import grid, png_data_uri
from bench.results.records import Record

__all__ = ["ScoreConfig", "evaluate", "histogram_distance", "mean_run", "stratified_interval"]


@dataclass(frozen=True)
class ScoreConfig:
    """Keys under ``evaluate:``.

    Attributes:
        patches: sides of the patches of the structure error, in pixels.
        copied: side of the patch that must stand verbatim in the exemplar to count as copied.
    """

    patches: tuple[int, ...] = (5, 9, 17)
    copied: int = 15


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
    drawing = draw_config(context)
    pieces = pieces_of(context, drawing)
    where = f"{context.family}.{context.name}.evaluate"
    scoring: ScoreConfig = build_config(ScoreConfig, context.block.get("evaluate") or {}, where)
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
        whole = with_hole(piece, side, context.name)
        truth = whole[hole_of(whole.shape, side)]
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
