"""What an analogy must beat: answers that look at one pixel of B, or at none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.families.by_example.analogies.analogy_colour import as_unit, luminance, rgb_to_yiq, to_bytes, yiq_to_rgb
from bench.families.by_example.analogies.sampling import in_colour
from bench.families.by_example.analogies.tasks import OPTIONS, Question, grey, resized

__all__ = ["floors", "single_pixel"]

Picture = NDArray[np.uint8]


def single_pixel(question: Question, picture: Picture) -> Picture:
    """What matching luminances pixel by pixel makes of B: the mean of A' where A has the nearest luminance.

    With chroma copied (``colourise``) it goes under B's luminance; with luminance copied B's chroma goes over it.
    """
    pairs = [(grey(a), in_colour(a_prime)) for a, a_prime in question.pairs]
    levels = np.concatenate([a.ravel() for a, _ in pairs])
    values = np.concatenate([a_prime.reshape(-1, 3) for _, a_prime in pairs])
    counts = np.bincount(levels, minlength=256)
    sums = np.stack([np.bincount(levels, weights=values[:, i], minlength=256) for i in range(3)], axis=1)
    known = np.flatnonzero(counts)
    nearest = known[np.abs(np.arange(256)[:, None] - known).argmin(axis=1)]
    answer = as_unit(to_bytes(sums[nearest] / counts[nearest, None] / 255.0)[grey(picture)], "answer")
    colour = OPTIONS[question.task].get("colour", "luminance")
    own = as_unit(in_colour(picture), "B")
    if colour == "chroma":
        answer = yiq_to_rgb(np.concatenate([luminance(own), rgb_to_yiq(answer)[:, :, 1:]], axis=2))
    elif colour == "luminance":
        answer = yiq_to_rgb(np.concatenate([luminance(answer), rgb_to_yiq(own)[:, :, 1:]], axis=2))
    return to_bytes(answer)


def floors(question: Question) -> dict[str, list[Picture]]:
    """Name of a floor -> its answers.

    ``identity`` is B itself (for super-resolution its repeated pixels), ``single-pixel`` see :func:`single_pixel`,
    ``bicubic`` the enlarged B of super-resolution, ``nearest-example`` the A' of the pair whose A is most like B
    (several pairs only).
    """
    shapes = [picture.shape[:2] for picture in question.pictures]
    found = {"identity": [in_colour(picture) for picture in question.pictures]}
    if question.small:
        found["bicubic"] = found["identity"]
        found["identity"] = [
            resized(in_colour(small), shape, "NEAREST") for small, shape in zip(question.small, shapes, strict=True)
        ]
    found["single-pixel"] = [single_pixel(question, picture) for picture in question.pictures]
    if len(question.pairs) > 1:
        sources = np.stack([in_colour(a) for a, _ in question.pairs]).astype(np.float64)
        nearest = [int(((sources - in_colour(b)) ** 2).mean(axis=(1, 2, 3)).argmin()) for b in question.pictures]
        found["nearest-example"] = [in_colour(question.pairs[i][1]) for i in nearest]
    return found
