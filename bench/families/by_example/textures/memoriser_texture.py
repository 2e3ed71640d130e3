"""A planted memoriser: tiles the exemplar from a random corner. The copied share must flag it, whatever its looks.

In filled holes it is the copy baseline: the best-matching shifted piece of the exemplar.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.base.seeds import generator
from bench.families.by_example.exemplars import ExemplarSystem, NothingToSet, keep_known

__all__ = ["MemoriserTexture"]

FRAME = 6
"""Pixels around a hole whose fit decides which piece is copied into it."""


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
        """The exemplar, wrapped around; where ``initial`` is known (``mask`` True, same size), that is kept.

        Holes get the piece of the exemplar whose surroundings fit best: copying as a way to fill them.
        """
        shift = generator(seed, "memoriser_texture").integers(0, exemplar.shape[:2])
        if initial is not None and mask is not None and mask.any() and not mask.all():
            shift = _best_shift(exemplar, initial, mask)
        rows, columns = (
            (np.arange(length) + start) % limit
            for length, start, limit in zip(size, shift, exemplar.shape, strict=False)
        )
        picture: NDArray[np.uint8] = exemplar[rows[:, None], columns[None, :]]
        return keep_known(picture, initial, mask)


def _best_shift(exemplar: NDArray[np.uint8], initial: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The shift with the least squared difference to the known pixels within ``FRAME`` pixels of the holes.

    Places where the piece would wrap around the exemplar's edge count only if it fits nowhere.
    """
    height, width = exemplar.shape[:2]
    box, used = [], np.ones(mask.shape, dtype=bool)
    for axis in (0, 1):
        holes = np.flatnonzero((~mask).any(axis=1 - axis))
        box.append(slice(max(0, int(holes[0]) - FRAME), int(holes[-1]) + 1 + FRAME))
    used[tuple(box)] = False
    ys, xs = (mask & ~used).nonzero()
    top, left = box[0].start, box[1].start
    rows = height - (min(box[0].stop, mask.shape[0]) - top) + 1
    columns = width - (min(box[1].stop, mask.shape[1]) - left) + 1
    wrapped = np.pad(
        exemplar.astype(np.int64).reshape(height, width, -1), ((0, height), (0, width), (0, 0)), mode="wrap"
    )
    cost = np.zeros((rows if rows > 0 else height, columns if columns > 0 else width), dtype=np.int64)
    for y, x in zip(ys.tolist(), xs.tolist(), strict=True):
        dy, dx = (y - top) % height, (x - left) % width
        cost += ((wrapped[dy : dy + cost.shape[0], dx : dx + cost.shape[1]] - initial[y, x].astype(np.int64)) ** 2).sum(
            axis=2
        )
    best = np.unravel_index(int(cost.argmin()), cost.shape)
    return np.array([best[0] - top, best[1] - left], dtype=np.int64)
