"""Films and figures of the video textures for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.files import SampleSet
from bench.data.video import Clip
from bench.data.video_files import mp4_data_uri
from bench.families.by_example.video.sampling import SampleConfig
from bench.families.by_example.video.video_textures import Texture, VideoTextures
from bench.results.pictures import figure_data_uri, png_data_uri

__all__ = ["extras", "matrix_figure"]

Panel = tuple[str, NDArray[np.float64]]


def matrix_figure(panels: Sequence[Panel], colours: str, label: str, x: str, y: str) -> str:
    """Matrices side by side with one colour scale each, as a PNG data URI; values that are not finite stay grey."""
    from matplotlib.figure import Figure

    width = 3.5 * len(panels)
    figure = Figure(figsize=(width, 3.2), dpi=160, facecolor="white")
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
    return figure_data_uri(figure)


def _figures(system: VideoTextures, name: str) -> list[dict[str, Any]]:
    """Distances, costs before and after the filter, with and without future cost, and the probabilities that follow
    from each."""
    table = system.tables[name]
    plain, filtered = system.texture(name, taps=1, alpha=0.0), system.texture(name, alpha=0.0)
    ahead = system.texture(name)

    def unit(texture: Texture, values: NDArray[np.float64], power: float = 1.0) -> NDArray[np.float64]:
        scaled: NDArray[np.float64] = values / texture.scale**power
        return scaled

    p = system.options.p
    costs = [
        ("distances of all frames", table / ahead.scale),
        ("cost of a jump, single frames", unit(plain, plain.unpruned)),
        (f"cost of a jump, {ahead.config.taps} taps", unit(filtered, filtered.unpruned)),
    ]
    lowest = ahead.future.min(axis=1, keepdims=True)
    following = np.where(np.isfinite(ahead.future), ahead.future - np.where(np.isfinite(lowest), lowest, 0.0), np.nan)
    future = [
        ("C, kept jumps", unit(ahead, ahead.costs)),
        ("F, above the best of its row", unit(ahead, following, p)),
    ]
    chances = [
        ("P, single frames", np.sqrt(plain.chances)),
        ("P, filter, no future cost", np.sqrt(filtered.chances)),
        ("P, filter and future cost", np.sqrt(ahead.chances)),
    ]
    to, from_ = "to frame j", "from frame i"
    title = name.replace("_", " ")
    return [
        {
            "title": f"Distances and costs: {title}",
            "png": matrix_figure(costs, "magma", "mean distances", to, from_),
            "alt": f"Three matrices of {title}: distances of all pairs of frames; costs of jumps, whose stripes "
            "cross for single frames; "
            "filtered costs, whose stripes against the direction of time are dear",
            "note": "A swing has stripes in both directions: frames are alike on the way back as well. The filter "
            "makes those dear.",
        },
        {
            "title": f"Future costs: {title}",
            "png": matrix_figure(future, "magma", f"mean distances (right: to the power {p:g})", to, from_),
            "alt": f"Two matrices of {title}: the costs of the jumps that are kept, and their costs with all that "
            "follows",
            "note": "Grey: no jump. With the future cost, jumps near the end that lead on are cheap, and playing "
            "into the end is closed.",
        },
        {
            "title": f"Probabilities: {title}",
            "png": matrix_figure(chances, "viridis", "square root of P", to, from_),
            "alt": f"Three transition matrices of {title}: for single frames, with the filter, and with the filter "
            "and the future cost",
            "note": "Playing on lies just above the diagonal. Only with future cost do the last rows send the play "
            "back.",
        },
    ]


def extras(
    system: VideoTextures,
    sets: Sequence[SampleSet],
    clips: Mapping[str, Clip],
    config: SampleConfig,
    curves: Mapping[float, list[float]],
) -> dict[str, Any]:
    """``videos``, ``figures``, ``curves``, ``tables`` and ``notes`` of an evaluation."""
    found: dict[str, Any] = {}
    for samples in sets:
        if samples.info["kind"] == "films":
            found["videos"] = [
                {
                    "title": film["title"],
                    "variant": film["name"],
                    "mp4": mp4_data_uri(samples.extra[f"mp4_{k}"].tobytes()),
                    "poster": png_data_uri(samples.extra[f"poster_{k}"], 256),
                    "alt": film["alt"],
                    "note": film["note"],
                    "loop": film["loop"],
                }
                for k, film in enumerate(samples.info["films"])
            ]
        if samples.info["kind"] == "loops":
            found["tables"] = [_loop_table(samples, config, clips)]
    if system.options.order == "markov":
        names = [name for name in config.clips if name in ("pendulum", "carphone_pristine")] or list(config.clips[:1])
        found["figures"] = [figure for name in names for figure in _figures(system, name)]
        found["notes"] = [
            "Video textures: costs are in mean distances between two frames of the clip; the pendulum's swing is "
            "sampled so that each "
            "frame has one alike on the way back."
        ]
    if curves:
        series = [
            {
                "name": f"alpha = {alpha}",
                "points": [[i + 1, change] for i, change in enumerate(changes) if change > 0][
                    :: max(1, len(changes) // 60)
                ],
            }
            for alpha, changes in curves.items()
        ]
        found["curves"] = [
            {
                "title": "Future costs: what a sweep still changes",
                "x": "sweeps",
                "y": "largest change",
                "log_x": False,
                "log_y": True,
                "series": series,
            }
        ]
    return found


def _loop_table(samples: SampleSet, config: SampleConfig, clips: Mapping[str, Clip]) -> dict[str, Any]:
    rows = []
    for name in config.clips:
        costs = samples.extra[f"costs_{name}"]
        for k, length in enumerate(config.loops):
            cells = [f"{value:.3f}" if np.isfinite(value) else "none" for value in costs[k]]
            rows.append([name, f"{length} ({length / clips[name].fps:.1f} s)", *cells])
    return {
        "title": "Loops of a given length",
        "columns": ["clip", "frames", "table", "greedy", "one jump"],
        "rows": rows,
        "note": "sum of the jump costs of a round, in mean distances between two frames",
    }
