"""Generation by denoising, for pixels and latents alike: what every diffusion system does with its network.

Items are drawn in chunks of one size, the last one padded, so that the same kernels see the same shapes and an item
does not depend on how many are drawn with it. All noise of item i comes from (seed, i). The network, with its
conditioning bound, and the decoder from the space that is denoised to images are injected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench.base.precision import Precision, autocast
from bench.base.seeds import derive
from bench.base.settings import Count, Positive
from bench.contracts import Images
from bench.diffusion.loss import Network, diffusion_loss
from bench.diffusion.samplers import ItemNoise, OnStep, SamplerOptions, build_sampler
from bench.diffusion.schedule import Schedule, Target, spaced_steps

__all__ = ["Condition", "DenoisingOptions", "DiffusionGenerator"]

Condition = Callable[[slice, int], Network]
"""``condition(items, size)``: the network with the conditioning of these items bound, padded to a batch of ``size``."""


@dataclass(frozen=True)
class DenoisingOptions(SamplerOptions):
    """How samples are drawn from a trained network; see :class:`bench.diffusion.samplers.SamplerOptions` for the rest.

    Attributes:
        chunk: items drawn at a time; short chunks are padded.
        clip: bound on the estimate of the clean item.
        precision: ``fp32``, ``bf16`` or ``auto``.
    """

    chunk: Count = 100
    clip: Positive = 1.0
    precision: Precision = "fp32"


@dataclass(frozen=True)
class DiffusionGenerator:
    """A noise schedule, the space that is denoised, and the way out of it.

    Attributes:
        schedule: the noise schedule.
        shape: of one item, ``(C, H, W)``.
        decode: ``(N, C, H, W)`` float32 on the processor to images.
        target: what the loss is taken on.
        output: what the network's output stands for, ``target`` if None (see
            :func:`bench.diffusion.loss.diffusion_loss`).
        device: of the network.
    """

    schedule: Schedule
    shape: tuple[int, ...]
    decode: Callable[[Tensor], Images]
    target: Target = "eps"
    output: Target | None = None
    device: str = "cpu"

    def loss(self, network: Network, x0: Tensor, t: Tensor, draw: Callable[[], Tensor]) -> dict[str, Tensor]:
        """The training loss of one batch.

        Args:
            network: with the conditioning of the batch bound.
            x0: ``(B, C, H, W)`` clean items.
            t: ``(B,)`` steps.
            draw: standard normal noise of the shape of ``x0``, fresh at each call.
        """
        eps = draw()
        fresh = draw() if self.target == "x_prev" else None
        loss = diffusion_loss(network, x0, t, eps, self.schedule, self.target, output=self.output, fresh=fresh)
        return {"loss": loss.mean()}

    @torch.no_grad()
    def sample(
        self,
        condition: Condition,
        n: int,
        seed: int,
        options: DenoisingOptions,
        *,
        first: int = 0,
        on_step: OnStep | None = None,
    ) -> Images:
        """``n`` images ``(n, H, W, C)``; item i depends on (seed, i) and its conditioning alone.

        Args:
            condition: binds the conditioning of a chunk of items.
            n: how many.
            seed: of the noise.
            options: sampler, steps, chunks, precision.
            first: index of the first item (so that several processes can share a run).
            on_step: called at every step with the items so far, chunk by chunk, padding included.

        Raises:
            BenchError: more steps than the schedule has.
        """
        run, times = build_sampler(options.sampler), spaced_steps(len(self.schedule), options.steps)
        size = options.chunk
        finished = [torch.zeros(0, *self.shape)]
        for start in range(0, n, size):
            count = min(size, n - start)
            noise = ItemNoise(
                derive(seed, "noise"), range(first + start, first + start + size), self.shape, self.device
            )
            with autocast(self.device, options.precision):
                network = condition(slice(start, start + count), size)

            def denoise(x: Tensor, t: Tensor, network: Network = network) -> Tensor:
                with autocast(self.device, options.precision):
                    out = network(x, t)
                return self.schedule.x0_from(self.output or self.target, out.float(), x, t)

            x = run(
                denoise,
                self.schedule,
                noise(),
                times,
                noise,
                clip=options.clip,
                eta=options.eta or 0.0,
                on_step=on_step,
            )
            finished.append(x[:count].float().cpu())
        return self.decode(torch.cat(finished))

    def strip(self, condition: Condition, n: int, seed: int, options: DenoisingOptions, frames: int = 8) -> Images:
        """What the sampler sees on its way, ``(n, frames, H, W, C)``: from noise to the sample, which is the last
        frame. With fewer steps than frames there is a frame for each step."""
        keep = set(np.linspace(0, options.steps - 1, frames - 1).round().astype(int).tolist())
        seen: dict[int, list[Tensor]] = {}

        def look(i: int, x: Tensor, x0: Tensor) -> None:
            if i in keep:
                seen.setdefault(i, []).append(x.float().cpu())

        final = self.sample(condition, n, seed, options, on_step=look)
        return np.stack([*(self.decode(torch.cat(parts)[:n]) for parts in seen.values()), final], axis=1)
