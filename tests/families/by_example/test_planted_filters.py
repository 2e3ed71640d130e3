"""The planted filters against scikit-image and against loops."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.filters import gaussian, sobel_h, sobel_v

from bench.families.by_example.analogies.planted_filters import FILTERS, blur, edge, emboss, painterly


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    y, x = np.indices((21, 18))
    noise = np.random.default_rng(0).integers(0, 60, (21, 18, 3))
    return (100 + 60 * np.sin(x / 3 + y / 5)[:, :, None] + noise).clip(0, 255).astype(np.uint8)


def luma(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    return picture.astype(float) @ [0.299, 0.587, 0.114]


def test_blur_is_gaussian(picture: NDArray[np.uint8]) -> None:
    expected = gaussian(picture.astype(float), sigma=1.7, channel_axis=2, mode="reflect", truncate=4.0)
    np.testing.assert_allclose(blur(picture, 1.7), expected, atol=0.51)


def test_edge_is_the_sobel_magnitude_on_white(picture: NDArray[np.uint8]) -> None:
    steep = np.hypot(sobel_h(luma(picture)), sobel_v(luma(picture))) * 4  # scikit-image divides its kernel by 4
    np.testing.assert_allclose(edge(picture, 0.3), np.clip(255 - 0.3 * steep, 0, 255), atol=0.51)


def test_emboss_is_lit_from_the_top_left() -> None:
    step = np.zeros((9, 9), np.uint8)
    step[3:6, 3:6] = 40  # nothing is cut off
    relief = emboss(step).astype(int) - 128
    assert relief[3, 3] > 0 > relief[5, 5]
    assert (relief == -relief[::-1, ::-1]).all()
    turned = 128 + 0.5 * 4 * (sobel_h(step.astype(float)) + sobel_v(step.astype(float))) / np.sqrt(2)
    np.testing.assert_allclose(emboss(step), turned, atol=0.51)


def test_painterly_takes_the_calmest_quadrant(picture: NDArray[np.uint8]) -> None:
    radius = 2
    padded = np.pad(picture.astype(float), ((radius, radius), (radius, radius), (0, 0)), mode="symmetric")
    grey = padded @ [0.299, 0.587, 0.114]
    expected = np.empty(picture.shape)
    for y in range(picture.shape[0]):
        for x in range(picture.shape[1]):
            corners = [(y + dy, x + dx) for dy in (0, radius) for dx in (0, radius)]
            parts = [(slice(r, r + radius + 1), slice(c, c + radius + 1)) for r, c in corners]
            calmest = min(parts, key=lambda part: grey[part].var())
            expected[y, x] = padded[calmest].mean(axis=(0, 1))
    np.testing.assert_allclose(painterly(picture, radius), expected, atol=0.51)


@pytest.mark.parametrize("name", FILTERS)
def test_filters_change_structure_and_leave_flat_pictures_flat(name: str, picture: NDArray[np.uint8]) -> None:
    made = FILTERS[name](picture)
    assert made.dtype == np.uint8
    assert made.shape[:2] == picture.shape[:2]
    assert np.ptp(FILTERS[name](np.full((9, 9, 3), 70, np.uint8))) == 0
    assert np.ptp(made) > 0
