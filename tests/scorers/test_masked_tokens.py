"""The evaluation of masked language models: hidden words, cloze, and the label experiment on small texts."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.base.files import write_json
from bench.catalogue.families import FAMILIES
from bench.context import StageContext
from bench.contracts import RunContext
from bench.data import datasets
from bench.families.text_encoders.masked_lm import MaskedLM, MaskedLMConfig
from bench.results.extras import Curve, Table, of_kind
from bench.scorers.label_efficiency import LabelOptions
from bench.scorers.masked_tokens import ClozeOptions, MaskedOptions, cloze_examples, windows
from bench.scoring import Evaluation
from bench.scoring import evaluate as run_scorers

PROSE = "the cat sat on the mat and the rat sat on the hat. it was a fat cat, said the rat to the mat on the mat.\n" * 8
CLASSES = ["cats", "rats"]


@dataclass(frozen=True)
class Planted(StageContext):
    """A context whose model is an object made by the test."""

    system: Any = field(default=None)

    def load(self) -> Any:
        return self.system


def model(**config: Any) -> MaskedLM:
    system = MaskedLM(
        MaskedLMConfig(**{"width": 16, "layers": 1, "heads": 2, "context": 20, "vocabulary": 50, **config})
    )
    system.fit({"train": PROSE}, RunContext(train={"steps": 10, "batch_size": 8, "lr": 5e-3, "warmup": 1}))
    return system


@pytest.fixture(scope="module")
def system() -> MaskedLM:
    return model()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("prepared")
    prose, news = root / "prose", root / "news"
    news.mkdir()
    datasets.write_texts(prose, {"train": PROSE, "validation": PROSE[:200], "test": PROSE[:600]})
    write_json(prose / "meta.json", {"kind": "text"})
    rng = np.random.default_rng(0)
    for split, n in (("train", 40), ("validation", 6), ("test", 30)):
        labels = [CLASSES[i] for i in rng.integers(0, 2, n)]
        lines = [
            json.dumps({"label": label, "text": f"the {label[:3]} " + " ".join(rng.choice(["sat", "on", "mat"], 3))})
            for label in labels
        ]
        (news / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_json(news / "meta.json", {"kind": "labelled_texts", "classes": CLASSES})
    return prose, news


def context(folders: tuple[Path, Path], system: Any, judged: bool = True, **keys: Any) -> Planted:
    defaults = {"windows": 6, "pseudo_windows": 4, "cloze": 3}
    block = {"system": "masked_lm", "dataset": "prose", "role": "generator", "evaluate": {**defaults, **keys}}
    other = {"judged_on": folders[1]} if judged else {}
    return Planted(
        "bert", "text_encoders", block, 0, "cpu", folders[0], folders[0], {}, other, quiet=True, system=system
    )


def evaluate(context: StageContext) -> Evaluation:
    return run_scorers(context, FAMILIES["text_encoders"].task("MaskedLanguageModel").scorers)


def rows(result: Evaluation, metric: str) -> dict[str, Any]:
    return {r.variant: r for r in result.records if r.metric == metric}


def test_hidden_words_and_pseudo_perplexity(folders: tuple[Path, Path], system: MaskedLM) -> None:
    result = evaluate(context(folders, system, judged=False))
    accuracy, pseudo = rows(result, "masked_accuracy"), rows(result, "pseudo_perplexity")
    assert set(accuracy) == set(pseudo) == {"context=both", "context=left"}
    for record in (*accuracy.values(), *pseudo.values()):
        assert record.dataset == "prose" and record.ci95[0] <= record.value <= record.ci95[1]
    assert accuracy["context=both"].n == 6 * 3 and pseudo["context=both"].n == 4 * 18
    assert (
        accuracy["context=both"].protocol
        == f"masked_accuracy/test/wordpiece-{len(system.wordpiece)}/share=0.15/tokens=18/v1"
    )
    stretches = windows(system, PROSE[:600], 4)
    nats = np.concatenate([system.hidden_one_by_one(row[1:-1]) for row in stretches])
    assert pseudo["context=both"].value == pytest.approx(math.exp(-nats.mean()))
    assert of_kind(result.extras, Table)[0].columns == ("sentence", "hidden", "first guesses")
    assert len(result.records) == 4 and not of_kind(result.extras, Curve)


def test_masked_accuracy_counts_what_is_right(
    folders: tuple[Path, Path], system: MaskedLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that knows the text and errs at one of the three hidden places of each stretch."""
    text = windows(system, PROSE[:600], 6)

    def fill(inputs: np.ndarray, positions: np.ndarray, **options: Any) -> np.ndarray:
        seen = inputs != system.wordpiece.mask
        truth = np.stack(
            [
                next(row for row in text if (row[known] == line[known]).all())
                for line, known in zip(inputs, seen, strict=True)
            ]
        )
        right = np.take_along_axis(truth, positions, 1)
        right[:, 1] = (right[:, 1] + 1) % len(system.wordpiece)
        return np.log(np.eye(len(system.wordpiece))[right] * 0.9 + 1e-3)

    monkeypatch.setattr(system, "fill", fill)
    found = rows(evaluate(context(folders, system, judged=False, pseudo_windows=0, cloze=0)), "masked_accuracy")[
        "context=both"
    ]
    assert found.value == pytest.approx(2 / 3) and found.ci95 is None, "stretches that all agree"


