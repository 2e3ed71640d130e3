"""Labelled texts sorted by a fine-tuned encoder, and the two baselines that it has to beat.

Fine-tuning is that of Devlin et al. 2019, section 3.2: one new layer on the last state of [CLS], and all weights are
trained on. "From scratch" is the same network, task, schedule and labels with random weights.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.base.processes import seeded
from bench.base.seeds import derive
from bench.contracts import RunContext
from bench.data.labelled_texts import TextSplit
from bench.families.text_encoders.masked_lm import MaskedLM
from bench.metrics.macro_f1 import f1_from_confusion
from bench.nn.encoder import Encoder
from bench.stats.intervals import Interval, mean_t_ci
from bench.training import fit

__all__ = [
    "Recipe",
    "TextClassifier",
    "draw_labelled",
    "fine_tune",
    "interval",
    "logistic_regression",
    "majority",
    "replicates",
    "sort_texts",
    "tfidf",
]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Recipe:
    """How an encoder is fine-tuned.

    Attributes:
        steps: optimiser steps.
        batch_size: texts a step.
        learning_rate: peak.
        max_tokens: tokens of a text that are read, [CLS] and [SEP] included.
        dropout: while fine-tuning.
        precision: ``fp32`` or ``bf16``.
    """

    steps: int
    batch_size: int
    learning_rate: float
    max_tokens: int
    dropout: float
    precision: str = "fp32"


class TextClassifier(nn.Module):
    """An encoder and a linear layer on the last state of its first token, [CLS]."""

    def __init__(self, encoder: Encoder, classes: int, pad: int, dropout: float) -> None:
        super().__init__()
        self.encoder, self.pad = encoder, pad
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.shape.width, classes)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(B, T)`` padded tokens to ``(B, classes)`` logits."""
        states = self.encoder(tokens, (tokens != self.pad)[:, None])  # (B, T, D)
        logits: Tensor = self.head(self.dropout(states[:, 0]))
        return logits


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


def _fresh(system: MaskedLM, scratch: bool, dropout: float, seed: int) -> Encoder:
    """A copy of the encoder, or a new one of its shape, with the dropout of fine-tuning."""
    with seeded(derive(seed, "fresh encoder")):
        encoder = Encoder(replace(system.shape, dropout=dropout))
    if not scratch:
        encoder.load_state_dict(copy.deepcopy(system.network.encoder.state_dict()))
    return encoder


def fine_tune(
    system: MaskedLM, data: TextSplit, classes: int, recipe: Recipe, seed: int, *, scratch: bool = False
) -> TextClassifier:
    """A classifier trained on ``data``.

    Args:
        system: the encoder and its vocabulary; it is not changed.
        data: labelled texts.
        classes: how many there are.
        recipe: see :class:`Recipe`.
        seed: of batches, dropout and the new layer (and, from scratch, of all weights).
        scratch: start from random weights.

    Raises:
        BenchError: all texts have one label.
    """
    if len(np.unique(data.labels)) < 2:
        raise BenchError(
            f"{len(data)} texts of one class: there is nothing to learn to tell apart; check the labels of the data set"
        )
    rows = system.encode(data.texts, recipe.max_tokens)
    encoder = _fresh(system, scratch, recipe.dropout, seed)
    with seeded(derive(seed, "head")):
        network = TextClassifier(encoder, classes, system.wordpiece.pad, recipe.dropout)

    def batches(rng: np.random.Generator, size: int) -> dict[str, Ints]:
        picked = rng.choice(len(rows), size, replace=size > len(rows))
        return {"tokens": system.pad([rows[i] for i in picked]), "labels": data.labels[picked]}

    def loss(batch: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        return {"loss": F.cross_entropy(network(batch["tokens"]).float(), batch["labels"])}

    train = {
        "steps": recipe.steps,
        "batch_size": recipe.batch_size,
        "lr": recipe.learning_rate,
        "warmup": max(1, recipe.steps // 10),
        "schedule": "cosine",
        "betas": (0.9, 0.999),
        "precision": recipe.precision,
        "checkpoint_every": 0,
        "log_every": recipe.steps,
    }
    fit(network, loss, batches, RunContext(name="fine-tuning", seed=seed, device=system.device, train=train))
    return network


@torch.inference_mode()
def sort_texts(
    network: TextClassifier, system: MaskedLM, texts: Sequence[str], max_tokens: int, batch_size: int = 64
) -> Ints:
    """``(N,)`` most probable classes; texts are read in the order of their length, so that little of a batch is
    padding."""
    rows = system.encode(texts, max_tokens)
    found = np.zeros(len(rows), dtype=np.int64)
    order = np.argsort([len(row) for row in rows], kind="stable")
    for start in range(0, len(rows), batch_size):
        places = order[start : start + batch_size]
        tokens = torch.from_numpy(system.pad([rows[i] for i in places])).to(system.device)
        found[places] = network(tokens).argmax(1).cpu().numpy()
    return found


def majority(labels: Ints, n: int) -> Ints:
    """The most frequent label, ``n`` times."""
    return np.full(n, np.bincount(labels).argmax(), dtype=np.int64)


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


def tfidf(data: TextSplit, texts: Sequence[str], strength: float) -> Ints:
    """TF-IDF of words (logarithmic counts, unit length; Salton and Buckley 1988) with logistic regression: predicted
    classes."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(sublinear_tf=True)
    features = vectorizer.fit_transform(data.texts)
    return logistic_regression(features, data.labels, vectorizer.transform(texts), strength)


def replicates(predicted: Ints, truth: Ints, classes: int, seed: int, repeats: int = 1000) -> tuple[Floats, Floats]:
    """Accuracy and macro-F1 of each run on resampled test items (bootstrap): two arrays ``(repeats, runs)``.

    Args:
        predicted: ``(runs, N)`` classes said by each run.
        truth: ``(N,)``.
        classes: how many there are.
        seed: of the resampling; equal seeds resample equal items, so that two methods' replicates may be subtracted.
        repeats: resamples.
    """
    n = len(truth)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=repeats)  # (R, N)
    accuracy, f1 = np.empty((repeats, len(predicted))), np.empty((repeats, len(predicted)))
    for run, said in enumerate(predicted):
        cells = np.zeros((n, classes * classes))
        cells[np.arange(n), truth * classes + said] = 1
        confusion = (weights @ cells).reshape(repeats, classes, classes)
        accuracy[:, run] = np.trace(confusion, axis1=1, axis2=2) / n
        f1[:, run] = f1_from_confusion(confusion).mean(-1)
    return accuracy, f1


def interval(values: Floats, resampled: Floats, bounds: Interval = (0.0, 1.0)) -> Interval:
    """95 % interval of the mean over runs, for other test items *and* other runs: the two errors added in squares.

    Args:
        values: ``(runs,)`` on all items.
        resampled: ``(repeats,)`` mean over the same runs on resampled items.
        bounds: the range of the metric.

    With one run its share cannot be known, and the interval is that of the items alone.
    """
    mean = float(values.mean())
    items = 1.96 * float(resampled.std(ddof=1))
    low, high = mean_t_ci(values) if len(values) > 1 else (mean, mean)
    half = float(np.hypot(items, (high - low) / 2))
    return max(bounds[0], mean - half), min(bounds[1], mean + half)
