"""Letter entropies as rows, copy curves, and lines joined out of others."""

from __future__ import annotations

import pytest

from bench.base.files import SampleSet
from bench.metrics.letter_entropy import SHANNON, letter_entropies
from bench.metrics.memorisation import TrainingText, verbatim_copy_rate
from bench.results.extras import Table
from bench.scorers.figures.splices import pieces_of, splice_tables
from bench.scorers.letter_entropy import entropies
from bench.scorers.verbatim_copying import copy_curves
from bench.scoring import Score

POEM = (
    "When in the course of night\nthe moon goes down to sleep,\nthe sun goes up to shine\nin the middle of the day.\n"
)


def test_entropies_stand_beside_shannons() -> None:
    text = POEM * 10
    found = list(entropies(text, 3))
    records, (table,) = [s for s in found if isinstance(s, Score)], [e for e in found if isinstance(e, Table)]
    assert [(row.slice, row.split, row.protocol) for row in records] == [
        (f"F{n}-of-{letters}-letters", "train", f"letter_entropy/train/letters={letters}/v1")
        for letters in (26, 27)
        for n in (1, 2, 3)
    ]
    for row, (value, _) in zip(
        records, [*letter_entropies(text, 26)[1:], *letter_entropies(text, 27)[1:]], strict=True
    ):
        assert row.value == value and row.ci95[0] <= value <= row.ci95[1]
    assert len(table.rows) == 10
    assert [row[-1] for row in table.rows[:5]] == list(SHANNON[26].values())


def test_copy_curves_over_the_order_and_over_the_length() -> None:
    copied, fresh = "the moon goes down to sleep,", "a fish swims under the bridge"
    sets = [
        SampleSet(variant="n=2,smoothing=mle", texts=[fresh]),
        SampleSet(variant="n=4,smoothing=mle", texts=[copied]),
        SampleSet(variant="n=3,smoothing=katz", texts=[copied, fresh]),
        SampleSet(variant="temperature=1.0", texts=[copied]),
    ]
    by_order, by_length = copy_curves(sets, TrainingText(POEM), [fresh], 10)
    points = {line.name: line.points for line in by_order.series}
    assert points == {"mle": ((2.0, 0.0), (4.0, 1.0)), "katz": ((3.0, verbatim_copy_rate([copied, fresh], POEM, 10)),)}
    lines = {line.name: dict(line.points) for line in by_length.series}
    assert set(lines) == {"mle, n = 4", "katz, n = 3", "held-out text"}
    assert lines["mle, n = 4"][20] == 1.0 and lines["held-out text"][5] == verbatim_copy_rate([fresh], POEM, 5)
    assert list(copy_curves(sets[3:], TrainingText(POEM), [fresh], 10)) == []


def test_lines_are_cut_into_the_longest_known_runs() -> None:
    assert pieces_of("the moon goes up to shine", POEM) == ["the moon goes", " up to shine"]
    assert pieces_of("the zebra goes", POEM) == ["the", " zebra", " goes"]
    assert pieces_of("", POEM) == []


def test_joined_lines_are_listed_with_their_sources() -> None:
    text = "x\nthe moon goes up to shine\nthe sun goes up to shine\nnight day moon sun\ncut"
    summary, examples = splice_tables([SampleSet(variant="n=2", texts=[text])], POEM)
    # one line of the poem, one of two pieces, one of four; the first and last lines of a sample are not whole
    assert summary.rows == (
        (
            "n=2",
            3,
            pytest.approx(1 / 3, abs=1e-3),
            pytest.approx(1 / 3, abs=1e-3),
            0.0,
            pytest.approx(1 / 3, abs=1e-3),
            round(16 / 7, 2),
        ),
    )
    assert examples.rows == (("n=2", "the moon goes up to shine", "the moon goes ‖ up to shine", "line 2 + line 3"),)
    assert list(splice_tables([SampleSet(variant="n=2", texts=["short"])], POEM)) == []
