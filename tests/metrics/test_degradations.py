"""The ladder of known degradations: each rung does what its name says, in the unit that it names."""

from __future__ import annotations

import numpy as np
import pytest

from bench.contracts import Images
from bench.metrics.degradations import ENCODER_LADDER, IMAGE_LADDER, Ladder, degradations


@pytest.fixture
def images() -> Images:
    return np.random.default_rng(0).integers(60, 196, (80, 16, 16, 1)).astype(np.uint8)


LABELS = np.arange(80) % 4


@pytest.mark.parametrize("ladder", [IMAGE_LADDER, ENCODER_LADDER])
def test_rungs_have_the_shape_and_type_of_the_images_and_a_seed(images: Images, ladder: Ladder) -> None:
    before = images.copy()
    first, again, other = (degradations(images, LABELS, seed, ladder) for seed in (1, 1, 2))
    assert np.array_equal(images, before)
    for name, (made, labels) in first.items():
        assert made.shape == images.shape and made.dtype == np.uint8 and labels is not None and len(labels) == 80
        assert np.array_equal(made, again[name][0])
        assert np.array_equal(made, other[name][0]) is ("noise" not in name)


def test_each_rung_does_what_it_says(images: Images) -> None:
    made = {name: one for name, (one, _) in degradations(images, LABELS, 0, IMAGE_LADDER).items()}
    for share in (0.05, 0.1, 0.2):
        spread = (made[f"noise, {share:g} of the range"].astype(float) - images).std()
        assert spread == pytest.approx(255 * share, rel=0.1)
    deviations = [made[f"blur, sigma {sigma:g} px"].std() for sigma in (0.5, 1, 1.5, 2)]
    assert images.std() > deviations[0] and deviations == sorted(deviations, reverse=True)
    impulse = np.zeros((1, 33, 33, 1), np.uint8)
    impulse[0, 16, 16] = 255
    blurred = degradations(impulse, None, 0, Ladder(blurs=(2.0,)))["blur, sigma 2 px"][0].astype(float)[0, :, :, 0]
    assert blurred[16, 16] / blurred[16, 18] == pytest.approx(np.exp(0.5), rel=0.1)  # one sigma from the centre
    assert np.array_equal(made["shifted by 3 px"][:, 3:, 3:], images[:, :-3, :-3])
    np.testing.assert_array_equal(made["brightness times 0.67"], np.rint(images * (2 / 3)))
    assert len(np.unique(made["50 images repeated"], axis=0)) == 50


def test_classes_go_missing_with_their_labels(images: Images) -> None:
    made = degradations(images, LABELS, 0, IMAGE_LADDER)
    for name, left in (("one class missing", {0, 1, 2}), ("half of the classes", {0, 1})):
        pictures, labels = made[name]
        assert labels is not None and set(labels.tolist()) == left
        kept = np.flatnonzero(np.isin(LABELS, list(left)))
        assert np.array_equal(pictures[: len(kept)], images[kept])
    assert not {"one class missing", "half of the classes"} & set(degradations(images, None, 0, IMAGE_LADDER))


def test_extremes(images: Images) -> None:
    made = degradations(images, None, 0, ENCODER_LADDER)
    np.testing.assert_array_equal(made["mean image"][0][7], np.rint(images.mean(0)))
    counts = np.bincount(made["uniform noise"][0].ravel(), minlength=256)
    assert counts.min() > 0 and counts.std() < 2 * np.sqrt(counts.mean())
