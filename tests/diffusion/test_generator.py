"""Drawing by denoising with a network whose answer is known: what is injected, chunked, padded and shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.base.errors import BenchError
from bench.base.settings import build_config
from bench.contracts import Images
from bench.diffusion.generator import DenoisingOptions, DiffusionGenerator
from bench.diffusion.loss import Network
from bench.diffusion.schedule import build_schedule

WANTED = torch.linspace(-0.8, 0.8, 7)
OPTIONS = DenoisingOptions(steps=5, chunk=3)


def to_images(x: Tensor) -> Images:
    return ((x.permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()


def chain(**settings: object) -> DiffusionGenerator:
    return DiffusionGenerator(build_schedule("cosine", 20), (1, 2, 2), to_images, **{"target": "x0", **settings})  # type: ignore[arg-type]


class Oracle:
    """Predicts as x_0 the value that belongs to each item; notes the batches that it sees."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.asked: list[tuple[int, int, int]] = []

    def __call__(self, items: slice, size: int) -> Network:
        self.asked.append((items.start, items.stop, size))
        values = torch.from_numpy(np.resize(WANTED[items].numpy(), size))

        def predict(x: Tensor, t: Tensor) -> Tensor:
            self.sizes.append(len(x))
            return values[:, None, None, None].expand(x.shape)

        return predict


@pytest.mark.parametrize("sampler", ["ddim", "ancestral"])
def test_a_perfect_network_is_followed_and_every_batch_has_one_size(sampler: str) -> None:
    oracle = Oracle()
    images = chain().sample(oracle, 7, 0, replace(OPTIONS, sampler=sampler))
    expected = to_images(WANTED[:, None, None, None].expand(7, 1, 2, 2))
    assert np.abs(images.astype(int) - expected).max() <= 1
    assert oracle.asked == [(0, 3, 3), (3, 6, 3), (6, 7, 3)] and set(oracle.sizes) == {3}
    assert chain().sample(oracle, 0, 0, OPTIONS).shape == (0, 2, 2, 1)


def test_clip_bounds_the_estimate() -> None:
    images = chain().sample(Oracle(), 7, 0, replace(OPTIONS, clip=0.5))
    assert images.min() >= 0.49 * 127.5 and images.max() <= 1.51 * 127.5


def test_precision_reaches_the_network() -> None:
    seen: list[torch.dtype] = []

    def condition(items: slice, size: int) -> Network:
        def predict(x: Tensor, t: Tensor) -> Tensor:
            product = x.flatten(1) @ torch.eye(4)
            seen.append(product.dtype)
            return x

        return predict

    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        seen.clear()
        chain().sample(condition, 2, 0, replace(OPTIONS, precision=precision))
        assert set(seen) == {dtype}


@pytest.mark.parametrize("options", [{}, {"sampler": "ancestral"}, {"eta": 0.7}, {"steps": 2}])
def test_the_strip_runs_from_noise_to_the_sample(options: dict[str, object]) -> None:
    chosen = replace(OPTIONS, **options)  # type: ignore[arg-type]
    strip = chain().strip(Oracle(), 5, 3, chosen, frames=4)
    assert strip.shape == (5, 1 + min(3, chosen.steps), 2, 2, 1)
    assert np.array_equal(strip[:, -1], chain().sample(Oracle(), 5, 3, chosen))
    assert not np.array_equal(strip[:, 0], strip[:, -1])


def test_loss_draws_once_more_for_the_less_noisy_picture() -> None:
    x0 = torch.zeros(2, 1, 2, 2)
    for target, draws in (("eps", 1), ("x0", 1), ("x_prev", 2)):
        count = 0

        def draw() -> Tensor:
            nonlocal count
            count += 1
            return torch.ones_like(x0)

        found = chain(target=target).loss(lambda x, t: torch.ones_like(x), x0, torch.tensor([5, 9]), draw)
        assert count == draws
        if target == "eps":
            assert float(found["loss"]) == pytest.approx(0.0, abs=1e-6)  # the noise is one everywhere


def test_bad_options() -> None:
    for wrong, match in (
        ({"sampler": "dimm"}, r"here\.sampler: must be one of ddim, ancestral.*Did you mean 'ddim'"),
        ({"precision": "fp64"}, r"here\.precision: must be one of auto, fp32, bf16"),
        ({"chunk": 0}, r"here\.chunk: must be a whole number of at least 1"),
        ({"sampler": "ancestral", "eta": 0.5}, r"here\.eta: belongs to sampler ddim"),
    ):
        with pytest.raises(BenchError, match=match):
            build_config(DenoisingOptions, wrong, "options: here")
    with pytest.raises(BenchError, match="between 1 and 20"):
        chain().sample(Oracle(), 1, 0, replace(OPTIONS, steps=21))
