"""Copies of real digits, disguised in every way that evades a distance of plain pixels, each get a note; digits that
nobody trained on get none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, rotate, zoom
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from bench.results.extras import Note
from bench.scorers.data_copying import LEVEL, CopyOptions, TrainingSet, copies
from bench.scoring import Score


class Components:
    """A feature network: the first principal components of the training digits."""

    def __init__(self, train: np.ndarray) -> None:
        self.pca = PCA(20, random_state=0).fit(train.reshape(len(train), -1).astype(float))

    def embed_images(self, images: np.ndarray) -> np.ndarray:
        return self.pca.transform(images.reshape(len(images), -1).astype(float)).astype(np.float32)


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(training, unseen, further unseen) images ``(N, 24, 24, 1)``: 8 x 8 digits, enlarged, in a frame."""
    small = load_digits().images[np.random.default_rng(0).permutation(1797)]
    large = np.pad(zoom(small, (1, 2, 2), order=1), ((0, 0), (4, 4), (4, 4)))
    images = (255 / 16 * large).clip(0, 255).astype(np.uint8)[..., None]
    return images[:900], images[900:1350], images[1350:]


@pytest.fixture(scope="module")
def training(digits: tuple[np.ndarray, np.ndarray, np.ndarray]) -> TrainingSet:
    train, unseen, _ = digits
    return TrainingSet(Components(train), "components", train, unseen, CopyOptions(), seed=0)


def as_bytes(values: np.ndarray) -> np.ndarray:
    return values.round().clip(0, 255).astype(np.uint8)


DISGUISES: dict[str, Any] = {
    "none": lambda x: x,
    "shifted by a pixel": lambda x: np.roll(x, (1, 1), axis=(1, 2)),
    "shifted by two pixels": lambda x: np.roll(x, (-2, 2), axis=(1, 2)),
    "noise of sd 20": lambda x: as_bytes(x + np.random.default_rng(1).normal(0, 20, x.shape)),
    "dimmed by a fifth": lambda x: as_bytes(0.8 * x),
    "brighter paper": lambda x: as_bytes(40 + 0.8 * x),
    "blurred by 1": lambda x: as_bytes(gaussian_filter(x.astype(float), (0, 1, 1, 0))),
    "turned by 5 degrees": lambda x: as_bytes(rotate(x.astype(float), 5, axes=(1, 2), reshape=False, order=1)),
    "dimmed, shifted and noisy": lambda x: as_bytes(
        0.8 * np.roll(x, 1, axis=1) + np.random.default_rng(2).normal(0, 10, x.shape)
    ),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_disguised_copier_is_flagged(
    digits: tuple[np.ndarray, np.ndarray, np.ndarray], training: TrainingSet, disguise: str
) -> None:
    copied = DISGUISES[disguise](digits[0][:400])
    scores, failed = training.measure(copied, "", LEVEL / 4)
    assert failed
    near = {one.protocol.split("/")[1]: one.value for one in scores if one.metric == "near_copy_share"}
    assert near["shifted-pixels"] > 0.1


@pytest.mark.parametrize(
    "disguise", ["none", "shifted by a pixel", "noise of sd 20", "dimmed by a fifth", "blurred by 1"]
)
def test_one_copy_in_twenty_is_flagged(
    digits: tuple[np.ndarray, np.ndarray, np.ndarray], training: TrainingSet, disguise: str
) -> None:
    train, _, honest = digits
    mixed = np.concatenate([DISGUISES[disguise](train[:20]), honest[:380]])
    _, failed = training.measure(mixed, "", LEVEL / 4)
    assert any("near copies" in one for one in failed)


def test_honest_halves_are_flagged_in_at_most_one_of_twenty(digits: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """Unseen digits in two halves, by turns the honest generator and what it is measured against."""
    train, unseen, further = digits
    everything = np.concatenate([unseen, further])
    whole = TrainingSet(Components(train), "components", train, everything, CopyOptions(), seed=0)
    rng, flagged = np.random.default_rng(0), 0
    everyone = whole.unseen
    for _ in range(60):
        order = rng.permutation(len(everything))
        halves = [
            type(everyone)({name: values[rows] for name, values in everyone.by_space.items()}, everyone.cells[rows])
            for rows in (order[:447], order[447:])
        ]
        whole.unseen = halves[1]
        flagged += bool(whole.compare(halves[0], "", LEVEL / 4)[1])
    assert flagged <= 6  # of 60 with probability 1 in 20 each: more in 2 of 100 cases


def test_a_copier_gets_a_note_with_its_variant_and_an_honest_variant_none(
    digits: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    train, unseen, further = digits
    images = {"train": train}

    class OneSubject:
        seed, dataset = 0, "digits"
        context = type("Context", (), {"family": "images"})

        def model(self, role: str) -> Components:
            return Components(images["train"])

        def model_name(self, role: str) -> str:
            return "components"

        def once(self, key: Any, make: Any) -> Any:
            return {"train": type("Split", (), {"images": train})}

    sets = [("steps=1", train[:300]), ("steps=9", further[:300])]
    found = list(copies(OneSubject(), "net", unseen, sets, CopyOptions()))  # type: ignore[arg-type]
    notes = [one.text for one in found if isinstance(one, Note)]
    assert len(notes) == 1 and notes[0].startswith("Copying suspected (steps=1): nearer to the training images")
    scores = [one for one in found if isinstance(one, Score) and one.variant == "steps=9"]
    assert [one.metric for one in scores] == ["copying_z", "near_copy_share"] * 2
    assert scores[3].protocol == (
        "near_copy_share/shifted-pixels/n=300/ref=train900/cells=9/quantile=0.01/shift=2/unseen=450/v2"
    )
    assert not list(copies(OneSubject(), "net", unseen, sets, CopyOptions(copy_n=0)))  # type: ignore[arg-type]
