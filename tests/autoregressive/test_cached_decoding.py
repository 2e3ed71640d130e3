"""The two ways of reading a text token by token give the logits of the network read at once."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bench.autoregressive.cached_decoding import BatchReader, SingleReader
from bench.nn.decoder import Decoder, DecoderShape

CONTEXT, VOCABULARY = 12, 30


@pytest.mark.parametrize(
    "settings",
    [
        {"positions": "rotary"},
        {"positions": "learned", "tied": False},
        {"positions": "sinusoidal", "attention": "sdpa"},
        {"positions": "none", "layers": 1, "mlp_ratio": 0},
    ],
    ids=lambda settings: str(settings["positions"]),
)
def test_readers_equal_the_network_read_at_once(settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    decoder = Decoder(
        VOCABULARY, DecoderShape(**{"width": 16, "layers": 2, "heads": 2, "context": CONTEXT, **settings})
    )
    with torch.no_grad():
        for parameter in decoder.parameters():  # norms and biases, too, must differ from what they start as
            parameter.add_(0.3 * torch.randn_like(parameter))
    tokens = torch.randint(0, VOCABULARY, (1, CONTEXT))
    with torch.inference_mode():
        single, batch = SingleReader(decoder, CONTEXT), BatchReader(decoder, CONTEXT)
        expected = decoder.double()(tokens)[0]  # (T, V)
        for _ in range(2):
            for part in tokens.split((5, *[1] * (CONTEXT - 5)), dim=1):
                found, other = (torch.from_numpy(read(part.numpy())) for read in (single, batch))
                assert found.shape == other.shape == (1, VOCABULARY)
                assert single.length == batch.length
                torch.testing.assert_close(found[0], expected[single.length - 1], atol=1e-12, rtol=1e-10)
                torch.testing.assert_close(other[0], expected[batch.length - 1], atol=1e-12, rtol=1e-10)
            single.reset()
            batch.reset()
