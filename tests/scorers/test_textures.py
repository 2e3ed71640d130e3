"""Cutting, sampling and scoring of textures, on small pictures."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from bench.base.errors import BenchError
from bench.base.files import read_image_samples, write_image_samples, write_json, write_npz
from bench.catalogue.families import FAMILIES
from bench.context import StageContext
from bench.families.by_example.textures.dummy_texture import DummyTexture
from bench.families.by_example.textures.sampling import Cut, cut, sample
from bench.results.extras import Gallery, Note, of_kind
from bench.scoring import Evaluation, evaluate

SCORERS = FAMILIES["by_example"].task("Synthesizer").scorers


def photograph(seed: int = 0) -> NDArray[np.uint8]:
    """Diagonal stripes with noise: structure that shuffled pixels lose."""
    y, x = np.indices((40, 80))
    return (((x + y) % 8) * 28 + np.random.default_rng(seed).integers(0, 8, (40, 80))).astype(np.uint8)


def stage(
    tmp_path: Path, system: str, sample: dict[str, Any], pictures: dict[str, NDArray[np.uint8]] | None = None
) -> StageContext:
    write_npz(tmp_path / "data" / "exemplars.npz", pictures or {"one": photograph(), "two": photograph(1)})
    write_json(tmp_path / "model" / "model.json", {"name": system, "system": system, "config": {}})
    block = {
        "system": system,
        "dataset": "textures",
        "role": "ceiling" if system == "real_texture" else "generator",
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
    return evaluate(context, SCORERS)


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
    assert metrics == {
        "texture_distance",
        "near_copied_share",
        "structure_error",
        "copied_share",
        "histogram_distance",
        "copied_run",
        "sample_flops_per_item",
    }
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


def test_gallery_shows_exemplars_and_other_pieces(tmp_path: Path) -> None:
    result = run(stage(tmp_path, "dummy_texture", {**SAMPLE, "size": [24, 24]}))
    (gallery,) = of_kind(result.extras, Gallery)
    assert gallery.alt
    assert gallery.captions == ("one", "two")
    assert gallery.columns == 2
    for content in (gallery.png, gallery.source_png, gallery.real_png):
        assert content is not None
        with Image.open(io.BytesIO(content)) as image:
            assert image.size == (2 * 24 + 2, 24)


def test_sampling_twice_gives_the_same_pictures(tmp_path: Path) -> None:
    context = stage(tmp_path, "texture_synthesis", {**SAMPLE, "windows": [5]})
    first, second = sample(context), sample(context)
    assert first[0].images is not None
    assert second[0].images is not None
    np.testing.assert_array_equal(first[0].images, second[0].images)


def test_an_exemplar_may_have_a_name_of_its_own(tmp_path: Path) -> None:
    settings = {**SAMPLE, "exemplars": {"corner": {"of": "one", "side": 24}}, "pictures": 1, "windows": [5]}
    (samples,) = sample(stage(tmp_path, "texture_synthesis", settings))
    assert samples.prompts == ["corner"]


def test_the_held_out_piece_goes_to_the_ceiling_alone(tmp_path: Path) -> None:
    """A generator that takes any option must not see what holes are taken out of."""
    seen: list[dict[str, Any]] = []

    class Curious(DummyTexture):
        def synthesize(self, *args: Any, **options: Any) -> NDArray[np.uint8]:
            seen.append(options)
            return super().synthesize(*args, **options)

    for role in ("generator", "ceiling"):
        context = stage(tmp_path / role, "dummy_texture", {**SAMPLE, "pictures": 1})
        block = {**context.block, "role": role}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("bench.families.by_example.textures.dummy_texture.DummyTexture", Curious)
            sample(dataclasses.replace(context, block=block))
    assert ["held_out" in options for options in seen] == [False, False, True, True]


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
    distance = {name: value(result, "texture_distance") for name, result in results.items()}
    nearly = {name: value(result, "near_copied_share") for name, result in results.items()}
    assert distance["real_texture"] < distance["texture_synthesis"] < 0.5 * distance["dummy_texture"]
    assert distance["real_texture"] == pytest.approx(1.0, abs=0.25)
    assert nearly["memoriser_texture"] >= copied["memoriser_texture"]
    assert nearly["dummy_texture"] == 0.0
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
    result = evaluate(context, SCORERS)
    assert value(result, "structure_error") == value(result, "histogram_distance") == 0.0
    assert value(result, "copied_share") == 1.0
    assert next(r for r in result.records if r.metric == "copied_share").ci95 is None, "one picture has no spread"


def scored(tmp_path: Path, name: str, change: Any, role: str = "generator") -> Evaluation:
    """Pictures of the exemplar's size, each made by ``change`` of the exemplar."""
    context = stage(tmp_path, "memoriser_texture", {**SAMPLE, "size": [24, 24], "pictures": 1})
    context = dataclasses.replace(context, block={**context.block, "role": role})
    sets = sample(context)
    assert sets[0].images is not None
    assert context.samples is not None
    sets[0].images[:] = np.stack([change(cut(photograph(i), Cut(side=24), "here").exemplar) for i in range(2)])
    write_image_samples(context.samples, sets)
    return evaluate(context, SCORERS)


