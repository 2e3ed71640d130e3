"""PSNR, SSIM, CLIP score, zero-shot, retrieval, codebook and text metrics against independent implementations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from sklearn.metrics import balanced_accuracy_score
from torchmetrics.image import PeakSignalNoiseRatio
from torchmetrics.text import Perplexity as TorchPerplexity

from bench.base.errors import BenchError
from bench.metrics.bits_per_byte import bits_per_byte, count_bytes
from bench.metrics.clip_score import clip_score
from bench.metrics.codebook import codebook_counts, codebook_usage, usage_from_counts
from bench.metrics.perplexity import perplexity
from bench.metrics.psnr import psnr, psnr_of_mean_error
from bench.metrics.retrieval import retrieval_at_k
from bench.metrics.ssim import ssim
from bench.metrics.streaming import PeakSignalToNoise, StructuralSimilarity
from bench.metrics.zero_shot import class_weights, zero_shot_accuracy


def reconstructions(n: int = 6, size: tuple[int, int] = (28, 32), channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    images = np.cumsum(rng.integers(-20, 21, (n, *size, channels)), axis=2).clip(-128, 127) + 128
    noise = np.arange(1, n + 1)[:, None, None, None] * 5 * rng.normal(size=images.shape)
    return images.astype(np.uint8), np.clip(images + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_equals_scikit_image(channels: int) -> None:
    images, others = reconstructions(channels=channels)
    expected = [
        structural_similarity(
            a, b, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
        )
        for a, b in zip(images, others, strict=True)
    ]
    np.testing.assert_allclose(ssim(images, others), expected, rtol=1e-9)
    np.testing.assert_allclose(ssim(images / 255.0, others / 255.0, data_range=1.0), expected, rtol=1e-9)


def test_ssim_does_not_depend_on_the_batch_and_refuses_small_pictures() -> None:
    images, others = reconstructions(n=300, size=(12, 11), channels=1)
    whole = ssim(images, others)
    np.testing.assert_allclose(
        np.concatenate([ssim(images[:77], others[:77]), ssim(images[77:], others[77:])]), whole, rtol=1e-12
    )
    with pytest.raises(BenchError, match="at least 11"):
        ssim(images[:, :, :10], others[:, :, :10])


def test_psnr_equals_scikit_image_and_torchmetrics() -> None:
    images, others = reconstructions()
    expected = [peak_signal_noise_ratio(a, b, data_range=255) for a, b in zip(images, others, strict=True)]
    np.testing.assert_allclose(psnr(images, others), expected, rtol=1e-12)
    theirs = PeakSignalNoiseRatio(data_range=255.0)
    theirs.update(torch.from_numpy(others).float(), torch.from_numpy(images).float())
    assert psnr_of_mean_error(images, others) == pytest.approx(float(theirs.compute()), rel=1e-5)


def test_psnr_of_bytes_does_not_wrap_around_and_exact_is_infinite() -> None:
    dark, bright = np.full((1, 4, 4, 1), 10, dtype=np.uint8), np.full((1, 4, 4, 1), 20, dtype=np.uint8)
    assert psnr(dark, bright)[0] == psnr(bright, dark)[0] == pytest.approx(20 * math.log10(25.5))
    assert psnr(dark, dark)[0] == math.inf


def test_mean_of_psnr_is_never_below_psnr_of_mean_error() -> None:
    images, others = reconstructions()
    assert psnr(images, others).mean() > psnr_of_mean_error(images, others)


@pytest.mark.parametrize("metric", [ssim, psnr, psnr_of_mean_error])
@pytest.mark.parametrize(
    "kinds", [(np.float64, np.float64), (np.float32, np.uint8), (np.uint8, np.float64), (np.int64, np.int64)]
)
def test_floats_need_a_data_range_as_in_scikit_image(metric: Any, kinds: tuple[type, type]) -> None:
    """0.947 of floats in [0, 1] would become 1.000 on the scale of bytes."""
    images, others = (one.astype(kind) for one, kind in zip(reconstructions(), kinds, strict=True))
    with pytest.raises(BenchError, match="give data_range"):
        metric(images, others)
    np.testing.assert_allclose(metric(images, others, 255.0), metric(*reconstructions()), rtol=1e-9)
    for wrong in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(BenchError, match="finite number above 0"):
            metric(images, others, wrong)


def test_streamed_floats_need_a_data_range_too() -> None:
    images, others = (one / 255.0 for one in reconstructions())
    for streamed in (PeakSignalToNoise, StructuralSimilarity):
        with pytest.raises(BenchError, match="give data_range"):
            streamed().update(images, others)
        streamed(data_range=1.0).update(images, others)


def test_unequal_shapes_are_refused() -> None:
    images, others = reconstructions()
    for metric in (psnr, ssim):
        with pytest.raises(BenchError, match="cannot be compared"):
            metric(images, others[1:])


def test_clip_score_formula() -> None:
    rng = np.random.default_rng(0)
    images, texts = torch.from_numpy(rng.normal(size=(50, 8))), torch.from_numpy(rng.normal(size=(50, 8)))
    expected = 100 * torch.nn.functional.cosine_similarity(images, texts).clamp(min=0)
    scores = clip_score(images.numpy(), texts.numpy())
    np.testing.assert_allclose(scores, expected.numpy(), rtol=1e-12)
    assert (scores == 0).any()
    with pytest.raises(BenchError):
        clip_score(images.numpy(), texts.numpy()[1:])


def test_clip_score_equals_torchmetrics_where_no_pair_is_clamped() -> None:
    """torchmetrics clamps the mean, Hessel et al. each pair: equal where every cosine is positive."""
    from torchmetrics.multimodal.clip_score import CLIPScore  # the package itself exports it only beside transformers

    rng = np.random.default_rng(1)
    pictures, texts = rng.uniform(0.1, 1, (4, 6)), rng.uniform(0.1, 1, (4, 6))

    class Model(torch.nn.Module):
        device = torch.device("cpu")
        config = None

        def get_image_features(self, pixel_values: torch.Tensor) -> torch.Tensor:
            return pixel_values

        def get_text_features(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(texts)[input_ids[:, 0]]

    def processor(*, return_tensors: str, padding: bool, images: list | None = None, text: list | None = None) -> dict:
        if images is not None:
            return {"pixel_values": torch.stack([torch.as_tensor(image).double().reshape(-1)[:6] for image in images])}
        ids = torch.tensor([[int(word)] for word in text or []])
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    theirs = CLIPScore(model_name_or_path=lambda: (Model(), processor))
    theirs.update([torch.from_numpy(row.reshape(1, 2, 3)) for row in pictures], ["0", "1", "2", "3"])
    assert clip_score(pictures, texts).mean() == pytest.approx(float(theirs.compute()), rel=1e-5)


def test_zero_shot_against_sklearn_and_the_two_ways_of_templates() -> None:
    rng = np.random.default_rng(0)
    templates = rng.normal(size=(5, 3, 8)) * rng.uniform(0.5, 20, size=(5, 3, 1))
    labels = rng.integers(0, 5, 400)
    images = class_weights(templates)[labels] + 0.6 * rng.normal(size=(400, 8))
    result = zero_shot_accuracy(images, templates, labels)
    unit = templates / np.linalg.norm(templates, axis=-1, keepdims=True)
    predicted = (images @ (unit.mean(1) / np.linalg.norm(unit.mean(1), axis=-1, keepdims=True)).T).argmax(1)
    np.testing.assert_array_equal(result["predictions"], predicted)
    assert result["accuracy"] == (predicted == labels).mean()
    assert result["mean_per_class"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert result["chance"] == 0.2
    single = zero_shot_accuracy(images, templates[:, 0], labels)
    np.testing.assert_array_equal(
        single["predictions"], zero_shot_accuracy(images, templates[:, :1], labels)["predictions"]
    )


def test_zero_shot_mean_per_class_ignores_absent_classes_and_labels_are_checked() -> None:
    result = zero_shot_accuracy([[1, 0, 0]], np.eye(3), [0])
    assert result["mean_per_class"] == 1.0
    assert np.isnan(result["per_class"][1:]).all()
    with pytest.raises(BenchError, match="labels"):
        zero_shot_accuracy([[1, 0, 0]], np.eye(3), [3])


def test_retrieval_against_an_argsort_and_with_equal_captions() -> None:
    rng = np.random.default_rng(0)
    texts = rng.normal(size=(200, 6))
    images = texts + 0.5 * rng.normal(size=texts.shape)
    scores = (images / np.linalg.norm(images, axis=1, keepdims=True)) @ (
        texts / np.linalg.norm(texts, axis=1, keepdims=True)
    ).T
    order = np.argsort(-scores, axis=1)
    for k in (1, 5):
        expected = (order[:, :k] == np.arange(200)[:, None]).any(axis=1)
        np.testing.assert_array_equal(retrieval_at_k(images, texts, k), expected)
    twins = np.concatenate([texts[:50], texts[:50]])
    alone = retrieval_at_k(twins, twins)
    grouped = retrieval_at_k(twins, twins, groups=np.tile(np.arange(50), 2))
    assert alone.mean() == 0.0
    assert grouped.mean() == 1.0


def test_retrieval_gives_a_collapsed_encoder_nothing() -> None:
    same = np.ones((20, 4))
    assert retrieval_at_k(same, same).mean() == 0.0


@settings(deadline=None)
@given(st.lists(st.integers(0, 15), min_size=1, max_size=200))
def test_codebook_numbers_against_scipy_entropy(codes: list[int]) -> None:
    counts = np.bincount(codes, minlength=16)
    result = codebook_usage(np.array(codes), 16)
    assert result["perplexity"] == pytest.approx(math.exp(entropy(counts)))
    assert result["usage"] == len(set(codes)) / 16
    assert result["dead"] == 16 - len(set(codes))
    assert 1.0 - 1e-12 <= result["perplexity"] <= 16 * result["usage"] + 1e-9


def test_codebook_counts_of_batches_add_up_where_means_of_batches_would_not() -> None:
    halves = [np.zeros(10, dtype=np.int64), np.ones(10, dtype=np.int64)]
    total = usage_from_counts(codebook_counts(halves[0], 4) + codebook_counts(halves[1], 4))
    assert total["perplexity"] == pytest.approx(2.0)
    assert np.mean([codebook_usage(half, 4)["perplexity"] for half in halves]) == pytest.approx(1.0)
    with pytest.raises(BenchError, match=r"\[0, 4\)"):
        codebook_usage(np.array([4]), 4)


def test_perplexity_equals_torchmetrics() -> None:
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 30, 11)))
    targets = torch.from_numpy(np.random.default_rng(1).integers(0, 11, (2, 30)))
    theirs = TorchPerplexity()
    theirs.update(logits, targets)
    log_probs = logits.log_softmax(-1).gather(-1, targets[..., None])
    assert perplexity(-float(log_probs.sum()), 60) == pytest.approx(float(theirs.compute()), rel=1e-6)
    assert perplexity(math.inf, 3) == perplexity(1e6, 1) == math.inf


def test_a_uniform_model_over_bytes_needs_eight_bits_whatever_its_tokens() -> None:
    text = "Où est-il ? — ✓"
    n = count_bytes(text)
    assert n == len(text.encode())
    assert bits_per_byte(n * math.log(256), n) == pytest.approx(8.0)
    pairs = math.ceil(n / 2)  # tokens of two bytes: fewer tokens, a higher perplexity, the same bits per byte
    assert bits_per_byte(pairs * math.log(256**2), 2 * pairs) == pytest.approx(8.0)
    assert bits_per_byte(math.inf, 5) == math.inf


@pytest.mark.parametrize(("nats", "count"), [(1.0, 0), (-1.0, 5), (math.nan, 5)])
def test_impossible_nats_and_counts_are_refused(nats: float, count: int) -> None:
    with pytest.raises(BenchError):
        bits_per_byte(nats, count)
    with pytest.raises(BenchError):
        perplexity(nats, count)
