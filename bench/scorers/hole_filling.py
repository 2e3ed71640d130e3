"""How well a texture synthesiser fills holes in pieces that it has not seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from bench.base.files import SampleSet
from bench.base.settings import Checked, Range
from bench.config.variants import variant_id
from bench.families.by_example.textures.sampling import Holes, sample_config, tiles
from bench.metrics.protocols import protocol_id
from bench.metrics.psnr import psnr
from bench.metrics.seam_error import seam_error
from bench.metrics.ssim import ssim
from bench.scorers.strata import stratified_scores
from bench.scorers.texture_structure import pieces, texture_sets
from bench.scoring import Output, Subject, scorer

__all__ = ["HoleOptions", "hole_filling"]

SSIM_RADIUS = 5
"""Of the window of :func:`bench.metrics.ssim.ssim`: so many pixels around a hole make each of its pixels a middle."""
Table = dict[str, NDArray[np.float64]]
"""Exemplar -> a value for each of its holes."""


@dataclass(frozen=True)
class HoleOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        seam: side of the patches across the border of a filled hole.
    """

    seam: Annotated[int, Range(low=2)] = 7


@scorer("Synthesizer", options=HoleOptions)
def hole_filling(subject: Subject, options: HoleOptions) -> Iterator[Output]:
    """PSNR and SSIM of the hole, seam error, and what onion order gains on raster order."""
    holes = sample_config(subject.context)[1]
    if holes is None:
        return
    found = {
        samples.variant: _measured(subject, samples, holes, options.seam) for samples in texture_sets(subject, "fill")
    }
    low = {"psnr": 0.0, "ssim": -1.0, "seam_error": 0.0}
    protocols = {
        "psnr": protocol_id("psnr", "hole", side=holes.side),
        "ssim": protocol_id("ssim", "hole", side=holes.side),
        "seam_error": protocol_id("seam_error", patch=options.seam, side=holes.side),
    }
    for variant, tables in found.items():
        for metric, table in tables.items():
            high = 1.0 if metric == "ssim" else np.inf
            yield from stratified_scores(metric, protocols[metric], table, variant, low[metric], high)
    # Both orders fill the same holes, so the interval of the gain is that of the differences, hole by hole.
    protocol = protocol_id("seam_gain", patch=options.seam, side=holes.side)
    for window in holes.windows:
        onion, raster = (
            found.get(variant_id({"task": "fill", "order": order, "window": window})) for order in ("onion", "raster")
        )
        if onion is not None and raster is not None:
            gain = {name: raster["seam_error"][name] - onion["seam_error"][name] for name in pieces(subject)}
            yield from stratified_scores("seam_gain", protocol, gain, f"task=fill,window={window}", -np.inf)


def _measured(subject: Subject, samples: SampleSet, holes: Holes, seam: int) -> dict[str, Table]:
    """PSNR of the hole, SSIM where the window's middle lies in it, seam error."""
    assert samples.images is not None
    inside = slice(holes.margin, holes.margin + holes.side)
    around = slice(holes.margin - SSIM_RADIUS, holes.margin + holes.side + SSIM_RADIUS)
    scores: dict[str, dict[str, Any]] = {"psnr": {}, "ssim": {}, "seam_error": {}}
    for i, (name, piece) in enumerate(pieces(subject).items()):
        truth = tiles(piece, holes, subject.name)
        filled = samples.images[i * holes.count : (i + 1) * holes.count, :, :, : truth.shape[3]]
        scores["psnr"][name] = psnr(filled[:, inside, inside], truth[:, inside, inside])
        scores["ssim"][name] = ssim(filled[:, around, around], truth[:, around, around])
        scores["seam_error"][name] = np.array([seam_error(one, holes.known, piece.exemplar, seam) for one in filled])
    return scores
