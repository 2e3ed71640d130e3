"""Questions, answers, floors and rows of image analogies, on small pictures."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bench.base.errors import BenchError
from bench.base.files import read_image_samples, write_image_samples, write_json, write_npz
from bench.catalogue.families import FAMILIES
from bench.catalogue.systems import BUILT_IN
from bench.context import StageContext
from bench.data.datasets import load
from bench.families.by_example.analogies.sampling import asked, sample
from bench.families.by_example.analogies.tasks import OPTIONS, Question, SampleConfig, grey, questions
from bench.families.by_example.exemplars import NothingToSet
from bench.results.extras import Curve, Gallery, Items, Strip, Table, of_kind, write_extras
from bench.scorers.analogies.floors import floors, single_pixel
from bench.scoring import Evaluation, evaluate

Picture = NDArray[np.uint8]
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "brick", "grass", "gravel")
SAMPLE: dict[str, Any] = {
    "pictures": ["chelsea", "coffee"],
    "side": 32,
    "crop": 12,
    "crops": 2,
    "tasks": dict.fromkeys(("blur", "edge", "super-resolution", "colourise", "texture-by-numbers", "texture-transfer")),
    "variants": [{"kappa": 0}, {"kappa": 6}],
    "timed": {"task": "blur", "side": 36},
}


def photograph(seed: int, grey_one: bool = False) -> Picture:
    raw = np.random.default_rng(seed).normal(size=(44, 64, 1 if grey_one else 3)).cumsum(axis=0).cumsum(axis=1)
    made = np.clip(raw * 5 + 128, 0, 255).astype(np.uint8)
    return made[:, :, 0] if grey_one else made


def stage(tmp_path: Path, sample: dict[str, Any], kind: str = "textures") -> StageContext:
    data = tmp_path / "data"
    if kind == "textures":
        write_npz(data / "exemplars.npz", {name: photograph(i, i > 2) for i, name in enumerate(PHOTOGRAPHS)})
    else:
        for split, count in (("train", 6), ("validation", 1), ("test", 4)):
            before = np.stack([np.repeat(photograph(10 + i)[:20, :20, :1], 3, axis=2) for i in range(count)])
            groups = np.array([("cats", "dogs")[i % 2] for i in range(count)])
            write_npz(
                data / f"{split}.npz", {"before": before, "after": 255 - before, "names": groups, "groups": groups}
            )
    write_json(data / "meta.json", {"kind": kind})
    write_json(tmp_path / "model" / "model.json", {"name": "an", "system": "image_analogies", "config": {"levels": 2}})
    return StageContext(
        name="an",
        family="by_example",
        block={"system": "image_analogies", "dataset": "photos", "sample": sample, "evaluate": {"shown": "kappa=6"}},
        seed=0,
        device="cpu",
        data=data,
        model=tmp_path / "model",
        samples=tmp_path / "samples.npz",
        quiet=True,
    )


def run(context: StageContext) -> Evaluation:
    assert context.samples is not None
    write_image_samples(context.samples, sample(context))
    return evaluate(context, FAMILIES["by_example"].task("AnalogySolver").scorers)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> tuple[StageContext, Evaluation]:
    context = stage(tmp_path_factory.mktemp("photographs"), SAMPLE)
    return context, run(context)


def value(result: Evaluation, metric: str, variant: str, part: str = "") -> float:
    (found,) = [r.value for r in result.records if (r.metric, r.variant, r.slice) == (metric, variant, part)]
    assert found is not None
    return found


def test_samples_hold_every_variant_task_and_search(outcome: tuple[StageContext, Evaluation]) -> None:
    assert outcome[0].samples is not None
    sets = {item.variant: item for item in read_image_samples(outcome[0].samples)}
    assert list(sets) == [
        *("kappa=0", "kappa=6", "task=texture-by-numbers", "task=texture-transfer"),
        *("task=blur,search=exact", "task=blur,search=ann"),
    ]
    for variant in ("kappa=0", "kappa=6"):
        images = sets[variant].images
        assert images is not None and images.shape == (4 * 4, 12, 12, 3)
        assert sets[variant].extra["sources"].shape == (16, 12, 12, 3)
    assert sets["kappa=0"].prompts is not None and sets["kappa=0"].prompts[0] == "blur: chelsea 1"


def test_rows_of_variants_and_floors(outcome: tuple[StageContext, Evaluation]) -> None:
    _, result = outcome
    assert value(result, "psnr", "kappa=0", "blur") > value(result, "psnr", "floor=identity", "blur")
    assert value(result, "copied_run", "kappa=6") > value(result, "copied_run", "kappa=0")
    main = [value(result, "psnr", "kappa=0", part) for part in ("blur", "edge")]
    assert value(result, "psnr", "kappa=0") == pytest.approx(np.mean(main)), (
        "rows without a slice are the planted filters"
    )
    roles = {r.variant: r.role for r in result.records}
    assert {variant: role for variant, role in roles.items() if variant.startswith("floor=")} == dict.fromkeys(
        ("floor=identity", "floor=single-pixel", "floor=bicubic"), "floor"
    )
    assert roles["kappa=0"] == roles["task=blur,search=ann"] == "generator"
    assert [r.slice for r in result.records if r.variant == "floor=bicubic" and r.metric == "psnr"] == [
        "super-resolution"
    ]
    sliced = {r.protocol for r in result.records if r.metric == "psnr" and not r.variant.startswith("task=")}
    assert sliced == {"psnr/analogy/size=12x12/v1"}
    assert {r.protocol for r in result.records if r.variant.startswith("task=blur") and r.metric == "psnr"} == {
        "psnr/analogy/example=36/size=12x12/v1"
    }
    several = [r for r in result.records if r.n > 2 and r.value is not None]
    assert all(r.ci95[0] <= r.value <= r.ci95[1] for r in several if r.ci95 is not None)
    assert sum(r.ci95 is not None for r in several) > len(several) / 2


def test_items_of_claims_are_the_pictures_behind_the_rows(outcome: tuple[StageContext, Evaluation]) -> None:
    _, result = outcome
    items = of_kind(result.extras, Items)
    assert {"kappa=0", "kappa=6", "floor=identity", "task=blur,search=ann"} <= {each.variant for each in items}
    for each in items:
        assert each.metric == "psnr"
        assert len(each.totals) == len(each.weights) == (4 if each.variant.startswith("task=") else 8)
        assert value(result, "psnr", each.variant) == pytest.approx(np.mean(each.totals), abs=1e-3)


def test_pictures_and_tables_of_the_report(outcome: tuple[StageContext, Evaluation], tmp_path: Path) -> None:
    _, result = outcome
    json.dumps(write_extras(tmp_path / "extras", result.extras), allow_nan=False)
    galleries = of_kind(result.extras, Gallery)
    assert [gallery.title.split(":")[0] for gallery in galleries] == [
        *("Blur", "Edge", "Super resolution", "Colourise", "Texture by numbers", "Texture transfer")
    ]
    for gallery in galleries:
        assert gallery.alt and len(gallery.captions) % gallery.columns == 0
        with Image.open(io.BytesIO(gallery.png)) as image:
            assert (image.width + 2) % gallery.columns == 0
    assert galleries[0].variant == "kappa=6"
    assert galleries[0].captions[:5] == ("A", "A′", "B: chelsea 2", "B′", "right answer")
    (table,), (strip,) = of_kind(result.extras, Table), of_kind(result.extras, Strip)
    assert [row[0] for row in table.rows] == ["exact", "ann"]
    assert [curve.y for curve in of_kind(result.extras, Curve)] == ["PSNR, dB", "copied run, px"]
    assert strip.captions == ("B", "kappa=0", "kappa=6")


def test_same_samples_again(outcome: tuple[StageContext, Evaluation]) -> None:
    context, _ = outcome
    assert context.samples is not None
    before = context.samples.read_bytes()
    sets = [one.__class__(**{**vars(one), "info": {}}) for one in sample(context)]
    write_image_samples(context.samples, sets)
    again = {item.variant: item for item in read_image_samples(context.samples)}
    context.samples.write_bytes(before)
    for item in read_image_samples(context.samples):
        np.testing.assert_array_equal(item.images, again[item.variant].images)


def test_line_art_is_asked_group_by_group(tmp_path: Path) -> None:
    context = stage(tmp_path, {"tasks": {"line-art": {"kappa": 0}}, "variants": [{}]}, kind="pairs")
    listed = asked(context)[0][""]
    assert [(q.names[0], len(q.pairs), len(q.pictures)) for q in listed] == [("cats", 3, 2), ("dogs", 3, 2)]
    result = run(context)
    assert value(result, "psnr", "", "line-art") == value(result, "psnr", "") > 60, (
        "B stands among A: nearly every pixel is found"
    )
    assert value(result, "psnr", "floor=nearest-example") == 100.0
    assert value(result, "psnr", "floor=identity") < 20


def test_single_pixel_is_the_mean_of_a_prime_at_that_luminance() -> None:
    a = np.array([[10, 10, 200]], np.uint8)
    a_prime = np.array([[[30, 0, 0], [50, 0, 0], [0, 90, 0]]], np.uint8)
    question = Question("line-art", [(a, a_prime)], ["x"], [np.array([[11, 190]], np.uint8)])
    assert single_pixel(question, question.pictures[0]).tolist() == [[[40, 0, 0], [0, 90, 0]]]
    keeps = Question("blur", [(a, np.array([[60, 80, 240]], np.uint8))], ["x"], [np.full((1, 1, 3), 10, np.uint8)])
    assert single_pixel(keeps, keeps.pictures[0]).tolist() == [[[70, 70, 70]]]


def test_floors_of_super_resolution_are_bicubic_and_repeated_pixels(tmp_path: Path) -> None:
    context = stage(tmp_path, {**SAMPLE, "tasks": {"super-resolution": {}}, "timed": None})
    question = asked(context)[0][""][0]
    found = floors(question)
    assert set(found) == {"identity", "bicubic", "single-pixel"}
    np.testing.assert_array_equal(found["bicubic"][0], question.pictures[0])
    np.testing.assert_array_equal(found["identity"][0], question.small[0].repeat(2, 0).repeat(2, 1))
    assert question.truths is not None and question.small[0].shape == (6, 6, 3)


def test_questions_that_cannot_be_asked(tmp_path: Path) -> None:
    def refuse(match: str, kind: str = "textures", **changed: Any) -> None:
        context = stage(tmp_path / match[:6].strip(), {**SAMPLE, **changed}, kind)
        with pytest.raises(BenchError, match=match):
            sample(context)

    refuse("unknown key 'blurr'. Did you mean 'blur'", tasks={"blurr": {}})
    refuse("name at least one of blur", tasks={})
    refuse("line-art needs pairs before and after", tasks={"line-art": {}})
    refuse("blur needs photographs", kind="pairs", tasks={"blur": {}})
    refuse("no picture 'chelsy' in the data set", pictures=["chelsy"])
    refuse("40 pixels do not fit", crop=40)
    refuse("one of blur, edge, emboss, painterly, not 'numbers'", timed={"task": "numbers"})
    refuse("unknown key 'taks'", taks={})


class Inverting:
    """A solver that can do nothing but answer: B turned to its negative, as long as A' is nearer to that of A."""

    Config: ClassVar[type] = NothingToSet
    CONTRACT: ClassVar[str] = "AnalogySolver"

    def __init__(self, config: NothingToSet) -> None:
        self.config = config

    def save(self, folder: Path) -> None:
        """Nothing is kept."""

    @classmethod
    def load(cls, folder: Path, config: NothingToSet, device: str = "cpu") -> Inverting:
        return cls(config)

    def analogy(self, a: Picture, a_prime: Picture, b: Picture, seed: int = 0, **options: Any) -> Picture:
        same, negative = (np.abs(a_prime.astype(float) - picture).mean() for picture in (a, 255 - a))
        return 255 - b if negative < same else b


