"""Log-probability of a long stream of tokens by a network that sees a limited context: sliding windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["stream_log_prob", "windows_of"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def windows_of(length: int, context: int, stride: int, batch_size: int) -> Iterator[tuple[int, Ints]]:
    """Batches of equally long windows over a stream of ``length`` tokens, and from which place on each is scored.

    A window that starts at s predicts tokens s + 1 .. s + context; the first predicts all of them, each later one its
    last ``stride``. The very last one begins where the next of them would and ends with the stream: what a token is
    predicted from does not depend on how much follows it.

    >>> [(first, windows.tolist()) for first, windows in windows_of(12, 4, 3, 8)]
    [(0, [0]), (1, [3, 6]), (1, [9])]
    """
    yield 0, np.zeros(1, dtype=np.int64)
    starts = np.arange(stride, length - context, stride)
    for i in range(0, len(starts), batch_size):
        yield context - stride, starts[i : i + batch_size]
    last = int(starts[-1]) if len(starts) else 0
    if last + context + 1 < length:
        yield context - stride, np.array([last + stride])


def stream_log_prob(
    network: Callable[[Tensor], Tensor],
    stream: Ints,
    context: int,
    stride: int,
    *,
    batch_size: int = 64,
    device: str = "cpu",
) -> Floats:
    """Nats of each token of a stream but the first, from at least ``context - stride`` tokens before it.

    Args:
        network: ``(B, T)`` ids to ``(B, T, V)`` logits of the next token.
        stream: ``(N,)`` ids, at least two.
        context: tokens that the network sees at once.
        stride: tokens that a window moves on by, from 1 to ``context``.
        batch_size: windows at once; makes no difference beyond rounding.
        device: of the network.

    Returns:
        ``(N - 1,)`` natural log-probabilities.
    """
    nats = np.empty(len(stream))
    for first, windows in windows_of(len(stream), context, stride, batch_size):
        offsets = np.arange(min(context, len(stream) - 1 - int(windows[-1])) + 1)
        batch = torch.from_numpy(stream[windows[:, None] + offsets]).to(device)  # (windows, T + 1)
        with torch.inference_mode():
            scored = network(batch[:, :-1])[:, first:].double().log_softmax(-1)
            found = scored.gather(-1, batch[:, first + 1 :, None])[..., 0].cpu().numpy()  # (windows, scored)
        nats[windows[:, None] + np.arange(first + 1, batch.shape[1])] = found
    return nats[1:]
