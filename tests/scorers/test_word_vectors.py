"""Word vectors against planted tests: scores, coverage, floors, sections, PMI, pictures."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.stats import spearmanr
from sklearn.preprocessing import normalize

from bench.base.errors import BenchError
from bench.base.files import write_json
from bench.catalogue.families import FAMILIES
from bench.context import StageContext
from bench.contracts import RunContext
from bench.data.datasets import write_meta, write_texts
from bench.families.text_encoders.word2vec import Word2Vec, Word2VecConfig
from bench.metrics.shifted_pmi import shifted_pmi
from bench.metrics.word_similarity import spearman, spearman_interval, spearman_pseudo_values
from bench.results.extras import Figure, Items, Table, of_kind
from bench.scorers.figures.word_vectors import WordFigureOptions, label_heights, principal_plane, word_map
from bench.scorers.pmi_agreement import PmiOptions, scores_of
from bench.scoring import Evaluation, evaluate
from bench.stats.comparisons import paired_ratio_difference

SCORERS = FAMILIES["text_encoders"].task("WordEmbedding").scorers
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PLANTED = [letter * 3 for letter in LETTERS]


@dataclass(frozen=True)
class Planted(StageContext):
    system: Any = None
    other_data: dict[str, Path] = field(default_factory=dict)

    def load(self) -> Any:
        return self.system


def text() -> str:
    """A ring of words: each is followed by one of the next three."""
    rng = np.random.default_rng(0)
    steps = np.cumsum(rng.integers(1, 4, (300, 12)), 1) + rng.integers(0, 26, (300, 1))
    return "\n".join(" ".join(PLANTED[i % 26] for i in row) for row in steps)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("words")
    (root / "data").mkdir()
    counts = write_texts(root / "data", {"train": text(), "validation": "aaa bbb", "test": "ccc ddd"})
    write_meta(root / "data", {"name": "ring", "kind": "text", "splits": counts})
    rng = np.random.default_rng(1)
    pairs = [
        (a.upper() if i % 2 else a, b, float(i)) for i, (a, b) in enumerate(rng.choice([*PLANTED, "zebra"], (60, 2)))
    ]
    analogies = {
        "ring": [["aaa", "BBB", "ccc", "ddd"], ["aaa", "bbb", "ddd", "eee"]],
        "none": [["zebra", "aaa", "bbb", "ccc"]],
    }
    (root / "tests").mkdir()
    write_json(root / "tests" / "word_tests.json", {"wordsim": pairs, "simlex": pairs[::-1], "analogies": analogies})
    write_meta(root / "tests", {"name": "tests", "kind": "word_tests", "splits": {}})
    return root


def trained(**config: Any) -> Word2Vec:
    system = Word2Vec(
        Word2VecConfig(**{"dimensions": 8, "epochs": 8, "window": 3, "subsample": 0.0, "lr": 0.05, **config})
    )
    system.fit({"train": text()}, RunContext())
    return system


def context(folder: Path, system: Any, **keys: Any) -> Planted:
    block = {"system": "word2vec", "dataset": "ring", "role": "generator", "evaluate": keys}
    return Planted(
        "w2v",
        "text_encoders",
        block,
        0,
        "cpu",
        folder / "data",
        folder,
        other_data={"judged_on": folder / "tests"},
        system=system,
    )


@pytest.fixture(scope="module")
def system() -> Word2Vec:
    return trained()


@pytest.fixture(scope="module")
def result(folder: Path, system: Word2Vec) -> Evaluation:
    return evaluate(context(folder, system, neighbours=("aaa", "zebra"), nearest=3), SCORERS)


def rows(result: Evaluation, metric: str) -> dict[tuple[str, str, str], Any]:
    return {(r.variant, r.slice, r.protocol): r for r in result.records if r.metric == metric}


def test_similarity_is_scipys_correlation_over_the_known_pairs_and_over_all(
    result: Evaluation, system: Word2Vec, folder: Path
) -> None:
    pairs = json.loads((folder / "tests" / "word_tests.json").read_text())["wordsim"]
    known = [(a.lower(), b.lower(), s) for a, b, s in pairs if "zebra" not in (a.lower(), b.lower())]
    unit = normalize(system.vectors.vectors.astype(np.float64))
    cosines = [round(float(unit[system.vectors.index[a]] @ unit[system.vectors.index[b]]), 12) for a, b, _ in known]
    found = {key[0]: record for key, record in rows(result, "wordsim_spearman").items()}
    assert 40 < len(known) < 60
    assert found[""].value == pytest.approx(spearmanr(cosines, [s for *_, s in known]).statistic, abs=1e-5)
    assert (found[""].n, found[""].protocol) == (
        len(known),
        f"wordsim_spearman/wordsim/known={len(known)}/pairs=known/v1",
    )
    lookup = dict(zip([(a, b) for a, b, _ in known], cosines, strict=True))
    everything = [lookup.get((a.lower(), b.lower()), np.mean(cosines)) for a, b, _ in pairs]
    assert found["unknown=mean"].value == pytest.approx(
        spearmanr(everything, [s for *_, s in pairs]).statistic, abs=1e-3
    )
    assert found["unknown=mean"].n == 60
    for record in found.values():
        assert record.ci95 is not None and record.ci95[0] < record.value < record.ci95[1]
    coverage = {r.protocol: r.value for r in result.records if r.metric == "word_coverage"}
    assert coverage["word_coverage/wordsim/v1"] == len(known) / 60
    assert coverage["word_coverage/google/v1"] == pytest.approx(2 / 3)


def test_random_vectors_stand_beside_every_score_as_a_floor(result: Evaluation) -> None:
    floors = [r for r in result.records if r.role == "floor"]
    assert {r.metric for r in floors} == {"wordsim_spearman", "simlex_spearman", "analogy_accuracy"}
    assert all("vectors=random" in r.variant or r.variant == "chance" for r in floors)
    assert next(r.value for r in floors if r.variant == "chance") == pytest.approx(1 / 23)
    columns = {(r.metric, r.protocol) for r in result.records if r.role == "generator"}
    assert {(r.metric, r.protocol) for r in floors} <= columns


def test_analogies_count_known_questions_all_questions_and_sections(result: Evaluation, system: Word2Vec) -> None:
    right = sum(
        system.vectors.analogy(*row[:3])[0][0] == row[3]
        for row in (["aaa", "bbb", "ccc", "ddd"], ["aaa", "bbb", "ddd", "eee"])
    )
    found = {(variant, part): r for (variant, part, _), r in rows(result, "analogy_accuracy").items()}
    assert (found["", ""].value, found["", ""].n) == (right / 2, 2)
    assert found["unknown=wrong", ""].value == pytest.approx(right / 3)
    assert (found["", "ring"].value, found["", "ring"].n) == (right / 2, 2)
    assert ("", "none") not in found
    table = next(t for t in of_kind(result.extras, Table) if t.title == "Analogies by section")
    assert sorted(row[:3] for row in table.rows) == [("none", 1, 0), ("ring", 2, 2)]


def test_coverage_stands_beside_the_scores_and_unknown_words_are_said_to_be_so(result: Evaluation) -> None:
    _, summary, near = of_kind(result.extras, Table)
    assert [row[0] for row in summary.rows] == ["WordSim-353", "SimLex-999", "Analogies"]
    assert summary.rows[2][1:4] == (3, 2, 66.7)
    values = {(r.metric, r.variant, r.slice): r.value for r in result.records}
    assert summary.rows[1][4:] == (
        round(values["simlex_spearman", "", ""], 3),
        round(values["simlex_spearman", "vectors=random", ""], 3),
    )
    assert [row[1].count(",") for row in near.rows] == [2, 0]
    assert near.rows[1] == ("zebra", "not in the vocabulary")


def test_paired_items_average_to_the_score(result: Evaluation) -> None:
    for variant in ("", "unknown=mean"):
        (items,) = (
            item
            for item in of_kind(result.extras, Items)
            if (item.metric, item.variant) == ("simlex_spearman", variant)
        )
        numerators, sizes = items.totals, items.weights
        record = next(r for r in result.records if r.metric == "simlex_spearman" and r.variant == variant)
        assert len(numerators) == len(sizes) == record.n
        assert np.mean(numerators) == pytest.approx(record.value, abs=0.02)


def test_paired_items_see_a_difference_that_separate_intervals_do_not() -> None:
    rng = np.random.default_rng(0)
    people = rng.standard_normal(200)
    good = people + 1.2 * rng.standard_normal(200)
    worse = good + 1.0 * rng.standard_normal(200)
    blocks = [[spearman_pseudo_values(x, people), np.ones(200)] for x in (good, worse)]
    found = paired_ratio_difference(*blocks[0], *blocks[1])
    value, (low, high) = found.value, found.ci95
    assert value == pytest.approx(spearman(good, people) - spearman(worse, people), abs=0.005)
    assert 0 < low < high
    intervals = [spearman_interval(x, people, 0) for x in (good, worse)]
    assert intervals[0][0] < intervals[1][1], "apart they overlap"


def test_scores_follow_shifted_pmi_and_counted_pairs(system: Word2Vec, result: Evaluation) -> None:
    met = system.pair_counts(text(), seed=0)
    assert met is not None
    found = shifted_pmi(met.met, met.noise, met.negatives, 3.0)
    pairs, smoothed, plain = found.pairs, found.smoothed, found.plain
    scores = scores_of(system.vectors.vectors, met, found)
    table = np.zeros((26, 26))
    lines = [[system.vectors.index[word] for word in line.split()] for line in text().splitlines()]
    for line in lines:
        for i, a in enumerate(line):
            for step in (1, 2, 3):
                if i + step < len(line):
                    table[a, line[i + step]] += (4 - step) / 3
                    table[line[i + step], a] += (4 - step) / 3
    counts = np.bincount([word for line in lines for word in line])
    w, c = pairs.T
    share = counts**0.75 / (counts**0.75).sum()
    exact = np.log(table[w, c] / table.sum(1)[w] / share[c] / 5)
    assert len(pairs) > 100
    assert np.abs(smoothed - exact).mean() < 0.06  # the counts are means of five random passes
    assert np.abs(plain - np.log(table[w, c] / table.sum(1)[w] / (table.sum(0) / table.sum())[c] / 5)).mean() < 0.06
    np.testing.assert_allclose(scores, (system.vectors.vectors[w] * system.outputs[c]).sum(1), rtol=1e-4)
    assert spearman(smoothed, scores) > 0.8
    rank = {r.variant: r.value for r in result.records if r.metric == "pmi_spearman"}
    assert rank["noise=smoothed"] > 0.8
    assert set(rank) == {"noise=smoothed", "noise=plain"}


def test_cbow_has_no_pmi_rows(folder: Path) -> None:
    found = evaluate(context(folder, trained(architecture="cbow", epochs=2)), SCORERS)
    assert not rows(found, "pmi_spearman")
    assert rows(found, "simlex_spearman")


def test_a_vocabulary_that_knows_nothing_gets_rows_without_value(folder: Path, tmp_path: Path) -> None:
    other = "nothing that anybody asks for\n" * 3
    counts = write_texts(tmp_path, {"train": other, "validation": "", "test": ""})
    write_meta(tmp_path, {"name": "other", "kind": "text", "splits": counts})
    system = Word2Vec(Word2VecConfig(dimensions=4, epochs=1, min_count=1))
    system.fit({"train": other}, RunContext())
    found = evaluate(replace(context(folder, system), data=tmp_path), SCORERS)
    assert [r.value for r in found.records if r.metric == "simlex_spearman"] == [None]
    assert {r.value for r in found.records if r.metric == "word_coverage"} == {0.0}
    assert of_kind(found.extras, Figure) == []
    summary = next(t for t in of_kind(found.extras, Table) if t.title == "Scores and coverage")
    assert [row[2:] for row in summary.rows] == [(0, 0.0, None, None)] * 3


def test_a_missing_test_is_named(folder: Path, tmp_path: Path, system: Word2Vec) -> None:
    write_json(tmp_path / "word_tests.json", {"wordsim": [["a", "b", 1.0]]})
    write_meta(tmp_path, {"name": "tests", "kind": "word_tests", "splits": {}})
    broken = context(folder, system)
    broken.other_data["judged_on"] = tmp_path
    with pytest.raises(BenchError, match="no 'simlex' among the word tests"):
        evaluate(broken, SCORERS)


@pytest.mark.parametrize(
    ("options", "key", "value"), [(WordFigureOptions, "nearest", 0), (PmiOptions, "at_least", 0.0)]
)
def test_a_wrong_setting_is_named(options: type, key: str, value: float) -> None:
    with pytest.raises(ValueError, match=key):
        options(**{key: value})


def test_the_plane_is_that_of_the_largest_variance() -> None:
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal((40, 2)) * [5, 2]
    places, share = principal_plane(hidden @ np.linalg.qr(rng.standard_normal((6, 2)))[0].T + 3.0)
    np.testing.assert_allclose(
        np.linalg.norm(places[:, None] - places, axis=-1), np.linalg.norm(hidden[:, None] - hidden, axis=-1)
    )
    assert share == pytest.approx(1.0)


def test_labels_are_lifted_off_each_other_and_no_further() -> None:
    places = np.array([[0.0, 0.0], [0.01, 0.001], [0.02, 0.002], [0.5, 0.001], [1.0, 1.0]])
    heights = label_heights(places, ["below", "middle", "above", "aside", "far"])
    np.testing.assert_allclose(heights, [0.0, 0.029, 0.058, 0.001, 1.0])
    assert places[1, 1] == 0.001, "the points stay where they are"


def test_the_map_is_a_picture_that_names_its_words_and_is_the_same_each_time() -> None:
    vectors = np.random.default_rng(0).standard_normal((5, 8))
    index = {"two": 0, "three": 1, "france": 2, "italy": 3, "other": 4}
    found, again = word_map(index, vectors), word_map(index, vectors)
    assert found == again
    assert found is not None
    assert "numbers: two, three" in found.alt and "countries: france, italy" in found.alt
    with Image.open(io.BytesIO(found.png)) as picture:
        assert picture.width > 1000
    assert word_map({"two": 0}, vectors) is None
