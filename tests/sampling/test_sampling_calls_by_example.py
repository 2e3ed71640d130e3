"""Textures, image analogies, style transfer and video: with which options and seeds the sample stage calls a system."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.base.files import write_json
from bench.base.seeds import derive
from bench.capabilities import CopyingSolver, GrowingSynthesizer, IterativeStyler
from bench.contracts import RunContext, Styler, Synthesizer
from bench.data.datasets import write_exemplars
from bench.data.video import load
from bench.families.by_example.analogies import sampling as image_analogies
from bench.families.by_example.analogies.tasks import OPTIONS
from bench.families.by_example.textures import sampling as by_example
from bench.families.by_example.video import sampling as video_textures
from bench.families.by_example.video.video_textures import Texture, VideoTextures, VideoTexturesOptions
from bench.families.style_transfer import sampling as style_transfer

Planted = Callable[..., Any]
CheckTime = Callable[[Any, int], None]


def photograph(seed: int, height: int = 40, width: int = 80) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


# Textures

TEXTURES = {
    "exemplars": {"one": {"side": 24}, "two": {"side": 24}},
    "size": [20, 22],
    "pictures": 3,
    "windows": [5, 9],
    "holes": {"side": 8, "margin": 4, "count": 2, "windows": [7], "orders": ["onion", "raster"]},
    "extrapolate": 30,
    "extrapolate_window": 11,
}
WAYS = [
    {"window": 5},
    {"window": 9},
    {"order": "onion", "window": 7},
    {"order": "raster", "window": 7},
    {"window": 11},
]
"""Options of each sample set: two windows, two orders of filling, the extrapolation."""
SIZES = [(20, 22), (20, 22), (16, 16), (16, 16), (30, 30)]
PURPOSES = [("sample", 3), ("sample", 3), ("hole", 2), ("hole", 2), ("extrapolate", 1)]


def seeds_of(purpose: str, exemplar: str, count: int) -> list[int]:
    numbers: Sequence[tuple[int, ...]] = [()] if purpose == "extrapolate" else [(k,) for k in range(count)]
    return [derive(0, "one", purpose, exemplar, *number) for number in numbers]


class Weaver(Synthesizer):
    """Records each call of ``synthesize``."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def synthesize(self, exemplar: np.ndarray, size: tuple[int, int], seed: int, **options: Any) -> np.ndarray:
        self.calls.append({"exemplar": exemplar, "size": size, "seeds": [seed], **options})
        return np.zeros((*size, 1), np.uint8)


