"""How near a stylised picture is to the style and to the content, and how much pixel detail of the content it keeps.

Both losses are those of Gatys et al. (equations 1 and 5) seen by one network for all rows, the packaged one, at layers
named in the protocol; each is a share: style loss 1 is the untouched content picture, content loss 1 is the style
picture itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.files import SampleSet
from bench.base.settings import Checked, Natural
from bench.contracts import DataNeed
from bench.families.style_transfer.sampling import Pair, pairs_of, sample_config
from bench.families.style_transfer.style_colour import to_yiq
from bench.families.style_transfer.style_losses import Losses, StyleConfig
from bench.metrics.protocols import protocol_id
from bench.metrics.psnr import psnr
from bench.metrics.ssim import ssim
from bench.nn.features.networks import FeatureNetwork, network_of, read_weights
from bench.scoring import Output, Score, Subject, scorer
from bench.stats.intervals import mean_t_ci

__all__ = ["RelativeLosses", "StyleLossOptions", "style_losses", "style_pairs"]

_RANGES = {"psnr": (-np.inf, np.inf), "ssim": (-1.0, 1.0)}
"""Possible values, where they are not those from zero on."""


@dataclass(frozen=True)
class StyleLossOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        content_layers, style_layers, enlarge: where the measuring network looks, as of
            :class:`bench.families.style_transfer.style_losses.StyleConfig`; empty and 0 for where one usually looks.
    """

    content_layers: tuple[str, ...] = ()
    style_layers: tuple[str, ...] = ()
    enlarge: Natural = 0


class RelativeLosses:
    """The two losses of pictures against one pair, as shares.

    Args:
        network: that sees the pictures.
        pair: name, content and style.
        settings: layers and enlargement.

    Raises:
        BenchError: the two pictures of the pair do not differ for the network.
    """

    def __init__(self, network: FeatureNetwork, pair: Pair, settings: StyleConfig) -> None:
        name, content, style = pair
        self._losses = Losses(network, _tensor(content), _tensor(style), settings)
        self._most_content, self._most_style = self._raw(style)[0], self._raw(content)[1]
        if min(self._most_content, self._most_style) <= 1e-9:
            raise BenchError(
                f"{name}: the network sees no difference between content and style: give two different pictures"
            )

    def _raw(self, picture: NDArray[np.uint8]) -> tuple[float, float]:
        with torch.no_grad():
            content, style = self._losses(_tensor(picture))
        return float(content), float(style)

    def __call__(self, picture: NDArray[np.uint8]) -> tuple[float, float]:
        """(content loss, style loss) of ``(H, W, 3)`` uint8; 0 is the content, or the style, itself."""
        content, style = self._raw(picture)
        return content / self._most_content, style / self._most_style


def _tensor(picture: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1), dtype=np.float32))[None] / 255


def style_pairs(subject: Subject) -> list[Pair]:
    """Name, content and style of every pair of the block."""
    context = subject.context
    where = f"{context.family}.{context.name}.sample"
    return subject.once("pairs", lambda: pairs_of(context.data, sample_config(context), where))


@scorer("Styler", options=StyleLossOptions, needs={"network": DataNeed("weights")})
def style_losses(subject: Subject, options: StyleLossOptions) -> Iterator[Output]:
    """Losses, kept detail and shift of colours of every variant, with Student's intervals over the pairs."""
    pairs, weights = style_pairs(subject), subject.context.other_data["network"]
    network = network_of(read_weights(weights))
    looks = StyleConfig(
        content_layers=options.content_layers, style_layers=options.style_layers, enlarge=options.enlarge
    ).filled(network)
    losses = [RelativeLosses(network, pair, looks) for pair in pairs]
    side = sample_config(subject.context).side
    seen: dict[str, Any] = {"size": f"{side}x{side}", "enlarged": looks.enlarge}
    kept = {"ref": "content-picture", "size": seen["size"]}
    layers = {"style_loss": "+".join(looks.style_layers), "content_loss": "+".join(looks.content_layers)}
    protocols = {
        "style_loss": protocol_id(
            "style_loss", weights.name, layers=layers["style_loss"], ref="content-picture", **seen
        ),
        "content_loss": protocol_id(
            "content_loss", weights.name, layers=layers["content_loss"], ref="style-picture", **seen
        ),
        "psnr": protocol_id("psnr", "luminance", **kept),
        "ssim": protocol_id("ssim", "luminance", **kept),
        "colour_shift": protocol_id("colour_shift", "chrominance", **kept),
    }
    for samples in subject.samples:
        for metric, values in _measured(samples, pairs, losses).items():
            finite = bool(np.isfinite(values).all())
            yield Score(
                metric,
                float(values.mean()) if finite else None,
                protocols[metric],
                _interval(values, *_RANGES.get(metric, (0.0, np.inf))) if finite else None,
                len(values),
                samples.variant,
                # A picture that keeps all of the content has not been stylised.
                ranked=metric not in ("psnr", "ssim"),
            )


def _interval(values: NDArray[np.float64], lowest: float, highest: float) -> tuple[float, float] | None:
    """Student's interval over the pairs, cut off where the metric ends."""
    if len(values) < 2:
        return None
    low, high = mean_t_ci(values)
    return max(lowest, low), min(highest, high)


def _measured(
    samples: SampleSet, pairs: Sequence[Pair], losses: Sequence[RelativeLosses]
) -> dict[str, NDArray[np.float64]]:
    """Metric -> value of each pair."""
    assert samples.images is not None
    shares = np.array([loss(picture) for loss, picture in zip(losses, samples.images, strict=True)])
    contents = np.stack([content for _, content, _ in pairs])
    made, given = (to_yiq(images / 255.0) for images in (samples.images, contents))
    return {
        "style_loss": shares[:, 1],
        "content_loss": shares[:, 0],
        "psnr": psnr(made[..., :1], given[..., :1], 1.0),
        "ssim": ssim(made[..., :1], given[..., :1], 1.0),
        "colour_shift": np.abs(made[..., 1:] - given[..., 1:]).mean(axis=(1, 2, 3)),
    }
