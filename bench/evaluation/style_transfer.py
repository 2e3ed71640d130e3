"""Style transfer: how near a picture is to the style and to the content, and how much pixel detail of the content it
keeps.

Both losses are those of Gatys et al. (equations 1 and 5) seen by one network for all rows, the packaged one, at layers
named in the protocol; each is a share: style loss 1 is the untouched content picture, content loss 1 is the style
picture itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.files import SampleSet, read_image_samples
from bench.context import Evaluation, StageContext
from bench.evaluation.labelled_grid import labelled_grid
from bench.families.style_transfer.sampling import Pair, pairs_of, sample_config
from bench.families.style_transfer.style_colour import to_yiq
from bench.families.style_transfer.style_losses import Losses, StyleConfig
from bench.metrics.protocols import protocol_id
from bench.metrics.psnr import psnr
from bench.metrics.ssim import ssim
from bench.nn.features.networks import FeatureNetwork, network_of, read_weights
from bench.registry import build_config
from bench.results.pictures import grid, png_data_uri
from bench.results.records import Record, parse_variant
from bench.stats.intervals import mean_t_ci

__all__ = ["EvalConfig", "Judge", "evaluate"]

_HIGHER: Mapping[str, bool | None] = {
    "style_loss": False,
    "content_loss": None,
    "psnr": None,
    "ssim": None,
    "colour_shift": None,
}
_UNITS = {"psnr": "dB"}
_DENSITY = 0.7
"""Small pictures are shown larger than they are."""
_RANGES = {"psnr": (-np.inf, np.inf), "ssim": (-1.0, 1.0)}


@dataclass(frozen=True)
class EvalConfig:
    """Keys under ``evaluate:``.

    Attributes:
        content_layers, style_layers, enlarge: where the judging network looks, as of
            :class:`bench.families.style_transfer.style_losses.StyleConfig`; empty and 0 for where one usually looks.
        rows: pairs shown in the tables of pictures.
    """

    content_layers: tuple[str, ...] = ()
    style_layers: tuple[str, ...] = ()
    enlarge: int = 0
    rows: int = 3


class Judge:
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


def evaluate(context: StageContext) -> Evaluation:
    """Losses, kept detail and shift of colours of every variant, with intervals over the pairs; tables of pictures."""
    where = f"{context.family}.{context.name}"
    config: EvalConfig = build_config(EvalConfig, context.block.get("evaluate") or {}, f"{where}.evaluate")
    drawing = sample_config(context)
    pairs = pairs_of(context.data, drawing, f"{where}.sample")
    network = network_of(read_weights(context.other_data["network"]))
    looks = StyleConfig(
        content_layers=config.content_layers, style_layers=config.style_layers, enlarge=config.enlarge
    ).filled(network)
    judges = [Judge(network, pair, looks) for pair in pairs]
    assert context.samples is not None
    sets = read_image_samples(context.samples)
    protocols = _protocols(context, looks, drawing.side)
    records: list[Record] = []
    for samples in sets:
        for metric, values in _scores(samples, pairs, judges).items():
            finite = bool(np.isfinite(values).all())
            records.append(
                context.record(
                    metric,
                    float(values.mean()) if finite else None,
                    protocols[metric],
                    ci95=_interval(values, _RANGES.get(metric, (0.0, np.inf))) if finite else None,
                    n=len(values),
                    higher_is_better=_HIGHER[metric],
                    variant=samples.variant,
                    unit=_UNITS.get(metric, ""),
                )
            )
    extras: dict[str, Any] = {"notes": [_note(context)], "curves": _curves(records)}
    own_ratio = f"{float((context.block.get('model') or {}).get('ratio', StyleConfig.ratio)):g}"
    extras["gallery"] = [_gallery(samples, pairs) for samples in sets if samples.variant == f"ratio={own_ratio}"]
    figures = _figures(sets, pairs, config.rows, own_ratio)
    if figures:
        extras["figures"] = figures
    if sets and "frames" in sets[0].extra:
        extras["strips"] = [_strip(sets[0].extra["frames"], drawing.frames, pairs[0][0])]
    return Evaluation(records, extras)


def _interval(values: NDArray[np.float64], bounds: tuple[float, float]) -> tuple[float, float] | None:
    """Student's interval over the pairs, cut off where the metric ends."""
    if len(values) < 2:
        return None
    low, high = mean_t_ci(values)
    return max(bounds[0], low), min(bounds[1], high)


def _scores(samples: SampleSet, pairs: Sequence[Pair], judges: Sequence[Judge]) -> dict[str, NDArray[np.float64]]:
    """Metric -> value of each pair."""
    assert samples.images is not None
    losses = np.array([judge(picture) for judge, picture in zip(judges, samples.images, strict=True)])
    made, given = (
        to_yiq(np.asarray(images) / 255.0) for images in (samples.images, [content for _, content, _ in pairs])
    )
    return {
        "style_loss": losses[:, 1],
        "content_loss": losses[:, 0],
        "psnr": psnr(made[..., :1], given[..., :1], 1.0),
        "ssim": ssim(made[..., :1], given[..., :1], 1.0),
        "colour_shift": np.abs(made[..., 1:] - given[..., 1:]).mean(axis=(1, 2, 3)),
    }


