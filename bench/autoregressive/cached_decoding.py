"""Cached reading for sampling: new tokens in, logits of the next one out, in float64 (where no order of summation tips
a draw in practice).

:class:`BatchReader` is the decoder with its key-value caches, on any device. :class:`SingleReader` is the same function
of one text, written out in NumPy: a step of a small network is bound by the number of calls, and NumPy's cost a
fraction of torch's.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr
from torch import Tensor, nn

from bench.autoregressive.decoding import draw_tokens, filter_logits
from bench.nn.attention import KVCache, TransformerBlock
from bench.nn.decoder import Decoder

__all__ = ["BatchReader", "Reader", "SingleReader", "continuations"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Affine = tuple[Floats, Floats]
"""``(in, out)`` weights and ``(out,)`` bias."""


class Reader(Protocol):
    """What has been read so far of a batch of texts."""

    @property
    def length(self) -> int:
        """Tokens read."""

    def reset(self) -> None:
        """Forget everything."""

    def __call__(self, tokens: Ints) -> Floats:
        """Read ``(B, T)`` further tokens: ``(B, V)`` logits of the next one."""


class BatchReader:
    """Any number of texts.

    Args:
        decoder: a trained network.
        context: most tokens that are kept.
    """

    def __init__(self, decoder: Decoder, context: int) -> None:
        self.decoder = copy.deepcopy(decoder).double()
        self.caches = [KVCache(context) for _ in decoder.blocks]

    @property
    def length(self) -> int:
        """Tokens read."""
        return self.caches[0].length

    def reset(self) -> None:
        """Forget everything."""
        for cache in self.caches:
            cache.reset()

    @torch.inference_mode()
    def __call__(self, tokens: Ints) -> Floats:
        """See :class:`Reader`."""
        ids = torch.from_numpy(tokens).to(self.decoder.embedding.weight.device)
        return _array(self.decoder(ids, self.caches)[:, -1])


class _Layer:
    """One block's weights, made ready for :class:`SingleReader`."""

    def __init__(self, block: TransformerBlock, context: int) -> None:
        attention, mlp = block.attention, block.mlp
        weight, bias = _after(block.attention_norm, _affine(attention.query, attention.key_value))
        scale = np.repeat(
            [1 / math.sqrt(attention.head_dim), 1.0, 1.0], attention.heads * attention.head_dim
        )  # of the scores
        self.projections = (weight * scale, bias * scale)
        self.out = _centred(*_affine(attention.out))
        self.up = self.down = None
        if mlp is not None and block.mlp_norm is not None:
            up, down = mlp[0], mlp[2]
            assert isinstance(up, nn.Linear) and isinstance(down, nn.Linear)
            self.up, self.down = _after(block.mlp_norm, _affine(up)), _centred(*_affine(down))
        self.keys = np.empty((attention.heads, attention.head_dim, context))
        self.values = np.empty((attention.heads, context, attention.head_dim))


