"""Multi-head attention, rotary positions, key-value cache and the pre-norm transformer block.

Used by the language models, CLIP and the diffusion models. Attention is "Attention Is All You Need" (Vaswani et al.
2017, eq. 1), rotary positions are RoFormer (Su et al. 2021, eqs. 12-16), pre-norm is Xiong et al. 2020.
Two forms compute the same numbers: ``explicit`` writes softmax(q k^T) v out, ``sdpa`` calls PyTorch's fused kernel;
which is faster depends on the machine and the precision, so that it is a setting.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "POSITIONS",
    "Attention",
    "Form",
    "KVCache",
    "PositionKind",
    "Positions",
    "TransformerBlock",
    "apply_rotary",
    "rotary_angles",
    "rotary_matrix",
    "sinusoidal_positions",
]

Form = Literal["explicit", "sdpa"]
PositionKind = Literal["none", "learned", "sinusoidal", "rotary"]
POSITIONS: tuple[PositionKind, ...] = ("none", "learned", "sinusoidal", "rotary")
"""How a transformer is told the order of its tokens."""


def sinusoidal_positions(length: int, dim: int, base: float = 10_000.0) -> Tensor:
    """Vaswani et al. 2017, section 3.5: sines in the even features, cosines in the odd ones.

    Returns:
        ``(length, dim)`` float32.

    >>> sinusoidal_positions(2, 4)[0].tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    angles = rotary_angles(torch.arange(length), dim, base)  # (T, D/2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).reshape(length, dim)


def rotary_angles(positions: Tensor, dim: int, base: float = 10_000.0) -> Tensor:
    """``position * theta_i`` with ``theta_i = base ** (-2 i / dim)`` (Su et al. 2021, eq. 15).

    Args:
        positions: ``(T,)`` integers.
        dim: even number of features.
        base: 10,000 in the paper.

    Returns:
        ``(T, dim / 2)`` float32, computed in float64.

    Raises:
        ValueError: ``dim`` is odd.
    """
    if dim % 2:
        raise ValueError(f"positions need an even number of features, not {dim}")
    theta = base ** (-torch.arange(0, dim, 2, dtype=torch.float64, device=positions.device) / dim)  # (D/2,)
    return (positions.to(torch.float64)[:, None] * theta).float()


def rotary_matrix(position: int, dim: int, base: float = 10_000.0) -> Tensor:
    """The block-diagonal rotation R of one position (Su et al. 2021, eq. 15): ``(dim, dim)`` float32.

    The definition that :func:`apply_rotary` is tested against: ``R(m)^T R(n) = R(n - m)``, so that a score depends on
    the distance of query and key alone.
    """
    angle = rotary_angles(torch.tensor([position]), dim, base)[0]  # (D/2,)
    even, odd = torch.arange(0, dim, 2), torch.arange(1, dim, 2)
    matrix = torch.zeros(dim, dim)
    matrix[even, even], matrix[even, odd] = angle.cos(), -angle.sin()
    matrix[odd, even], matrix[odd, odd] = angle.sin(), angle.cos()
    return matrix


def apply_rotary(x: Tensor, angles: Tensor) -> Tensor:
    """Rotate each pair of features (2i, 2i+1) by its angle: ``R x`` of eq. 16 as a complex product, in float32 or
    better.

    Args:
        x: ``(..., T, D)``.
        angles: ``(T, D / 2)`` from :func:`rotary_angles`.

    Returns:
        The same shape and dtype as ``x``.
    """
    wide = x if x.dtype == torch.float64 else x.float()
    angles = angles.to(wide.dtype)
    pairs = torch.view_as_complex(wide.reshape(*x.shape[:-1], -1, 2))  # (..., T, D/2)
    turned = pairs * torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(turned).flatten(-2).to(x.dtype)


