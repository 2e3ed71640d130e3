"""What pre-training is worth in labels: one experiment in which every method learns from the same draws of labelled
texts.

The encoder fine-tuned from [CLS], the same network from scratch, TF-IDF with logistic regression, and the majority
class (after Howard and Ruder 2018, figure 3). The difference of the first two is taken on the same draws and the same
resampled test texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from bench.base.errors import BenchError
from bench.base.precision import Precision
from bench.base.progress import Progress
from bench.base.seeds import derive
from bench.base.settings import Checked, Count, Natural, Positive, Range
from bench.base.texts import combining_marks
from bench.capabilities import FineTunable
from bench.contracts import DataNeed, Ints
from bench.data.labelled_texts import TextSplit
from bench.metrics.macro_f1 import macro_f1, resampled_scores
from bench.metrics.protocols import protocol_id
from bench.results.extras import Curve, lines_of
from bench.scorers.fine_tuning import Recipe, classify, fine_tune
from bench.scorers.text_classification import (
    LabelledTexts,
    classify_frozen,
    logistic_regression,
    method_scores,
    resampling_seed,
)
from bench.scoring import Output, Score, Subject, scorer
from bench.stats.intervals import mean_of_runs_ci

__all__ = ["LabelOptions", "label_efficiency", "majority", "tfidf"]

Method = Callable[[TextSplit, int, int], Ints]
"""(labelled texts, which label budget, seed) -> predicted classes of the test texts."""

_TITLES = {
    "fine-tuned": "fine-tuned after masked pre-training",
    "from-scratch": "same network from scratch",
    "tf-idf": "TF-IDF + logistic regression",
    "majority": "majority class",
}


@dataclass(frozen=True)
class LabelOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        labels: numbers of labelled texts to fine-tune with, 0 for all; empty for no fine-tuning.
        repeats: draws of labelled texts for each of ``labels``.
        steps: optimiser steps for each of ``labels``.
        batch_size: texts a step.
        learning_rate: of fine-tuning.
        scratch_learning_rate: of training from scratch (both chosen on the validation split).
        dropout: while fine-tuning and from scratch.
        max_tokens: tokens of a text that a classifier reads.
        precision: ``fp32``, ``bf16`` (autocast) or ``auto`` while fine-tuning and from scratch.
        tfidf_strength: scikit-learn's C of the logistic regression on TF-IDF.
        probe: labelled texts for logistic regression on ``embed_texts``, with nothing fine-tuned; 0 for none.
        tests: held-out texts to classify, 0 for all.
    """

    labels: tuple[Natural, ...] = ()
    repeats: tuple[Count, ...] = ()
    steps: tuple[Count, ...] = ()
    batch_size: Count = 16
    learning_rate: Positive = 1e-3
    scratch_learning_rate: Positive = 1e-3
    dropout: Annotated[float, Range(low=0, below=1)] = 0.1
    max_tokens: Annotated[int, Range(low=3)] = 64  # [CLS], a token and [SEP]
    precision: Precision = "fp32"
    tfidf_strength: Positive = 10.0
    probe: Natural = 0
    tests: Natural = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not len(self.labels) == len(self.repeats) == len(self.steps):
            raise ValueError(
                f"labels, repeats and steps need as many values each, not {self.labels}, {self.repeats} and "
                f"{self.steps}"
            )

    def recipe(self, at: int, scratch: bool) -> Recipe:
        """How the network is trained with the ``at``-th number of labels."""
        rate = self.scratch_learning_rate if scratch else self.learning_rate
        return Recipe(self.steps[at], self.batch_size, rate, self.max_tokens, self.dropout, self.precision)


def majority(labels: Ints, n: int) -> Ints:
    """The most frequent label, ``n`` times."""
    return np.full(n, np.bincount(labels).argmax(), dtype=np.int64)


