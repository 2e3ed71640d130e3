from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.contracts import RunContext
from bench.data.datasets import ImageSplit
from bench.families.codecs.kl_vae import KLVAE, KLVAEConfig, kl_divergence
from bench.metrics.psnr import psnr
from bench.nn.blocks import images_to_tensor, tensor_to_images

SMALL = KLVAEConfig(widths=(8, 16), blocks=1)
TRAIN = {"steps": 80, "batch_size": 32, "lr": 0.005, "warmup": 5, "checkpoint_every": 0}


@pytest.fixture(scope="module")
def trained(colour: dict[str, ImageSplit]) -> KLVAE:
    system = KLVAE(SMALL)
    system.fit(colour, RunContext(seed=1, train=TRAIN))
    return system


def test_kl_agrees_with_torch_distributions() -> None:
    mean, log_variance = torch.randn(50), torch.randn(50)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, (0.5 * log_variance).exp()), normal(0.0, 1.0))
    assert torch.allclose(kl_divergence(mean, log_variance), expected, atol=1e-5)


def test_reconstructs_better_than_the_mean_picture(trained: KLVAE, colour: dict[str, ImageSplit]) -> None:
    test = colour["test"].images
    latents = trained.encode(test)
    assert latents.shape == (120, 4, 8, 8)
    assert latents.dtype == np.float32
    mean = np.broadcast_to(colour["train"].images.mean(0), test.shape)
    assert psnr(test, trained.decode(latents)).mean() > psnr(test, mean, 255.0).mean() + 3


def test_latents_are_normalised_over_the_training_set(trained: KLVAE, colour: dict[str, ImageSplit]) -> None:
    latents = trained.encode(colour["train"].images).astype(np.float64)
    np.testing.assert_allclose(latents.mean((0, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(latents.std((0, 2, 3)), 1, atol=1e-3)
    assert not torch.allclose(trained.network.latent_std, torch.ones(4, 1, 1))


def test_tensors_and_arrays_go_the_same_way(trained: KLVAE, colour: dict[str, ImageSplit]) -> None:
    images = colour["test"].images[:5]
    latents = trained.encode_tensor(images_to_tensor(images))
    assert np.array_equal(latents.numpy(), trained.encode(images))
    assert np.array_equal(tensor_to_images(trained.decode_tensor(latents)), trained.decode(latents.numpy()))


def test_statistics_are_saved(trained: KLVAE, colour: dict[str, ImageSplit], tmp_path: Path) -> None:
    trained.save(tmp_path)
    again = KLVAE.load(tmp_path, SMALL)
    assert torch.equal(again.network.latent_mean, trained.network.latent_mean)
    assert np.array_equal(again.encode(colour["test"].images), trained.encode(colour["test"].images))


@pytest.mark.parametrize("widths", [(8,), (8, 16), (8, 16, 16)])
def test_the_grid_shrinks_with_the_number_of_widths(widths: tuple[int, ...]) -> None:
    system = KLVAE(KLVAEConfig(widths=widths, latent_channels=3, channels=1))
    images = np.zeros((2, 32, 32, 1), np.uint8)
    side = 32 // 2 ** len(widths)
    assert system.encode(images).shape == (2, 3, side, side)
    assert system.decode(system.encode(images)).shape == images.shape


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="widths"):
        KLVAEConfig(widths=())
