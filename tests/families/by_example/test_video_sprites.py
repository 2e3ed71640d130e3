"""Sprites: matte, tracking and steering of the rendered fish, whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.data.rendered_clips import RenderedClip, render_clip
from bench.families.by_example.video.video_sprites import (
    Sprite,
    SpriteControl,
    Swimmer,
    angle_between,
    compose,
    cut_out,
    pull_matte,
    track,
)


@pytest.fixture(scope="module")
def fish() -> RenderedClip:
    return render_clip("fish", 0, 200)


@pytest.fixture(scope="module")
def sprite(fish: RenderedClip) -> Sprite:
    return cut_out(fish.frames)


def test_matte_is_the_rendered_opacity(fish: RenderedClip, sprite: Sprite) -> None:
    truth = fish.truth["matte"] / 255.0
    assert np.abs(sprite.opacity - truth).mean() < 0.002
    assert (sprite.opacity[truth == 0] > 0.1).mean() < 1e-4
    assert (sprite.opacity[truth == 1] > 0.8).mean() > 0.95


def test_motion_is_the_rendered_one(fish: RenderedClip, sprite: Sprite) -> None:
    inner = slice(4, -4)
    errors = np.degrees(angle_between(sprite.velocities, fish.truth["velocity"]))[inner]
    assert errors.mean() < 8.0
    np.testing.assert_allclose(sprite.places[inner], fish.truth["position"][inner], atol=2.5)


def test_pictures_over_the_screen_give_the_clip_back(fish: RenderedClip, sprite: Sprite) -> None:
    """Cut out, put back in its place: the clip but for noise and the edge."""
    t = 50
    corner = np.rint(sprite.places[t] - sprite.centres[t]).astype(int)
    near = (
        slice(corner[1], corner[1] + sprite.pictures.shape[1]),
        slice(corner[0], corner[0] + sprite.pictures.shape[2]),
    )
    cover = sprite.pictures[t][..., 3:] / 255.0
    screen = np.median(fish.frames[::7], axis=0)[near]
    back = sprite.pictures[t][..., :3] + (1 - cover) * screen
    assert np.abs(back - fish.frames[t][near]).mean() < 3.0
    assert (sprite.pictures[..., :3] <= sprite.pictures[..., 3:]).all()  # premultiplied


def test_the_centre_of_a_moving_disc_is_found() -> None:
    y, x = np.arange(40)[:, None] + 0.5, np.arange(60)[None, :] + 0.5
    at = np.stack([15 + 0.7 * np.arange(20), 20 + 0.3 * np.arange(20)], axis=1)
    opacity = np.stack([np.clip(6.0 - np.hypot(x - a, y - b), 0, 1) for a, b in at])
    np.testing.assert_allclose(track(opacity), at, atol=0.05)
    with pytest.raises(BenchError, match="frame 3: nothing"):
        track(np.where(np.arange(20)[:, None, None] == 3, 0.0, opacity))


def test_no_screen_is_said() -> None:
    grey = np.random.default_rng(0).integers(100, 150, (12, 20, 20, 3), dtype=np.uint8)
    with pytest.raises(BenchError, match="no blue or green screen"):
        pull_matte(grey)
    with pytest.raises(BenchError, match="colour"):
        pull_matte(grey[..., 0])


def test_a_green_screen_works_as_well(fish: RenderedClip, sprite: Sprite) -> None:
    green = fish.frames[:40][..., [0, 2, 1]]
    np.testing.assert_allclose(pull_matte(green), pull_matte(fish.frames[:40]), atol=1e-12)


def test_steering_turns_towards_the_target_and_only_with_a_future(sprite: Sprite) -> None:
    far = np.tile([5000.0, 0.0], (120, 1))  # to the right, out of reach
    errors = {}
    for name, control, steered in (
        ("future", SpriteControl(), True),
        ("myopic", SpriteControl(alpha=0.0), True),
        ("none", SpriteControl(), False),
    ):
        plays = [Swimmer(sprite, control).steer(far, (0.0, 0.0), seed, steered=steered) for seed in range(2)]
        errors[name] = np.degrees(np.mean([play.errors[20:] for play in plays]))
    assert errors["future"] < 45.0
    assert errors["future"] < 0.7 * min(errors["none"], errors["myopic"])


def test_a_sprite_moves_by_the_velocities_of_the_frames_it_shows(sprite: Sprite) -> None:
    play = Swimmer(sprite).steer(np.tile([50.0, 50.0], (60, 1)), (10.0, 20.0), 1)
    np.testing.assert_allclose(np.diff(play.places, axis=0), sprite.velocities[play.frames[1:]], atol=1e-9)
    np.testing.assert_array_equal(play.places[0], [10.0, 20.0])
    again = Swimmer(sprite).steer(np.tile([50.0, 50.0], (60, 1)), (10.0, 20.0), 1)
    np.testing.assert_array_equal(play.frames, again.frames)
    jumped = play.costs > 0
    assert (np.diff(play.frames)[~jumped[1:]] == 1).all()


def test_composed_over_a_background(sprite: Sprite) -> None:
    play = Swimmer(sprite).steer(np.tile([40.0, 40.0], (8, 1)), (40.0, 40.0), 0)
    ground = np.full((80, 80, 3), 100, np.uint8)
    pictures = list(compose(iter([ground] * 8), sprite, play))
    assert len(pictures) == 8 and pictures[0].shape == ground.shape
    changed = (pictures[0] != ground).any(axis=2)
    y, x = np.nonzero(changed)
    assert abs(x.mean() - 40) < 8 and abs(y.mean() - 40) < 8
    outside = list(compose(iter([ground]), sprite, Swimmer(sprite).steer(np.zeros((1, 2)), (-500.0, -500.0), 0)))
    np.testing.assert_array_equal(outside[0], ground)


def test_angles() -> None:
    a, b = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]), np.array([[0.0, 3.0], [0.0, -1.0], [1.0, 0.0]])
    np.testing.assert_allclose(angle_between(a, b), [np.pi / 2, np.pi, np.pi / 2])


def test_control_is_checked() -> None:
    with pytest.raises(ValueError, match="directions"):
        SpriteControl(directions=1)