def second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], kind: str) -> StageContext:
    monkeypatch.setitem(BUILT_IN, "inverting", f"{__name__}:Inverting")
    context = stage(tmp_path, settings, kind)
    write_json(context.model / "model.json", {"name": "an", "system": "inverting", "config": {}})
    return dataclasses.replace(context, block={**context.block, "system": "inverting", "evaluate": {}})


def test_a_solver_with_the_contract_alone_is_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = second(tmp_path, monkeypatch, {"tasks": {"line-art": {}}, "variants": [{}]}, "pairs")
    result = run(context)
    assert value(result, "psnr", "") == 100.0, "the pairs of this test are negatives"
    assert value(result, "psnr", "floor=identity") < 20
    assert not any(record.metric == "copied_run" for record in result.records), "it says nothing of its sources"
    assert context.samples is not None
    (samples,) = read_image_samples(context.samples)
    assert samples.prompts is not None and len(samples.prompts) == 4 and not samples.extra


def test_searches_of_a_solver_without_any_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BenchError, match=r"by_example\.an\.sample\.timed: inverting has no two searches"):
        sample(second(tmp_path, monkeypatch, SAMPLE, "textures"))


def test_known_answers_are_the_filter_of_b(tmp_path: Path) -> None:
    context = stage(tmp_path, SAMPLE)
    data = load(context.data)
    config = SampleConfig(**{**SAMPLE, "pictures": ("chelsea", "coffee"), "timed": None})
    for question in questions(data, config, "here"):
        assert question.task in OPTIONS
        if question.task == "colourise":
            assert question.truths is not None
            np.testing.assert_array_equal(question.pictures[0], grey(question.truths[0]))
        if question.task == "texture-by-numbers":
            labels, made = question.pairs[0]
            assert labels.shape == made.shape
            assert len(np.unique(question.pictures[0].reshape(-1, 3), axis=0)) == 3
