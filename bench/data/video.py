"""Videos: any file that FFmpeg reads into uint8 frames on disk, and the data sets made of them.

Frames are decoded one at a time straight into an ``.npy`` file, which readers map into memory: a long clip never lies
in memory as a whole. What a clip of a video texture must be (one constant rate, at least two frames, nothing broken) is
checked while decoding.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.files import atomic, write_npz
from bench.base.progress import Progress
from bench.data.cards import Card
from bench.data.datasets import load_meta
from bench.data.names import visible_files
from bench.data.rendered_clips import render_clip
from bench.data.video_files import display_matrix

__all__ = ["MAX_FRAMES", "VIDEOS", "Clip", "decode", "load", "load_clip", "prepare", "read_video"]

VIDEOS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif", ".mpg", ".mpeg", ".ogv", ".wmv")
MAX_FRAMES = 4000
"""A video texture compares all pairs of frames: longer clips must be cut."""
MAX_PIXELS = 1 << 24
"""Larger frames are taken for decompression bombs."""


@dataclass(frozen=True)
class Clip:
    """A clip.

    Attributes:
        name: of its file.
        frames: ``(T, H, W, 3)`` uint8, as a rule mapped from disk.
        fps: frames a second.
        period: of a known motion, in frames.
        truth: what is known of a rendered clip (:class:`bench.data.rendered_clips.RenderedClip`).
    """

    name: str
    frames: NDArray[np.uint8]
    fps: float
    period: float | None = None
    truth: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frames)


class _Source:
    """One opened video: frames as arrays with their times, every fault named."""

    def __init__(self, source: Path | bytes, name: str, size: tuple[int, int] | None, on_broken: str) -> None:
        import av

        self.name, self.box, self.skip = name, size, on_broken == "skip"
        self.errors = av.error.FFmpegError
        try:
            self.container: Any = av.open(io.BytesIO(source) if isinstance(source, bytes) else str(source))
        except FileNotFoundError:
            raise BenchError(f"{name}: no such file") from None
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise BenchError(
                f"{name}: not a video that can be read ({_plain(error)}); give a file such as .mp4, .mov, .webm or .gif"
            ) from error
        if not self.container.streams.video:
            found = ", ".join(stream.type for stream in self.container.streams) or "nothing"
            self.container.close()
            raise BenchError(f"{name}: holds no pictures, only {found}: not a video")
        self.stream = self.container.streams.video[0]
        self.stream.thread_type = "AUTO"
        self.rate = float(self.stream.average_rate or self.stream.guessed_rate or 0)
        self.broken = 0
        if not self.skip:
            self.stream.codec_context.options = {"err_detect": "explode"}

    def frames(self) -> Iterator[tuple[float | None, NDArray[np.uint8]]]:
        """(time in seconds, or None; ``(H, W, 3)``) in the order of showing."""
        count, packets = 0, 0
        with self.container:
            try:
                for packet in self.container.demux(self.stream):
                    packets += packet.size > 0
                    try:
                        decoded = packet.decode()
                    except self.errors as error:
                        self._fault(count, _plain(error))
                        continue
                    for frame in decoded:
                        if frame.is_corrupt:
                            self._fault(count, "a damaged picture")
                            continue
                        count += 1
                        yield (
                            (None if frame.pts is None else float(frame.pts * self.stream.time_base)),
                            self._array(frame),
                        )
            except self.errors as error:
                self._fault(count, _plain(error))
        if packets < self.stream.frames:
            self._fault(count, f"the file ends after {packets} of {self.stream.frames} packets: it was cut off")

    def _fault(self, count: int, what: str) -> None:
        self.broken += 1
        if not self.skip:
            raise BenchError(
                f"{self.name}: broken after frame {count:,} ({what}): repair it (ffmpeg -i FILE -c copy NEW), cut "
                "it before that frame, "
                "or skip what is broken (on_broken: skip), which holds the frame before"
            )

    def _array(self, frame: Any) -> NDArray[np.uint8]:
        """RGB, upright, square pixels, within the box."""
        width, height = frame.width, frame.height
        if width * height > MAX_PIXELS:
            raise BenchError(f"{self.name}: frames of {width}x{height} pixels are too large: reduce the video first")
        ratio = float(self.stream.sample_aspect_ratio or 1)
        shown = width * ratio if 0.1 < ratio < 10 else float(width)
        a, b, c, d = display_matrix(frame)
        lying = abs(b) + abs(c) > abs(a) + abs(d)
        limit = (float("inf"), float("inf")) if self.box is None else self.box[:: -1 if lying else 1]
        factor = min(1.0, limit[0] / height, limit[1] / shown)
        if factor * shown == width and factor == 1:
            picture = frame.to_ndarray(format="rgb24")
        else:  # even sides, which every encoder takes
            to = (max(2, 2 * round(shown * factor / 2)), max(2, 2 * round(height * factor / 2)))
            picture = frame.to_ndarray(width=to[0], height=to[1], format="rgb24", interpolation="AREA")
        if lying:
            picture, a, d = picture.transpose(1, 0, 2), c, b
        return np.ascontiguousarray(picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _plain(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def _constant(times: list[float | None], rate: float, name: str) -> float:
    """Frames a second, if each frame stands within half a frame of where a constant rate puts it.

    Files without times (raw streams) are taken at the rate that they declare.
    """
    if any(time is None for time in times):
        return rate or 25.0
    at = np.array(times, dtype=np.float64)
    steps = np.diff(at)
    mean = float(at[-1] - at[0]) / (len(at) - 1)
    if mean <= 0 or float(np.abs(at - at[0] - mean * np.arange(len(at))).max()) >= 0.5 * mean or steps.min() <= 0:
        wanted = max(1, round(rate or 1 / max(mean, 1e-3)))
        raise BenchError(
            f"{name}: variable frame rate (a frame lasts from {1000 * steps.min():.0f} to {1000 * steps.max():.0f} "
            "ms): a video texture "
            f"needs a constant one; resample it (fps={wanted}), or convert it (ffmpeg -i FILE -fps_mode cfr -r "
            f"{wanted} NEW)"
        )
    return rate if rate and abs(rate * mean - 1) < 0.005 else 1.0 / mean


def _resampled(
    frames: Iterator[tuple[float | None, NDArray[np.uint8]]], fps: float, rate: float
) -> Iterator[NDArray[np.uint8]]:
    """At every 1 / fps seconds the frame that is on the screen then."""
    shown: NDArray[np.uint8] | None = None
    start = last = 0.0
    step, count = 1.0 / (rate or fps), 0
    for index, (time, frame) in enumerate(frames):
        now = index * step if time is None else time
        if shown is None:
            start = now
        else:
            while start + count / fps < now - 1e-6:
                yield shown
                count += 1
            step = max(now - last, 1e-6)
        shown, last = frame, now
    while (
        shown is not None and start + count / fps < last + step - 1e-6
    ):  # the last frame stays as long as the one before it
        yield shown
        count += 1


def decode(
    source: Path | bytes,
    target: Path,
    *,
    name: str = "",
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    limit: int | None = None,
    on_broken: str = "refuse",
    quiet: bool = True,
) -> float:
    """A video into an ``.npy`` file ``(T, H, W, 3)`` uint8, frame by frame; its frames a second.

    Args:
        source: a file, or the bytes of one. Sound is ignored, 10-bit and 12-bit colours become 8-bit, alpha is dropped,
            a rotation or mirroring noted by a telephone is carried out.
        target: the file to write.
        name: for messages.
        size: largest (height, width); larger frames are reduced by area, keeping their shape.
        fps: resample to this rate: each new frame is the one on the screen at its time. None keeps the video's own
            constant rate.
        limit: take at most so many frames; None for all, of which there may be :data:`MAX_FRAMES`.
        on_broken: ``refuse``, or ``skip``: broken frames are left out, and the one before is shown for as long.
        quiet: no progress.

    Raises:
        BenchError: no video, a single frame, a variable rate (with ``fps`` None), broken packets, too many or too large
            frames.
    """
    name = name or (str(source) if isinstance(source, Path) else "the video")
    opened = _Source(source, name, size, on_broken)
    if on_broken == "skip" and fps is None:
        fps = opened.rate or None
    times: list[float | None] = []

    def timed() -> Iterator[NDArray[np.uint8]]:
        for time, frame in opened.frames():
            times.append(time)
            yield frame

    frames = timed() if fps is None else _resampled(opened.frames(), fps, opened.rate)
    most = MAX_FRAMES if limit is None else min(limit, MAX_FRAMES)
    with (
        atomic(target) as temporary,
        temporary.open("wb") as file,
        Progress(f"reading {name}", unit="frames", quiet=quiet) as progress,
    ):
        count, shape = 0, (0, 0, 3)
        for frame in frames:
            if count == most:
                if limit is None:
                    raise BenchError(
                        f"{name}: more than {MAX_FRAMES:,} frames: cut it, or give a limit (all pairs of frames "
                        "are compared)"
                    )
                break
            if count == 0:
                shape = frame.shape
                _header(file, 0, shape)
            elif frame.shape != shape:
                raise BenchError(
                    f"{name}: frame {count:,} is {frame.shape[1]}x{frame.shape[0]}, those before {shape[1]}x{shape[0]}"
                )
            file.write(frame.tobytes())
            count += 1
            progress.update()
        if count < 2:
            raise BenchError(
                f"{name}: {'one frame' if count else 'no frame that can be shown'}: a video texture needs a moving "
                "picture of at least two"
            )
        rate = _constant(times, opened.rate, name) if fps is None else fps
        file.seek(0)
        _header(file, count, shape)
    return rate


def _header(file: Any, count: int, shape: tuple[int, ...]) -> None:
    """The head of an npy file; NumPy leaves room for the first axis to grow, so that a later head has the same
    length."""
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)})


def read_video(source: Path | bytes, folder: Path, *, name: str = "", **options: Any) -> Clip:
    """A video decoded into ``folder`` and mapped from there; options as for :func:`decode`."""
    name = name or (source.stem if isinstance(source, Path) else "video")
    target = folder / f"{name}.npy"
    fps = decode(source, target, name=str(source) if isinstance(source, Path) else name, **options)
    return Clip(name, np.load(target, mmap_mode="r"), fps)


def prepare(card: Card, raw: Path, folder: Path, quiet: bool = False) -> tuple[dict[str, int], str, dict[str, Any]]:
    """The clips of a card: ``NAME.npy`` of each video in ``raw`` and of each clip that the card asks to render.

    ``size`` in the card is the largest (height, width); ``rendered`` lists names of
    :data:`bench.data.rendered_clips.RENDERED`, drawn from ``split.seed``.

    Returns:
        (number of clips, unit, ``{"clips": facts of each}``).

    Raises:
        BenchError: a file that is no usable video (with ``on_broken: skip`` it is left out), or two of one name.
    """
    clips: dict[str, dict[str, Any]] = {}
    skipped: list[str] = []
    for path in visible_files(raw, VIDEOS):
        name = path.relative_to(raw).with_suffix("").as_posix().replace("/", "-")
        if name in clips:
            raise card.error("members", f"two videos are called {name!r}")
        try:
            fps = decode(path, folder / f"{name}.npy", size=card.size, on_broken=card.on_broken, quiet=quiet)
        except BenchError as error:
            if card.on_broken != "skip":
                raise
            skipped.append(str(error).replace(str(raw), raw.name))
            continue
        shape = np.load(folder / f"{name}.npy", mmap_mode="r").shape
        clips[name] = {"fps": fps, "shape": list(shape), "rendered": False, "period": None}
    for name in card.rendered:
        if name in clips:
            raise card.error("rendered", f"a video is called {name!r} too")
        clip = render_clip(name, card.split.seed)
        with atomic(folder / f"{name}.npy") as temporary, temporary.open("wb") as file:
            np.lib.format.write_array(file, clip.frames, allow_pickle=False)
        write_npz(folder / f"{name}.truth.npz", clip.truth)
        clips[name] = {"fps": clip.fps, "shape": list(clip.frames.shape), "rendered": True, "period": clip.period}
    if not clips:
        raise card.error("members", f"no video among them: none of {', '.join(VIDEOS)} could be read")
    return {"clips": len(clips)}, "clips", {"clips": clips, "skipped": skipped}


def load_clip(folder: Path, name: str, facts: Mapping[str, Any]) -> Clip:
    """One clip of a prepared folder, mapped from disk."""
    path = folder / f"{name}.npy"
    try:
        frames = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise BenchError(
            f"{path}: missing or broken ({error}); run `python stages/prepare.py {folder.name}` again"
        ) from error
    truth = folder / f"{name}.truth.npz"
    known: dict[str, NDArray[Any]] = {}
    if truth.is_file():
        with np.load(truth, allow_pickle=False) as file:
            known = {key: file[key] for key in file.files}
    return Clip(name, frames, float(facts["fps"]), facts["period"], known)


def load(folder: Path) -> dict[str, Clip]:
    """Name -> :class:`Clip` of a prepared data set of kind ``video``.

    Raises:
        BenchError: not prepared, or a broken file.
    """
    return {name: load_clip(folder, name, facts) for name, facts in load_meta(folder)["clips"].items()}
