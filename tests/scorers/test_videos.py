"""Sampling and scoring of video synthesisers on small clips of known motion; the claims on what comes out."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import yaml
from threadpoolctl import threadpool_limits

from bench.base.errors import BenchError
from bench.base.files import read_image_samples, write_image_samples, write_json, write_npz
from bench.catalogue.families import FAMILIES
from bench.context import StageContext
from bench.contracts import RunContext
from bench.data.rendered_clips import render_clip
from bench.data.video import Clip, load
from bench.families.by_example.video.films import pond, smaller, target_path
from bench.families.by_example.video.sampling import SampleConfig, clips_of, sample, thirds
from bench.families.by_example.video.video_textures import VideoTextures
from bench.report.claim_tests import judge
from bench.report.claims import FAILS, HOLDS, load_claims
from bench.results.extras import Curve, Figure, Film, Table, of_kind
from bench.scoring import Evaluation, evaluate

SCORERS = FAMILIES["by_example"].task("VideoSynthesizer").scorers
ROOT = Path(__file__).parents[2]
SAMPLE: dict[str, Any] = {
    "clips": ["pendulum", "pan"],
    "plays": 6,
    "frames": 500,
    "variants": [{}, {"taps": 1}, {"sigma": 0.0}, {"sigma": 1.0}, {"alpha": 0.0}],
    "loops": [40, 100],
    "controlled": 2,
    "regions": ["pan"],
    "fade": 6,
}
SCORE: dict[str, Any] = {"alphas": [0.9, 0.98], "seams": 2}


def pan(length: int = 60) -> np.ndarray:
    """A texture that slides to and fro, with noise."""
    rng = np.random.default_rng(0)
    ground = np.kron(rng.integers(40, 220, (5, 12, 3)), np.ones((4, 4, 1)))
    at = np.rint(6 + 6 * np.sin(2 * np.pi * np.arange(length) / 17)).astype(int)
    frames = np.stack([ground[:, a : a + 32] for a in at])
    return np.clip(np.rint(frames + rng.normal(0, 2, frames.shape)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    swing = render_clip("pendulum", 0, 100)
    small = np.ascontiguousarray(swing.frames[:, ::3, ::3])
    np.save(folder / "pendulum.npy", small)
    write_npz(folder / "pendulum.truth.npz", swing.truth)
    np.save(folder / "pan.npy", pan())
    facts = {name: {"fps": 25.0, "period": 40.0 if name == "pendulum" else None} for name in ("pendulum", "pan")}
    write_json(folder / "meta.json", {"kind": "video", "clips": facts})
    return folder


def stage(data: Path, folder: Path, sample: dict[str, Any], order: str = "markov", **score: Any) -> StageContext:
    system = VideoTextures()
    system.fit(load(data), RunContext())
    (folder / "model").mkdir(parents=True)
    system.save(folder / "model")
    described = {"name": "test", "system": "video_textures", "config": dataclasses.asdict(system.config)}
    write_json(folder / "model" / "model.json", described)
    roles = {"shuffled": "floor", "hard_loop": "floor", "real": "ceiling"}
    block = {
        "system": "video_textures",
        "dataset": "clips",
        "role": roles.get(order, "generator"),
        "sample": {**sample, "defaults": {"order": order}},
        "evaluate": score,
    }
    where = {"data": data, "model": folder / "model", "samples": folder / "samples.npz"}
    return StageContext(
        name=f"test-{order}", family="by_example", block=block, seed=0, device="cpu", quiet=True, **where
    )


def run(context: StageContext) -> Evaluation:
    assert context.samples is not None
    write_image_samples(context.samples, sample(context))
    return evaluate(context, SCORERS)


def value(result: Evaluation, metric: str, variant: str = "", part: str = "") -> float:
    (found,) = [r.value for r in result.records if (r.metric, r.slice, r.variant) == (metric, part, variant)]
    assert found is not None
    return found


@pytest.fixture(scope="module")
def result(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return run(stage(data, tmp_path_factory.mktemp("run"), SAMPLE, **SCORE))


DEFAULT = "alpha=0.995,p=2.0,sigma=0.1,taps=4"


def test_rows_of_the_plays(result: Evaluation) -> None:
    assert value(result, "dynamics_reversals", DEFAULT) == 0.0
    assert value(result, "dynamics_reversals", DEFAULT.replace("taps=4", "taps=1")) > 0.0
    assert value(result, "periodicity_error", DEFAULT) < 0.02
    assert 0 < value(result, "jump_cost", DEFAULT) < value(result, "jump_cost", DEFAULT.replace("0.1", "1.0"))
    assert value(result, "dead_end_probability", DEFAULT) == 0.0
    assert value(result, "dead_end_probability", DEFAULT.replace("0.995", "0.0")) == 1.0
    assert value(result, "single_loop_share", DEFAULT.replace("0.1", "0.0")) == 1.0
    for part in ("pendulum", "pan"):
        assert value(result, "motion_agreement", DEFAULT, part) > 0.3


def test_every_row_has_a_known_metric_a_protocol_and_an_interval_around_its_value(result: Evaluation) -> None:
    from bench.catalogue.metrics import CATALOGUE

    documented = (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")
    for record in result.records:
        entry = CATALOGUE[record.metric]
        assert record.higher_is_better == entry.higher_is_better and record.unit == entry.unit, record.metric
        assert record.protocol.startswith(record.metric) and f"`{record.metric}/" in documented
        assert record.value is not None
        if record.ci95 is not None:
            assert record.ci95[0] <= record.value + 1e-12 and record.value <= record.ci95[1] + 1e-12
    keys = [(r.metric, r.protocol, r.variant, r.slice) for r in result.records]
    assert len(set(keys)) == len(keys)


def test_rows_of_loops_control_regions_and_seams(result: Evaluation) -> None:
    for length in (40, 100):
        assert (
            value(result, "loop_cost", f"length={length},method=dp")
            <= value(result, "loop_cost", f"length={length},method=greedy") + 1e-12
        )
    assert value(result, "periodicity_error", "length=40,method=dp") < 0.03
    assert value(result, "in_range_share", "control=20") > value(result, "in_range_share", "control=0") + 0.2
    for fade in (0, 6):  # jumps that cost the noise alone are seams of nearly nothing
        assert value(result, "seam_ratio", f"fade={fade}") == pytest.approx(1.1, abs=0.2)
    assert value(result, "jump_cost", "regions=2") > 0
    for alpha in (0.9, 0.98):
        assert value(result, "value_iteration_rate", f"alpha={alpha}") == pytest.approx(1.0, abs=0.01)


def test_figures_curves_and_tables(result: Evaluation) -> None:
    figures = of_kind(result.extras, Figure)
    assert len(figures) == 3
    for figure in figures:
        assert figure.alt and figure.png.startswith(b"\x89PNG")
    (curve,), (table,) = of_kind(result.extras, Curve), of_kind(result.extras, Table)
    assert [line.name for line in curve.series] == ["alpha = 0.9", "alpha = 0.98"]
    for line in curve.series:
        changes = [y for _, y in line.points]
        assert changes == sorted(changes, reverse=True)
    assert len(table.rows) == 4 and table.rows[0][0] == "pendulum"


def test_floor_and_ceiling(data: Path, tmp_path: Path) -> None:
    sample = {key: SAMPLE[key] for key in ("clips", "plays", "frames")}
    shuffled, hard, real = (
        run(stage(data, tmp_path / order, sample, order)) for order in ("shuffled", "hard_loop", "real")
    )
    assert value(shuffled, "jump_cost") == pytest.approx(1.0, abs=0.15)
    assert value(shuffled, "periodicity_error") == pytest.approx(0.25, abs=0.03)
    assert value(shuffled, "jumps_per_second") > 22
    assert value(hard, "jump_cost") > 0 and value(hard, "jumps_per_second") < 1
    assert value(real, "jump_cost") == 0.0 and value(real, "jumps_per_second") == 0.0
    assert value(real, "motion_agreement") == pytest.approx(1.0) and value(real, "periodicity_error") == pytest.approx(
        0.0, abs=1e-9
    )
    assert value(real, "seam_ratio") == pytest.approx(1.0, abs=0.3)
    assert {r.role for r in shuffled.records} == {"floor"} and {r.role for r in real.records} == {"ceiling"}
    assert not any(r.metric in ("dead_end_probability", "transition_variety") for r in real.records)


def test_the_claims_pick_these_rows_and_none_fails(result: Evaluation) -> None:
    document = yaml.safe_load((ROOT / "reports" / "claims.yaml").read_text(encoding="utf-8"))
    ours = [claim for claim in load_claims(document) if "Schoedl" in claim.source]
    assert len(ours) == 11
    verdicts = {claim.id: judge(claim, result.records) for claim in ours}
    assert [name for name, verdict in verdicts.items() if verdict.verdict == FAILS] in (
        [],
        ["cross-fades-soften-seams"],
    )  # hardly any seams
    for name in (
        "no-future-no-escape",
        "future-costs-converge-geometrically",
        "table-beats-greedy-loops",
        "sigma-gives-variety",
    ):
        assert verdicts[name].verdict == HOLDS, name
    assert [name for name, verdict in verdicts.items() if not verdict.comparisons] == [
        "sprites-need-a-future"
    ]  # no sprite here


def test_same_samples_whatever_the_threads(data: Path, tmp_path: Path) -> None:
    settings = {**SAMPLE, "seconds": 1.0}
    one, two = (stage(data, tmp_path / name, settings) for name in ("one", "two"))
    with threadpool_limits(1):
        write_image_samples(tmp_path / "a.npz", _without_times(sample(one)))
    write_image_samples(tmp_path / "b.npz", _without_times(sample(two)))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def _without_times(sets: Any) -> Any:
    return [
        dataclasses.replace(item, info={k: v for k, v in item.info.items() if not k.startswith("seconds")})
        for item in sets
    ]


def test_films_play_and_lie_in_the_extras(data: Path, tmp_path: Path) -> None:
    context = stage(
        data, tmp_path, {"clips": ["pendulum"], "plays": 2, "frames": 30, "seconds": 1.0, "regions": ["pan"]}
    )
    videos = of_kind(run(context).extras, Film)
    assert [film.variant for film in videos] == ["endless-pendulum", "regions-pan"]
    for film in videos:
        with av.open(io.BytesIO(film.mp4)) as container:
            assert len(list(container.decode(video=0))) in (20, 25)
        assert film.alt and film.title and film.poster.startswith(b"\x89PNG")


def test_settings_and_names_are_checked(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"sample: no clip 'pendulums'. Did you mean 'pendulum'"):
        clips_of(stage(data, tmp_path, {}), SampleConfig(clips=("pendulums",)))
    with pytest.raises(ValueError, match="frames: must be a whole number of at least 20"):
        SampleConfig(frames=5)
    with pytest.raises(BenchError, match="unknown key 'sigm'"):
        sample(stage(data, tmp_path / "b", {"clips": ["pan"], "variants": [{"sigm": 1}]}))
    context = stage(data, tmp_path / "c", {"clips": ["pan"]}, alpha=[0.9])
    with pytest.raises(BenchError, match=r"unknown key 'alpha'. Did you mean 'alphas'"):
        evaluate(context, SCORERS)


def test_samples_come_back_from_their_file(data: Path, tmp_path: Path) -> None:
    context = stage(data, tmp_path, SAMPLE)
    sets = sample(context)
    assert context.samples is not None
    write_image_samples(context.samples, sets)
    again = read_image_samples(context.samples)
    assert [item.variant for item in again] == [item.variant for item in sets]
    np.testing.assert_array_equal(again[0].extra["play_pan"], sets[0].extra["play_pan"])
    assert again[0].extra["play_pan"].shape == (6, 500)


def test_thirds_targets_and_backgrounds() -> None:
    for low, high in thirds(150):
        assert 0 < low < high < 150
    path = target_path(400, (180, 320), 2)
    assert path[:, 0].min() > 20 and path[:, 0].max() < 300 and path[:, 1].min() > 20 and path[:, 1].max() < 160
    assert not np.array_equal(path, target_path(400, (180, 320), 3))
    water = list(pond(20, 30, 2, 0))
    assert water[0].shape == (20, 30, 3) and water[0].dtype == np.uint8 and (water[0] != water[1]).any()
    (half,) = smaller(iter([np.full((20, 40, 3), 7, np.uint8)]), 20)
    assert half.shape == (10, 20, 3) and (half == 7).all()


def test_a_clip_counts_its_frames() -> None:
    assert len(Clip("a", np.zeros((3, 2, 2, 3), np.uint8), 25.0)) == 3
