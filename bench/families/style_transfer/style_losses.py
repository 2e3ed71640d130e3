"""What style transfer minimises: equations 1 and 3 to 5 of Gatys, Ecker and Bethge (CVPR 2016), and how strongly.

With F, P the activations ``(N_l, M_l)`` of layer l for the pictures x and p (N_l filters at M_l positions), G and A the
Gram matrices for x and a:

    content   L_content = 1/2 sum (F - P)^2                      (1)
    Gram      G_ij = sum_k F_ik F_jk                             (3)
    style     E_l = 1 / (4 N_l^2 M_l^2) sum (G - A)^2            (4)
              L_style = sum_l w_l E_l                            (5)

Each Gram matrix is divided by its own M_l at once, so that the two pictures may differ in size. Both losses are taken
relative to those of vanishing activations: w_l is the layer's weight over ``E_l(0)``, and L_content is divided by ``1/2
sum P^2``. A ratio beta / alpha then means the same for every size, layer, network and pair of pictures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.base.errors import BenchError
from bench.base.settings import Checked, Count, Natural, NotNegative
from bench.families.style_transfer.style_colour import Colour
from bench.nn.features.networks import FeatureNetwork, check_layers

__all__ = ["Losses", "StyleConfig", "StyleOptions", "content_loss", "gram", "style_loss"]

_EPSILON = 1e-12


@dataclass(frozen=True)
class StyleOptions(Checked):
    """What is compared, how strongly, and for how long; may differ from picture to picture.

    Attributes:
        content_layers: layers whose activations must stay; empty for the network's usual one.
        style_layers: layers whose Gram matrices must become those of the style picture; empty for the network's usual
            ones.
        layer_weights: weight of each style layer, scaled to sum to one; empty for equal ones.
        ratio: beta / alpha; 0 leaves content alone, which reconstructs the picture from its layer.
        steps: iterations of L-BFGS.
        start: the first x: ``content``, ``style`` (both as given) or ``noise``.
        colour: ``style``, ``match`` or ``luminance`` (see :data:`bench.families.style_transfer.style_colour.Colour`).
        enlarge: pictures are enlarged by this factor before the network sees them: a stem of stride 2 is blind to
            patterns of one pixel; 0 for the network's usual one.
        smoothness: weight of the mean squared difference between neighbouring pixels (not in the paper).
    """

    content_layers: tuple[str, ...] = ()
    style_layers: tuple[str, ...] = ()
    layer_weights: tuple[NotNegative, ...] = ()
    ratio: NotNegative = 100.0
    steps: Count = 60
    start: Literal["content", "style", "noise"] = "content"
    colour: Colour = "style"
    enlarge: Natural = 0
    smoothness: NotNegative = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("content_layers", "style_layers"):
            layers = getattr(self, name)
            if len(set(layers)) != len(layers):
                raise ValueError(f"{name}: must be a list of different layers, not {layers!r}")
        if self.layer_weights and self.style_layers and len(self.layer_weights) != len(self.style_layers):
            raise ValueError(
                f"layer_weights: {len(self.layer_weights)} weights for {len(self.style_layers)} style layers"
            )
        if self.layer_weights and sum(self.layer_weights) <= 0:
            raise ValueError("layer_weights must not all be zero")

    @property
    def shares(self) -> tuple[float, ...]:
        """Weight of each style layer; they sum to one."""
        weights = self.layer_weights or (1.0,) * len(self.style_layers)
        return tuple(weight / sum(weights) for weight in weights)

    def filled(self, network: FeatureNetwork) -> Self:
        """With the network's usual layers and enlargement where none are named.

        Raises:
            BenchError: a layer that the network does not have.
        """
        content, style = self.content_layers or network.content_layers, self.style_layers or network.style_layers
        check_layers(network, (*content, *style))
        if self.layer_weights and len(self.layer_weights) != len(style):
            raise BenchError(f"layer_weights: {len(self.layer_weights)} weights for {len(style)} style layers")
        return dataclasses.replace(
            self, content_layers=content, style_layers=style, enlarge=self.enlarge or network.enlarge
        )


@dataclass(frozen=True)
class StyleConfig(StyleOptions):
    """The settings of :class:`StyleOptions`, and the network.

    Attributes:
        weights: path of a user's weights (VGG-16, VGG-19 or EfficientNet-lite0; .safetensors or .pth), ``random`` for a
            network that has learned nothing, empty for the data set under ``network:``.
        pool, preprocessing: of VGG weights (see :class:`bench.nn.features.vgg.VGG`); empty: guessed from the layout.
    """

    weights: str = ""
    pool: Literal["average", "max"] = "average"
    preprocessing: Literal["", "torchvision", "caffe"] = ""


def gram(features: Tensor) -> Tensor:
    """Equation 3, divided by the number of positions: ``(N, H, W)`` to ``(N, N)``.

    >>> gram(torch.tensor([[[1.0, 3.0]], [[2.0, 0.0]]])).tolist()
    [[5.0, 1.0], [1.0, 2.0]]
    """
    flat = features.flatten(1)  # (N, M)
    return flat @ flat.T / flat.shape[1]


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Equation 1.

    >>> content_loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0])).item()
    2.0
    """
    return 0.5 * (features - target).square().sum()


def style_loss(matrix: Tensor, target: Tensor) -> Tensor:
    """Equation 4 of Gram matrices that are divided by their positions already.

    >>> style_loss(torch.eye(2), torch.zeros(2, 2)).item()
    0.125
    """
    return (matrix - target).square().sum() / (4 * matrix.shape[0] ** 2)


class Losses:
    """Both relative losses of a picture against one content and one style picture.

    Args:
        network: whose activations are compared.
        content, style: ``(1, 3, H, W)`` in 0..1.
        config: layers, their weights, and the enlargement.
    """

    def __init__(self, network: FeatureNetwork, content: Tensor, style: Tensor, config: StyleOptions) -> None:
        config = config.filled(network)
        self.network, self.config = network, config
        styles = (
            config.style_layers if config.ratio > 0 else ()
        )  # with content alone nothing behind its layer is computed
        self.layers = tuple(dict.fromkeys((*config.content_layers, *styles)))
        with torch.no_grad():
            self.contents = {name: value[0] for name, value in self._features(content, config.content_layers).items()}
            self.grams = (
                {name: gram(value[0]) for name, value in self._features(style, styles).items()} if styles else {}
            )
        shares = dict(zip(config.style_layers, config.shares, strict=True))
        self.style_weights = {
            name: shares[name] / (style_loss(torch.zeros_like(a), a).item() + _EPSILON)
            for name, a in self.grams.items()
        }
        self.content_weights = {
            name: 1.0 / (len(self.contents) * (content_loss(torch.zeros_like(p), p).item() + _EPSILON))
            for name, p in self.contents.items()
        }

    def _features(self, picture: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        if self.config.enlarge > 1:
            picture = F.interpolate(picture, scale_factor=self.config.enlarge, mode="bilinear", align_corners=False)
        return self.network.features(picture.contiguous(memory_format=torch.channels_last), layers)

    def __call__(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """(content, style) of ``(1, 3, H, W)``: equations 1 and 5; style is 0 if the ratio is."""
        found = {name: value[0] for name, value in self._features(picture, self.layers).items()}
        none = picture.new_zeros(())
        content = sum(
            (w * content_loss(found[name], self.contents[name]) for name, w in self.content_weights.items()), none
        )
        style = sum(
            (w * style_loss(gram(found[name]), self.grams[name]) for name, w in self.style_weights.items()), none
        )
        return content, style
