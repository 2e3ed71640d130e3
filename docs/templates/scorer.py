"""Contrast of what a generator makes: one sentence on the question, and on what the number cannot tell.

A template to copy. A scorer asks one question of trained generators, whatever their system: it reads samples, data and
models from the ``Subject``, computes with the pure functions of ``bench/metrics``, and yields scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.base.settings import Checked, Count
from bench.metrics.contrast import contrast
from bench.metrics.protocols import protocol_id
from bench.scoring import Output, Score, Subject, scorer
from bench.stats.intervals import bootstrap_mean_ci

__all__ = ["ContrastOptions", "picture_contrast"]


@dataclass(frozen=True)
class ContrastOptions(Checked):
    """The keys under ``evaluate:`` that it reads.

    Attributes:
        contrast_n: pictures of each variant that are looked at.
    """

    contrast_n: Count = 1000


@scorer("Synthesizer", "ImageGenerator", "TextToImage", options=ContrastOptions)
def picture_contrast(subject: Subject, options: ContrastOptions) -> Iterator[Output]:
    """One score for each variant of the samples, with a bootstrap interval over its pictures."""
    for samples in subject.samples:
        if samples.images is None:
            continue
        values = contrast(samples.images[: options.contrast_n])
        interval = bootstrap_mean_ci(values, subject.derive("contrast", samples.variant))
        # The id says how the number came about; two ids never share a column.
        protocol = protocol_id("contrast", "rms", n=len(values))
        yield Score("contrast", float(values.mean()), protocol, interval, len(values), samples.variant)
