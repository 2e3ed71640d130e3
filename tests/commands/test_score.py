"""``bench score``: the formats it reads, what it refuses, and what it measures without a model."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.base.errors import BenchError
from bench.base.files import SampleSet, write_image_samples, write_text_samples
from bench.catalogue.families import FAMILIES
from bench.commands.score import run
from bench.context import StageContext
from bench.contracts import RunContext
from bench.data.datasets import ImageSplit
from bench.data.samples_from_files import digest_of, fitted, read_samples
from bench.families.external_samples import ExternalSamples, ExternalSamplesConfig, sample
from bench.pipeline.plan import scorers_of
from bench.scorers.distribution import DistributionOptions, distances
from bench.scorers.folder_reference import FolderReference
from bench.scoring import Scorer, Subject, resolve_scorer, scorers

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 12, 10, 1), dtype=np.uint8)


def save(folder: Path, images: np.ndarray, classes: int = 0) -> Path:
    for i, image in enumerate(images):
        place = folder / str(i % classes) if classes else folder
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(place / f"{i:03d}.png")
    return folder


def test_images_of_every_format_are_the_same(tmp_path: Path) -> None:
    rgb = np.repeat(IMAGES, 3, axis=3)
    np.savez(tmp_path / "named.npz", labels=np.arange(24), images=IMAGES)
    np.savez(tmp_path / "unnamed.npz", IMAGES[..., 0], np.arange(24))
    np.save(tmp_path / "channels-first.npy", rgb.transpose(0, 3, 1, 2))
    write_image_samples(tmp_path / "ours.npz", [SampleSet("a=1", images=IMAGES), SampleSet("a=2", images=IMAGES)])
    for name in ("named.npz", "unnamed.npz"):
        (one,) = read_samples(tmp_path / name, ".npz")
        assert one.labels is not None
        np.testing.assert_array_equal(one.images, IMAGES)
        assert one.labels.tolist() == list(range(24))
    (first,) = read_samples(tmp_path / "channels-first.npy", ".npz")
    np.testing.assert_array_equal(first.images, rgb)
    (grey,) = fitted([first], IMAGES, "x")
    np.testing.assert_array_equal(grey.images, IMAGES)
    assert [one.variant for one in read_samples(tmp_path / "ours.npz", ".npz")] == ["a=1", "a=2"]
    (flat,) = read_samples(save(tmp_path / "flat", IMAGES), ".npz")
    np.testing.assert_array_equal(flat.images, IMAGES)
    assert flat.labels is None
    (classed,) = read_samples(save(tmp_path / "classed", IMAGES, 3), ".npz")
    assert classed.labels is not None and np.bincount(classed.labels).tolist() == [8, 8, 8]
    np.testing.assert_array_equal(classed.images[:8], IMAGES[::3])


def test_texts_and_captions(tmp_path: Path) -> None:
    lines = [{"text": "to be"}, {"text": "or not", "prompt": "be", "variant": "t=1"}]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    plain, other = read_samples(tmp_path / "texts.jsonl", ".jsonl")
    assert (plain.texts, plain.prompts, plain.variant, plain.info) == (["to be"], [""], "", {"characters": 5})
    assert (other.texts, other.prompts, other.variant) == (["or not"], ["be"], "t=1")
    (tmp_path / "many").mkdir()
    for name in ("b", "a"):
        (tmp_path / "many" / f"{name}.txt").write_text(f"text {name}")
    assert read_samples(tmp_path / "many", ".jsonl")[0].texts == ["text a", "text b"]
    write_text_samples(tmp_path / "ours.jsonl", [SampleSet("n=2", texts=["x"], prompts=["y"], info={"characters": 1})])
    assert read_samples(tmp_path / "ours.jsonl", ".jsonl")[0].info == {"characters": 1}
    folder, captions = save(tmp_path / "images", IMAGES[:2]), tmp_path / "captions.jsonl"
    rows = [{"file": "001.png", "caption": "second"}, {"file": "000.png", "caption": "first"}]
    captions.write_text("\n".join(map(json.dumps, rows)))
    assert read_samples(folder, ".npz", captions)[0].prompts == ["first", "second"]
    captions.write_text(json.dumps(rows[0]))
    with pytest.raises(BenchError, match=r"no caption for 000.png \(1 of 2"):
        read_samples(folder, ".npz", captions)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "floats.npy", IMAGES / 255)
    np.savez(tmp_path / "short.npz", images=IMAGES, labels=np.arange(3))
    (tmp_path / "broken.npz").write_bytes((tmp_path / "short.npz").read_bytes()[:900])
    (tmp_path / "bad.jsonl").write_text('{"txt": "x"}')
    mixed = save(tmp_path / "mixed", IMAGES[:1])
    Image.new("L", (4, 4)).save(mixed / "small.png")
    for name, ending, said in (
        ("absent", ".npz", "no such file"),
        ("floats.npy", ".npz", "uint8"),
        ("short.npz", ".npz", "3 labels for 24 images"),
        ("broken.npz", ".npz", "broken"),
        ("bad.jsonl", ".jsonl", "line 1 lacks 'text'"),
        ("floats.npy", ".jsonl", "texts are"),
        ("mixed", ".npz", "one size and mode"),
    ):
        with pytest.raises(BenchError, match=said):
            read_samples(tmp_path / name, ending)
    with pytest.raises(BenchError, match="12x10 cannot be compared with the data's 28x28"):
        fitted([SampleSet(images=IMAGES)], np.zeros((1, 28, 28, 1), np.uint8), "mine")


def test_the_digest_follows_every_byte(tmp_path: Path) -> None:
    folder = save(tmp_path / "a", IMAGES[:3])
    before = digest_of(folder)
    assert digest_of(folder) == before
    save(folder, 255 - IMAGES[:1])
    assert digest_of(folder) != before


def attributes(scorer: Scorer) -> set[str]:
    """What a scorer's function, and the functions of its module that it names, read of anything."""
    tree = ast.parse(inspect.getsource(sys.modules[scorer.function.__module__]))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    found: set[str] = set()
    todo, seen = [scorer.function.__name__], set[str]()
    while todo:
        name = todo.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        for node in ast.walk(functions[name]):
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.Name):
                todo.append(node.id)
    return found


