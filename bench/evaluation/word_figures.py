"""Pictures of word vectors for the report: a map of chosen words, and scores against shifted PMI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.results.pictures import figure_data_uri

__all__ = ["MAP_WORDS", "label_heights", "pmi_figure", "principal_plane", "word_map"]

MAP_WORDS: Mapping[str, str] = {
    "countries": "germany france italy spain greece england russia china japan india egypt",
    "numbers": "two three four five six seven eight nine ten",
    "months": "january february march april may june july august september october november december",
    "sciences": "physics chemistry biology mathematics philosophy astronomy psychology",
    "elements": "sodium potassium lithium hydrogen oxygen carbon calcium",
    "directions": "north south east west northern southern eastern western",
}
"""Groups of words that the map shows, as far as they are known."""


def principal_plane(vectors: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
    """Coordinates ``(N, 2)`` of the rows on their first two principal components, and the share of the variance that
    these hold.

    Signs are fixed (the largest loading of each component is positive), so that the same vectors give the same picture.
    """
    centred = np.asarray(vectors, dtype=np.float64)
    centred = centred - centred.mean(0)
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    plane = directions[:2]
    signs = np.sign(plane[np.arange(len(plane)), np.abs(plane).argmax(1)])
    total = float((lengths**2).sum())
    return centred @ (plane * signs[:, None]).T, float((lengths[:2] ** 2).sum()) / total if total else 0.0


def label_heights(places: NDArray[np.float64], words: Sequence[str]) -> NDArray[np.float64]:
    """Where to write each word so that none covers another: at its point, or as little above it as there is room,
    lowest word first.

    A letter is taken to be 1 % of the map's width, a line 3 % of its height.
    """
    span = np.maximum(np.ptp(places, axis=0), 1e-12)
    letter, line = 0.0115 * span[0], 0.029 * span[1]
    heights = places[:, 1].copy()
    written: list[int] = []
    for i in np.argsort(places[:, 1], kind="stable").tolist():
        beside = [
            j
            for j in written
            if places[i, 0] < places[j, 0] + letter * len(words[j])
            and places[j, 0] < places[i, 0] + letter * len(words[i])
        ]
        for taken in sorted(heights[beside]):
            if abs(heights[i] - taken) < line:
                heights[i] = taken + line
        written.append(i)
    return heights


def word_map(
    index: Mapping[str, int], vectors: NDArray[np.floating], groups: Mapping[str, str] = MAP_WORDS
) -> dict[str, Any] | None:
    """The map as an item of ``figures``, or None if fewer than four of the words are known.

    Args:
        index: word -> row.
        vectors: ``(V, D)``; scaled to length one before the projection.
        groups: words by group, apart by spaces; a group has a colour.
    """
    from matplotlib.figure import Figure

    known = {name: [word for word in words.split() if word in index] for name, words in groups.items()}
    words = [word for group in known.values() for word in group]
    if len(words) < 4:
        return None
    rows = np.asarray(vectors, dtype=np.float64)[[index[word] for word in words]]
    places, share = principal_plane(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
    figure = Figure(figsize=(7.2, 5.2), dpi=160, layout="constrained")
    axes = figure.subplots()
    heights = label_heights(places, words)
    start = 0
    for number, (name, group) in enumerate(known.items()):
        part, height = places[start : start + len(group)], heights[start : start + len(group)]
        start += len(group)
        if not group:
            continue
        axes.scatter(part[:, 0], part[:, 1], s=14, color=f"C{number}", label=name)
        axes.vlines(part[:, 0], part[:, 1], height, color=f"C{number}", linewidth=0.5, alpha=0.6)
        for x, y, word in zip(part[:, 0], height, group, strict=True):
            axes.annotate(word, (x, y), (3, 3), textcoords="offset points", fontsize=7.5, color=f"C{number}")
    axes.legend(fontsize=8, frameon=False, loc="best")
    axes.margins(x=0.14, y=0.1)
    axes.set(xlabel="first principal component", ylabel="second")
    axes.tick_params(labelsize=7)
    groups_named = "; ".join(f"{name}: {', '.join(group)}" for name, group in known.items() if group)
    return {
        "title": "Map of words",
        "png": figure_data_uri(figure),
        "alt": f"{len(words)} words on the plane of their first two principal components, by group. {groups_named}.",
        "note": f"The plane holds {100 * share:.0f} % of the variance of these words' vectors: what lies close in "
        "it need not be close.",
    }


def pmi_figure(pmi: NDArray[np.float64], scores: NDArray[np.float64]) -> dict[str, Any]:
    """Density of pairs of words over shifted PMI and score, an item of ``figures``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.2), dpi=160, layout="constrained")
    axes = figure.subplots()
    low, high = float(np.quantile(pmi, 0.001)), float(np.quantile(pmi, 0.999))
    axes.hexbin(pmi, scores, gridsize=45, bins="log", mincnt=1, cmap="viridis", linewidths=0.1)
    axes.plot([low, high], [low, high], color="C3", linewidth=1)
    axes.set(xlabel="PMI - log k (nats)", ylabel="v . c", xlim=(low, high))
    axes.tick_params(labelsize=8)
    return {
        "title": "What negative sampling learns",
        "png": figure_data_uri(figure),
        "alt": f"Scores v.c of {len(pmi):,} pairs of words against their PMI minus log k, with the line of equality.",
        "note": "Each pair meets often enough for its PMI to be known; the line is equality (Levy and Goldberg 2014).",
    }
