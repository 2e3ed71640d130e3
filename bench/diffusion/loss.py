"""Where is the DDPM loss? Here.

Ho et al. 2020, eq. 14: draw a step t and noise eps, make ``x_t``, ask the network what the noise was, take the squared
error: ``L_simple = E || eps - eps_theta(sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps, t) ||^2``. The other targets replace
eps.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.diffusion.schedule import Schedule, Target

__all__ = ["Network", "diffusion_loss", "draw_steps"]

Network = Callable[[Tensor, Tensor], Tensor]
"""``network(x_t (B, ...), t (B,) int64) -> (B, ...)``; conditioning is bound beforehand."""


def diffusion_loss(
    network: Network,
    x0: Tensor,
    t: Tensor,
    eps: Tensor,
    schedule: Schedule,
    target: Target = "eps",
    *,
    output: Target | None = None,
    fresh: Tensor | None = None,
) -> Tensor:
    """The unweighted diffusion loss of each picture.

    Args:
        network: what is being trained.
        x0: ``(B, ...)`` clean pictures (or latents), roughly in [-1, 1].
        t: ``(B,)`` steps.
        eps: ``(B, ...)`` standard normal noise.
        schedule: the noise schedule.
        target: what the squared error is taken on.
        output: what the network's output stands for, if that is another quantity than ``target``. ``"v"`` with target
            ``eps`` is the *input skip*: ``eps_hat = sqrt(1 - abar) x_t + sqrt(abar) F``. At high noise eps is nearly
                ``x_t``, and a
            plain network has to learn to copy its input exactly; with the skip it need not. The loss stays eq. 14.
        fresh: noise for the draw of ``x_{t-1}``, needed for target ``x_prev``.

    Returns:
        ``(B,)`` mean squared error over all but the first axis, in float32 or better.
    """
    xt = schedule.add_noise(x0, eps, t)
    prediction = network(xt, t).to(torch.promote_types(x0.dtype, torch.float32))
    prediction = schedule.convert(prediction, output or target, target, xt, t)
    wanted = schedule.target(target, x0, eps, t, fresh)
    return ((prediction - wanted) ** 2).flatten(1).mean(1)


def draw_steps(count: int, total: int, rng: np.random.Generator, kind: str = "uniform") -> NDArray[np.int64]:
    """``(count,)`` training steps in [0, total).

    ``"uniform"`` is Ho 2020; ``"logit_normal"`` puts ``sigmoid(N(0, 1))`` on [0, total): more of the middle, where
    pictures take shape (Esser et al. 2024, section 3.1). Both are stratified over the batch, which lowers the variance
    of the loss.

    Raises:
        ValueError: another kind.
    """
    u = (rng.permutation(count) + rng.random(count)) / count
    if kind == "logit_normal":
        normal = torch.special.ndtri(torch.from_numpy(u.clip(1e-6, 1 - 1e-6)))
        u = torch.sigmoid(normal).numpy()
    elif kind != "uniform":
        raise ValueError(f"kind of training steps must be 'uniform' or 'logit_normal', not {kind!r}")
    return (u * total).astype(np.int64).clip(0, total - 1)
