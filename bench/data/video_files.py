"""Frames into files that play everywhere: H.264 in MP4, and GIF. The same frames give the same bytes.

MP4: 8-bit 4:2:0 (``yuv420p``), even sides, colours tagged, the index at the beginning, one encoder thread and no clock
in the file. GIF: one palette for the whole film and an ordered dither, so that what stands still does not crawl.
Reading is :mod:`bench.data.video`; how a file turns its frames for showing is read here.
"""

from __future__ import annotations

import itertools
import struct
import tempfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.files import atomic

__all__ = ["contact_sheet", "display_matrix", "mp4_bytes", "write_gif", "write_mp4"]

ENCODERS = ("libx264", "libopenh264")
_BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])
SMALLEST_DELAY = 2
"""Hundredths of a second: browsers show frames with a shorter delay for 100 ms."""


def display_matrix(frame: Any) -> tuple[int, int, int, int]:
    """(a, b, c, d): a stored pixel (x, y) is shown at (a x + c y, b x + d y), up to scale and shift.

    Rotations and mirrorings alike; ``frame.rotation`` would take a mirroring for a half turn.
    """
    stored = frame.side_data.get("DISPLAYMATRIX")
    if stored is None:
        return 1, 0, 0, 1
    a, b, _, c, d = struct.unpack("=5i", bytes(stored)[:20])
    return a, b, c, d


