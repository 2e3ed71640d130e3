"""Perplexity per token: shown beside its vocabulary, never ranked across tokenisers (Jelinek et al. 1977)."""

from __future__ import annotations

import math

from bench.base.errors import BenchError

__all__ = ["perplexity", "perplexity_bounds"]


def perplexity(nats: float, tokens: int) -> float:
    """``exp(nats / tokens)``; ``inf`` where the model gives some token no probability.

    Args:
        nats: minus the sum of natural log-probabilities.
        tokens: how many tokens they belong to.

    >>> round(perplexity(10 * math.log(8), 10), 9)
    8.0

    Raises:
        BenchError: no tokens, or negative nats.
    """
    if tokens <= 0:
        raise BenchError(f"perplexity: {tokens} tokens")
    if math.isnan(nats) or nats < 0:
        raise BenchError(f"perplexity: {nats} nats; pass minus the sum of log-probabilities, which is never negative")
    try:
        return math.exp(nats / tokens)
    except OverflowError:
        return math.inf


def perplexity_bounds(nats: tuple[float, float]) -> tuple[float, float]:
    """The interval of a perplexity from that of the mean nats of a token; a bound beyond all floats is ``inf``.

    >>> perplexity_bounds((0.0, 1e4))
    (1.0, inf)
    """
    low, high = (math.exp(bound) if bound < 700 else math.inf for bound in nats)
    return low, high
