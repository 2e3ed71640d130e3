"""Codecs: how true reconstructions of test pictures are, and how much of the codebook they use.

Whatever the code, the question is the same: picture to code to picture. ``feature_net`` (a digit classifier or the
scene detector) says whether the content survived: in its features (FID of reconstructions against their originals) and
in its verdict (same class, same objects).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.context import Evaluation, StageContext
from bench.data.datasets import ImageSplit, load_images
from bench.families.codecs.sampling import Bytes, roundtrip
from bench.metrics.codebook import codebook_counts, codebook_usage
from bench.metrics.compositional import Asked, compose
from bench.metrics.fid import MINIMUM_N, feature_statistics, frechet_from_statistics, frechet_leave_group_out
from bench.metrics.protocols import protocol_id
from bench.metrics.psnr import psnr
from bench.metrics.ssim import ssim
from bench.registry import build_config
from bench.results.pictures import grid, png_data_uri
from bench.results.records import Record
from bench.stats.intervals import bootstrap_mean_ci, jackknife_ci, jackknife_subsets_ci, wilson_interval

__all__ = ["EvalConfig", "evaluate"]

_VERDICTS = {
    "digit_accuracy": "digits_right",
    "colour_accuracy": "colours_right",
    "count_accuracy": "count_right",
    "both_accuracy": "both_right",
}


@dataclass(frozen=True)
class EvalConfig:
    """Keys under ``evaluate:``.

    Attributes:
        minimum_n: fewest pictures that a FID is computed on; a number under the standard minimum goes into the protocol
            id.
        gallery: test pictures shown with their reconstructions.
    """

    minimum_n: int = MINIMUM_N
    gallery: int = 20


def evaluate(context: StageContext) -> Evaluation:
    """PSNR, SSIM, use of the codebook, FID and verdicts, over the whole test split."""
    where = f"{context.family}.{context.name}.evaluate"
    config: EvalConfig = build_config(EvalConfig, context.block.get("evaluate") or {}, where)
    test, system = load_images(context.data)["test"], context.load()
    codes, pictures = roundtrip(system, test.images)
    values = {"psnr": psnr(test.images, pictures), "ssim": ssim(test.images, pictures)}
    records = [_mean(context, metric, each) for metric, each in values.items()]
    if system.codebook_size:
        records += _codebook(context, codes, system.codebook_size)
    judge = context.load_other("feature_net")
    judge_name = context.models["feature_net"].name
    records.append(_fid(context, judge.embed_images, judge_name, test.images, pictures, config.minimum_n))
    verdicts = _objects if hasattr(judge, "detect") else _classes
    found, table = verdicts(context, judge, judge_name, test, pictures)
    extras: dict[str, Any] = {
        "gallery": [_gallery(test, pictures, config.gallery)],
        "tables": [table],
        "notes": [_size_note(test.images, codes, system.codebook_size)],
    }
    if system.codebook_size:
        extras["curves"] = [_use_curve(codebook_counts(codes, system.codebook_size))]
    return Evaluation(records + found, extras)


def _mean(context: StageContext, metric: str, values: NDArray[np.float64]) -> Record:
    """Mean over test pictures; pictures rebuilt exactly (infinite PSNR) make the mean infinite, which is written as no
    value."""
    finite = bool(np.isfinite(values).all())
    return context.record(
        metric,
        float(values.mean()),
        protocol_id(metric, f"{context.block['dataset']}-test", "mean-over-pictures", n=len(values)),
        ci95=bootstrap_mean_ci(values, context.derive(metric)) if finite else None,
        n=len(values),
        higher_is_better=True,
        unit="dB" if metric == "psnr" else "",
    )


def _codebook(context: StageContext, codes: NDArray[Any], size: int) -> list[Record]:
    """Usage over the whole test set. Leaving pictures out can only lower usage, so only the perplexity has an
    interval."""
    use = codebook_usage(codes, size)
    counts = np.stack([codebook_counts(one, size) for one in codes])  # (N, K)

    def perplexity(rows: NDArray[np.int64]) -> float:
        total = counts[rows].sum(0)
        p = total[total > 0] / total.sum()
        return float(np.exp(-(p * np.log(p)).sum()))

    n = len(codes)
    interval = jackknife_subsets_ci(perplexity, n, context.derive("codes"), lower=1.0) if n >= 40 else None
    settings = {"size": size, "n": n}
    place = f"{context.block['dataset']}-test"
    return [
        context.record(
            "codebook_usage", use["usage"], protocol_id("codebook_usage", place, **settings), n=n, higher_is_better=True
        ),
        context.record(
            "codebook_perplexity",
            use["perplexity"],
            protocol_id("codebook_perplexity", place, **settings),
            ci95=interval,
            n=n,
            higher_is_better=True,
        ),
        context.record(
            "codebook_dead", use["dead"], protocol_id("codebook_dead", place, **settings), n=n, higher_is_better=False
        ),
    ]


def _fid(context: StageContext, embed: Any, judge: str, originals: Bytes, pictures: Bytes, minimum_n: int) -> Record:
    """Reconstructions of the test pictures against those same pictures: zero for a lossless codec, unlike the FID of
    samples."""
    reference, features = feature_statistics(embed(originals), minimum_n), embed(pictures)
    value = frechet_from_statistics(*feature_statistics(features, minimum_n), *reference)
    left_out = frechet_leave_group_out(features, reference, seed=context.derive("fid"), minimum_n=minimum_n)
    return context.record(
        "fid",
        value,
        protocol_id("fid", judge, "reconstructions", n=len(pictures), ref="their-originals", minimum_n=minimum_n),
        ci95=jackknife_ci(value, left_out, lower=0.0),
        n=len(pictures),
        higher_is_better=False,
    )


def _share(context: StageContext, metric: str, hits: NDArray[Any], judge: str) -> Record:
    n, k = len(hits), float(np.sum(hits))
    protocol = protocol_id(metric, "reconstructions", f"{context.block['dataset']}-test", judge=judge)
    return context.record(metric, k / n, protocol, ci95=wilson_interval(k, n), n=n, higher_is_better=True)


def _classes(
    context: StageContext, judge: Any, name: str, test: ImageSplit, pictures: Bytes
) -> tuple[list[Record], dict[str, Any]]:
    """The classifier's verdict on reconstructions against the true class, and on originals for comparison."""
    assert test.labels is not None
    said, before = judge.logits(pictures).argmax(1), judge.logits(test.images).argmax(1)
    rows: list[list[Any]] = [
        ["reconstructions are seen as the true class", _percent(said == test.labels)],
        ["originals are seen as the true class", _percent(before == test.labels)],
        ["reconstructions are seen as their originals are", _percent(said == before)],
    ]
    table = {
        "title": "What the classifier sees",
        "columns": ["", "share, %"],
        "rows": rows,
        "note": f"Judged by {name}.",
    }
    return [_share(context, "class_accuracy", said == test.labels, name)], table


