"""What pre-training is worth in labels: one experiment in which every method learns from the same draws of labelled
texts.

The encoder fine-tuned from [CLS], the same network from scratch, TF-IDF with logistic regression, and the majority
class (after Howard and Ruder 2018, figure 3). The difference of the first two is taken on the same draws and the same
resampled test texts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.progress import Progress
from bench.base.seeds import derive, generator
from bench.context import StageContext
from bench.data.datasets import load, load_meta
from bench.data.labelled_texts import TextSplit
from bench.evaluation.fine_tuning import (
    Recipe,
    draw_labelled,
    fine_tune,
    interval,
    logistic_regression,
    majority,
    replicates,
    sort_texts,
    tfidf,
)
from bench.families.text_encoders.masked_lm import MaskedLM
from bench.metrics.macro_f1 import macro_f1
from bench.metrics.protocols import protocol_id
from bench.results.records import Record, variant_id

__all__ = ["Judged", "LabelConfig", "label_efficiency", "probe"]

Ints = NDArray[np.int64]
Method = Callable[[TextSplit, int, int], Ints]
"""(labelled texts, which label budget, seed) -> predicted classes of the test texts."""

_TITLES = {
    "fine-tuned": "fine-tuned after masked pre-training",
    "from-scratch": "same network from scratch",
    "tf-idf": "TF-IDF + logistic regression",
    "majority": "majority class",
}


@dataclass(frozen=True)
class LabelConfig:
    """Keys under ``evaluate.labelled`` of a text encoder's block.

    Attributes:
        labels: numbers of labelled texts to fine-tune with, 0 for all; empty for no fine-tuning.
        repeats: draws of labelled texts for each of ``labels``.
        steps: optimiser steps for each of ``labels``.
        batch_size: texts a step.
        learning_rate: of fine-tuning.
        scratch_learning_rate: of training from scratch (both chosen on the validation split).
        dropout: while fine-tuning and from scratch.
        max_tokens: tokens of a text that a classifier reads.
        precision: ``fp32`` or ``bf16`` (autocast) while fine-tuning and from scratch.
        tfidf_strength: scikit-learn's C of the logistic regression on TF-IDF.
        probe: labelled texts for logistic regression on ``embed_texts``, with nothing fine-tuned; 0 for none.
        tests: held-out texts to sort, 0 for all.
    """

    labels: tuple[int, ...] = ()
    repeats: tuple[int, ...] = ()
    steps: tuple[int, ...] = ()
    batch_size: int = 16
    learning_rate: float = 1e-3
    scratch_learning_rate: float = 1e-3
    dropout: float = 0.1
    max_tokens: int = 64
    precision: str = "fp32"
    tfidf_strength: float = 10.0
    probe: int = 0
    tests: int = 0

    def __post_init__(self) -> None:
        if not len(self.labels) == len(self.repeats) == len(self.steps):
            raise ValueError(
                f"labels, repeats and steps need as many values each, not {self.labels}, {self.repeats} and "
                f"{self.steps}"
            )
        if min((*self.repeats, *self.steps, self.batch_size)) < 1 or min((*self.labels, self.probe, self.tests)) < 0:
            raise ValueError("repeats, steps and batch_size must be at least 1, labels, probe and tests not negative")
        if self.precision not in ("fp32", "bf16"):
            raise ValueError(f"precision must be fp32 or bf16, not {self.precision!r}")
        if self.max_tokens < 3:
            raise ValueError(f"max_tokens must hold [CLS], a token and [SEP], not {self.max_tokens}")


@dataclass(frozen=True)
class Judged:
    """The labelled texts that encoders are judged on."""

    name: str
    classes: int
    train: TextSplit
    test: TextSplit

    @classmethod
    def read(cls, context: StageContext, config: LabelConfig) -> Judged:
        """From the block's ``judged_on``."""
        folder = context.other_data.get("judged_on")
        if folder is None:
            raise BenchError(
                f"{context.name}: `judged_on: <data set of labelled texts>` is missing from its block in params.yaml"
            )
        data, meta = load(folder), load_meta(folder)
        if not isinstance(data.get("test"), TextSplit):
            raise BenchError(f"{context.name}: judged_on: {folder.name} is of kind {meta['kind']}, not labelled_texts")
        test = data["test"]
        if config.tests and config.tests < len(test):
            test = test.take(np.sort(generator(context.seed, "judged texts").permutation(len(test))[: config.tests]))
        return cls(folder.name, len(meta["classes"]), data["train"], test)

    def draw(self, context: StageContext, labels: int, repeat: int) -> TextSplit:
        """The same labelled texts for every encoder and method."""
        return self.train.take(
            draw_labelled(self.train.labels, labels, self.classes, derive(context.seed, "labels", repeat))
        )

    def count(self, labels: int) -> int:
        """``labels``, or how many there are."""
        return min(labels or len(self.train), len(self.train))


