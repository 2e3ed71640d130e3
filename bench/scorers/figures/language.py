"""Texts to read, and which tokens look at which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.base.files import SampleSet
from bench.capabilities import AttentionMaps
from bench.results.extras import Figure, Text
from bench.results.pictures import figure_png
from bench.scorers.texts import is_series, settings
from bench.scoring import NoOptions, Output, Subject, scorer

__all__ = ["LINE", "attention_figure", "language_figures"]

LINE = "To be, or not to be, that is the question"
"""The line that every attention map is drawn for."""
_SHOWN = 2
"""Texts of each variant, and attention maps of a block."""
_CHARACTERS = 320


@scorer("LanguageModel", "StateModel", model=True)
def language_figures(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """The first texts of each variant, cut; attention maps of the models that have them."""
    for item in subject.samples:
        yield from _texts(item)
    if not is_series(subject):
        yield from _attention(subject)


def _texts(item: SampleSet) -> Iterator[Text]:
    assert item.texts is not None and item.prompts is not None
    title = item.variant.replace("=", " ").replace("_", " ").replace(",", ", ")
    for prompt, text in list(zip(item.prompts, item.texts, strict=True))[:_SHOWN]:
        yield Text(text[:_CHARACTERS], title, item.variant, prompt)


def _attention(subject: Subject) -> Iterator[Figure]:
    """Attention maps, each model once; of several arms the first few that have them."""
    seen: list[object] = []
    for setting in settings(subject):
        model, _ = setting.model(subject.system)
        if not isinstance(model, AttentionMaps) or any(model is one for one in seen) or len(seen) >= _SHOWN:
            continue
        seen.append(model)
        arm = setting.options.get("arm")
        tokens, maps = model.attention_maps(LINE)
        yield attention_figure(tokens, maps, f"Who attends to whom{f': {arm}' if arm else ''}")


def attention_figure(tokens: Sequence[str], maps: NDArray[np.float32], title: str) -> Figure:
    """A panel for each layer and head.

    Args:
        tokens: T strings.
        maps: ``(layers, heads, T, T)``, row t is where token t looks.
        title: heading of the figure.
    """
    from matplotlib.figure import Figure as Canvas

    layers, heads, length, _ = maps.shape
    columns = min(layers * heads, 4)
    rows = -(-layers * heads // columns)
    canvas = Canvas(figsize=(3.4 * columns, 3.5 * rows), dpi=110, layout="constrained", facecolor="white")
    labels = [token.replace("\n", "\u21b5").replace(" ", "\u00b7") for token in tokens]
    size = 7 if length <= 30 else 5
    for i in range(rows * columns):
        axes = canvas.add_subplot(rows, columns, i + 1)
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
    return Figure(
        title,
        figure_png(canvas),
        f"Attention maps, {layers} layers of {heads} heads, over: {''.join(tokens)}",
        "Row: the token that looks; column: what it looks at. Darkness is the square root of the weight; each row "
        "sums to one.",
    )
