"""Letter frequencies: one sentence on the idea, the paper with its year, and what the system must reproduce.

A template to copy. It is a language model, complete and small: each character is drawn by itself, as often as in the
training text (Shannon 1948, first-order approximation). Replace what is specific to it; keep the methods.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.files import read_json, write_json
from bench.base.seeds import generator
from bench.base.settings import Checked, Positive, Share
from bench.contracts import Floats, RunContext
from bench.registry import sample_options

__all__ = ["Generator", "GeneratorConfig", "GeneratorOptions"]


@dataclass(frozen=True)
class GeneratorConfig(Checked):
    """The keys that ``model:`` may have in params.yaml; their types and ranges are checked before anything runs.

    Attributes:
        add: added to each count, so that nothing has probability zero.
    """

    add: Positive = 1.0


@dataclass(frozen=True)
class GeneratorOptions(Checked):
    """The keys that a variant under ``sample:``, or ``bench sample -o``, may have.

    Attributes:
        flatten: share of the uniform distribution that is mixed in when characters are drawn.
    """

    flatten: Share = 0.0


class Generator:
    """A :class:`bench.contracts.LanguageModel`."""

    Config = GeneratorConfig
    SampleOptions = GeneratorOptions
    SCORING: tuple[str, ...] = ()
    """The options of ``sample`` that change ``log_prob`` too."""

    def __init__(self, config: GeneratorConfig) -> None:
        self.config = config
        self.counts: dict[str, int] = {}

    def fit(self, corpus: Mapping[str, str], run: RunContext) -> None:
        """Count the characters of ``corpus["train"]``."""
        self.counts = dict(sorted(Counter(corpus["train"]).items()))
        run.cost["parameters"] = len(self.counts)

    def _probability(self, character: str) -> float:
        """An unseen character is an escape, then its bytes, each 1 of 256: every byte of any text is covered."""
        total = sum(self.counts.values()) + self.config.add * (len(self.counts) + 1)
        if character in self.counts:
            return (self.counts[character] + self.config.add) / total
        return self.config.add / total * 256.0 ** -len(character.encode())

    def log_prob(self, text: str) -> Floats:
        """Natural log-probability of each character."""
        table = {character: np.log(self._probability(character)) for character in set(text)}
        return np.array([table[character] for character in text], dtype=np.float64)

    def token_bytes(self, text: str) -> NDArray[np.int64]:
        """Bytes behind each entry of :meth:`log_prob`: bits per byte count them all."""
        return np.array([len(character.encode()) for character in text], dtype=np.int64)

    @property
    def vocabulary_name(self) -> str:
        """Perplexities are compared within one vocabulary only; the name goes into their protocol id."""
        return f"characters-{len(self.counts)}"

    def sample(self, n_chars: int, seed: int, prompt: str = "", **options: Any) -> str:
        """``n_chars`` characters; all randomness comes from ``seed``."""
        chosen = sample_options(type(self), self.config, options, "letters")
        weights = np.array(list(self.counts.values()), dtype=np.float64)
        mixed = (1 - chosen.flatten) * weights / weights.sum() + chosen.flatten / len(weights)
        drawn = generator(seed, "sample").choice(len(weights), n_chars, p=mixed)
        characters = list(self.counts)
        return "".join(characters[i] for i in drawn)

    def save(self, folder: Path) -> None:
        """Counts as JSON; a neural system would call ``bench.training.save_module``. Never pickle, nothing that tells
        the time."""
        write_json(folder / "counts.json", self.counts)

    @classmethod
    def load(cls, folder: Path, config: GeneratorConfig, device: str = "cpu") -> Generator:
        """The inverse of :meth:`save`."""
        system = cls(config)
        system.counts = read_json(folder / "counts.json")
        return system