def test_a_causal_network_has_the_left_context_alone(folders: tuple[Path, Path]) -> None:
    result = evaluate(context(folders, model(causal=True), judged=False))
    assert set(rows(result, "masked_accuracy")) == set(rows(result, "pseudo_perplexity")) == {"context=left"}


def test_label_experiment(folders: tuple[Path, Path], system: MaskedLM) -> None:
    keys = {"labels": [4, 0], "repeats": [2, 1], "steps": [3, 6], "batch_size": 4, "max_tokens": 10, "probe": 20}
    result = evaluate(context(folders, system, **keys))
    methods = ("fine-tuned", "from-scratch", "tf-idf", "majority")
    wanted = {(f"method={m}", f"labels={n}") for n in (4, 40) for m in methods} | {("method=frozen", "labels=20")}
    for metric in ("accuracy", "macro_f1"):
        found = [r for r in result.records if r.metric == metric]
        assert {(r.variant, r.protocol.split("/")[2]) for r in found} == wanted and len(found) == len(wanted)
        for record in found:
            assert record.dataset == "news" and record.n == 30
            if record.ci95 is None:
                assert "majority" in record.variant, record
            else:
                assert record.ci95[0] <= record.value <= record.ci95[1]
            assert record.protocol.startswith(f"{metric}/news/labels=")
    values = {(r.metric, r.variant, r.protocol.split("/")[2]): r.value for r in result.records}
    for n in ("labels=4", "labels=40"):
        difference = values["macro_f1", "method=fine-tuned", n] - values["macro_f1", "method=from-scratch", n]
        assert values["macro_f1_gain", "", n] == pytest.approx(difference)
    assert sum(r.metric == "macro_f1_gain" for r in result.records) == 2
    assert values["accuracy", "method=tf-idf", "labels=40"] > 0.95
    curve = of_kind(result.extras, Curve)[0]
    points = {line.name: dict(line.points) for line in curve.series}
    assert points["TF-IDF + logistic regression"][40.0] == values["macro_f1", "method=tf-idf", "labels=40"]
    assert curve.log_x and [len(line.points) for line in curve.series] == [2, 2, 2, 2]
    again = evaluate(context(folders, system, **keys))
    assert again.rows == result.rows


def test_fewer_held_out_texts_on_request(folders: tuple[Path, Path], system: MaskedLM) -> None:
    keys = {"labels": [4], "repeats": [1], "steps": [1], "tests": 12}
    assert {r.n for r in evaluate(context(folders, system, **keys)).records if r.dataset == "news"} == {12}


def test_windows_are_spread_and_do_not_overlap(system: MaskedLM) -> None:
    ids = np.concatenate(system.wordpiece.encode(PROSE.strip().split("\n")))
    found = windows(system, PROSE, 3)
    assert (
        found.shape == (3, 20)
        and (found[:, 0] == system.wordpiece.cls).all()
        and (found[:, -1] == system.wordpiece.sep).all()
    )
    every = windows(system, PROSE, 10_000)[:, 1:-1]
    np.testing.assert_array_equal(every.ravel(), ids[: every.size])
    assert len(ids) - every.size < 18
    assert windows(system, "the cat sat", 5).shape == (1, 5)
    with pytest.raises(BenchError, match="nothing to hide a word in"):
        windows(system, "\n", 5)


def test_cloze_examples_hide_a_whole_known_word(system: MaskedLM) -> None:
    examples = cloze_examples(system, PROSE + "Much too short.\n☃ " * 3, 4, seed=1)
    assert len(examples) == 4 and examples == cloze_examples(system, PROSE + "Much too short.\n☃ " * 3, 4, seed=1)
    for sentence, word in examples:
        assert sentence.count("[MASK]") == 1 and sentence.replace("[MASK]", word) in PROSE
        assert len(word) >= 3 and len(system.wordpiece.encode([word])[0]) == 1
    assert cloze_examples(system, "☃ ☃ ☃", 4, seed=1) == []


def test_own_sentences_are_shown(folders: tuple[Path, Path], system: MaskedLM) -> None:
    result = evaluate(
        context(folders, system, judged=False, cloze=0, pseudo_windows=0, sentences=["the [MASK] sat", "[MASK] " * 50])
    )
    (table,) = of_kind(result.extras, Table)
    assert [row[0] for row in table.rows] == ["the [MASK] sat"]  # the other is longer than the context
    assert len(table.rows[0][2].split(",")) == 5


def test_bad_input(folders: tuple[Path, Path], system: MaskedLM) -> None:
    keys = {"labels": [4], "repeats": [1], "steps": [1]}
    with pytest.raises(BenchError, match="judged_on: <data set of labelled texts>` is missing"):
        evaluate(context(folders, system, judged=False, **keys))
    with pytest.raises(BenchError, match="is of kind text, not labelled_texts"):
        evaluate(context((folders[0], folders[0]), system, **keys))
    with pytest.raises(BenchError, match="is no text"):
        evaluate(context((folders[1], folders[1]), system, **keys))
    with pytest.raises(
        BenchError, match=r"text_encoders\.bert\.evaluate: labels, repeats and steps need as many values"
    ):
        evaluate(context(folders, system, labels=[4]))
    for options, values in (
        (MaskedOptions, {"windows": 0}),
        (ClozeOptions, {"sentences": ("no blank",)}),
        (LabelOptions, {"max_tokens": 2}),
        (LabelOptions, {"labels": (-1,), "repeats": (1,), "steps": (1,)}),
    ):
        with pytest.raises(ValueError):
            options(**values)
