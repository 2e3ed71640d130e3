from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bench.base.errors import BenchError
from bench.diffusion.schedule import TARGETS, Schedule, build_schedule, cosine_schedule, linear_schedule, spaced_steps


@pytest.fixture(params=["linear", "cosine"])
def schedule(request: pytest.FixtureRequest) -> Schedule:
    return build_schedule(request.param, 200)


def test_linear_schedule_is_the_papers():
    abar = linear_schedule(1000).alphas_cumprod
    reference = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    np.testing.assert_allclose(abar.numpy(), reference, rtol=1e-12)
    assert abar[-1].item() == pytest.approx(4.036e-5, rel=1e-3)  # "sqrt(abar_T) is nearly 0", Ho 2020 section 4


def test_cosine_schedule_is_eq_17():
    abar = cosine_schedule(1000).alphas_cumprod.numpy()
    for t in (0, 1, 250, 500, 900):
        f = [math.cos((u / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for u in (0, t + 1)]
        assert abar[t] == pytest.approx(f[1] / f[0], rel=1e-9)
    assert cosine_schedule(1000).betas.max().item() == pytest.approx(0.999, abs=1e-9)


def test_shorter_linear_schedule_ends_as_noisy():
    assert linear_schedule(100).alphas_cumprod[-1].item() < 1e-3


def test_forward_marginal_equals_the_chain_of_single_steps(schedule: Schedule):
    """Ho 2020: T small steps x_t = sqrt(1 - beta_t) x_{t-1} + sqrt(beta_t) z have the closed-form marginal of eq. 4."""
    generator = torch.Generator().manual_seed(0)
    x = torch.full((40_000,), 2.0, dtype=torch.float64)
    for t in range(60):
        beta = schedule.betas[t]
        x = (1 - beta).sqrt() * x + beta.sqrt() * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    abar = schedule.alphas_cumprod[59]
    assert x.mean().item() == pytest.approx(2 * abar.sqrt().item(), abs=0.03)
    assert x.var().item() == pytest.approx(1 - abar.item(), rel=0.03, abs=1e-4)


def test_posterior_is_bayes_rule(schedule: Schedule):
    """q(x_s | x_t, x_0) from the product of the Gaussians q(x_s | x_0) and q(x_t | x_s), also over several steps."""
    like = torch.zeros(1, 1, dtype=torch.float64)
    for t, s in ((50, 49), (120, 40), (1, 0)):
        ts, ss = torch.tensor([t]), torch.tensor([s])
        a_t, a_s = schedule.alphas_cumprod[t].item(), schedule.alphas_cumprod[s].item()
        ratio = a_t / a_s
        precision = 1 / (1 - a_s) + ratio / (1 - ratio)
        of_x0, of_xt, variance = (value.item() for value in schedule.posterior(ts, ss, like))
        assert variance == pytest.approx(1 / precision, rel=1e-9)
        assert of_x0 == pytest.approx(math.sqrt(a_s) / (1 - a_s) / precision, rel=1e-9)
        assert of_xt == pytest.approx(math.sqrt(ratio) / (1 - ratio) / precision, rel=1e-9)


def test_last_posterior_is_the_clean_picture(schedule: Schedule):
    of_x0, of_xt, variance = schedule.posterior(
        torch.tensor([0]), torch.tensor([-1]), torch.zeros(1, 1, dtype=torch.float64)
    )
    assert (of_x0.item(), of_xt.item(), variance.item()) == pytest.approx((1.0, 0.0, 0.0), abs=1e-12)


@pytest.mark.parametrize("kind", TARGETS)
def test_every_target_gives_x0_back(schedule: Schedule, kind: str):
    generator = torch.Generator().manual_seed(1)
    x0 = torch.randn(7, 2, 3, generator=generator, dtype=torch.float64)
    eps = torch.randn(7, 2, 3, generator=generator, dtype=torch.float64)
    t = torch.tensor([0, 1, 5, 50, 100, 150, 198])
    xt = schedule.add_noise(x0, eps, t)
    torch.testing.assert_close(schedule.x0_from(kind, schedule.target(kind, x0, eps, t), xt, t), x0, rtol=0, atol=1e-6)
    torch.testing.assert_close(schedule.eps_from_x0(x0, xt, t), eps, rtol=0, atol=1e-6)


@pytest.mark.parametrize("source", TARGETS)
@pytest.mark.parametrize("wanted", TARGETS)
def test_conversions_agree(schedule: Schedule, source: str, wanted: str):
    generator = torch.Generator().manual_seed(2)
    x0, eps = (torch.randn(4, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    t = torch.tensor([1, 30, 100, 190])
    xt = schedule.add_noise(x0, eps, t)
    got = schedule.convert(schedule.target(source, x0, eps, t), source, wanted, xt, t)
    torch.testing.assert_close(got, schedule.target(wanted, x0, eps, t), rtol=0, atol=1e-6)


def test_x_prev_target_has_the_posteriors_moments():
    schedule = linear_schedule(50)
    generator = torch.Generator().manual_seed(3)
    n = 20_000
    x0, eps = torch.full((n, 1), 0.7, dtype=torch.float64), torch.full((n, 1), -0.4, dtype=torch.float64)
    t = torch.full((n,), 30)
    draws = schedule.target("x_prev", x0, eps, t, torch.randn(n, 1, generator=generator, dtype=torch.float64))
    mean = schedule.target("x_prev", x0, eps, t)[0, 0].item()
    variance = schedule.posterior(t[:1], t[:1] - 1, x0)[2].item()
    assert draws.mean().item() == pytest.approx(mean, abs=4 * math.sqrt(variance / n))
    assert draws.var().item() == pytest.approx(variance, rel=0.05)


def test_spaced_steps():
    assert spaced_steps(1000, 1).tolist() == [999]
    assert spaced_steps(1000, 1000).tolist() == list(range(999, -1, -1))
    with pytest.raises(BenchError, match="between 1 and 10"):
        spaced_steps(10, 11)


def test_unknown_names_are_helped():
    with pytest.raises(BenchError, match="Did you mean 'cosine'"):
        build_schedule("cosin")
    with pytest.raises(BenchError, match="Did you mean 'eps'"):
        linear_schedule(10).target("epz", torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(1, dtype=torch.long))


def test_broken_schedules_are_refused():
    with pytest.raises(ValueError, match="fall strictly"):
        Schedule(torch.tensor([0.5, 0.6], dtype=torch.float64))
    with pytest.raises(ValueError, match="float64"):
        Schedule(torch.tensor([0.6, 0.5]))
