"""What the systems share that learn from one exemplar at a time: nothing is trained, and the config is all there is to keep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

__all__ = ["ExemplarSystem", "NothingToSet", "keep_known"]

C = TypeVar("C")


@dataclass(frozen=True)
class NothingToSet:
    """The config of a system without settings."""


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


def keep_known(picture: NDArray[np.uint8], initial: NDArray[np.uint8] | None, mask: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
    """Puts ``initial`` (of the same size) into ``picture``, in place, where ``mask`` is True; without them nothing changes.

    >>> keep_known(np.zeros(3, np.uint8), np.full(3, 7, np.uint8), np.array([True, False, False])).tolist()
    [7, 0, 0]
    """
    if initial is not None and mask is not None:
        picture[mask] = initial[mask]
    return picture
