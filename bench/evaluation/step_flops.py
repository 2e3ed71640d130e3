"""What one denoising step costs in latents and in pixels: the same network, its operations counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from bench.families.text_to_image.step_cost import step_inputs

__all__ = ["step_flops"]


@torch.no_grad()
def step_flops(system: Any, pixels: tuple[int, ...], steps: int) -> dict[str, float]:
    """Counted FLOPs of one step for one picture, ``{"latents": ..., "pixels": ...}``; the decoder's share included."""
    from torch.utils.flop_counter import FlopCounterMode

    def count(work: Callable[[], Any]) -> float:
        with FlopCounterMode(display=False) as counter:
            work()
        return float(counter.get_total_flops())

    latent, picture = step_inputs(system, system.shape, 1), step_inputs(system, pixels, 1)
    twin = system.in_pixels(pixels[0]).to(system.device)
    decoder = count(lambda: system.codec.network.reconstruct(latent[0])) if hasattr(system.codec, "network") else 0.0
    return {
        "latents": count(lambda: system.network(*latent)) + decoder / steps,
        "pixels": count(lambda: twin(*picture)),
    }
