"""The masked-language-model task (Devlin et al. 2019, section 3.1, task 1): which tokens are hidden, and behind
what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Masked", "hide", "mask_tokens", "masked_count"]

Ints = NDArray[np.int64]

MASKED, RANDOM = 0.8, 0.1
"""Of the chosen tokens 80 % become [MASK], 10 % a random token, and 10 % stay (appendix A.1 of the paper)."""


@dataclass(frozen=True)
class Masked:
    """A batch of the task.

    Attributes:
        inputs: ``(B, T)`` tokens with some of them hidden.
        positions: ``(B, K)`` places to predict, ascending in each row.
        targets: ``(B, K)`` the tokens that stood there.
    """

    inputs: Ints
    positions: Ints
    targets: Ints


def masked_count(tokens: int, share: float) -> int:
    """How many of a sequence's ``tokens`` are chosen: the share, rounded, and at least one.

    >>> masked_count(126, 0.15)
    19
    """
    return max(1, round(tokens * share))


def _choose(tokens: Ints, share: float, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Places inside [CLS] ... [SEP], without repetition, and what stands there."""
    batch, length = tokens.shape
    inner = length - 2
    order = rng.random((batch, inner)).argsort(axis=1)[:, : masked_count(inner, share)]
    positions = np.sort(order, axis=1) + 1
    return positions, np.take_along_axis(tokens, positions, axis=1)


def mask_tokens(tokens: Ints, share: float, mask: int, ordinary: Ints, rng: np.random.Generator) -> Masked:
    """Choose ``share`` of each sequence's tokens, and hide them 80/10/10.

    Args:
        tokens: ``(B, T)``, each row [CLS], T - 2 tokens, [SEP].
        share: 0.15 in the paper.
        mask: id of [MASK].
        ordinary: ids that a random token is drawn from, alike (those that are not special).
        rng: of this step.

    >>> batch = mask_tokens(np.arange(12)[None], 0.15, 99, np.arange(20, 30), np.random.default_rng(0))
    >>> batch.positions.shape, bool((batch.targets == batch.positions).all())
    ((1, 2), True)
    """
    positions, targets = _choose(tokens, share, rng)
    draw = rng.random(positions.shape)
    hidden = np.where(draw < MASKED, mask, targets)
    at_random = (draw >= MASKED) & (draw < MASKED + RANDOM)
    hidden = np.where(at_random, rng.choice(ordinary, positions.shape), hidden)
    inputs = tokens.copy()
    np.put_along_axis(inputs, positions, hidden, axis=1)
    return Masked(inputs, positions, targets)


def hide(tokens: Ints, share: float, mask: int, rng: np.random.Generator) -> Masked:
    """Like :func:`mask_tokens`, but every chosen token becomes [MASK]: for measuring, where a token that stays would be
    read off."""
    positions, targets = _choose(tokens, share, rng)
    inputs = tokens.copy()
    np.put_along_axis(inputs, positions, mask, axis=1)
    return Masked(inputs, positions, targets)
