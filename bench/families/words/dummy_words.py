"""The floor of the words table: every byte alike, whatever came before (8 bits per byte); samples are random printable
letters."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.base.files import write_json
from bench.contracts import RunContext

__all__ = ["DummyWords", "DummyWordsConfig"]

_SHOWN = string.printable[:95]
"""Letters, digits, punctuation and the space: the bytes that can be shown."""


@dataclass(frozen=True)
class DummyWordsConfig:
    """No hyper-parameters."""


class DummyWords:
    """Uniform distribution over the 256 bytes.

    >>> DummyWords(DummyWordsConfig()).log_prob("to").tolist() == [-math.log(256)] * 2
    True
    """

    Config: ClassVar[type] = DummyWordsConfig
    SCORING: ClassVar[tuple[str, ...]] = ()
    vocabulary_name = "bytes-256"

    def __init__(self, config: DummyWordsConfig) -> None:
        self.config = config

    def fit(self, corpus: Mapping[str, str], run: RunContext) -> None:
        """Learns nothing."""
        run.cost.update(parameters=0.0, train_flops=0.0)

    def log_prob(self, text: str) -> NDArray[np.float64]:
        """``-log 256`` for each byte."""
        return np.full(len(text.encode()), -math.log(256))

    def token_bytes(self, text: str) -> NDArray[np.int64]:
        """One byte a token."""
        return np.ones(len(text.encode()), dtype=np.int64)

    def distribution(self, context: str) -> NDArray[np.float64]:
        """Probability of each byte: ``(256,)``."""
        return np.full(256, 1 / 256)

    def sample(self, n_chars: int, seed: int, prompt: str = "") -> str:
        """``n_chars`` random printable characters."""
        rng = np.random.default_rng(seed)
        return "".join(_SHOWN[i] for i in rng.integers(len(_SHOWN), size=n_chars))

    def save(self, folder: Path) -> None:
        """An empty description, so that the folder holds something."""
        write_json(folder / "dummy.json", {})

    @classmethod
    def load(cls, folder: Path, config: DummyWordsConfig, device: str = "cpu") -> DummyWords:
        """Nothing to load."""
        return cls(config)
