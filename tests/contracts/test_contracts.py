"""The shared contract suite: every block of params.yaml, whatever its system (smoke settings, tiny real data).

A generator added to params.yaml is tested here without a further line.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import contracts
from bench.config.load import load_params
from bench.registry import contract_of, resolve

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml", profile="smoke")
ALL = list(PARAMS.generators())
COMPARED = 24
PROMPTS = ["a red three", "a small blue seven", "two yellow fours", "a green one above a white six"]


def of(family: str) -> list[str]:
    return [name for name, block in PARAMS.generators().items() if block["family"] == family]


def fulfilling(contract: str) -> list[str]:
    return [
        name
        for name, block in PARAMS.generators().items()
        if contract_of(resolve(block["system"]), block["family"]) == contract
    ]


def trained_with_a_loss() -> list[str]:
    systems = ("transformer_lm", "resnet", "scene_detector", "clip", "vqvae", "kl_vae", "ddpm", "latent_diffusion")
    return [name for name, block in PARAMS.generators().items() if block["system"] in systems]


def output(system: Any, tiny: Any, seed: int = 0, n: int = 4) -> Any:
    """What a generator makes, as something that == or array_equal compares."""
    family = tiny.block["family"]
    if family == "words":
        return system.sample(30, seed) + system.sample(30, seed, prompt="Shall")
    if contract_of(type(system), family) == "VideoSynthesizer":
        return system.play(next(iter(tiny.data.values())).frames, 20, seed)
    if contract_of(type(system), family) == "AnalogySolver":
        a, b = list(tiny.data.values())[:2]
        return system.analogy(a, 255 - a, b, seed)
    if family == "by_example":
        options = {"window": 5} if "window" in dir(system.config) else {}
        return system.synthesize(next(iter(tiny.data.values())), (14, 17), seed, **options)
    if family == "style_transfer":
        return system.stylise(
            *tiny.data.values(), seed, **({"start": "noise"} if "start" in dir(system.config) else {})
        )
    if family == "text_encoders":
        return system.embed_texts(PROMPTS[:n])
    if family == "encoders":
        return system.embed_images(tiny.data["validation"].images[:n])
    if family == "codecs":
        return system.decode(system.encode(tiny.data["validation"].images[:n]))
    if family == "images":
        return system.sample(n, seed, labels=np.arange(n, dtype=np.int64) % 10, **cheap(tiny))
    return system.sample(PROMPTS[:n], seed, guidance=2.0, **cheap(tiny))


def cheap(tiny: Any) -> dict[str, Any]:
    return {"steps": 3} if tiny.block["system"] in ("ddpm", "latent_diffusion") else {}


def same(a: Any, b: Any) -> bool:
    return a == b if isinstance(a, str) else bool(np.array_equal(a, b))


@pytest.mark.parametrize("tiny", ALL, indirect=True)
def test_fulfils_its_contract(tiny: Any) -> None:
    assert isinstance(tiny.system, getattr(contracts, contract_of(type(tiny.system), tiny.block["family"])))


@pytest.mark.parametrize("tiny", ALL, indirect=True)
def test_same_seed_same_bytes_and_another_seed_others(tiny: Any) -> None:
    first = output(tiny.system, tiny, seed=1)
    assert same(first, output(tiny.system, tiny, seed=1))
    # An encoder has no seed to sample by, nothing is random in an analogy, and of a caption there may be one real scene
    # only.
    kinds = contracts.extends(contract_of(type(tiny.system), tiny.block["family"]))
    seedless = not {"Encoder", "TextEncoder", "Codec", "AnalogySolver"}.isdisjoint(kinds)
    if not seedless and tiny.block["role"] != "ceiling":
        others = [output(tiny.system, tiny, seed=seed) for seed in (2, 3, 4)]
        assert not all(same(first, other) for other in others)


@pytest.mark.parametrize("tiny", ALL, indirect=True)
def test_save_then_load_gives_equal_outputs(tiny: Any, reload: Callable[[Any], Any]) -> None:
    assert same(output(tiny.system, tiny, seed=5), output(reload(tiny), tiny, seed=5))


@pytest.mark.parametrize("tiny", ALL, indirect=True)
def test_weights_are_never_pickled(tiny: Any) -> None:
    for path in (found for found in tiny.folder.rglob("*") if found.is_file()):
        assert path.suffix in (".safetensors", ".json", ".npz", ".npy", ".txt"), path.name


@pytest.mark.parametrize("name", ALL)
def test_same_seed_same_weights(name: str, workshop: Any, tmp_path: Path) -> None:
    tiny = workshop.make(name)
    again, _ = workshop.fit(name)
    again.save(tmp_path)
    for path in (found for found in tmp_path.rglob("*") if found.is_file()):
        assert path.read_bytes() == (tiny.folder / path.relative_to(tmp_path)).read_bytes(), path.name


@pytest.mark.parametrize(
    "tiny", of("encoders") + of("text_encoders") + of("codecs") + of("images") + of("text_to_image"), indirect=True
)
def test_result_does_not_depend_on_batch_size(tiny: Any) -> None:
    assert np.array_equal(output(tiny.system, tiny, seed=3, n=4)[:2], output(tiny.system, tiny, seed=3, n=2))


@pytest.mark.parametrize("tiny", of("images") + of("text_to_image"), indirect=True)
def test_pictures_have_the_data_sets_shape(tiny: Any) -> None:
    pictures = output(tiny.system, tiny)
    assert pictures.dtype == np.uint8
    assert pictures.shape == (4, *tiny.data["train"].images.shape[1:])


@pytest.mark.parametrize("tiny", of("codecs"), indirect=True)
def test_codes_and_reconstructions(tiny: Any) -> None:
    images = tiny.data["validation"].images[:5]
    codes = tiny.system.encode(images)
    assert len(codes) == 5
    if tiny.system.codebook_size:
        assert codes.dtype == np.int64
        assert codes.min() >= 0
        assert codes.max() < tiny.system.codebook_size
    decoded = tiny.system.decode(codes)
    assert decoded.shape == images.shape
    assert decoded.dtype == np.uint8


@pytest.mark.parametrize("tiny", of("words"), indirect=True)
def test_log_prob_covers_every_byte_and_is_a_probability(tiny: Any) -> None:
    seen = tiny.system.log_prob("Shall I compare thee")
    assert seen.dtype == np.float64
    assert (seen <= 1e-9).all()
    strange = tiny.system.log_prob("Shall \u4f60\u597d\x00 thee")
    assert np.isfinite(strange.sum()) or tiny.block["system"] == "ngram"
    prefix = "And summer"
    total = sum(
        np.exp(tiny.system.log_prob(prefix + chr(c)).sum() - tiny.system.log_prob(prefix).sum()) for c in range(1, 128)
    )
    assert total <= 1 + 1e-6


@pytest.mark.parametrize("tiny", of("words"), indirect=True)
def test_text_has_the_asked_length(tiny: Any) -> None:
    for n in (1, 30):
        assert len(tiny.system.sample(n, 0)) == n


@pytest.mark.parametrize("tiny", fulfilling("Synthesizer"), indirect=True)
def test_textures_have_the_asked_size(tiny: Any) -> None:
    made = output(tiny.system, tiny)
    assert made.shape[:2] == (14, 17)
    assert made.dtype == np.uint8


@pytest.mark.parametrize("tiny", fulfilling("VideoSynthesizer"), indirect=True)
def test_plays_have_the_asked_length_and_stay_in_the_clip(tiny: Any) -> None:
    shown = output(tiny.system, tiny)
    assert shown.shape == (20,)
    assert shown.dtype == np.int64
    assert shown.min() >= 0
    assert shown.max() < 30


@pytest.mark.parametrize("name", trained_with_a_loss())
def test_overfitting_one_batch_lowers_the_loss(name: str, workshop: Any) -> None:
    _, curve = workshop.fit(name, steps=COMPARED, warmup=2, schedule="constant")
    assert np.mean(curve[-4:]) < np.mean(curve[:3])
