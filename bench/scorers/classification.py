"""Classifiers: accuracy on the test split, and what they get wrong."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.base.errors import BenchError
from bench.contracts import DetectsObjects
from bench.metrics.protocols import protocol_id
from bench.results.extras import Gallery, Table
from bench.results.pictures import grid, png_bytes
from bench.scorers.reference import image_splits
from bench.scorers.shares import share
from bench.scoring import NoOptions, Output, Subject, scorer

__all__ = ["classification"]


@scorer("Encoder", model=True)
def classification(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """Top-1 accuracy where data and encoder have classes; encoders of scenes have scorers of their own.

    Raises:
        BenchError: the data has nothing to measure an encoder by.
    """
    test, system = image_splits(subject)["test"], subject.system
    if isinstance(system, DetectsObjects) or (test.captions is not None and test.scene is not None):
        return
    if test.labels is None:
        raise BenchError(f"{subject.name}: {subject.dataset} has neither labels nor captions to measure an encoder by")
    try:
        said = system.logits(test.images).argmax(1)
    except NotImplementedError:  # features alone: the network knows no classes
        return
    right = said == test.labels
    yield share("accuracy", right, protocol_id("accuracy", subject.dataset, "top-1"))
    rows = tuple(
        (int(c), int((test.labels == c).sum()), round(100 * float(right[test.labels == c].mean()), 2))
        for c in np.unique(test.labels)
    )
    yield Table("Accuracy by class", ("class", "test pictures", "right, %"), rows)
    wrong = np.flatnonzero(~right)[:20]
    if len(wrong):
        captions = tuple(f"{test.labels[i]}, seen as {said[i]}" for i in wrong)
        yield Gallery(
            "Mistakes on the test set",
            png_bytes(grid(test.images[wrong], columns=10)),
            f"Test pictures classified wrongly: {'; '.join(captions)}.",
            columns=min(10, len(wrong)),
            captions=captions,
        )
