from __future__ import annotations

import numpy as np
import pytest

from bench.contracts import RunContext
from bench.data.datasets import ImageSplit
from bench.families.codecs.dummy_codec import DummyCodec, DummyCodecConfig
from bench.metrics.codebook import codebook_usage


def test_decodes_to_the_mean_picture(grey: dict[str, ImageSplit]) -> None:
    system = DummyCodec(DummyCodecConfig())
    system.fit(grey, RunContext(seed=1))
    decoded = system.decode(system.encode(grey["test"].images[:4]))
    expected = np.rint(grey["train"].images.astype(np.float64).mean(0))
    assert all(np.array_equal(picture, expected) for picture in decoded)


def test_codes_are_random_and_belong_to_the_picture(grey: dict[str, ImageSplit]) -> None:
    system = DummyCodec(DummyCodecConfig())
    system.fit(grey, RunContext(seed=1))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (400, 28, 28, 1), dtype=np.uint8)
    codes = system.encode(images)
    assert np.array_equal(codes[7], system.encode(images[7:8])[0])
    assert codebook_usage(codes, 256)["perplexity"] > 250
    other = DummyCodec(DummyCodecConfig())
    other.fit(grey, RunContext(seed=2))
    assert not np.array_equal(codes, other.encode(images))


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="grid"):
        DummyCodecConfig(grid=0)
