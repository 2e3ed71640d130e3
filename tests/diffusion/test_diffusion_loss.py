from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.diffusion.loss import diffusion_loss, draw_steps
from bench.diffusion.schedule import TARGETS, cosine_schedule, linear_schedule


def batch(n: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x0, eps = (torch.randn(n, 1, 4, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    return x0, eps, torch.linspace(1, 99, n).long()


@pytest.mark.parametrize("target", TARGETS)
def test_a_perfect_network_has_no_loss(target: str):
    schedule = cosine_schedule(100)
    x0, eps, t = batch()
    loss = diffusion_loss(lambda x, s: schedule.target(target, x0, eps, s), x0, t, eps, schedule, target)
    assert loss.shape == (6,)
    assert loss.max().item() < 1e-20


def test_eps_loss_is_equation_14_written_out():
    schedule = linear_schedule(100)
    x0, eps, t = batch()

    def network(x: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        return 0.3 * x

    got = diffusion_loss(network, x0, t, eps, schedule, "eps")
    for i in range(len(t)):
        abar = np.cumprod(1 - schedule.betas.numpy())[t[i]]
        xt = np.sqrt(abar) * x0[i].numpy() + np.sqrt(1 - abar) * eps[i].numpy()
        assert got[i].item() == pytest.approx(np.mean((eps[i].numpy() - 0.3 * xt) ** 2), rel=1e-9)


def test_input_skip_reads_the_output_as_v():
    schedule = cosine_schedule(100)
    x0, eps, t = batch()
    loss = diffusion_loss(lambda x, s: schedule.target("v", x0, eps, s), x0, t, eps, schedule, "eps", output="v")
    assert loss.max().item() < 1e-20
    # A silent network (F = 0) then says eps = sqrt(1 - abar) x_t: almost right where the picture is nearly all noise.
    silent = diffusion_loss(lambda x, s: torch.zeros_like(x), x0, t, eps, schedule, "eps", output="v")
    abar = schedule.alphas_cumprod[t]
    expected = ((eps - (1 - abar).sqrt()[:, None, None, None] * schedule.add_noise(x0, eps, t)) ** 2).flatten(1).mean(1)
    torch.testing.assert_close(silent, expected)
    assert silent[-1] < 0.01 < silent[0]


@pytest.mark.parametrize("kind", ["uniform", "logit_normal"])
def test_steps_are_stratified_and_in_range(kind: str):
    steps = draw_steps(1000, 100, np.random.default_rng(0), kind)
    assert steps.min() >= 0 and steps.max() <= 99
    middle = np.mean((steps >= 25) & (steps < 75))
    expected = 0.5 if kind == "uniform" else 0.728  # P(|N(0, 1)| < log 3)
    assert middle == pytest.approx(expected, abs=0.01)  # a plain draw of 1,000 would miss by 0.016 one time in three
    assert not np.all(np.diff(steps) >= 0)


def test_unknown_kind_of_steps():
    with pytest.raises(ValueError, match="logit_normal"):
        draw_steps(4, 10, np.random.default_rng(0), "cosine")
