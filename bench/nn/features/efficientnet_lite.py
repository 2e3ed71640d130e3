"""EfficientNet-lite0 (Tan and Le 2019, without squeeze-and-excitation, with ReLU6): the packaged network that style
transfer looks with.

A stem of stride 2, sixteen inverted residual blocks (Sandler et al. 2018: expand by 1x1, filter each channel, project
by 1x1), a head and a classifier of 1000 ImageNet classes. Weights come from a state dict as the published package lays
it out; batch norm in its evaluation form is a fixed scale and shift, so it is folded into the convolution before it
when the weights are loaded.

The usual layers of style were chosen by looking: the stem alone brings colours and specks; activations behind ReLU6
(``expand``, ``depthwise``) bring strokes too, at up to three times the cost of the blocks' linear outputs, which look
as good; blocks behind the eighth add little at a few hundred pixels. Without the enlargement the stem's stride leaves a
checkerboard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.base.errors import BenchError

__all__ = ["BLOCKS", "EfficientNetLite", "fold_batch_norm"]

STAGES = (
    # expansion, channels, blocks, stride, kernel
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
BLOCKS = tuple(
    (expansion, channels, stride if i == 0 else 1, kernel)
    for expansion, channels, count, stride, kernel in STAGES
    for i in range(count)
)
"""(expansion, channels, stride, kernel) of each of the sixteen blocks."""
STEM, HEAD, CLASSES = 32, 1280, 1000
BATCH_NORM_EPSILON = 1e-3
MEAN, SCALE = 127.0, 128.0
"""The network takes ``(x - 127) / 128`` of values in 0..255."""


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME: the output has ``ceil(size / stride)`` rows, the odd pixel goes right
    and below."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (the name in torch)
        if self.kernel_size == (
            1,
            1,
        ):  # with channels last this is one matrix product without a copy, where torch's own way is slow
            return F.linear(input.permute(0, 2, 3, 1), self.weight[:, :, 0, 0], self.bias).permute(0, 3, 1, 2)
        pad: list[int] = []
        for size, kernel, stride in zip(input.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pad += [total // 2, total - total // 2]
        if pad[0] == pad[1] == pad[2] == pad[3]:  # the convolution pads by itself without a copy
            return F.conv2d(input, self.weight, self.bias, self.stride, pad[0], 1, self.groups)
        return F.conv2d(F.pad(input, pad), self.weight, self.bias, self.stride, 0, 1, self.groups)


class Block(nn.Module):
    """Expand, filter each channel, project; the input is added where shapes allow."""

    def __init__(self, inside: int, outside: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        wide = inside * expansion
        self.expand = SameConv(inside, wide, 1) if expansion > 1 else None
        self.depthwise = SameConv(wide, wide, kernel, stride, groups=wide)
        self.project = SameConv(wide, outside, 1)
        self.adds = stride == 1 and inside == outside

    def forward(self, x: Tensor, name: str, taken: dict[str, Tensor]) -> Tensor:
        """The block's output; its inner activations go into ``taken`` as ``name.expand`` and ``name.depthwise``."""
        wide = x
        if self.expand is not None:
            wide = F.relu6(self.expand(x))  # (B, 6 C, H, W)
            taken[f"{name}.expand"] = wide
        wide = F.relu6(self.depthwise(wide))  # (B, 6 C, H / stride, W / stride)
        taken[f"{name}.depthwise"] = wide
        y: Tensor = self.project(wide)  # (B, C', H / stride, W / stride)
        return x + y if self.adds else y


