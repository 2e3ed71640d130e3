"""How varied the words of samples are: types per hundred tokens (Templin 1957), over texts of one length."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench.base.settings import Checked, Count
from bench.metrics.protocols import protocol_id
from bench.scoring import Output, Score, Subject, scorer
from bench.stats.intervals import bootstrap_mean_ci

__all__ = ["VarietyOptions", "lexical_variety", "types_per_hundred"]


@dataclass(frozen=True)
class VarietyOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        variety_words: words that are looked at in each text, since the ratio falls with length.
    """

    variety_words: Count = 20


def types_per_hundred(text: str, words: int) -> float | None:
    """Different words among the first ``words``, as a percentage; None for a shorter text.

    >>> types_per_hundred("the rose of the rose", 4)
    75.0
    """
    found = re.findall(r"\w+", text.lower())[:words]
    return 100 * len(set(found)) / words if len(found) == words else None


@scorer("LanguageModel", options=VarietyOptions)
def lexical_variety(subject: Subject, options: VarietyOptions) -> Iterator[Output]:
    """One score for each variant, with a bootstrap interval over its texts."""
    for samples in subject.samples:
        every = [types_per_hundred(text, options.variety_words) for text in samples.texts or ()]
        values = np.array([value for value in every if value is not None])
        if len(values):
            interval = bootstrap_mean_ci(values, subject.derive("variety", samples.variant))
            protocol = protocol_id("type_token_ratio", words=options.variety_words)
            yield Score("type_token_ratio", float(values.mean()), protocol, interval, len(values), samples.variant)
