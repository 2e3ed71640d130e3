"""One U-Net for pixels and for latents (Ronneberger et al. 2015; as a noise predictor Ho et al. 2020, appendix B).

Time (and class) enter each residual block as scale and shift after its second norm (FiLM; Dhariwal and Nichol 2021,
section 3, "adaptive group normalisation"); text enters by cross-attention (Rombach et al. 2022, section 3.3). The last
layer of every residual branch starts at zero, so that the network starts as the identity on its skips.

Choices measured in short CPU runs: one group in GroupNorm (several are many times slower in channels-last bf16),
attention written out, ``patch`` = space-to-depth at the entrance (28x28x1 -> 14x14x4: a quarter of the positions for
the same picture).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.base.settings import Checked, Count, Natural
from bench.nn.attention import Attention, Form, sinusoidal_positions
from bench.nn.blocks import ResBlock, Upsample, zero_init

__all__ = ["UNet", "UNetConfig", "check_levels"]


def check_levels(widths: Sequence[int], attention: Sequence[int], heads: int) -> None:
    """Refuse levels of attention that do not exist, and heads that do not divide the width of one that does.

    Raises:
        ValueError: naming the level.
    """
    if not widths:
        raise ValueError("widths: at least one is needed")
    for number, level in enumerate(attention):
        if not 0 <= level < len(widths):
            raise ValueError(f"attention[{number}]: there is no level {level}: widths has 0 to {len(widths) - 1}")
        if widths[level] % heads:
            raise ValueError(f"heads: {heads} do not divide widths[{level}], {widths[level]}")


@dataclass(frozen=True)
class UNetConfig(Checked):
    """Shape of a U-Net.

    Attributes:
        channels: channels of input and output.
        widths: channels at each resolution; each further entry halves the resolution.
        blocks: residual blocks on each level on the way down (one more on the way up).
        embedding: width of the time (and class) vector.
        classes: number of classes; 0 for none.
        vector_dim: width of an extra conditioning vector that is added to the time vector (a pooled text); 0 for none.
        context_dim: width of the text states for cross-attention; 0 for none.
        attention: levels (0 = finest) with self-attention (and cross-attention if there is a context).
        heads: attention heads.
        patch: space-to-depth factor at the entrance and depth-to-space at the exit.
        groups: groups of the normalisation.
        skips: connect the way down with the way up; False is an ablation.
        coordinates: two more input channels that say where a pixel lies, y and x from -1 to 1 (Liu et al. 2018,
            CoordConv): attention itself does not know left from right.
        steps: number of diffusion steps (rows of the time table).
        form: form of attention, see :class:`bench.nn.attention.Attention`.
    """

    channels: Count = 1
    widths: tuple[Count, ...] = (32, 64)
    blocks: Count = 1
    embedding: Count = 128
    classes: Natural = 0
    vector_dim: Natural = 0
    context_dim: Natural = 0
    attention: tuple[Natural, ...] = (1,)
    heads: Count = 2
    patch: Count = 1
    groups: Count = 1
    skips: bool = True
    coordinates: bool = False
    steps: Count = 1000
    form: Form = "explicit"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_levels(self.widths, self.attention, self.heads)


def _coordinates(x: Tensor) -> Tensor:
    """``(B, 2, H, W)``: y and x of each place, from -1 to 1."""
    batch, _, height, width = x.shape
    y, z = (torch.linspace(-1, 1, n, device=x.device, dtype=x.dtype) for n in (height, width))
    return torch.stack(torch.meshgrid(y, z, indexing="ij")).expand(batch, 2, height, width)


class SpatialAttention(nn.Module):
    """Self-attention over the positions of a feature map, then cross-attention to a context if there is one."""

    def __init__(self, dim: int, heads: int, context_dim: int, groups: int, form: Form) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, dim)
        self.self_attention = Attention(dim, heads, form=form)
        zero_init(self.self_attention.out)
        self.cross_norm = nn.LayerNorm(dim) if context_dim else None
        self.cross_attention = Attention(dim, heads, context_dim=context_dim, form=form) if context_dim else None
        if self.cross_attention is not None:
            zero_init(self.cross_attention.out)

    def forward(self, x: Tensor, context: Tensor | None, mask: Tensor | None) -> Tensor:
        """``(B, C, H, W)`` to the same shape; ``context`` ``(B, S, context_dim)``, ``mask`` ``(B, S)`` True = text."""
        batch, channels, height, width = x.shape
        tokens = x.flatten(2).transpose(1, 2)  # (B, H*W, C)
        tokens = tokens + self.self_attention(self.norm(x).flatten(2).transpose(1, 2))
        if self.cross_attention is not None and self.cross_norm is not None:
            where = None if mask is None else mask[:, None, :]  # (B, 1, S)
            tokens = tokens + self.cross_attention(self.cross_norm(tokens), context=context, mask=where)
        return cast(Tensor, tokens.transpose(1, 2).reshape(batch, channels, height, width))


class _Stage(nn.Module):
    """A residual block and, on levels that have it, attention."""

    def __init__(self, inputs: int, outputs: int, config: UNetConfig, attend: bool) -> None:
        super().__init__()
        self.block = ResBlock(inputs, outputs, embedding=config.embedding, groups=config.groups)
        self.attention = (
            SpatialAttention(outputs, config.heads, config.context_dim, config.groups, config.form) if attend else None
        )

    def forward(self, x: Tensor, vector: Tensor, context: Tensor | None, mask: Tensor | None) -> Tensor:
        x = self.block(x, vector)
        return x if self.attention is None else cast(Tensor, self.attention(x, context, mask))


class UNet(nn.Module):
    """Down, middle, up, with skips; see :class:`UNetConfig`."""

    times: Tensor

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        c, widths = config, config.widths
        inner = config.channels * config.patch**2
        self.register_buffer("times", sinusoidal_positions(c.steps, 64), persistent=False)
        self.time = nn.Sequential(nn.Linear(64, c.embedding), nn.SiLU(), nn.Linear(c.embedding, c.embedding))
        self.label = nn.Embedding(c.classes, c.embedding) if c.classes else None
        self.vector = nn.Linear(c.vector_dim, c.embedding) if c.vector_dim else None

        self.stem = nn.Conv2d(inner + 2 * c.coordinates, widths[0], 3, padding=1)
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        channels, skips = widths[0], [widths[0]]
        for level, width in enumerate(widths):
            stages = nn.ModuleList()
            for i in range(c.blocks):
                stages.append(_Stage(channels, width, c, attend=level in c.attention and i == 0))
                channels = width
                skips.append(channels)
            self.down.append(stages)
            if level < len(widths) - 1:
                self.shrink.append(nn.Conv2d(channels, channels, 3, stride=2, padding=1))
                skips.append(channels)
        self.middle = _Stage(channels, channels, c, attend=len(widths) - 1 in c.attention)
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        for level, width in reversed(list(enumerate(widths))):
            stages = nn.ModuleList()
            for i in range(c.blocks + 1):
                skip = skips.pop() if c.skips else 0
                stages.append(_Stage(channels + skip, width, c, attend=level in c.attention and i == 0))
                channels = width
            self.up.append(stages)
            if level > 0:
                self.grow.append(Upsample(channels, channels))
        self.out_norm = nn.GroupNorm(c.groups, channels)
        self.out = zero_init(nn.Conv2d(channels, inner, 3, padding=1))

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        labels: Tensor | None = None,
        vector: Tensor | None = None,
        context: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """A picture-shaped prediction.

        Args:
            x: ``(B, channels, H, W)``; H and W divisible by ``patch * 2 ** (levels - 1)``.
            t: ``(B,)`` int64 steps.
            labels: ``(B,)`` int64 classes, if the network has classes.
            vector: ``(B, vector_dim)``, if the network has one.
            context: ``(B, S, context_dim)``, if the network has cross-attention.
            mask: ``(B, S)`` bool, True where the context counts.
        """
        emb = self.time(self.times[t])  # (B, E)
        if self.label is not None and labels is not None:
            emb = emb + self.label(labels)
        if self.vector is not None and vector is not None:
            emb = emb + self.vector(vector)
        emb = F.silu(emb)

        h = F.pixel_unshuffle(x, self.config.patch)
        h = self.stem(torch.cat([h, _coordinates(h)], dim=1) if self.config.coordinates else h)
        skips = [h]
        for level, stages in enumerate(self.down):
            for stage in cast(nn.ModuleList, stages):
                h = stage(h, emb, context, mask)
                skips.append(h)
            if level < len(self.shrink):
                h = self.shrink[level](h)
                skips.append(h)
        h = self.middle(h, emb, context, mask)
        for level, stages in enumerate(self.up):
            for stage in cast(nn.ModuleList, stages):
                h = stage(torch.cat([h, skips.pop()], dim=1) if self.config.skips else h, emb, context, mask)
            if level < len(self.grow):
                h = self.grow[level](h)
        return F.pixel_shuffle(self.out(F.silu(self.out_norm(h))), self.config.patch)