class EfficientNetLite(nn.Module):
    """EfficientNet-lite0 with batch norm folded in.

    Layers to take features from: ``stem``, and for k = 1..16 ``blockK.expand`` (not block 1), ``blockK.depthwise``
        (both after ReLU6) and
    ``blockK`` (linear). Pictures are RGB in 0..1, ``(B, 3, H, W)``.

    Args:
        head: with the head and the classifier, which features do not need.
    """

    content_layers: ClassVar[tuple[str, ...]] = ("block5",)
    style_layers: ClassVar[tuple[str, ...]] = ("stem", "block1", "block3", "block5", "block8")
    enlarge: ClassVar[int] = 2

    def __init__(self, head: bool = True) -> None:
        super().__init__()
        self.stem = SameConv(3, STEM, 3, 2)
        blocks, inside = [], STEM
        for expansion, channels, stride, kernel in BLOCKS:
            blocks.append(Block(inside, channels, expansion, stride, kernel))
            inside = channels
        self.blocks = nn.ModuleList(blocks)
        self.head = SameConv(inside, HEAD, 1) if head else None
        self.classifier = nn.Linear(HEAD, CLASSES) if head else None

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, from pixels to meaning."""
        names = ["stem"]
        for k, (expansion, *_) in enumerate(BLOCKS, start=1):
            names += [f"block{k}.expand"] if expansion > 1 else []
            names += [f"block{k}.depthwise", f"block{k}"]
        return tuple(names)

    def depth(self, layer: str) -> int:
        """Number of the layer's block; 0 for the stem."""
        return 0 if layer == "stem" else int(layer.partition(".")[0].removeprefix("block"))

    def features(self, pictures: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Activations ``(B, N, H_l, W_l)`` of the named layers; nothing beyond the deepest of them is computed."""
        wanted = list(layers)
        taken: dict[str, Tensor] = {}
        x = taken["stem"] = F.relu6(self.stem((pictures * 255 - MEAN) / SCALE))  # (B, 32, H / 2, W / 2)
        for k, block in enumerate(self.blocks[: max(map(self.depth, wanted))], start=1):
            x = taken[f"block{k}"] = block(x, f"block{k}", taken)
        return {name: taken[name] for name in wanted}

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits ``(B, 1000)`` of the ImageNet classes."""
        assert self.head is not None and self.classifier is not None
        last = f"block{len(BLOCKS)}"
        x = F.relu6(self.head(self.features(pictures, [last])[last]))  # (B, 1280, H / 32, W / 32)
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))
        return logits

    @property
    def facts(self) -> dict[str, object]:
        """What describes the network beside its tensors."""
        return {"kind": "efficientnet-lite0"}

    @torch.no_grad()
    def randomise(self, generator: torch.Generator) -> None:
        """Gaussian weights that keep the size of activations (He et al. 2015)."""
        for module in self.modules():
            if isinstance(module, SameConv) and module.bias is not None:
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator))
                module.weight.mul_((2 / module.weight[0].numel()) ** 0.5)
                module.bias.zero_()

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights of the published layout (``_conv_stem.weight``, ``_blocks.0._depthwise_conv.weight``,
        ``_bn0.weight``, ...).

        Raises:
            BenchError: a tensor is missing or of another shape.
        """
        convolutions: dict[str, SameConv | None] = {"_conv_stem _bn0": self.stem, "_conv_head _bn1": self.head}
        for i, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            pairs = (
                ("_expand_conv _bn0", block.expand),
                ("_depthwise_conv _bn1", block.depthwise),
                ("_project_conv _bn2", block.project),
            )
            convolutions |= {" ".join(f"_blocks.{i}.{part}" for part in names.split()): conv for names, conv in pairs}
        try:
            for names, conv in convolutions.items():
                if conv is not None:
                    name, norm = names.split()
                    weight, bias = fold_batch_norm(
                        state[f"{name}.weight"], *(state[f"{norm}.{part}"] for part in _NORM)
                    )
                    conv.load_state_dict({"weight": weight, "bias": bias})
            if self.classifier is not None:
                self.classifier.load_state_dict({"weight": state["_fc.weight"], "bias": state["_fc.bias"]})
        except KeyError as error:
            raise BenchError(f"these are not the weights of EfficientNet-lite0: no tensor {error.args[0]!r}") from error
        except RuntimeError as error:
            raise BenchError(f"these are not the weights of EfficientNet-lite0: {error}") from error


_NORM = ("weight", "bias", "running_mean", "running_var")


def fold_batch_norm(
    weight: Tensor, gain: Tensor, shift: Tensor, mean: Tensor, variance: Tensor
) -> tuple[Tensor, Tensor]:
    """Kernel and bias of the convolution that equals ``weight`` followed by batch norm in evaluation.

    ``gain (w * x - mean) / sqrt(variance + eps) + shift``; all but ``weight`` ``(N, ...)`` are ``(N,)``.

    >>> one = torch.ones(1)
    >>> kernel, bias = fold_batch_norm(one.reshape(1, 1, 1, 1), 2 * one, one, 3 * one, one - BATCH_NORM_EPSILON)
    >>> kernel.item(), bias.item()
    (2.0, -5.0)
    """
    scale = gain / torch.sqrt(variance + BATCH_NORM_EPSILON)
    return weight * scale.reshape(-1, 1, 1, 1), shift - mean * scale
