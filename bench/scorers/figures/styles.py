"""Style transfer for the report: pictures by ratio, depth and colour, and curves of what they were measured to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.base.files import SampleSet
from bench.base.settings import Checked, Count
from bench.families.style_transfer.sampling import Pair, sample_config
from bench.families.style_transfer.style_losses import StyleConfig
from bench.results.extras import Curve, Figure, Gallery, Line, Note, Strip
from bench.results.pictures import grid, png
from bench.results.records import parse_variant
from bench.scorers.figures.labelled_grid import labelled_grid
from bench.scorers.style_losses import style_pairs
from bench.scoring import Output, Score, Subject, scorer

__all__ = ["StyleFigureOptions", "style_figures"]

_DENSITY = 0.7
"""Small pictures are shown larger than they are."""
_COLOUR = "Keeping the colours of the content"


@dataclass(frozen=True)
class StyleFigureOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        rows: pairs shown in the tables of pictures.
    """

    rows: Count = 3


@scorer("Styler", options=StyleFigureOptions)
def style_figures(subject: Subject, options: StyleFigureOptions) -> Iterator[Output]:
    """Tables of pictures, a gallery at the generator's own ratio, a strip of its steps, curves of the scores."""
    pairs, sets = style_pairs(subject), subject.samples
    network = str(subject.block["network"])
    yield Note(
        f"Losses are seen by {network}, whatever network made the picture; it is also the one that the generator "
        "itself lowers them for, so they say how well it did what it was asked, not how well people like it."
    )
    own = f"{float((subject.block.get('model') or {}).get('ratio', StyleConfig.ratio)):g}"
    for samples in sets:
        if samples.variant == f"ratio={own}":
            yield _gallery(samples, pairs)
    if "large" in sets[0].extra:
        large = sets[0].extra["large"]
        table = labelled_grid([list(large)], [name for name, _, _ in pairs[: len(large)]])
        yield Figure("Larger", png(table, 256), "Two larger pictures in a style", density=_DENSITY)
    for title, members in _sweeps(sets, own).items():
        yield _figure(title, members, pairs[: options.rows])
    if "frames" in sets[0].extra:
        frames, name = sets[0].extra["frames"], pairs[0][0]
        captions = tuple(f"step {step}" for step in sorted(set(sample_config(subject.context).frames)))
        strip = png(grid(frames, columns=len(frames)), 256)
        yield Strip(f"Step by step: {name}", strip, f"{len(frames)} stages on the way to {name}", captions=captions)
    yield from _curves(subject.scores)


def _sweeps(sets: Sequence[SampleSet], own: str) -> dict[str, list[tuple[str, SampleSet]]]:
    """Title of a table -> its columns: by ratio, by depth, by colour (beside the same ratio in the style's colours)."""
    found: dict[str, list[tuple[str, SampleSet]]] = {}
    for samples in sets:
        settings = parse_variant(samples.variant)
        if "depth" in settings:
            title = f"Deeper content layers, ratio {settings['style_ratio']}"
            if float(settings["style_ratio"]) == 0:
                title = "Reconstructed from one layer, deeper to the right"
            label = f"block {settings['depth']}" if settings["depth"] != "0" else "stem"
            found.setdefault(title, []).append((label, samples))
        elif "ratio" in settings:
            label = f"ratio {float(settings['ratio']):,g}"
            found.setdefault("More style to the right", []).append((label, samples))
            if settings["ratio"] == own:
                found.setdefault(_COLOUR, []).append(("style's", samples))
        elif "colour" in settings:
            found.setdefault(_COLOUR, []).append((settings["colour"], samples))
    if len(found.get(_COLOUR, ())) == 1:
        del found[_COLOUR]
    return found


def _figure(title: str, members: Sequence[tuple[str, SampleSet]], pairs: Sequence[Pair]) -> Figure:
    """A row for each pair: content, style, then what was made of them."""
    made = [samples.images for _, samples in members if samples.images is not None]
    rows = [[content, style, *(images[i] for images in made)] for i, (_, content, style) in enumerate(pairs)]
    sheet = labelled_grid(rows, ["content", "style", *(label for label, _ in members)])
    return Figure(title, png(sheet, 256), f"{title}: {', '.join(name for name, _, _ in pairs)}", density=_DENSITY)


def _gallery(samples: SampleSet, pairs: Sequence[Pair]) -> Gallery:
    """Every pair at the generator's own ratio; contents over styles as what it was made from."""
    assert samples.images is not None
    names = tuple(name for name, _, _ in pairs)
    given = np.stack([content for _, content, _ in pairs] + [style for _, _, style in pairs])
    return Gallery(
        title=samples.variant.replace("=", " "),
        variant=samples.variant,
        png=png(grid(samples.images, columns=len(pairs)), 256),
        alt=f"Pictures in a style: {', '.join(names)}",
        columns=len(pairs),
        captions=names,
        source_png=png(grid(given, columns=len(pairs)), 256),
    )


def _curves(scores: Sequence[Score]) -> Iterator[Curve]:
    """Both losses by ratio, and kept detail by depth."""
    ratios: dict[str, list[tuple[float, float]]] = {}
    depths: dict[str, list[tuple[float, float]]] = {}
    for score in scores:
        settings = parse_variant(score.variant)
        if score.value is None:
            continue
        if set(settings) == {"ratio"} and score.metric in ("style_loss", "content_loss"):
            point = (float(settings["ratio"]), score.value)
            ratios.setdefault(score.metric.replace("_", " "), []).append(point)
        if "depth" in settings and score.metric == "ssim":
            alone = float(settings["style_ratio"]) == 0
            name = "content alone" if alone else f"with style, ratio {settings['style_ratio']}"
            depths.setdefault(name, []).append((float(settings["depth"]), score.value))
    if lines := _lines(ratios):
        yield Curve("Losses by style/content ratio", "ratio", "share", lines, log_x=True, log_y=True)
    if lines := _lines(depths):
        title = "Kept detail by depth of the content layer"
        yield Curve(title, "depth (block)", "SSIM of luminance to the content", lines)


def _lines(found: Mapping[str, list[tuple[float, float]]]) -> tuple[Line, ...]:
    """Those of more than one point."""
    return tuple(Line(name, tuple(sorted(points))) for name, points in found.items() if len(points) > 1)
