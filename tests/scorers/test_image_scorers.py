from __future__ import annotations

import dataclasses
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
from bench.families.images.sampling import proportional_labels
from bench.families.images.sampling import sample as draw
from bench.results.extras import Gallery, Note, Table, of_kind
from bench.results.records import Record
from bench.scoring import Evaluation, evaluate

SCORERS = FAMILIES["images"].task("ImageGenerator").scorers
BLOCKS = {
    "dummy-images": {"system": "dummy_images", "role": "floor"},
    "memoriser-images": {"system": "memoriser_images", "role": "memoriser"},
    "real-mnist": {"system": "real_images", "role": "ceiling"},
}


def bars(n: int, seed: int) -> ImageSplit:
    """12x12 pictures of one soft bar; its row is the class (0, 1, 2; class 2 twice as frequent), its brightness and
    place vary."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 1, 2, 2], n).astype(np.int64)
    rows, columns = np.mgrid[:12, :12]
    centre = 2 + 4 * labels + rng.normal(0, 0.4, n)
    left, right = rng.uniform(0, 4, n), rng.uniform(7, 11, n)
    ink = (
        np.exp(-((rows - centre[:, None, None]) ** 2))
        * (columns > left[:, None, None])
        * (columns < right[:, None, None])
    )
    images = (
        (255 * rng.uniform(0.6, 1, n)[:, None, None] * ink + rng.normal(8, 3, (n, 12, 12)))
        .clip(0, 255)
        .astype(np.uint8)
    )
    return ImageSplit(images[..., None], labels)


class FeatureNet:
    """Where the ink lies, as features; the brightest third, as class."""

    def embed_images(self, images: np.ndarray) -> np.ndarray:
        x = images[..., 0].astype(np.float32) / 64
        return np.concatenate([x.mean(2), x.mean(1)[:, ::3]], axis=1)

    def logits(self, images: np.ndarray) -> np.ndarray:
        return np.stack([images[:, 4 * k : 4 * k + 4].astype(np.float32).mean((1, 2, 3)) for k in range(3)], axis=1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    splits = {"train": bars(3000, 0), "validation": bars(2400, 1), "test": bars(1500, 2)}
    write_images(root / "data", splits)
    for name, block in BLOCKS.items():
        cls = registry.resolve(block["system"])
        config = cls.Config(kept=60, jitter=1) if name == "memoriser-images" else cls.Config()
        system = cls(config)
        system.fit(splits, RunContext(seed=1))
        folder = root / "models" / name
        folder.mkdir(parents=True)
        system.save(folder)
        write_json(
            folder / "model.json", {"name": name, "system": block["system"], "config": dataclasses.asdict(config)}
        )
    return root


def run(
    root: Path, name: str, monkeypatch: pytest.MonkeyPatch, sample: Any = None, score: Any = None
) -> tuple[Evaluation, list[Any]]:
    real = registry.load_model
    monkeypatch.setattr(
        registry, "load_model", lambda folder, *rest: FeatureNet() if folder.name == "net" else real(folder, *rest)
    )
    block = {
        **BLOCKS[name],
        "dataset": "bars",
        "sample": sample or {"n": 1000},
        "evaluate": {"small_n": 100, "neighbours": 300, **(score or {})},
    }
    samples = root / f"{name}.npz"
    models = {"feature_net": Path("net")}
    context = StageContext(
        name, "images", block, 0, "cpu", root / "data", root / "models" / name, models, samples=samples, quiet=True
    )
    sets = draw(context)
    write_image_samples(samples, sets)
    return evaluate(context, SCORERS), read_image_samples(samples)


def values(evaluation: Evaluation, **wanted: Any) -> dict[str, Record]:
    """By metric; of the copy tests those in pixels."""
    rows = [r for r in evaluation.records if all(getattr(r, k) == v for k, v in wanted.items())]
    return {r.metric: r for r in rows if "min=100" not in r.protocol}


def test_floors_ceiling_and_memoriser_bracket_every_metric(root: Path, monkeypatch: pytest.MonkeyPatch):
    dummy, copier, real = (values(run(root, name, monkeypatch)[0]) for name in BLOCKS)
    assert real["fid"].value < 0.2 * copier["fid"].value < dummy["fid"].value
    assert real["fid_ratio"].value == pytest.approx(1, abs=0.6)
    assert real["class_accuracy"].value > 0.95 and copier["class_accuracy"].value > 0.95
    assert dummy["class_accuracy"].value < 0.6
    assert abs(real["kid"].value) < 0.05 * dummy["kid"].value
    assert dummy["precision"].value == 0 and dummy["coverage"].value == 0
    assert real["precision"].value > 0.8 and real["recall"].value > 0.8
    assert copier["recall"].value < 0.7 * real["recall"].value
    assert copier["nearest_train_ratio"].value < 0.5 < 0.9 < dummy["nearest_train_ratio"].value
    assert copier["near_copy_share"].value > 0.9
    assert copier["copying_z"].value < -10 < -3 < real["copying_z"].value
    # The ceiling is real images that nobody trained on: as near to the training set as other such images.
    assert real["nearest_train_ratio"].value == pytest.approx(1, abs=0.1)
    assert real["near_copy_share"].value < 0.03
    for rows in (dummy, copier, real):
        for record in rows.values():
            if record.ci95 is None:  # no item differs: nothing is known of others
                assert record.metric == "density" and record.value == 0, record
            else:
                assert record.ci95[0] <= record.value <= record.ci95[1], record


def test_a_note_says_who_copies(root: Path, monkeypatch: pytest.MonkeyPatch):
    suspected = {
        name: [note.text for note in of_kind(run(root, name, monkeypatch)[0].extras, Note) if "Copying" in note.text]
        for name in ("memoriser-images", "real-mnist")
    }
    assert suspected["real-mnist"] == []
    (note,) = suspected["memoriser-images"]
    assert "near copies where" in note and "shifted-pixels" in note


def test_records_are_complete_and_deterministic(root: Path, monkeypatch: pytest.MonkeyPatch):
    first, sets = run(root, "memoriser-images", monkeypatch)
    again, _ = run(root, "memoriser-images", monkeypatch)
    assert first.rows == again.rows and first.extras == again.extras
    assert {r.metric for r in first.records} >= {
        "fid",
        "fid_ratio",
        "kid",
        "precision",
        "recall",
        "density",
        "coverage",
        "class_accuracy",
    }
    assert all(r.n > 0 and r.family == "images" and r.role == "memoriser" for r in first.records)
    fid = next(r for r in first.records if r.metric == "fid")
    assert fid.protocol == "fid/net/n=1000/ref=test1500/v1"
    assert (
        len([r for r in first.records if r.metric == "kid"]) == 2
    )  # all pictures, and the first hundred as a protocol of its own
    counts = np.bincount(sets[0].labels)
    np.testing.assert_allclose(counts / 1000, np.bincount(bars(1500, 2).labels) / 1500, atol=0.001)
    (gallery,) = of_kind(first.extras, Gallery)
    assert gallery.png.startswith(b"\x89PNG") and gallery.neighbours_png and len(gallery.captions) == 40


def test_too_few_pictures_give_no_fid(root: Path, monkeypatch: pytest.MonkeyPatch):
    sample = {"n": 1000, "variants": [{"steps": 50}, {"steps": 1000, "n": 120}]}
    evaluation, sets = run(root, "memoriser-images", monkeypatch, sample)
    assert [s.variant for s in sets] == ["steps=50", "steps=1000"]
    assert np.array_equal(sets[0].labels[:120], sets[1].labels)
    metrics = {r.metric for r in evaluation.records if r.variant == "steps=1000"}
    assert "fid" not in metrics and {"kid", "class_accuracy"} <= metrics
    assert "fid" in {r.metric for r in evaluation.records if r.variant == "steps=50"}
    quick, _ = run(root, "memoriser-images", monkeypatch, {"n": 120}, {"minimum_n": 100, "small_n": 0})
    assert next(r for r in quick.records if r.metric == "fid").protocol.endswith("/min=100/v1")


def test_ladder_grows_with_the_damage(root: Path, monkeypatch: pytest.MonkeyPatch):
    evaluation, _ = run(root, "real-mnist", monkeypatch)
    table = next(t for t in of_kind(evaluation.extras, Table) if "Ladder" in t.title)
    fid = {row[0]: row[1] for row in table.rows}
    noises = [fid[f"noise, {strength} of the range"] for strength in (0.05, 0.1, 0.2)]
    assert fid["as they are"] < noises[0] < noises[1] < noises[2]
    assert fid["as they are"] < fid["blur, sigma 1 px"] < fid["blur, sigma 2 px"]
    assert fid["one class missing"] > 3 * fid["as they are"]


def test_proportional_labels():
    labels = np.array([0] * 70 + [1] * 20 + [3] * 10)
    drawn = proportional_labels(labels, 1000, 5)
    assert drawn is not None
    assert np.bincount(drawn).tolist() == [700, 200, 0, 100]
    assert drawn[:6].tolist() == [0, 1, 3, 0, 1, 3]
    assert proportional_labels(None, 10, 0) is None
