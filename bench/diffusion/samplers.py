"""Samplers: from noise to a picture. All have one signature, so one word swaps them.

A sampler gets ``denoise(x_t, t) -> x_0 estimate``, the schedule, the start noise, the steps (falling) and, for every
transition, noise. The estimate of ``x_0`` is clipped before use if ``clip`` is given (Ho 2020, section 3.4; without it
errors at high noise are divided by ``sqrt(abar)`` and run away).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.base.errors import BenchError, did_you_mean
from bench.base.settings import Checked, Count, Share
from bench.diffusion.schedule import Schedule

__all__ = ["SAMPLERS", "Denoise", "ItemNoise", "OnStep", "Sampler", "ancestral", "build_sampler", "ddim"]

Denoise = Callable[[Tensor, Tensor], Tensor]
"""``denoise(x_t (B, ...), t (B,) int64) -> (B, ...)``, an estimate of the clean picture."""

OnStep = Callable[[int, Tensor, Tensor], None]
"""``on_step(i, x_t before the step, x_0 estimate)``, for previews and strips."""


class Sampler(Protocol):
    """The signature of every sampler."""

    def __call__(
        self,
        denoise: Denoise,
        schedule: Schedule,
        start: Tensor,
        steps: Sequence[int] | NDArray[np.int64],
        noise: Callable[[], Tensor],
        *,
        clip: float | None = None,
        eta: float = 0.0,
        on_step: OnStep | None = None,
    ) -> Tensor: ...


def _transitions(
    steps: Sequence[int] | NDArray[np.int64], count: int, device: torch.device
) -> list[tuple[Tensor, Tensor]]:
    """Pairs (t, s) of ``(count,)`` steps, the last s being -1, the clean picture."""
    levels = [*(int(step) for step in steps), -1]
    return [
        (torch.full((count,), t, device=device), torch.full((count,), s, device=device))
        for t, s in itertools.pairwise(levels)
    ]


def _walk(
    move: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor],
    denoise: Denoise,
    start: Tensor,
    steps: Sequence[int] | NDArray[np.int64],
    clip: float | None,
    on_step: OnStep | None,
) -> Tensor:
    """Down the steps: at each the estimate of ``x_0``, clipped, from which ``move(x_t, x_0, t, s)`` makes ``x_s``."""
    x = start
    for i, (t, s) in enumerate(_transitions(steps, len(start), start.device)):
        x0 = denoise(x, t)
        x0 = x0 if clip is None else x0.clamp(-clip, clip)
        if on_step is not None:
            on_step(i, x, x0)
        x = move(x, x0, t, s)
    return x


def ancestral(
    denoise: Denoise,
    schedule: Schedule,
    start: Tensor,
    steps: Sequence[int] | NDArray[np.int64],
    noise: Callable[[], Tensor],
    *,
    clip: float | None = None,
    eta: float = 0.0,
    on_step: OnStep | None = None,
) -> Tensor:
    """Ho et al. 2020, algorithm 2: each step draws from ``q(x_s | x_t, x_0)`` (eq. 6 and 7) at the estimated ``x_0``;
    no ``eta``."""

    def move(x: Tensor, x0: Tensor, t: Tensor, s: Tensor) -> Tensor:
        of_x0, of_xt, variance = schedule.posterior(t, s, x)
        x = of_x0 * x0 + of_xt * x
        return x + variance.sqrt() * noise() if int(s[0]) >= 0 else x

    return _walk(move, denoise, start, steps, clip, on_step)


def ddim(
    denoise: Denoise,
    schedule: Schedule,
    start: Tensor,
    steps: Sequence[int] | NDArray[np.int64],
    noise: Callable[[], Tensor],
    *,
    clip: float | None = None,
    eta: float = 0.0,
    on_step: OnStep | None = None,
) -> Tensor:
    """Song et al. 2021, eq. 12 with sigma of eq. 16: deterministic at eta = 0, the ancestral chain at eta = 1."""

    def move(x: Tensor, x0: Tensor, t: Tensor, s: Tensor) -> Tensor:
        eps = schedule.eps_from_x0(x0, x, t)  # of the clipped estimate, so that the two parts belong together
        sigma = eta * schedule.posterior(t, s, x)[2].sqrt()
        x = schedule.signal(s, x) * x0 + (schedule.noise(s, x) ** 2 - sigma**2).clamp(min=0).sqrt() * eps
        return x + sigma * noise() if eta > 0 and int(s[0]) >= 0 else x

    return _walk(move, denoise, start, steps, clip, on_step)


SAMPLERS: dict[str, Sampler] = {"ancestral": ancestral, "ddim": ddim}


def build_sampler(name: str) -> Sampler:
    """The sampler of that name.

    Raises:
        BenchError: no such sampler.
    """
    try:
        return SAMPLERS[name]
    except KeyError:
        raise BenchError(f"unknown sampler {name!r}.{did_you_mean(name, SAMPLERS)}") from None


@dataclass(frozen=True)
class SamplerOptions(Checked):
    """What may be chosen of the sampling of any diffusion model.

    Attributes:
        sampler: ``ddim`` or ``ancestral``.
        steps: network evaluations, at most the steps of the noising chain.
        eta: noise of DDIM, null for none: 0 is deterministic. The ancestral sampler has none to set.
    """

    sampler: Literal["ddim", "ancestral"] = "ddim"
    steps: Count = 50
    eta: Share | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.eta is not None and self.sampler != "ddim":
            raise ValueError(f"eta: belongs to sampler ddim and does nothing with {self.sampler}")

    def check(self, config: Any) -> None:
        """Refuse more steps than the noising chain of a model has."""
        if self.steps > config.steps:
            raise ValueError(
                f"steps: at most the {config.steps} of the noising chain (`model.steps`), not {self.steps}"
            )


class ItemNoise:
    """Standard normal noise in which item i has a stream of its own, keyed by (seed, i).

    So the picture i of a run depends on (seed, i) alone, whatever batch it is drawn in. Philox takes the pair as its
    128-bit key.
    """

    def __init__(
        self, seed: int, items: Sequence[int] | range, shape: tuple[int, ...], device: str | torch.device = "cpu"
    ) -> None:
        self.shape, self.device = shape, device
        self._streams = [
            np.random.Generator(np.random.Philox(key=np.array([seed % 2**64, int(item) % 2**64], dtype=np.uint64)))
            for item in items
        ]

    def __call__(self) -> Tensor:
        """The next ``(items, *shape)`` float32 draw."""
        block = np.empty((len(self._streams), *self.shape), dtype=np.float32)
        for row, stream in zip(block, self._streams, strict=True):
            stream.standard_normal(dtype=np.float32, out=row)
        return torch.from_numpy(block).to(self.device)

    def uniform(self) -> NDArray[np.float64]:
        """One number in [0, 1) for each item (a class to draw, say)."""
        return np.array([stream.random() for stream in self._streams])
