"""Contrast of samples: what is measured, of which systems, and with which options.

A template to copy: a function over one trained generator (its samples, its data, the models that measure it) that
yields scores and extras for the report. Who was measured is added by the harness; direction and unit stand in the
catalogue of metrics.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.metrics.contrast import contrast
from bench.metrics.protocols import protocol_id
from bench.scoring import NoOptions, Output, Score, Subject, scorer

__all__ = ["picture_contrast"]


@scorer("Synthesizer", "ImageGenerator")
def picture_contrast(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """Mean contrast of the samples of every variant."""
    for samples in subject.samples:
        assert samples.images is not None
        value, n = float(contrast(samples.images).mean()), len(samples.images)
        yield Score("contrast", value, protocol_id("contrast", "rms"), n=n, variant=samples.variant)
