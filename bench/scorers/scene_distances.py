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
from bench.scorers.data_copying import CopyOptions, copies
from bench.scorers.distribution import distances
from bench.scorers.memorisation import MemorisationOptions, distance_to_training
from bench.scorers.prompt_fidelity import suites
from bench.scorers.reference import DistanceOptions, Reference, image_splits, reference_seed
from bench.scoring import Output, Subject, scorer

__all__ = ["SceneMemorisationOptions", "scene_copying", "scene_distribution", "scene_memorisation"]


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
    """Distance to the training data."""
    splits, seed = image_splits(subject), reference_seed(subject)
    for samples, suite in suites(subject):
        images = _drawn_as_captions_come(samples, suite)
        yield from distance_to_training(
            images, splits["train"], splits["test"], options.neighbours, seed, samples.variant
        )


@scorer("TextToImage", options=CopyOptions, needs={"detector": ModelNeed("Detector")})
def scene_copying(subject: Subject, options: CopyOptions) -> Iterator[Output]:
    """Tests for copies in the detector's features and in pixels; unseen scenes are those of the test captions too."""
    splits = image_splits(subject)
    sets = [(samples.variant, _drawn_as_captions_come(samples, suite)) for samples, suite in suites(subject)]
    yield from copies(subject, "detector", splits["test"].images, sets, options)
