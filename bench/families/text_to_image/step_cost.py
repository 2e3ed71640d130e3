"""What one denoising step costs in latents and in pixels: the same network, timed in turn."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.base.hardware import describe
from bench.base.machine import machine_id
from bench.base.precision import autocast
from bench.stats.intervals import mean_t_ci

__all__ = ["step_costs", "step_inputs"]


def step_inputs(system: Any, shape: tuple[int, ...], batch: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Latents or pictures, steps, text states and mask of a batch."""
    states, mask = system.text_encoder.text_states(["a red three left of a blue seven"] * batch)
    device = system.device
    x = torch.randn((batch, *shape), generator=torch.Generator().manual_seed(0)).to(device)
    return (
        x,
        torch.full((batch,), 500, device=device),
        torch.as_tensor(states).to(device),
        torch.as_tensor(mask).to(device),
    )


def _seconds(work: Callable[[], Any], device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start


@torch.no_grad()
def step_costs(system: Any, pixels: tuple[int, ...], repeats: int, steps: int, batch: int = 16) -> list[dict[str, Any]]:
    """Seconds of one step for one picture in both spaces, and how many times cheaper latents are.

    The latent step carries its share of the decoder: one decoding in ``steps`` steps. The two are timed in turn, so
        that a machine
    whose speed drifts slows both; the ratio is taken within each pair.

    Args:
        system: a latent diffusion model with its codec and text encoder.
        pixels: ``(C, H, W)`` of the pictures.
        repeats: pairs of timings.
        steps: over which the decoder is spread.
        batch: pictures at a time, the same in both spaces.

    Returns:
        rows ``{metric, variant, value, ci95, n, unit, higher_is_better, protocol}``.
    """
    twin: nn.Module = system.in_pixels(pixels[0]).to(system.device).to(memory_format=torch.channels_last)
    latent, picture = step_inputs(system, system.shape, batch), step_inputs(system, pixels, batch)
    codes = latent[0].cpu().numpy()

    def step(network: nn.Module, given: tuple[Tensor, ...]) -> Callable[[], Any]:
        def run() -> None:
            with autocast(system.device, system.options.precision):
                network(*given)

        return run

    works: dict[str, Callable[[], Any]] = {
        "latent": step(system.network, latent),
        "pixel": step(twin, picture),
        "decoder": lambda: system.codec.decode(codes),
    }
    for work in works.values():
        work()
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            taken[name].append(_seconds(work, system.device) / batch)
    latents = np.array(taken["latent"]) + np.array(taken["decoder"]) / steps
    in_pixels = np.array(taken["pixel"])
    machine = machine_id(describe(system.device))
    protocol = f"cost/step/batch={batch}/decoder-share={steps}/{machine}/v2"
    rows: list[dict[str, Any]] = [
        {
            "metric": "step_seconds_per_item",
            "variant": f"space={space}",
            "value": float(values.mean()),
            "ci95": list(mean_t_ci(values)),
            "n": repeats,
            "unit": "s",
            "higher_is_better": False,
            "protocol": protocol,
        }
        for space, values in (("latents", latents), ("pixels", in_pixels))
    ]
    ratios = np.log(in_pixels / latents)
    low, high = mean_t_ci(ratios)
    speedup = {
        "metric": "latent_speedup",
        "variant": "",
        "value": math.exp(float(ratios.mean())),
        "ci95": [math.exp(low), math.exp(high)],
    }
    return [*rows, {**speedup, "n": repeats, "unit": "", "higher_is_better": True, "protocol": protocol}]
