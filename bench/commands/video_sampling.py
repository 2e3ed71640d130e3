"""``bench sample video-texture``: an endless play or the best loop of any video, as MP4 or GIF, with a preview
picture."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.files import atomic
from bench.base.progress import Progress, track
from bench.base.settings import Checked, Natural, NotNegative, Positive, build_config, field_types
from bench.commands.flags import check_output
from bench.data.video import Clip, read_video
from bench.data.video_files import contact_sheet, write_gif, write_mp4
from bench.families.by_example.video.video_distances import distances
from bench.families.by_example.video.video_loops import LoopTable, primitive_loops
from bench.families.by_example.video.video_playback import (
    at_speed,
    blend_weights,
    jumps_of,
    regions,
    render,
    split_column,
)
from bench.families.by_example.video.video_textures import Texture, VideoTextures
from bench.registry import sample_options

__all__ = ["FilmOptions", "preview_path", "run_video"]

Mixes = Sequence[Sequence[tuple[int, float]]]
LONGEST_TABLE = 6000
"""Frames of the longest loop that is searched for: the search takes time with the square of its length."""


def preview_path(out: Path) -> Path:
    """Where the preview of ``out`` lies: ``film.mp4`` -> ``film-preview.png``."""
    return out.with_name(f"{out.stem}-preview.png")


def _loop(texture: Texture, n: int | None, clip: Clip) -> NDArray[np.int64]:
    """One round of the cheapest loop of ``n`` frames; without ``n`` the one of a second to twice the clip that costs
    least a frame."""
    longest = min(2 * len(texture), LONGEST_TABLE) if n is None else n
    if longest > LONGEST_TABLE:
        raise BenchError(f"--seconds: a loop of {n:,} frames is too long to search for; at most {LONGEST_TABLE:,}")
    power = texture.config.p
    table = LoopTable(primitive_loops(texture.unpruned**power, longest, shortest=texture.config.shortest), longest)
    loop = table.cheapest(min(round(clip.fps), longest), longest) if n is None else table.loop(n)
    frames: NDArray[np.int64] = loop.states + texture.first
    return frames


def _shown(texture: Texture, clip: Clip, n: int | None, loop: bool, seed: int) -> NDArray[np.int64]:
    if loop:
        return _loop(texture, n, clip)
    played: NDArray[np.int64] = texture.plays(n or round(10 * clip.fps), [seed], texture.best_start)[0]
    return played


def _described(texture: Texture, shown: NDArray[np.int64], clip: Clip, loop: bool) -> str:
    """What a user wants to know of a play before looking at it."""
    whole = np.concatenate([shown, shown[:1]]) if loop else shown
    places = jumps_of(whole)
    costs = texture.jump_costs(whole)[places]
    costs = costs[np.isfinite(costs)]
    if len(costs) == 0:
        return "no jumps"
    step = float(np.median(np.diagonal(texture.unpruned, offset=2))) / texture.scale if len(texture) > 3 else 0.0
    places_used = len(np.unique(whole[places]))
    return (
        f"{len(places)} jumps from {places_used} places, mean cost {costs.mean():.2f} (a frame left out costs "
        f"{step:.2f})"
    )


def _pictures(clip: Clip, parts: Sequence[Mixes], column: int, feather: int) -> Iterator[NDArray[np.uint8]]:
    return (
        render(clip.frames, parts[0]) if len(parts) == 1 else regions(clip.frames, column, feather, parts[0], parts[1])
    )


def _write(out: Path, pictures: Iterable[NDArray[np.uint8]], n: int, fps: float, loop: bool, quiet: bool) -> None:
    """The film, and beside it a sheet of twelve of its frames."""
    kept: list[NDArray[np.uint8]] = []
    wanted = set(np.linspace(0, n - 1, min(n, 12)).astype(int).tolist())

    def watched() -> Iterator[NDArray[np.uint8]]:
        with Progress(f"writing {out}", n, "frames", quiet=quiet) as progress:
            for count, picture in enumerate(pictures):
                if count in wanted:
                    kept.append(picture)
                yield picture
                progress.update()

    if out.suffix.lower() == ".gif":
        write_gif(out, watched(), fps, loop=loop)
    else:
        write_mp4(out, watched(), fps)
    from bench.results.pictures import png_bytes

    with atomic(preview_path(out)) as temporary:
        temporary.write_bytes(png_bytes(contact_sheet(kept, columns=4)))


@dataclass(frozen=True)
class FilmOptions(Checked):
    """Options of ``bench sample video-texture`` that are no settings of the texture.

    Attributes:
        fps: resample the video to this rate first (needed where its rate varies).
        within: (first, last) second of the video that the play should keep to.
        speed: of the film: 0.5 is slow motion.
        fade: frames of the cross-fade at a jump.
        split: play the left and the right part independently.
        on_broken: ``refuse`` or ``skip`` broken frames.
    """

    fps: Positive | None = None
    within: tuple[NotNegative, Positive] | None = None
    speed: Positive = 1.0
    fade: Natural = 6
    split: bool = False
    on_broken: Literal["refuse", "skip"] = "refuse"


def run_video(
    video: Path,
    *,
    out: Path | None = None,
    seconds: float | None = None,
    loop: bool = False,
    seed: int = 0,
    size: tuple[int, int] | None = None,
    options: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> str:
    """Reads a video, plays it endlessly or finds its best loop, writes the film and a preview.

    Args:
        video: any file that FFmpeg reads.
        out: ``.mp4`` or ``.gif``; by default ``NAME-texture.mp4`` or ``NAME-loop.mp4`` in the current folder.
        seconds: of the film; for a loop exactly one round. None: ten seconds, or the loop that costs least a frame.
        loop: the best loop instead of a random play.
        seed: of the play.
        size: largest (height, width) to work at.
        options: of :class:`FilmOptions`, and settings of
            :class:`bench.families.by_example.video.video_textures.VideoTexturesOptions`, such as ``{"sigma": 0.2}``.
        quiet: no progress.

    Returns:
        What was written, for people.

    Raises:
        BenchError: a video that cannot be read or used, a loop that does not exist, a setting that is not allowed.
    """
    out = out or Path(f"{video.stem}-{'loop' if loop else 'texture'}.mp4")
    check_output(out, (".mp4", ".gif"), "films", [video])
    check_output(preview_path(out), (), "the preview", [video])
    if seconds is not None and not 0 < seconds < math.inf:
        raise BenchError(f"--seconds: must be a number above 0, not {seconds}")
    given, system = dict(options or {}), VideoTextures()
    config = sample_options(VideoTextures, system.config, given, "option", FilmOptions)
    film = build_config(FilmOptions, {key: given[key] for key in field_types(FilmOptions) if key in given}, "option")
    if config.order != "markov":
        raise BenchError("option order: only markov makes a video texture")
    with tempfile.TemporaryDirectory() as folder:
        clip = read_video(video, Path(folder), size=size, fps=film.fps, on_broken=film.on_broken, quiet=quiet)
        height, width = clip.frames.shape[1:3]
        n = None if seconds is None else max(2, round(seconds * clip.fps * film.speed))
        column, feather = split_column(clip.frames) if film.split else (width, 0)
        left = np.broadcast_to(np.arange(width) < column, (height, width))
        described: list[str] = []
        parts: list[list[list[tuple[int, float]]]] = []
        for mask in track([left, ~left] if film.split else [None], "planning", "parts", quiet=quiet):
            with Progress("comparing all frames", clip.frames[0].size, "values", quiet=quiet) as progress:
                table = distances(clip.frames, mask, progress.update)
            frames = (
                None
                if film.within is None
                else (int(film.within[0] * clip.fps), min(int(film.within[1] * clip.fps), len(clip) - 1))
            )
            texture = Texture.of(table, config, frames)
            shown = _shown(texture, clip, n, loop, seed + len(parts))
            if loop and film.split and n is None:  # both parts must come round at the same time
                n = len(shown)
            described.append(_described(texture, shown, clip, loop))
            mixes = blend_weights(shown, len(clip), film.fade, loop)
            if film.speed != 1.0:
                mixes = at_speed(mixes, film.speed, max(1, int((len(mixes) - (not loop)) / film.speed)), loop)
            parts.append(mixes)
        _write(out, _pictures(clip, parts, column, feather), len(parts[0]), clip.fps, loop, quiet)
    length = f"{len(parts[0])} frames, {len(parts[0]) / clip.fps:.1f} s"
    return f"wrote {out} ({width}x{height}, {length}) and {preview_path(out)}: " + "; ".join(described)
