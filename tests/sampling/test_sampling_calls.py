"""Words, images, scenes and codecs: with which options, prompts and seeds the sample stage calls a system."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.base.seeds import derive
from bench.data.datasets import ImageSplit, load_images, write_images
from bench.data.scenes import draw_layout
from bench.families.codecs import sampling as codecs
from bench.families.images import sampling as images
from bench.families.text_to_image import sampling as text_to_image
from bench.families.words import sampling as words
from bench.scene_language import COLOURS

Planted = Callable[..., Any]
CheckTime = Callable[[Any, int], None]


class Writer:
    """Records each call of ``sample``; its text is its seed."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def sample(self, n_chars: int, seed: int, prompt: str = "", **options: Any) -> str:
        self.calls.append((n_chars, seed, prompt, options))
        return f"{seed}"


class BatchWriter:
    """Records each call of ``sample_batch``."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def sample_batch(self, n_chars: int, seeds: Sequence[int], prompts: Sequence[str], **options: Any) -> list[str]:
        self.calls.append((n_chars, list(seeds), list(prompts), options))
        return [f"{seed}" for seed in seeds]


class Painter:
    """Records each call of ``sample``; a picture is its place in the call. Asked for a number or for prompts."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.strips: list[tuple[Any, ...]] = []

    def sample(self, asked: int | Sequence[str], seed: int, **options: Any) -> np.ndarray:
        self.calls.append((asked, seed, options))
        n = asked if isinstance(asked, int) else len(asked)
        return np.arange(n, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)

    def denoising_strip(self, asked: Any, seed: int, frames: int, **options: Any) -> np.ndarray:
        self.strips.append((asked, seed, frames, options))
        return np.zeros((len(asked), frames, 4, 4, 1), np.uint8)


SWEEP = [{"temperature": 0.5, "top_p": 0.9}, {"n": 3}, {}]
WORDS = {"texts": 5, "characters": 40, "prompts": ["", "To be"], "variants": SWEEP}
PROMPTS = ["", "To be", "", "To be", ""]
SEEDS = [derive(0, "words", "play", i) for i in range(5)]


def test_every_text_has_its_options_its_prompt_and_a_seed_of_its_own(planted: Planted, check_time: CheckTime) -> None:
    writer = Writer()
    sets = words.sample(planted("words", writer, WORDS))
    assert writer.calls == [
        (40, seed, prompt, options) for options in SWEEP for seed, prompt in zip(SEEDS, PROMPTS, strict=True)
    ]
    assert len(set(SEEDS)) == 5
    assert [item.variant for item in sets] == ["temperature=0.5,top_p=0.9", "n=3", ""]
    for item in sets:
        assert item.texts == [f"{seed}" for seed in SEEDS]
        assert item.prompts == PROMPTS
        check_time(item.info, 5)


def test_texts_written_together_have_the_same_options_prompts_and_seeds(
    planted: Planted, check_time: CheckTime
) -> None:
    writer = BatchWriter()
    sets = words.sample(planted("words", writer, WORDS))
    assert writer.calls == [(40, SEEDS, PROMPTS, options) for options in SWEEP]
    for item in sets:
        check_time(item.info, 5)


def test_seeds_of_texts_are_those_of_every_generator_and_follow_the_global_seed(planted: Planted) -> None:
    def seeds(**identity: Any) -> list[int]:
        writer = BatchWriter()
        words.sample(planted("words", writer, {**WORDS, "variants": [{}]}, **identity))
        return list(writer.calls[0][1])

    assert seeds() == seeds(name="another")
    assert not set(seeds()) & set(seeds(seed=1))


def bars(folder: Path) -> np.ndarray:
    """Labels of the test pictures that were written to ``folder``."""
    labels = np.array([0, 1, 1, 2] * 5)
    pictures = np.arange(20 * 16, dtype=np.uint8).reshape(20, 4, 4, 1)
    write_images(folder, dict.fromkeys(("train", "validation", "test"), ImageSplit(pictures, labels)))
    return labels


