"""Rendered clips: their truth is that of their pictures."""

from __future__ import annotations

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.data.rendered_clips import BLUE, RENDERED, render_clip
from bench.families.by_example.video.video_distances import distances


@pytest.mark.parametrize("name", list(RENDERED))
def test_same_seed_same_frames(name: str) -> None:
    clip, again, other = (render_clip(name, seed, 4) for seed in (0, 0, 1))
    assert clip.frames.dtype == np.uint8 and clip.frames.ndim == 4 and len(clip.frames) == 4
    np.testing.assert_array_equal(clip.frames, again.frames)
    assert (clip.frames != other.frames).mean() > 0.1
    for values in clip.truth.values():
        assert len(values) == 4


def test_pendulum_swings_as_its_phase_says() -> None:
    clip = render_clip("pendulum", 0, 90)
    assert clip.period == 40.0
    brightness = clip.frames[..., 0].astype(float) - np.median(clip.frames[..., 0], axis=0)
    bob = np.clip(brightness - 60, 0, None).sum(axis=1)  # (T, W)
    middle = (bob * np.arange(192)).sum(axis=1) / bob.sum(axis=1) - 96
    swing = np.sin(2 * np.pi * clip.truth["phase"])
    assert np.corrcoef(middle, swing)[0, 1] > 0.99


def test_a_swing_back_looks_like_the_swing_out_and_moves_the_other_way() -> None:
    """For every frame there is one half a period of mirrored phase away that differs from it by noise alone."""
    clip = render_clip("pendulum", 0, 60)
    table, phase = distances(clip.frames), clip.truth["phase"]
    mirrored = np.abs((phase[:, None] + phase[None, :] - 0.5 + 0.5) % 1 - 0.5) < 1e-9
    again = np.abs((phase[:, None] - phase[None, :] + 0.5) % 1 - 0.5) < 1e-9
    apart = ~np.eye(60, dtype=bool)
    noise = table[again & apart].mean()
    assert table[mirrored & apart].mean() == pytest.approx(noise, rel=0.05)
    assert np.median(table[apart]) > 5 * noise


def test_flame_returns_after_its_period() -> None:
    clip = render_clip("flame", 0, 100)
    table = distances(clip.frames)
    by_lag = np.array([np.diagonal(table, lag).mean() for lag in range(1, 60)])
    assert clip.period is not None
    assert abs(1 + by_lag[10:].argmin() + 10 - clip.period) <= 1


def test_candles_have_each_a_rhythm() -> None:
    clip = render_clip("candles", 0, 100)
    for part, period in ((slice(0, 110), 29), (slice(146, 256), 47)):
        table = distances(np.ascontiguousarray(clip.frames[:, 20:95, part]))
        by_lag = np.array([np.diagonal(table, lag).mean() for lag in range(1, period + 9)])
        assert abs(1 + by_lag[10:].argmin() + 10 - period) <= 1
    assert clip.period is None and clip.truth["phases"].shape == (100, 2)


def test_fish_is_where_its_truth_says_before_a_blue_screen() -> None:
    clip = render_clip("fish", 0, 60)
    y, x = np.arange(144) + 0.5, np.arange(192) + 0.5
    matte = clip.truth["matte"] / 255.0
    total = matte.sum(axis=(1, 2))
    centre = np.stack([matte.sum(axis=1) @ x / total, matte.sum(axis=2) @ y / total], axis=1)
    assert np.abs(centre - clip.truth["position"]).max() < 5
    np.testing.assert_allclose(
        np.gradient(clip.truth["position"], axis=0)[1:-1], clip.truth["velocity"][1:-1], atol=1e-9
    )
    empty = clip.frames[clip.truth["matte"] == 0].mean(axis=0)
    np.testing.assert_allclose(empty, BLUE, atol=12)


def test_fish_swims_through_every_heading() -> None:
    velocity = render_clip("fish", 0, 360).truth["velocity"]
    headings = np.degrees(np.arctan2(velocity[:, 1], velocity[:, 0])) % 360
    assert np.histogram(headings, bins=12, range=(0, 360))[0].min() >= 6


def test_unknown_clips_get_a_suggestion() -> None:
    with pytest.raises(BenchError, match="Did you mean 'flame'"):
        render_clip("flames", 0)
