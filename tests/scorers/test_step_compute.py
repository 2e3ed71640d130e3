from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import gmean

from bench.families.text_to_image import step_cost
from bench.families.text_to_image.latent_diffusion import LatentDiffusion, LatentDiffusionConfig
from bench.results.costs import cost_rows
from bench.results.records import Record
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
    # 16 times the positions; the adapter and the time vector cost the same in both
    assert 6 < flops["pixels"] / flops["latents"] < 40


def test_timings_become_cost_rows(system: LatentDiffusion, monkeypatch: pytest.MonkeyPatch):
    """With planted timings of a batch of 4, in each repeat of the latent step, the pixel step and the decoder."""
    timed = np.array([[4.0, 24.0, 40.0], [8.0, 36.0, 80.0], [4.8, 28.0, 60.0]])
    clock = iter(timed.ravel())
    monkeypatch.setattr(step_cost, "_seconds", lambda work, device: next(clock))
    rows = step_cost.step_costs(system, (3, 32, 32), repeats=3, steps=50, batch=4)
    assert next(clock, None) is None
    latents, pixels = timed[:, 0] / 4 + timed[:, 2] / 4 / 50, timed[:, 1] / 4  # one decoding is spread over 50 steps
    assert [(row["metric"], row["variant"]) for row in rows] == [
        ("step_seconds_per_item", "space=latents"),
        ("step_seconds_per_item", "space=pixels"),
        ("latent_speedup", ""),
    ]
    assert rows[0]["value"] == pytest.approx(latents.mean())
    assert rows[1]["value"] == pytest.approx(pixels.mean())
    assert rows[2]["value"] == pytest.approx(gmean(pixels / latents))
    assert [row["n"] for row in rows] == [3, 3, 3]
    for row in rows:
        assert row["ci95"][0] < row["value"] < row["ci95"][1]
    block = {"system": "latent_diffusion", "family": "text_to_image", "dataset": "scenes"}
    found = map(Record.from_json, cost_rows("ld", block, {}, {"": {"cost": rows}}, [""], 0))
    by_name = {(record.metric, record.variant): record for record in found}
    assert by_name["step_seconds_per_item", "space=pixels"].value == rows[1]["value"]
    assert by_name["latent_speedup", ""].higher_is_better is True
    assert by_name["latent_speedup", ""].ci95 == tuple(rows[2]["ci95"])
    assert "batch=4" in by_name["latent_speedup", ""].protocol
