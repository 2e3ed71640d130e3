"""Zero-shot classification by class descriptions (Radford et al. 2021, "CLIP", sec. 3.1): prompt templates, alone and
as an ensemble."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.base.errors import BenchError
from bench.metrics.arrays import unit_rows

__all__ = ["class_weights", "mean_per_class", "zero_shot_accuracy", "zero_shot_predictions"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def class_weights(class_text_emb: ArrayLike) -> Floats:
    """``(K, D)`` unit vectors from ``(K, D)``, or from ``(K, T, D)``: each template normalised, averaged, normalised
    again."""
    weights = unit_rows(class_text_emb)
    if weights.ndim == 3:
        weights = unit_rows(weights.mean(axis=1))
    if weights.ndim != 2:
        raise BenchError(f"zero_shot_accuracy: class embeddings must be (K, D) or (K, T, D), got {weights.shape}")
    return weights


def zero_shot_predictions(image_emb: ArrayLike, class_text_emb: ArrayLike) -> Ints:
    """The class of the nearest description for each picture, ``(N,)``."""
    images, weights = unit_rows(image_emb), class_weights(class_text_emb)
    if images.ndim != 2 or images.shape[1] != weights.shape[1]:
        raise BenchError(
            f"zero_shot_accuracy: image embeddings {images.shape} do not fit class embeddings {weights.shape}"
        )
    return np.asarray((images @ weights.T).argmax(axis=1), dtype=np.int64)


def mean_per_class(correct: ArrayLike, labels: ArrayLike) -> float:
    """Mean over the classes that occur of the share right, from 0/1 ``correct (N,)`` and true classes ``(N,)``.

    >>> mean_per_class([1, 1, 0, 1], [0, 0, 0, 2])
    0.8333333333333333
    """
    hits, truth = np.asarray(correct, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    found = np.bincount(truth)
    return float((np.bincount(truth, hits) / np.maximum(found, 1))[found > 0].mean())


def zero_shot_accuracy(image_emb: ArrayLike, class_text_emb: ArrayLike, labels: ArrayLike) -> dict[str, Any]:
    """Accuracy over pictures, mean over classes, and chance.

    Args:
        image_emb: ``(N, D)``.
        class_text_emb: ``(K, D)`` for one template, ``(K, T, D)`` for an ensemble of T.
        labels: ``(N,)`` true classes in ``[0, K)``.

    Returns:
        ``accuracy``, ``mean_per_class`` (over the classes that occur), ``chance`` (1 / K), ``correct`` ``(N,)`` float
        0/1, ``predictions`` ``(N,)`` and ``per_class`` ``(K,)`` (nan where a class does not occur).

    >>> result = zero_shot_accuracy([[1, 0], [1, 0], [0, 1]], [[1.0, 0.1], [0.1, 1.0]], [0, 1, 1])
    >>> round(result["accuracy"], 3), result["mean_per_class"], result["chance"]
    (0.667, 0.75, 0.5)
    """
    predictions = zero_shot_predictions(image_emb, class_text_emb)
    truth = np.asarray(labels, dtype=np.int64)
    classes = np.asarray(class_text_emb).shape[0]
    if truth.shape != predictions.shape or len(truth) == 0 or truth.min() < 0 or truth.max() >= classes:
        raise BenchError(
            f"zero_shot_accuracy: labels must be {predictions.shape} integers in [0, {classes}), got shape "
            f"{truth.shape}"
        )
    correct = (predictions == truth).astype(np.float64)
    counts = np.bincount(truth, minlength=classes)
    with np.errstate(invalid="ignore"):
        per_class = np.bincount(truth, weights=correct, minlength=classes) / counts
    return {
        "accuracy": float(correct.mean()),
        "mean_per_class": float(np.nanmean(per_class)),
        "chance": 1.0 / classes,
        "correct": correct,
        "predictions": predictions,
        "per_class": per_class,
    }
