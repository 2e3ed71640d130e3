"""How near a set of images lies to the test set: FID, KID, precision, recall, density, coverage.

Below N = 1,000 a Frechet distance cannot rank, so sets that are too expensive for that (the chain of all steps) are
scored, like every other variant beside them, by the unbiased kernel distance of their first few hundred images: a
protocol of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.base.seeds import generator
from bench.base.settings import Natural
from bench.contracts import Images, ModelNeed
from bench.metrics.fid import frechet_leave_group_out
from bench.metrics.kid import kernel_distance, kernel_leave_group_out
from bench.metrics.prdc import manifold_items
from bench.metrics.protocols import protocol_id
from bench.scorers.reference import DistanceOptions, Features, Reference, features_of, image_splits
from bench.scoring import Output, Score, Subject, scorer
from bench.stats.intervals import bootstrap_mean_ci, jackknife_ci, wilson_interval

__all__ = ["DistributionOptions", "distances", "distribution"]


@dataclass(frozen=True)
class DistributionOptions(DistanceOptions):
    """Keys under ``evaluate:``; see :class:`bench.scorers.reference.DistanceOptions`."""

    small_n: Natural = 250


@scorer("ImageGenerator", options=DistributionOptions, needs={"feature_net": ModelNeed("Encoder")})
def distribution(subject: Subject, options: DistributionOptions) -> Iterator[Output]:
    """Distances of every variant to the test set; of several variants the FID to the validation set as well, by which
    one is chosen."""
    reference = Reference.of(subject, "feature_net", options)
    choice = len(subject.samples) > 1 and "validation" in image_splits(subject)
    validation = Reference.of(subject, "feature_net", options, "validation") if choice else None
    for samples in subject.samples:
        assert samples.images is not None
        yield from distances(reference, samples.images, samples.variant, validation)


def distances(
    reference: Reference, images: Images, variant: str, validation: Reference | None = None
) -> Iterator[Score]:
    """FID, its multiple of the floor, KID, precision, recall, density and coverage; fewer images than the minimum give
    none. Of ``validation`` the FID alone."""
    options, n = reference.options, len(images)
    if n < min(options.minimum_n, options.small_n or options.minimum_n):
        return
    features = features_of(reference.network, images)
    if n >= options.minimum_n:
        yield from _frechet(reference, features, variant)
        if validation is not None:
            yield next(_frechet(validation, features, variant))
        yield _kernel(reference, features, options.minimum_n, variant)
        yield from _manifold(reference, features, variant)
    if options.small_n and n >= options.small_n:
        yield _kernel(reference, features[: options.small_n], options.small_n, variant)


def _protocol(reference: Reference, metric: str, n: int, **settings: Any) -> str:
    return protocol_id(metric, reference.name, ref=reference.ref, n=n, **settings)


def _frechet(reference: Reference, features: Features, variant: str) -> Iterator[Score]:
    options, n = reference.options, len(features)
    least = options.minimum_n
    fid = reference.fid_of_features(features)
    left_out = frechet_leave_group_out(features, reference.statistics, options.groups, reference.seed, minimum_n=least)
    low, high = jackknife_ci(fid, left_out, lower=0.0)
    floor = reference.floor(n)
    protocol = _protocol(reference, "fid", n, minimum_n=least)
    yield Score("fid", fid, protocol, (low, high), n, variant, split=reference.split)
    floor = reference.floor(n)
    if math.isfinite(floor):
        drawn = f"{reference.floor_kind}-x{options.floor_draws}"
        protocol = _protocol(reference, "fid_ratio", n, floor=drawn, minimum_n=least)
        yield Score("fid_ratio", fid / floor, protocol, (low / floor, high / floor), n, variant)


def _kernel(reference: Reference, features: Features, least: int, variant: str) -> Score:
    value = kernel_distance(features, reference.features, minimum_n=least)
    left_out = kernel_leave_group_out(
        features, reference.features, reference.options.groups, reference.seed, minimum_n=least
    )
    protocol = _protocol(reference, "kid", len(features), minimum_n=least)
    return Score("kid", value, protocol, jackknife_ci(value, left_out), len(features), variant)


def _manifold(reference: Reference, features: Features, variant: str) -> Iterator[Score]:
    options = reference.options
    size = min(options.manifold_n, len(features), len(reference.features))
    chosen = generator(reference.seed, "manifold").permutation(len(reference.features))[:size]
    items = manifold_items(reference.features[chosen], features[:size], options.manifold_k)
    for metric in ("precision", "recall", "density", "coverage"):
        values = getattr(items, metric)
        interval = (
            bootstrap_mean_ci(values, reference.seed)
            if metric == "density"
            else wilson_interval(float(values.sum()), size)
        )
        protocol = _protocol(reference, metric, size, k=options.manifold_k)
        yield Score(metric, float(values.mean()), protocol, interval, size, variant)
