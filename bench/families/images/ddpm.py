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
from bench.base.settings import Checked, Count, Natural, changed, taken_over
from bench.contracts import DataFacts, Images, Ints, RunContext
from bench.data.datasets import check_images
from bench.diffusion.generator import Condition, DenoisingOptions, DiffusionGenerator
from bench.diffusion.loss import Network, draw_steps
from bench.diffusion.samplers import ItemNoise, OnStep
from bench.diffusion.schedule import Target, build_schedule
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

    def __post_init__(self) -> None:
        super().__post_init__()
        check_levels(self.widths, self.attention, self.heads)

    def check_data(self, facts: DataFacts) -> None:
        """Refuse pictures that the U-Net cannot halve, and classes that it does not know."""
        facts.check_multiple(self.patch * 2 ** (len(self.widths) - 1), "widths")
        if self.classes and facts.classes is not None and facts.classes > self.classes:
            raise ValueError(f"classes: {facts.name} has {facts.classes}, more than {self.classes}")


class DDPM:
    """An :class:`bench.contracts.ImageGenerator`."""

    Config = DDPMConfig
    SampleOptions = DenoisingOptions

    def __init__(self, config: DDPMConfig) -> None:
        self.config = config
        self.options = DenoisingOptions()
        self.schedule = build_schedule(config.schedule, config.steps)
        self.device = "cpu"
        self.shape: tuple[int, ...] = ()  # (C, H, W), known after fit or load
        self.proportions: NDArray[np.float64] = np.ones(0)
        self.network: UNet | None = None

    def _build(self, seed: int) -> UNet:
        with seeded(seed):
            return UNet(taken_over(UNetConfig, self.config, channels=self.shape[0]))

    @property
    def generator(self) -> DiffusionGenerator:
        """The chain in pixels; with the input skip the network's output is read as v."""
        c = self.config
        output: Target | None = "v" if c.input_skip else None
        return DiffusionGenerator(self.schedule, self.shape, tensor_to_images, c.target, output, self.device)

    def loss(self, network: nn.Module, batch: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """The loss of one batch of ``images`` (uint8, channels first), ``labels`` and steps ``t``."""
        x0 = batch["images"].float() / 127.5 - 1
        labels = batch.get("labels")

        def predict(x: Tensor, t: Tensor) -> Tensor:
            out: Tensor = network(x, t, labels)
            return out

        return self.generator.loss(predict, x0, batch["t"], lambda: randn(x0.shape, generator))

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Train on ``data["train"]`` (images and labels)."""
        split = data["train"]
        check_images(self.config, split.images, run.name)
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

    def sample(
        self,
        n: int,
        seed: int,
        labels: Ints | None = None,
        *,
        first: int = 0,
        on_step: OnStep | None = None,
        **options: Any,
    ) -> Images:
        """``n`` pictures.

        Args:
            n: how many.
            seed: picture i depends on (seed, i) and its class alone.
            labels: ``(n,)`` asked classes; None draws them in the training set's proportions.
            first: index of the first picture (so that several processes can share a run).
            on_step: called at every step with the pictures so far, chunk by chunk padding included.
            options: see :class:`bench.diffusion.generator.DenoisingOptions`.

        Raises:
            BenchError: unknown sampler, impossible number of steps or class.
        """
        labels = self._classes(n, seed, labels, first)
        chosen = changed(self.options, options, "ddpm")
        return self.generator.sample(self._conditioned(labels), n, seed, chosen, first=first, on_step=on_step)

    def _classes(self, n: int, seed: int, labels: Ints | None, first: int) -> Ints | None:
        """The asked classes, checked; drawn in the training set's proportions if none are asked."""
        count = self.config.classes
        if not count:
            return None
        labels = self._draw_labels(n, seed, first) if labels is None else np.asarray(labels, dtype=np.int64)
        if len(labels) != n or (n and not (labels.min() >= 0 and labels.max() < count)):
            raise BenchError(f"labels must be {n} numbers from 0 to {count - 1}")
        return labels

    def _conditioned(self, labels: Ints | None) -> Condition:
        """The network with the classes of a chunk bound."""
        network = self.network
        if network is None:
            raise BenchError("this DDPM has not been trained or loaded")

        def condition(items: slice, size: int) -> Network:
            classes = None if labels is None else torch.from_numpy(np.resize(labels[items], size)).to(self.device)

            def predict(x: Tensor, t: Tensor) -> Tensor:
                out: Tensor = network(x.contiguous(memory_format=torch.channels_last), t, classes)
                return out

            return predict

        return condition

    def denoising_strip(self, labels: Ints, seed: int, frames: int = 8, **options: Any) -> Images:
        """What the sampler sees on its way: ``(len(labels), frames, H, W, C)``, from noise to the sample (the last
        frame); ``options`` are those of :meth:`sample`."""
        n = len(labels)
        condition = self._conditioned(self._classes(n, seed, labels, 0))
        return self.generator.strip(condition, n, seed, changed(self.options, options, "ddpm"), frames)

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
