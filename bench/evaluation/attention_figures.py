"""Attention maps drawn: which tokens look at which (the explicit weights of the network, one panel for each layer and
head)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.results.pictures import figure_data_uri

__all__ = ["LINE", "attention_figure"]

LINE = "To be, or not to be, that is the question"
"""The line that every map is drawn for."""


def attention_figure(tokens: Sequence[str], maps: NDArray[np.float32], title: str) -> dict[str, Any]:
    """A figure for the report.

    Args:
        tokens: T strings.
        maps: ``(layers, heads, T, T)``, row t is where token t looks.
        title: heading of the figure.
    """
    from matplotlib.figure import Figure

    layers, heads, length, _ = maps.shape
    columns = min(layers * heads, 4)
    rows = -(-layers * heads // columns)
    figure = Figure(figsize=(3.4 * columns, 3.5 * rows), dpi=110, layout="constrained", facecolor="white")
    labels = [token.replace("\n", "\u21b5").replace(" ", "\u00b7") for token in tokens]
    size = 7 if length <= 30 else 5
    for i in range(rows * columns):
        axes = figure.add_subplot(rows, columns, i + 1)
        if i >= layers * heads:
            axes.axis("off")
            continue
        layer, head = divmod(i, heads)
        # The square root shows weak attention too: a map over 40 tokens is pale otherwise.
        axes.imshow(np.sqrt(maps[layer, head]), cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(f"layer {layer + 1}, head {head + 1}", fontsize=9)
        axes.set_xticks(range(length), labels, fontsize=size, family="monospace")
        axes.set_yticks(range(length), labels, fontsize=size, family="monospace")
        axes.tick_params(length=0, pad=1)
    png = figure_data_uri(figure)
    note = (
        "Row: the token that looks; column: what it looks at. Darkness is the square root of the weight; each "
        "row sums to one."
    )
    return {
        "title": title,
        "png": png,
        "alt": f"Attention maps, {layers} layers of {heads} heads, over: {''.join(tokens)}",
        "note": note,
    }
