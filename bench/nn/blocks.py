"""Building blocks of the convolutional networks, and the two ends of every one of them: bytes in, bytes out.

Two facts of CPU kernels shaped this file. ``GroupNorm`` with several groups is several times slower than with one, so
one group is the default. And a network's output for one picture can depend, in its last bits, on how many pictures
stand in the batch, so :func:`in_chunks` always feeds batches of one size: the result for a picture is then the same in
any company.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.base.finite import refuse_not_finite

__all__ = [
    "ConvNormAct",
    "Downsample",
    "NormKind",
    "ResBlock",
    "Upsample",
    "images_to_tensor",
    "in_chunks",
    "norm2d",
    "ready",
    "tensor_to_images",
    "zero_init",
]

NormKind = Literal["batch", "group"]


def norm2d(channels: int, kind: NormKind = "group", groups: int = 1) -> nn.Module:
    """BatchNorm, or GroupNorm, by default over all channels of one picture (one group)."""
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.GroupNorm(groups, channels)


def zero_init(module: nn.Conv2d | nn.Linear) -> Any:
    """The same layer with weights and bias zero: a residual branch that starts as the identity."""
    nn.init.zeros_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


class ConvNormAct(nn.Sequential):
    """3x3 convolution, norm, ReLU: ``(N, in, H, W) -> (N, out, H / stride, W / stride)``."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1, kind: NormKind = "batch") -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),  # the norm has its own shift
            norm2d(channels_out, kind),
            nn.ReLU(),
        )


class ResBlock(nn.Module):
    """Pre-activation residual block (He et al. 2016, "Identity mappings", figure 4e): x + F(x), F = (norm, act, conv)
    twice.

    With ``stride`` 2 or another number of output channels the shortcut is a 1x1 convolution of the activated input (the
    same paper's rule for blocks that change shape).

    With an ``embedding`` it is the block of diffusion networks (Dhariwal and Nichol 2021, section 3): a vector of time,
    class or text enters as scale and shift after the second norm (FiLM), the last convolution starts at zero, so that
    the block starts as its shortcut, and the shortcut takes the input as it is.

    Args:
        channels_in: channels of the input.
        channels_out: of the output; None: the same.
        stride: 2 halves the resolution.
        kind: norm.
        activation: before each convolution.
        embedding: width of the conditioning vector, 0 for none.
        groups: of the group norms.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int | None = None,
        stride: int = 1,
        *,
        kind: NormKind = "group",
        activation: type[nn.Module] = nn.SiLU,
        embedding: int = 0,
        groups: int = 1,
    ) -> None:
        super().__init__()
        channels_out = channels_out or channels_in
        self.norm1 = norm2d(channels_in, kind, groups)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=bool(embedding))
        self.norm2 = norm2d(channels_out, kind, groups)
        self.film = zero_init(nn.Linear(embedding, 2 * channels_out)) if embedding else None
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1)
        if embedding:
            zero_init(self.conv2)
        self.act = activation()
        self.shortcut = (
            nn.Conv2d(channels_in, channels_out, 1, stride) if stride != 1 or channels_in != channels_out else None
        )

    def forward(self, x: Tensor, vector: Tensor | None = None) -> Tensor:
        """``(N, in, H, W)``, and ``(N, embedding)`` if there is one, to ``(N, out, H / stride, W / stride)``."""
        h: Tensor = self.act(self.norm1(x))
        skip = x if self.film is not None else h
        skip = x if self.shortcut is None else self.shortcut(skip)
        h = self.norm2(self.conv1(h))  # (N, in, H, W) -> (N, out, H/s, W/s)
        if self.film is not None:
            scale, shift = self.film(vector)[:, :, None, None].chunk(2, dim=1)  # (N, out, 1, 1) each
            h = torch.addcmul(shift, h, 1 + scale)
        h = self.conv2(self.act(h))
        return skip + h


class Downsample(nn.Conv2d):
    """4x4 convolution with stride 2: ``(N, in, H, W) -> (N, out, H/2, W/2)``."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, 4, 2, 1)


class Upsample(nn.Sequential):
    """Convolution to four times the channels, then pixel shuffle: ``(N, in, H, W) -> (N, out, 2H, 2W)``, no
    chequerboard of overlaps; with a 1x1 kernel cheaper than a convolution at the finer resolution."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 1) -> None:
        super().__init__(nn.Conv2d(channels_in, 4 * channels_out, kernel, 1, kernel // 2), nn.PixelShuffle(2))


def images_to_tensor(images: NDArray[np.uint8], device: str | torch.device = "cpu") -> Tensor:
    """``(N, H, W, C)`` uint8 to ``(N, C, H, W)`` float32 in [-1, 1].

    >>> float(images_to_tensor(np.full((1, 2, 2, 1), 255, np.uint8)).max())
    1.0
    """
    tensor = torch.from_numpy(np.ascontiguousarray(images)).to(device)
    return tensor.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1.0).contiguous()


def tensor_to_images(tensor: Tensor) -> NDArray[np.uint8]:
    """The inverse of :func:`images_to_tensor`: clamped, rounded to the nearest byte.

    Raises:
        NotFiniteError: NaN or infinity, which clamping would turn into black or white.
    """
    refuse_not_finite(bool(torch.isfinite(tensor).all()))
    scaled = tensor.detach().float().clamp(-1.0, 1.0).add(1.0).mul(127.5).round_().to(torch.uint8)
    images: NDArray[np.uint8] = scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return images


def ready(module: nn.Module, device: str) -> None:
    """Evaluation mode, on ``device``, channels last: the same kernels run after training as after loading."""
    module.to(device)
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module.eval()


@torch.no_grad()
def in_chunks(function: Callable[[Tensor], Tensor], items: Tensor, size: int = 64) -> Tensor:
    """``function`` over the first axis of ``items`` in batches of exactly ``size``; copies of its first item fill up
    the last one.

    Args:
        function: ``(size, ...) -> (size, ...)``, each output item a function of its own input item.
        items: ``(N, ...)``, N may be 0.
        size: batch size of every call.

    Returns:
        ``(N, ...)``, for each item the same bits whatever N is.
    """
    outputs = []
    for start in range(0, max(len(items), 1), size):
        chunk = items[start : start + size]
        missing = size - len(chunk)
        if missing:
            filler = chunk[:1] if len(chunk) else items.new_zeros(1, *items.shape[1:])
            chunk = torch.cat([chunk, filler.expand(missing, *chunk.shape[1:])])
        outputs.append(function(chunk)[: size - missing])
    return torch.cat(outputs)
