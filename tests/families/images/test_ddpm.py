from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.base.errors import BenchError
from bench.base.seeds import derive
from bench.context import StageContext
from bench.contracts import ImageGenerator, RunContext
from bench.data.datasets import ImageSplit, write_images
from bench.diffusion.generator import DenoisingOptions
from bench.families.images.ddpm import DDPM, DDPMConfig
from bench.families.images.sampling import sample

TINY = DDPMConfig(widths=(8, 8), embedding=16, classes=3, steps=50, attention=(1,))
CHUNK = DenoisingOptions(chunk=4)


def stripes(n: int = 96, seed: int = 0) -> SimpleNamespace:
    """8x8 pictures whose class is the row of a bright stripe; class 2 is twice as frequent."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 1, 2, 2], n).astype(np.int64)
    images = rng.integers(0, 30, (n, 8, 8, 1)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 1] = 230
    return SimpleNamespace(images=images, labels=labels, captions=None, scene=None)


def train(config: DDPMConfig = TINY, steps: int = 3, **options: object) -> DDPM:
    system = DDPM(config)
    settings = {"steps": steps, "batch_size": 16, "lr": 3e-3, "warmup": 2, "ema": 0.9, **options}
    run = RunContext(name="tiny", seed=1, train=settings)
    system.fit({"train": stripes()}, run)
    return system


@pytest.fixture(scope="module")
def tiny() -> DDPM:
    return train(steps=10)


def test_is_an_image_generator(tiny: DDPM):
    assert isinstance(tiny, ImageGenerator)


def test_sample_shape_and_determinism(tiny: DDPM):
    labels = np.array([0, 1, 2, 0, 1])
    a = tiny.sample(5, 3, labels, steps=4)
    assert a.shape == (5, 8, 8, 1) and a.dtype == np.uint8
    assert np.array_equal(a, tiny.sample(5, 3, labels, steps=4))
    assert not np.array_equal(a, tiny.sample(5, 4, labels, steps=4))


@pytest.mark.parametrize("options", [{"sampler": "ddim"}, {"sampler": "ancestral"}, {"sampler": "ddim", "eta": 1.0}])
def test_item_depends_on_seed_and_index_alone(tiny: DDPM, options: dict[str, object]):
    labels = np.array([0, 1, 2, 0, 1, 2])
    whole = tiny.sample(6, 3, labels, steps=5, **options)
    assert np.array_equal(whole[:1], tiny.sample(1, 3, labels[:1], steps=5, **options))
    assert np.array_equal(whole[:3], tiny.sample(3, 3, labels[:3], steps=5, **options))
    assert np.array_equal(whole[4:], tiny.sample(2, 3, labels[4:], steps=5, first=4, **options))


def test_unasked_labels_follow_the_training_proportions(tiny: DDPM):
    drawn = np.bincount(tiny._draw_labels(3000, 0, 0), minlength=3) / 3000
    np.testing.assert_allclose(drawn, tiny.proportions, atol=0.03)
    assert np.array_equal(tiny._draw_labels(10, 5, 0)[4:], tiny._draw_labels(6, 5, 4))


def test_save_and_load(tiny: DDPM, tmp_path: Path):
    tiny.save(tmp_path)
    again = DDPM.load(tmp_path, TINY)
    again.options = CHUNK
    assert np.array_equal(again.sample(3, 0, steps=3), tiny.sample(3, 0, steps=3))
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json"}


def test_ddim_same_noise_same_picture_at_other_step_counts(tiny: DDPM):
    """Song 2021, section 5.2: the start noise fixes the picture; the number of steps refines it."""
    labels = np.array([0, 1, 2, 0])
    fine = tiny.sample(4, 0, labels, steps=50).astype(float)
    near, other = tiny.sample(4, 0, labels, steps=25).astype(float), tiny.sample(4, 1, labels, steps=50).astype(float)
    assert np.abs(near - fine).mean() < 0.5 * np.abs(other - fine).mean()


@pytest.mark.parametrize(
    "options", [{"steps": 10}, {"sampler": "ancestral", "steps": 10}, {"eta": 1.0, "steps": 7}, {"steps": 3}]
)
def test_strip_ends_in_the_sample(tiny: DDPM, options: dict[str, object]):
    labels = np.array([0, 2, 1, 0, 2, 2])  # two chunks
    strip = tiny.denoising_strip(labels, 9, frames=5, **options)
    assert strip.shape == (6, 1 + min(4, int(str(options["steps"]))), 8, 8, 1)
    assert np.array_equal(strip[:, -1], tiny.sample(6, 9, labels, **options))
    assert np.abs(strip[:, 0].astype(float) - strip[:, -1]).mean() > 10  # it starts from noise


def test_the_stage_writes_no_picture_of_a_diverged_model(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Context(StageContext):
        def load(self) -> DDPM:
            broken = train(steps=1)
            with torch.no_grad():
                next(broken.network.parameters()).fill_(float("nan"))
            return broken

    split = ImageSplit(stripes().images, stripes().labels)
    write_images(tmp_path, {"train": split, "validation": split, "test": split})
    block = {"dataset": "stripes", "sample": {"n": 4, "strip": 0, "variants": [{"steps": 2}]}}
    with pytest.raises(BenchError, match=r"^steps=2: a picture holds NaN"):
        sample(Context("tiny", "images", block, 0, "cpu", tmp_path, tmp_path, quiet=True))


def test_the_stage_draws_a_strip_that_ends_in_its_samples(tiny: DDPM, tmp_path: Path):
    """Whatever the options of the first variant."""

    @dataclass(frozen=True)
    class Context(StageContext):
        def load(self) -> DDPM:
            return tiny

    split = ImageSplit(stripes().images, stripes().labels)
    write_images(tmp_path, {"train": split, "validation": split, "test": split})
    for first in ({"sampler": "ancestral", "steps": 9}, {"eta": 1.0, "steps": 6}):
        block = {"dataset": "stripes", "sample": {"n": 12, "strip": 5, "variants": [first, {"steps": 2}]}}
        sets = sample(Context("tiny", "images", block, 0, "cpu", tmp_path, tmp_path, quiet=True))
        assert np.array_equal(sets[0].extra["strip"][:, -1], sets[0].images[:10])
        assert "strip" not in sets[1].extra


@pytest.mark.parametrize(
    ("target", "skip"), [("eps", True), ("eps", False), ("x0", True), ("x0", False), ("v", False), ("x_prev", False)]
)
def test_one_batch_overfit_lowers_the_loss(target: str, skip: bool):
    config = replace(TINY, target=target, input_skip=skip)
    losses: list[float] = []
    system = DDPM(config)
    run = RunContext(
        seed=1,
        train={"steps": 40, "batch_size": 8, "lr": 5e-3, "warmup": 2, "log_every": 1, "grad_clip": 0.0},
        curve=lambda step, values: losses.append(values["loss"]),
    )
    system.fit({"train": stripes(8)}, run)
    generator = torch.Generator().manual_seed(0)
    batch = {
        "images": torch.from_numpy(stripes(64).images).permute(0, 3, 1, 2),
        "labels": torch.from_numpy(stripes(64).labels),
        "t": torch.arange(64) % 50,
    }
    assert system.network is not None
    with torch.no_grad():
        after = system.loss(system.network, batch, generator)["loss"].item()
        generator.manual_seed(0)
        before = system.loss(system._build(derive(1, "weights")), batch, generator)["loss"].item()
    assert after < 0.9 * before
    assert len(losses) == 40


def test_learns_the_class():
    system = train(replace(TINY, widths=(16, 16)), steps=300)
    labels = np.arange(12) % 3
    images = system.sample(12, 0, labels, steps=10)[..., 0]
    rows = images.mean(2)[:, [1, 3, 5]].argmax(1)  # the brightest of the three stripe rows
    assert np.mean(rows == labels) >= 0.9


@pytest.mark.parametrize(("times", "share"), [("uniform", 0.5), ("logit_normal", 0.728)])
def test_training_steps_are_drawn_as_times_says(times: str, share: float, monkeypatch: pytest.MonkeyPatch):
    """The share of the middle half: 1/2, or for a normal z P(0.25 < sigmoid(z) < 0.75) = P(|z| < log 3) = 0.728."""
    drawn: list[np.ndarray] = []
    original = DDPM.loss

    def loss(self: DDPM, network: torch.nn.Module, batch: Mapping[str, torch.Tensor], generator: torch.Generator):
        drawn.append(batch["t"].numpy().copy())
        return original(self, network, batch, generator)

    monkeypatch.setattr(DDPM, "loss", loss)
    train(replace(TINY, steps=1000, times=times), steps=2, batch_size=200)
    for t in drawn:
        assert ((t >= 250) & (t < 750)).mean() == pytest.approx(share, abs=0.02)
    assert len(drawn) == 2


def test_user_errors(tiny: DDPM):
    with pytest.raises(BenchError, match="between 1 and 50"):
        tiny.sample(1, 0, steps=51)
    with pytest.raises(BenchError, match="Did you mean 'ddim'"):
        tiny.sample(1, 0, sampler="dim")
    with pytest.raises(BenchError, match=r"unknown key 'stepps'\. Did you mean 'steps'"):
        tiny.sample(1, 0, stepps=3)
    with pytest.raises(BenchError, match="from 0 to 2"):
        tiny.sample(1, 0, np.array([3]))
    with pytest.raises(BenchError, match="has not been trained"):
        DDPM(TINY).sample(1, 0)
    with pytest.raises(BenchError, match="no labels"):
        DDPM(TINY).fit({"train": SimpleNamespace(images=stripes().images, labels=None)}, RunContext())
    with pytest.raises(ValueError, match="target"):
        DDPMConfig(target="noise")  # type: ignore[arg-type]


def test_unconditional():
    config = replace(TINY, classes=0)
    system = DDPM(config)
    system.fit(
        {"train": SimpleNamespace(images=stripes().images, labels=None)},
        RunContext(train={"steps": 2, "batch_size": 4}),
    )
    assert system.sample(2, 0, steps=2).shape == (2, 8, 8, 1)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path, precision: str):
    """Channels last with a moving average: state that does not lie in memory as it is written."""
    settings = {
        "steps": 9,
        "batch_size": 16,
        "warmup": 2,
        "ema": 0.9,
        "channels_last": True,
        "checkpoint_every": 3,
        "precision": precision,
    }

    def weights(stop_at: int = 0, checkpoints: Path | None = None) -> dict[str, torch.Tensor]:
        def curve(step: int, values: object) -> None:
            if step == stop_at:
                raise KeyboardInterrupt

        system = DDPM(TINY)
        system.fit(
            {"train": stripes()},
            RunContext(seed=1, train={**settings, "log_every": 1}, checkpoints=checkpoints, curve=curve),
        )
        assert system.network is not None
        return system.network.state_dict()

    unbroken = weights()
    with pytest.raises(KeyboardInterrupt):
        weights(stop_at=5, checkpoints=tmp_path)
    resumed = weights(checkpoints=tmp_path)
    assert all(torch.equal(unbroken[key], resumed[key]) for key in unbroken)
