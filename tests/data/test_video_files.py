"""MP4 and GIF: what a player needs, and the same bytes every time."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from bench.base.errors import BenchError
from bench.data.video_files import contact_sheet, mp4_bytes, write_gif, write_mp4


def film(count: int = 8, height: int = 30, width: int = 44) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack(
        [np.stack([(4 * x + 9 * t) % 256, (5 * y) % 256, 128 + 0 * x], axis=-1) for t in range(count)]
    ).astype(np.uint8)


def test_mp4_is_what_every_player_reads() -> None:
    content = mp4_bytes(film(), 25.0)
    assert content.index(b"moov") < content.index(b"mdat")  # plays while it loads
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height, float(stream.average_rate)) == (44, 30, 25.0)
        assert stream.codec_context.profile == "High"
        assert len(list(container.decode(video=0))) == 8


def test_colours_survive() -> None:
    flat = np.empty((4, 32, 32, 3), dtype=np.uint8)
    flat[:] = (200, 60, 30)
    with av.open(io.BytesIO(mp4_bytes(flat, 25.0, crf=10))) as container:
        shown = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    np.testing.assert_allclose(shown.reshape(-1, 3).mean(axis=0), (200, 60, 30), atol=3)


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    frames = film(30, 64, 64)
    assert mp4_bytes(frames, 29.97) == mp4_bytes(iter(frames), 29.97)
    for name in ("a.gif", "b.gif"):
        write_gif(tmp_path / name, frames, 25.0)
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()


def test_what_lies_in_memory_does_not_matter(tmp_path: Path) -> None:
    """glibc fills what it hands out with other values each time."""
    code = (
        "import sys, hashlib, numpy as np\n"
        "from bench.data.video_files import mp4_bytes\n"
        "y, x = np.mgrid[:64, :64]\n"
        "film = np.stack([np.stack([4 * x + 9 * t, 5 * y, 128 + 0 * x], axis=-1) % 256 for t in "
        "range(30)]).astype(np.uint8)\n"
        "print(hashlib.sha256(mp4_bytes(film, 25.0)).hexdigest())\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "MALLOC_PERTURB_": fill},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for fill in ("17", "165", "255")
    }
    assert len(found) == 1


def test_odd_sides_are_made_even_and_grey_is_allowed() -> None:
    grey = film(3, 31, 45)[..., 0]
    with av.open(io.BytesIO(mp4_bytes(grey, 25.0, crf=5))) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert frame.shape == (32, 46, 3)
    np.testing.assert_allclose(frame[:31, :45, 1].astype(int), grey[0], atol=12)


def test_quality_rises_with_size() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    assert len(mp4_bytes(frames, 25.0, crf=18)) > len(mp4_bytes(frames, 25.0, crf=35))


@pytest.mark.parametrize("fps", [10.0, 30.0, 30000 / 1001, 60.0])
def test_gif_keeps_its_time(tmp_path: Path, fps: float) -> None:
    """Delays are whole hundredths; over a second the error must stay below one."""
    frames = film(int(2 * fps))
    written = write_gif(tmp_path / "a.gif", frames, fps)
    with Image.open(tmp_path / "a.gif") as picture:
        delays = []
        for index in range(picture.n_frames):
            picture.seek(index)
            delays.append(picture.info["duration"])
        assert picture.info["loop"] == 0
        assert picture.n_frames == written
    every = 2 if fps > 50 else 1
    assert written == -(-len(frames) // every)
    assert min(delays) >= 20
    assert sum(delays) == pytest.approx(1000 * written * every / fps, abs=10)


def test_gif_looks_like_its_frames(tmp_path: Path) -> None:
    frames = film()
    write_gif(tmp_path / "a.gif", frames, 25.0)
    with Image.open(tmp_path / "a.gif") as picture:
        picture.seek(5)
        shown = np.asarray(picture.convert("RGB")).astype(int)
    assert np.abs(shown - frames[5]).mean() < 12


def test_what_stands_still_does_not_crawl(tmp_path: Path) -> None:
    frames = film(6)
    frames[:, :15] = frames[0, :15]
    write_gif(tmp_path / "a.gif", frames, 25.0)
    with Image.open(tmp_path / "a.gif") as picture:
        shown = []
        for index in range(6):
            picture.seek(index)
            shown.append(np.asarray(picture.convert("RGB")))
    assert all((one[:15] == other[:15]).all() for one, other in itertools.pairwise(shown))


def test_faults_are_said_and_leave_no_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with pytest.raises(BenchError, match="no frames"):
        write_mp4(path, [], 25.0)
    with pytest.raises(BenchError, match="frame 1 is 20x20, the first 44x30"):
        write_mp4(path, [film(1)[0], np.zeros((20, 20, 3), np.uint8)], 25.0)
    with pytest.raises(BenchError, match="uint8"):
        write_mp4(path, [np.zeros((20, 20, 4), np.uint8)], 25.0)
    with pytest.raises(BenchError, match="0 frames a second"):
        write_mp4(path, film(), 0.0)
    with pytest.raises(BenchError, match="several sizes"):
        write_gif(tmp_path / "a.gif", [film(1)[0], np.zeros((20, 20, 3), np.uint8)], 25.0)
    assert list(tmp_path.iterdir()) == []


def test_contact_sheet() -> None:
    sheet = contact_sheet(list(film(5, 10, 12)), columns=3, gap=1)
    assert sheet.shape == (21, 38, 3)
    np.testing.assert_array_equal(sheet[11:21, 13:25], film(5, 10, 12)[4])
