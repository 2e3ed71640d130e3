"""Codebook usage over the whole evaluation set (van den Oord et al. 2017; perplexity as in Razavi et al. 2019)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError

__all__ = ["bits_per_image", "codebook_counts", "codebook_usage", "usage_from_counts"]

Ints = NDArray[np.int64]


def codebook_counts(codes: NDArray[Any], size: int) -> Ints:
    """How often each of ``size`` codes occurs, ``(size,)``; counts of batches add up.

    Raises:
        BenchError: a code outside ``[0, size)``.
    """
    flat = np.asarray(codes).reshape(-1)
    if size < 1 or (len(flat) and (flat.min() < 0 or flat.max() >= size)):
        raise BenchError(f"codebook_usage: codes must lie in [0, {size}), got [{flat.min()}, {flat.max()}]")
    return np.bincount(flat.astype(np.int64), minlength=size)


def usage_from_counts(counts: NDArray[Any]) -> dict[str, float]:
    """``usage``, ``perplexity`` and ``dead`` from counts; see :func:`codebook_usage`."""
    total = counts.sum()
    if total == 0:
        raise BenchError("codebook_usage: no codes")
    p = counts[counts > 0] / total
    return {
        "usage": float((counts > 0).mean()),
        "perplexity": float(np.exp(-(p * np.log(p)).sum())),
        "dead": float((counts == 0).sum()),
    }


def codebook_usage(codes: NDArray[Any], size: int) -> dict[str, float]:
    """Used share, perplexity ``exp(H)`` (effective number of codes, 1 to ``size``) and number of codes never used.

    Args:
        codes: integer codes of the *whole* evaluation set, any shape: a mean over batches would understate usage.
        size: codebook size.

    >>> codebook_usage(np.array([[0, 1], [1, 0]]), size=8)
    {'usage': 0.25, 'perplexity': 2.0, 'dead': 6.0}
    """
    return usage_from_counts(codebook_counts(codes, size))


def bits_per_image(code_shape: tuple[int, ...], size: int) -> float:
    """Rate of a code of fixed length: ``log2(size)`` bits for each position.

    >>> bits_per_image((7, 7), 256)
    392.0
    """
    return float(np.prod(code_shape) * np.log2(size))
