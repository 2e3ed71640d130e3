"""Real images degraded in known ways: what a figure of FID means on this data, in the features of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bench.base.seeds import generator
from bench.base.settings import Checked, Natural
from bench.contracts import Images, Ints, ModelNeed
from bench.metrics.degradations import degradations
from bench.metrics.protocols import MINIMUM_N
from bench.results.extras import Table
from bench.scorers.distribution import DistributionOptions
from bench.scorers.reference import DistanceOptions, Reference, image_splits, real_images, reference_seed
from bench.scoring import Output, Subject, scorer

__all__ = ["FeatureLadderOptions", "degradation_ladder", "feature_ladder"]


@dataclass(frozen=True)
class FeatureLadderOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        ladder_n: training images of each rung, 0 for no ladder.
    """

    ladder_n: Natural = 0


@scorer("ImageGenerator", options=DistributionOptions, needs={"feature_net": ModelNeed("Encoder")})
def degradation_ladder(subject: Subject, options: DistributionOptions) -> Iterator[Output]:
    """The ladder as a table, beside the ceiling alone: it says nothing of a generator."""
    first = subject.samples[0].images
    if subject.role != "ceiling" or first is None or len(first) < options.minimum_n:
        return
    reference, seed = Reference.of(subject, "feature_net", options), reference_seed(subject)
    images, labels = real_images(subject, len(first), 0)
    floor = reference.floor(len(first))
    # The strengths were once shares of half the range; the name of a draw keeps its number.
    yield _table(reference, images, labels, lambda strength: generator(seed, "noise", str(2 * strength)), floor)


@scorer("Encoder", options=FeatureLadderOptions, model=True)
def feature_ladder(subject: Subject, options: FeatureLadderOptions) -> Iterator[Output]:
    """The ladder in an encoder's own features: can FID in them tell images apart?"""
    if not options.ladder_n:
        return
    train, test, seed = image_splits(subject)["train"], image_splits(subject)["test"], subject.derive("ladder")
    n = min(options.ladder_n, len(train))
    real = train.take(np.sort(np.random.default_rng(seed).permutation(len(train))[:n]))
    distances = DistanceOptions(minimum_n=min(MINIMUM_N, n, len(test)))
    reference = Reference(subject.system, subject.name, test.images, lambda n, i: real.images, distances, seed)
    floor, rng = max(reference.fid(real.images), 1e-9), np.random.default_rng(seed)
    yield _table(reference, real.images, None, lambda strength: rng, floor)


def _table(
    reference: Reference,
    images: Images,
    labels: Ints | None,
    random: Callable[[float], np.random.Generator],
    floor: float,
) -> Table:
    """FID to the test set of every rung; where the images have classes, also how many a classifier still sees."""
    rows: list[tuple[str | float, ...]] = []
    for name, (degraded, asked) in degradations(images, labels, random).items():
        fid = reference.fid(degraded)
        row: tuple[str | float, ...] = (name, float(f"{fid:.6g}"), float(f"{fid / floor:.4g}"))
        if asked is not None:
            row += (round(100 * float((reference.network.logits(degraded).argmax(1) == asked).mean()), 1),)
        rows.append(row)
    return Table(
        "Ladder of known degradations",
        ("real images", "FID", "multiples of the floor", "seen as their class, %")[: len(rows[0])],
        tuple(rows),
        f"{len(images):,} real training images against {len(reference.features):,} test images, in the features of "
        f"{reference.name}; the floor is {floor:.4g}.",
    )
