"""A cache language model of letters (Kuhn and De Mori 1990, "A cache-based natural language model").

What was said a moment ago is likely to be said again: with probability ``share`` a letter is drawn from the last
``window`` letters, else by the letter before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np

from bench.base.files import read_json, write_json
from bench.base.seeds import generator
from bench.base.settings import Checked, Count, Positive, Range
from bench.contracts import Floats, Ints, RunContext
from bench.registry import sample_options

from .counting import Pairs

__all__ = ["LetterCache", "LetterCacheConfig", "LetterCacheOptions"]


@dataclass(frozen=True)
class LetterCacheOptions(Checked):
    """The keys of a variant under ``sample:``, for scoring and for sampling.

    Attributes:
        share: weight of the cache, 0 for none.
    """

    share: Annotated[float, Range(low=0, below=1)] = 0.1


@dataclass(frozen=True)
class LetterCacheConfig(LetterCacheOptions):
    """The keys under ``model:``; ``share`` is that of variants which name none.

    Attributes:
        window: letters that the cache holds.
        add: added to each count of a pair.
    """

    window: Count = 200
    add: Positive = 0.5


class LetterCache:
    """A :class:`bench.contracts.LanguageModel`."""

    Config: ClassVar[type] = LetterCacheConfig
    SampleOptions: ClassVar[type] = LetterCacheOptions
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

    def _share(self, options: Mapping[str, Any]) -> float:
        return float(sample_options(type(self), self.config, options, "letter_cache").share)

    def log_prob(self, text: str, **options: Any) -> Floats:
        """Natural log-probability of each letter; the cache starts empty."""
        share = self._share(options)
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

    def sample(self, n_chars: int, seed: int, prompt: str = "", **options: Any) -> str:
        """Letters that continue the prompt; all randomness comes from ``seed``."""
        share = self._share(options)
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
