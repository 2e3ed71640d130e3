"""Cached steps against the whole decoder, and a group against its items alone."""

from __future__ import annotations

import pytest
import torch

from bench.words.stepping import ROWS, Fused, Stepper
from bench.words.transformer_lm import Decoder, TransformerLMConfig

SHAPES = [
    {"positions": "rotary"},
    {"positions": "learned"},
    {"positions": "sinusoidal"},
    {"positions": "none"},
    {"positions": "rotary", "mlp_ratio": 0, "layers": 1},
    {"positions": "rotary", "tied": False, "attention": "sdpa"},
]


def network(**changes: object) -> Decoder:
    torch.manual_seed(0)
    config = TransformerLMConfig(**{"width": 48, "layers": 2, "heads": 2, "context": 24, **changes})  # type: ignore[arg-type]
    decoder = Decoder(37, config).eval()
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return decoder


@torch.inference_mode()
def walk(decoder: Decoder, tokens: torch.Tensor, begin: int) -> torch.Tensor:
    """Logits after ``begin``, ``begin + 1``, ... tokens: ``(r, T - begin + 1, V)``."""
    stepper = Stepper(Fused(decoder), 24)
    found = [stepper.begin(tokens[:, :begin])]
    found += [stepper.step(tokens[:, i]) for i in range(begin, tokens.shape[1])]
    assert stepper.room == 24 - tokens.shape[1]
    return torch.stack(found, dim=1)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_steps_equal_the_whole_decoder(shape: dict[str, object]) -> None:
    decoder = network(**shape)
    tokens = torch.randint(0, 37, (5, 24))
    with torch.inference_mode():
        whole = decoder(tokens)[:, 6:]
    torch.testing.assert_close(walk(decoder, tokens, 7), whole, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("threads", [1, 2])
def test_no_group_changes_an_item(shape: dict[str, object], threads: int) -> None:
    decoder = network(**shape)
    tokens = torch.randint(0, 37, (ROWS, 20))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        together = walk(decoder, tokens, 5)
        for rows in (slice(0, 1), slice(7, 8), slice(15, 16), slice(3, 12)):
            assert torch.equal(walk(decoder, tokens[rows], 5), together[rows])
    finally:
        torch.set_num_threads(before)
