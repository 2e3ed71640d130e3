"""Sampling and scoring on scenes whose pixels spell out their content, read by a perfect detector."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import registry
from bench.base.files import read_image_samples, write_image_samples, write_json
from bench.catalogue.families import FAMILIES
from bench.context import StageContext
from bench.contracts import RunContext
from bench.data.datasets import ImageSplit, write_images
from bench.data.scenes import draw_layout
from bench.families.text_to_image.matching import asked_arrays
from bench.families.text_to_image.prompts import Suite, build_suite
from bench.families.text_to_image.sampling import sample as draw
from bench.metrics.compositional import Detections
from bench.results.extras import Curve, Gallery, Note, Table, of_kind
from bench.results.records import Record
from bench.scene_language import COLOURS, parse_caption
from bench.scoring import Evaluation, evaluate
from bench.stats.intervals import wilson_interval

BLOCKS = {
    "dummy-scenes": {"system": "dummy_scenes", "role": "floor"},
    "memoriser-scenes": {"system": "memoriser_scenes", "role": "memoriser"},
    "real-scenes": {"system": "real_scenes", "role": "ceiling"},
}
SCORERS = FAMILIES["text_to_image"].task("TextToImage").scorers
SMALL = {"singles": 1, "colourless": 10, "counts": 8, "relations": 24, "captions": 300, "strip": 0}
SCORE = {"minimum_n": 200, "neighbours": 100}


def spell(digits: np.ndarray, colours: np.ndarray, centres: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """8x8 pictures: pixel (0, k) holds digit, colour of object k; pixel (1, k) its place; the rest is noise."""
    images = rng.integers(0, 40, (len(digits), 8, 8, 3)).astype(np.uint8)
    images[:, 0, :4, 0] = np.where(digits >= 0, 20 * digits + 20, 0)
    images[:, 0, :4, 1] = np.where(digits >= 0, 25 * colours + 25, 0)
    images[:, 1, :4, :2] = centres.clip(0, 255)
    return images


class Detector:
    """Reads what :func:`spell` wrote."""

    def detect(self, images: np.ndarray) -> Detections:
        values = images.astype(np.int64)
        there = values[:, 0, :4, 0] >= 15
        digits = np.where(there, ((values[:, 0, :4, 0] - 20) / 20).round(), -1).astype(np.int64).clip(-1, 9)
        colours = np.where(there, ((values[:, 0, :4, 1] - 25) / 25).round(), -1).astype(np.int64).clip(-1, 7)
        centres = values[:, 1, :4, :2].astype(np.float64)
        return Detections(there.sum(1), digits, colours, centres, there.astype(np.float64))

    def embed_images(self, images: np.ndarray) -> np.ndarray:
        return images[:, :2, :4, :2].reshape(len(images), -1).astype(np.float32) / 50


class Clip:
    """Compares the digit and colour of the first object."""

    def _embed(self, digits: np.ndarray, colours: np.ndarray) -> np.ndarray:
        one_hot = np.concatenate([np.eye(11)[digits], np.eye(9)[colours]], axis=1)
        return one_hot.astype(np.float32)

    def embed_images(self, images: np.ndarray) -> np.ndarray:
        seen = Detector().detect(images)
        return self._embed(seen.digits[:, 0], seen.colours[:, 0])

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        asked = asked_arrays(texts)
        return self._embed(asked["digits"][:, 0], asked["colours"][:, 0])


class Painter:
    """A generator that gets the digit right more often with guidance, always the colour, and minds negative prompts."""

    def sample(
        self, prompts: Sequence[str], seed: int, guidance: float = 1.0, negative_prompts: Any = None, **options: Any
    ) -> np.ndarray:
        asked, rng = asked_arrays(prompts), np.random.default_rng(seed)
        n = len(prompts)
        wrong = rng.random((n, 4)) > min(0.95, 0.4 + 0.2 * guidance)
        digits = np.where((asked["digits"] >= 0) & wrong, (asked["digits"] + 3) % 10, asked["digits"])
        free = rng.integers(0, 8, (n, 4))
        if negative_prompts is not None:
            banned = np.array([list(COLOURS).index(name) if name else -1 for name in negative_prompts])[:, None]
            free = np.where(free == banned, (free + 1) % 8, free)
        colours = np.where((asked["digits"] >= 0) & (asked["colours"] < 0), free, asked["colours"])
        centres = np.tile(np.array([[40, 40], [40, 200], [200, 40], [200, 200]]), (n, 1, 1))
        return spell(digits, colours, centres, rng)


def scenes(n: int, seed: int, all_pairs: bool) -> ImageSplit:
    rng = np.random.default_rng(seed)
    layout = draw_layout(n, rng, all_pairs=all_pairs)
    truth = layout.truth()
    centres = np.where(truth["digits"][..., None] >= 0, truth["centres"] * 6, 0)
    return ImageSplit(spell(truth["digits"], truth["colours"], centres, rng), None, layout.captions(), truth)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scenes")
    pairs = {"train": False, "validation": False, "test": True, "judge": True}
    splits = {name: scenes(1500, i, every) for i, (name, every) in enumerate(pairs.items())}
    write_images(root / "data", splits)
    for name, block in BLOCKS.items():
        cls = registry.resolve(block["system"])
        system = cls(cls.Config())
        system.fit(splits, RunContext(seed=1))
        (root / "models" / name).mkdir(parents=True)
        system.save(root / "models" / name)
        write_json(
            root / "models" / name / "model.json",
            {"name": name, "system": block["system"], "config": dataclasses.asdict(cls.Config())},
        )
    return root


def run(root: Path, name: str, monkeypatch: pytest.MonkeyPatch, **sample: Any) -> tuple[Evaluation, list[Any]]:
    real, fakes = registry.load_model, {"det": Detector(), "clip-a": Clip(), "clip-b": Clip(), "painter": Painter()}
    monkeypatch.setattr(registry, "load_model", lambda folder, *rest: fakes.get(folder.name) or real(folder, *rest))
    block = {
        **BLOCKS.get(name, {"system": "latent_diffusion"}),
        "dataset": "scenes",
        "sample": {**SMALL, **sample},
        "evaluate": SCORE,
    }
    samples = root / f"{name}.npz"
    models = {"detector": Path("det"), "scorer": Path("clip-b")}
    if name not in BLOCKS:  # floors and ceilings are conditioned by nothing
        models["text_encoder"] = Path("clip-a")
    folder = root / "models" / name
    context = StageContext(
        name, "text_to_image", block, 0, "cpu", root / "data", folder, models, samples=samples, quiet=True
    )
    write_image_samples(samples, draw(context))
    return evaluate(context, SCORERS), read_image_samples(samples)


def value(evaluation: Evaluation, metric: str, slice_: str = "", variant: str | None = None) -> float:
    rows: list[Record] = [r for r in evaluation.records if r.metric == metric and r.slice == slice_]
    rows = [r for r in rows if variant is None or r.variant == variant]
    assert len(rows) == 1, (metric, slice_, variant, len(rows))
    assert rows[0].value is not None
    return rows[0].value


def test_floor_memoriser_and_ceiling(root: Path, monkeypatch: pytest.MonkeyPatch):
    dummy, copier, real = (run(root, name, monkeypatch)[0] for name in BLOCKS)
    assert value(real, "both_accuracy") == 1.0  # a scene for each of the 80 pairs exists, and the detector is perfect
    assert value(real, "both_accuracy", "unseen-combinations") == 1.0
    assert value(real, "relation_accuracy") == 1.0 and value(real, "count_accuracy", "count=3") == 1.0
    assert value(copier, "both_accuracy", "seen-combinations") > 0.8
    assert value(copier, "both_accuracy", "unseen-combinations") == 0.0  # it cannot show what it never saw
    assert value(dummy, "both_accuracy") < 0.1 and value(dummy, "relation_accuracy") < 0.1
    assert value(real, "fid") < value(dummy, "fid") and value(real, "fid_ratio") < 5
    near = [[r.value for r in one.records if r.metric == "near_copy_share"] for one in (copier, real)]
    assert max(near[0]) > 0.9 > 0.1 > max(near[1]) and len(near[0]) == len(near[1]) == 2
    suspected = [any("Copying" in note.text for note in of_kind(one.extras, Note)) for one in (copier, real)]
    assert suspected == [True, False]
    assert value(real, "clip_score") > value(dummy, "clip_score")


def test_guidance_sweep_and_negative_prompts(root: Path, monkeypatch: pytest.MonkeyPatch):
    variants = [
        {"guidance": 2.5},
        {"guidance": 1.0, "captions": 0},
        {"guidance": 0.5, "captions": 0},
        {"guidance": 0.0, "captions": 0},
    ]
    evaluation, sets = run(root, "painter", monkeypatch, variants=variants, negatives=40)
    fidelity = [value(evaluation, "both_accuracy", "", f"guidance={g}") for g in (0.0, 0.5, 1.0, 2.5)]
    assert fidelity == sorted(fidelity) and fidelity[-1] > fidelity[0] + 0.15
    assert value(evaluation, "colour_accuracy", "", "guidance=1.0") == 1.0
    assert {r.variant for r in evaluation.records if r.metric == "fid"} == {"guidance=2.5"}
    plain = value(evaluation, "attribute_rate", "", "guidance=2.5,negative=none")
    assert plain == pytest.approx(1 / 8, abs=0.05)
    assert value(evaluation, "attribute_rate", "", "guidance=2.5,negative=colour") == 0.0
    (pooled,) = [r for r in evaluation.records if (r.metric, r.slice, r.value) == ("attribute_rate", "", 0.0)]
    assert (
        pooled.ci95 == wilson_interval(0, 40) and pooled.ci95[1] > 0.05
    )  # of 40 pictures, though 8 colours are looked for in each
    assert len([s for s in sets if s.info["kind"] == "negative"]) == 9
    assert value(evaluation, "agreement", "clip-rankings") == pytest.approx(1.0)
    table = next(t for t in of_kind(evaluation.extras, Table) if t.title == "Negative prompts")
    assert [row[0] for row in table.rows] == list(COLOURS)
    assert any(c.title.startswith("Single digits right") for c in of_kind(evaluation.extras, Curve))
    gallery = of_kind(evaluation.extras, Gallery)[0]
    assert len(gallery.captions) == 40 and gallery.png.startswith(b"\x89PNG")


def test_conditioning_clip_has_a_protocol_of_its_own_and_no_rank(root: Path, monkeypatch: pytest.MonkeyPatch):
    evaluation, _ = run(root, "painter", monkeypatch)
    scores = {r.slice: r for r in evaluation.records if r.metric == "clip_score"}
    assert scores[""].protocol.startswith("clip_score/clip-b/") and scores[""].higher_is_better is True
    biased = scores["conditioning-clip"]
    assert (
        biased.protocol.startswith("clip_score/clip-a/")
        and "role=conditions" in biased.protocol
        and biased.higher_is_better is None
    )
    table = next(t for t in of_kind(evaluation.extras, Table) if t.title.startswith("CLIP scores"))
    real, drawn = table.rows[0][1:], table.rows[1][1:]
    assert real[0] == real[1] > max(drawn)  # one in eight real captions names no colour, all others fit exactly
    floor, _ = run(root, "dummy-scenes", monkeypatch)
    assert {r.slice for r in floor.records if r.metric == "clip_score"} == {""}


def test_every_record_has_an_interval_around_its_value(root: Path, monkeypatch: pytest.MonkeyPatch):
    evaluation, _ = run(root, "memoriser-scenes", monkeypatch)
    for record in evaluation.records:
        assert record.ci95 is not None and record.ci95[0] - 1e-9 <= record.value <= record.ci95[1] + 1e-9, record
        assert record.n > 0 and record.role == "memoriser"


def test_suite():
    data = scenes(1500, 7, False)
    suite = build_suite(data.captions, data.captions, 3, singles=2, colourless=10, counts=6, relations=18, captions=50)
    assert suite.size == 160 + 10 + 18 + 18 and len(suite.prompts(30)) == suite.size + 30
    assert suite.part("single").sum() == 160 and suite.unseen[suite.part("single")].sum() == 16
    assert not suite.unseen[~suite.part("single")].any()
    relations = [parse_caption(t).relation for t, p in zip(suite.texts, suite.parts, strict=True) if p == "relation"]
    assert np.bincount(relations).tolist() == [5, 5, 4, 4]
    counted = [len(parse_caption(t).objects) for t, p in zip(suite.texts, suite.parts, strict=True) if p == "count"]
    assert sorted(counted) == [2] * 6 + [3] * 6 + [4] * 6
    again = build_suite(data.captions, data.captions, 3, singles=2, colourless=10, counts=6, relations=18, captions=50)
    assert again.texts == suite.texts and again.captions == suite.captions
    assert len(suite.shown()) == 40 and len({c for t in suite.shown()[:20] for c in t.split()[1:2]}) >= 6
    kept = Suite.of_samples(suite.prompts(30), suite.sizes)  # what a file of samples tells
    assert (kept.texts, kept.parts, kept.captions) == (suite.texts, suite.parts, suite.captions[:30])
    assert np.array_equal(kept.unseen, suite.unseen) and np.array_equal(kept.repeat, suite.repeat)


def test_prompts_of_another_program_tell_their_own_parts():
    prompts = ["a red three", "a three", "two blue ones", "a red three above a blue seven", "my cat", "a red three"]
    suite = Suite.of_samples(prompts, None)
    assert suite.parts == ("single", "colourless", "count", "relation", "free", "single")
    assert suite.count.tolist() == [1, 1, 2, 2, -1, 1] and suite.repeat.tolist() == [0, 0, 0, 0, 0, 1]
    assert suite.named("single") == "own-single" and suite.size == 6 and suite.captions == ()
