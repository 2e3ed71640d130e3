from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from bench.base.errors import BenchError
from bench.catalogue.families import FAMILIES
from bench.context import StageContext
from bench.data.cards import Render
from bench.data.datasets import ImageSplit, load_images, write_images
from bench.data.scenes import render_splits
from bench.metrics.compositional import Detections, asked_of
from bench.results.extras import Gallery, Table, of_kind
from bench.scene_language import parse_caption
from bench.scoring import Evaluation
from bench.scoring import evaluate as run_scorers
from bench.stats.intervals import wilson_interval


@dataclass(frozen=True)
class Planted(StageContext):
    """A context whose model is an object made by the test."""

    system: Any = None

    def load(self) -> Any:
        return self.system


def context(folder: Path, system: Any, **evaluate_keys: Any) -> Planted:
    block = {"system": "x", "dataset": "play", "role": "generator", "evaluate": {"ladder_n": 0, **evaluate_keys}}
    return Planted("net", "encoders", block, 0, "cpu", folder, folder, system=system)


def evaluate(context: StageContext) -> Evaluation:
    """All scorers of encoders."""
    return run_scorers(context, FAMILIES["encoders"].task("Encoder").scorers)


def pictures(n: int, seed: int) -> ImageSplit:
    source = load_digits()
    images = np.pad((source.images * 15.9).astype(np.uint8).repeat(3, 1).repeat(3, 2), ((0, 0), (2, 2), (2, 2)))[
        ..., None
    ]
    rows = np.random.default_rng(seed).permutation(len(images))[:n]
    return ImageSplit(images[rows], source.target[rows].astype(np.int64))


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    write_images(folder, {"train": pictures(300, 0), "validation": pictures(20, 1), "test": pictures(200, 2)})
    return folder


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    source = {"train": pictures(300, 0), "validation": pictures(100, 1), "test": pictures(300, 2)}
    write_images(folder, render_splits(source, Render(train=20, validation=8, test=300, judge=20), seed=0))
    return folder


def rows_of(result: Evaluation, metric: str) -> dict[tuple[str, str], Any]:
    return {(r.variant, r.slice): r for r in result.records if r.metric == metric}


class Classifier:
    """Knows every test picture, and says the next class for the first ``errors`` of them."""

    def __init__(self, test: ImageSplit, errors: int) -> None:
        assert test.labels is not None
        said = test.labels.copy()
        said[:errors] = (said[:errors] + 1) % 10
        self.known = {image.tobytes(): label for image, label in zip(test.images, said, strict=True)}

    def logits(self, images: np.ndarray) -> np.ndarray:
        return np.eye(10, dtype=np.float32)[[self.known[image.tobytes()] for image in images]]

    def embed_images(self, images: np.ndarray) -> np.ndarray:
        return images.reshape(len(images), 4, -1).mean(2).astype(np.float32)  # four bands of brightness


def test_accuracy_counts_errors_and_shows_them(digits: Path) -> None:
    test = load_images(digits)["test"]
    result = evaluate(context(digits, Classifier(test, 30)))
    (record,) = result.records
    assert (record.metric, record.n, record.value) == ("accuracy", 200, 0.85)
    assert record.ci95 == wilson_interval(170, 200)
    (gallery,) = of_kind(result.extras, Gallery)
    assert len(gallery.captions) == 20
    assert test.labels is not None
    assert gallery.captions[0] == f"{test.labels[0]}, seen as {(test.labels[0] + 1) % 10}"
    assert not of_kind(evaluate(context(digits, Classifier(test, 0))).extras, Gallery)


def test_ladder_climbs_from_the_floor(digits: Path) -> None:
    test = load_images(digits)["test"]
    result = evaluate(context(digits, Classifier(test, 0), ladder_n=200))
    table = of_kind(result.extras, Table)[-1]
    ladder = {name: distance for name, distance, _ in table.rows}
    floor = ladder["as they are"]
    assert all(
        distance > floor for name, distance in ladder.items() if name not in ("as they are", "blur, sigma 0.5 px")
    )
    assert table.rows[0][2] == 1.0


class Detector:
    """Sees the truth, but for the digits of scenes with unseen combinations and the count of the very first scene."""

    def __init__(self, test: ImageSplit) -> None:
        assert test.scene is not None
        self.test, self.scene = test, test.scene

    def detect(self, images: np.ndarray) -> Detections:
        asked = asked_of(self.scene)
        digits, count = asked.digits.copy(), asked.count.copy()
        wrong = self.scene["unseen"]
        digits[wrong] = np.where(digits[wrong] >= 0, (digits[wrong] + 1) % 10, -1)
        count[0] = 0
        centres = self.scene["centres"].astype(np.float64)
        return Detections(count, digits, asked.colours, centres, np.ones(digits.shape))