class Grower(GrowingSynthesizer):
    """Records each call of ``growths``."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def growths(self, exemplar: np.ndarray, size: tuple[int, int], seeds: Sequence[int], **options: Any) -> list[Any]:
        options.pop("progress")(len(seeds) * size[0] * size[1])
        self.calls.append({"exemplar": exemplar, "size": size, "seeds": list(seeds), **options})
        grown = SimpleNamespace(
            picture=np.zeros((*size, 1), np.uint8), sources=np.zeros((*size, 2), np.int64), operations=1.0
        )
        return [grown] * len(seeds)


@pytest.mark.parametrize("system", [Weaver(), Grower()], ids=["one by one", "together"])
def test_every_texture_has_its_options_and_a_seed_of_its_own(
    system: Any, planted: Planted, check_time: CheckTime, tmp_path: Path
) -> None:
    pictures = {"one": photograph(0), "two": photograph(1)}
    write_exemplars(tmp_path, pictures)
    sets = by_example.sample(planted("by_example", system, TEXTURES))
    calls = iter(system.calls)
    for options, size, (purpose, count), item in zip(WAYS, SIZES, PURPOSES, sets, strict=True):
        for name, picture in pictures.items():
            found: list[int] = []
            while len(found) < count:
                call = next(calls)
                found += call.pop("seeds")
                np.testing.assert_array_equal(call.pop("exemplar")[:, :, 0], picture[:24, :24])
                assert call.pop("size") == size
                assert (call.pop("initial") is None) == (purpose == "sample")
                mask = call.pop("mask", None)
                assert (mask is not None) == (purpose == "hole")
                assert mask is None or (mask.shape, int((~mask).sum())) == (size, 8 * 8)
                assert call == options
            assert found == seeds_of(purpose, name, count)
        assert item.prompts == [name for name in pictures for _ in range(count)]
        check_time(item.info, 2 * count)
    assert next(calls, None) is None
    every = [seed for purpose, count in set(PURPOSES) for name in pictures for seed in seeds_of(purpose, name, count)]
    assert len(set(every)) == len(every)


# Image analogies


class Solver(CopyingSolver):
    """Records the options of each question, and the work that was announced for it."""

    def __init__(self) -> None:
        self.announced: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []

    def work(self, pairs: Sequence[Any], pictures: Sequence[np.ndarray], **options: Any) -> int:
        self.announced.append(options)
        return 1

    def solve(
        self, pairs: Sequence[Any], pictures: Sequence[np.ndarray], *, progress: Any, **options: Any
    ) -> list[Any]:
        self.calls.append(options)
        sources = np.zeros((*pictures[0].shape[:2], 2), np.int64)
        return [
            SimpleNamespace(picture=picture, sources=sources, coherent=np.zeros(picture.shape[:2], bool))
            for picture in pictures
        ]


def test_every_question_is_put_with_the_options_of_its_task_its_block_and_its_variant(
    planted: Planted, check_time: CheckTime, tmp_path: Path
) -> None:
    names = ("astronaut", "chelsea", "brick", "grass", "gravel")
    write_exemplars(
        tmp_path, {name: np.repeat(photograph(i, 44, 60)[:, :, None], 3, axis=2) for i, name in enumerate(names)}
    )
    write_json(tmp_path / "meta.json", {"kind": "textures"})
    tasks = {"blur": {"window": 7}, "emboss": None, "texture-by-numbers": {"kappa": 9.0}}
    variants = [{"kappa": 0}, {"kappa": 6, "features": "steerable"}]
    sample = {
        "tasks": tasks,
        "pictures": ["chelsea"],
        "side": 40,
        "crop": 12,
        "crops": 2,
        "variants": variants,
        "timed": {"side": 30},
    }
    system = Solver()
    sets = image_analogies.sample(planted("by_example", system, sample))
    swept = [{**OPTIONS[task], **(tasks[task] or {}), **variant} for variant in variants for task in ("blur", "emboss")]
    shown = [{**OPTIONS["texture-by-numbers"], "kappa": 9.0}]
    timed = [{**OPTIONS["blur"], "window": 7, "search": search} for search in ("exact", "ann")]
    assert system.calls == system.announced == [*swept, *shown, *timed]
    assert [item.variant for item in sets] == [
        "kappa=0", "kappa=6,features=steerable",
        "task=texture-by-numbers",
        "task=blur,search=exact", "task=blur,search=ann",
    ]  # fmt: skip
    for item, n in zip(sets, (4, 4, 1, 2, 2), strict=True):
        assert item.prompts is not None
        assert len(item.prompts) == n
        check_time(item.info, n)


# Style transfer

STYLES = {
    "pairs": [["one", "two"], ["two", "one"]],
    "side": 16,
    "ratios": [0.1, 100],
    "depths": ["low", "high"],
    "depth_ratios": [0, 5],
    "depth_steps": 3,
    "colours": ["luminance"],
    "frames": [0, 4],
    "large": 20,
}
STYLE_SEEDS = [derive(0, "one", "sample", name) for name in ("one + two", "two + one")]


class Stylist(IterativeStyler):
    """Records each call of ``stylise_all`` and ``run_frames``."""

    config = SimpleNamespace(steps=4)
    network = SimpleNamespace(layers=("low", "high"), depth=lambda layer: {"low": 1, "high": 2}[layer])

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.frames: list[tuple[Any, ...]] = []

    def stylise_all(
        self, pairs: Sequence[Any], seeds: Sequence[int], options: Mapping[str, Any], workers: int, update: Any
    ) -> list[np.ndarray]:
        self.calls.append(([name for name, _, _ in pairs], list(seeds), dict(options), pairs[0][1].shape[0]))
        return [content for _, content, _ in pairs]

    def run_frames(
        self, content: np.ndarray, style: np.ndarray, seed: int, frames: Sequence[int], update: Any
    ) -> np.ndarray:
        self.frames.append((seed, tuple(frames)))
        return np.stack([content] * len(frames))


def test_every_variant_of_style_transfer_has_its_options_and_every_pair_its_seed(
    planted: Planted, check_time: CheckTime, tmp_path: Path
) -> None:
    write_exemplars(tmp_path, {"one": photograph(0), "two": photograph(1)})
    system = Stylist()
    sets = style_transfer.sample(planted("style_transfer", system, STYLES))
    wanted = [
        {"ratio": 0.1},
        {"ratio": 100},
        {"content_layers": ("low",), "ratio": 0, "steps": 3, "start": "noise"},
        {"content_layers": ("high",), "ratio": 0, "steps": 3, "start": "noise"},
        {"content_layers": ("low",), "ratio": 5, "steps": 3},
        {"content_layers": ("high",), "ratio": 5, "steps": 3},
        {"colour": "luminance"},
    ]
    pairs = ["one + two", "two + one"]
    assert len(set(STYLE_SEEDS)) == 2
    assert system.calls == [*((pairs, STYLE_SEEDS, options, 16) for options in wanted), (pairs, STYLE_SEEDS, {}, 20)]
    assert system.frames == [(derive(0, "one", "strip", "one + two"), (0, 4))]
    assert len(sets) == len({item.variant for item in sets}) == len(wanted)
    for item in sets:
        assert item.prompts == pairs
        check_time(item.info, 2)


class Copier(Styler):
    """A floor: records each call of ``stylise``."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def stylise(self, content: np.ndarray, style: np.ndarray, seed: int, **options: Any) -> np.ndarray:
        self.calls.append((seed, options))
        return content