def test_every_variant_of_images_has_its_options_and_all_have_the_same_classes_and_seed(
    planted: Planted, check_time: CheckTime, tmp_path: Path
) -> None:
    test_labels, painter = bars(tmp_path), Painter()
    variants = [{"sampler": "ddim", "steps": 7, "eta": 0.5}, {"sampler": "ancestral", "steps": 9, "n": 6}, {}]
    sets = images.sample(planted("images", painter, {"n": 24, "strip": 3, "variants": variants}))
    asked, seeds, options = zip(*painter.calls, strict=True)
    labels = [given.pop("labels") for given in options]
    assert asked == (24, 6, 24)
    assert options == ({"sampler": "ddim", "steps": 7, "eta": 0.5}, {"sampler": "ancestral", "steps": 9}, {})
    assert seeds == (derive(0, "images", "play"),) * 3
    assert np.bincount(labels[0]).tolist() == (np.bincount(test_labels) * 24 // 20).tolist()
    np.testing.assert_array_equal(labels[1], labels[0][:6])
    np.testing.assert_array_equal(labels[2], labels[0])
    for item, n, given in zip(sets, asked, labels, strict=True):
        assert item.images is not None
        assert len(item.images) == n
        np.testing.assert_array_equal(item.labels, given)
        check_time(item.info, n)
    ((shown, seed, frames, given),) = painter.strips
    np.testing.assert_array_equal(shown, labels[0][:10])
    assert (seed, frames, given["steps"]) == (seeds[0], 3, 7)


def scenes(folder: Path) -> None:
    """Captioned pictures."""
    captions = draw_layout(400, np.random.default_rng(0), all_pairs=True).captions()
    split = ImageSplit(np.zeros((400, 4, 4, 3), np.uint8), captions=captions)
    write_images(folder, dict.fromkeys(("train", "validation", "test"), split))


SUITE = {"singles": 1, "colourless": 3, "counts": 2, "relations": 4, "captions": 12, "strip": 5}


def test_every_variant_of_scenes_has_its_options_and_all_have_the_same_prompts_and_seed(
    planted: Planted, check_time: CheckTime, tmp_path: Path
) -> None:
    scenes(tmp_path)
    painter = Painter()
    variants = [{"guidance": 3.0, "steps": 6}, {"guidance": 1.0, "sampler": "ancestral", "captions": 2}]
    context = planted("text_to_image", painter, {**SUITE, "variants": variants})
    sets = text_to_image.sample(context)
    suite = text_to_image.suite_of(context, text_to_image.sample_config(context), load_images(tmp_path))
    seed = derive(0, "text_to_image", "play")
    assert len(suite.captions) == 12
    assert painter.calls == [
        (suite.prompts(12), seed, {"guidance": 3.0, "steps": 6}),
        (suite.prompts(2), seed, {"guidance": 1.0, "sampler": "ancestral"}),
    ]
    for item, (prompts, _, _) in zip(sets, painter.calls, strict=True):
        assert item.prompts == prompts
        assert item.images is not None
        assert item.images[:, 0, 0, 0].tolist() == list(range(len(prompts)))
        check_time(item.info, len(prompts))
    ((shown, strip_seed, frames, given),) = painter.strips
    assert (shown, strip_seed, frames) == (suite.shown()[:8], seed, 5)
    assert (given["guidance"], given["steps"]) == (3.0, 6)


def test_negative_prompts_have_the_first_variants_options_and_the_same_seed(planted: Planted, tmp_path: Path) -> None:
    scenes(tmp_path)
    painter = Painter()
    variants = [{"guidance": 3.0, "steps": 6, "captions": 0}, {"guidance": 1.0}]
    sets = text_to_image.sample(planted("text_to_image", painter, {**SUITE, "variants": variants, "negatives": 4}))
    prompts = ["a zero", "a one", "a two", "a three"]
    seed = derive(0, "text_to_image", "play")
    for negative, call in zip(("", *COLOURS), painter.calls[2:], strict=True):
        assert call == (prompts, seed, {"guidance": 3.0, "steps": 6, "negative_prompts": [negative] * 4})
    assert [item.variant for item in sets[2:]] == [
        f"guidance=3.0,steps=6,negative={name}" for name in ("none", *COLOURS)
    ]


class Codec:
    """Records what it is given; its code is the picture, and decoding takes it from 255."""

    def __init__(self) -> None:
        self.encoded: list[np.ndarray] = []
        self.decoded: list[np.ndarray] = []

    def encode(self, pictures: np.ndarray) -> np.ndarray:
        self.encoded.append(pictures)
        return pictures.astype(np.int64)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        self.decoded.append(codes)
        return (255 - codes).astype(np.uint8)


@pytest.mark.parametrize("n", [7, 20])
def test_a_codec_gets_the_first_validation_pictures(
    n: int, planted: Planted, check_time: CheckTime, tmp_path: Path
) -> None:
    bars(tmp_path)
    codec, originals = Codec(), load_images(tmp_path)["validation"].images[:n]
    (drawn,) = codecs.sample(planted("codecs", codec, {"n": n}))
    np.testing.assert_array_equal(np.concatenate(codec.encoded), originals)
    np.testing.assert_array_equal(np.concatenate(codec.decoded), originals)
    np.testing.assert_array_equal(drawn.images, 255 - originals)
    check_time(drawn.info, n)
