"""The ceiling of texture synthesis: another piece of the same photograph, which the generators never see."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.seeds import generator
from bench.families.by_example.exemplars import ExemplarSystem, NothingToSet

__all__ = ["RealTexture"]


class RealTexture(ExemplarSystem[NothingToSet]):
    """Crops of a held-out piece of the texture, as a :class:`bench.contracts.Synthesizer`."""

    Config: ClassVar[type[NothingToSet]] = NothingToSet

    def synthesize(
        self,
        exemplar: NDArray[np.uint8],
        size: tuple[int, int],
        seed: int,
        *,
        initial: NDArray[np.uint8] | None = None,
        mask: NDArray[np.bool_] | None = None,
        held_out: NDArray[np.uint8] | None = None,
        **options: Any,
    ) -> NDArray[np.uint8]:
        """A crop at a random place of ``held_out``, the piece that nobody grows from; of the exemplar itself if there
        is none.

        Raises:
            BenchError: a picture smaller than ``size``.
        """
        source = exemplar if held_out is None else held_out
        if source.shape[0] < size[0] or source.shape[1] < size[1]:
            have = "x".join(map(str, source.shape[:2]))
            raise BenchError(f"real_texture crops a picture of at least {size[0]}x{size[1]}, and got one of {have}")
        y, x = (
            int(generator(seed, "real_texture", axis).integers(0, source.shape[axis] - size[axis] + 1))
            for axis in (0, 1)
        )
        return source[y : y + size[0], x : x + size[1]].copy()
