"""Cutting, drawing and scoring of textures, on small pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.files import read_image_samples, write_image_samples, write_json, write_npz
from bench.context import Evaluation, StageContext
from bench.evaluation.by_example import evaluate, histogram_distance, mean_run
from bench.families.by_example.textures.sampling import Cut, cut, sample
from bench.results.pictures import data_uri_size
from bench.stats.intervals import stratified_t_ci


def photograph(seed: int = 0) -> NDArray[np.uint8]:
    """Diagonal stripes with noise: structure that shuffled pixels lose."""
    y, x = np.indices((40, 80))
    return (((x + y) % 8) * 28 + np.random.default_rng(seed).integers(0, 8, (40, 80))).astype(np.uint8)


def stage(
    tmp_path: Path, system: str, sample: dict[str, Any], pictures: dict[str, NDArray[np.uint8]] | None = None
) -> StageContext:
    write_npz(tmp_path / "data" / "exemplars.npz", pictures or {"one": photograph(), "two": photograph(1)})
    write_json(tmp_path / "model" / "model.json", {"name": system, "system": system, "config": {}})
    role = "ceiling" if system == "real_texture" else "generator"
    block = {
        "system": system,
        "dataset": "textures",
        "role": role,
        "sample": sample,
        "evaluate": {"patches": [5], "copied": 9},
    }
    return StageContext(
        name=f"test-{system}",
        family="by_example",
        block=block,
        seed=0,
        device="cpu",
        data=tmp_path / "data",
        model=tmp_path / "model",
        samples=tmp_path / "samples.npz",
        quiet=True,
    )


SAMPLE: dict[str, Any] = {"exemplars": {"one": {"side": 24}, "two": {"side": 24}}, "size": [20, 22], "pictures": 2}


def run(context: StageContext) -> Evaluation:
    assert context.samples is not None
    write_image_samples(context.samples, sample(context))
    return evaluate(context)


def value(result: Evaluation, metric: str, part: str = "", variant: str = "") -> float:
    (found,) = [r.value for r in result.records if (r.metric, r.slice, r.variant) == (metric, part, variant)]
    assert found is not None
    return found


def test_cut_takes_pieces_that_do_not_overlap() -> None:
    picture = np.arange(40 * 80).reshape(40, 80).astype(np.uint8)
    piece = cut(picture, Cut(side=24, rows=(4, 34), columns=(10, 70)), "here")
    np.testing.assert_array_equal(piece.exemplar[:, :, 0], picture[4:28, 10:34])
    np.testing.assert_array_equal(piece.held_out[:, :, 0], picture[4:34, 34:70])


def test_cut_reduces_by_block_means() -> None:
    piece = cut(np.array([[0, 10, 4, 4], [20, 30, 4, 4]], np.uint8), Cut(downscale=2, side=1), "here")
    assert (piece.exemplar.item(), piece.held_out.item()) == (15, 4)


def test_flatten_takes_out_uneven_light() -> None:
    light = np.tile(np.linspace(60, 200, 80), (40, 1))
    checks = np.indices((40, 80)).sum(0) % 2
    piece = cut((light * (1 - 0.4 * checks)).astype(np.uint8), Cut(side=24, flatten=6), "here")
    whole = np.concatenate([piece.exemplar, piece.held_out[:24]], axis=1)[:, 15:-15, 0]
    for value in (0, 1):
        part = whole[checks[:24, 15:-15] == value]
        assert part.std() < 0.03 * part.mean(), "each colour of the board is even"
    assert whole.min() < 0.65 * whole.max(), "and the board is still there"


def test_cut_too_small_is_named() -> None:
    with pytest.raises(BenchError, match="brick: the usable part is 20x40 pixels, smaller"):
        cut(photograph(), Cut(downscale=2, side=24), "brick")


def test_sweep_gives_a_set_and_rows_for_each_window(tmp_path: Path) -> None:
    context = stage(tmp_path, "texture_synthesis", {**SAMPLE, "windows": [5, 9]})
    result = run(context)
    assert context.samples is not None
    sets = read_image_samples(context.samples)
    assert [item.variant for item in sets] == ["window=5", "window=9"]
    assert sets[0].images is not None
    assert sets[0].images.shape == (4, 20, 22, 1)
    assert sets[0].prompts == ["one", "one", "two", "two"]
    assert (sets[0].images[0] != sets[0].images[1]).any(), "each picture has its own seed"
    assert sets[0].info["seconds_per_item"] > 0
    metrics = {record.metric for record in result.records}
    assert metrics == {"structure_error", "copied_share", "histogram_distance", "copied_run", "sample_flops_per_item"}
    mean = (
        value(result, "structure_error", "one", "window=5") + value(result, "structure_error", "two", "window=5")
    ) / 2
    assert value(result, "structure_error", "", "window=5") == pytest.approx(mean)
    assert value(result, "copied_run", "", "window=9") > 1.0
    overall = next(r for r in result.records if r.metric == "structure_error" and not r.slice)
    assert overall.ci95 is not None
    assert overall.value is not None
    assert overall.ci95[0] <= overall.value <= overall.ci95[1]
    assert overall.n == 4


def test_gallery_follows_the_schema(tmp_path: Path) -> None:
    (entry,) = run(stage(tmp_path, "dummy_texture", {**SAMPLE, "size": [24, 24]})).extras["gallery"]
    assert entry["alt"]
    assert entry["captions"] == ["one", "two"]
    assert entry["columns"] == 2
    assert (
        data_uri_size(entry["png"])
        == data_uri_size(entry["source_png"])
        == data_uri_size(entry["real_png"])
        == (2 * 24 + 2, 24)
    )


def test_drawing_twice_gives_the_same_pictures(tmp_path: Path) -> None:
    context = stage(tmp_path, "texture_synthesis", {**SAMPLE, "windows": [5]})
    first, second = sample(context), sample(context)
    assert first[0].images is not None
    assert second[0].images is not None
    np.testing.assert_array_equal(first[0].images, second[0].images)


def test_an_exemplar_may_have_a_name_of_its_own(tmp_path: Path) -> None:
    settings = {**SAMPLE, "exemplars": {"corner": {"of": "one", "side": 24}}, "pictures": 1, "windows": [5]}
    (samples,) = sample(stage(tmp_path, "texture_synthesis", settings))
    assert samples.prompts == ["corner"]


def test_structure_error_at_every_scale_is_a_row(tmp_path: Path) -> None:
    context = stage(tmp_path, "dummy_texture", SAMPLE)
    context.block["evaluate"]["patches"] = [5, 9]  # type: ignore[index]
    result = run(context)
    rows = {r.protocol: r.value for r in result.records if r.metric == "structure_error" and not r.slice}
    mean, *scales = (rows[f"structure_error/patches={patches}/size=20x22/v1"] for patches in ("5+9", "5", "9"))
    assert mean == pytest.approx(np.mean(scales))
    assert scales[0] != scales[1]


def test_floor_generator_memoriser_and_ceiling_come_in_order(tmp_path: Path) -> None:
    systems = ("dummy_texture", "texture_synthesis", "memoriser_texture", "real_texture")
    results = {name: run(stage(tmp_path / name, name, SAMPLE)) for name in systems}
    structure = {name: value(result, "structure_error") for name, result in results.items()}
    copied = {name: value(result, "copied_share") for name, result in results.items()}
    assert structure["texture_synthesis"] < 0.2 * structure["dummy_texture"]
    assert structure["real_texture"] < 0.2 * structure["dummy_texture"]
    assert copied["memoriser_texture"] > 0.5, "the planted memoriser is flagged (all but the seams of its tiles)"
    assert copied["dummy_texture"] == copied["real_texture"] == 0.0
    assert value(results["dummy_texture"], "histogram_distance") < 0.05


def test_a_picture_of_the_exemplar_itself_has_no_error(tmp_path: Path) -> None:
    context = stage(tmp_path, "memoriser_texture", {**SAMPLE, "size": [24, 24], "pictures": 1})
    sets = sample(context)
    pieces = [cut(photograph(i), Cut(side=24), "here").exemplar for i in range(2)]
    assert sets[0].images is not None
    assert context.samples is not None
    sets[0].images[:] = np.stack(pieces)
    write_image_samples(context.samples, sets)
    result = evaluate(context)
    assert value(result, "structure_error") == value(result, "histogram_distance") == 0.0
    assert value(result, "copied_share") == 1.0
    assert next(r for r in result.records if r.metric == "copied_share").ci95 is None, "one picture has no spread"


def test_grey_and_colour_together(tmp_path: Path) -> None:
    colour = np.repeat(photograph()[:, :, None], 3, axis=2)
    context = stage(tmp_path, "dummy_texture", SAMPLE, {"one": photograph(), "two": colour})
    (samples,) = sample(context)
    assert samples.images is not None
    assert samples.images.shape == (4, 20, 22, 3)
    np.testing.assert_array_equal(samples.images[0, :, :, 0], samples.images[0, :, :, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exemplars": {"oen": {}}}, "no picture 'oen'.*Did you mean 'one'"),
        ({"exemplars": {"board": {"of": "oen"}}}, "no picture 'oen'.*Did you mean 'one'"),
        ({"exemplars": {"one": {"sdie": 4}}}, r"exemplars\.one: unknown key 'sdie'.*Did you mean 'side'"),
        ({"exemplars": {}}, "name at least one of one, two"),
        ({"widnows": [5]}, "unknown key 'widnows'.*Did you mean 'windows'"),
        ({"holes": {"side": 60}}, "4 holes of 60 pixels with a margin of 12 do not fit"),
        ({"holes": {"sdie": 6}}, r"sample\.holes: unknown key 'sdie'.*Did you mean 'side'"),
        ({"windows": [31]}, "smaller than the window"),
    ],
)
def test_bad_settings_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        sample(stage(tmp_path, "texture_synthesis", {**SAMPLE, **change}))


def test_histogram_distance_is_scipys() -> None:
    from scipy.stats import wasserstein_distance

    one, two = (
        np.random.default_rng(seed).integers(0, top, (9, 7, 1)).astype(np.uint8) for seed, top in ((0, 256), (1, 99))
    )
    assert histogram_distance(one, two) == pytest.approx(wasserstein_distance(one.ravel(), two.ravel()) / 255)


def test_mean_run_counts_rows_of_the_exemplar() -> None:
    rows, columns = np.indices((3, 6))
    assert mean_run(np.stack([rows, columns], axis=-1)) == 6.0
    assert mean_run(np.stack([rows, columns * 2], axis=-1)) == 1.0
    given = np.full((3, 6, 2), -1)
    assert mean_run(given) == 1.0, "given pixels were not copied"


def test_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([1.0, 5.0, 9.0])
    hits = 0
    for _ in range(2000):
        interval = stratified_t_ci(truth[:, None] + rng.normal(size=(3, 3)))
        assert interval is not None
        hits += interval[0] <= 5.0 <= interval[1]
    assert 0.93 < hits / 2000 < 0.97