def test_detector_errors_land_in_their_slices(scenes: Path) -> None:
    test = load_images(scenes)["test"]
    assert test.scene is not None
    result = evaluate(context(scenes, Detector(test)))
    unseen = test.scene["unseen"]
    first_is_seen = not unseen[0]
    counts = rows_of(result, "count_accuracy")
    assert counts["", ""].value == pytest.approx(299 / 300)
    assert counts["", "seen" if first_is_seen else "unseen-combinations"].value < 1
    digits = rows_of(result, "digit_accuracy")
    assert digits["", "seen"].value == pytest.approx(1 - first_is_seen / (~unseen).sum())
    assert digits["", "unseen-combinations"].n == unseen.sum()
    assert (
        digits["", "unseen-combinations"].value < 0.2
    )  # "two and three" shifted is "three and four": a share may survive
    colours = rows_of(result, "colour_accuracy")
    assert colours["", "unseen-combinations"].value == pytest.approx(1 - (not first_is_seen) / unseen.sum())
    relation = rows_of(result, "relation_accuracy")
    assert relation["", ""].n == (test.scene["relation"] >= 0).sum()
    assert {slice_ for _, slice_ in counts} == {
        "",
        "seen",
        "unseen-combinations",
        "objects=1",
        "objects=2",
        "objects=3",
        "objects=4",
    }
    assert all(r.protocol.endswith("judge=net/v1") for r in result.records)


class Reader:
    """Names big scenes by the plain template; a small one looks like "a small ..." of its class, and a little like "a
    ..." of the next."""

    def __init__(self, test: ImageSplit) -> None:
        assert test.scene is not None
        scene = test.scene
        rows = zip(scene["colours"][:, 0], scene["digits"][:, 0], scene["sizes"][:, 0], strict=True)
        self.known = {image.tobytes(): row for image, row in zip(test.images, rows, strict=True)}

    def embed_images(self, images: np.ndarray) -> np.ndarray:
        vectors = np.zeros((len(images), 160), np.float32)
        for vector, image in zip(vectors, images, strict=True):
            colour, digit, small = self.known[image.tobytes()]
            vector[80 * int(small > 0) + colour * 10 + digit] = 1.0
        return vectors

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        vectors = np.zeros((len(texts), 160), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            first = parse_caption(text).objects[0]
            kind = (first.colour or 0) * 10 + first.digit
            if first.small:
                vector[80 + kind] = 1.0
            else:
                vector[kind], vector[80 + (kind - 1) % 80] = 1.0, 0.4
        return vectors


def test_naming_slices_templates_and_chance(scenes: Path) -> None:
    test = load_images(scenes)["test"]
    assert test.scene is not None
    result = evaluate(context(scenes, Reader(test), retrieval_n=100))
    named = rows_of(result, "zero_shot_accuracy")
    alone = test.scene["count"] == 1
    assert named["templates=ensemble", ""].value == 1.0
    assert named["templates=single", ""].value == pytest.approx((test.scene["sizes"][alone, 0] == 0).mean())
    for variant in ("templates=single", "templates=ensemble"):
        assert named[variant, ""].n == alone.sum()
        assert named[variant, "unseen-combinations"].n == (alone & test.scene["unseen"]).sum()
        assert named[variant, "seen"].n + named[variant, "unseen-combinations"].n == alone.sum()
    chance = named["templates=single,chance", ""]
    assert (chance.value, chance.role) == (1 / 80, "floor")
    assert named["templates=single", ""].protocol != named["templates=ensemble", ""].protocol
    per_class = rows_of(result, "zero_shot_mean_per_class")
    assert per_class["templates=ensemble", ""].value == 1.0
    assert 0.3 < per_class["templates=single", ""].value < 1.0
    assert {variant for variant, _ in rows_of(result, "retrieval_at_1")} == {
        "direction=image-to-text",
        "direction=text-to-image",
    }
    assert all(record.n == 100 for record in rows_of(result, "retrieval_at_1").values())


def test_wrong_names_are_counted(scenes: Path) -> None:
    test = load_images(scenes)["test"]
    assert test.scene is not None
    reader = Reader(test)
    for image, row, unseen in zip(test.images, test.scene["digits"][:, 0], test.scene["unseen"], strict=True):
        colour, _, small = reader.known[image.tobytes()]
        reader.known[image.tobytes()] = (colour, (row + 1) % 10 if unseen else row, small)
    named = rows_of(evaluate(context(scenes, reader)), "zero_shot_accuracy")
    assert named["templates=ensemble", "unseen-combinations"].value == 0.0
    assert named["templates=ensemble", "seen"].value == 1.0


def test_bad_settings_are_named(digits: Path) -> None:
    test = load_images(digits)["test"]
    with pytest.raises(BenchError, match="Did you mean 'retrieval_n'"):
        evaluate(context(digits, Classifier(test, 0), retrieval=3))
    with pytest.raises(BenchError, match="templates"):
        evaluate(context(digits, Classifier(test, 0), templates=["a three"]))
