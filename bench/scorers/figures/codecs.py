"""Reconstructions beside their originals, the size of a code, and how often each code is used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.base.settings import Checked, Count
from bench.metrics.codebook import bits_per_image
from bench.results.extras import Curve, Gallery, Line, Note
from bench.results.pictures import grid, png_bytes
from bench.scorers.reconstruction import coded
from bench.scorers.reference import image_splits
from bench.scoring import Output, Subject, scorer

__all__ = ["CodecFigureOptions", "codec_figures"]


@dataclass(frozen=True)
class CodecFigureOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        gallery: test images shown with their reconstructions.
    """

    gallery: Count = 20


@scorer("Codec", options=CodecFigureOptions, model=True)
def codec_figures(subject: Subject, options: CodecFigureOptions) -> Iterator[Output]:
    """Gallery, note on the rate, and for a codebook the curve of its use."""
    found, originals = coded(subject), image_splits(subject)["test"].images
    count = min(options.gallery, len(originals))
    yield Gallery(
        title="Test pictures after coding and decoding",
        png=png_bytes(grid(found.images[:count], columns=10)),
        source_png=png_bytes(grid(originals[:count], columns=10)),
        alt=f"{count} test pictures as the codec gives them back, beside their originals",
        columns=10,
    )
    yield Note(_rate(originals.shape[1:], found.code_shape, subject.system.codebook_size))
    if found.counts is not None:
        yield _use(found.counts.sum(0))


def _rate(image: tuple[int, ...], code: tuple[int, ...], size: int) -> str:
    numbers, values = int(np.prod(code)), int(np.prod(image))
    if not size:
        times = f"{values / numbers:.1f}"
        return f"A picture of {values:,} bytes becomes {numbers:,} continuous numbers ({times} times fewer)."
    bits = bits_per_image(code, size)
    return (
        f"A picture of {8 * values:,} bits becomes {numbers} codes of {bits / numbers:.3g} bits "
        f"({8 * values / bits:.0f} times fewer)."
    )


def _use(counts: NDArray[np.int64]) -> Curve:
    """Share of each code, most used first."""
    shares = np.sort(counts)[::-1] / counts.sum()
    points = tuple((float(rank + 1), float(f"{share:.3g}")) for rank, share in enumerate(shares) if share > 0)
    title = "How often each code is used on the test set"
    return Curve(title, "codes, most used first", "share of all codes", (Line("test", points),), log_y=True)
