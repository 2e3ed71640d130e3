from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from bench.base.errors import BenchError
from bench.capabilities import takes_negative_prompts
from bench.contracts import RunContext, TextToImage
from bench.families.text_to_image import latent_diffusion
from bench.families.text_to_image.latent_diffusion import LatentDiffusion, LatentDiffusionConfig, LatentDiffusionOptions
from bench.series import series_of

WORDS = ["a", "red", "blue", "left"]
TINY = LatentDiffusionConfig(widths=(8, 16), embedding=16, heads=2, text_width=16, attention=(0, 1), steps=40)
CHUNK = LatentDiffusionOptions(chunk=4)


class FakeCodec:
    """4x4 blocks of a 8x8 picture as 3 latent channels of 2x2... and back."""

    def encode(self, images: np.ndarray) -> np.ndarray:
        small = images[:, ::2, ::2].transpose(0, 3, 1, 2).astype(np.float32)
        return (small / 127.5 - 1) / 0.5

    def decode(self, latents: np.ndarray) -> np.ndarray:
        pixels = ((latents * 0.5 + 1) * 127.5).clip(0, 255).round().astype(np.uint8)
        return pixels.transpose(0, 2, 3, 1).repeat(2, axis=1).repeat(2, axis=2)


class FakeText:
    """A causal text tower in spirit: one-hot words at their places."""

    def text_states(self, prompts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        states, mask = torch.zeros(len(prompts), 5, 6), torch.zeros(len(prompts), 5, dtype=torch.bool)
        for i, prompt in enumerate(prompts):
            words = prompt.split()
            if unknown := [w for w in words if w not in WORDS]:
                raise BenchError(f"unknown word {unknown[0]!r}")
            mask[i, : len(words) + 1] = True
            states[i, 0, 5] = 1
            for k, word in enumerate(words):
                states[i, k + 1, WORDS.index(word)] = 1
        return states, mask


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        latent_diffusion, "load_model", lambda folder, device: FakeCodec() if folder.name == "codec" else FakeText()
    )


MODELS = {"codec": Path("codec"), "text_encoder": Path("text")}


def scenes(n: int = 64) -> SimpleNamespace:
    """16x16 pictures all red or all blue, with captions to match."""
    colours = np.arange(n) % 2
    images = np.full((n, 16, 16, 3), 20, np.uint8)
    images[colours == 0, ..., 0] = 230
    images[colours == 1, ..., 2] = 230
    return SimpleNamespace(
        images=images,
        captions=[f"a {'blue' if c else 'red'}" for c in colours],
        labels=None,
        scene={"relation": np.where(np.arange(n) < 4, 0, -1)},
    )


def train(config: LatentDiffusionConfig = TINY, steps: int = 3, **options: Any) -> LatentDiffusion:
    system = LatentDiffusion(config)
    settings: dict[str, Any] = {"steps": steps, "batch_size": 16, "lr": 3e-3, "warmup": 2, "ema": 0.9, **options}
    system.fit({"train": scenes()}, RunContext(name="tiny", seed=1, train=settings, models=MODELS))
    return system


@pytest.fixture(scope="module")
def learned() -> LatentDiffusion:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            latent_diffusion, "load_model", lambda folder, device: FakeCodec() if folder.name == "codec" else FakeText()
        )
        return train(replace(TINY, steps=100), steps=200)


def redness(images: np.ndarray) -> np.ndarray:
    return images[..., 0].mean((1, 2)) - images[..., 2].mean((1, 2))


def test_contract_and_shapes(learned: LatentDiffusion):
    assert isinstance(learned, TextToImage) and takes_negative_prompts(LatentDiffusion)
    assert takes_negative_prompts(series_of(LatentDiffusion))
    prompts = ["a red", "a blue", "a", "red", "blue"]
    images = learned.sample(prompts, 3, steps=4)
    assert images.shape == (5, 16, 16, 3) and images.dtype == np.uint8
    assert np.array_equal(images, learned.sample(prompts, 3, steps=4))
    assert not np.array_equal(images, learned.sample(prompts, 4, steps=4))
    assert learned.sample([], 0).shape == (0, 16, 16, 3)


def test_latents_that_the_levels_cannot_halve_are_named() -> None:
    data = scenes(8)
    data.images = data.images[:, :14]
    with pytest.raises(BenchError, match=r"model\.widths: 2 levels .* multiples of 2, .* 14x16 become latents of 7x8"):
        LatentDiffusion(TINY).fit({"train": data}, RunContext(name="tiny", seed=1, train={"steps": 1}, models=MODELS))


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_item_depends_on_seed_index_and_prompt_alone(learned: LatentDiffusion, guidance: float):
    prompts = ["a red", "a blue", "a red", "blue", "red", "a"]
    whole = learned.sample(prompts, 3, guidance, steps=4)
    assert np.array_equal(whole[:3], learned.sample(prompts[:3], 3, guidance, steps=4))
    assert np.array_equal(whole[4:], learned.sample(prompts[4:], 3, guidance, steps=4, first=4))


