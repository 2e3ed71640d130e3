"""Films and figures of video synthesisers for the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.base.files import SampleSet
from bench.capabilities import TransitionModel
from bench.results.extras import Curve, Figure, Film, Line, Note, Table
from bench.results.pictures import figure_png, png
from bench.scorers.video.clips import clips, config_of, sets_of, tables
from bench.scorers.video.transitions import ConvergenceOptions, sweeps, transitions
from bench.scoring import Output, Subject, scorer

__all__ = ["matrix_figure", "video_figures"]

Floats = NDArray[np.float64]
Panel = tuple[str, Floats]


@scorer("VideoSynthesizer", options=ConvergenceOptions)
def video_figures(subject: Subject, options: ConvergenceOptions) -> Iterator[Output]:
    """Films; of systems with transition probabilities also matrices, loops and how the future costs converge."""
    config, model = config_of(subject), transitions(subject)
    for samples in sets_of(subject, "films"):
        for k, film in enumerate(samples.info["films"]):
            content, poster = samples.extra[f"mp4_{k}"].tobytes(), png(samples.extra[f"poster_{k}"], 256)
            yield Film(film["title"], content, poster, film["alt"], film["name"], film["note"], film["loop"])
    for samples in sets_of(subject, "loops"):
        yield _loop_table(subject, samples)
    if model is not None:
        names = [name for name in config.clips if name in ("pendulum", "carphone_pristine")] or config.clips[:1]
        for name in names:
            yield from _matrices(model, name, tables(subject)[name])
        yield Note(
            "Video textures: costs are in mean distances between two frames of the clip; the pendulum's swing is "
            "sampled so that each frame has one alike on the way back."
        )
    lines = []
    for alpha in options.alphas:
        changes, unit = sweeps(subject, alpha)[config.clips[0]]
        points = [(i + 1, change / unit) for i, change in enumerate(changes) if change > 0]
        lines.append(Line(f"alpha = {alpha}", tuple(points[:: max(1, len(changes) // 60)])))
    if lines:
        title = "Future costs: what a sweep still changes"
        yield Curve(title, "sweeps", "largest change", tuple(lines), log_y=True)


def matrix_figure(panels: Sequence[Panel], colours: str, label: str, x: str, y: str) -> bytes:
    """Matrices side by side with one colour scale each, as a PNG file; values that are not finite stay grey."""
    from matplotlib.figure import Figure as Canvas

    width = 3.5 * len(panels)
    figure = Canvas(figsize=(width, 3.2), dpi=160, facecolor="white")
    figure.subplots_adjust(left=0.55 / width, right=1 - 0.6 / width, bottom=0.14, top=0.9, wspace=0.22)
    for place, (title, values) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), place + 1)
        axes.set_facecolor("#d0d0d0")
        shown = np.ma.masked_invalid(values)
        top = float(np.quantile(shown.compressed(), 0.995)) if shown.count() else 1.0
        image = axes.imshow(shown, cmap=colours, interpolation="nearest", vmin=0.0, vmax=max(top, 1e-12))
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(x, fontsize=9)
        axes.tick_params(labelsize=8)
        if place == 0:
            axes.set_ylabel(y, fontsize=9)
        bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03)
        bar.ax.tick_params(labelsize=8)
        if place == len(panels) - 1:
            bar.set_label(label, fontsize=9)
    return figure_png(figure)


def _matrices(model: TransitionModel, name: str, table: Floats) -> Iterator[Figure]:
    """Distances, costs before and after the filter, with and without future cost, and the probabilities that follow
    from each."""
    plain, filtered = model.texture(name, taps=1, alpha=0.0), model.texture(name, alpha=0.0)
    ahead = model.texture(name)
    p, title, axes = ahead.config.p, name.replace("_", " "), ("to frame j", "from frame i")
    costs = [
        ("distances of all frames", table / ahead.scale),
        ("cost of a jump, single frames", plain.unpruned / plain.scale),
        (f"cost of a jump, {ahead.config.taps} taps", filtered.unpruned / filtered.scale),
    ]
    yield Figure(
        f"Distances and costs: {title}",
        matrix_figure(costs, "magma", "mean distances", *axes),
        f"Three matrices of {title}: distances of all pairs of frames; costs of jumps, whose stripes cross for single "
        "frames; filtered costs, which are high in the stripes against the direction of time",
        "A swing has stripes in both directions: frames are alike on the way back as well. The filter raises the cost "
        "of those.",
    )
    lowest = ahead.future.min(axis=1, keepdims=True)
    following = np.where(np.isfinite(ahead.future), ahead.future - np.where(np.isfinite(lowest), lowest, 0.0), np.nan)
    future = [
        ("C, kept jumps", ahead.costs / ahead.scale),
        ("F, above the best of its row", following / ahead.scale**p),
    ]
    yield Figure(
        f"Future costs: {title}",
        matrix_figure(future, "magma", f"mean distances (right: to the power {p:g})", *axes),
        f"Two matrices of {title}: the costs of the jumps that are kept, and their costs with all that follows",
        "Grey: no jump. With the future cost, jumps near the end that lead on are cheap, and playing into the end is "
        "closed.",
    )
    chances = [
        ("P, single frames", np.sqrt(plain.chances)),
        ("P, filter, no future cost", np.sqrt(filtered.chances)),
        ("P, filter and future cost", np.sqrt(ahead.chances)),
    ]
    yield Figure(
        f"Probabilities: {title}",
        matrix_figure(chances, "viridis", "square root of P", *axes),
        f"Three transition matrices of {title}: for single frames, with the filter, and with the filter and the future "
        "cost",
        "Playing on lies just above the diagonal. Only with future cost do the last rows send the play back.",
    )


def _loop_table(subject: Subject, samples: SampleSet) -> Table:
    rows = []
    for name in config_of(subject).clips:
        for length, costs in zip(samples.info["lengths"], samples.extra[f"costs_{name}"], strict=True):
            cells = [f"{value:.3f}" if np.isfinite(value) else "none" for value in costs]
            rows.append((name, f"{length} ({length / clips(subject)[name].fps:.1f} s)", *cells))
    return Table(
        "Loops of a given length",
        ("clip", "frames", "table", "greedy", "one jump"),
        tuple(rows),
        "sum of the jump costs of a round, in mean distances between two frames",
    )
