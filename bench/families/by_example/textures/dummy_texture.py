"""The floor of texture synthesis: every pixel drawn by itself from the exemplar's pixels, so all but the histogram is
lost."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.base.seeds import generator
from bench.families.by_example.exemplars import ExemplarSystem, NothingToSet, keep_known

__all__ = ["DummyTexture"]


class DummyTexture(ExemplarSystem[NothingToSet]):
    """Independent pixels with the exemplar's histogram, as a :class:`bench.contracts.Synthesizer`."""

    Config: ClassVar[type[NothingToSet]] = NothingToSet

    def synthesize(
        self,
        exemplar: NDArray[np.uint8],
        size: tuple[int, int],
        seed: int,
        *,
        initial: NDArray[np.uint8] | None = None,
        mask: NDArray[np.bool_] | None = None,
        **options: Any,
    ) -> NDArray[np.uint8]:
        """Random pixels of the exemplar; where ``initial`` is known (``mask`` True, same size), that is kept."""
        pixels = exemplar.reshape(-1, *exemplar.shape[2:])
        picture = pixels[generator(seed, "dummy_texture").integers(0, len(pixels), size)]
        return keep_known(picture, initial, mask)
