"""VQ-VAE: a picture as a small grid of words from a learned codebook.

van den Oord, Vinyals, Kavukcuoglu 2017, "Neural Discrete Representation Learning". Encoder, nearest codebook vector
(eqs. 1-2, :mod:`bench.nn.quantize`), decoder; the loss is eq. 3::

    log p(x | z_q) + ||sg[z_e] - e||^2 + beta ||z_e - sg[e]||^2        (sg: stop gradient)

with a Gaussian likelihood, so the first term is a mean squared error. The second is replaced by moving averages
(appendix A.1) unless ``codebook: gradient``. Arms that differ in ``codebook`` alone and share ``start`` start from
the same weights and the same codebook, and see the same batches.

Must reach (``ema_restart``): 22 dB on MNIST test at 7x7 codes, at least 90 % of 256 codes in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.base.processes import seeded
from bench.base.seeds import derive
from bench.base.settings import Checked, Count, Natural, NotNegative, Range, Share
from bench.contracts import DataFacts, Images, RunContext
from bench.data.datasets import check_images
from bench.nn.blocks import NormKind, ResBlock, images_to_tensor, in_chunks, ready, tensor_to_images
from bench.nn.quantize import CodebookKind, VectorQuantizer
from bench.training import TrainConfig, fit, load_module, save_module

__all__ = ["VQVAE", "VQVAEConfig", "VQVAEModule"]


@dataclass(frozen=True)
class VQVAEConfig(Checked):
    """Shape of the networks and of the codebook.

    Attributes:
        codebook: how the codebook learns: ``gradient``, ``ema`` or ``ema_restart``.
        codes: codebook size K.
        dim: numbers in a codebook vector, D.
        widths: channels after each halving of the picture; two of them take 28x28 to 7x7.
        blocks: residual blocks in the encoder, and as many in the decoder.
        norm: norm of the residual blocks.
        channels: 1 for grey, 3 for colour.
        commitment: beta of eq. 3.
        decay: gamma of the moving averages.
        codebook_init: ``uniform`` in +-1/K, or ``normal``.
        restart_until: restarts stop after this share of the steps, so that the codebook settles.
        start: systems that name the same group start from the same weights and see the same batches, and so differ in
            their settings alone; ``""``: from the generator's own seed.
    """

    codebook: CodebookKind = "ema_restart"
    codes: Annotated[int, Range(low=2)] = 256
    dim: Count = 16
    widths: tuple[Count, ...] = (32, 64)
    blocks: Natural = 2
    norm: NormKind = "batch"
    channels: Literal[1, 3] = 1
    commitment: NotNegative = 0.25
    decay: Annotated[float, Range(low=0, below=1)] = 0.99
    codebook_init: Literal["uniform", "normal"] = "uniform"
    restart_until: Share = 0.8
    start: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.widths:
            raise ValueError("widths: at least one is needed")

    def check_data(self, facts: DataFacts) -> None:
        """Refuse pictures that do not come back as large as they were, or with other channels."""
        facts.check_equal("channels", self.channels)
        facts.check_multiple(2 ** len(self.widths), "widths")


class VQVAEModule(nn.Module):
    """Encoder, quantiser, decoder."""

    def __init__(self, config: VQVAEConfig) -> None:
        super().__init__()
        widths, top = config.widths, config.widths[-1]
        encoder: list[nn.Module] = []
        for before, width in zip((config.channels, *widths), widths, strict=False):
            encoder += [nn.Conv2d(before, width, 4, 2, 1), nn.ReLU()]  # halves height and width
        encoder += [nn.Conv2d(top, top, 3, 1, 1), *(ResBlock(top, kind=config.norm) for _ in range(config.blocks))]
        self.encoder = nn.Sequential(*encoder, nn.SiLU(), nn.Conv2d(top, config.dim, 1))
        self.quantizer = VectorQuantizer(
            config.codes, config.dim, config.codebook, init=config.codebook_init, decay=config.decay
        )
        decoder: list[nn.Module] = [
            nn.Conv2d(config.dim, top, 3, 1, 1),
            *(ResBlock(top, kind=config.norm) for _ in range(config.blocks)),
        ]
        outwards = (*reversed(widths), config.channels)
        for before, width in pairwise(outwards):
            decoder += [nn.ReLU(), nn.ConvTranspose2d(before, width, 4, 2, 1)]  # doubles height and width
        self.decoder = nn.Sequential(*decoder)

    def codes(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` in [-1, 1] to ``(N, h, w)`` codes."""
        codes: Tensor = self.quantizer(self.encoder(x)).codes
        return codes

    def reconstruct(self, codes: Tensor) -> Tensor:
        """``(N, h, w)`` codes to ``(N, C, H, W)``."""
        images: Tensor = self.decoder(self.quantizer.lookup(codes))
        return images


class VQVAE:
    """The VQ-VAE as a system of the ``codecs`` family."""

    Config: ClassVar[type[VQVAEConfig]] = VQVAEConfig

    def __init__(self, config: VQVAEConfig) -> None:
        self.config = config
        self.device = "cpu"
        self.codebook_size = config.codes
        self.network = VQVAEModule(config)

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Eq. 3 on ``data["train"].images``."""
        config = self.config
        check_images(config, data["train"].images, run.name)
        seed = run.shared_seed(config.start) if config.start else run.seed
        with seeded(derive(seed, "init")):
            self.network = VQVAEModule(config)
        network = self.network
        steps = TrainConfig(**run.train).steps
        network.quantizer.restart_until = int(config.restart_until * steps)
        images = data["train"].images

        def batches(rng: np.random.Generator, size: int) -> Tensor:
            return images_to_tensor(images[rng.integers(0, len(images), size)])

        def loss(batch: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
            z = network.encoder(batch)  # (N, C, H, W) -> (N, D, h, w)
            quantized = network.quantizer(z, generator)
            reconstruction = network.decoder(quantized.vectors).float()
            error = F.mse_loss(reconstruction, batch)
            total = error + quantized.codebook_loss + config.commitment * quantized.commitment_loss  # eq. 3
            return {"loss": total, "reconstruction": error, "perplexity": quantized.perplexity}

        fit(network, loss, batches, replace(run, seed=seed))
        self._settle(run.device)

    def _settle(self, device: str) -> None:
        self.device = device
        ready(self.network, device)

    def encode(self, images: Images) -> NDArray[np.int64]:
        """``(N, H, W, C)`` to ``(N, h, w)`` codes in [0, K)."""
        codes: NDArray[np.int64] = in_chunks(self.network.codes, images_to_tensor(images, self.device)).cpu().numpy()
        return codes

    def decode(self, codes: NDArray[Any]) -> Images:
        """``(N, h, w)`` codes to ``(N, H, W, C)``."""
        tensor = torch.from_numpy(np.asarray(codes, dtype=np.int64)).to(self.device)
        return tensor_to_images(in_chunks(self.network.reconstruct, tensor))

    def save(self, folder: Path) -> None:
        """``weights.safetensors``, codebook included."""
        save_module(self.network, folder / "weights.safetensors")

    @classmethod
    def load(cls, folder: Path, config: VQVAEConfig, device: str = "cpu") -> VQVAE:
        """The inverse of :meth:`save`."""
        system = cls(config)
        load_module(system.network, folder / "weights.safetensors")
        system._settle(device)
        return system