def tfidf(data: TextSplit, texts: Sequence[str], strength: float) -> Ints:
    """TF-IDF of words (logarithmic counts, unit length; Salton and Buckley 1988) with logistic regression: predicted
    classes."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    # scikit-learn's own pattern, \b\w\w+\b, ends a word at a vowel sign of Devanagari.
    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=rf"\w(?:\w|{combining_marks()})+")
    features = vectorizer.fit_transform(data.texts)
    return logistic_regression(features, data.labels, vectorizer.transform(texts), strength)


@scorer("MaskedLanguageModel", options=LabelOptions, needs={"judged_on": DataNeed("labelled_texts")}, model=True)
def label_efficiency(subject: Subject, options: LabelOptions) -> Iterator[Output]:
    """Scores of every method at every number of labels, the gain of pre-training, and curves over the labels."""
    if options.probe:
        yield from classify_frozen(subject, LabelledTexts.of(subject, options.tests), options.probe)
    if not options.labels:
        return
    if not isinstance(subject.system, FineTunable):
        raise BenchError(f"{subject.name}: labels: {subject.block['system']} cannot be fine-tuned (no FineTunable)")
    texts = LabelledTexts.of(subject, options.tests)
    methods = _methods(subject.system, texts, options)
    points: dict[str, list[tuple[str, float, float]]] = {"macro_f1": [], "accuracy": []}
    runs = sum(options.repeats) * len(methods)
    with Progress(f"fine-tune {subject.name}", runs, "runs", quiet=subject.context.quiet) as progress:
        for at, labels in enumerate(options.labels):
            draws = [texts.draw(labels, repeat) for repeat in range(options.repeats[at])]
            said: dict[str, Ints] = {}
            for name, method in methods.items():
                found = []
                for repeat, data in enumerate(draws):
                    found.append(method(data, at, derive(subject.seed, "fine-tuning", labels, repeat)))
                    progress.update(1, f"{name}, {len(data)} labels")
                said[name] = np.stack(found)
                for score in method_scores(texts, name, labels, said[name]):
                    points[score.metric].append((_TITLES[name], float(texts.count(labels)), score.value or 0.0))
                    yield score
            yield _gain(texts, labels, said["fine-tuned"], said["from-scratch"])
    for metric, title in (("macro_f1", "macro-F1"), ("accuracy", "accuracy")):
        head, series = f"Labels and {title}: {texts.name}", lines_of(points[metric])
        yield Curve(head, "labelled texts", title, series, log_x=True)


def _methods(system: FineTunable, texts: LabelledTexts, options: LabelOptions) -> Mapping[str, Method]:
    test, classes = texts.test.texts, texts.classes

    def train(data: TextSplit, at: int, seed: int, scratch: bool) -> Ints:
        network = fine_tune(system, data, classes, options.recipe(at, scratch), seed, scratch=scratch)
        return classify(network, system, test, options.max_tokens)

    return {
        "fine-tuned": lambda data, at, seed: train(data, at, seed, False),
        "from-scratch": lambda data, at, seed: train(data, at, seed, True),
        "tf-idf": lambda data, at, seed: tfidf(data, test, options.tfidf_strength),
        "majority": lambda data, at, seed: majority(data.labels, len(test)),
    }


def _gain(texts: LabelledTexts, labels: int, tuned: Ints, scratch: Ints) -> Score:
    """Macro-F1 of fine-tuning minus that of training from scratch, run by run."""
    truth, classes, seed = texts.test.labels, texts.classes, resampling_seed(texts)
    runs = np.array(
        [macro_f1(truth, a, classes) - macro_f1(truth, b, classes) for a, b in zip(tuned, scratch, strict=True)]
    )
    draws = resampled_scores(tuned, truth, classes, seed)[1] - resampled_scores(scratch, truth, classes, seed)[1]
    protocol = protocol_id("macro_f1_gain", texts.name, labels=texts.count(labels))
    interval = mean_of_runs_ci(runs, draws.mean(1), (-1.0, 1.0))
    return Score("macro_f1_gain", float(runs.mean()), protocol, interval, len(truth), dataset=texts.name)
