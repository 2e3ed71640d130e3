"""Drawing the next token from logits: temperature, top-k, top-p, inversion of the cumulative distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.settings import Checked, Natural, NotNegative, Range

__all__ = ["DrawOptions", "draw_tokens", "filter_logits"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DrawOptions(Checked):
    """How tokens are drawn (see :func:`filter_logits`).

    Attributes:
        temperature: 0 for the likeliest token alone.
        top_k: only so many of the likeliest tokens, 0 for all.
        top_p: the likeliest tokens that hold this share of the probability, 1 for all.
    """

    temperature: NotNegative = 1.0
    top_k: Natural = 0
    top_p: Annotated[float, Range(above=0, high=1)] = 1.0


def filter_logits(logits: Floats, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Floats:
    """Probabilities to draw from: ``softmax(logits / temperature)`` of the likeliest tokens, renormalised.

    Args:
        logits: ``(..., V)``.
        temperature: 0 for the likeliest token alone.
        top_k: keep the k likeliest tokens, 0 for all.
        top_p: keep the smallest set of likeliest tokens whose probability reaches p (Holtzman et al. 2020), 1 for all.

    Returns:
        ``(..., V)`` probabilities.

    >>> filter_logits(np.array([0.0, 3.0, 1.0]), top_k=1).tolist()
    [0.0, 1.0, 0.0]
    """
    if temperature < 0 or top_k < 0 or not 0 < top_p <= 1:
        raise BenchError(
            f"temperature and top_k must not be negative and top_p must lie in (0, 1], not {temperature}, {top_k} "
            f"and {top_p}"
        )
    if temperature == 0:
        temperature, top_k = 1.0, 1
    if temperature != 1:
        logits = logits / temperature
    p: Floats = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    if (0 < top_k < p.shape[-1]) or top_p < 1:
        order = np.argsort(-p, axis=-1, kind="stable")
        ranked = np.take_along_axis(p, order, -1)
        keep = (ranked.cumsum(-1) - ranked) < top_p  # the token that crosses p is kept
        if top_k:
            keep[..., top_k:] = False
        np.put_along_axis(p, order, ranked * keep, -1)
        p /= p.sum(-1, keepdims=True)
    return p


def draw_tokens(p: Floats, noise: Floats) -> Ints:
    """Invert the cumulative distribution at each row's own noise.

    Args:
        p: ``(B, V)``, at least 0, of any sum above 0.
        noise: ``(B,)`` in [0, 1).

    Returns:
        ``(B,)`` ids.

    >>> draw_tokens(np.array([[0.5, 0.0, 0.5]] * 3), np.array([0.0, 0.5, 0.99])).tolist()
    [0, 2, 2]
    """
    cumulated = p.cumsum(-1)
    drawn: Ints = np.minimum((cumulated <= (noise * cumulated[:, -1])[:, None]).sum(-1), p.shape[-1] - 1)
    return drawn
