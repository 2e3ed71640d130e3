"""Requests: every form of input comes to the method of the contract that it is meant for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas
import pytest
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.families.by_example.analogies.image_analogies import ImageAnalogies
from bench.families.by_example.video.video_textures import VideoTextures
from bench.families.style_transfer.dummy_style import DummyStyle
from bench.inference import Request, parse_request, predict


def test_forms_of_input() -> None:
    assert parse_request("words", ["a", "b"], {}).prompts == ["a", "b"]
    assert parse_request("images", 7, {}).n == 7
    assert parse_request("images", [1, 2], {}).labels == [1, 2]
    table = pandas.DataFrame({"prompt": ["x"], "negative_prompt": ["y"]})
    assert parse_request("text_to_image", table, {"guidance": 3.0, "options": '{"steps": 5}'}) == Request(
        prompts=["x"], negative_prompts=["y"], guidance=3.0, options={"steps": 5}
    )
    with pytest.raises(ValueError, match="prompt, label or count"):
        parse_request("images", pandas.DataFrame({"a": [1], "b": [2]}), {})


def test_what_is_missing_is_said() -> None:
    with pytest.raises(BenchError, match="--prompt"):
        predict(object(), "text_to_image", Request())
    with pytest.raises(BenchError, match="--exemplar"):
        predict(object(), "by_example", Request())


def test_named_pictures_go_to_analogies_and_to_style_transfer() -> None:
    a, b = (np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8) for i in range(2))
    options = {"options": '{"kappa": 2.0}'}
    (made,) = predict(
        ImageAnalogies(), "by_example", parse_request("by_example", {"a": a, "a_prime": 255 - a, "b": b}, options)
    )
    np.testing.assert_array_equal(made, ImageAnalogies().analogy(a, 255 - a, b, kappa=2.0))
    (styled,) = predict(DummyStyle(), "style_transfer", Request(pictures={"content": a, "style": b}))
    np.testing.assert_array_equal(styled, DummyStyle().stylise(a, b))
    with pytest.raises(BenchError, match="needs the pictures content, style; given: a, b"):
        predict(DummyStyle(), "style_transfer", Request(pictures={"a": a, "b": b}))


def test_frames_go_to_video_textures() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), dtype=np.uint8)
    played = np.stack(
        predict(VideoTextures(), "by_example", parse_request("by_example", frames, {"n_frames": 30, "seed": 3}))
    )
    np.testing.assert_array_equal(played, frames[VideoTextures().play(frames, 30, 3)])


def test_texts_go_to_text_encoders() -> None:
    class Lengths:
        def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
            return np.array([[len(text)] for text in texts], dtype=np.float32)

    assert np.stack(predict(Lengths(), "text_encoders", parse_request("text_encoders", ["a", "bcd"], {}))).tolist() == [
        [1.0],
        [3.0],
    ]


SHADES = np.linspace(0, 1, 48).reshape(4, 4, 3)


@pytest.mark.parametrize(
    "given",
    [
        SHADES,
        SHADES.astype(np.float32),
        np.rint(255 * SHADES).astype(np.uint8),
        np.rint(255 * SHADES).astype(np.int64),
        np.rint(255 * SHADES).astype(np.uint16),
    ],
)
def test_pictures_of_each_scale_are_the_same_picture(given: NDArray[Any]) -> None:
    want = np.rint(255 * SHADES).astype(np.uint8)
    np.testing.assert_array_equal(parse_request("by_example", given, {}).exemplar, want)
    named = parse_request("style_transfer", {"content": given, "style": given.tolist()}, {}).pictures
    np.testing.assert_array_equal(named["content"], want)
    np.testing.assert_array_equal(named["style"], want)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (SHADES * 255, "float64 from 0 to 255"),
        (SHADES * 2 - 1, "float64 from -1 to 1"),
        (np.where(SHADES > 0.5, np.nan, SHADES), "NaN or infinity"),
        (np.rint(SHADES * 65535).astype(np.uint16), "uint16 from 0 to 65535"),
        (np.rint(SHADES).astype(np.int64), "int64 of 0 and 1 alone"),
        (SHADES > 0.5, "bool values"),
        (SHADES.astype(str), "<U32 values"),
    ],
)
def test_pictures_of_another_scale_are_refused(given: NDArray[Any], said: str) -> None:
    with pytest.raises(BenchError, match=f"picture: {said}"):
        parse_request("by_example", given, {})
    with pytest.raises(BenchError, match=f"style: {said}"):
        parse_request("style_transfer", {"style": given}, {})


def test_bytes_stay_bytes_whatever_they_hold() -> None:
    for given in (np.zeros((2, 2), np.uint8), np.ones((2, 2, 3), np.uint8)):
        assert parse_request("by_example", given, {}).exemplar is not None
        np.testing.assert_array_equal(parse_request("by_example", given, {}).exemplar, given)


@pytest.mark.parametrize("wrong", [2.7, 3.0, True, "3", None, np.float64(1.0)])
def test_labels_and_counts_are_integers(wrong: Any) -> None:
    for column in ("label", "count"):
        with pytest.raises(BenchError, match=f"{column}: .* is no integer"):
            parse_request("images", pandas.DataFrame({column: pandas.Series([wrong], dtype=object)}), {})
    assert parse_request("images", pandas.DataFrame({"label": [0, 4]}), {}).labels == [0, 4]
    assert parse_request("images", pandas.DataFrame({"count": [2, 3]}), {}).n == 5
    with pytest.raises(BenchError, match="True is no integer"):
        parse_request("images", True, {})


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_guidance_is_finite(wrong: float) -> None:
    with pytest.raises(BenchError, match="guidance: must be a finite number"):
        parse_request("text_to_image", ["a red three"], {"guidance": wrong})
