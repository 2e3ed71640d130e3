from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.contracts import RunContext
from bench.data.datasets import ImageSplit
from bench.families.codecs.vqvae import VQVAE, VQVAEConfig
from bench.metrics.psnr import psnr

ARMS = ("gradient", "ema", "ema_restart")
TRAIN = {"steps": 80, "batch_size": 32, "lr": 0.005, "warmup": 5, "log_every": 1, "checkpoint_every": 0}


def config(arm: str = "ema_restart", **changes: object) -> VQVAEConfig:
    return VQVAEConfig(
        **{"codebook": arm, "codes": 32, "dim": 8, "widths": (8, 16), "blocks": 1, "start": "four", **changes}
    )  # type: ignore[arg-type]


def trained(
    data: dict[str, ImageSplit], made: VQVAEConfig, seed: int = 0, **train: object
) -> tuple[VQVAE, list[Mapping[str, float]]]:
    points: list[Mapping[str, float]] = []
    system = VQVAE(made)
    system.fit(
        data,
        RunContext(
            name=made.codebook, seed=seed, train={**TRAIN, **train}, curve=lambda step, point: points.append(point)
        ),
    )
    return system, points


def test_arms_start_from_the_same_weights_codebook_and_batch(grey: dict[str, ImageSplit]) -> None:
    first = [trained(grey, config(arm), seed=i, steps=1)[1][0] for i, arm in enumerate(ARMS)]
    assert len({point["reconstruction"] for point in first}) == 1
    assert len({point["perplexity"] for point in first}) == 1
    elsewhere = trained(grey, config("ema", start="five"), steps=1)[1][0]
    assert elsewhere["reconstruction"] != first[0]["reconstruction"]


def test_without_a_shared_seed_the_runs_own_counts(grey: dict[str, ImageSplit]) -> None:
    weights = [
        trained(grey, config("ema", start=""), seed=seed, steps=1)[0].network.encoder[0].weight for seed in (0, 1, 0)
    ]
    assert not torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2])


def test_another_global_seed_redraws_the_shared_start(grey: dict[str, ImageSplit]) -> None:
    def weights(global_seed: int) -> torch.Tensor:
        system = VQVAE(config())
        system.fit(grey, RunContext(global_seed=global_seed, train={**TRAIN, "steps": 1}))
        return system.network.encoder[0].weight

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_reconstructs_better_than_the_mean_picture(grey: dict[str, ImageSplit]) -> None:
    system, _ = trained(grey, config())
    test = grey["test"].images
    codes = system.encode(test)
    assert codes.shape == (120, 7, 7)
    assert codes.dtype == np.int64
    mean = np.broadcast_to(grey["train"].images.mean(0), test.shape)
    assert psnr(test, system.decode(codes)).mean() > psnr(test, mean, 255.0).mean() + 3


def test_decoding_depends_on_the_codes(grey: dict[str, ImageSplit]) -> None:
    system, _ = trained(grey, config())
    codes = system.encode(grey["test"].images[:3])
    other = codes.copy()
    other[0, 3, 3] = (other[0, 3, 3] + 1) % 32
    changed = [not np.array_equal(a, b) for a, b in zip(system.decode(codes), system.decode(other), strict=True)]
    assert changed == [True, False, False]


def test_restarts_end_at_their_share_of_the_steps(grey: dict[str, ImageSplit]) -> None:
    system, _ = trained(grey, config(restart_until=0.25), steps=8)
    assert system.network.quantizer.restart_until == 2


def test_the_codebook_is_saved(grey: dict[str, ImageSplit], tmp_path: Path) -> None:
    system, _ = trained(grey, config("ema"))
    system.save(tmp_path)
    again = VQVAE.load(tmp_path, config("ema"))
    assert torch.equal(again.network.quantizer.codebook, system.network.quantizer.codebook)
    assert np.array_equal(again.encode(grey["test"].images), system.encode(grey["test"].images))


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="restart_until"):
        VQVAEConfig(restart_until=1.5)
    with pytest.raises(ValueError, match="codes"):
        VQVAEConfig(codes=1)
    with pytest.raises(ValueError, match="codebook"):
        VQVAE(VQVAEConfig(codebook="none"))  # type: ignore[arg-type]
