"""KL-regularised autoencoder: pictures to a small grid of continuous latents and back, for diffusion in latents.

Kingma, Welling 2014, "Auto-Encoding Variational Bayes" (eq. 10: reconstruction and the KL divergence of a diagonal
Gaussian from the standard normal) with the tiny KL weight of Rombach et al. 2022, "High-Resolution Image Synthesis with
Latent Diffusion Models" (appendix G): the KL only keeps the scale of the latents in check.

``encode`` returns the posterior mean, each channel brought to mean 0 and standard deviation 1 over the training set,
which is what a diffusion model wants; ``decode`` undoes that.

Must reach: 26 dB on test scenes, 32x32x3 to 8x8x4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.base.processes import seeded
from bench.base.seeds import derive, generator
from bench.base.settings import Checked, Count, Natural, NotNegative
from bench.contracts import DataFacts, Images, RunContext
from bench.data.datasets import check_images
from bench.nn.blocks import (
    Downsample,
    NormKind,
    ResBlock,
    Upsample,
    images_to_tensor,
    in_chunks,
    norm2d,
    ready,
    tensor_to_images,
)
from bench.training import fit, load_module, randn, save_module

__all__ = ["KLVAE", "KLVAEConfig", "KLVAEModule", "kl_divergence"]


@dataclass(frozen=True)
class KLVAEConfig(Checked):
    """Shape of the networks and weights of the loss.

    Attributes:
        channels: 1 for grey, 3 for colour.
        latent_channels: channels of the latent grid; the grid itself is a ``2 ** len(widths)``-th of the picture.
        widths: channels after each halving of the picture.
        blocks: residual blocks at the lowest resolution of encoder and decoder (one at the others).
        norm: norm of the residual blocks.
        kl_weight: weight of the mean KL divergence for each latent number.
        l1_weight: weight of the mean absolute error beside the mean squared error.
        statistics_n: training pictures behind the latents' mean and standard deviation.
    """

    channels: Literal[1, 3] = 3
    latent_channels: Count = 4
    widths: tuple[Count, ...] = (32, 64)
    blocks: Natural = 2
    norm: NormKind = "group"
    kl_weight: NotNegative = 1e-4
    l1_weight: NotNegative = 0.1
    statistics_n: Count = 4096

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.widths:
            raise ValueError("widths: at least one is needed")

    @property
    def reduction(self) -> int:
        """How many times smaller than the picture each side of the latent grid is."""
        return int(2 ** len(self.widths))

    def check_data(self, facts: DataFacts) -> None:
        """Refuse pictures that do not come back as large as they were, or with other channels."""
        facts.check_equal("channels", self.channels)
        facts.check_multiple(self.reduction, "widths")


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)), elementwise, in nats (Kingma, Welling 2014, appendix B).

    >>> float(kl_divergence(torch.tensor(0.0), torch.tensor(0.0)))
    0.0
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


class KLVAEModule(nn.Module):
    """Encoder, decoder, and the statistics of the latents."""

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: KLVAEConfig) -> None:
        super().__init__()
        widths, norm = config.widths, config.norm
        encoder: list[nn.Module] = []
        for level, (before, width) in enumerate(zip((config.channels, *widths), widths, strict=False)):
            blocks = config.blocks if level == len(widths) - 1 else 1
            encoder += [Downsample(before, width), *(ResBlock(width, kind=norm) for _ in range(blocks))]
        to_latents = nn.Conv2d(widths[-1], 2 * config.latent_channels, 3, 1, 1)  # mean and log-variance
        self.encoder = nn.Sequential(*encoder, norm2d(widths[-1], norm), nn.SiLU(), to_latents)
        decoder: list[nn.Module] = [nn.Conv2d(config.latent_channels, widths[-1], 3, 1, 1)]
        for level in reversed(range(len(widths))):
            blocks = config.blocks if level == len(widths) - 1 else 1
            decoder += [ResBlock(widths[level], kind=norm) for _ in range(blocks)]
            if level:
                decoder.append(Upsample(widths[level], widths[level - 1]))
        self.decoder = nn.Sequential(
            *decoder, norm2d(widths[0], norm), nn.SiLU(), Upsample(widths[0], config.channels, kernel=3)
        )
        self.register_buffer("latent_mean", torch.zeros(config.latent_channels, 1, 1))
        self.register_buffer("latent_std", torch.ones(config.latent_channels, 1, 1))

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, C, H, W)`` in [-1, 1] to mean and log-variance, each ``(N, c, h, w)`` float32."""
        mean, log_variance = self.encoder(x).float().chunk(2, 1)
        return mean, log_variance.clamp(-30.0, 20.0)

    def latents(self, x: Tensor) -> Tensor:
        """The posterior mean, normalised for each channel."""
        return (self.posterior(x)[0] - self.latent_mean) / self.latent_std

    def reconstruct(self, latents: Tensor) -> Tensor:
        """The inverse of :meth:`latents`: ``(N, c, h, w)`` to ``(N, C, H, W)``."""
        images: Tensor = self.decoder(latents * self.latent_std + self.latent_mean)
        return images


