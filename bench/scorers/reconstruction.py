"""Codecs: how true reconstructions of test images are, and how much of the codebook they use.

Whatever the code, the question is the same: image to code to image. ``feature_net`` (a digit classifier or the scene
detector) says whether the content survived: in its features (FID of reconstructions against their originals) and in
what it sees (same class, same objects).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from bench.base.processes import gather, shard
from bench.base.settings import Checked, Range
from bench.contracts import DetectsObjects, Images, ModelNeed
from bench.data.datasets import ImageSplit
from bench.metrics.codebook import usage_from_counts
from bench.metrics.compositional import asked_of, compose
from bench.metrics.fid import feature_statistics, frechet_from_statistics, frechet_leave_group_out
from bench.metrics.protocols import MINIMUM_N, protocol_id
from bench.results.extras import Table
from bench.scorers.reference import features_of, image_splits
from bench.scoring import NoOptions, Output, Score, Subject, scorer
from bench.stats.intervals import bootstrap_mean_ci, jackknife_ci, jackknife_subsets_ci, wilson_interval

__all__ = ["Coded", "ReconstructionOptions", "coded", "content_kept", "reconstruction"]

_BATCH = 1024
_CONTENT = {
    "digit_accuracy": "digits_right",
    "colour_accuracy": "colours_right",
    "count_accuracy": "count_right",
    "both_accuracy": "both_right",
}


@dataclass(frozen=True)
class ReconstructionOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        minimum_n: fewest images that a FID is computed on; a number under the standard minimum goes into the protocol.
    """

    minimum_n: Annotated[int, Range(low=2)] = MINIMUM_N


@dataclass(frozen=True)
class Coded:
    """The test images after coding and decoding.

    Attributes:
        images: ``(N, H, W, C)`` reconstructions.
        code_shape: shape of one image's code.
        psnr: of each image, dB.
        ssim: of each image.
        counts: ``(N, size)``: how often each image uses each code; None for a continuous codec.
    """

    images: Images
    code_shape: tuple[int, ...]
    psnr: NDArray[np.float64]
    ssim: NDArray[np.float64]
    counts: NDArray[np.int64] | None


def coded(subject: Subject) -> Coded:
    """The test split through the codec, made once; under torchrun each process codes its part and all get the whole."""
    return subject.once("coded", lambda: _coded(subject.system, image_splits(subject)["test"].images))


def _coded(system: Any, images: Images) -> Coded:
    from bench.metrics.streaming import CodebookUsage, PeakSignalToNoise, StructuralSimilarity

    psnr, ssim = PeakSignalToNoise(), StructuralSimilarity()
    usage = CodebookUsage(system.codebook_size) if system.codebook_size else None
    first, count = shard(len(images))
    parts = []
    for start in range(first, first + count, _BATCH):  # one batch of codes at a time bounds memory
        originals = images[start : min(start + _BATCH, first + count)]
        codes = system.encode(originals)
        parts.append(system.decode(codes))
        psnr.update(originals, parts[-1])
        ssim.update(originals, parts[-1])
        if usage is not None:
            usage.update(codes)
    whole = gather(np.concatenate(parts))
    return Coded(whole, codes.shape[1:], psnr.items(), ssim.items(), None if usage is None else usage.items())


