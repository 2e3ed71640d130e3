"""Inception-v3 (Szegedy et al. 2016) as the feature network of published FID figures, for users who have its weights.

No weights come with this project. The names of the tensors are torchvision's, which the weights converted for FID
(1,008 classes, Heusel et al. 2017) share; those were trained with other poolings, which is told by the classes. Widths
are read from the tensors.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.base.errors import BenchError, did_you_mean

__all__ = ["InceptionV3", "convolution_names"]

_SIDE = 299  # pixels that every image is scaled to
_FID_CLASSES = 1008
_THREES = tuple(f"branch3x3dbl_{i}" for i in (1, 2, 3))
_SEVENS = tuple(f"branch7x7dbl_{i}" for i in range(1, 6))
_BRANCHES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("Mixed_5b", "Mixed_5c", "Mixed_5d"),
        (
            "branch1x1",
            "branch5x5_1",
            "branch5x5_2",
            *_THREES,
            "branch_pool",
        ),
    ),
    "Mixed_6a": ("branch3x3", *_THREES),
    **dict.fromkeys(
        ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
        ("branch1x1", "branch7x7_1", "branch7x7_2", "branch7x7_3", *_SEVENS, "branch_pool"),
    ),
    "Mixed_7a": ("branch3x3_1", "branch3x3_2", *(f"branch7x7x3_{i}" for i in range(1, 5))),
    **dict.fromkeys(
        ("Mixed_7b", "Mixed_7c"),
        (
            "branch1x1",
            "branch3x3_1",
            "branch3x3_2a",
            "branch3x3_2b",
            "branch3x3dbl_1",
            "branch3x3dbl_2",
            "branch3x3dbl_3a",
            "branch3x3dbl_3b",
            "branch_pool",
        ),
    ),
}
_STEM = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3")
_PARTS = ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")


def convolution_names() -> list[str]:
    """The 94 convolutions, each with its batch norm.

    >>> len(convolution_names())
    94
    """
    return [*_STEM, *(f"{block}.{branch}" for block, branches in _BRANCHES.items() for branch in branches)]


class InceptionV3:
    """The network up to the last average pooling.

    Args:
        state: published state dict; tensors of the classifier and of the auxiliary head are ignored.

    Raises:
        BenchError: a tensor is missing.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        wanted = [f"{name}.{part}" for name in convolution_names() for part in _PARTS]
        for name in wanted:
            if name not in state:
                hint = did_you_mean(name, state)
                raise BenchError(f"these are not the weights of Inception-v3: no tensor {name!r}.{hint}")
        self.tensors = {name: state[name].float() for name in wanted}
        self.for_fid = "fc.weight" in state and len(state["fc.weight"]) == _FID_CLASSES

    def to(self, device: str) -> InceptionV3:
        """The same network on a device."""
        self.tensors = {name: tensor.to(device) for name, tensor in self.tensors.items()}
        return self

    def _conv(self, x: Tensor, name: str, stride: int = 1, padded: bool = True) -> Tensor:
        weight, gain, bias, mean, variance = (self.tensors[f"{name}.{part}"] for part in _PARTS)
        padding = (weight.shape[2] // 2, weight.shape[3] // 2) if padded else (0, 0)
        x = F.conv2d(x, weight, stride=stride, padding=padding)
        return F.relu(F.batch_norm(x, mean, variance, gain, bias, eps=0.001))

    def _chain(self, x: Tensor, block: str, *branches: str) -> Tensor:
        for branch in branches:
            x = self._conv(x, f"{block}.{branch}")
        return x

    def _pooled(self, x: Tensor, block: str) -> Tensor:
        if self.for_fid and block == "Mixed_7c":
            x = F.max_pool2d(x, 3, 1, 1)
        else:
            x = F.avg_pool2d(x, 3, 1, 1, count_include_pad=not self.for_fid)
        return self._conv(x, f"{block}.branch_pool")

    def _side_by_side(self, x: Tensor, block: str, *chains: tuple[str, ...]) -> Tensor:
        return torch.cat([*(self._chain(x, block, *chain) for chain in chains), self._pooled(x, block)], 1)

    def _halved(self, x: Tensor, block: str, chains: tuple[tuple[str, ...], ...]) -> Tensor:
        """The blocks that halve the side: the last convolution of each chain has stride 2 and no padding."""
        parts = [self._conv(self._chain(x, block, *chain[:-1]), f"{block}.{chain[-1]}", 2, False) for chain in chains]
        return torch.cat([*parts, F.max_pool2d(x, 3, 2)], 1)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """``(N, 3, H, W)`` in 0..1 to features ``(N, D)``, D = 2,048 for the published widths."""
        x = 2 * F.interpolate(images, (_SIDE, _SIDE), mode="bilinear", align_corners=False) - 1
        x = self._conv(x, "Conv2d_1a_3x3", 2, False)  # (N, 32, 149, 149)
        x = self._conv(self._conv(x, "Conv2d_2a_3x3", 1, False), "Conv2d_2b_3x3")
        x = self._conv(F.max_pool2d(x, 3, 2), "Conv2d_3b_1x1")
        x = F.max_pool2d(self._conv(x, "Conv2d_4a_3x3", 1, False), 3, 2)  # (N, 192, 35, 35)
        for block in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
            x = self._side_by_side(x, block, ("branch1x1",), ("branch5x5_1", "branch5x5_2"), _THREES)
        x = self._halved(x, "Mixed_6a", (("branch3x3",), _THREES))
        for block in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
            x = self._side_by_side(x, block, ("branch1x1",), tuple(f"branch7x7_{i}" for i in (1, 2, 3)), _SEVENS)
        last = tuple(f"branch7x7x3_{i}" for i in range(1, 5))
        x = self._halved(x, "Mixed_7a", (("branch3x3_1", "branch3x3_2"), last))  # (N, 1280, 8, 8)
        for block in ("Mixed_7b", "Mixed_7c"):
            one = self._chain(x, block, "branch1x1")
            three = self._chain(x, block, "branch3x3_1")
            double = self._chain(x, block, "branch3x3dbl_1", "branch3x3dbl_2")
            split = [self._chain(three, block, f"branch3x3_2{side}") for side in "ab"]
            split += [self._chain(double, block, f"branch3x3dbl_3{side}") for side in "ab"]
            x = torch.cat([one, *split, self._pooled(x, block)], 1)
        return x.mean((2, 3))
