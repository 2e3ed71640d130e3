"""A user's video in, an endless play or a loop out."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from bench.base.errors import BenchError
from bench.commands.video_sampling import preview_path, run_video
from bench.data.video_files import mp4_bytes

PERIOD = 20


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three periods of a bar that swings, with camera noise."""
    rng = np.random.default_rng(0)
    x = np.arange(64)[None, :]
    frames = []
    for t in range(60):
        bar = 180 * np.exp(-((x - 32 - 18 * np.sin(2 * np.pi * t / PERIOD)) ** 2) / 20)
        frames.append(np.clip(np.rint(40 + bar[..., None] + rng.normal(0, 2, (36, 64, 3))), 0, 255).astype(np.uint8))
    path = tmp_path_factory.mktemp("video") / "swing.mp4"
    path.write_bytes(mp4_bytes(frames, 25.0, crf=15))
    return path


def frames_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def position(frames: np.ndarray) -> np.ndarray:
    """Where the bar stands."""
    light = np.clip(frames[..., 0].astype(float).mean(axis=1) - 60, 0, None)
    return (light * np.arange(64)).sum(axis=1) / light.sum(axis=1)


def test_endless_play_of_the_asked_length(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "film.mp4"
    said = run_video(video, out=out, seconds=6, seed=3, quiet=True, options={"sigma": 0.3})
    frames = frames_of(out)
    assert frames.shape == (150, 36, 64, 3) and "150 frames, 6.0 s" in said and "jumps" in said
    swing = position(frames)
    assert np.abs(np.diff(swing)).max() < 9  # it swings on and never leaps
    with Image.open(preview_path(out)) as preview:
        assert preview.size == (4 * 66 - 2, 3 * 38 - 2)
    again = run_video(video, out=tmp_path / "again.mp4", seconds=6, seed=3, quiet=True, options={"sigma": 0.3})
    assert (tmp_path / "again.mp4").read_bytes() == out.read_bytes() and again != said
    run_video(video, out=tmp_path / "other.mp4", seconds=6, seed=4, quiet=True, options={"sigma": 0.3})
    assert (tmp_path / "other.mp4").read_bytes() != out.read_bytes()


def test_the_best_loop_comes_round(video: Path, tmp_path: Path) -> None:
    """Without a length it finds the period (or twice it); with one it has exactly that."""
    run_video(video, out=tmp_path / "best.mp4", loop=True, quiet=True)
    found = frames_of(tmp_path / "best.mp4")
    assert len(found) in (PERIOD * 2, PERIOD * 3, PERIOD * 4)  # a second at least
    swing = position(found)
    assert abs(swing[0] - swing[-1]) < 8
    run_video(video, out=tmp_path / "long.mp4", loop=True, seconds=4.8, quiet=True)
    swing = position(frames_of(tmp_path / "long.mp4"))
    assert len(swing) == 120
    np.testing.assert_allclose(np.roll(swing, -PERIOD)[:100], swing[:100], atol=3)


def test_gif_speed_range_and_two_parts(video: Path, tmp_path: Path) -> None:
    run_video(video, out=tmp_path / "a.gif", loop=True, quiet=True)
    with Image.open(tmp_path / "a.gif") as picture:
        assert picture.n_frames >= PERIOD
    run_video(video, out=tmp_path / "slow.mp4", seconds=2, options={"speed": 0.5}, quiet=True)
    assert np.abs(np.diff(position(frames_of(tmp_path / "slow.mp4")))).max() < 4.5
    assert len(frames_of(tmp_path / "slow.mp4")) in (48, 50)
    run_video(video, out=tmp_path / "split.mp4", seconds=2, options={"split": True}, loop=True, quiet=True)
    assert len(frames_of(tmp_path / "split.mp4")) == 50
    run_video(video, out=tmp_path / "early.mp4", seconds=2, options={"within": (0.2, 1.2)}, size=(18, 32), quiet=True)
    assert frames_of(tmp_path / "early.mp4").shape == (50, 18, 32, 3)


def test_default_name_lies_here(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_video(video, seconds=1, quiet=True).startswith(
        "wrote swing-texture.mp4 (64x36, 25 frames, 1.0 s) and swing-texture-preview.png"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["swing-texture-preview.png", "swing-texture.mp4"]


def test_mistakes_are_said(video: Path, tmp_path: Path) -> None:
    for wrong, message in (
        ({"out": tmp_path / "a.avi"}, ".mp4 or .gif"),
        ({"out": video}, "one of the files that are read"),
        ({"seconds": -1}, "--seconds: must be a number above 0"),
        ({"options": {"speed": 0}}, "option: speed: must be a number above 0"),
        ({"options": {"sigmma": 1}}, "Did you mean 'sigma'"),
        ({"options": {"order": "real"}}, "only markov"),
        ({"loop": True, "seconds": 400}, "too long to search"),
        ({"options": {"within": (5.0, 9.0)}}, "outside of the clip"),
    ):
        with pytest.raises(BenchError, match=message):
            run_video(video, **{"out": tmp_path / "a.mp4", "quiet": True, **wrong})  # type: ignore[arg-type]
    with pytest.raises(BenchError, match="no such file"):
        run_video(tmp_path / "none.mp4", out=tmp_path / "a.mp4", quiet=True)
    assert list(tmp_path.iterdir()) == []
