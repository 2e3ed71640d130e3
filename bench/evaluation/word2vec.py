"""Word vectors: WordSim-353 and SimLex-999, analogies by section, and how near the scores of skip-gram are to shifted
PMI.

Settings were chosen on WordSim; SimLex is reported and chose nothing. A test's items with an unknown word cannot be
answered: the share that can stands beside each score, and each score has a second form (variant ``unknown=...``) that
counts them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.context import Evaluation, StageContext
from bench.data.datasets import load, load_text
from bench.evaluation.word_figures import pmi_figure, word_map
from bench.families.text_encoders.word_pairs import Corpus, keep_probabilities, noise_distribution
from bench.metrics.analogy import analogy_hits, solve_analogies
from bench.metrics.protocols import protocol_id
from bench.metrics.word_similarity import pair_cosines, spearman, spearman_interval, spearman_pseudo_values
from bench.registry import build_config
from bench.results.records import Record
from bench.stats.intervals import jackknife_subsets_ci, wilson_interval

__all__ = ["EvalConfig", "Pairs", "evaluate", "pairs_of", "shifted_pmi"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_TITLES = {"wordsim": "WordSim-353", "simlex": "SimLex-999"}


@dataclass(frozen=True)
class EvalConfig:
    """Keys under ``evaluate:``.

    Attributes:
        neighbours: words whose nearest neighbours the report shows.
        nearest: how many of them.
        at_least: PMI is compared on pairs that meet at least so often in one pass over the text, in expectation.
    """

    neighbours: tuple[str, ...] = (
        "king",
        "physics",
        "war",
        "france",
        "water",
        "language",
        "three",
        "green",
        "said",
        "democratic",
    )
    nearest: int = 6
    at_least: float = 3.0

    def __post_init__(self) -> None:
        if self.nearest < 1:
            raise ValueError(f"nearest must be at least 1, not {self.nearest!r}")
        if not self.at_least > 0:
            raise ValueError(f"at_least must be above 0, not {self.at_least!r}")


@dataclass(frozen=True)
class Pairs:
    """A similarity test asked of some vectors.

    Attributes:
        rows: ``(P, 2)`` rows of the pairs of which both words are known.
        known: ``(N,)`` which pairs of the test these are.
        people: ``(N,)`` similarity that people gave.
    """

    rows: Ints
    known: NDArray[np.bool_]
    people: Floats

    def filled(self, cosines: Floats) -> Floats:
        """``(N,)`` cosines, an unknown pair given the mean of the known ones."""
        result = np.full(len(self.known), cosines.mean())
        result[self.known] = cosines
        return result


def pairs_of(test: Sequence[tuple[str, str, float]], index: Mapping[str, int]) -> Pairs:
    """The pairs of a test, in lower case, that a vocabulary knows."""
    rows = np.array([(index.get(a.lower(), -1), index.get(b.lower(), -1)) for a, b, _ in test], dtype=np.int64).reshape(
        -1, 2
    )
    known = np.asarray((rows >= 0).all(axis=1), dtype=np.bool_)
    return Pairs(rows[known], known, np.array([score for _, _, score in test], dtype=np.float64))


def evaluate(context: StageContext) -> Evaluation:
    """All tests of the prepared word tests, the floor of random vectors beside each, PMI, neighbours, maps."""
    where = f"{context.family}.{context.name}.evaluate"
    config: EvalConfig = build_config(EvalConfig, context.block.get("evaluate") or {}, where)
    tests = load(context.other_data["judged_on"])
    for name in ("wordsim", "simlex", "analogies"):
        if name not in tests:
            raise BenchError(
                f"{context.other_data['judged_on']}: no {name!r} among the word tests ({', '.join(tests)})"
            )
    system = context.load()
    table = system.vectors
    floor = np.random.default_rng(context.derive("floor")).standard_normal(table.vectors.shape)
    records: list[Record] = []
    items: dict[str, Any] = {}
    summary: list[list[Any]] = []
    for name in ("wordsim", "simlex"):
        found, blocks, row = _similarity(context, name, tests[name], table.index, table.vectors, floor)
        records += found
        items |= blocks
        summary.append(row)
    answers, sections, row = _analogies(context, tests["analogies"], table, floor)
    records += answers
    summary.append(row)
    columns = ["test", "items", "known", "known, %", "score", "random vectors"]
    note = (
        "Spearman's correlation with people over the pairs known, and the share of known questions answered "
        "right. SimLex chose nothing."
    )
    tables = [{"title": "Scores and coverage", "columns": columns, "rows": summary, "note": note}, sections]
    tables.append(_neighbours(table, config))
    figures = [figure for figure in (word_map(table.index, table.vectors),) if figure is not None]
    notes = [
        f"{len(table):,} words seen at least {system.config.min_count} times in {int(system.counts.sum()):,} words "
        "of text."
    ]
    if system.config.architecture == "skip_gram":
        rows, figure, fit = _pmi(context, system, config)
        records += rows
        figures += figure
        notes += fit
    return Evaluation(records, {"tables": tables, "figures": figures, "notes": notes, "items": items})


# ---------------------------------------------------------------------------------------------------------- similarity


def _similarity(
    context: StageContext,
    name: str,
    test: Sequence[tuple[str, str, float]],
    index: Mapping[str, int],
    vectors: Any,
    floor: Floats,
) -> tuple[list[Record], dict[str, Any], list[Any]]:
    """Records of one test, the blocks behind them for paired claims, and its line of the summary."""
    metric, pairs = f"{name}_spearman", pairs_of(test, index)
    total, known = len(test), len(pairs.rows)
    records = [_coverage(context, name, known, total)]
    if known < 3:
        protocol = protocol_id(metric, name, pairs="known", known=known)
        return (
            [*records, context.record(metric, None, protocol, n=known, higher_is_better=True)],
            {},
            [_TITLES[name], total, known, None, None, None],
        )
    blocks: dict[str, list[list[float]]] = {}
    shown = {}
    for role, table in (("generator", vectors), ("floor", floor)):
        cosines = pair_cosines(table, pairs.rows)
        forms = {
            "": (cosines, pairs.people[pairs.known], protocol_id(metric, name, pairs="known", known=known)),
            "unknown=mean": (pairs.filled(cosines), pairs.people, protocol_id(metric, name, pairs="all")),
        }
        for variant, (ours, people, protocol) in forms.items():
            value = spearman(ours, people)
            seed = context.derive("intervals", name, variant, role)
            label = variant if role == "generator" else ",".join(filter(None, [variant, "vectors=random"]))
            interval = spearman_interval(ours, people, seed)
            record = context.record(
                metric, value, protocol, ci95=interval, n=len(ours), higher_is_better=True, variant=label
            )
            records.append(record if role == "generator" else replace(record, role="floor"))
            shown[role, variant] = value
            if role == "generator":
                blocks[variant] = [spearman_pseudo_values(ours, people).round(6).tolist(), [1.0] * len(ours)]
    row = [
        _TITLES[name],
        total,
        known,
        _percent(known, total),
        round(shown["generator", ""], 3),
        round(shown["floor", ""], 3),
    ]
    return records, {metric: blocks}, row


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1)


def _coverage(context: StageContext, name: str, known: int, total: int) -> Record:
    return context.record(
        "word_coverage", known / total, protocol_id("word_coverage", name), n=total, higher_is_better=True
    )


# ----------------------------------------------------------------------------------------------------------- analogies


def _analogies(
    context: StageContext, sections: Mapping[str, Sequence[Sequence[str]]], table: Any, floor: Floats
) -> tuple[list[Record], dict[str, Any], list[Any]]:
    """Records by section and over all, a table of the sections with an answer of each, and the line of the summary."""
    questions = [[table.index.get(word.lower(), -1) for word in row] for rows in sections.values() for row in rows]
    quadruples = np.array(questions, dtype=np.int64).reshape(-1, 4)
    names = np.repeat(np.array(list(sections)), [len(rows) for rows in sections.values()])
    known = (quadruples >= 0).all(1)
    asked, total = quadruples[known], len(quadruples)
    records = [_coverage(context, "google", len(asked), total)]
    if not len(asked) or len(table) < 4:
        empty = {"title": "Analogies", "columns": ["section"], "rows": [], "note": "No question has four known words."}
        return records, empty, ["Analogies", total, 0, 0.0, None, None]
    hits, chance = analogy_hits(table.vectors, asked), analogy_hits(floor, asked)
    protocol = protocol_id("analogy_accuracy", "google", questions="known", known=len(asked))
    everything = protocol_id("analogy_accuracy", "google", questions="all")
    records.append(_share(context, hits, len(asked), protocol))
    records.append(_share(context, hits, total, everything, variant="unknown=wrong"))
    records.append(replace(_share(context, chance, len(asked), protocol, variant="vectors=random"), role="floor"))
    guess = context.record(
        "analogy_accuracy", 1 / (len(table) - 3), protocol, n=len(asked), higher_is_better=True, variant="chance"
    )
    records.append(replace(guess, role="floor"))
    rows: list[list[Any]] = []
    for section, listed in sections.items():
        part = names[known] == section
        if not part.any():
            rows.append([section, len(listed), 0, None, ""])
            continue
        here = protocol_id("analogy_accuracy", "google", questions="known", known=int(part.sum()))
        records.append(_share(context, hits[part], int(part.sum()), here, slice=section))
        rows.append(
            [
                section,
                len(listed),
                int(part.sum()),
                _percent(int(hits[part].sum()), int(part.sum())),
                _example(table, asked[part], hits[part]),
            ]
        )
    note = (
        "3CosAdd among all known words but the three of the question; an example of each section, with the "
        "answer given."
    )
    columns = ["section", "questions", "known", "right, %", "an answer"]
    shown = {"title": "Analogies by section", "columns": columns, "rows": rows, "note": note}
    line = [
        "Analogies",
        total,
        len(asked),
        _percent(len(asked), total),
        round(float(hits.mean()), 4),
        round(float(chance.mean()), 4),
    ]
    return records, shown, line


def _share(context: StageContext, hits: Floats, n: int, protocol: str, **fields: Any) -> Record:
    right = float(hits.sum())
    return context.record(
        "analogy_accuracy", right / n, protocol, ci95=wilson_interval(right, n), n=n, higher_is_better=True, **fields
    )


def _example(table: Any, asked: Ints, hits: Floats) -> str:
    """The first question answered right, else the first of all."""
    a, b, c, d = asked[int(hits.argmax())].tolist()
    said = int(solve_analogies(table.vectors, [[a, b, c]])[0][0, 0])
    words = table.words
    return f"{words[a]} : {words[b]} = {words[c]} : {words[said]}" + ("" if said == d else f" (asked: {words[d]})")


def _neighbours(table: Any, config: EvalConfig) -> dict[str, Any]:
    rows = []
    for word in config.neighbours:
        near = table.neighbours(word, config.nearest) if word in table else None
        rows.append(
            [
                word,
                ", ".join(f"{other} {cosine:.2f}" for other, cosine in near)
                if near is not None
                else "not in the vocabulary",
            ]
        )
    return {
        "title": "Nearest neighbours",
        "columns": ["word", "neighbours and their cosines"],
        "rows": rows,
        "note": "",
    }


# ----------------------------------------------------------------------------------------------------------------- PMI


def shifted_pmi(system: Any, text: str, at_least: float, seed: int) -> tuple[Ints, Floats, Floats, Floats]:
    """Pairs of words that meet often, their shifted PMI, and the score that skip-gram gives them.

    Args:
        system: a trained skip-gram model.
        text: the training split.
        at_least: pairs expected to meet so often in a pass, with the windows and subsampling of training.
        seed: of the passes that are counted.

    Returns:
        ``(P, 2)`` word and neighbour; ``(P,)`` PMI - log k, where the neighbour's probability is that of the noise it
        was told from (``P_n``, counts to the power 3/4); the same with its plain frequency; and ``(P,)`` v.c.
    """
    config = system.config
    corpus = Corpus.read(system.training_text(text), words=system.vectors.words)
    met = corpus.pair_counts(config.window, keep_probabilities(corpus.counts, config.subsample), seed)
    rows, columns = np.asarray(met.sum(1)).ravel(), np.asarray(met.sum(0)).ravel()
    pairs = met.tocoo()
    often = pairs.data >= at_least
    w, c, n = pairs.row[often].astype(np.int64), pairs.col[often].astype(np.int64), pairs.data[often]
    given = np.log(n / rows[w]) - np.log(config.negatives)
    scores = (system.vectors.vectors[w].astype(np.float64) * system.outputs[c]).sum(1)
    return (
        np.stack([w, c], 1),
        given - np.log(noise_distribution(corpus.counts)[c]),
        given - np.log(columns[c] / columns.sum()),
        scores,
    )


def _pmi(
    context: StageContext, system: Any, config: EvalConfig
) -> tuple[list[Record], list[dict[str, Any]], list[str]]:
    """Rank correlation of scores and shifted PMI with either distribution of neighbours; intervals leave out groups of
    words."""
    text = load_text(context.data)["train"]
    pairs, smoothed, plain, scores = shifted_pmi(system, text, config.at_least, context.derive("pmi"))
    if len(pairs) < 10:
        return [], [], [f"Fewer than ten pairs of words meet {config.at_least:g} times in a pass: PMI is not compared."]
    _, groups = np.unique(pairs[:, 0], return_inverse=True)
    count = int(groups.max()) + 1
    protocol = protocol_id("pmi_spearman", "train", negatives=system.config.negatives, at_least=f"{config.at_least:g}")
    records = []
    for variant, pmi in (("noise=smoothed", smoothed), ("noise=plain", plain)):

        def correlation(words: Ints, pmi: Floats = pmi) -> float:
            part = np.isin(groups, words)
            return spearman(pmi[part], scores[part]) if part.sum() >= 3 else 0.0

        interval = jackknife_subsets_ci(correlation, count, context.derive("pmi", variant)) if count >= 40 else None
        value = spearman(pmi, scores)
        records.append(
            context.record(
                "pmi_spearman",
                value,
                protocol,
                ci95=interval,
                n=len(pairs),
                higher_is_better=True,
                variant=variant,
                split="train",
            )
        )
    slope, offset = np.polyfit(smoothed, scores, 1)
    note = (
        f"Over {len(pairs):,} pairs that meet at least {config.at_least:g} times in a pass, v.c = {slope:.2f} (PMI "
        "- log k) "
        f"{'+' if offset >= 0 else '-'} {abs(offset):.2f} by least squares; with vectors of unlimited size it "
        "would be PMI - log k itself."
    )
    return records, [pmi_figure(smoothed, scores)], [note]
