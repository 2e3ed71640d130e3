"""A planted memoriser: tiles the exemplar from a random corner. The copied share must flag it, whatever its looks."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.by_example.exemplars import ExemplarSystem, NothingToSet, keep_known
from bench.seeds import generator

__all__ = ["MemoriserTexture"]


class MemoriserTexture(ExemplarSystem[NothingToSet]):
    """The exemplar repeated, as a :class:`bench.contracts.Synthesizer`."""

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
        """The exemplar, wrapped around; where ``initial`` is known (``mask`` True, same size), that is kept."""
        shift = generator(seed, "memoriser_texture").integers(0, exemplar.shape[:2])
        rows, columns = ((np.arange(length) + start) % limit for length, start, limit in zip(size, shift, exemplar.shape, strict=False))
        picture: NDArray[np.uint8] = exemplar[rows[:, None], columns[None, :]]
        return keep_known(picture, initial, mask)
