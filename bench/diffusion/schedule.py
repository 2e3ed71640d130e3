"""Noise schedules: how much of the picture is left at step t, and every quantity that follows from it.

Forward process (Ho et al. 2020, "Denoising Diffusion Probabilistic Models", eq. 4):
``x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps``. Step ``t`` runs from 0 (least noise) to ``T - 1``; the index ``-1``
stands for the clean picture (``abar_{-1} = 1``), so the formulas need no special case at the last step.

A network may be asked for any of four targets; :meth:`Schedule.x0_from` and :meth:`Schedule.target` convert between
them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.base.errors import BenchError, did_you_mean

__all__ = ["TARGETS", "Schedule", "Target", "build_schedule", "cosine_schedule", "linear_schedule", "spaced_steps"]

Target = Literal["eps", "x0", "v", "x_prev"]
TARGETS: tuple[str, ...] = get_args(Target)
"""``eps`` the noise, ``x0`` the clean picture, ``v = sqrt(abar) eps - sqrt(1 - abar) x_0``, ``x_prev`` the less noisy
picture."""


def _expand(values: Tensor, like: Tensor) -> Tensor:
    """``(B,)`` to ``(B, 1, ..., 1)`` on the device of ``like``, in float32 (float64 stays)."""
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
    return values.to(like.device, dtype).reshape(-1, *([1] * (like.ndim - 1)))


@dataclass(frozen=True)
class Schedule:
    """A discrete noise schedule.

    Attributes:
        alphas_cumprod: ``(T,)`` float64, ``abar_t``: the variance that is still signal after step t, decreasing.
    """

    alphas_cumprod: Tensor

    def __post_init__(self) -> None:
        abar = self.alphas_cumprod
        if abar.ndim != 1 or abar.dtype != torch.float64:
            raise ValueError("alphas_cumprod must be a float64 vector")
        if not (bool((abar > 0).all()) and bool((abar < 1).all()) and bool((abar.diff() < 0).all())):
            raise ValueError("alphas_cumprod must fall strictly within (0, 1)")

    def __len__(self) -> int:
        return len(self.alphas_cumprod)

    def abar(self, t: Tensor) -> Tensor:
        """``(B,)`` float64 ``abar_t`` for ``(B,)`` integer steps; 1 for t = -1."""
        table = torch.cat([torch.ones(1, dtype=torch.float64), self.alphas_cumprod]).to(t.device)
        return table[t + 1]

    @property
    def betas(self) -> Tensor:
        """``(T,)`` float64: the variance of the noise added in step t."""
        abar = self.alphas_cumprod
        return 1 - abar / torch.cat([torch.ones(1, dtype=torch.float64), abar[:-1]])

    def signal(self, t: Tensor, like: Tensor) -> Tensor:
        """``sqrt(abar_t)``, broadcastable to ``like``."""
        return _expand(self.abar(t).sqrt(), like)

    def noise(self, t: Tensor, like: Tensor) -> Tensor:
        """``sqrt(1 - abar_t)``, broadcastable to ``like``."""
        return _expand((1 - self.abar(t)).sqrt(), like)

    def add_noise(self, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """A draw of ``q(x_t | x_0)`` for the given standard normal ``eps`` (Ho 2020 eq. 4)."""
        return self.signal(t, x0) * x0 + self.noise(t, x0) * eps

    def posterior(self, t: Tensor, s: Tensor, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``q(x_s | x_t, x_0)`` for steps ``s < t`` (Ho 2020 eq. 6 and 7, where ``s = t - 1``).

        Returns:
            the factor of ``x_0`` and of ``x_t`` in the mean, and the variance, each broadcastable to ``like``.
        """
        abar_t, abar_s = self.abar(t), self.abar(s)
        alpha = abar_t / abar_s  # what is left of the signal of x_s in x_t
        of_x0 = abar_s.sqrt() * (1 - alpha) / (1 - abar_t)
        of_xt = alpha.sqrt() * (1 - abar_s) / (1 - abar_t)
        variance = (1 - abar_s) / (1 - abar_t) * (1 - alpha)
        return _expand(of_x0, like), _expand(of_xt, like), _expand(variance, like)

    def target(self, kind: Target, x0: Tensor, eps: Tensor, t: Tensor, fresh: Tensor | None = None) -> Tensor:
        """What a perfect network would have to say about ``x_t = add_noise(x0, eps, t)``.

        Args:
            kind: see :data:`TARGETS`.
            x0: clean pictures.
            eps: the noise in ``x_t``.
            t: ``(B,)`` steps.
            fresh: for ``x_prev`` only: noise of the draw of ``x_{t-1}`` from ``q(x_{t-1} | x_t, x_0)``.
        """
        if kind == "eps":
            return eps
        if kind == "x0":
            return x0
        if kind == "v":  # Salimans and Ho 2022, section 4
            return self.signal(t, x0) * eps - self.noise(t, x0) * x0
        if kind == "x_prev":
            of_x0, of_xt, variance = self.posterior(t, t - 1, x0)
            mean = of_x0 * x0 + of_xt * self.add_noise(x0, eps, t)
            return mean if fresh is None else mean + variance.sqrt() * fresh
        raise BenchError(f"unknown diffusion target {kind!r}.{did_you_mean(kind, TARGETS)}")

    def x0_from(self, kind: Target, prediction: Tensor, xt: Tensor, t: Tensor) -> Tensor:
        """The clean picture that ``prediction`` of ``kind`` implies at ``x_t``."""
        if kind == "x0":
            return prediction
        if kind == "eps":  # eq. 4 solved for x_0; Ho 2020 eq. 15
            return (xt - self.noise(t, xt) * prediction) / self.signal(t, xt)
        if kind == "v":
            return self.signal(t, xt) * xt - self.noise(t, xt) * prediction
        if kind == "x_prev":
            of_x0, of_xt, _ = self.posterior(t, t - 1, xt)
            return (prediction - of_xt * xt) / of_x0
        raise BenchError(f"unknown diffusion target {kind!r}.{did_you_mean(kind, TARGETS)}")

    def eps_from_x0(self, x0: Tensor, xt: Tensor, t: Tensor) -> Tensor:
        """The noise that turns ``x0`` into ``x_t``."""
        return (xt - self.signal(t, xt) * x0) / self.noise(t, xt)

    def convert(self, prediction: Tensor, source: Target, wanted: Target, xt: Tensor, t: Tensor) -> Tensor:
        """A prediction of one kind restated as another (for ``x_prev``: its mean)."""
        if source == wanted:
            return prediction
        if source == "v" and wanted == "eps":  # without the division by sqrt(abar), which is near 0 at high noise
            return self.noise(t, xt) * xt + self.signal(t, xt) * prediction
        x0 = self.x0_from(source, prediction, xt, t)
        return self.target(wanted, x0, self.eps_from_x0(x0, xt, t), t)


