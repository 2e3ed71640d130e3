"""Streaming classes over the functional cores, one for each metric (hence above 350 lines), for batches and several
processes.

Apart from the cores because importing torchmetrics costs seconds. Each class states its direction, the template of its
protocol id and its minimum N, keeps states that add up or concatenate across processes, and lets the core in the
metric's own file compute the number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric

from bench.metrics import bits_per_byte as bits_per_byte_core
from bench.metrics import perplexity as perplexity_core
from bench.metrics.clip_score import clip_score
from bench.metrics.codebook import codebook_counts, usage_from_counts
from bench.metrics.compositional import Asked, Composition, Detections, compose
from bench.metrics.fid import frechet_from_statistics
from bench.metrics.kid import kernel_distance
from bench.metrics.memorisation import TrainingText, verbatim_copy_counts
from bench.metrics.neighbours import nearest
from bench.metrics.prdc import precision_recall_density_coverage
from bench.metrics.protocols import MINIMUM_N, require_minimum
from bench.metrics.psnr import psnr
from bench.metrics.retrieval import retrieval_at_k
from bench.metrics.ssim import ssim
from bench.metrics.structure_error import copied_share, structure_error
from bench.metrics.zero_shot import zero_shot_accuracy

__all__ = [
    "BitsPerByte",
    "ClassAccuracy",
    "ClipScore",
    "CodebookUsage",
    "CompositionalAccuracy",
    "CopiedShare",
    "FrechetDistance",
    "KernelDistance",
    "NearestTrainRatio",
    "PeakSignalToNoise",
    "Perplexity",
    "PrecisionRecallDensityCoverage",
    "RetrievalAtK",
    "StructuralSimilarity",
    "StructureError",
    "VerbatimCopyRate",
    "ZeroShotAccuracy",
]

Arrays = NDArray[Any] | Tensor


def _array(values: Any) -> NDArray[Any]:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        return np.asarray(values.float().numpy() if values.dtype in (torch.bfloat16, torch.float16) else values.numpy())
    return np.asarray(values)


def _scalar() -> Tensor:
    return torch.zeros((), dtype=torch.float64)


class _Streaming(Metric):
    """What the classes share.

    Attributes:
        metric: canonical name, key of :data:`bench.catalogue.metrics.CATALOGUE`.
        protocol: template of the protocol id.
        minimum_n: fewest items that ``compute`` accepts.
    """

    metric: ClassVar[str]
    protocol: ClassVar[str]
    minimum_n: int = 1
    full_state_update: bool = False
    is_differentiable: bool = False


class _Ratio(_Streaming):
    """A sum over a count, each a float64 scalar that adds up across processes."""

    total: Tensor
    count: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", _scalar(), dist_reduce_fx="sum")
        self.add_state("count", _scalar(), dist_reduce_fx="sum")

    def _add(self, total: float, count: float) -> None:
        self.total += float(total)
        self.count += float(count)

    def compute(self) -> Tensor:
        """The ratio, float64."""
        require_minimum(int(self.count), self.minimum_n, self.metric)
        return self.total / self.count


class FrechetDistance(_Streaming):
    """FID from running sums: memory does not grow with N.

    >>> metric = FrechetDistance(features=2, minimum_n=3)
    >>> corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> metric.update(corners, real=True)
    >>> metric.update(corners + 2.0, real=False)
    >>> round(float(metric.compute()), 6)
    8.0
    """

    metric = "fid"
    protocol = "fid/{feature_net}/n={n}/ref={ref}/v1"
    higher_is_better: bool = False
    real_count: Tensor
    fake_count: Tensor

    def __init__(self, features: int, minimum_n: int = MINIMUM_N, **kwargs: Any) -> None:
        """``features``: dimensions of the feature network."""
        super().__init__(**kwargs)
        self.minimum_n = minimum_n
        for side in ("real", "fake"):
            self.add_state(f"{side}_count", _scalar(), dist_reduce_fx="sum")
            self.add_state(f"{side}_sum", torch.zeros(features, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_outer", torch.zeros(features, features, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, features: Tensor, real: bool) -> None:
        """``features``: ``(N, D)`` of real or of generated items."""
        side, x = ("real" if real else "fake"), features.detach().double()
        setattr(self, f"{side}_count", getattr(self, f"{side}_count") + len(x))
        setattr(self, f"{side}_sum", getattr(self, f"{side}_sum") + x.sum(dim=0))
        setattr(self, f"{side}_outer", getattr(self, f"{side}_outer") + x.T @ x)

    def _statistics(self, side: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        n = float(getattr(self, f"{side}_count"))
        total, outer = _array(getattr(self, f"{side}_sum")), _array(getattr(self, f"{side}_outer"))
        needed = self.minimum_n if self.minimum_n < MINIMUM_N else max(self.minimum_n, len(total) + 1)
        require_minimum(int(n), max(2, needed), "fid")
        return total / n, (outer - np.outer(total, total) / n) / (n - 1)

    def compute(self) -> Tensor:
        """The distance, float64."""
        return torch.tensor(
            frechet_from_statistics(*self._statistics("real"), *self._statistics("fake")), dtype=torch.float64
        )


class _Pooled(_Streaming):
    """Metrics of all pairs: the features of both sides are kept and concatenated."""

    first: list[Tensor]
    second: list[Tensor]

    def __init__(self, minimum_n: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.minimum_n = minimum_n
        self.add_state("first", [], dist_reduce_fx="cat")
        self.add_state("second", [], dist_reduce_fx="cat")

    def _pooled(self) -> tuple[NDArray[Any], NDArray[Any]]:
        pooled = []
        for state in (self.first, self.second):
            pooled.append(
                _array(state if isinstance(state, Tensor) else torch.cat(state) if state else torch.zeros(0, 1))
            )
        return pooled[0], pooled[1]


class KernelDistance(_Pooled):
    """KID over all pairs.

    >>> metric = KernelDistance(minimum_n=2)
    >>> metric.update(torch.tensor([[0.0], [1.0]]), real=True)
    >>> metric.update(torch.tensor([[0.0], [1.0]]), real=False)
    >>> float(metric.compute())  # unbiased, so it may be negative
    -3.5
    """

    metric = "kid"
    protocol = "kid/{feature_net}/n={n}/ref={ref}/v1"
    higher_is_better: bool = False

    def __init__(self, minimum_n: int = MINIMUM_N, **kwargs: Any) -> None:
        """``minimum_n``: of either side."""
        super().__init__(minimum_n, **kwargs)

    def update(self, features: Tensor, real: bool) -> None:
        """``features``: ``(N, D)`` of real or of generated items."""
        (self.first if real else self.second).append(features.detach())

    def compute(self) -> Tensor:
        """The distance, float64."""
        return torch.tensor(kernel_distance(*self._pooled(), minimum_n=self.minimum_n), dtype=torch.float64)


class PrecisionRecallDensityCoverage(_Pooled):
    """Four numbers in a dict.

    >>> metric = PrecisionRecallDensityCoverage(k=1)
    >>> points = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    >>> metric.update(points, real=True)
    >>> metric.update(points[:2] + 0.25, real=False)
    >>> {name: float(value) for name, value in metric.compute().items()}
    {'precision': 1.0, 'recall': 0.75, 'density': 2.0, 'coverage': 0.75}
    """

    metric = "precision"
    protocol = "precision/{feature_net}/n={n}/ref={ref}/k={k}/v1"
    higher_is_better: bool = True

    def __init__(self, k: int = 5, minimum_n: int = 2, **kwargs: Any) -> None:
        """``k``: nearest neighbours that set the radius of a ball."""
        super().__init__(minimum_n, **kwargs)
        self.k = k

    def update(self, features: Tensor, real: bool) -> None:
        """``features``: ``(N, D)`` of real or of generated items."""
        (self.first if real else self.second).append(features.detach())

    def compute(self) -> dict[str, Tensor]:
        """``precision``, ``recall``, ``density`` and ``coverage``, float64."""
        real, fake = self._pooled()
        require_minimum(min(len(real), len(fake)), self.minimum_n, "precision and recall")
        return {
            k: torch.tensor(v, dtype=torch.float64)
            for k, v in precision_recall_density_coverage(real, fake, self.k).items()
        }


class RetrievalAtK(_Pooled):
    """Share of queries whose target is among the k nearest.

    >>> metric = RetrievalAtK(k=1)
    >>> metric.update(torch.eye(3), torch.eye(3)[[0, 2, 1]])
    >>> round(float(metric.compute()), 4)
    0.3333
    """

    metric = "retrieval_at_1"
    protocol = "retrieval_at_1/{split}/n={n}/v1"
    higher_is_better: bool = True

    def __init__(self, k: int = 1, **kwargs: Any) -> None:
        """``k``: how many targets may be looked at."""
        super().__init__(1, **kwargs)
        self.k = k

    def update(self, queries: Tensor, targets: Tensor) -> None:
        """Both ``(N, D)``; target ``i`` belongs to query ``i``."""
        self.first.append(queries.detach())
        self.second.append(targets.detach())

    def compute(self) -> Tensor:
        """The share, float64."""
        return torch.tensor(retrieval_at_k(*self._pooled(), k=self.k).mean(), dtype=torch.float64)


class BitsPerByte(_Ratio):
    """Bits per byte of held-out text.

    >>> metric = BitsPerByte()
    >>> metric.update(torch.log(torch.tensor([0.5, 0.25])), n_bytes=2)
    >>> metric.update(torch.log(torch.tensor([0.125])), n_bytes=1)
    >>> round(float(metric.compute()), 6)
    2.0
    """

    metric = "bits_per_byte"
    protocol = "bits_per_byte/{split}/{part}/v1"
    higher_is_better: bool = False

    def update(self, log_probs: Arrays, n_bytes: int) -> None:
        """``log_probs``: natural, of the tokens of a text; ``n_bytes``: UTF-8 bytes that they cover."""
        self._add(-float(_array(log_probs).sum(dtype=np.float64)), n_bytes)

    def compute(self) -> Tensor:
        """Bits per byte, float64."""
        return torch.tensor(bits_per_byte_core.bits_per_byte(float(self.total), int(self.count)), dtype=torch.float64)


class Perplexity(_Ratio):
    """Perplexity per token.

    >>> metric = Perplexity()
    >>> metric.update(torch.log(torch.full((2, 5), 0.125)))
    >>> round(float(metric.compute()), 5)
    8.0
    """

    metric = "perplexity"
    protocol = "perplexity/{split}/{vocabulary}/{part}/v1"
    higher_is_better: bool = False

    def update(self, log_probs: Arrays) -> None:
        """``log_probs``: natural, of the tokens of a text, any shape."""
        values = _array(log_probs)
        self._add(-float(values.sum(dtype=np.float64)), values.size)

    def compute(self) -> Tensor:
        """Perplexity, float64; ``inf`` if some token was impossible."""
        return torch.tensor(perplexity_core.perplexity(float(self.total), int(self.count)), dtype=torch.float64)


class CodebookUsage(_Streaming):
    """Usage, perplexity and dead codes over everything seen (not a mean over batches).

    >>> metric = CodebookUsage(size=4)
    >>> metric.update(torch.tensor([[0, 0], [0, 0]]))
    >>> metric.update(torch.tensor([[1, 1], [1, 1]]))
    >>> {name: float(value) for name, value in metric.compute().items()}
    {'usage': 0.5, 'perplexity': 2.0, 'dead': 2.0}
    """

    metric = "codebook_usage"
    protocol = "codebook_usage/{split}/n={n}/size={size}/v1"
    higher_is_better: bool = True
    counts: Tensor

    def __init__(self, size: int, **kwargs: Any) -> None:
        """``size``: of the codebook."""
        super().__init__(**kwargs)
        self.add_state("counts", torch.zeros(size, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, codes: Arrays) -> None:
        """``codes``: integers in [0, size), any shape."""
        self.counts += torch.from_numpy(codebook_counts(_array(codes), len(self.counts))).to(self.counts.device)

    def compute(self) -> dict[str, Tensor]:
        """``usage``, ``perplexity`` and ``dead``, float64."""
        return {
            name: torch.tensor(value, dtype=torch.float64)
            for name, value in usage_from_counts(_array(self.counts)).items()
        }


class PeakSignalToNoise(_Ratio):
    """Mean over pictures of PSNR in dB.

    >>> metric = PeakSignalToNoise()
    >>> metric.update(torch.zeros(1, 8, 8, 1, dtype=torch.uint8), torch.full((1, 8, 8, 1), 255, dtype=torch.uint8))
    >>> float(metric.compute())
    0.0
    """

    metric = "psnr"
    protocol = "psnr/{split}/mean-over-pictures/n={n}/v1"
    higher_is_better: bool = True

    def __init__(self, data_range: float = 255.0, **kwargs: Any) -> None:
        """``data_range``: 255 for bytes."""
        super().__init__(**kwargs)
        self.data_range = data_range

    def update(self, images: Arrays, reconstructions: Arrays) -> None:
        """Both ``(N, H, W, C)``."""
        values = psnr(_array(images), _array(reconstructions), self.data_range)
        self._add(float(values.sum()), len(values))


class StructuralSimilarity(_Ratio):
    """Mean over pictures of SSIM.

    >>> metric = StructuralSimilarity()
    >>> metric.update(torch.ones(2, 16, 16, 1, dtype=torch.uint8), torch.ones(2, 16, 16, 1, dtype=torch.uint8))
    >>> round(float(metric.compute()), 6)
    1.0
    """

    metric = "ssim"
    protocol = "ssim/{split}/mean-over-pictures/n={n}/v1"
    higher_is_better: bool = True

    def __init__(self, data_range: float = 255.0, **kwargs: Any) -> None:
        """``data_range``: 255 for bytes."""
        super().__init__(**kwargs)
        self.data_range = data_range

    def update(self, images: Arrays, reconstructions: Arrays) -> None:
        """Both ``(N, H, W, C)``, at least 11 pixels a side."""
        values = ssim(_array(images), _array(reconstructions), self.data_range)
        self._add(float(values.sum()), len(values))


class ClipScore(_Ratio):
    """Mean of ``100 max(cos, 0)``.

    >>> metric = ClipScore()
    >>> metric.update(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[3.0, 4.0], [-1.0, 0.0]]))
    >>> round(float(metric.compute()), 4)
    30.0
    """

    metric = "clip_score"
    protocol = "clip_score/{scorer}/n={n}/prompts={prompts}/v1"
    higher_is_better: bool = True

    def update(self, image_emb: Arrays, text_emb: Arrays) -> None:
        """Both ``(N, D)``."""
        values = clip_score(_array(image_emb), _array(text_emb))
        self._add(float(values.sum()), len(values))


class ClassAccuracy(_Ratio):
    """Share of pictures that a classifier sees as the asked class.

    >>> metric = ClassAccuracy()
    >>> metric.update(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0]))
    >>> float(metric.compute())
    0.5
    """

    metric = "class_accuracy"
    protocol = "class_accuracy/{classifier}/v1"
    higher_is_better: bool = True

    def update(self, logits: Arrays, labels: Arrays) -> None:
        """``logits``: ``(N, K)``; ``labels``: ``(N,)`` asked classes."""
        right = _array(logits).argmax(axis=1) == _array(labels)
        self._add(float(right.sum()), len(right))


class ZeroShotAccuracy(_Streaming):
    """Accuracy of naming by class descriptions, over pictures and as mean over classes.

    >>> metric = ZeroShotAccuracy(torch.eye(2))
    >>> metric.update(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1, 1]))
    >>> {name: round(float(value), 3) for name, value in metric.compute().items()}
    {'accuracy': 0.667, 'mean_per_class': 0.75, 'chance': 0.5}
    """

    metric = "zero_shot_accuracy"
    protocol = "zero_shot_accuracy/{split}/classes={k}/templates={templates}/v1"
    higher_is_better: bool = True
    right: Tensor
    seen: Tensor

    def __init__(self, class_text_emb: Arrays, **kwargs: Any) -> None:
        """``class_text_emb``: ``(K, D)``, or ``(K, T, D)`` for an ensemble of T templates."""
        super().__init__(**kwargs)
        self.class_text_emb = _array(class_text_emb)
        classes = len(self.class_text_emb)
        self.add_state("right", torch.zeros(classes, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("seen", torch.zeros(classes, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, image_emb: Arrays, labels: Arrays) -> None:
        """``image_emb``: ``(N, D)``; ``labels``: ``(N,)`` true classes."""
        truth = _array(labels)
        correct = zero_shot_accuracy(_array(image_emb), self.class_text_emb, truth)["correct"]
        self.right += torch.from_numpy(np.bincount(truth, weights=correct, minlength=len(self.right))).to(
            self.right.device
        )
        self.seen += torch.from_numpy(np.bincount(truth, minlength=len(self.seen))).to(self.seen.device)

    def compute(self) -> dict[str, Tensor]:
        """``accuracy``, ``mean_per_class`` (over classes seen) and ``chance``, float64."""
        per_class = (self.right / self.seen)[self.seen > 0]
        chance = torch.tensor(1.0 / len(self.seen), dtype=torch.float64)
        return {"accuracy": self.right.sum() / self.seen.sum(), "mean_per_class": per_class.mean(), "chance": chance}


class CompositionalAccuracy(_Streaming):
    """Shares of pictures with count, digits, colours, objects and relation as asked.

    >>> seen = Detections(np.array([1]), np.array([[3]]), np.array([[0]]), np.zeros((1, 1, 2)), np.ones((1, 1)))
    >>> metric = CompositionalAccuracy()
    >>> # right digit, wrong colour
    >>> metric.update(seen, Asked(np.array([1]), np.array([[3]]), np.array([[5]]), np.array([-1])))
    >>> result = metric.compute()
    >>> float(result["digits_right"]), float(result["colours_right"]), float(result["both_right"])
    (1.0, 0.0, 0.0)
    """

    metric = "both_accuracy"
    protocol = "both_accuracy/{detector}/prompts={prompts}/v1"
    higher_is_better: bool = True
    names: ClassVar[tuple[str, ...]] = tuple(item.name for item in fields(Composition))
    total: Tensor
    count: Tensor

    def __init__(self, **kwargs: Any) -> None:
        """One running sum for each verdict."""
        super().__init__(**kwargs)
        self.add_state("total", torch.zeros(len(self.names), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(len(self.names), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, detections: Detections, asked: Asked) -> None:
        """What was seen and what was asked, item by item."""
        verdict = compose(detections, asked)
        values = np.stack([getattr(verdict, name) for name in self.names])
        self.total += torch.from_numpy(np.nansum(values, axis=1)).to(self.total.device)
        self.count += torch.from_numpy((~np.isnan(values)).sum(axis=1)).to(self.count.device)

    def compute(self) -> dict[str, Tensor]:
        """Mean of each field of :class:`bench.metrics.compositional.Composition`; nan for relations if none was
        asked."""
        return dict(zip(self.names, self.total / self.count, strict=True))


class NearestTrainRatio(_Ratio):
    """Mean distance of samples to the training set over that of held-out items.

    >>> metric = NearestTrainRatio(train=np.array([[0.0], [10.0]]), heldout=np.array([[2.0], [8.0]]))
    >>> metric.update(np.array([[1.0], [9.0], [10.0], [8.0]]))
    >>> float(metric.compute())
    0.5
    """

    metric = "nearest_train_ratio"
    protocol = "nearest_train_ratio/{space}/n={n}/ref=train{m}/heldout={heldout}/v1"
    higher_is_better: None = None

    def __init__(self, train: Arrays, heldout: Arrays, **kwargs: Any) -> None:
        """Both ``(N, ...)`` in the same space as the samples."""
        super().__init__(**kwargs)
        self.train_items = _array(train)
        self.baseline = float(nearest(_array(heldout), self.train_items)[0].mean())

    def update(self, samples: Arrays) -> None:
        """``samples``: ``(N, ...)``."""
        distances, _ = nearest(_array(samples), self.train_items)
        self._add(float(distances.sum()), len(distances))

    def compute(self) -> Tensor:
        """The ratio, float64; 0 for a copier."""
        return self.total / self.count / (self.baseline or math.nan)


class VerbatimCopyRate(_Ratio):
    """Share of windows of n characters that stand verbatim in the training text.

    >>> metric = VerbatimCopyRate("to be or not to be", n=5)
    >>> metric.update(["not to be", "or to be"])
    >>> round(float(metric.compute()), 4)
    0.7778
    """

    metric = "verbatim_copy_rate"
    protocol = "verbatim_copy_rate/characters={n}/v1"
    higher_is_better: bool = False

    def __init__(self, train_text: str, n: int, **kwargs: Any) -> None:
        """``n``: length of the window in characters."""
        super().__init__(**kwargs)
        self.training_text, self.n = TrainingText(train_text), n

    def update(self, texts: Sequence[str]) -> None:
        """``texts``: samples; windows do not run across them."""
        copied, windows = verbatim_copy_counts(texts, self.training_text, self.n)
        self._add(float(copied.sum()), float(windows.sum()))


class StructureError(_Ratio):
    """Mean structure error over textures.

    >>> metric = StructureError(sizes=(3,))
    >>> texture = np.tile(np.array([0, 255], dtype=np.uint8), (12, 6))
    >>> metric.update(texture[:8, 1:9], texture)
    >>> float(metric.compute())
    0.0
    """

    metric = "structure_error"
    protocol = "structure_error/patches={sizes}/size={size}/v1"
    higher_is_better: bool = False

    def __init__(self, sizes: Sequence[int] = (5, 9, 17), **kwargs: Any) -> None:
        """``sizes``: sides of the patches."""
        super().__init__(**kwargs)
        self.sizes = tuple(sizes)

    def update(self, output: NDArray[Any], exemplar: NDArray[Any]) -> None:
        """One synthesised texture and the exemplar that it grew from, uint8."""
        self._add(structure_error(output, exemplar, self.sizes)["value"], 1)


class CopiedShare(_Ratio):
    """Mean share of pixels copied in large pieces over textures.

    >>> metric = CopiedShare(size=4)
    >>> texture = np.arange(144, dtype=np.uint8).reshape(12, 12)
    >>> metric.update(texture[2:10, 2:10], texture)
    >>> float(metric.compute())
    1.0
    """

    metric = "copied_share"
    protocol = "copied_share/patch={patch}/size={size}/v1"
    higher_is_better: bool = False

    def __init__(self, size: int = 15, **kwargs: Any) -> None:
        """``size``: side of the patch."""
        super().__init__(**kwargs)
        self.size = size

    def update(self, output: NDArray[Any], exemplar: NDArray[Any]) -> None:
        """One synthesised texture and the exemplar that it grew from, uint8."""
        self._add(copied_share(output, exemplar, self.size), 1)
