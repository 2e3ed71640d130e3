"""Cross-fades, speed and regions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.base.errors import BenchError
from bench.families.by_example.video.video_playback import (
    at_speed,
    blend_weights,
    jumps_of,
    regions,
    render,
    split_column,
)
from bench.metrics.plays import largest_change

PLAY = np.array([4, 5, 6, 7, 20, 21, 22, 23, 24, 25, 26, 27])


def ramp_clip(length: int = 40, size: int = 6) -> np.ndarray:
    """Frame t is grey of value 5 t."""
    return np.broadcast_to((5 * np.arange(length, dtype=np.uint8))[:, None, None, None], (length, size, size, 3)).copy()


def test_hard_cuts_show_single_frames() -> None:
    assert blend_weights(PLAY, 40, 0) == [[(int(frame), 1.0)] for frame in PLAY]


def test_a_cross_fade_is_a_linear_ramp_between_the_two_runs() -> None:
    mixed = blend_weights(PLAY, 40, 4)
    shares = [dict(mix).get(frame, 0.0) for mix, frame in zip(mixed, range(16, 28), strict=True)]
    np.testing.assert_allclose(shares, [0, 0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1, 1, 1])
    assert mixed[3] == [(7, pytest.approx(0.6)), (19, pytest.approx(0.4))]  # the new run starts early
    assert mixed[4] == [(8, pytest.approx(0.4)), (20, pytest.approx(0.6))]  # the old one goes on
    assert mixed[0] == [(4, 1.0)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 39), min_size=2, max_size=40), st.integers(0, 9), st.booleans())
def test_weights_sum_to_one_and_stay_in_the_clip(frames: list[int], fade: int, loop: bool) -> None:
    mixed = blend_weights(np.array(frames), 40, fade, loop)
    assert len(mixed) == len(frames)
    for mix in mixed:
        assert sum(weight for _, weight in mix) == pytest.approx(1.0)
        assert all(0 <= frame < 40 and weight > 0 for frame, weight in mix)


def test_a_run_is_not_drawn_out_beyond_the_clip() -> None:
    mixed = blend_weights(np.array([38, 39, 0, 1]), 40, 4)
    assert {frame for mix in mixed for frame, _ in mix} <= {38, 39, 0, 1}


def test_a_loop_fades_over_its_seam_both_ways() -> None:
    shown = np.arange(10, 20)
    once, loop = blend_weights(shown, 40, 2), blend_weights(shown, 40, 2, loop=True)
    assert once[0] == [(10, 1.0)] and once[-1] == [(19, 1.0)]
    assert dict(loop[0]) == pytest.approx({10: 2 / 3, 20: 1 / 3})
    assert dict(loop[-1]) == pytest.approx({19: 2 / 3, 9: 1 / 3})


def test_a_loop_shorter_than_the_fade_still_sums_to_one() -> None:
    for mix in blend_weights(np.array([5, 6, 7]), 40, 8, loop=True):
        assert sum(weight for _, weight in mix) == pytest.approx(1.0)


def test_jumps_of_a_play_and_of_a_loop() -> None:
    assert jumps_of(PLAY).tolist() == [3]
    assert jumps_of(np.array([1, 2, 3]), loop=True).tolist() == [2]
    assert jumps_of(np.array([1, 2, 3])).tolist() == []


def test_rendering_mixes_and_rounds() -> None:
    shown = list(render(ramp_clip(), [[(2, 1.0)], [(2, 0.5), (3, 0.5)]]))
    assert shown[0].max() == 10 and shown[1].min() == shown[1].max() == 12  # 12.5, to even
    assert shown[1].dtype == np.uint8


def test_speed_stretches_and_skips() -> None:
    play = blend_weights(np.arange(20), 40, 0)
    slow = [np.mean(picture) for picture in render(ramp_clip(), at_speed(play, 0.5, 8))]
    np.testing.assert_allclose(slow, [0, 2, 5, 8, 10, 12, 15, 18], atol=0.51)
    fast = [np.mean(picture) for picture in render(ramp_clip(), at_speed(play, 2.0, 5))]
    np.testing.assert_allclose(fast, [0, 10, 20, 30, 40])
    assert at_speed(play, 1.0, 20) == play
    looped = at_speed(play, 3.0, 14, loop=True)
    assert looped[7] == [(1, 1.0)]  # 21 frames on in a loop of 20


def test_speed_may_change_while_it_plays() -> None:
    play = blend_weights(np.arange(20), 40, 0)
    shown = at_speed(play, np.array([1.0, 1.0, 2.0, 2.0, 0.0, 0.0]), 6)
    assert [mix[0][0] for mix in shown] == [0, 1, 2, 4, 6, 6]


def test_speed_of_a_play_too_short_is_said() -> None:
    play = blend_weights(np.arange(5), 40, 0)
    with pytest.raises(BenchError, match="need a play of 9 frames"):
        at_speed(play, 2.0, 5)
    with pytest.raises(BenchError, match="negative"):
        at_speed(play, -1.0, 5)


def two_movers() -> np.ndarray:
    """A bar that blinks on the left and one on the right, nothing in between."""
    frames = np.zeros((24, 20, 48, 3), dtype=np.uint8)
    for t in range(24):
        frames[t, :, 4:14] = 200 * (t % 3 == 0)
        frames[t, :, 34:44] = 200 * (t % 4 == 0)
    return frames


def test_the_split_lies_where_nothing_moves() -> None:
    column, feather = split_column(two_movers())
    assert 18 <= column <= 30
    assert column - feather // 2 >= 9 and column + feather // 2 <= 39


def test_regions_show_each_part_of_its_own_frame() -> None:
    frames = two_movers()
    joined = next(regions(frames, 24, 4, [[(0, 1.0)]], [[(1, 1.0)]]))
    np.testing.assert_array_equal(joined[:, :22], frames[0][:, :22])
    np.testing.assert_array_equal(joined[:, 26:], frames[1][:, 26:])
    with pytest.raises(BenchError, match="equally long"):
        list(regions(frames, 24, 4, [[(0, 1.0)]], []))


def test_a_fade_softens_the_seam() -> None:
    hard, soft = (largest_change(render(ramp_clip(), blend_weights(PLAY, 40, fade))) for fade in (0, 4))
    assert hard == pytest.approx(65.0)
    assert 5.0 < soft < 25.0