def linear_schedule(steps: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02) -> Schedule:
    """Variances that grow linearly (Ho 2020, section 4); for other lengths than 1000 the total noise is kept the same.

    >>> s = linear_schedule()
    >>> round(float(s.betas[0]), 6), round(float(s.betas[-1]), 6)
    (0.0001, 0.02)
    """
    scale = 1000 / steps
    betas = torch.linspace(beta_start * scale, beta_end * scale, steps, dtype=torch.float64)
    return Schedule(torch.cumprod(1 - betas.clamp(max=0.999), dim=0))


def cosine_schedule(steps: int = 1000, offset: float = 0.008, max_beta: float = 0.999) -> Schedule:
    """``abar_t = f(t) / f(0)``, ``f(t) = cos^2((t / T + s) / (1 + s) * pi / 2)`` (Nichol and Dhariwal 2021, eq. 17).

    Variances are clipped at ``max_beta``, as the paper does to avoid singularities near t = T.
    """
    times = torch.arange(steps + 1, dtype=torch.float64) / steps
    f = torch.cos((times + offset) / (1 + offset) * math.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(max=max_beta)
    return Schedule(torch.cumprod(1 - betas, dim=0))


_SCHEDULES = {"linear": linear_schedule, "cosine": cosine_schedule}


def build_schedule(name: str, steps: int = 1000) -> Schedule:
    """The schedule called ``"linear"`` or ``"cosine"``.

    Raises:
        BenchError: another name.
    """
    try:
        return _SCHEDULES[name](steps)
    except KeyError:
        raise BenchError(f"unknown noise schedule {name!r}.{did_you_mean(name, _SCHEDULES)}") from None


def spaced_steps(total: int, count: int) -> NDArray[np.int64]:
    """``count`` steps spread evenly from ``total - 1`` down to 0 (only ``total - 1`` when count is 1).

    >>> spaced_steps(1000, 5).tolist()
    [999, 749, 500, 250, 0]
    """
    if not 1 <= count <= total:
        raise BenchError(f"cannot sample in {count} steps: the schedule has {total}, choose between 1 and {total}")
    return np.linspace(total - 1, 0, count).round().astype(np.int64)