def _protocols(context: StageContext, looks: StyleConfig, side: int) -> dict[str, str]:
    judge = context.other_data["network"].name
    shared: dict[str, Any] = {"size": f"{side}x{side}", "enlarged": looks.enlarge}
    return {
        "style_loss": protocol_id(
            "style_loss", judge, layers="+".join(looks.style_layers), ref="content-picture", **shared
        ),
        "content_loss": protocol_id(
            "content_loss", judge, layers="+".join(looks.content_layers), ref="style-picture", **shared
        ),
        "psnr": protocol_id("psnr", "luminance", ref="content-picture", size=shared["size"]),
        "ssim": protocol_id("ssim", "luminance", ref="content-picture", size=shared["size"]),
        "colour_shift": protocol_id("colour_shift", "chrominance", ref="content-picture", size=shared["size"]),
    }


def _note(context: StageContext) -> str:
    return (
        f"Losses are seen by {context.other_data['network'].name}, whatever network made the picture; it is also "
        "the one that the "
        "generator itself lowers them for, so they say how well it did what it was asked, not how well people like it."
    )


def _curves(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Both losses by ratio, and kept detail by depth."""
    found: dict[tuple[str, str], list[list[float]]] = {}
    for record in records:
        settings = parse_variant(record.variant)
        if record.value is None:
            continue
        if set(settings) == {"ratio"} and record.metric in ("style_loss", "content_loss"):
            found.setdefault(("ratio", record.metric.replace("_", " ")), []).append(
                [float(settings["ratio"]), record.value]
            )
        if "depth" in settings and record.metric == "ssim":
            what = (
                "content alone"
                if float(settings["style_ratio"]) == 0
                else f"with style, ratio {settings['style_ratio']}"
            )
            found.setdefault(("depth", what), []).append([float(settings["depth"]), record.value])
    titles: dict[str, dict[str, Any]] = {
        "ratio": {"title": "Losses by style/content ratio", "x": "ratio", "y": "share", "log_x": True, "log_y": True},
        "depth": {
            "title": "Kept detail by depth of the content layer",
            "x": "depth (block)",
            "y": "SSIM of luminance to the content",
        },
    }
    curves = []
    for key, facts in titles.items():
        series = [
            {"name": name, "points": sorted(points)}
            for (kind, name), points in found.items()
            if kind == key and len(points) > 1
        ]
        if series:
            curves.append({**facts, "series": series})
    return curves


def _figures(sets: Sequence[SampleSet], pairs: Sequence[Pair], rows: int, own_ratio: str) -> list[dict[str, Any]]:
    """Tables of pictures: by ratio, by depth, by colour (beside the same ratio with the style's colours); the large
    pictures."""
    figures = []
    shown, colour = range(min(rows, len(pairs))), "Keeping the colours of the content"
    groups: dict[tuple[str, str], list[tuple[str, SampleSet]]] = {}
    for samples in sets:
        settings = parse_variant(samples.variant)
        if "depth" in settings:
            alone, beside = (
                float(settings["style_ratio"]) == 0,
                f"Deeper content layers, ratio {settings['style_ratio']}",
            )
            title = "Reconstructed from one layer, deeper to the right" if alone else beside
            label = f"block {settings['depth']}" if settings["depth"] != "0" else "stem"
            groups.setdefault(("depth", title), []).append((label, samples))
        elif "ratio" in settings:
            groups.setdefault(("ratio", "More style to the right"), []).append(
                (f"ratio {float(settings['ratio']):,g}", samples)
            )
            if settings["ratio"] == own_ratio:
                groups.setdefault(("colour", colour), []).append(("style's", samples))
        elif "colour" in settings:
            groups.setdefault(("colour", colour), []).append((settings["colour"], samples))
    groups = {key: members for key, members in groups.items() if key[1] != colour or len(members) > 1}
    for (_, title), members in groups.items():
        table = [
            [pairs[i][1], pairs[i][2], *(samples.images[i] for _, samples in members if samples.images is not None)]
            for i in shown
        ]
        picture = labelled_grid(table, ["content", "style", *(label for label, _ in members)])
        names = ", ".join(pairs[i][0] for i in shown)
        figures.append(
            {
                "title": title,
                "png": png_data_uri(picture, 256),
                "alt": f"{title}: {names}",
                "note": "",
                "density": _DENSITY,
            }
        )
    if sets and "large" in sets[0].extra:
        large = sets[0].extra["large"]
        uri = png_data_uri(labelled_grid([list(large)], [name for name, _, _ in pairs[: len(large)]]), 256)
        figures.insert(
            0, {"title": "Larger", "png": uri, "alt": "Two larger pictures in a style", "note": "", "density": _DENSITY}
        )
    return figures


def _gallery(samples: SampleSet, pairs: Sequence[Pair]) -> dict[str, Any]:
    """Every pair at the generator's own ratio; contents over styles as what it was made from."""
    assert samples.images is not None
    names = [name for name, _, _ in pairs]
    given = np.stack([content for _, content, _ in pairs] + [style for _, _, style in pairs])
    return {
        "title": samples.variant.replace("=", " "),
        "variant": samples.variant,
        "png": png_data_uri(grid(samples.images, columns=len(pairs)), 256),
        "alt": f"Pictures in a style: {', '.join(names)}",
        "columns": len(pairs),
        "captions": names,
        "source_png": png_data_uri(grid(given, columns=len(pairs)), 256),
    }


def _strip(frames: NDArray[np.uint8], steps: Sequence[int], name: str) -> dict[str, Any]:
    picture = labelled_grid([list(frames)], [f"step {step}" for step in sorted(set(steps))])
    return {
        "title": f"Step by step: {name}",
        "png": png_data_uri(picture, 256),
        "alt": f"{len(frames)} stages of L-BFGS on the way to {name}",
        "note": "Iterations of L-BFGS at the generator's own settings.",
    }
