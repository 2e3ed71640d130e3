"""Word vectors against people: WordSim-353 and SimLex-999, and analogies by section.

Settings were chosen on WordSim; SimLex is reported and chose nothing. A test's items with an unknown word cannot be
answered: the share that can stands beside each score, and each score has a second form (variant ``unknown=...``) that
counts them all. Random vectors of the same shape are the floor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.contracts import DataNeed, Floats, Ints
from bench.data.datasets import load
from bench.metrics.analogy import analogy_hits, solve_analogies
from bench.metrics.protocols import protocol_id
from bench.metrics.word_similarity import pair_cosines, spearman, spearman_interval, spearman_pseudo_values
from bench.results.extras import Items, Table
from bench.scoring import NoOptions, Output, Score, Subject, scorer
from bench.stats.intervals import wilson_interval

__all__ = ["SIMILARITY", "Pairs", "pairs_of", "word_analogies", "word_similarity"]

SIMILARITY: Mapping[str, str] = {"wordsim": "WordSim-353", "simlex": "SimLex-999"}
"""The similarity tests and their titles."""
_NEEDS = {"judged_on": DataNeed("word_tests")}


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
    found = [(index.get(a.lower(), -1), index.get(b.lower(), -1)) for a, b, _ in test]
    rows = np.array(found, dtype=np.int64).reshape(-1, 2)
    known = np.asarray((rows >= 0).all(axis=1), dtype=np.bool_)
    return Pairs(rows[known], known, np.array([score for _, _, score in test], dtype=np.float64))


def _test(subject: Subject, name: str) -> Any:
    """One of the prepared word tests."""
    folder = subject.context.other_data.get("judged_on")
    if folder is None:
        raise BenchError(f"{subject.name}: `judged_on: <word tests>` is missing from its block in params.yaml")
    tests = subject.once("word-tests", lambda: load(folder))
    if name not in tests:
        raise BenchError(f"{folder}: no {name!r} among the word tests ({', '.join(tests)})")
    return tests[name]


def _floor(subject: Subject) -> Floats:
    """Random vectors of the shape of the embedding's."""
    shape, seed = subject.system.vectors.vectors.shape, subject.derive("floor")
    return subject.once("random-vectors", lambda: np.random.default_rng(seed).standard_normal(shape))


def _coverage(name: str, known: int, total: int) -> Score:
    return Score("word_coverage", known / total, protocol_id("word_coverage", name), n=total)


@scorer("WordEmbedding", needs=_NEEDS, model=True)
def word_similarity(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """Spearman's correlation of cosines with people, over the pairs known and over all, and the share known."""
    for name in SIMILARITY:
        yield from _similarity(subject, name)


def _similarity(subject: Subject, name: str) -> Iterator[Output]:
    test, table, metric = _test(subject, name), subject.system.vectors, f"{name}_spearman"
    pairs = pairs_of(test, table.index)
    known = len(pairs.rows)
    yield _coverage(name, known, len(test))
    protocols = {
        "": protocol_id(metric, name, pairs="known", known=known),
        "unknown=mean": protocol_id(metric, name, pairs="all"),
    }
    if known < 3:
        yield Score(metric, None, protocols[""], n=known)
        return
    for role, vectors in (("generator", table.vectors), ("floor", _floor(subject))):
        cosines = pair_cosines(vectors, pairs.rows)
        forms = {"": (cosines, pairs.people[pairs.known]), "unknown=mean": (pairs.filled(cosines), pairs.people)}
        for form, (ours, people) in forms.items():
            interval = spearman_interval(ours, people, subject.derive("intervals", name, form, role))
            value, protocol = spearman(ours, people), protocols[form]
            if role == "floor":
                variant = ",".join(filter(None, [form, "vectors=random"]))
                yield Score(metric, value, protocol, interval, len(ours), variant, role="floor")
            else:
                yield Score(metric, value, protocol, interval, len(ours), form)
                parts = tuple(spearman_pseudo_values(ours, people).round(6).tolist())
                yield Items(metric, form, parts, (1.0,) * len(ours))


@scorer("WordEmbedding", needs=_NEEDS, model=True)
def word_analogies(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """Share of questions answered right over the known ones, over all and by section, with an answer of each."""
    sections: Mapping[str, Sequence[Sequence[str]]] = _test(subject, "analogies")
    table = subject.system.vectors
    questions = [[table.index.get(word.lower(), -1) for word in row] for rows in sections.values() for row in rows]
    quadruples = np.array(questions, dtype=np.int64).reshape(-1, 4)
    names = np.repeat(np.array(list(sections)), [len(rows) for rows in sections.values()])
    known = (quadruples >= 0).all(1)
    asked, total = quadruples[known], len(quadruples)
    yield _coverage("google", len(asked), total)
    if not len(asked) or len(table) < 4:
        yield Table("Analogies", ("section",), (), "No question has four known words.")
        return
    hits, chance = analogy_hits(table.vectors, asked), analogy_hits(_floor(subject), asked)
    protocol = protocol_id("analogy_accuracy", "google", questions="known", known=len(asked))
    everything = protocol_id("analogy_accuracy", "google", questions="all")
    yield _right(hits, len(asked), protocol)
    yield _right(hits, total, everything, variant="unknown=wrong")
    yield _right(chance, len(asked), protocol, variant="vectors=random", role="floor")
    guess = 1 / (len(table) - 3)
    yield Score("analogy_accuracy", guess, protocol, n=len(asked), variant="chance", role="floor")
    rows: list[tuple[Any, ...]] = []
    for section, listed in sections.items():
        part = names[known] == section
        n = int(part.sum())
        if not n:
            rows.append((section, len(listed), 0, None, ""))
            continue
        here = protocol_id("analogy_accuracy", "google", questions="known", known=n)
        yield _right(hits[part], n, here, slice=section)
        share = round(100 * int(hits[part].sum()) / n, 1)
        rows.append((section, len(listed), n, share, _example(table, asked[part], hits[part])))
    yield Table(
        "Analogies by section",
        ("section", "questions", "known", "right, %", "an answer"),
        tuple(rows),
        "3CosAdd among all known words but the three of the question; an example of each section, with the answer "
        "given.",
    )


def _right(hits: Floats, n: int, protocol: str, **fields: Any) -> Score:
    right = float(hits.sum())
    return Score("analogy_accuracy", right / n, protocol, wilson_interval(right, n), n, **fields)


def _example(table: Any, asked: Ints, hits: Floats) -> str:
    """The first question answered right, else the first of all."""
    a, b, c, d = asked[int(hits.argmax())].tolist()
    said = int(solve_analogies(table.vectors, [[a, b, c]])[0][0, 0])
    words = table.words
    return f"{words[a]} : {words[b]} = {words[c]} : {words[said]}" + ("" if said == d else f" (asked: {words[d]})")