def test_the_floor_of_style_transfer_shows_what_it_is_asked_for(
    planted: Planted, check_time: CheckTime, tmp_path: Path
) -> None:
    write_exemplars(tmp_path, {"one": photograph(0), "two": photograph(1)})
    system = Copier()
    sample = {"pairs": STYLES["pairs"], "side": 16, "shows": ["style", "noise"]}
    sets = style_transfer.sample(planted("style_transfer", system, sample))
    assert system.calls == [(seed, {"shows": what}) for what in ("style", "noise") for seed in STYLE_SEEDS]
    for item in sets:
        check_time(item.info, 2)


# Video textures


class Recorder:
    """Puts a record of their arguments before ``VideoTextures.texture``, ``VideoTextures.play``, ``Texture.plays``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.textures: list[tuple[Any, ...]] = []
        self.markov: list[tuple[Any, ...]] = []
        self.plays: list[tuple[Any, ...]] = []
        texture_of, play_of, plays_of = VideoTextures.texture, VideoTextures.play, Texture.plays

        def texture(system: VideoTextures, clip: Any, within: Any = None, **options: Any) -> Texture:
            self.textures.append((clip, within, options))
            return texture_of(system, clip, within, **options)

        def plays(texture: Texture, n: int, seeds: Sequence[int], start: int | None = None, *, cut: bool = True) -> Any:
            self.markov.append((texture.config, n, list(seeds), cut))
            return plays_of(texture, n, seeds, start, cut=cut)

        def play(system: VideoTextures, frames: Any, n: int, seed: int, **options: Any) -> Any:
            self.plays.append((frames[:, 0, 0, 0].tolist(), n, seed, options))
            return play_of(system, frames, n, seed, **options)

        monkeypatch.setattr(VideoTextures, "texture", texture)
        monkeypatch.setattr(VideoTextures, "play", play)
        monkeypatch.setattr(Texture, "plays", plays)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two clips of a bar that swings."""
    for name, period in (("fast", 12), ("slow", 20)):
        x = 12 + 9 * np.sin(2 * np.pi * np.arange(40) / period)
        bar = 200 * np.exp(-((np.arange(24) - x[:, None]) ** 2) / 8)  # (T, 24)
        noise = np.random.default_rng(0).integers(0, 8, (40, 4, 24, 3))
        np.save(tmp_path / f"{name}.npy", (bar[:, None, :, None] + noise).astype(np.uint8))
    write_json(
        tmp_path / "meta.json",
        {"kind": "video", "clips": {name: {"fps": 25.0, "period": None} for name in ("fast", "slow")}},
    )
    return tmp_path