@scorer("Codec", options=ReconstructionOptions, needs={"feature_net": ModelNeed("Encoder")}, model=True)
def reconstruction(subject: Subject, options: ReconstructionOptions) -> Iterator[Output]:
    """PSNR, SSIM, use of the codebook, and FID to the originals, over the whole test split."""
    found, where = coded(subject), f"{subject.dataset}-test"
    for metric, values in (("psnr", found.psnr), ("ssim", found.ssim)):
        # An exact reconstruction has an infinite PSNR and makes the mean infinite, which is written as no value.
        interval = bootstrap_mean_ci(values, subject.derive(metric)) if np.isfinite(values).all() else None
        protocol = protocol_id(metric, where, "mean-over-pictures", n=len(values))
        yield Score(metric, float(values.mean()), protocol, interval, len(values))
    if found.counts is not None:
        yield from _codebook(subject, found.counts, where)
    network, name = subject.model("feature_net"), subject.model_name("feature_net")
    least, n = options.minimum_n, len(found.images)
    # Against those same images: zero for a lossless codec, unlike the FID of samples.
    originals = feature_statistics(features_of(network, image_splits(subject)["test"].images), least)
    features = features_of(network, found.images)
    fid = frechet_from_statistics(*feature_statistics(features, least), *originals)
    left_out = frechet_leave_group_out(features, originals, seed=subject.derive("fid"), minimum_n=least)
    protocol = protocol_id("fid", name, "reconstructions", n=n, ref="their-originals", minimum_n=least)
    yield Score("fid", fid, protocol, jackknife_ci(fid, left_out, lower=0.0), n)


def _codebook(subject: Subject, counts: NDArray[np.int64], where: str) -> Iterator[Score]:
    """Leaving images out can only lower usage, so only the perplexity has an interval."""
    n, size = counts.shape
    use = usage_from_counts(counts.sum(0))

    def perplexity(rows: NDArray[np.int64]) -> float:
        return usage_from_counts(counts[rows].sum(0))["perplexity"]

    interval = jackknife_subsets_ci(perplexity, n, subject.derive("codes"), lower=1.0) if n >= 40 else None
    for name, value in use.items():
        protocol = protocol_id(f"codebook_{name}", where, size=size, n=n)
        yield Score(f"codebook_{name}", value, protocol, interval if name == "perplexity" else None, n)


@scorer("Codec", needs={"feature_net": ModelNeed("Encoder")}, model=True)
def content_kept(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """What the feature network sees in reconstructions against the truth, and in originals for comparison."""
    network, test = subject.model("feature_net"), image_splits(subject)["test"]
    if isinstance(network, DetectsObjects):
        yield from _objects(subject, network, test)
    else:
        yield from _classes(subject, network, test)


def _share(subject: Subject, metric: str, hits: NDArray[Any]) -> Score:
    n, k = len(hits), float(np.sum(hits))
    judge = subject.model_name("feature_net")
    protocol = protocol_id(metric, "reconstructions", f"{subject.dataset}-test", judge=judge)
    return Score(metric, k / n, protocol, wilson_interval(k, n), n)


def _classes(subject: Subject, network: Any, test: ImageSplit) -> Iterator[Output]:
    assert test.labels is not None
    said, before = network.logits(coded(subject).images).argmax(1), network.logits(test.images).argmax(1)
    yield _share(subject, "class_accuracy", said == test.labels)
    rows = (
        ("reconstructions are seen as the true class", _percent(said == test.labels)),
        ("originals are seen as the true class", _percent(before == test.labels)),
        ("reconstructions are seen as their originals are", _percent(said == before)),
    )
    note = f"Measured by {subject.model_name('feature_net')}."
    yield Table("What the classifier sees", ("", "share, %"), rows, note)


def _objects(subject: Subject, network: DetectsObjects, test: ImageSplit) -> Iterator[Output]:
    assert test.scene is not None
    asked = asked_of(test.scene)
    after = compose(network.detect(coded(subject).images), asked)
    before = compose(network.detect(test.images), asked)
    rows = []
    for metric, name in _CONTENT.items():
        yield _share(subject, metric, getattr(after, name))
        what = metric.removesuffix("_accuracy")
        rows.append((what, _percent(getattr(after, name)), _percent(getattr(before, name))))
    note = f"Measured by {subject.model_name('feature_net')}, which is not without error on originals."
    yield Table("What the detector sees", ("right", "reconstructions, %", "originals, %"), tuple(rows), note)


def _percent(hits: NDArray[Any]) -> float:
    return round(100 * float(np.mean(hits)), 2)
