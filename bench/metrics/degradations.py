"""Real images made worse in known ways: a ladder beside which a distance between sets of images can be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.base.seeds import generator
from bench.contracts import Images, Ints

__all__ = ["ENCODER_LADDER", "IMAGE_LADDER", "Ladder", "degradations"]


@dataclass(frozen=True)
class Ladder:
    """The rungs of a ladder, mildest first within a kind.

    Attributes:
        blurs: standard deviations of Gaussian blurs, in pixels.
        noises: standard deviations of added noise, in shares of the range from 0 to 255.
        shift: down and to the right, around the edge, in pixels.
        brightness: factor of all bytes; 1 for no such rung.
        repeated: number of different images in a set that repeats them.
        fewer_classes: also without the last class, and with the first half of the classes (for labelled images).
        extremes: also the mean image and uniform noise.
        blurred_in: floating-point type of the blur; it decides ties of rounding.
        one_stream: all noise comes from one generator in turn; else each rung has a generator of its own.
    """

    blurs: tuple[float, ...] = (0.5, 1.0, 2.0)
    noises: tuple[float, ...] = (0.05, 0.1, 0.2)
    shift: int = 2
    brightness: float = 1.0
    repeated: int = 50
    fewer_classes: bool = False
    extremes: bool = False
    blurred_in: type[np.floating] = np.float64
    one_stream: bool = False


IMAGE_LADDER = Ladder(blurs=(0.5, 1.0, 1.5, 2.0), shift=3, brightness=2 / 3, fewer_classes=True)
"""For generators of labelled images."""
ENCODER_LADDER = Ladder(extremes=True, blurred_in=np.float32, one_stream=True)
"""For encoders whose features are compared."""


def degradations(
    images: Images, labels: Ints | None, seed: int, ladder: Ladder
) -> dict[str, tuple[Images, Ints | None]]:
    """Name of the rung, with its unit -> images of the same shape, and their classes.

    Args:
        images: ``(N, H, W, C)`` uint8.
        labels: ``(N,)`` classes, or None: then no rung is about classes.
        seed: of the noise.
        ladder: which rungs.

    >>> images = np.zeros((4, 8, 8, 1), np.uint8)
    >>> list(degradations(images, None, 0, Ladder(blurs=(1.0,), noises=(0.1,), repeated=2)))
    ['blur, sigma 1 px', 'noise, 0.1 of the range', 'shifted by 2 px', '2 images repeated']
    """
    sequence = np.random.default_rng(seed)

    def stream(share: float) -> np.random.Generator:
        return sequence if ladder.one_stream else generator(seed, "noise", str(2 * share))

    def chosen(rows: NDArray[np.integer]) -> tuple[Images, Ints | None]:
        rows = rows[np.arange(len(images)) % len(rows)]
        return images[rows], None if labels is None else labels[rows]

    made: dict[str, tuple[Images, Ints | None]] = {}
    for sigma in ladder.blurs:
        made[f"blur, sigma {sigma:g} px"] = (_blurred(images, sigma, ladder.blurred_in), labels)
    for share in ladder.noises:
        made[f"noise, {share:g} of the range"] = (_noisy(images, share, stream), labels)
    made[f"shifted by {ladder.shift} px"] = (np.roll(images, (ladder.shift, ladder.shift), axis=(1, 2)), labels)
    if ladder.brightness != 1:
        dimmed = (images * ladder.brightness).round().astype(np.uint8)
        made[f"brightness times {ladder.brightness:.2g}"] = (dimmed, labels)
    made[f"{ladder.repeated} images repeated"] = chosen(np.arange(min(ladder.repeated, len(images))))
    if ladder.fewer_classes and labels is not None:
        last = int(labels.max())
        made["one class missing"] = chosen(np.flatnonzero(labels != last))
        made["half of the classes"] = chosen(np.flatnonzero(labels <= last // 2))
    if ladder.extremes:
        mean = np.rint(images.mean(0)).astype(np.uint8)
        made["mean image"] = (np.broadcast_to(mean, images.shape), labels)
        made["uniform noise"] = (sequence.integers(0, 256, images.shape, dtype=np.uint8), labels)
    return made


def _blurred(images: Images, sigma: float, kind: type[np.floating]) -> Images:
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(images.astype(kind), (0, sigma, sigma, 0))
    blurred: Images = np.rint(smooth).clip(0, 255).astype(np.uint8)
    return blurred


def _noisy(images: Images, share: float, stream: Callable[[float], np.random.Generator]) -> Images:
    noisy: Images = np.rint((images + stream(share).normal(0, 255 * share, images.shape)).clip(0, 255)).astype(np.uint8)
    return noisy
