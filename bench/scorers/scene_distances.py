"""Distances of scenes to the test set and to the training set.

A suite of asked-for scenes is no fair sample of the data: what is compared are the images drawn for test captions as
they come. Samples of another program have no such part, and all of them are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.base.files import SampleSet
from bench.base.settings import Natural
from bench.contracts import Images, ModelNeed
from bench.families.text_to_image.prompts import Suite
from bench.scorers.distribution import distances
from bench.scorers.memorisation import MemorisationOptions, copies
from bench.scorers.prompt_fidelity import suites
from bench.scorers.reference import DistanceOptions, Reference, image_splits, reference_seed
from bench.scoring import Output, Subject, scorer

__all__ = ["SceneMemorisationOptions", "scene_distribution", "scene_memorisation"]


@dataclass(frozen=True)
class SceneMemorisationOptions(MemorisationOptions):
    """Keys under ``evaluate:``; see :class:`bench.scorers.memorisation.MemorisationOptions`."""

    neighbours: Natural = 300


def _drawn_as_captions_come(samples: SampleSet, suite: Suite) -> Images:
    assert samples.images is not None
    return samples.images if suite.own else samples.images[suite.size :]


@scorer("TextToImage", options=DistanceOptions, needs={"detector": ModelNeed("Detector")})
def scene_distribution(subject: Subject, options: DistanceOptions) -> Iterator[Output]:
    """FID, KID, precision, recall, density and coverage in the detector's features."""
    reference = Reference.of(subject, "detector", options)
    for samples, suite in suites(subject):
        yield from distances(reference, _drawn_as_captions_come(samples, suite), samples.variant)


@scorer("TextToImage", options=SceneMemorisationOptions)
def scene_memorisation(subject: Subject, options: SceneMemorisationOptions) -> Iterator[Output]:
    """Distance to the training data, and the share of near copies."""
    splits, seed = image_splits(subject), reference_seed(subject)
    for samples, suite in suites(subject):
        images = _drawn_as_captions_come(samples, suite)
        yield from copies(images, splits["train"], splits["test"], options.neighbours, seed, samples.variant)
