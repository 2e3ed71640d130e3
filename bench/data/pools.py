"""Systems that answer with real images: a pool of them, kept in training. Ceilings and planted memorisers are such."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.base.files import write_npz
from bench.contracts import Images

__all__ = ["PoolSystem"]

C = TypeVar("C")
FILE = "pool.npz"


class PoolSystem(Generic[C]):
    """Construction, saving and loading of a system that is its pool; ``fit`` and ``sample`` are the subclass's.

    Args:
        config: settings of the subclass.
    """

    Config: ClassVar[type[Any]]

    def __init__(self, config: C) -> None:
        self.config = config
        self.images: Images = np.zeros((0, 1, 1, 1), np.uint8)
        self.facts: dict[str, NDArray[Any]] = {}
        """What is known of the images: arrays whose first axis is theirs."""

    def keep(self, images: Images, **facts: NDArray[Any]) -> None:
        """Make these images the pool."""
        self.images, self.facts = np.ascontiguousarray(images), facts

    def save(self, folder: Path) -> None:
        """``pool.npz``: the images and what is known of them."""
        write_npz(folder / FILE, {"images": self.images, **self.facts})

    @classmethod
    def load(cls, folder: Path, config: C, device: str = "cpu") -> Self:
        """The inverse of :meth:`save`."""
        system = cls(config)
        with np.load(folder / FILE, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        system.keep(arrays.pop("images"), **arrays)
        return system