class Positions(nn.Module):
    """Positions added to the embeddings; ``none`` and ``rotary`` (which turns queries and keys instead) add nothing.

    ``sinusoidal`` also scales the embeddings by the root of their width, without which they grow or vanish beside the
    fixed sines.

    Args:
        kind: one of ``POSITIONS``.
        max_len: rows of the learned table; a position beyond it takes the last row, for there is nothing better to
            take.
        dim: features.

    Raises:
        ValueError: unknown kind.
    """

    table: Tensor

    def __init__(self, kind: PositionKind, max_len: int, dim: int) -> None:
        super().__init__()
        if kind not in POSITIONS:
            raise ValueError(f"positions must be one of {', '.join(POSITIONS)}, not {kind!r}")
        self.kind, self.dim = kind, dim
        self.learned = nn.Parameter(torch.empty(max_len, dim).normal_(std=0.02)) if kind == "learned" else None
        self.register_buffer(
            "table", sinusoidal_positions(max_len, dim) if kind == "sinusoidal" else torch.empty(0), persistent=False
        )

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """``(B, T, D)`` embeddings of the tokens at positions ``start, start + 1, ...``, with their positions added."""
        end = start + x.shape[1]
        if self.learned is not None:
            places = torch.arange(start, end, device=x.device).clamp(max=len(self.learned) - 1)
            return x + self.learned[places]
        if self.kind == "sinusoidal":
            if end > len(self.table):
                self.table = sinusoidal_positions(2 * end, self.dim).to(x.device)
            return x * math.sqrt(self.dim) + self.table[start:end]  # Vaswani et al. 2017, sections 3.4 and 3.5
        return x


class KVCache:
    """Keys and values of the tokens seen so far, of one attention layer, in buffers allocated once.

    Args:
        max_len: most tokens that it can hold.
    """

    def __init__(self, max_len: int) -> None:
        self.max_len = max_len
        self.length = 0
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add ``(B, H, T, D)`` keys and values; returns all of them, ``(B, H, length, D)``.

        Raises:
            ValueError: more than ``max_len`` tokens.
        """
        batch, heads, count, dim = keys.shape
        end = self.length + count
        if end > self.max_len:
            raise ValueError(
                f"the cache holds {self.max_len} tokens, not {end}: call reset() and feed the last ones again"
            )
        if self._keys is None or self._values is None:
            self._keys = keys.new_empty(batch, heads, self.max_len, dim)
            self._values = values.new_empty(batch, heads, self.max_len, dim)
        self._keys[:, :, self.length : end] = keys
        self._values[:, :, self.length : end] = values
        self.length = end
        return self._keys[:, :, :end], self._values[:, :, :end]

    def reset(self) -> None:
        """Forget everything; the buffers stay."""
        self.length = 0


class Attention(nn.Module):
    """Multi-head attention over the sequence itself or over a context.

    Args:
        dim: width D of the queries and of the result.
        heads: number of heads, a divisor of ``dim``.
        context_dim: width of the context for cross-attention, None for self-attention.
        rotary: rotate queries and keys by their position (self-attention only).
        max_len: positions for which the rotation is computed in advance; longer inputs work too.
        causal: token t attends to tokens <= t.
        form: ``explicit`` or ``sdpa``.
        bias: biases in the projections.

    Raises:
        ValueError: shapes or forms that make no sense together.
    """

    angles: Tensor

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        context_dim: int | None = None,
        rotary: bool = False,
        max_len: int = 1024,
        causal: bool = False,
        form: Form = "explicit",
        bias: bool = True,
    ) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"dim {dim} is not a multiple of heads {heads}")
        if form not in ("explicit", "sdpa"):
            raise ValueError(f"form must be 'explicit' or 'sdpa', not {form!r}")
        if context_dim is not None and (causal or rotary):
            raise ValueError("cross-attention is neither causal nor rotary")
        self.heads, self.head_dim = heads, dim // heads
        self.causal, self.rotary, self.form = causal, rotary, form
        self.cross = context_dim is not None
        self.query = nn.Linear(dim, dim, bias=bias)
        self.key_value = nn.Linear(context_dim if context_dim is not None else dim, 2 * dim, bias=bias)
        self.out = nn.Linear(dim, dim, bias=bias)
        angles = rotary_angles(torch.arange(max_len), self.head_dim) if rotary else torch.empty(0)
        self.register_buffer("angles", angles, persistent=False)

    def _rotate(self, x: Tensor, start: int) -> Tensor:
        end = start + x.shape[-2]
        if end > len(self.angles):
            self.angles = rotary_angles(torch.arange(2 * end, device=x.device), self.head_dim)
        return apply_rotary(x, self.angles[start:end])

    def _allowed(self, queries: int, keys: int, mask: Tensor | None, device: torch.device) -> Tensor | None:
        """``(B|1, 1, T|1, S)`` True = attend, or None for everything."""
        allowed = None if mask is None else mask[:, None]
        if self.causal and queries > 1:  # a single query is the newest token and sees all
            triangle = torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)
            allowed = triangle[None, None] if allowed is None else allowed & triangle
        return allowed

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        mask: Tensor | None = None,
        cache: KVCache | None = None,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Eq. 1 of Vaswani et al.: ``softmax(q k^T / sqrt(d)) v``, heads side by side, projected.

        Args:
            x: ``(B, T, D)`` queries.
            context: ``(B, S, context_dim)`` for cross-attention.
            mask: bool ``(B, 1 or T, S)``, True = attend; each query needs at least one key. S counts cached tokens too.
            cache: earlier keys and values (self-attention); x holds the new tokens only.
            return_weights: also return the attention maps ``(B, heads, T, S)`` (always by the explicit form).

        Returns:
            ``(B, T, D)``, and the maps if asked for.
        """
        if self.cross != (context is not None):
            raise ValueError("context is required by cross-attention and refused by self-attention")
        batch, queries, dim = x.shape
        source = x if context is None else context
        q = self.query(x).view(batch, queries, self.heads, self.head_dim).transpose(1, 2)  # (B, H, T, d)
        k, v = (
            self.key_value(source).view(batch, source.shape[1], 2, self.heads, self.head_dim).permute(2, 0, 3, 1, 4)
        )  # (B, H, S, d)
        if self.rotary:
            start = cache.length if cache is not None else 0
            q, k = self._rotate(q, start), self._rotate(k, start)
        if cache is not None:
            k, v = cache.append(k, v)
        weights = None
        if self.form == "sdpa" and not return_weights:
            if self.causal and mask is None and queries == k.shape[2]:
                mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            else:
                mixed = F.scaled_dot_product_attention(
                    q, k, v, attn_mask=self._allowed(queries, k.shape[2], mask, x.device)
                )
        else:
            scores = (q * (1 / math.sqrt(self.head_dim))) @ k.transpose(-2, -1)  # (B, H, T, S)
            allowed = self._allowed(queries, k.shape[2], mask, x.device)
            if allowed is not None:
                # Adding a small (1, 1, T, S) bias costs a quarter of filling the scores, and nothing on the way back.
                scores = scores + torch.zeros_like(allowed, dtype=scores.dtype).masked_fill(~allowed, -math.inf)
            weights = scores.softmax(-1)
            mixed = weights.to(v.dtype) @ v  # autocast's softmax is float32
        result: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, queries, dim))  # (B, T, D)
        return (result, weights) if return_weights and weights is not None else result


