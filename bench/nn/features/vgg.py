"""The convolutions of VGG-16 and VGG-19 (Simonyan and Zisserman 2015), for users who have the weights that Gatys et al.
used.

No weights come with this project. Two layouts of a state dict are read: ``features.0.weight`` (the numbering of
torchvision) and ``conv1_1.weight`` (the names of the paper). The number of filters is read from the tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.base.errors import BenchError

__all__ = ["POOLS", "PREPROCESSING", "VGG"]

POOLS = ("average", "max")
PREPROCESSING = ("torchvision", "caffe")
_RUNS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Convolutions before each pooling."""
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN = (103.939, 116.779, 123.68)


def _names(runs: tuple[int, ...]) -> list[str]:
    return [f"conv{i}_{j}" for i, count in enumerate(runs, start=1) for j in range(1, count + 1)]


def _numbers(runs: tuple[int, ...]) -> list[int]:
    """Positions of the convolutions in torchvision's ``features``: each is followed by a ReLU, each run by a
    pooling."""
    found, place = [], 0
    for count in runs:
        found += [place + 2 * j for j in range(count)]
        place += 2 * count + 1
    return found


class VGG(nn.Module):
    """Convolutions of 3x3 with ReLU, pooling between runs. Layers: ``conv1_1`` ... ``conv5_3`` or ``conv5_4``, after
    the ReLU.

    Args:
        runs: convolutions before each pooling.
        widths: filters of each convolution.
        pool: ``average`` (Gatys et al. found it to look better) or ``max`` (as trained).
        preprocessing: ``torchvision`` (RGB, standardised) or ``caffe`` (BGR in 0..255, mean taken away): how the
            weights were trained.
    """

    content_layers: ClassVar[tuple[str, ...]] = ("conv4_2",)
    style_layers: ClassVar[tuple[str, ...]] = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
    enlarge: ClassVar[int] = 1

    def __init__(
        self, runs: tuple[int, ...], widths: tuple[int, ...], pool: str = "average", preprocessing: str = "torchvision"
    ) -> None:
        super().__init__()
        if pool not in POOLS or preprocessing not in PREPROCESSING:
            raise ValueError(f"pool is one of {', '.join(POOLS)}, preprocessing one of {', '.join(PREPROCESSING)}")
        self.runs, self.widths, self.pool, self.preprocessing = runs, widths, pool, preprocessing
        pairs = zip((3, *widths), widths, strict=False)
        self.convolutions = nn.ModuleDict(
            {
                name: nn.Conv2d(inside, outside, 3, padding=1)
                for name, (inside, outside) in zip(_names(runs), pairs, strict=True)
            }
        )

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, from pixels to meaning."""
        return tuple(self.convolutions)

    def depth(self, layer: str) -> int:
        """How many convolutions lead to the layer."""
        return self.layers.index(layer) + 1

    def features(self, pictures: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Activations ``(B, N, H_l, W_l)`` of the named layers for RGB pictures ``(B, 3, H, W)`` in 0..1."""
        wanted = list(layers)
        deepest = max(map(self.depth, wanted))
        if self.preprocessing == "caffe":
            x = pictures.flip(1) * 255 - pictures.new_tensor(_CAFFE_MEAN).reshape(1, 3, 1, 1)
        else:
            x = (pictures - pictures.new_tensor(_MEAN).reshape(1, 3, 1, 1)) / pictures.new_tensor(_DEVIATION).reshape(
                1, 3, 1, 1
            )
        taken: dict[str, Tensor] = {}
        run = "1"
        for name, convolution in list(self.convolutions.items())[:deepest]:
            if name[4] != run:
                x = F.avg_pool2d(x, 2) if self.pool == "average" else F.max_pool2d(x, 2)  # (B, N, H / 2, W / 2)
                run = name[4]
            x = taken[name] = F.relu(convolution(x))
        return {name: taken[name] for name in wanted}

    @classmethod
    def from_published(cls, state: Mapping[str, Tensor], pool: str = "average", preprocessing: str = "") -> VGG:
        """The network whose weights ``state`` holds; ``preprocessing`` is guessed from the layout if it is empty.

        Raises:
            BenchError: neither layout, or tensors that do not fit together.
        """
        for runs in _RUNS.values():
            named = _names(runs)
            for keys, usual in ((named, "caffe"), ([f"features.{i}" for i in _numbers(runs)], "torchvision")):
                present = {key.rsplit(".", 1)[0] for key, value in state.items() if value.ndim == 4}
                if present != set(keys):
                    continue
                try:
                    network = cls(
                        runs, tuple(len(state[f"{key}.weight"]) for key in keys), pool, preprocessing or usual
                    )
                    for name, key in zip(named, keys, strict=True):
                        parts = {"weight": state[f"{key}.weight"], "bias": state[f"{key}.bias"]}
                        network.convolutions[name].load_state_dict(parts)
                except (KeyError, RuntimeError) as error:
                    raise BenchError(f"the tensors of these VGG weights do not fit together: {error}") from error
                return network
        raise BenchError(
            "these are not the weights of VGG-16 or VGG-19 without batch norm (features.0.weight ... or "
            "conv1_1.weight ...)"
        )

    @property
    def facts(self) -> dict[str, object]:
        """What :meth:`from_facts` needs beside the tensors."""
        return {
            "kind": "vgg",
            "runs": list(self.runs),
            "widths": list(self.widths),
            "pool": self.pool,
            "preprocessing": self.preprocessing,
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, object]) -> VGG:
        """An empty network of the described shape."""
        runs, widths = (tuple(int(v) for v in facts[key]) for key in ("runs", "widths"))  # type: ignore[attr-defined]
        return cls(runs, widths, str(facts["pool"]), str(facts["preprocessing"]))

    @torch.no_grad()
    def randomise(self, generator: torch.Generator) -> None:
        """Gaussian weights that keep the size of activations (He et al. 2015)."""
        for convolution in self.convolutions.values():
            assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None
            convolution.weight.copy_(torch.randn(convolution.weight.shape, generator=generator))
            convolution.weight.mul_((2 / convolution.weight[0].numel()) ** 0.5)
            convolution.bias.zero_()
