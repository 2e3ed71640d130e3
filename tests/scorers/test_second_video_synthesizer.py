"""A video synthesiser that can do nothing but play is sampled and scored without a change in the project."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.files import SampleSet, read_image_samples, write_image_samples, write_json, write_npz
from bench.capabilities import TransitionModel
from bench.catalogue.systems import BUILT_IN
from bench.context import StageContext
from bench.contracts import VideoSynthesizer
from bench.data.rendered_clips import render_clip
from bench.registry import task_of
from bench.results.extras import Figure, Film, of_kind
from bench.scoring import Evaluation, evaluate


@dataclass(frozen=True)
class RandomJumpsConfig:
    """``chance`` of a jump to any frame at each step."""

    chance: float = 0.1


class RandomJumps:
    """Plays on, and now and then jumps anywhere."""

    Config: ClassVar[type] = RandomJumpsConfig
    CONTRACT: ClassVar[str] = "VideoSynthesizer"

    def __init__(self, config: RandomJumpsConfig) -> None:
        self.config = config

    def save(self, folder: Path) -> None:
        """Nothing is kept."""

    @classmethod
    def load(cls, folder: Path, config: Any, device: str = "cpu") -> RandomJumps:
        return cls(config)

    def play(self, frames: NDArray[np.uint8], n: int, seed: int, *, chance: float | None = None) -> NDArray[np.int64]:
        rng = np.random.default_rng(seed)
        shown = [int(rng.integers(len(frames)))]
        for _ in range(n - 1):
            jumps = rng.random() < (self.config.chance if chance is None else chance)
            shown.append(int(rng.integers(len(frames))) if jumps else (shown[-1] + 1) % len(frames))
        return np.array(shown)


class ForthAndBack(RandomJumps):
    """The clip forwards, then backwards, and so on."""

    def play(self, frames: NDArray[np.uint8], n: int, seed: int, **options: Any) -> NDArray[np.int64]:
        circle = np.concatenate([np.arange(len(frames)), np.arange(len(frames) - 2, 0, -1)])
        return circle[(seed + np.arange(n)) % len(circle)]


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for cls, name in ((RandomJumps, "random_jumps"), (ForthAndBack, "forth_and_back")):
        monkeypatch.setitem(BUILT_IN, name, f"{__name__}:{cls.__name__}")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    swing = render_clip("pendulum", 0, 100)
    frames = np.ascontiguousarray(swing.frames[:, ::4, ::4])
    np.save(folder / "pendulum.npy", frames)
    write_npz(folder / "pendulum.truth.npz", swing.truth)
    np.save(folder / "back.npy", frames[::-1])
    facts = {name: {"fps": 25.0, "period": 40.0} for name in ("pendulum", "back")}
    write_json(folder / "meta.json", {"kind": "video", "clips": facts})
    return folder


def stage(data: Path, folder: Path, system: str, sample: dict[str, Any], **score: Any) -> StageContext:
    write_json(folder / "model" / "model.json", {"name": "second", "system": system, "config": {}})
    return StageContext(
        name="second",
        family="by_example",
        block={"system": system, "dataset": "clips", "sample": sample, "evaluate": score},
        seed=0,
        device="cpu",
        data=data,
        model=folder / "model",
        samples=folder / "samples.npz",
        quiet=True,
    )


def sample(context: StageContext) -> list[SampleSet]:
    task = task_of(context.block["system"], context.family)
    found: list[SampleSet] = importlib.import_module(task.sampling).sample(context)
    return found


def run(context: StageContext) -> Evaluation:
    assert context.samples is not None
    write_image_samples(context.samples, sample(context))
    return evaluate(context, task_of(context.block["system"], context.family).scorers)


def value(result: Evaluation, metric: str, variant: str = "", part: str = "") -> float:
    (found,) = [r.value for r in result.records if (r.metric, r.variant, r.slice) == (metric, variant, part)]
    assert found is not None
    return found


SAMPLE: dict[str, Any] = {
    "clips": ["pendulum", "back"],
    "plays": 8,
    "frames": 300,
    "variants": [{"chance": 0.02}, {"chance": 0.2}],
    "seconds": 1.0,
}


def test_it_is_no_transition_model() -> None:
    assert isinstance(RandomJumps(RandomJumpsConfig()), VideoSynthesizer)
    assert not isinstance(RandomJumps(RandomJumpsConfig()), TransitionModel)


def test_plays_alone_are_scored(data: Path, tmp_path: Path) -> None:
    context = stage(data, tmp_path, "random_jumps", SAMPLE, seams=2)
    result = run(context)
    assert {(r.metric, r.variant) for r in result.records if not r.slice} == {
        *((metric, variant) for metric in MEASURED for variant in ("chance=0.02", "chance=0.2")),
        *(("seam_ratio", f"fade={fade}") for fade in (0, 6)),
    }
    few, many = (value(result, "jumps_per_second", variant) for variant in ("chance=0.02", "chance=0.2"))
    assert few == pytest.approx(25 * (0.02 + 0.01), rel=0.4), "a jump in fifty frames, and one at the clip's end"
    assert many == pytest.approx(25 * 0.2, rel=0.2)
    assert value(result, "periodicity_error", "chance=0.2") == pytest.approx(0.25, abs=0.04), "any phase is as likely"
    assert value(result, "jump_cost", "chance=0.2") == pytest.approx(1.0, abs=0.15), "any frame is as likely"
    assert value(result, "transition_variety", "chance=0.2") > value(result, "transition_variety", "chance=0.02")
    assert value(result, "seam_ratio", "fade=6") < value(result, "seam_ratio", "fade=0")


MEASURED = (
    *("jump_cost", "seam_ratio", "motion_agreement", "periodicity_error", "dynamics_reversals", "jumps_per_second"),
    *("transition_variety", "single_loop_share"),
)


def test_another_is_told_from_it_by_the_same_scores(data: Path, tmp_path: Path) -> None:
    result = run(stage(data, tmp_path, "forth_and_back", {**SAMPLE, "variants": [{}], "seconds": 0, "frames": 397}))
    assert value(result, "single_loop_share") == 0.0, "half a play is shorter than two rounds"
    assert value(result, "jumps_per_second") == pytest.approx(25 / 2), "each step back is one: half of two whole rounds"
    assert value(result, "periodicity_error") == pytest.approx(2 / 40), "a step back is two frames off a swing of forty"
    assert not of_kind(result.extras, Film)


def test_the_samples_are_its_plays(data: Path, tmp_path: Path) -> None:
    context = stage(data, tmp_path, "random_jumps", SAMPLE)
    run(context)
    assert context.samples is not None
    first, second, films = read_image_samples(context.samples)
    assert (first.variant, second.variant, films.variant) == ("chance=0.02", "chance=0.2", "films")
    frames = np.load(context.data / "back.npy")
    wanted = context.load().play(frames, 300, context.derive("play", "back", 3), chance=0.2)
    np.testing.assert_array_equal(second.extra["play_back"][3], wanted)


def test_its_film_shows_one_play_and_nothing_else_is_drawn(data: Path, tmp_path: Path) -> None:
    result = run(stage(data, tmp_path, "random_jumps", SAMPLE))
    (film,) = of_kind(result.extras, Film)
    assert (film.title, film.variant) == ("Generator: second", "second")
    (tmp_path / "film.mp4").write_bytes(film.mp4)
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert len(list(container.decode(video=0))) == round(25 * 0.5)
    assert not of_kind(result.extras, Figure)


def test_plays_and_films_are_measured_without_the_system(data: Path, tmp_path: Path) -> None:
    context = stage(data, tmp_path, "random_jumps", SAMPLE)
    whole = run(context)
    alone = evaluate(replace(context, model=tmp_path / "absent", has_model=False), ("video_plays", "video_figures"))
    assert alone.rows == [row for row in whole.rows if row["metric"] in MEASURED]
    assert of_kind(alone.extras, Film) == of_kind(whole.extras, Film)


@pytest.mark.parametrize("asked", [{"loops": [40]}, {"controlled": 2}, {"regions": ["back"]}, {"sprite": "back"}])
def test_what_needs_transitions_is_refused_by_name(data: Path, tmp_path: Path, asked: dict[str, Any]) -> None:
    (key,) = asked
    with pytest.raises(BenchError, match=rf"by_example\.second\.sample\.{key}: random_jumps plays without transition"):
        sample(stage(data, tmp_path, "random_jumps", {**SAMPLE, **asked}))


def test_future_costs_are_refused_by_name(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"second\.evaluate\.alphas: the system has no future costs"):
        run(stage(data, tmp_path, "random_jumps", {**SAMPLE, "seconds": 0}, alphas=[0.9]))
