"""Whether a classifier sees the class that was asked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.contracts import ModelNeed
from bench.metrics.protocols import protocol_id
from bench.results.extras import Table
from bench.scoring import NoOptions, Output, Score, Subject, scorer
from bench.stats.intervals import wilson_interval

__all__ = ["class_agreement"]


@scorer("ImageGenerator", needs={"feature_net": ModelNeed("Encoder")})
def class_agreement(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """Share of samples classified as asked, of every variant with classes; a table by class of the first one."""
    network, shown = subject.model("feature_net"), False
    for samples in subject.samples:
        if samples.labels is None or samples.images is None:
            continue
        try:
            right = network.logits(samples.images).argmax(1) == samples.labels
        except NotImplementedError:  # features alone: the network knows no classes
            return
        protocol = protocol_id("class_accuracy", subject.model_name("feature_net"))
        interval = wilson_interval(int(right.sum()), len(right))
        yield Score("class_accuracy", float(right.mean()), protocol, interval, len(right), samples.variant)
        if not shown:
            shown = True
            classes = np.unique(samples.labels)
            rows = [(str(k), round(100 * float(right[samples.labels == k].mean()), 1)) for k in classes]
            title = f"Asked class, by class{f' ({samples.variant})' if samples.variant else ''}"
            yield Table(title, ("class", "right, %"), tuple(rows))
