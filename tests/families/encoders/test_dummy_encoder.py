from __future__ import annotations

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.contracts import RunContext
from bench.data.datasets import ImageSplit
from bench.families.encoders.dummy_encoder import DummyEncoder, DummyEncoderConfig


def made(data: dict[str, ImageSplit], seed: int = 0) -> DummyEncoder:
    system = DummyEncoder(DummyEncoderConfig())
    system.fit(data, RunContext(seed=seed))
    return system


def test_is_a_linear_projection_that_the_seed_decides(digits: dict[str, ImageSplit]) -> None:
    images = digits["test"].images[:6]
    first, again, other = made(digits), made(digits), made(digits, seed=1)
    features = first.embed_images(images)
    assert features.shape == (6, 64)
    assert np.array_equal(features, again.embed_images(images))
    assert not np.array_equal(features, other.embed_images(images))
    flat = images.reshape(6, -1).astype(np.float64) / 127.5 - 1
    np.testing.assert_allclose(features, flat @ first.projection, rtol=1e-4, atol=1e-5)
    assert np.array_equal(first.logits(images), features[:, :10])


def test_knows_nothing(digits: dict[str, ImageSplit]) -> None:
    said = made(digits).logits(digits["test"].images).argmax(1)
    assert (said == digits["test"].labels).mean() < 0.4


def test_texts_are_random_directions() -> None:
    system = DummyEncoder(DummyEncoderConfig())
    vectors = system.embed_texts(["a red three", "a red three", "a blue two"])
    assert np.array_equal(vectors[0], vectors[1])
    assert not np.array_equal(vectors[0], vectors[2])
    assert system.embed_texts([]).shape == (0, 64)


def test_another_size_is_refused(digits: dict[str, ImageSplit]) -> None:
    with pytest.raises(BenchError, match="do not fit"):
        made(digits).embed_images(np.zeros((1, 8, 8, 1), np.uint8))
    with pytest.raises(ValueError, match="classes"):
        DummyEncoderConfig(features=4, classes=10)
