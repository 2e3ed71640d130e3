"""Bits per byte: what ranks language models, whatever their tokeniser (Shannon 1948; compare Gao et al. 2020, "The
Pile", sec. 3.1)."""

from __future__ import annotations

import math

from bench.base.errors import BenchError

__all__ = ["bits_per_byte", "count_bytes"]


def count_bytes(text: str) -> int:
    """Length in UTF-8 bytes, the denominator of :func:`bits_per_byte`.

    >>> count_bytes("naïve")
    6
    """
    return len(text.encode("utf-8"))


def bits_per_byte(nats_total: float, n_bytes: int) -> float:
    """``nats / (bytes ln 2)`` over the whole held-out text.

    Args:
        nats_total: minus the sum of ``log_prob`` over every token; ``inf`` if any event was impossible.
        n_bytes: UTF-8 bytes of the text that the tokens cover, all of them.

    >>> bits_per_byte(nats_total=100 * math.log(2), n_bytes=50)
    2.0

    Raises:
        BenchError: no bytes, or negative nats (a log-probability above zero).
    """
    if n_bytes <= 0:
        raise BenchError(f"bits_per_byte: the text has {n_bytes} bytes")
    if math.isnan(nats_total) or nats_total < 0:
        raise BenchError(
            f"bits_per_byte: {nats_total} nats; pass minus the sum of log-probabilities, which is never negative"
        )
    return nats_total / (n_bytes * math.log(2))
