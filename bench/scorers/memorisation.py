"""How near samples lie to the training set, in pixels, with unseen test images as the baseline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.base.seeds import generator
from bench.base.settings import Checked, Natural
from bench.contracts import Images
from bench.data.datasets import ImageSplit
from bench.families.images.sampling import ROWS
from bench.metrics.memorisation import nearest_train
from bench.metrics.protocols import protocol_id
from bench.scorers.reference import image_splits, reference_seed
from bench.scoring import Output, Score, Subject, scorer
from bench.stats.intervals import bootstrap_mean_ci

__all__ = ["MemorisationOptions", "distance_to_training", "memorisation"]


@dataclass(frozen=True)
class MemorisationOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        neighbours: samples whose nearest training neighbour is looked up; 0 for none.
    """

    neighbours: Natural = 500


@scorer("ImageGenerator", options=MemorisationOptions)
def memorisation(subject: Subject, options: MemorisationOptions) -> Iterator[Output]:
    """Distance to the training data of every variant."""
    splits = image_splits(subject)
    for samples in subject.samples:
        assert samples.images is not None
        # The gallery's images, all classes alike, come first and would tilt the mean distance: others are looked up.
        others = samples.images[10 * ROWS :] if len(samples.images) > 20 * ROWS else samples.images
        seed = reference_seed(subject)
        yield from distance_to_training(
            others, splits["train"], splits["test"], options.neighbours, seed, samples.variant
        )


def distance_to_training(
    images: Images, train: ImageSplit, test: ImageSplit, neighbours: int, seed: int, variant: str
) -> Iterator[Score]:
    """Mean distance to the training set over that of unseen test images."""
    chosen, n = images[:neighbours], min(neighbours, len(images))
    if not n:
        return
    heldout = test.images[generator(seed, "heldout").permutation(len(test.images))[:neighbours]]
    found = nearest_train(chosen, train.images, heldout)
    baseline = float(found.heldout_distances.mean())
    low, high = bootstrap_mean_ci(found.distances, seed)
    protocol = protocol_id("nearest_train_ratio", "pixels", n=n, heldout=len(heldout), ref=f"train{len(train.images)}")
    yield Score("nearest_train_ratio", found.value, protocol, (low / baseline, high / baseline), n, variant)
