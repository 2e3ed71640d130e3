"""Real images that no generator and no feature network has learned from, in two halves that do not meet: what the
ceiling shows, and what copying is measured against."""

from __future__ import annotations

from collections.abc import Mapping

from bench.data.datasets import ImageSplit

__all__ = ["unseen_halves"]


def unseen_halves(splits: Mapping[str, ImageSplit]) -> tuple[ImageSplit, ImageSplit]:
    """(of the ceiling, of the baseline): every other validation image.

    The test set is no baseline of copying where its images come from others than the training images do (MNIST: from
    other writers): an honest generator would seem too near to what it learned from.
    """
    validation = splits["validation"]
    return validation.take(slice(0, None, 2)), validation.take(slice(1, None, 2))
