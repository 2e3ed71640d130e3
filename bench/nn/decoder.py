"""The decoder-only transformer over tokens of any kind (Vaswani et al. 2017; pre-norm as in Radford et al. 2019)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.nn.attention import POSITIONS, Form, KVCache, PositionKind, Positions, TransformerBlock

__all__ = ["Decoder", "DecoderShape"]


@dataclass(frozen=True)
class DecoderShape:
    """What determines the tensors of a :class:`Decoder`.

    Attributes:
        width: features of the residual stream.
        layers: blocks.
        heads: attention heads in each block.
        context: tokens that it sees at once in training.
        positions: ``none``, ``learned``, ``sinusoidal`` or ``rotary``.
        mlp_ratio: hidden width of the MLPs over ``width``; 0 for none.
        tied: the output layer shares the embedding table.
        attention: ``explicit`` or ``sdpa`` (the same numbers, another speed).
    """

    width: int = 128
    layers: int = 4
    heads: int = 4
    context: int = 128
    positions: PositionKind = "rotary"
    mlp_ratio: float = 4
    tied: bool = True
    attention: Form = "explicit"

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.heads) < 1 or self.context < 2:
            raise ValueError("width, layers and heads must be at least 1 and context at least 2")
        if self.width % (2 * self.heads):
            raise ValueError(
                f"an even head width is needed: width {self.width} is not a multiple of 2 x {self.heads} heads"
            )
        if self.positions not in POSITIONS:
            raise ValueError(f"positions must be one of {', '.join(POSITIONS)}, not {self.positions!r}")
        if self.mlp_ratio < 0:
            raise ValueError(f"mlp_ratio must not be negative, not {self.mlp_ratio}")
        if self.attention not in ("explicit", "sdpa"):
            raise ValueError(f"attention must be 'explicit' or 'sdpa', not {self.attention!r}")


class Decoder(nn.Module):
    """Embedding, causal pre-norm blocks, final norm, logits.

    Args:
        size: vocabulary size V.
        shape: see :class:`DecoderShape`.
    """

    def __init__(self, size: int, shape: DecoderShape) -> None:
        super().__init__()
        self.embedding = nn.Embedding(size, shape.width)
        self.positions = Positions(shape.positions, shape.context, shape.width)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                shape.width,
                shape.heads,
                causal=True,
                rotary=shape.positions == "rotary",
                mlp_ratio=shape.mlp_ratio,
                form=shape.attention,
                max_len=shape.context,
            )
            for _ in range(shape.layers)
        )
        self.norm = nn.LayerNorm(shape.width)
        self.head = None if shape.tied else nn.Linear(shape.width, size, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:  # Radford et al. 2019: 0.02, what is added to the stream scaled by its depth
                added = name.endswith(("attention.out.weight", "mlp.2.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * shape.layers) if added else 0.02)

    def forward(self, tokens: Tensor, caches: Sequence[KVCache] | None = None) -> Tensor:
        """``(B, T)`` ids to ``(B, T, V)`` logits; with caches, ``tokens`` are the new ones only."""
        x = self.positions(self.embedding(tokens), caches[0].length if caches is not None else 0)  # (B, T, D)
        for i, block in enumerate(self.blocks):
            x = block(x, cache=caches[i] if caches is not None else None)
        x = self.norm(x)
        logits: Tensor = F.linear(x, self.embedding.weight) if self.head is None else self.head(x)
        return logits

    def attention_maps(self, tokens: Tensor) -> Tensor:
        """``(layers, heads, T, T)`` of one stream ``(T,)``: row t is where token t looks."""
        x = self.positions(self.embedding(tokens[None]))
        maps = []
        for block in self.blocks:
            assert isinstance(block, TransformerBlock)
            maps.append(block.attention_weights(x)[0])
            x = block(x)
        return torch.stack(maps)
