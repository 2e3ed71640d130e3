"""Cached sampling, one token of each item at a time: the decoder as few products of one constant shape.

Sampling a small network is bound by the number of calls, not by arithmetic: queries, keys and values are one product, and the
cache is written in place. Items are computed in groups of ``ROWS``, padded where there are fewer: every product has the same shape
whatever the batch, so that no batch can change a text, in float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.nn.attention import KVCache, TransformerBlock

if TYPE_CHECKING:
    from bench.words.transformer_lm import Decoder

__all__ = ["ROWS", "Fused", "Stepper"]

ROWS = 16
"""Items in one product: less wastes nothing for a single item, more saves calls for many."""

Affine = tuple[Tensor, Tensor]
"""``(in, out)`` weights and bias, as ``addmm`` takes them."""


def _affine(*layers: nn.Linear) -> Affine:
    """Linear layers of one input side by side, as one."""
    weight = torch.cat([layer.weight for layer in layers]).t().contiguous()
    return weight, torch.cat([layer.bias for layer in layers])


@dataclass
class _Layer:
    norm: nn.LayerNorm
    projections: Affine
    out: Affine
    mlp_norm: nn.LayerNorm | None
    up: Affine | None
    down: Affine | None

    @classmethod
    def of(cls, block: TransformerBlock) -> _Layer:
        attention, mlp = block.attention, block.mlp
        return cls(
            block.attention_norm,
            _affine(attention.query, attention.key_value),
            _affine(attention.out),
            block.mlp_norm,
            _affine(mlp[0]) if mlp is not None else None,  # type: ignore[arg-type]
            _affine(mlp[2]) if mlp is not None else None,  # type: ignore[arg-type]
        )


class Fused:
    """The weights of a decoder as :class:`Stepper` takes them, copied once for all groups.

    Args:
        decoder: in evaluation.
    """

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        blocks = [block for block in decoder.blocks if isinstance(block, TransformerBlock)]
        self.layers = [_Layer.of(block) for block in blocks]
        self.heads, self.size = blocks[0].attention.heads, blocks[0].attention.head_dim
        self.output = (decoder.embedding if decoder.head is None else decoder.head).weight.t().contiguous()  # (D, V)
        angles = blocks[0].attention.angles if blocks[0].attention.rotary else None
        self.turns = None if angles is None else torch.polar(torch.ones_like(angles), angles)  # (T, d / 2)


class Stepper:
    """Up to ``ROWS`` items that go forward together.

    Args:
        fused: the network.
        context: tokens that the cache holds.
    """

    def __init__(self, fused: Fused, context: int) -> None:
        self.fused, self.context = fused, context
        self.caches: list[KVCache] = []

    @property
    def room(self) -> int:
        """Tokens that still fit."""
        return self.context - self.caches[0].length

    def begin(self, tokens: Tensor) -> Tensor:
        """Read ``(r, P)`` prompts from scratch, r at most ``ROWS``: ``(r, V)`` logits of the next token."""
        rows = len(tokens)
        self.caches = [KVCache(self.context) for _ in self.fused.layers]
        padded = F.pad(tokens, (0, 0, 0, ROWS - rows))
        logits: Tensor = self.fused.decoder(padded, self.caches)[:rows, -1]
        return logits

    def step(self, tokens: Tensor) -> Tensor:
        """Read one more token ``(r,)`` of each item: ``(r, V)`` logits of the next."""
        net = self.fused
        rows, width, place = len(tokens), net.heads * net.size, self.caches[0].length
        padded = F.pad(tokens, (0, ROWS - rows))
        x = net.decoder.positions(net.decoder.embedding(padded)[:, None], place)[:, 0]  # (ROWS, D)
        scale = 1 / math.sqrt(net.size)
        for layer, cache in zip(net.layers, self.caches, strict=True):
            h = F.layer_norm(x, (width,), layer.norm.weight, layer.norm.bias, layer.norm.eps)
            parts = torch.addmm(layer.projections[1], h, layer.projections[0]).view(ROWS, 3, net.heads, net.size)
            q, k, v = parts.unbind(1)  # (ROWS, H, d)
            if net.turns is not None:  # Su et al. 2021, eq. 16, as a complex product
                pairs = torch.view_as_complex(parts[:, :2].unflatten(-1, (-1, 2)))
                q, k = torch.view_as_real(pairs * net.turns[place]).flatten(-2).unbind(1)
            keys, values = cache.append(k[:, :, None], v[:, :, None])  # (ROWS, H, t, d)
            near = (q[:rows] * scale).reshape(-1, 1, net.size)
            weights = torch.bmm(near, keys[:rows].flatten(0, 1).transpose(1, 2)).softmax(-1)  # (r H, 1, t)
            mixed = torch.bmm(weights, values[:rows].flatten(0, 1)).view(rows, width)
            x = x + torch.addmm(layer.out[1], F.pad(mixed, (0, 0, 0, ROWS - rows)), layer.out[0])
            if layer.mlp_norm is not None and layer.up is not None and layer.down is not None:
                h = F.layer_norm(x, (width,), layer.mlp_norm.weight, layer.mlp_norm.bias, layer.mlp_norm.eps)
                x = x + torch.addmm(layer.down[1], F.gelu(torch.addmm(layer.up[1], h, layer.up[0])), layer.down[0])
        norm = net.decoder.norm
        h = F.layer_norm(x, (width,), norm.weight, norm.bias, norm.eps)
        return (h @ net.output)[:rows]
