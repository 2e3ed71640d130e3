"""Textures for the report: what was grown, filled and extrapolated, beside the exemplars; counted operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bench.base.files import SampleSet
from bench.contracts import Images
from bench.families.by_example.textures.sampling import Holes, Piece, sample_config, stacked, tiles
from bench.results.extras import Curve, Figure, Gallery, Line, Note
from bench.results.pictures import grid, png
from bench.results.records import parse_variant
from bench.scorers.figures.labelled_grid import labelled_grid
from bench.scorers.texture_structure import pieces, texture_sets
from bench.scoring import NoOptions, Output, Subject, scorer

__all__ = ["texture_figures"]


@scorer("Synthesizer")
def texture_figures(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """Galleries, pictures side by side, and the cost of a pixel as sizes grow."""
    cut, grown, filled = pieces(subject), texture_sets(subject, "grow"), texture_sets(subject, "fill")
    for number, samples in enumerate(grown):
        yield _gallery(samples, cut, beside=number == 0)
    if len(grown) > 1:
        yield _windows(grown, cut)
    holes = sample_config(subject.context)[1]
    if holes is not None:
        yield _holes(filled, cut, holes, subject.name)
    for samples in texture_sets(subject, "extrapolate"):
        yield _outward(samples, cut)
    for samples in grown:
        yield from _growth(samples.info.get("operations", {}))
    yield Note(
        "Textures: a copy is as near to unseen real texture as real texture is, so read the texture distance beside "
        "the copied shares. Structure error is won by copying, and lowered by blur and flat colour. The ceiling row is "
        "another piece of the same photograph, the floor has the exemplar's histogram and nothing else. PSNR of a "
        "filled hole prefers a blur to any texture that differs from what was there: read it beside SSIM and the seam "
        "error."
    )


def _gallery(samples: SampleSet, cut: Mapping[str, Piece], beside: bool) -> Gallery:
    """A picture for each exemplar; ``beside``: the exemplars and other pieces of the photographs as well."""
    assert samples.images is not None
    columns, each = len(cut), len(samples.images) // len(cut)
    height, width = samples.images.shape[1:3]

    others = [piece.held_out[:height, :width] for piece in cut.values()]

    def row(images: Sequence[Images]) -> bytes:
        """The top left parts, of one size."""
        side = min(min(image.shape[:2]) for image in images)
        return png(grid(stacked([image[:side, :side] for image in images]), columns=columns), 256)

    return Gallery(
        title=samples.variant.replace("window=", "Window ") if samples.variant else "Textures",
        variant=samples.variant,
        png=png(grid(samples.images[::each][:columns], columns=columns), 256),
        alt=f"Synthesised textures, one for each exemplar: {', '.join(cut)}",
        columns=columns,
        captions=tuple(cut),
        source_png=row([piece.exemplar[:height, :width] for piece in cut.values()]) if beside else None,
        real_png=row(others) if beside and all(image.size for image in others) else None,
    )


def _windows(sets: Sequence[SampleSet], cut: Mapping[str, Piece]) -> Figure:
    """A row for each exemplar: itself, then one picture of every window."""
    shown = [item.images[:: len(item.images) // len(cut)] for item in sets if item.images is not None]
    rows = [[piece.exemplar, *(images[i] for images in shown)] for i, piece in enumerate(cut.values())]
    windows = [item.variant.removeprefix("window=") for item in sets]
    return Figure(
        "Window sizes side by side",
        png(labelled_grid(rows, ["exemplar", *(f"window {window}" for window in windows)], list(cut), 2), 256, False),
        f"Rows: {', '.join(cut)}. Columns: the exemplar, then pictures grown with windows of {', '.join(windows)} "
        "pixels",
        "Too small a window loses the structure, a large one keeps it and in the end copies.",
    )


def _holes(sets: Sequence[SampleSet], cut: Mapping[str, Piece], holes: Holes, where: str) -> Figure:
    """A row for each exemplar: the truth, the hole, then the first hole filled in every way."""
    rows = []
    for i, piece in enumerate(cut.values()):
        truth = tiles(piece, holes, where)[0]
        broken = np.where(holes.known[:, :, None], truth, 255).astype(np.uint8)
        rows.append([truth, broken, *(item.images[i * holes.count] for item in sets if item.images is not None)])
    settings = [parse_variant(item.variant) for item in sets]
    ways = [", ".join(value for key, value in each.items() if key != "task") or "filled" for each in settings]
    return Figure(
        "Holes in unseen pieces, filled from the exemplar",
        png(labelled_grid(rows, ["truth", "hole", *ways], list(cut), 2), 256, False),
        f"Rows: {', '.join(cut)}. Columns: what was there, the hole, and how it was filled: {'; '.join(ways)}",
        "Each hole lies in a piece of the photograph that the exemplar does not overlap; the margin around it is real.",
    )


def _outward(samples: SampleSet, cut: Mapping[str, Piece], columns: int = 3) -> Figure:
    """Exemplars grown outwards."""
    assert samples.images is not None
    empty = -len(samples.images) % columns
    cells = [*samples.images, *[np.full_like(samples.images[0], 255)] * empty]
    titles, starts = [*cut, *[""] * empty], range(0, len(cells), columns)
    table = labelled_grid([cells[i : i + columns] for i in starts], [titles[i : i + columns] for i in starts], scale=2)
    return Figure(
        "Grown outwards",
        png(table, 256, False),
        f"Extrapolated exemplars: {', '.join(cut)}",
        f"The middle of each is the exemplar; everything around it grew, window {samples.variant.rpartition('=')[2]}.",
    )


def _growth(operations: Mapping[str, Sequence[Sequence[float]]]) -> Iterator[Curve]:
    """Counted operations of an output pixel along each axis, and proportional growth through the first point."""
    labels = {
        "output": "side of the output",
        "sample": "side of the square of candidates",
        "window": "side of the window",
    }
    for axis, points in operations.items():
        (x0, y0), power = points[0], 0 if axis == "output" else 2
        lines = (
            Line("counted", tuple((x, y) for x, y in points)),
            Line("proportional", tuple((x, y0 * (x / x0) ** power) for x, _ in points)),
        )
        yield Curve(f"Search of a pixel, by {axis}", labels[axis], "FLOP", lines, log_x=True, log_y=True)
