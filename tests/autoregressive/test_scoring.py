"""Sliding windows: every token is scored once, from context enough, and as a network that sees everything would."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.autoregressive.scoring import stream_log_prob, windows_of
from bench.nn.decoder import Decoder, DecoderShape


@settings(max_examples=80, deadline=None)
@given(length=st.integers(2, 60), context=st.integers(2, 9), data=st.data())
def test_windows_score_each_token_once_with_context_enough(length: int, context: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, context))
    seen = np.zeros(length, dtype=int)
    for first, windows in windows_of(length, context, stride, 4):
        for start in windows:
            places = start + np.arange(first + 1, min(context, length - 1 - start) + 1)
            seen[places] += 1
            assert (places - start >= np.minimum(places, context - stride + 1)).all()
    assert (seen[1:] == 1).all() and seen[0] == 0


@pytest.mark.parametrize("stride", [1, 3, 8])
def test_a_stream_is_scored_as_the_network_scores_each_context(stride: int) -> None:
    torch.manual_seed(0)
    context = 8
    decoder = Decoder(11, DecoderShape(width=16, layers=2, heads=2, context=context)).eval()
    stream = np.random.default_rng(0).integers(0, 11, 30)
    nats = stream_log_prob(decoder, stream, context, stride, batch_size=3)
    assert nats.shape == (29,)
    for place in (1, 5, 8, 12, 29):
        # The window that scores a place starts at a multiple of the stride.
        start = 0 if place <= context else -(-(place - context) // stride) * stride
        with torch.inference_mode():
            logits = decoder(torch.from_numpy(stream[None, start:place]))[0, -1]
        assert nats[place - 1] == pytest.approx(float(logits.double().log_softmax(-1)[stream[place]]), abs=1e-5)


@pytest.mark.parametrize("stride", [1, 3, 8])
def test_what_follows_changes_nothing(stride: int) -> None:
    torch.manual_seed(0)
    decoder = Decoder(11, DecoderShape(width=16, layers=2, heads=2, context=8)).eval()
    stream = np.random.default_rng(0).integers(0, 11, 30)
    whole = stream_log_prob(decoder, stream, 8, stride)
    for length in range(2, 30):
        assert stream_log_prob(decoder, stream[:length], 8, stride) == pytest.approx(whole[: length - 1], abs=1e-5)