@pytest.mark.parametrize(("times", "share"), [("uniform", 0.5), ("logit_normal", 0.728)])
def test_training_steps_are_drawn_as_times_says(times: str, share: float, monkeypatch: pytest.MonkeyPatch):
    """The share of the middle half: 1/2, or for a normal z P(0.25 < sigmoid(z) < 0.75) = P(|z| < log 3) = 0.728."""
    drawn: list[np.ndarray] = []
    original = LatentDiffusion.loss

    def loss(self: LatentDiffusion, network: Any, batch: Any, generator: torch.Generator):
        drawn.append(batch["t"].numpy().copy())
        return original(self, network, batch, generator)

    monkeypatch.setattr(LatentDiffusion, "loss", loss)
    train(replace(TINY, steps=1000, times=times), steps=2, batch_size=200)
    for t in drawn:
        assert ((t >= 250) & (t < 750)).mean() == pytest.approx(share, abs=0.02)
    assert len(drawn) == 2


def test_learns_the_captions_and_guidance_and_negatives_work(learned: LatentDiffusion):
    prompts = ["a red", "a blue"] * 6
    sign = np.array([1, -1] * 6)
    assert np.mean(sign * redness(learned.sample(prompts, 0, 2.0, steps=10)) > 60) >= 0.9
    free = redness(learned.sample([""] * 24, 0, 1.0, steps=10))
    assert 0 < np.mean(free > 0) < 1  # the empty caption gives both
    pushed = redness(learned.sample([""] * 24, 0, 3.0, "a red", steps=10))
    assert np.mean(pushed > 0) < np.mean(free > 0)  # away from red


def test_save_and_load(learned: LatentDiffusion, tmp_path: Path):
    learned.save(tmp_path)
    again = LatentDiffusion.load(tmp_path, learned.config)
    again.options = CHUNK
    with pytest.raises(BenchError, match="codec and text encoder"):
        again.sample(["a red"], 0)
    again.attach(MODELS)
    assert np.array_equal(
        again.sample(["a red", "a blue"], 0, steps=3), learned.sample(["a red", "a blue"], 0, steps=3)
    )


def test_adapter_lets_early_words_know_later_ones():
    """The frozen states are causal; what the U-Net reads is not."""

    def first_word(config: LatentDiffusionConfig, prompt: str) -> torch.Tensor:
        system = LatentDiffusion(config)
        system.shape, system.text, system.text_encoder = (3, 8, 8), (6, 5), FakeText()
        return system._build(0).read(*system._states([prompt]))[0, 1]

    for layers, differs in ((0, False), (1, True)):
        config = replace(TINY, adapter_layers=layers)
        assert torch.allclose(first_word(config, "red left blue"), first_word(config, "red left red")) is not differs


def test_relation_scenes_are_drawn_more_often(monkeypatch: pytest.MonkeyPatch):
    seen: list[np.ndarray] = []

    def spy(module: Any, loss: Any, batches: Any, run: RunContext) -> None:
        seen.append(np.concatenate([batches(np.random.default_rng(i), 64)["latents"] for i in range(40)]))

    monkeypatch.setattr(latent_diffusion, "fit", spy)
    data = scenes()
    data.images[:4] = 255  # the four relation scenes
    for share in (0.0, 0.5):
        run = RunContext(train={}, models=MODELS)
        LatentDiffusion(replace(TINY, relation_share=share)).fit({"train": data}, run)
    shares = [np.mean(latents.mean((1, 2, 3)) > 1.9) for latents in seen]
    assert shares[0] == pytest.approx(4 / 64, abs=0.02)
    assert shares[1] == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize(
    "options",
    [{"steps": 6}, {"guidance": 1.0, "steps": 6}, {"sampler": "ancestral", "steps": 5}, {"eta": 1.0, "steps": 4}],
)
def test_strip_ends_in_the_sample(learned: LatentDiffusion, options: dict[str, Any]):
    strip = learned.denoising_strip(["a red", "a blue"], 5, frames=4, **options)
    assert strip.shape == (2, 4, 16, 16, 3)
    assert np.array_equal(strip[:, -1], learned.sample(["a red", "a blue"], 5, **options))


def test_the_pixel_twin_takes_pictures(learned: LatentDiffusion):
    twin = learned.in_pixels()
    states, mask = FakeText().text_states(["a red"])
    assert twin(torch.zeros(1, 3, 16, 16), torch.zeros(1, dtype=torch.long), states, mask).shape == (1, 3, 16, 16)


def test_user_errors(learned: LatentDiffusion):
    with pytest.raises(BenchError, match="unknown word 'purple'"):
        learned.sample(["a purple"], 0)
    with pytest.raises(BenchError, match="2 negative prompts for 3"):
        learned.sample(["a", "a", "a"], 0, 2.0, ["red", "blue"])
    with pytest.raises(BenchError, match="needs a text_encoder"):
        LatentDiffusion(TINY).fit({"train": scenes()}, RunContext(models={"codec": Path("codec")}))
    with pytest.raises(BenchError, match="needs captions"):
        LatentDiffusion(TINY).fit(
            {"train": SimpleNamespace(images=scenes().images, captions=None)}, RunContext(models=MODELS)
        )
    with pytest.raises(ValueError, match="dropout"):
        LatentDiffusionConfig(dropout=1.5)
