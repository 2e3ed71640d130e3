from __future__ import annotations

import pytest
import torch

from bench.base.errors import BenchError
from bench.diffusion.guidance import guided, negatives_for


class Network:
    """Answers with the mean of its unmasked text states, and counts how it was called."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, x: torch.Tensor, t: torch.Tensor, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(x))
        weights = mask.to(x.dtype)[..., None]
        return x + (states * weights).sum((1, 2), keepdim=False)[:, None]


def setup() -> tuple[torch.Tensor, ...]:
    x = torch.arange(3.0)[:, None]
    mask = torch.tensor([[True, True], [True, False], [True, True]])
    return (
        x,
        torch.zeros(3, dtype=torch.long),
        torch.ones(3, 2, 1),
        mask,
        torch.full((3, 2, 1), 5.0),
        torch.ones(3, 2, dtype=torch.bool),
    )


def test_scale_one_is_the_plain_prompt_at_single_cost():
    x, t, states, mask, negative, negative_mask = setup()
    network = Network()
    got = guided(network, states, mask, negative, negative_mask, 1.0)(x, t)
    torch.testing.assert_close(got, x + torch.tensor([[2.0], [1.0], [2.0]]))
    assert network.batches == [3]


def test_guidance_is_the_papers_extrapolation():
    """Ho and Salimans 2022 eq. 6: (1 + w) f_cond - w f_uncond with w = g - 1."""
    x, t, states, mask, negative, negative_mask = setup()
    network, w = Network(), 2.5
    got = guided(network, states, mask, negative, negative_mask, 1 + w)(x, t)
    conditional, unconditional = network(x, t, states, mask), network(x, t, negative, negative_mask)
    torch.testing.assert_close(got, (1 + w) * conditional - w * unconditional)
    assert network.batches[0] == 6
    torch.testing.assert_close(guided(network, states, mask, negative, negative_mask, 0.0)(x, t), unconditional)


def test_negatives():
    assert negatives_for(["a", "b"], None) == ["", ""]
    assert negatives_for(["a", "b"], "blue") == ["blue", "blue"]
    assert negatives_for(["a", "b"], ["blue"]) == ["blue", "blue"]
    assert negatives_for(["a", "b"], ["x", "y"]) == ["x", "y"]
    with pytest.raises(BenchError, match="3 negative prompts for 2 prompts"):
        negatives_for(["a", "b"], ["x", "y", "z"])
