"""A cache language model of letters (Kuhn and De Mori 1990, "A cache-based natural language model").

What was said a moment ago is likely to be said again: with probability ``share`` a letter is drawn from the last
``window`` letters, else by the letter before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bench.base.files import read_json, write_json
from bench.base.seeds import generator
from bench.contracts import Floats, Ints, RunContext

from .counting import Pairs

__all__ = ["LetterCache", "LetterCacheConfig"]


@dataclass(frozen=True)
class LetterCacheConfig:
    """The keys under ``model:``.

    Attributes:
        window: letters that the cache holds.
        share: weight of the cache, 0 for none.
        add: added to each count of a pair.
    """

    window: int = 200
    share: float = 0.1
    add: float = 0.5

    def __post_init__(self) -> None:
        if self.window < 1 or not 0 <= self.share < 1 or self.add <= 0:
            raise ValueError("window must be at least 1, share in [0, 1) and add positive")


class LetterCache:
    """A :class:`bench.contracts.LanguageModel`."""

    Config: ClassVar[type] = LetterCacheConfig
    SCORING: ClassVar[tuple[str, ...]] = ("share",)

    def __init__(self, config: LetterCacheConfig) -> None:
        self.config, self.pairs = config, Pairs({}, config.add)

    @property
    def vocabulary_name(self) -> str:
        """Letters of the training text; others cost their bytes."""
        return f"characters-{len(self.pairs.letters)}"

    def fit(self, corpus: Mapping[str, str], run: RunContext) -> None:
        """Count pairs of letters of the training text."""
        text = corpus["train"]
        self.pairs = Pairs(dict(sorted(Counter(zip("\n" + text, text, strict=False)).items())), self.config.add)
        run.cost["parameters"] = float(len(self.pairs.counts))

    def log_prob(self, text: str, share: float | None = None) -> Floats:
        """Natural log-probability of each letter; the cache starts empty."""
        share = self.config.share if share is None else share
        found, cache = np.empty(len(text)), Counter[str]()
        for i, letter in enumerate(text):
            probability = self.pairs.probability(text[i - 1] if i else "\n", letter)
            if i:  # an empty cache has no share
                probability = (1 - share) * probability + share * cache[letter] / cache.total()
            found[i] = np.log(probability)
            cache[letter] += 1
            if i >= self.config.window:
                cache[text[i - self.config.window]] -= 1
        return found

    def token_bytes(self, text: str) -> Ints:
        """Bytes of each letter."""
        return np.array([len(letter.encode()) for letter in text], dtype=np.int64)

    def sample(self, n_chars: int, seed: int, prompt: str = "", share: float | None = None, **options: Any) -> str:
        """Letters that continue the prompt; all randomness comes from ``seed``."""
        share = self.config.share if share is None else share
        rng, text = generator(seed, "sample"), list(prompt)
        for _ in range(n_chars):
            if text and rng.random() < share:
                recent = text[-self.config.window :]
                text.append(recent[rng.integers(len(recent))])
            else:
                text.append(self.pairs.draw(text[-1] if text else "\n", rng))
        return "".join(text[len(prompt) :])

    def save(self, folder: Path) -> None:
        """Counts as JSON."""
        write_json(folder / "pairs.json", {"".join(pair): count for pair, count in self.pairs.counts.items()})

    @classmethod
    def load(cls, folder: Path, config: LetterCacheConfig, device: str = "cpu") -> LetterCache:
        """The inverse of :meth:`save`."""
        system = cls(config)
        counts = {(pair[0], pair[1]): count for pair, count in read_json(folder / "pairs.json").items()}
        system.pairs = Pairs(dict(sorted(counts.items())), config.add)
        return system