def _objects(
    context: StageContext, judge: Any, name: str, test: ImageSplit, pictures: Bytes
) -> tuple[list[Record], dict[str, Any]]:
    """The detector's verdict on reconstructed scenes against the truth, and on originals for comparison."""
    assert test.scene is not None
    count, digits, colours, relation = (
        np.asarray(test.scene[key], np.int64) for key in ("count", "digits", "colours", "relation")
    )
    asked = Asked(count, digits, colours, relation)
    after, before = compose(judge.detect(pictures), asked), compose(judge.detect(test.images), asked)
    verdicts = {metric: (getattr(after, field), getattr(before, field)) for metric, field in _VERDICTS.items()}
    table = {
        "title": "What the detector sees",
        "columns": ["right", "reconstructions, %", "originals, %"],
        "rows": [
            [metric.removesuffix("_accuracy"), _percent(new), _percent(old)] for metric, (new, old) in verdicts.items()
        ],
        "note": f"Judged by {name}, which is not without error on originals.",
    }
    return [_share(context, metric, new, name) for metric, (new, _) in verdicts.items()], table


def _percent(hits: NDArray[Any]) -> float:
    return round(100 * float(np.mean(hits)), 2)


def _gallery(test: ImageSplit, pictures: Bytes, count: int) -> dict[str, Any]:
    count = min(count, len(pictures))
    return {
        "title": "Test pictures after coding and decoding",
        "variant": "",
        "png": png_data_uri(grid(pictures[:count], columns=10)),
        "source_png": png_data_uri(grid(test.images[:count], columns=10)),
        "alt": f"{count} test pictures as the codec gives them back, beside their originals",
        "columns": 10,
    }


def _size_note(images: Bytes, codes: NDArray[Any], size: int) -> str:
    pixels = int(np.prod(images.shape[1:]))
    numbers = int(np.prod(codes.shape[1:]))
    if not size:
        return (
            f"A picture of {pixels:,} bytes becomes {numbers:,} continuous numbers ({pixels / numbers:.1f} "
            "times fewer)."
        )
    bits = float(np.log2(size))
    return (
        f"A picture of {8 * pixels:,} bits becomes {numbers} codes of {bits:.3g} bits "
        f"({8 * pixels / (numbers * bits):.0f} times fewer)."
    )


def _use_curve(counts: NDArray[np.int64]) -> dict[str, Any]:
    """Share of each code, most used first."""
    shares = np.sort(counts)[::-1] / counts.sum()
    points = [[rank + 1, float(f"{share:.3g}")] for rank, share in enumerate(shares) if share > 0]
    return {
        "title": "How often each code is used on the test set",
        "x": "codes, most used first",
        "y": "share of all codes",
        "log_x": False,
        "log_y": True,
        "series": [{"name": "test", "points": points}],
    }
