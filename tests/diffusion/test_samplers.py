"""The samplers against a distribution whose perfect denoiser is known: a Gaussian."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.base.errors import BenchError
from bench.diffusion.samplers import SAMPLERS, ItemNoise, ancestral, build_sampler, ddim
from bench.diffusion.schedule import Schedule, cosine_schedule, linear_schedule, spaced_steps

MEAN, STD = 1.5, 0.4


def exact(schedule: Schedule):
    """E[x_0 | x_t] for x_0 ~ N(MEAN, STD^2)."""

    def denoise(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        abar = schedule.abar(t)[:, None].to(x)
        gain = abar.sqrt() * STD**2 / (abar * STD**2 + 1 - abar)
        return MEAN + gain * (x - abar.sqrt() * MEAN)

    return denoise


def draw(name: str, count: int, n: int = 20_000, schedule: Schedule | None = None, **options: float) -> torch.Tensor:
    schedule = schedule or linear_schedule(400)
    generator = torch.Generator().manual_seed(0)

    def noise() -> torch.Tensor:
        return torch.randn(n, 1, generator=generator, dtype=torch.float64)

    return SAMPLERS[name](exact(schedule), schedule, noise(), spaced_steps(len(schedule), count), noise, **options)


@pytest.mark.parametrize(
    ("name", "options"), [("ancestral", {}), ("ddim", {"eta": 0.0}), ("ddim", {"eta": 1.0}), ("ddim", {"eta": 0.5})]
)
def test_exact_denoiser_gives_the_data_distribution(name: str, options: dict[str, float]):
    x = draw(name, 400, **options)
    assert x.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert x.std().item() == pytest.approx(STD, rel=0.04)


def test_one_step_gives_the_mean_and_more_steps_the_spread():
    """Why one DDIM step fails: it returns E[x_0 | noise], the average picture."""
    spreads = [draw("ddim", count).std().item() for count in (1, 3, 10, 100)]
    assert spreads[0] < 0.05 * STD
    assert spreads == sorted(spreads)
    assert spreads[-1] == pytest.approx(STD, rel=0.05)


@pytest.mark.parametrize("count", [5, 50])
def test_ddim_with_eta_one_is_the_ancestral_chain(count: int):
    torch.testing.assert_close(draw("ddim", count, 50, eta=1.0), draw("ancestral", count, 50), rtol=1e-9, atol=1e-9)


def test_ddim_is_song_equation_12():
    """One transition written out in the paper's own symbols (sigma of eq. 16)."""
    schedule, eta = linear_schedule(100), 0.7
    generator = torch.Generator().manual_seed(0)
    x, z = (torch.randn(8, 1, generator=generator, dtype=torch.float64) for _ in range(2))
    a_t, a_s = schedule.alphas_cumprod[80], schedule.alphas_cumprod[40]
    denoise = exact(schedule)
    seen: list[torch.Tensor] = []
    ddim(denoise, schedule, x, [80, 40], lambda: z, eta=eta, on_step=lambda i, now, x0: seen.append(now))
    eps = (x - a_t.sqrt() * denoise(x, torch.full((8,), 80))) / (1 - a_t).sqrt()
    sigma = eta * ((1 - a_s) / (1 - a_t)).sqrt() * (1 - a_t / a_s).sqrt()
    expected = a_s.sqrt() * (x - (1 - a_t).sqrt() * eps) / a_t.sqrt() + (1 - a_s - sigma**2).sqrt() * eps + sigma * z
    torch.testing.assert_close(seen[1], expected)


def test_ddim_is_deterministic_and_draws_no_noise():
    def forbidden() -> torch.Tensor:
        raise AssertionError("eta = 0 must not draw noise")

    schedule = cosine_schedule(50)
    start = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    a, b = (ddim(exact(schedule), schedule, start, spaced_steps(50, 10), forbidden) for _ in range(2))
    assert torch.equal(a, b)
    assert torch.all(a.diff(dim=0) > 0)  # the map from noise to data is monotone: the same noise, the same picture


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_clipping_keeps_a_wild_denoiser_in_range(name: str):
    schedule = cosine_schedule(100)
    noise = ItemNoise(0, range(16), (1,))
    x = SAMPLERS[name](lambda x, t: 100 * x, schedule, noise(), spaced_steps(100, 20), noise, clip=1.0)
    assert x.abs().max().item() <= 1.0 + 1e-5


def test_on_step_sees_every_step():
    schedule = cosine_schedule(100)
    steps: list[int] = []
    ancestral(
        lambda x, t: x,
        schedule,
        torch.zeros(2, 1),
        [99, 50, 0],
        lambda: torch.zeros(2, 1),
        on_step=lambda i, x, x0: steps.append(i),
    )
    assert steps == [0, 1, 2]


def test_item_noise_depends_on_seed_and_item_alone():
    whole = ItemNoise(7, range(6), (2, 3))
    part = ItemNoise(7, [4], (2, 3))
    first, second = whole(), whole()
    assert torch.equal(first[4], part()[0]) and torch.equal(second[4], part()[0])
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first, ItemNoise(8, range(6), (2, 3))())


def test_item_noise_is_standard_normal():
    x = ItemNoise(0, range(2000), (20,))().numpy()
    assert abs(x.mean()) < 0.02 and abs(x.std() - 1) < 0.02
    assert abs(np.corrcoef(x[:-1].ravel(), x[1:].ravel())[0, 1]) < 0.02
    u = ItemNoise(0, range(4000), ()).uniform()
    assert abs(u.mean() - 0.5) < 0.02 and u.min() >= 0 and u.max() < 1


def test_unknown_sampler():
    with pytest.raises(BenchError, match="Did you mean 'ddim'"):
        build_sampler("dimm")
