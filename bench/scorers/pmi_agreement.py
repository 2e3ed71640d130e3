"""How near the scores v.c of skip-gram with negative sampling are to shifted PMI (Levy and Goldberg 2014)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.base.settings import Checked, Positive
from bench.capabilities import PairCounts, PairModel
from bench.contracts import Floats, Ints
from bench.metrics.protocols import protocol_id
from bench.metrics.shifted_pmi import ShiftedPMI, shifted_pmi
from bench.metrics.word_similarity import spearman
from bench.results.extras import Figure, Note
from bench.results.pictures import figure_png
from bench.scorers.texts import corpus
from bench.scoring import Output, Score, Subject, scorer
from bench.stats.intervals import Interval, jackknife_subsets_ci

__all__ = ["PmiOptions", "pmi_agreement", "pmi_figure", "scores_of"]


@dataclass(frozen=True)
class PmiOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        at_least: PMI is compared on pairs that meet at least so often in one pass over the text, in expectation.
    """

    at_least: Positive = 3.0


@scorer("WordEmbedding", options=PmiOptions, model=True)
def pmi_agreement(subject: Subject, options: PmiOptions) -> Iterator[Output]:
    """Rank correlation of scores and shifted PMI with either distribution of neighbours; intervals leave out groups of
    words. Nothing for an embedding that scores no pairs."""
    system, seed = subject.system, subject.derive("pmi")
    counts = system.pair_counts(corpus(subject)["train"], seed) if isinstance(system, PairModel) else None
    if counts is None:
        return
    found = shifted_pmi(counts.met, counts.noise, counts.negatives, options.at_least)
    if len(found.pairs) < 10:
        yield Note(f"Fewer than ten pairs of words meet {options.at_least:g} times in a pass: PMI is not compared.")
        return
    scores = scores_of(system.vectors.vectors, counts, found)
    protocol = protocol_id("pmi_spearman", "train", negatives=counts.negatives, at_least=f"{options.at_least:g}")
    for variant, values in (("noise=smoothed", found.smoothed), ("noise=plain", found.plain)):
        interval = _interval(found.pairs, values, scores, subject.derive("pmi", variant))
        value = spearman(values, scores)
        yield Score("pmi_spearman", value, protocol, interval, len(found.pairs), variant, split="train")
    yield pmi_figure(found.smoothed, scores)
    slope, offset = np.polyfit(found.smoothed, scores, 1)
    yield Note(
        f"Over {len(found.pairs):,} pairs that meet at least {options.at_least:g} times in a pass, v.c = {slope:.2f} "
        f"(PMI - log k) {'+' if offset >= 0 else '-'} {abs(offset):.2f} by least squares; with vectors of unlimited "
        "size it would be PMI - log k itself."
    )


def scores_of(vectors: NDArray[np.float32], counts: PairCounts, found: ShiftedPMI) -> Floats:
    """``(P,)`` v.c of the pairs of which PMI is known."""
    w, c = found.pairs.T
    return np.asarray((vectors[w].astype(np.float64) * counts.outputs[c]).sum(1))


def _interval(pairs: Ints, values: Floats, scores: Floats, seed: int) -> Interval | None:
    """Leaves out groups of words; None for fewer than 40 words."""
    _, groups = np.unique(pairs[:, 0], return_inverse=True)
    count = int(groups.max()) + 1

    def correlation(words: Ints) -> float:
        part = np.isin(groups, words)
        return spearman(values[part], scores[part]) if part.sum() >= 3 else 0.0

    return jackknife_subsets_ci(correlation, count, seed) if count >= 40 else None


def pmi_figure(values: Floats, scores: Floats) -> Figure:
    """Density of pairs of words over shifted PMI and score."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(5.2, 4.2), dpi=160, layout="constrained")
    axes = canvas.subplots()
    low, high = float(np.quantile(values, 0.001)), float(np.quantile(values, 0.999))
    axes.hexbin(values, scores, gridsize=45, bins="log", mincnt=1, cmap="viridis", linewidths=0.1)
    axes.plot([low, high], [low, high], color="C3", linewidth=1)
    axes.set(xlabel="PMI - log k (nats)", ylabel="v . c", xlim=(low, high))
    axes.tick_params(labelsize=8)
    return Figure(
        "What negative sampling learns",
        figure_png(canvas),
        f"Scores v.c of {len(values):,} pairs of words against their PMI minus log k, with the line of equality.",
        "Each pair meets often enough for its PMI to be known; the line is equality (Levy and Goldberg 2014).",
    )
