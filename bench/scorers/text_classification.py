"""Labelled texts classified from the frozen features of a text encoder: the same test for every encoder.

Of few labels each method sees the same draws; accuracy and macro-F1 are means over draws with intervals for other test
texts and other draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.base.errors import BenchError
from bench.base.seeds import derive, generator
from bench.base.settings import Checked, Count, Natural
from bench.config.variants import variant_id
from bench.contracts import DataNeed, Ints
from bench.data.datasets import load, load_meta
from bench.data.labelled_texts import TextSplit
from bench.metrics.macro_f1 import macro_f1, resampled_scores
from bench.metrics.protocols import protocol_id
from bench.scoring import Output, Score, Subject, scorer
from bench.stats.intervals import mean_of_runs_ci

__all__ = [
    "ClassificationOptions",
    "LabelledTexts",
    "classify_frozen",
    "draw_labelled",
    "logistic_regression",
    "method_scores",
    "resampling_seed",
    "text_classification",
]


@dataclass(frozen=True)
class ClassificationOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        probe: labelled texts that the logistic regression learns from.
        tests: held-out texts to classify, 0 for all.
    """

    probe: Count = 1000
    tests: Natural = 0


@dataclass(frozen=True)
class LabelledTexts:
    """The labelled texts that encoders are measured on.

    Attributes:
        name: of the data set.
        classes: how many there are.
        train: texts to learn from.
        test: texts to classify.
        seed: the global seed: every encoder and method sees the same draws.
    """

    name: str
    classes: int
    train: TextSplit
    test: TextSplit
    seed: int

    @classmethod
    def of(cls, subject: Subject, tests: int) -> LabelledTexts:
        """From the block's ``judged_on``, read once.

        Args:
            subject: the encoder.
            tests: held-out texts, 0 for all.

        Raises:
            BenchError: the block names no such data set, or one of another kind.
        """
        return subject.once(("labelled-texts", tests), lambda: cls._read(subject, tests))

    @classmethod
    def _read(cls, subject: Subject, tests: int) -> LabelledTexts:
        folder = subject.context.other_data.get("judged_on")
        if folder is None:
            raise BenchError(
                f"{subject.name}: `judged_on: <data set of labelled texts>` is missing from its block in params.yaml"
            )
        data, meta = load(folder), load_meta(folder)
        test = data.get("test")
        if not isinstance(test, TextSplit):
            raise BenchError(f"{subject.name}: judged_on: {folder.name} is of kind {meta['kind']}, not labelled_texts")
        if tests and tests < len(test):
            test = test.take(np.sort(generator(subject.seed, "judged texts").permutation(len(test))[:tests]))
        return cls(folder.name, len(meta["classes"]), data["train"], test, subject.seed)

    def draw(self, labels: int, repeat: int) -> TextSplit:
        """The same labelled texts for every encoder and method."""
        seed = derive(self.seed, "labels", repeat)
        return self.train.take(draw_labelled(self.train.labels, labels, self.classes, seed))

    def count(self, labels: int) -> int:
        """``labels``, or how many there are."""
        return min(labels or len(self.train), len(self.train))


def draw_labelled(labels: Ints, n: int, classes: int, seed: int) -> Ints:
    """Indices of ``n`` labelled items: one of each class first, so that none is impossible, the others as they come.

    The draws of one seed are nested: those of fewer labels are among those of more. ``n`` = 0 means all.

    >>> draw_labelled(np.array([0, 0, 0, 0, 1]), 2, 2, seed=3).tolist()[-1]
    4

    Raises:
        BenchError: fewer labels than classes, or a class without an item.
    """
    if n == 0 or n >= len(labels):
        return np.arange(len(labels))
    order = np.random.default_rng(seed).permutation(len(labels))
    places = [np.flatnonzero(labels[order] == c) for c in range(classes)]
    if n < classes or not all(len(found) for found in places):
        raise BenchError(
            f"{n} labels for {classes} classes, {sum(not len(p) for p in places)} of them without a text: each "
            "needs one"
        )
    first = np.array([found[0] for found in places])
    rest = np.setdiff1d(np.arange(len(order)), first)
    return np.sort(order[np.concatenate([first, rest])[:n]])


def logistic_regression(features: Any, labels: Ints, test: Any, strength: float = 1.0) -> Ints:
    """Multinomial logistic regression on given features (scikit-learn, L-BFGS): predicted classes of ``test``.

    Args:
        features: ``(N, D)`` array or sparse matrix.
        labels: ``(N,)``.
        test: ``(M, D)``.
        strength: scikit-learn's C, the inverse of the L2 penalty.
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=2000).fit(features, labels)
    return np.asarray(model.predict(test), dtype=np.int64)


def resampling_seed(texts: LabelledTexts) -> int:
    """Of the resampled test texts: the same for all methods, so that differences may be taken."""
    return derive(texts.seed, "judged texts", "resampled")


def method_scores(texts: LabelledTexts, method: str, labels: int, predicted: Ints) -> Iterator[Score]:
    """Accuracy and macro-F1 of ``(runs, N)`` predictions, means over the runs."""
    truth = texts.test.labels
    values = {
        "accuracy": np.mean(predicted == truth, axis=1),
        "macro_f1": np.array([macro_f1(truth, said, texts.classes) for said in predicted]),
    }
    resampled = resampled_scores(predicted, truth, texts.classes, resampling_seed(texts))
    for (metric, runs), draws in zip(values.items(), resampled, strict=True):
        protocol = protocol_id(metric, texts.name, labels=texts.count(labels))
        interval = mean_of_runs_ci(runs, draws.mean(1))
        variant = variant_id({"method": method})
        yield Score(metric, float(runs.mean()), protocol, interval, len(truth), variant, dataset=texts.name)


def classify_frozen(subject: Subject, texts: LabelledTexts, labels: int) -> Iterator[Score]:
    """Logistic regression on standardised ``embed_texts``, nothing fine-tuned."""
    data, system = texts.draw(labels, 0), subject.system
    features = system.embed_texts(data.texts).astype(np.float64)
    middle, spread = features.mean(0), features.std(0) + 1e-6
    test = (system.embed_texts(texts.test.texts) - middle) / spread
    said = logistic_regression((features - middle) / spread, data.labels, test)
    return method_scores(texts, "frozen", labels, said[None])


@scorer("TextEncoder", options=ClassificationOptions, needs={"judged_on": DataNeed("labelled_texts")}, model=True)
def text_classification(subject: Subject, options: ClassificationOptions) -> Iterator[Output]:
    """Accuracy and macro-F1 of logistic regression on frozen features, at a number of labels."""
    yield from classify_frozen(subject, LabelledTexts.of(subject, options.tests), options.probe)
