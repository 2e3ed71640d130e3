"""Known degradations of real images: what a distance between sets of images means on some data.

Each rung keeps number and size of the images. Random rungs take their generator from the caller, so that the same call
gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Degraded", "degradations"]

Bytes = NDArray[np.uint8]
Degraded = tuple[Bytes, NDArray[np.int64] | None]
"""Images ``(N, H, W, C)`` and their classes ``(N,)``, None where there are none."""

BLURS = (0.5, 1.0, 1.5, 2.0)  # standard deviation of the Gaussian, pixels
NOISES = (0.05, 0.1, 0.2)  # standard deviation, share of the range
SHIFTS = (2, 3)  # pixels, both ways
REPEATED = 50


def degradations(
    images: Bytes, labels: NDArray[np.int64] | None, random: Callable[[float], np.random.Generator]
) -> dict[str, Degraded]:
    """Real images made worse in known ways, mildest first within a kind; the first rung is the images themselves.

    Args:
        images: ``(N, H, W, C)`` uint8.
        labels: class of each image, or None: without classes, the rungs that leave out classes are missing.
        random: generator for noise of a strength (share of the range; 1.0 asks for uniform noise). Called in the order
            of the rungs.

    Returns:
        Name with unit -> images and labels of the rung.

    >>> ladder = degradations(np.zeros((3, 4, 4, 1), np.uint8), None, lambda strength: np.random.default_rng(0))
    >>> [name for name in ladder if "px" in name][:2], ladder["dimmed by a third"][0].shape
    (['blur, sigma 0.5 px', 'blur, sigma 1 px'], (3, 4, 4, 1))
    """
    ladder: dict[str, Degraded] = {"as they are": (images, labels)}
    ladder |= {f"blur, sigma {sigma:g} px": (_blurred(images, sigma), labels) for sigma in BLURS}
    for strength in NOISES:
        noise = random(strength).normal(0, 255 * strength, images.shape)
        ladder[f"noise, {strength:g} of the range"] = (_bytes(images + noise), labels)
    ladder |= {f"shifted by {shift} px": (np.roll(images, (shift, shift), axis=(1, 2)), labels) for shift in SHIFTS}
    ladder["dimmed by a third"] = (_bytes(images * (2 / 3)), labels)
    ladder[f"{REPEATED} images repeated"] = _only(images, labels, np.arange(len(images)) < REPEATED)
    if labels is not None:
        last = int(labels.max())
        ladder["one class missing"] = _only(images, labels, labels != last)
        ladder["half of the classes"] = _only(images, labels, labels <= last // 2)
    ladder["mean image"] = (np.broadcast_to(_bytes(images.mean(0)), images.shape), labels)
    ladder["uniform noise"] = (random(1.0).integers(0, 256, images.shape, dtype=np.uint8), labels)
    return ladder


def _bytes(values: NDArray[np.floating]) -> Bytes:
    return values.clip(0, 255).round().astype(np.uint8)


def _blurred(images: Bytes, sigma: float) -> Bytes:
    from scipy.ndimage import gaussian_filter

    smooth: NDArray[np.float64] = gaussian_filter(images.astype(np.float64), (0, sigma, sigma, 0))
    return _bytes(smooth)


def _only(images: Bytes, labels: NDArray[np.int64] | None, keep: NDArray[np.bool_]) -> Degraded:
    """As many images, all from those kept, which repeat."""
    pool = np.flatnonzero(keep)
    rows = pool[np.arange(len(images)) % len(pool)]
    return images[rows], None if labels is None else labels[rows]
