"""What the systems share that learn from one exemplar at a time: nothing is trained, and the config is all there is to
keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.settings import NothingToSet

__all__ = ["ExemplarSystem", "NothingToSet", "keep_known", "placed"]

C = TypeVar("C")


class ExemplarSystem(Generic[C]):
    """Construction, saving and loading of a system that is its config; ``synthesize`` is the subclass's."""

    Config: ClassVar[type[Any]]

    def __init__(self, config: C | None = None) -> None:
        self.config = cast(C, self.Config()) if config is None else config

    def save(self, folder: Path) -> None:
        """Nothing to write: the config, in ``model.json``, is all there is."""

    @classmethod
    def load(cls, folder: Path, config: C, device: str = "cpu") -> Self:
        """The system for ``config``."""
        return cls(config)


def keep_known(
    picture: NDArray[np.uint8], initial: NDArray[np.uint8] | None, mask: NDArray[np.bool_] | None
) -> NDArray[np.uint8]:
    """Puts ``initial`` (of the same size) into ``picture``, in place, where ``mask`` is True; without them nothing
    changes.

    >>> keep_known(np.zeros(3, np.uint8), np.full(3, 7, np.uint8), np.array([True, False, False])).tolist()
    [7, 0, 0]
    """
    if initial is not None and mask is not None:
        picture[mask] = initial[mask]
    return picture


def placed(
    initial: NDArray[np.uint8], mask: NDArray[np.bool_] | None, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A canvas of ``size`` with ``initial`` in the middle, and which of its pixels are known.

    Args:
        initial: ``(h, w)`` or ``(h, w, C)``, of ``size`` or smaller.
        mask: ``(h, w)``, True where it is known; None for everywhere.
        size: (height, width).

    >>> placed(np.full((1, 2), 7, np.uint8), None, (3, 4))[0].tolist()
    [[0, 0, 0, 0], [0, 7, 7, 0], [0, 0, 0, 0]]

    Raises:
        BenchError: larger than ``size``, a mask of another size or without a known pixel, or nothing to synthesise.
    """
    (height, width), (rows, columns) = size, initial.shape[:2]
    if rows > height or columns > width:
        raise BenchError(f"initial is {rows}x{columns}, larger than the size asked for, {height}x{width}")
    if mask is None and (rows, columns) == (height, width):
        raise BenchError(
            "initial fills the whole size and has no mask: nothing to synthesise; give a mask or a larger size"
        )
    content = np.ones((rows, columns), dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    if content.shape != (rows, columns):
        raise BenchError(f"mask is {content.shape}, initial {(rows, columns)}: they must be equal")
    if not content.any():
        raise BenchError(
            "the mask knows no pixel, so there is nothing to grow from: leave initial and mask out to start from a "
            "seed patch"
        )
    top, left = (height - rows) // 2, (width - columns) // 2
    canvas, known = np.zeros((height, width, *initial.shape[2:]), dtype=np.uint8), np.zeros((height, width), dtype=bool)
    canvas[top : top + rows, left : left + columns] = initial
    known[top : top + rows, left : left + columns] = content
    return canvas, known