@pytest.mark.parametrize("name", scorers())
def test_a_scorer_that_asks_the_model_says_so(name: str) -> None:
    """``subject.system`` is read under ``model=True``, or where ``has_model`` is asked first."""
    scorer = resolve_scorer(name)
    assert scorer.model or "system" not in (asked := attributes(scorer)) or "has_model" in asked


def test_samples_alone_have_no_model(tmp_path: Path) -> None:
    context = StageContext("x", "images", {"system": "external_samples"}, 0, "cpu", tmp_path, tmp_path, has_model=False)
    with pytest.raises(BenchError, match="have no model"):
        _ = Subject(context, []).system


def test_a_family_without_a_model_keeps_the_scorers_of_samples() -> None:
    block: dict[str, Any] = {"system": "external_samples", "family": "text_to_image"}
    names = scorers_of(block)
    assert "step_compute" not in names and {"prompt_fidelity", "clip_score", "scene_distribution"} <= set(names)
    assert scorers_of({**block, "family": "images"}) == FAMILIES["images"].task("ImageGenerator").scorers
    with pytest.raises(BenchError, match="reconstruction asks the model itself"):
        scorers_of({**block, "family": "codecs", "scorers": ["reconstruction"]})


def test_external_samples_as_a_system(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", images=np.repeat(IMAGES, 3, axis=3))
    config = ExternalSamplesConfig(str(tmp_path / "mine.npz"))
    system, folder = ExternalSamples(config), tmp_path / "model"
    system.fit({"test": ImageSplit(IMAGES)}, RunContext())
    folder.mkdir()
    system.save(folder)
    (loaded,) = ExternalSamples.load(folder, config).sets
    np.testing.assert_array_equal(loaded.images, IMAGES)
    assert json.loads((folder / "source.json").read_text())["sha256"] == digest_of(tmp_path / "mine.npz")
    facts = {"name": "mine", "system": "external_samples", "config": {"path": config.path, "captions": ""}}
    (folder / "model.json").write_text(json.dumps(facts))
    (drawn,) = sample(StageContext("mine", "images", {}, 0, "cpu", tmp_path, folder))
    np.testing.assert_array_equal(drawn.images, IMAGES)
    with pytest.raises(BenchError, match="no model is there"):
        system.sample(3, seed=0)
    with pytest.raises(ValueError, match="path"):
        ExternalSamplesConfig()


class Network:
    """Mean brightness of the halves."""

    def embed_images(self, images: np.ndarray) -> np.ndarray:
        return images.reshape(len(images), 2, -1).mean(2).astype(np.float32)


def test_a_folder_against_itself_lies_at_its_floor() -> None:
    rng = np.random.default_rng(0)
    images = (rng.integers(40, 200, (900, 1, 1, 1)) + rng.integers(-40, 40, (900, 6, 6, 1))).astype(np.uint8)
    options = DistributionOptions(minimum_n=100, small_n=0)
    reference = FolderReference(Network(), "net", images[:600], "theirs-600", options, 0)
    found = {score.metric: score for score in distances(reference, images[600:], "")}
    assert found["fid"].protocol == "fid/net/n=300/ref=theirs-600/min=100/v1"
    assert found["fid_ratio"].value is not None and found["fid_ratio"].value < 8
    other = {score.metric: score for score in distances(reference, images[600:] // 2, "")}
    assert other["fid_ratio"].value is not None and other["fid_ratio"].value > 20
    # Too few images are left over for a floor: the distance stands alone.
    few = FolderReference(Network(), "net", images[:350], "theirs-350", options, 0)
    assert "fid_ratio" not in {score.metric for score in distances(few, images[600:], "")}


def test_wrong_requests_are_refused(tmp_path: Path) -> None:
    def ask(**given: Any) -> None:
        usual = {"family": "images", "data": None, "against": None, "roles": [], "captions": None, "options": []}
        run(tmp_path, tmp_path / "mine.npz", **{**usual, **given}, name="", log=False, as_json=True)

    np.savez(tmp_path / "mine.npz", images=IMAGES)
    for given, said in (
        ({"family": "image", "data": "mnist"}, "Did you mean 'images'"),
        ({}, "--data NAME"),
        ({"data": "mnist", "against": tmp_path}, "--data NAME"),
        ({"against": tmp_path / "mine.npz"}, "needs a feature network"),
        ({"against": tmp_path / "mine.npz", "options": ["small_n"]}, "KEY=VALUE"),
        ({"against": tmp_path / "mine.npz", "roles": ["feature_net=none-here"]}, "no trained model"),
    ):
        with pytest.raises(BenchError, match=said):
            ask(**given)
