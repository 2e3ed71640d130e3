from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.families.text_to_image.latent_diffusion import LatentDiffusion, LatentDiffusionConfig
from bench.families.text_to_image.step_cost import step_costs
from bench.results.sources import _cost_row
from bench.scorers.step_compute import step_flops


class Text:
    def text_states(self, prompts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(len(prompts), 5, 6), torch.ones(len(prompts), 5, dtype=torch.bool)


@pytest.fixture(scope="module")
def system() -> LatentDiffusion:
    model = LatentDiffusion(
        LatentDiffusionConfig(widths=(16, 32), embedding=32, heads=2, text_width=16, attention=(1,))
    )
    model.shape, model.text, model.text_encoder = (4, 8, 8), (6, 5), Text()
    model.codec = SimpleNamespace(decode=lambda codes: np.zeros((len(codes), 32, 32, 3), np.uint8))
    model.network = model._build(0).eval()
    return model


def test_latents_cost_fewer_operations(system: LatentDiffusion):
    flops = step_flops(system, (3, 32, 32), 50)
    assert (
        6 < flops["pixels"] / flops["latents"] < 40
    )  # 16 times the positions; the adapter and the time vector cost the same in both


def test_timings_become_cost_rows(system: LatentDiffusion):
    rows = step_costs(system, (3, 32, 32), repeats=4, steps=50, batch=4)
    assert [(row["metric"], row["variant"]) for row in rows] == [
        ("step_seconds_per_item", "space=latents"),
        ("step_seconds_per_item", "space=pixels"),
        ("latent_speedup", ""),
    ]
    assert rows[2]["value"] == pytest.approx(
        rows[1]["value"] / rows[0]["value"], rel=0.8
    )  # mean of ratios against ratio of means
    block = {"system": "latent_diffusion", "family": "text_to_image", "dataset": "scenes"}
    by_name = {(r.metric, r.variant): r for r in (_cost_row("ld", block, 0, row) for row in rows)}
    assert by_name["step_seconds_per_item", "space=pixels"].value == rows[1]["value"]
    assert by_name["latent_speedup", ""].higher_is_better is True
    assert by_name["latent_speedup", ""].ci95 == tuple(rows[2]["ci95"])
    assert "batch=4" in by_name["latent_speedup", ""].protocol