def fitted(folder: Path, order: str = "markov") -> VideoTextures:
    system = VideoTextures(options=VideoTexturesOptions(order=order))
    system.fit(load(folder), RunContext())
    return system


def play_seeds(*purpose: str | int, count: int) -> list[int]:
    return [derive(0, "one", *purpose, k) for k in range(count)]


def test_every_play_has_its_variants_settings_and_a_seed_of_its_own(
    clips: Path, planted: Planted, check_time: CheckTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = fitted(clips)
    recorder = Recorder(monkeypatch)
    variants = [{}, {"taps": 1, "sigma": 0.3}, {"alpha": 0.0}]
    sample = {"clips": ["fast", "slow"], "plays": 4, "frames": 50, "variants": variants}
    sets = video_textures.sample(planted("by_example", system, sample))
    seeds = {name: play_seeds("play", name, count=4) for name in ("fast", "slow")}
    assert len({*seeds["fast"], *seeds["slow"]}) == 8
    asked = itertools.product(variants, ("fast", "slow"), (True, False))
    assert recorder.markov == [
        (replace(system.options, **options), 50, seeds[name], cut) for options, name, cut in asked
    ]
    assert len({item.variant for item in sets}) == 3
    for item in sets:
        assert item.extra["play_fast"].shape == item.extra["play_slow"].shape == (4, 50)
        check_time(item.info, 2 * 4)


def test_the_floors_of_video_play_as_long_and_with_the_same_seeds(
    clips: Path, planted: Planted, check_time: CheckTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = load(clips)["fast"].frames[:, 0, 0, 0].tolist()
    # Of the clip itself no more than its half.
    for order, role, n in (("shuffled", "floor", 50), ("hard_loop", "floor", 50), ("real", "ceiling", 20)):
        system = fitted(clips, order)
        recorder = Recorder(monkeypatch)
        sample = {"clips": ["fast"], "plays": 4, "frames": 50}
        (item,) = video_textures.sample(planted("by_example", system, sample, role=role))
        assert recorder.plays == [(frames, n, seed, {}) for seed in play_seeds("play", "fast", count=4)]
        assert item.extra["play_fast"].shape == (4, n)
        check_time(item.info, 4)
        monkeypatch.undo()


def test_controlled_plays_are_asked_for_each_third_with_control_and_without(
    clips: Path, planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = fitted(clips)
    recorder = Recorder(monkeypatch)
    sets = video_textures.sample(
        planted("by_example", system, {"clips": ["fast"], "plays": 1, "frames": 60, "controlled": 3})
    )
    asked = list(itertools.product((system.options.control, 0.0), enumerate(video_textures.thirds(40))))
    assert recorder.textures == [
        ("fast", None, {}),
        *(("fast", within, {"control": control}) for control, (_, within) in asked),
    ]
    controlled = recorder.markov[2:]  # after the play itself, with a cut and without
    assert controlled == [
        (replace(system.options, control=control), 60, play_seeds("control", "fast", k, count=3), True)
        for control, (k, _) in asked
    ]
    assert len({seed for _, _, seeds, _ in controlled for seed in seeds}) == 9
    assert [item.variant for item in sets[1:]] == ["control=20", "control=0"]
