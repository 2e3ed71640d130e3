"""What one denoising step costs in latents and in pixels: the same network, its operations counted.

Counts are the part of the cost that is the same on every machine; times are measured where samples are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bench.capabilities import PixelTwin
from bench.families.text_to_image.step_cost import step_inputs
from bench.metrics.protocols import protocol_id
from bench.scorers.reference import image_splits
from bench.scoring import NoOptions, Output, Score, Subject, scorer

__all__ = ["step_compute", "step_flops"]


@scorer("TextToImage", model=True)
def step_compute(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """FLOPs of one step for one image in both spaces, of generators in latents."""
    if not isinstance(subject.system, PixelTwin):
        return
    height, width, channels = image_splits(subject)["train"].images.shape[1:]
    steps = int(subject.samples[0].info.get("steps", 50))
    protocol = protocol_id("cost", "step-flops", decoder_share=steps)
    for space, value in step_flops(subject.system, (channels, height, width), steps).items():
        yield Score("step_flops_per_item", value, protocol, n=1, variant=f"space={space}", split="")


def step_flops(system: PixelTwin, image: tuple[int, ...], steps: int) -> dict[str, float]:
    """Counted FLOPs of one step for one image.

    Args:
        system: a generator in latents.
        image: ``(C, H, W)``.
        steps: over which the one decoding is spread.

    Returns:
        ``{"latents": ..., "pixels": ...}``; the decoder's share is included in the first.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    def count(work: Callable[[], Any]) -> float:
        with FlopCounterMode(display=False) as counter:
            work()
        return float(counter.get_total_flops())

    with torch.no_grad():
        latent, pixels = step_inputs(system, system.shape, 1), step_inputs(system, image, 1)
        twin = system.in_pixels(image[0]).to(system.device)
        network = getattr(system.codec, "network", None)
        decoder = 0.0 if network is None else count(lambda: network.reconstruct(latent[0]))
        return {
            "latents": count(lambda: system.network(*latent)) + decoder / steps,
            "pixels": count(lambda: twin(*pixels)),
        }
