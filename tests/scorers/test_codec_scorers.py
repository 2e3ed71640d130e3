from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from bench.base.errors import BenchError
from bench.catalogue.families import FAMILIES
from bench.context import StageContext
from bench.data.datasets import ImageSplit, load_images, write_images
from bench.families.codecs.sampling import roundtrip, sample
from bench.metrics.codebook import codebook_usage
from bench.metrics.compositional import Detections
from bench.results.extras import Curve, Gallery, Note, Table, of_kind
from bench.scoring import Evaluation
from bench.scoring import evaluate as run_scorers
from bench.stats.intervals import wilson_interval

N = 160


@dataclass(frozen=True)
class Planted(StageContext):
    """A context whose model and judge are objects made by the test."""

    system: Any = None
    judge: Any = None

    def load(self) -> Any:
        return self.system

    def load_other(self, role: str) -> Any:
        assert role == "feature_net"
        return self.judge


class Codec:
    """The codes say which picture it is, in base 16; decoding gives that picture plus ``error`` grey levels."""

    def __init__(self, images: np.ndarray, error: int, size: int = 16) -> None:
        self.images, self.error, self.codebook_size = images, error, size
        self.place = {image.tobytes(): i for i, image in enumerate(images)}

    def encode(self, images: np.ndarray) -> np.ndarray:
        index = np.array([self.place[image.tobytes()] for image in images])
        codes = np.stack([index // 16, index % 16, 0 * index, 0 * index], 1).reshape(-1, 2, 2)
        return codes if self.codebook_size else codes.astype(np.float32)[:, None]

    def decode(self, codes: np.ndarray) -> np.ndarray:
        flat = codes.reshape(len(codes), 4).astype(np.int64)
        return (self.images[flat[:, 0] * 16 + flat[:, 1]] + np.uint8(self.error)).astype(np.uint8)


class Judge:
    """Mean brightness of 4 bands; says class 0 for everything that is not an original."""

    def __init__(self, test: ImageSplit) -> None:
        assert test.labels is not None
        self.known = {image.tobytes(): int(label) for image, label in zip(test.images, test.labels, strict=True)}

    def embed_images(self, images: np.ndarray) -> np.ndarray:
        return images.reshape(len(images), 4, -1).mean(2).astype(np.float32)

    def logits(self, images: np.ndarray) -> np.ndarray:
        return np.eye(10)[[self.known.get(image.tobytes(), 0) for image in images]]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    source = load_digits()
    images = (source.images * 12).astype(np.uint8).repeat(2, 1).repeat(2, 2)[..., None]  # 16x16, at most 192
    part = {"train": slice(0, N), "validation": slice(N, 2 * N), "test": slice(2 * N, 3 * N)}
    write_images(
        folder, {name: ImageSplit(images[rows], source.target[rows].astype(np.int64)) for name, rows in part.items()}
    )
    return folder


def context(folder: Path, split: str = "test", error: int = 0, size: int = 16, **keys: Any) -> Planted:
    data = load_images(folder)
    block = {"system": "x", "dataset": "play", "evaluate": {"minimum_n": 64, **keys}, "sample": {"n": 10}}
    system, judge = Codec(data[split].images, error, size), Judge(data["test"])
    return Planted(
        "codec",
        "codecs",
        block,
        0,
        "cpu",
        folder,
        folder,
        {"feature_net": Path("models/net")},
        system=system,
        judge=judge,
    )


def evaluate(context: StageContext) -> Evaluation:
    """All scorers of codecs."""
    return run_scorers(context, FAMILIES["codecs"].task("Codec").scorers)


def by_metric(result: Evaluation) -> dict[str, Any]:
    return {record.metric: record for record in result.records}


def test_a_lossless_codec_is_perfect(digits: Path) -> None:
    found = by_metric(evaluate(context(digits)))
    assert found["psnr"].value is None  # infinite is written as no number
    assert found["ssim"].value == pytest.approx(1.0)
    assert found["fid"].value == pytest.approx(0.0, abs=1e-6)
    assert found["class_accuracy"].value == 1.0
    assert found["class_accuracy"].ci95 == wilson_interval(N, N)


def test_a_known_error_has_its_known_psnr_and_fid(digits: Path) -> None:
    found = by_metric(evaluate(context(digits, error=10)))
    assert found["psnr"].value == pytest.approx(20 * math.log10(255 / 10))
    assert found["fid"].value == pytest.approx(
        4 * 10**2, rel=1e-4
    )  # all four features rise by 10, their covariance stays
    low, high = found["fid"].ci95
    assert low <= found["fid"].value <= high
    labels = load_images(digits)["test"].labels
    assert labels is not None
    assert found["class_accuracy"].value == pytest.approx((labels == 0).mean())
    assert "min=64" in found["fid"].protocol
    assert "their-originals" in found["fid"].protocol


def test_codebook_numbers_are_over_the_whole_test_set(digits: Path) -> None:
    planted = context(digits)
    found = by_metric(evaluate(planted))
    use = codebook_usage(planted.system.encode(load_images(digits)["test"].images), 16)
    assert found["codebook_usage"].value == use["usage"]
    assert found["codebook_dead"].value == use["dead"]
    assert found["codebook_perplexity"].value == pytest.approx(use["perplexity"])
    low, high = found["codebook_perplexity"].ci95
    assert low < use["perplexity"] < high


def test_continuous_codecs_have_no_codebook_rows(digits: Path) -> None:
    result = evaluate(context(digits, size=0))
    assert not [record for record in result.records if record.metric.startswith("codebook")]
    assert not of_kind(result.extras, Curve)


def test_scenes_are_judged_by_the_detector(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 200, (N, 16, 16, 3), dtype=np.uint8)
    digits = np.full((N, 4), -1)
    digits[:, 0] = rng.integers(0, 10, N)
    colours = np.where(digits >= 0, 2, -1)
    scene = {"count": np.ones(N, np.int64), "digits": digits, "colours": colours, "relation": np.full(N, -1)}
    split = ImageSplit(images, captions=["a blue one"] * N, scene=scene)
    write_images(tmp_path, {"train": split, "validation": split, "test": split})

    class Detector:
        """Sees the truth in originals; in everything else another digit."""

        def embed_images(self, pictures: np.ndarray) -> np.ndarray:
            return pictures.reshape(len(pictures), 4, -1).mean(2)

        def detect(self, pictures: np.ndarray) -> Detections:
            seen = digits if np.array_equal(pictures, images) else np.where(digits >= 0, (digits + 1) % 10, -1)
            return Detections(scene["count"], seen, colours, np.zeros((N, 4, 2)), np.ones((N, 4)))

    block = {"system": "x", "dataset": "scenes", "evaluate": {"minimum_n": 64}}
    models, codec = {"feature_net": Path("models/net")}, Codec(images, 3)
    result = evaluate(
        Planted("codec", "codecs", block, 0, "cpu", tmp_path, tmp_path, models, system=codec, judge=Detector())
    )
    found = by_metric(result)
    assert (found["digit_accuracy"].value, found["colour_accuracy"].value, found["count_accuracy"].value) == (
        0.0,
        1.0,
        1.0,
    )
    assert found["both_accuracy"].value == 0.0
    assert of_kind(result.extras, Table)[0].rows[0] == ("digit", 0.0, 100.0)


def test_draws_validation_pictures_and_measures_time(digits: Path) -> None:
    (drawn,) = sample(context(digits, split="validation", error=5))
    originals = load_images(digits)["validation"].images[:10]
    assert drawn.images is not None
    assert np.array_equal(drawn.extra["originals"], originals)
    assert np.array_equal(drawn.images, originals + 5)
    assert drawn.info["seconds_per_item"] == pytest.approx(drawn.info["seconds"] / 10)


def test_roundtrip_does_not_depend_on_the_batch(digits: Path) -> None:
    planted, images = context(digits, error=1), load_images(digits)["test"].images
    codes, pictures = roundtrip(planted.system, images, batch=7)
    again = roundtrip(planted.system, images)
    assert np.array_equal(codes, again[0])
    assert np.array_equal(pictures, again[1])


def test_gallery_shows_originals_beside(digits: Path) -> None:
    extras = evaluate(context(digits, gallery=12)).extras
    (gallery,), (note,) = of_kind(extras, Gallery), of_kind(extras, Note)
    assert gallery.png == gallery.source_png  # lossless
    assert len(gallery.alt) > 20
    assert "4 codes of 4 bits" in note.text


def test_too_few_pictures_for_a_fid_are_refused(digits: Path) -> None:
    with pytest.raises(BenchError, match="at least 1000"):
        evaluate(context(digits, minimum_n=1000))
