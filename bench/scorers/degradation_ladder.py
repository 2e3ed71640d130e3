"""Real images degraded in known ways: what a figure of FID means on this data."""

from __future__ import annotations

from collections.abc import Iterator

from bench.contracts import ModelNeed
from bench.evaluation.images import degradations
from bench.results.extras import Table
from bench.scorers.distribution import DistributionOptions
from bench.scorers.reference import Reference, real_images, reference_seed
from bench.scoring import Output, Subject, scorer

__all__ = ["degradation_ladder"]


@scorer("ImageGenerator", options=DistributionOptions, needs={"feature_net": ModelNeed("Encoder")})
def degradation_ladder(subject: Subject, options: DistributionOptions) -> Iterator[Output]:
    """The ladder as a table, beside the ceiling alone: it says nothing of a generator."""
    first = subject.samples[0].images
    if subject.role != "ceiling" or first is None or len(first) < options.minimum_n:
        return
    reference = Reference.of(subject, "feature_net", options)
    n = len(first)
    images, labels = real_images(subject, n, 0)
    rows, floor = [], reference.floor(n)
    for name, (degraded, asked) in degradations(images, labels, reference_seed(subject)).items():
        fid = reference.fid(degraded)
        seen = reference.network.logits(degraded).argmax(1)
        right = "" if asked is None else round(100 * float((seen == asked).mean()), 1)
        rows.append((name, round(fid, 2), round(fid / floor, 1), right))
    yield Table(
        "Ladder of known degradations",
        ("real pictures", "FID", "multiples of the floor", "seen as their class, %"),
        tuple(rows),
        f"{n:,} real training pictures against the test set; the floor is {floor:.2f}.",
    )
