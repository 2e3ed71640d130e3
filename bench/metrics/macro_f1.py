"""Macro-averaged F1: every class counts alike, however rare (Yang and Liu 1999, "A re-examination of text
categorization methods")."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.base.errors import BenchError

__all__ = ["confusion_matrix", "f1_from_confusion", "macro_f1", "resampled_scores"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def confusion_matrix(truth: ArrayLike, predicted: ArrayLike, classes: int) -> Ints:
    """``(classes, classes)`` counts, true class by row.

    >>> confusion_matrix([0, 0, 1], [0, 1, 1], 2).tolist()
    [[1, 1], [0, 1]]

    Raises:
        BenchError: unequal lengths, nothing at all, or a class outside ``[0, classes)``.
    """
    true, said = np.asarray(truth, dtype=np.int64).reshape(-1), np.asarray(predicted, dtype=np.int64).reshape(-1)
    if len(true) != len(said) or not len(true):
        raise BenchError(f"macro_f1: {len(true)} true classes and {len(said)} predicted ones")
    if min(true.min(), said.min()) < 0 or max(true.max(), said.max()) >= classes:
        raise BenchError(f"macro_f1: classes must be whole numbers from 0 to {classes - 1}")
    return np.bincount(true * classes + said, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def f1_from_confusion(confusion: ArrayLike) -> Floats:
    """F1 of each class, ``2 tp / (2 tp + fp + fn)``: ``(..., K, K)`` counts to ``(..., K)``; 0 for a class that neither
    occurs nor is said.

    >>> f1_from_confusion([[1, 1], [0, 1]]).round(3).tolist()
    [0.667, 0.667]
    """
    counts = np.asarray(confusion, dtype=np.float64)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    either = counts.sum(-1) + counts.sum(-2)
    found: Floats = np.divide(2 * hits, either, out=np.zeros_like(either), where=either > 0)
    return found


def macro_f1(truth: ArrayLike, predicted: ArrayLike, classes: int) -> float:
    """Mean over all ``classes`` of their F1: 1 is perfect, and saying one class always is near ``1 / classes`` at best.

    Args:
        truth: ``(N,)`` true classes.
        predicted: ``(N,)``.
        classes: how many there are, those that do not occur included.

    >>> round(macro_f1([0, 0, 0, 1], [0, 0, 0, 0], 2), 3)
    0.429
    """
    return float(f1_from_confusion(confusion_matrix(truth, predicted, classes)).mean())


def resampled_scores(
    predicted: Ints, truth: Ints, classes: int, seed: int, repeats: int = 1000
) -> tuple[Floats, Floats]:
    """Accuracy and macro-F1 of each run on resampled test items (bootstrap): two arrays ``(repeats, runs)``.

    Args:
        predicted: ``(runs, N)`` classes said by each run.
        truth: ``(N,)``.
        classes: how many there are.
        seed: of the resampling; equal seeds resample equal items, so that two methods' values may be subtracted.
        repeats: resamples.

    >>> accuracy, f1 = resampled_scores(np.array([[0, 1, 1]]), np.array([0, 1, 1]), 2, seed=0, repeats=4)
    >>> accuracy.ravel().tolist()
    [1.0, 1.0, 1.0, 1.0]
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