class TransformerBlock(nn.Module):
    """Pre-norm block: self-attention, optional cross-attention, MLP, each added to the stream (Xiong et al. 2020).

    Args:
        dim: width.
        heads: attention heads.
        causal: token t attends to tokens <= t.
        rotary: rotary positions in self-attention.
        mlp_ratio: hidden width of the MLP as a multiple of ``dim``; 0 leaves the MLP out (attention alone).
        context_dim: width of the context; None leaves cross-attention out.
        form: ``explicit`` or ``sdpa``.
        max_len: see :class:`Attention`.
        bias: biases in the attention projections.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        causal: bool = False,
        rotary: bool = False,
        mlp_ratio: float = 4,
        context_dim: int | None = None,
        form: Form = "explicit",
        max_len: int = 1024,
        bias: bool = True,
    ) -> None:
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = Attention(dim, heads, rotary=rotary, causal=causal, form=form, max_len=max_len, bias=bias)
        self.cross_norm = nn.LayerNorm(dim) if context_dim is not None else None
        self.cross = (
            Attention(dim, heads, context_dim=context_dim, form=form, bias=bias) if context_dim is not None else None
        )
        self.mlp_norm = nn.LayerNorm(dim) if hidden else None
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim)) if hidden else None

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        context: Tensor | None = None,
        cache: KVCache | None = None,
        context_mask: Tensor | None = None,
    ) -> Tensor:
        """``(B, T, D)`` to ``(B, T, D)``; ``mask`` is for self-attention, ``context_mask`` ``(B, 1 or T, S)`` for the
        context."""
        x = x + self.attention(self.attention_norm(x), mask=mask, cache=cache)
        if self.cross is not None and self.cross_norm is not None:
            x = x + self.cross(self.cross_norm(x), context=context, mask=context_mask)
        if self.mlp is not None and self.mlp_norm is not None:
            x = x + self.mlp(self.mlp_norm(x))
        return x

    def attention_weights(self, x: Tensor) -> Tensor:
        """``(B, heads, T, T)``: how much each position of ``x`` (B, T, D) attends to each."""
        weights: Tensor = self.attention(self.attention_norm(x), return_weights=True)[1]
        return weights