class SingleReader:
    """One text, on the processor.

    Everything that reads the residual stream is a layer norm and blind to its mean. So all that is written to the
    stream is centred beforehand, in the weights, and a norm is a division; its scale and shift belong to the product
    that follows it, as does the scale of the scores to the queries.

    Args:
        decoder: a trained network.
        context: most tokens that are kept.
    """

    def __init__(self, decoder: Decoder, context: int) -> None:
        blocks = [block for block in decoder.blocks if isinstance(block, TransformerBlock)]
        self.length, self.heads, self.size = 0, blocks[0].attention.heads, blocks[0].attention.head_dim
        self.width, self.epsilon = self.heads * self.size, decoder.norm.eps
        self.layers = [_Layer(block, context) for block in blocks]
        with torch.inference_mode():
            places = copy.deepcopy(decoder.positions).double()
            embedding = _array(decoder.embedding.weight)
            zeros, ones = (
                torch.full((1, context, decoder.positions.dim), fill, dtype=torch.float64) for fill in (0.0, 1.0)
            )
            shift = _array(places(zeros)[0])  # (context, D): what positions add ...
            factor = float((places(ones) - places(zeros))[0, 0, 0])  # ... and what they scale the embeddings by
        self.embedding, self.shift = _centred(factor * embedding, shift)
        output = _array((decoder.embedding if decoder.head is None else decoder.head).weight).T
        self.head = _after(decoder.norm, (output, np.zeros(output.shape[1])))
        attention = blocks[0].attention
        self.turns: NDArray[np.complex128] | None = None
        if attention.rotary:
            self.turns = np.exp(1j * _array(attention.angles[:context]))[:, None, None]  # (context, 1, 1, d / 2)

    def reset(self) -> None:
        """Forget everything."""
        self.length = 0

    def __call__(self, tokens: Ints) -> Floats:
        """See :class:`Reader`; ``tokens`` is ``(1, T)``."""
        start, end = self.length, self.length + tokens.shape[1]
        x = self.embedding[tokens[0]] + self.shift[start:end]  # (T, D)
        for layer in self.layers:
            x += self._attend(layer, self._scaled(x), start, end)
            if layer.up is not None and layer.down is not None:
                hidden = self._scaled(x) @ layer.up[0]
                hidden += layer.up[1]
                hidden *= ndtr(hidden)  # GELU: x Phi(x), Hendrycks & Gimpel 2016
                x += hidden @ layer.down[0]
                x += layer.down[1]
        self.length = end
        weight, bias = self.head
        logits: Floats = self._scaled(x[-1:]) @ weight + bias
        return logits

    def _scaled(self, x: Floats) -> Floats:
        """``(T, D)`` of variance 1 each: a layer norm of what has no mean."""
        scaled: Floats = x / np.sqrt(np.vecdot(x, x) / self.width + self.epsilon)[:, None]
        return scaled

    def _attend(self, layer: _Layer, h: Floats, start: int, end: int) -> Floats:
        parts = h @ layer.projections[0]
        parts += layer.projections[1]
        parts = parts.reshape(end - start, 3, self.heads, self.size)
        if self.turns is not None:  # Su et al. 2021, eq. 16, as a complex product
            parts[:, :2] = (np.ascontiguousarray(parts[:, :2]).view(np.complex128) * self.turns[start:end]).view(
                np.float64
            )
        q, k, v = parts.transpose(1, 2, 0, 3)  # (H, T, d)
        layer.keys[:, :, start:end] = k.transpose(0, 2, 1)
        layer.values[:, start:end] = v
        weights = q @ layer.keys[:, :, :end]  # (H, T, S)
        if end - start > 1:
            weights[:, ~np.tri(end - start, end, start, dtype=bool)] = -math.inf
        weights -= weights.max(-1, keepdims=True)
        np.exp(weights, out=weights)
        mixed = weights @ layer.values[:, :end]  # (H, T, d)
        mixed /= weights.sum(-1, keepdims=True)
        result: Floats = mixed.transpose(1, 0, 2).reshape(end - start, -1) @ layer.out[0]
        result += layer.out[1]
        return result


def continuations(
    decoder: Decoder,
    tokens: Ints,
    rngs: Sequence[np.random.Generator],
    context: int,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    barred: int | None = None,
) -> Iterator[list[int]]:
    """Endless next tokens of prompts: at each step one for each row; row i depends on its own prompt and ``rngs[i]``.

    When the context is full, the last half of it is read anew.

    Args:
        decoder: a trained network, on its device.
        tokens: ``(B, P)`` prompts.
        rngs: one for each row.
        context: most tokens that the network sees at once.
        temperature: see :func:`bench.autoregressive.decoding.filter_logits`, likewise ``top_k`` and ``top_p``.
        barred: a token that is never drawn.
    """
    on_processor = decoder.embedding.weight.device.type == "cpu"
    read: Reader = (SingleReader if len(tokens) == 1 and on_processor else BatchReader)(decoder, context)
    new = tokens
    while True:
        if read.length + new.shape[1] > context:
            read.reset()
            new = tokens[:, -max(1, context // 2) :]
        logits = read(new)  # (B, V)
        if barred is not None:
            logits[:, barred] = -math.inf
        drawn = draw_tokens(filter_logits(logits, temperature, top_k, top_p), np.array([rng.random() for rng in rngs]))
        new = drawn[:, None]
        tokens = np.concatenate([tokens[:, -context:], new], axis=1)
        yield drawn.tolist()


def _array(tensor: Tensor) -> Floats:
    found: Floats = tensor.detach().double().cpu().numpy()
    return found


def _affine(*layers: nn.Linear) -> Affine:
    """Linear layers of one input side by side, as one."""
    biases = [_array(layer.bias) if layer.bias is not None else np.zeros(layer.out_features) for layer in layers]
    return np.ascontiguousarray(np.concatenate([_array(layer.weight) for layer in layers]).T), np.concatenate(biases)


def _after(norm: nn.LayerNorm, affine: Affine) -> Affine:
    """The layer with the scale and shift of the norm before it: ``(g u + s) W + b = u (g W) + (s W + b)``."""
    weight, bias = affine
    return _array(norm.weight)[:, None] * weight, _array(norm.bias) @ weight + bias


def _centred(*rows: Floats) -> tuple[Floats, ...]:
    """Each array less the mean over its last axis."""
    return tuple(array - array.mean(axis=-1, keepdims=True) for array in rows)