def _even(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB with even sides: a last row or column is shown twice."""
    if frame.dtype != np.uint8 or frame.ndim not in (2, 3) or (frame.ndim == 3 and frame.shape[2] not in (1, 3)):
        raise BenchError(
            f"a frame of a video must be uint8 (H, W), (H, W, 1) or (H, W, 3), not {frame.dtype} {frame.shape}"
        )
    colour = (
        np.repeat(frame.reshape(*frame.shape[:2], -1), 3, axis=2) if frame.ndim == 2 or frame.shape[2] == 1 else frame
    )
    return np.ascontiguousarray(np.pad(colour, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge"))


def _encoder() -> str:
    import av

    for name in ENCODERS:
        if name in av.codecs_available:
            return name
    raise BenchError(
        f"this build of PyAV has no H.264 encoder ({' or '.join(ENCODERS)}): reinstall it with `pip install av`, "
        "or write a .gif"
    )


def _first(frames: Iterable[NDArray[np.uint8]], what: str) -> tuple[NDArray[np.uint8], Iterator[NDArray[np.uint8]]]:
    stream = iter(frames)
    try:
        first = next(stream)
    except StopIteration:
        raise BenchError(f"{what}: no frames to write") from None
    return first, itertools.chain([first], stream)


def _rate(fps: float, what: str) -> Fraction:
    if not 0.1 <= fps <= 240:
        raise BenchError(f"{what}: {fps:g} frames a second: give 0.1 to 240")
    return Fraction(fps).limit_denominator(1001)


def write_mp4(
    path: Path, frames: Iterable[NDArray[np.uint8]], fps: float, *, crf: int = 22, preset: str = "medium"
) -> int:
    """Frames ``(H, W, 3)`` (or grey) one after another into an MP4; how many there were.

    Args:
        path: of the file; written under another name and then renamed.
        frames: all of one size; consumed one at a time.
        fps: frames a second.
        crf: constant rate factor of x264: 18 looks like the original, 28 is small.
        preset: of x264: slower is smaller.

    Raises:
        BenchError: no frames, frames of other sizes, or no encoder.
    """
    import av

    first, stream = _first(frames, str(path))
    encoder = _encoder()
    # mbtree=0: the look-ahead of x264 reads memory that nobody wrote, and the sizes of the pictures depend on it.
    options = {"crf": str(crf), "preset": preset, "x264-params": "mbtree=0"} if encoder == "libx264" else {}
    height, width = _even(first).shape[:2]
    count = 0
    with atomic(path) as temporary:
        muxer = {"movflags": "+faststart", "fflags": "+bitexact"}
        with av.open(str(temporary), "w", format="mp4", options=muxer) as container:
            video: Any = container.add_stream(encoder, rate=_rate(fps, str(path)), options=options)
            video.width, video.height, video.pix_fmt = width, height, "yuv420p"
            context = video.codec_context
            context.thread_count = 1  # x264 decides otherwise with another number of threads
            context.color_range, context.colorspace, context.color_primaries, context.color_trc = (
                1,
                6,
                6,
                6,
            )  # limited, BT.601
            if encoder != "libx264":
                context.bit_rate = int(width * height * fps * 0.12)
            for frame in stream:
                picture = _even(frame)
                if picture.shape[:2] != (height, width):
                    raise BenchError(
                        f"{path}: frame {count} is {frame.shape[1]}x{frame.shape[0]}, the first "
                        f"{first.shape[1]}x{first.shape[0]}"
                    )
                shown = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                    format="yuv420p", dst_colorspace="ITU601"
                )
                shown.pts = count
                shown.time_base = 1 / _rate(fps, str(path))
                for packet in video.encode(shown):
                    container.mux(packet)
                count += 1
            for packet in video.encode():
                container.mux(packet)
    return count


def mp4_bytes(frames: Iterable[NDArray[np.uint8]], fps: float, *, crf: int = 22, preset: str = "medium") -> bytes:
    """The content of the file of :func:`write_mp4`."""
    with tempfile.TemporaryDirectory() as folder:  # the index can be moved to the front in a real file alone
        path = Path(folder) / "film.mp4"
        write_mp4(path, frames, fps, crf=crf, preset=preset)
        return path.read_bytes()


def _delays(fps: float) -> Iterator[int]:
    """Hundredths of a second of each frame, so that the film as a whole keeps its time.

    >>> list(itertools.islice(_delays(30.0), 6))
    [3, 4, 3, 3, 4, 3]
    """
    shown = 0
    for count in itertools.count(1):
        until = int(100 * count / fps + 0.5)
        yield until - shown
        shown = until


def _palette(frames: list[NDArray[np.uint8]], colours: int) -> Any:
    """One palette picture for a few frames that stand for all."""
    from PIL import Image

    tall = np.concatenate([frame.reshape(-1, frame.shape[1], 3) for frame in frames])
    return Image.fromarray(tall).quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def write_gif(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    fps: float,
    *,
    colours: int = 255,
    loop: bool = True,
    dither: float = 10.0,
) -> int:
    """Frames into an animated GIF; how many were written.

    A GIF counts in hundredths of a second: delays vary by one so that the whole keeps its time. Above 50 frames a
        second every second
    (third, ...) frame is left out.

    Args:
        path: of the file.
        frames: ``(H, W, 3)`` uint8 (or grey), all of one size.
        fps: frames a second.
        colours: of the palette, at most 255.
        loop: repeat for ever.
        dither: height of the ordered dither in grey levels; 0 for none.

    Raises:
        BenchError: no frames, or frames of other sizes.
    """
    from PIL import Image

    every = int(np.ceil(SMALLEST_DELAY * float(_rate(fps, str(path))) / 100))
    pictures = [_even(frame) for frame in itertools.islice(frames, 0, None, every)]
    if not pictures:
        raise BenchError(f"{path}: no frames to write")
    if any(picture.shape != pictures[0].shape for picture in pictures):
        raise BenchError(f"{path}: frames of several sizes")
    palette = _palette(pictures[:: max(1, len(pictures) // 8)][:9], colours)
    height, width = pictures[0].shape[:2]
    offset = np.tile((_BAYER + 0.5) / 16 - 0.5, (-(-height // 4), -(-width // 4)))[:height, :width, None] * dither

    def indexed(picture: NDArray[np.uint8]) -> Any:
        moved = np.clip(np.rint(picture + offset), 0, 255).astype(np.uint8)
        return Image.fromarray(moved).quantize(palette=palette, dither=Image.Dither.NONE)

    delays = [10 * delay for delay in itertools.islice(_delays(fps / every), len(pictures))]
    first, rest = indexed(pictures[0]), (indexed(picture) for picture in pictures[1:])
    again = {"loop": 0} if loop else {}
    with atomic(path) as temporary:
        first.save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=rest,
            duration=delays,
            optimize=False,
            disposal=1,
            **again,
        )
    return len(pictures)


def contact_sheet(frames: list[NDArray[np.uint8]], columns: int = 6, gap: int = 2) -> NDArray[np.uint8]:
    """Frames side by side, row by row, on white: what a film looks like without playing it."""
    height, width = frames[0].shape[:2]
    rows = -(-len(frames) // columns)
    sheet = np.full(
        (rows * (height + gap) - gap, min(columns, len(frames)) * (width + gap) - gap, 3), 255, dtype=np.uint8
    )
    for k, frame in enumerate(frames):
        y, x = k // columns * (height + gap), k % columns * (width + gap)
        sheet[y : y + height, x : x + width] = frame
    return sheet
