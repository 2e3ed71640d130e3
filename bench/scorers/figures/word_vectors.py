"""Word vectors for the report: the scores beside the share of words known, nearest neighbours, a map of words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.settings import Checked, Count
from bench.capabilities import HasNote
from bench.results.extras import Figure, Note, Table
from bench.results.pictures import figure_png
from bench.scorers.word_tests import SIMILARITY
from bench.scoring import Output, Score, Subject, scorer

__all__ = [
    "MAP_WORDS",
    "WordFigureOptions",
    "label_heights",
    "principal_plane",
    "word_map",
    "word_vector_figures",
]

MAP_WORDS: Mapping[str, str] = {
    "countries": "germany france italy spain greece england russia china japan india egypt",
    "numbers": "two three four five six seven eight nine ten",
    "months": "january february march april may june july august september october november december",
    "sciences": "physics chemistry biology mathematics philosophy astronomy psychology",
    "elements": "sodium potassium lithium hydrogen oxygen carbon calcium",
    "directions": "north south east west northern southern eastern western",
}
"""Groups of words that the map shows, as far as they are known."""
_WORDS = ("king", "physics", "war", "france", "water", "language", "three", "green", "said", "democratic")


@dataclass(frozen=True)
class WordFigureOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        neighbours: words whose nearest neighbours the report shows.
        nearest: how many of them.
    """

    neighbours: tuple[str, ...] = _WORDS
    nearest: Count = 6


@scorer("WordEmbedding", options=WordFigureOptions, model=True)
def word_vector_figures(subject: Subject, options: WordFigureOptions) -> Iterator[Output]:
    """Scores and coverage of the tests, neighbours of chosen words, the map."""
    table = subject.system.vectors
    yield _summary(subject.scores)
    yield _neighbours(table, options)
    if (figure := word_map(table.index, table.vectors)) is not None:
        yield figure
    if isinstance(subject.system, HasNote):
        yield Note(subject.system.note)


def _summary(scores: Sequence[Score]) -> Table:
    """A line for each test that was measured: items, known ones, the score, and that of random vectors."""
    rows: list[tuple[Any, ...]] = []
    tests = {name: (title, f"{name}_spearman", 3) for name, title in SIMILARITY.items()}
    for name, (title, metric, digits) in (tests | {"google": ("Analogies", "analogy_accuracy", 4)}).items():
        coverage = [s for s in scores if s.metric == "word_coverage" and s.protocol.split("/")[1] == name]
        found = {s.variant: s for s in scores if s.metric == metric and not s.slice}
        for share in coverage:
            known = found[""].n if "" in found else 0
            values = (found[variant].value if variant in found else None for variant in ("", "vectors=random"))
            shown = (None if value is None else round(value, digits) for value in values)
            rows.append((title, share.n, known, round(100 * known / share.n, 1), *shown))
    return Table(
        "Scores and coverage",
        ("test", "items", "known", "known, %", "score", "random vectors"),
        tuple(rows),
        "Spearman's correlation with people over the pairs known, and the share of known questions answered right. "
        "SimLex chose nothing.",
    )


def _neighbours(table: Any, options: WordFigureOptions) -> Table:
    rows = []
    for word in options.neighbours:
        near = table.neighbours(word, options.nearest) if word in table else None
        said = "not in the vocabulary" if near is None else ", ".join(f"{w} {cosine:.2f}" for w, cosine in near)
        rows.append((word, said))
    return Table("Nearest neighbours", ("word", "neighbours and their cosines"), tuple(rows))


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
) -> Figure | None:
    """The map, or None if fewer than four of the words are known.

    Args:
        index: word -> row.
        vectors: ``(V, D)``; scaled to length one before the projection.
        groups: words by group, apart by spaces; a group has a colour.
    """
    from matplotlib.figure import Figure as Canvas

    known = {name: [word for word in words.split() if word in index] for name, words in groups.items()}
    words = [word for group in known.values() for word in group]
    if len(words) < 4:
        return None
    rows = np.asarray(vectors, dtype=np.float64)[[index[word] for word in words]]
    places, share = principal_plane(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
    canvas = Canvas(figsize=(7.2, 5.2), dpi=160, layout="constrained")
    axes = canvas.subplots()
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
    return Figure(
        "Map of words",
        figure_png(canvas),
        f"{len(words)} words on the plane of their first two principal components, by group. {groups_named}.",
        f"The plane holds {100 * share:.0f} % of the variance of these words' vectors: what lies close in it need not "
        "be close.",
    )
