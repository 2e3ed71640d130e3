"""Classifier-free guidance and negative prompts (Ho and Salimans 2022, "Classifier-Free Diffusion Guidance").

The guided prediction is ``f_neg + g (f_cond - f_neg)``: eq. 6 of the paper with ``g = 1 + w``. ``f_neg`` is the
prediction for the empty caption, or for a *negative prompt*, from which the picture is then pushed away. As eps, v and
x_0 are linear in each other at a given ``x_t``, it does not matter which of them is combined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bench.base.errors import BenchError

__all__ = ["Conditional", "guided", "negatives_for"]

Conditional = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""``network(x_t (B, ...), t (B,), states (B, T, W), mask (B, T) bool) -> (B, ...)``."""


def guided(
    network: Conditional,
    states: Tensor,
    mask: Tensor,
    negative_states: Tensor,
    negative_mask: Tensor,
    scale: float,
) -> Callable[[Tensor, Tensor], Tensor]:
    """``network`` with its conditioning bound and guidance of ``scale`` applied.

    At scale 1 the negative branch has no weight and is not computed; else both branches run as one batch of twice the
    size.

    Args:
        network: the conditional network.
        states: ``(B, T, W)`` text states of the prompts.
        mask: ``(B, T)``, True where there is text.
        negative_states: ``(B, T, W)`` states of the empty or negative prompts.
        negative_mask: their mask.
        scale: g; 0 follows the negative prompt, 1 the prompt alone, more exaggerates the difference.
    """
    if scale == 1.0:
        return lambda x, t: network(x, t, states, mask)
    both_states, both_masks = torch.cat([states, negative_states]), torch.cat([mask, negative_mask])

    def predict(x: Tensor, t: Tensor) -> Tensor:
        positive, negative = network(torch.cat([x, x]), torch.cat([t, t]), both_states, both_masks).chunk(2)
        return negative + scale * (positive - negative)

    return predict


def negatives_for(prompts: Sequence[str], negatives: Sequence[str] | str | None) -> list[str]:
    """One negative prompt for each prompt: none means the empty caption, a single one is used for all.

    Raises:
        BenchError: another number of negative prompts than of prompts.
    """
    if negatives is None:
        return [""] * len(prompts)
    chosen = [negatives] if isinstance(negatives, str) else list(negatives)
    if len(chosen) == 1:
        return chosen * len(prompts)
    if len(chosen) != len(prompts):
        raise BenchError(f"{len(chosen)} negative prompts for {len(prompts)} prompts: give none, one, or one for each")
    return chosen