def _score(context: StageContext, judged: Judged, method: str, labels: int, predicted: Ints) -> list[Record]:
    """Accuracy and macro-F1 of ``(runs, N)`` predictions, means over the runs."""
    truth = judged.test.labels
    seed = derive(context.seed, "judged texts", "resampled")
    values = [
        np.mean(predicted == truth, axis=1),
        np.array([macro_f1(truth, said, judged.classes) for said in predicted]),
    ]
    records = []
    for metric, runs, resampled in zip(
        ("accuracy", "macro_f1"), values, replicates(predicted, truth, judged.classes, seed), strict=True
    ):
        protocol = protocol_id(metric, judged.name, labels=judged.count(labels))
        ends = interval(runs, resampled.mean(1))
        variant = variant_id({"method": method})
        row = context.record(
            metric, runs.mean(), protocol, ci95=ends, n=len(truth), higher_is_better=True, variant=variant
        )
        records.append(dataclasses.replace(row, dataset=judged.name))
    return records


def _gain(context: StageContext, judged: Judged, labels: int, tuned: Ints, scratch: Ints) -> Record:
    """Macro-F1 of fine-tuning minus that of training from scratch, run by run."""
    truth, classes = judged.test.labels, judged.classes
    seed = derive(context.seed, "judged texts", "resampled")
    runs = np.array(
        [macro_f1(truth, a, classes) - macro_f1(truth, b, classes) for a, b in zip(tuned, scratch, strict=True)]
    )
    resampled = (replicates(tuned, truth, classes, seed)[1] - replicates(scratch, truth, classes, seed)[1]).mean(1)
    row = context.record(
        "macro_f1_gain",
        runs.mean(),
        protocol_id("macro_f1_gain", judged.name, labels=judged.count(labels)),
        ci95=interval(runs, resampled, (-1.0, 1.0)),
        n=len(truth),
        higher_is_better=True,
    )
    return dataclasses.replace(row, dataset=judged.name)


def probe(context: StageContext, system: MaskedLM, judged: Judged, config: LabelConfig) -> list[Record]:
    """Logistic regression on standardised ``embed_texts``, nothing fine-tuned."""
    data = judged.draw(context, config.probe, 0)
    features = system.embed_texts(data.texts).astype(np.float64)
    middle, spread = features.mean(0), features.std(0) + 1e-6
    test = (system.embed_texts(judged.test.texts) - middle) / spread
    said = logistic_regression((features - middle) / spread, data.labels, test)
    return _score(context, judged, "frozen", config.probe, said[None])


def _methods(system: MaskedLM, judged: Judged, config: LabelConfig) -> Mapping[str, Method]:
    texts, classes = judged.test.texts, judged.classes

    def train(data: TextSplit, at: int, seed: int, scratch: bool) -> Ints:
        rate = config.scratch_learning_rate if scratch else config.learning_rate
        recipe = Recipe(config.steps[at], config.batch_size, rate, config.max_tokens, config.dropout, config.precision)
        return sort_texts(
            fine_tune(system, data, classes, recipe, seed, scratch=scratch), system, texts, config.max_tokens
        )

    return {
        "fine-tuned": lambda data, at, seed: train(data, at, seed, False),
        "from-scratch": lambda data, at, seed: train(data, at, seed, True),
        "tf-idf": lambda data, at, seed: tfidf(data, texts, config.tfidf_strength),
        "majority": lambda data, at, seed: majority(data.labels, len(texts)),
    }


def label_efficiency(
    context: StageContext, system: MaskedLM, judged: Judged, config: LabelConfig
) -> tuple[list[Record], list[dict[str, Any]]]:
    """Rows of every method at every number of labels, and the two curves over them."""
    records: list[Record] = []
    lines: dict[str, dict[str, list[list[float]]]] = {"accuracy": {}, "macro_f1": {}}
    methods = _methods(system, judged, config)
    with Progress(
        f"fine-tune {context.name}", sum(config.repeats) * len(methods), "runs", quiet=context.quiet
    ) as progress:
        for at, labels in enumerate(config.labels):
            draws = [judged.draw(context, labels, repeat) for repeat in range(config.repeats[at])]
            said: dict[str, Ints] = {}
            for name, method in methods.items():
                runs = []
                for repeat, data in enumerate(draws):
                    runs.append(method(data, at, derive(context.seed, "fine-tuning", labels, repeat)))
                    progress.update(1, f"{name}, {len(data)} labels")
                said[name] = np.stack(runs)
                found = _score(context, judged, name, labels, said[name])
                for row in found:
                    lines[row.metric].setdefault(_TITLES[name], []).append(
                        [float(judged.count(labels)), row.value or 0.0]
                    )
                records += found
            records.append(_gain(context, judged, labels, said["fine-tuned"], said["from-scratch"]))
    return records, [
        _curve(judged, title, lines[metric]) for metric, title in (("macro_f1", "macro-F1"), ("accuracy", "accuracy"))
    ]


def _curve(judged: Judged, title: str, lines: Mapping[str, list[list[float]]]) -> dict[str, Any]:
    """Score against the number of labels, a line for each method."""
    series = [{"name": name, "points": sorted(points)} for name, points in lines.items()]
    head = f"Labels and {title}: {judged.name}"
    return {"title": head, "x": "labelled texts", "y": title, "log_x": True, "log_y": False, "series": series}
