"""Denoising diffusion, class-conditional (Ho et al. 2020; DDIM: Song et al. 2021; cosine schedule: Nichol and Dhariwal
2021).

The loss is :func:`bench.diffusion.loss.diffusion_loss` (Ho 2020 eq. 14), the samplers are in
:mod:`bench.diffusion.samplers`. Here they meet the U-Net and the pictures. Must show: one to three DDIM steps fail, ten
to fifty are near the full chain; time is linear in the number of steps; the same noise gives the same picture under
DDIM.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.base.files import read_json, write_json
from bench.base.processes import seeded
from bench.base.seeds import derive
from bench.base.settings import Checked, Count, Natural
from bench.contracts import DataFacts, Images, Ints, RunContext
from bench.diffusion.loss import diffusion_loss, draw_steps
from bench.diffusion.samplers import ItemNoise, OnStep, SamplerOptions, build_sampler
from bench.diffusion.schedule import Target, build_schedule, spaced_steps
from bench.nn.blocks import ready, tensor_to_images
from bench.nn.unet import UNet, UNetConfig, check_levels
from bench.training import fit, load_module, randn, save_module

__all__ = ["DDPM", "DDPMConfig"]


@dataclass(frozen=True)
class DDPMConfig(Checked):
    """Hyper-parameters; see :class:`bench.nn.unet.UNetConfig` for those of the network.

    Attributes:
        schedule: ``cosine`` or ``linear``.
        steps: length T of the noising chain.
        target: what the loss is taken on: ``eps``, ``x0``, ``v`` or ``x_prev``.
        input_skip: read the network's output as v and restate it as the target (see
            :func:`bench.diffusion.loss.diffusion_loss`).
        times: ``uniform`` or ``logit_normal`` draws of the training step.
        widths: channels by level.
        blocks: residual blocks by level.
        embedding: width of the time and class vector.
        attention: levels with self-attention.
        heads: attention heads.
        patch: space-to-depth factor.
        classes: number of classes, 0 for an unconditional model.
        skips: U-Net skips.
        chunk: pictures drawn at a time; short chunks are padded, so that a picture does not depend on how many are
            drawn with it.
        precision: of sampling, ``fp32`` or ``bf16``.
    """

    schedule: Literal["cosine", "linear"] = "cosine"
    steps: Count = 1000
    target: Target = "eps"
    input_skip: bool = True
    times: Literal["uniform", "logit_normal"] = "uniform"
    widths: tuple[Count, ...] = (32, 64)
    blocks: Count = 1
    embedding: Count = 128
    attention: tuple[Natural, ...] = (1,)
    heads: Count = 2
    patch: Count = 2
    classes: Natural = 10
    skips: bool = True
    chunk: Count = 100
    precision: Literal["fp32", "bf16"] = "fp32"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_levels(self.widths, self.attention, self.heads)

    def check_data(self, facts: DataFacts) -> None:
        """Refuse pictures that the U-Net cannot halve, and classes that it does not know."""
        facts.check_multiple(self.patch * 2 ** (len(self.widths) - 1), "widths")
        if self.classes and facts.classes is not None and facts.classes > self.classes:
            raise ValueError(f"classes: {facts.name} has {facts.classes}, more than {self.classes}")


@dataclass(frozen=True)
class DDPMOptions(SamplerOptions):
    """What is chosen when sampling: see :class:`bench.diffusion.samplers.SamplerOptions`."""


class DDPM:
    """An :class:`bench.contracts.ImageGenerator`."""

    Config = DDPMConfig
    SampleOptions = DDPMOptions

    def __init__(self, config: DDPMConfig) -> None:
        self.config = config
        self.schedule = build_schedule(config.schedule, config.steps)
        self.device = "cpu"
        self.shape: tuple[int, ...] = ()  # (C, H, W), known after fit or load
        self.proportions: NDArray[np.float64] = np.ones(0)
        self.network: UNet | None = None

    def _build(self, seed: int) -> UNet:
        c = self.config
        shape = UNetConfig(
            channels=self.shape[0],
            widths=c.widths,
            blocks=c.blocks,
            embedding=c.embedding,
            classes=c.classes,
            attention=c.attention,
            heads=c.heads,
            patch=c.patch,
            skips=c.skips,
            steps=c.steps,
        )
        with seeded(seed):
            return UNet(shape)

    def loss(self, network: nn.Module, batch: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """The loss of one batch of ``images`` (uint8, channels first), ``labels`` and steps ``t``."""
        x0 = batch["images"].float() / 127.5 - 1
        eps = randn(x0.shape, generator)
        fresh = randn(x0.shape, generator) if self.config.target == "x_prev" else None
        labels = batch.get("labels")

        def predict(x: Tensor, t: Tensor) -> Tensor:
            out: Tensor = network(x, t, labels)
            return out

        output: Target | None = "v" if self.config.input_skip else None
        loss = diffusion_loss(
            predict, x0, batch["t"], eps, self.schedule, self.config.target, output=output, fresh=fresh
        )
        return {"loss": loss.mean()}

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Train on ``data["train"]`` (images and labels)."""
        split = data["train"]
        images = np.ascontiguousarray(split.images.transpose(0, 3, 1, 2))  # (N, C, H, W)
        labels = split.labels
        c = self.config
        if c.classes and labels is None:
            raise BenchError(
                f"{run.name}: the data has no labels; set `model: {{classes: 0}}` for an unconditional model"
            )
        self.shape = images.shape[1:]
        if c.classes:
            counts = np.bincount(labels, minlength=c.classes)
            if len(counts) > c.classes:
                raise BenchError(f"{run.name}: the data has {len(counts)} classes, `model.classes` says {c.classes}")
            self.proportions = counts / counts.sum()
        self.device = run.device
        network = self._build(derive(run.seed, "weights"))

        def batches(rng: np.random.Generator, size: int) -> dict[str, NDArray[Any]]:
            chosen = rng.integers(0, len(images), size)
            batch: dict[str, NDArray[Any]] = {"images": images[chosen], "t": draw_steps(size, c.steps, rng, c.times)}
            return batch | ({"labels": labels[chosen]} if c.classes else {})

        fit(network, lambda batch, generator: self.loss(network, batch, generator), batches, run)
        self.network = network
        ready(network, run.device)

    def _draw_labels(self, n: int, seed: int, first: int) -> Ints:
        """Classes in the training set's proportions, each from its own stream."""
        u = ItemNoise(derive(seed, "labels"), range(first, first + n), ()).uniform()
        return np.searchsorted(self.proportions.cumsum()[:-1], u, side="right").astype(np.int64)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        seed: int,
        labels: Ints | None = None,
        *,
        sampler: str = "ddim",
        steps: int = 50,
        eta: float = 0.0,
        first: int = 0,
        on_step: OnStep | None = None,
    ) -> Images:
        """``n`` pictures.

        Args:
            n: how many.
            seed: picture i depends on (seed, i) and its class alone.
            labels: ``(n,)`` asked classes; None draws them in the training set's proportions.
            sampler: ``ddim`` or ``ancestral``.
            steps: network evaluations, at most ``config.steps``.
            eta: noise of DDIM, 0 is deterministic.
            first: index of the first picture (so that several processes can share a run).
            on_step: called at every step with the pictures so far, chunk by chunk (see :func:`denoising_strip`).

        Raises:
            BenchError: unknown sampler, impossible number of steps or class.
        """
        if self.network is None:
            raise BenchError("this DDPM has not been trained or loaded")
        c = self.config
        run_sampler, times = build_sampler(sampler), spaced_steps(c.steps, steps)
        if c.classes:
            labels = self._draw_labels(n, seed, first) if labels is None else np.asarray(labels, dtype=np.int64)
            if len(labels) != n or (n and not (labels.min() >= 0 and labels.max() < c.classes)):
                raise BenchError(f"labels must be {n} numbers from 0 to {c.classes - 1}")
        network = self.network
        kind: Target = "v" if c.input_skip else c.target
        drawn = []
        for start in range(0, n, c.chunk):
            count = min(c.chunk, n - start)
            items = range(
                first + start, first + start + c.chunk
            )  # a short chunk is padded: the same shapes, the same kernels
            noise = ItemNoise(derive(seed, "noise"), items, self.shape, self.device)
            classes = None
            if c.classes and labels is not None:
                classes = torch.from_numpy(np.resize(labels[start : start + count], c.chunk)).to(self.device)

            def denoise(x: Tensor, t: Tensor, classes: Tensor | None = classes) -> Tensor:
                with torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=c.precision == "bf16"):
                    out = network(x.contiguous(memory_format=torch.channels_last), t, classes)
                return self.schedule.x0_from(kind, out.float(), x, t)

            x = run_sampler(denoise, self.schedule, noise(), times, noise, clip=1.0, eta=eta, on_step=on_step)
            drawn.append(tensor_to_images(x[:count]))
        return np.concatenate(drawn) if drawn else np.zeros((0, *self.shape[1:], self.shape[0]), np.uint8)

    def denoising_strip(self, labels: Ints, seed: int, frames: int = 8, *, steps: int = 50) -> NDArray[np.uint8]:
        """What the sampler sees on its way: ``(len(labels), frames, H, W, C)``, from noise to picture (the last
        frame)."""
        keep = np.linspace(0, steps - 1, frames - 1).round().astype(int)
        seen: list[Images] = []

        def look(i: int, x: Tensor, x0: Tensor) -> None:
            if i in keep:
                seen.append(tensor_to_images(x[: len(labels)]))

        if len(labels) > self.config.chunk:
            raise BenchError(f"a strip shows at most {self.config.chunk} pictures")
        final = self.sample(len(labels), seed, labels, steps=steps, on_step=look)
        return np.stack([*seen, final], axis=1)

    def save(self, folder: Path) -> None:
        """Weights, shape and class proportions."""
        assert self.network is not None
        save_module(self.network, folder / "unet.safetensors")
        write_json(folder / "ddpm.json", {"shape": list(self.shape), "proportions": self.proportions.tolist()})

    @classmethod
    def load(cls, folder: Path, config: DDPMConfig, device: str = "cpu") -> DDPM:
        """The inverse of :meth:`save`."""
        system = cls(config)
        facts = read_json(folder / "ddpm.json")
        system.shape, system.proportions = tuple(facts["shape"]), np.array(facts["proportions"])
        system.device = device
        system.network = system._build(0)
        load_module(system.network, folder / "unet.safetensors")
        ready(system.network, device)
        return system