class KLVAE:
    """The autoencoder as a system of the ``codecs`` family; its codes are continuous, so ``codebook_size`` is 0."""

    Config: ClassVar[type[KLVAEConfig]] = KLVAEConfig
    CONTRACT: ClassVar[str] = "LatentCodec"
    codebook_size = 0

    def __init__(self, config: KLVAEConfig) -> None:
        self.config = config
        self.device = "cpu"
        self.network = KLVAEModule(config)

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Train on ``data["train"].images``, then measure the latents' mean and standard deviation."""
        config = self.config
        check_images(config, data["train"].images, run.name)
        with seeded(derive(run.seed, "init")):
            self.network = KLVAEModule(config)
        network, images = self.network, data["train"].images

        def batches(rng: np.random.Generator, size: int) -> Tensor:
            return images_to_tensor(images[rng.integers(0, len(images), size)])

        def loss(batch: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
            mean, log_variance = network.posterior(batch)
            z = mean + (0.5 * log_variance).exp() * randn(mean.shape, generator)
            reconstruction = network.decoder(z).float()
            error, kl = F.mse_loss(reconstruction, batch), kl_divergence(mean, log_variance).mean()
            total = error + config.l1_weight * F.l1_loss(reconstruction, batch) + config.kl_weight * kl
            return {"loss": total, "reconstruction": error, "kl": kl}

        fit(network, loss, batches, run)
        self._settle(run.device)
        some = generator(run.seed, "statistics").permutation(len(images))[: config.statistics_n]
        means = in_chunks(lambda x: network.posterior(x)[0], images_to_tensor(images[some], self.device)).double()
        network.latent_mean.copy_(means.mean((0, 2, 3), keepdim=True)[0])
        network.latent_std.copy_(means.std((0, 2, 3), keepdim=True)[0].clamp_min(1e-6))

    def _settle(self, device: str) -> None:
        self.device = device
        ready(self.network, device)

    def encode_tensor(self, images: Tensor) -> Tensor:
        """``(N, C, H, W)`` in [-1, 1] to normalised latents ``(N, c, h, w)``."""
        return in_chunks(self.network.latents, images)

    def decode_tensor(self, latents: Tensor) -> Tensor:
        """Normalised latents ``(N, c, h, w)`` to ``(N, C, H, W)``, about [-1, 1] and not clamped."""
        return in_chunks(self.network.reconstruct, latents)

    def encode(self, images: Images) -> NDArray[np.float32]:
        """``(N, H, W, C)`` to normalised latents ``(N, c, h, w)`` float32."""
        latents: NDArray[np.float32] = self.encode_tensor(images_to_tensor(images, self.device)).cpu().numpy()
        return latents

    def decode(self, codes: NDArray[Any]) -> Images:
        """Normalised latents ``(N, c, h, w)`` to ``(N, H, W, C)``."""
        return tensor_to_images(
            self.decode_tensor(torch.from_numpy(np.asarray(codes, dtype=np.float32)).to(self.device))
        )

    def save(self, folder: Path) -> None:
        """``weights.safetensors``, latent statistics included."""
        save_module(self.network, folder / "weights.safetensors")

    @classmethod
    def load(cls, folder: Path, config: KLVAEConfig, device: str = "cpu") -> KLVAE:
        """The inverse of :meth:`save`."""
        system = cls(config)
        load_module(system.network, folder / "weights.safetensors")
        system._settle(device)
        return system