def test_flat_colour_and_blur_lose_and_a_shifted_copy_is_found(tmp_path: Path) -> None:
    made: dict[str, Any] = {
        "copy": lambda one: one,
        "shifted": lambda one: one + np.uint8(1),
        "flat": lambda one: np.full_like(one, round(one.mean())),
        "blurred": lambda one: gaussian_filter(one, 1, axes=(0, 1)),
    }
    results = {name: scored(tmp_path / name, name, change) for name, change in made.items()}
    real = value(run(stage(tmp_path / "real", "real_texture", SAMPLE)), "texture_distance")
    distance = {name: value(result, "texture_distance") for name, result in results.items()}
    assert 0.8 < distance["copy"] <= 1.0, "one more real piece; below 1 where the unit is the least one"
    assert min(distance["flat"], distance["blurred"]) > 3 * max(real, distance["copy"])
    assert value(results["shifted"], "copied_share") == 0.0
    assert value(results["shifted"], "near_copied_share") == 1.0
    assert value(results["flat"], "near_copied_share") == 0.0


def test_the_reference_is_the_piece_that_the_system_has_not_seen(tmp_path: Path) -> None:
    """The exemplar itself is one more real piece for a generator, and no distance away for the ceiling."""
    found = {
        role: value(scored(tmp_path / role, role, lambda one: one, role), "texture_distance")
        for role in ("generator", "ceiling")
    }
    assert 0.8 < found["generator"] <= 1.0
    assert found["ceiling"] == 0.0


def test_without_a_held_out_piece_there_is_no_distance_but_a_note(tmp_path: Path) -> None:
    square = photograph()[:, :40]
    settings = {**SAMPLE, "exemplars": {"one": {"side": 40}}, "size": [20, 22]}
    result = run(stage(tmp_path, "dummy_texture", settings, {"one": square}))
    metrics = {record.metric for record in result.records}
    assert "texture_distance" not in metrics
    assert "structure_error" in metrics
    assert any(
        "no texture distance, because nothing is held out beside one" in note.text
        for note in of_kind(result.extras, Note)
    )


def test_the_protocol_of_the_distance_says_how_many_levels_fit(tmp_path: Path) -> None:
    for size, levels in (([14, 22], 2), ([24, 30], 3)):
        result = run(stage(tmp_path / str(levels), "dummy_texture", {**SAMPLE, "size": size}))
        (protocol,) = {record.protocol for record in result.records if record.metric == "texture_distance"}
        assert f"/ref=unseen/directions=64/levels={levels}/patch=3/size={size[0]}x{size[1]}/v1" in protocol


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


def test_growth_of_a_system_that_counts_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        BenchError, match=r"by_example\.test-dummy_texture\.sample\.growth: dummy_texture does not count"
    ):
        sample(stage(tmp_path, "dummy_texture", {**SAMPLE, "growth": {}}))
