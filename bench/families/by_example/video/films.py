"""The films of the report: endless plays, loops, two regions, control and a sprite, as small MP4 files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.base.progress import track
from bench.base.seeds import generator
from bench.data.video import Clip
from bench.data.video_files import mp4_bytes
from bench.families.by_example.video.video_distances import distances
from bench.families.by_example.video.video_loops import LoopTable, primitive_loops
from bench.families.by_example.video.video_playback import at_speed, blend_weights, regions, render, split_column
from bench.families.by_example.video.video_sprites import Swimmer, compose
from bench.families.by_example.video.video_textures import Texture, VideoTextures

if TYPE_CHECKING:
    from bench.context import StageContext
    from bench.families.by_example.video.sampling import SampleConfig

__all__ = ["Film", "best_loop", "films", "pond", "smaller", "target_path"]

Pictures = Iterator[NDArray[np.uint8]]


@dataclass(frozen=True)
class Film:
    """A film: its content, its first picture, and what is said of it."""

    name: str
    title: str
    alt: str
    note: str
    loop: bool
    mp4: bytes
    poster: NDArray[np.uint8]


def smaller(pictures: Pictures, width: int) -> Pictures:
    """Reduced to a width, by area."""
    from PIL import Image

    for picture in pictures:
        height = 2 * round(picture.shape[0] * width / picture.shape[1] / 2)
        yield np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX))


def _beside(left: Pictures, right: Pictures, gap: int = 4) -> Pictures:
    for one, other in zip(left, right, strict=True):
        bar = np.full((one.shape[0], gap, 3), 255, dtype=np.uint8)
        yield np.concatenate([one, bar, other], axis=1)


def _endless(
    context: StageContext, system: VideoTextures, clip: Clip, fade: int, seconds: float, **options: Any
) -> Pictures:
    """A play from where it costs least from then on."""
    n, seeds = round(seconds * clip.fps), [context.derive("film", clip.name)]
    if system.options.order == "markov":
        texture = system.texture(clip.name, **options)
        shown = texture.plays(n, seeds, texture.best_start)[0]
    else:
        shown = system.plays(clip.name, n, seeds)[0]
    return render(clip.frames, blend_weights(shown, len(clip), fade))


def best_loop(texture: Texture, fps: float, low: float, high: float) -> tuple[NDArray[np.int64], float]:
    """Frames of the loop of ``low`` to ``high`` seconds with the least cost (to the power p) a frame, and its cost."""
    longest = max(2, min(round(high * fps), 2 * len(texture)))
    power = texture.config.p
    table = LoopTable(primitive_loops(texture.unpruned**power, longest, shortest=texture.config.shortest), longest)
    loop = table.cheapest(min(round(low * fps), longest), longest)
    return loop.states + texture.first, sum(float(texture.unpruned[jump]) for jump in loop.jumps) / texture.scale


def _both_filters(context: StageContext, system: VideoTextures, clip: Clip, seconds: float) -> Pictures:
    return _beside(_endless(context, system, clip, 0, seconds, taps=1), _endless(context, system, clip, 0, seconds))


def _round(clip: Clip, shown: NDArray[np.int64], fade: int) -> Pictures:
    return smaller(
        render(clip.frames, blend_weights(shown, len(clip), fade, loop=True)), min(256, clip.frames.shape[2])
    )


def _parts(context: StageContext, system: VideoTextures, clip: Clip, fade: int, seconds: float) -> Pictures:
    """Two parts of a clip, each played for itself."""
    column, feather = split_column(clip.frames)
    left = np.broadcast_to(np.arange(clip.frames.shape[2]) < column, clip.frames.shape[1:3])
    mixes = []
    for part, mask in (("left", left), ("right", ~left)):
        texture = Texture.of(distances(clip.frames, mask), system.options)
        shown = texture.plays(round(seconds * clip.fps), [context.derive("film", clip.name, part)])[0]
        mixes.append(blend_weights(shown, len(clip), fade))
    return smaller(regions(clip.frames, column, feather, mixes[0], mixes[1]), min(256, clip.frames.shape[2]))


def _by_range(context: StageContext, system: VideoTextures, clip: Clip, fade: int, seconds: float) -> Pictures:
    """Asked to keep to the beginning of the clip, then to its end, then to its beginning again; the range is shown as a
    bar below."""
    n, length = round(seconds * clip.fps), len(clip)
    asked = [(4, length // 4), (3 * length // 4, length - 5)]
    shown: list[int] = []
    where: list[tuple[int, int]] = []
    for k in range(4):
        within = asked[k % 2]
        texture = system.texture(clip.name, within, control=5.0)
        start = shown[-1] if shown and shown[-1] - texture.first in texture.open_states else texture.best_start
        piece = texture.plays(n // 4 + 1, [context.derive("film", clip.name, "range", k)], start)[0]
        shown += piece[1:].tolist()
        where += [within] * (len(piece) - 1)
    for picture, frame, within in zip(
        render(clip.frames, blend_weights(np.array(shown), length, fade)), shown, where, strict=True
    ):
        yield _with_bar(picture, frame / length, (within[0] / length, within[1] / length))


def _with_bar(picture: NDArray[np.uint8], at: float, within: tuple[float, float]) -> NDArray[np.uint8]:
    """A picture over a bar of the clip's length: the range asked for in orange, the frame shown as a white mark."""
    width = picture.shape[1]
    bar = np.full((12, width, 3), 40, dtype=np.uint8)
    bar[:, int(within[0] * width) : int(np.ceil(within[1] * width))] = (200, 110, 30)
    place = min(int(at * width), width - 3)
    bar[:, max(place - 2, 0) : place + 3] = 255
    return np.concatenate([picture, bar])


def pond(height: int, width: int, n: int, seed: int) -> Pictures:
    """A shallow pond: pebbles under water, and light that moves over them."""
    from scipy.ndimage import gaussian_filter

    rng = generator(seed, "pond")
    y, x = np.arange(height)[:, None] / 1.0, np.arange(width)[None, :] / 1.0
    pebbles = sum(
        gaussian_filter(rng.normal(size=(height, width)), s) * s * a for s, a in ((1.2, 7.0), (3.0, 9.0), (9.0, 12.0))
    )
    floor = np.array([58.0, 104.0, 100.0]) + pebbles[..., None] * np.array([1.0, 0.95, 0.8])
    for t in range(n):
        phase = 2 * np.pi * t / 90.0
        waves = sum(
            np.sin(0.043 * k * (x * np.cos(a) + y * np.sin(a)) + s * phase + k)
            for k, a, s in ((1.0, 0.3, 1), (1.3, 1.9, -1), (1.7, 2.6, 1), (2.3, 4.1, -1), (2.9, 5.2, 2))
        )
        light = np.clip(1.0 - np.abs(waves) / 1.1, 0.0, 1.0) ** 3
        yield np.clip(floor + light[..., None] * np.array([24.0, 32.0, 30.0]), 0, 255).astype(np.uint8)


def _food(pictures: Pictures, targets: NDArray[np.float64]) -> Pictures:
    """A leaf that drifts on the water: the target."""
    for picture, (tx, ty) in zip(pictures, targets, strict=True):
        y, x = np.arange(picture.shape[0])[:, None] + 0.5 - ty, np.arange(picture.shape[1])[None, :] + 0.5 - tx
        leaf = np.clip(8.0 - np.hypot(x, y), 0.0, 1.0) * (
            1.0 - np.clip(3.0 - np.abs(np.arctan2(y, x)) * 8.0, 0.0, 1.0) * (np.hypot(x, y) > 1.5)
        )
        shown = picture + leaf[..., None] * (np.array([150.0, 190.0, 70.0]) - picture)
        yield np.clip(shown, 0, 255).astype(np.uint8)


def target_path(n: int, size: tuple[int, int], number: int) -> NDArray[np.float64]:
    """(x, y) of a target that wanders slowly over a picture of ``size`` (height, width), a different way for each
    number; ``(n, 2)``."""
    height, width = size
    t = np.arange(n)
    turn, beat = 2 * np.pi * (0.13 + 0.618 * number), 400.0 + 45.0 * (number % 5)
    x = width / 2 + 0.36 * width * np.sin(2 * np.pi * t / beat + turn)
    y = height / 2 + 0.27 * height * np.sin(2 * np.pi * t / (0.63 * beat) + 1.7 * turn)
    return np.stack([x, y], axis=1)


def _swim(context: StageContext, clip: Clip, swimmer: Swimmer, seconds: float) -> Pictures:
    n, size = round(seconds * clip.fps), (180, 320)
    targets = target_path(n, size, 3)
    play = swimmer.steer(targets, (size[1] / 2, size[0] / 2), context.derive("film", clip.name))
    return _food(compose(pond(*size, n, context.derive("pond")), swimmer.sprite, play), targets)


def _varied_speed(system: VideoTextures, clip: Clip, seconds: float) -> Pictures:
    """A loop played from half to twice its speed and back."""
    shown, _ = best_loop(system.texture(clip.name), clip.fps, 1.2, 6.0)
    n = round(seconds * clip.fps)
    speeds = 2.0 ** np.sin(2 * np.pi * np.arange(n) / n - np.pi / 2)
    return render(clip.frames, at_speed(blend_weights(shown, len(clip), 0, loop=True), speeds, n, loop=True))


@dataclass(frozen=True)
class _Plan:
    """A film to make: what is said of it, and how its pictures come."""

    name: str
    title: str
    alt: str
    note: str
    pictures: Callable[[], Pictures]
    fps: float
    loop: bool = False
    crf: int = 24

    def make(self) -> Film:
        shown = list(self.pictures())
        content = mp4_bytes(shown, self.fps, crf=self.crf, preset="slow")
        return Film(self.name, self.title, self.alt, self.note, self.loop, content, shown[len(shown) // 3])


_BASELINES = {
    "shuffled": "Floor: frames in random order",
    "hard_loop": "Floor: the clip again and again, with a cut",
    "real": "Ceiling: the clip itself",
}
_LOOPS = {
    "carphone_pristine": ("Loop of the portrait", "A man in a car, a short loop"),
    "bigbuckbunny": ("Loop of the rabbit", "A large rabbit before a burrow in moving grass, a short loop"),
    "flame": ("Loop of the flame", "A candle flame, a short loop"),
}
_REGIONS = {
    "candles": "Two candles that flicker each to its own rhythm",
    "bigbuckbunny": "A rabbit on the left and moving grass on the right",
}


def _plans(
    context: StageContext,
    system: VideoTextures,
    clips: Mapping[str, Clip],
    config: SampleConfig,
    swimmer: Swimmer | None,
) -> Iterator[_Plan]:
    """Every film that the block's clips allow."""
    s, fade = config.seconds, config.fade
    if system.options.order != "markov":
        clip, title = clips[config.clips[0]], _BASELINES[system.options.order]
        length = min(s / 2, len(clip) / clip.fps) if system.options.order == "real" else s / 2
        yield _Plan(
            system.options.order,
            title,
            f"{title} ({clip.name})",
            "",
            partial(_endless, context, system, clip, 0, length),
            clip.fps,
        )
        return
    shown = {name: clips[name] for name in config.clips}
    if "carphone_pristine" in shown:
        clip = shown["carphone_pristine"]
        note = f"random play of a clip of {len(clip) / clip.fps:.0f} s, jumps cross-faded over {fade} frames"
        make = partial(_endless, context, system, clip, fade, 1.25 * s)
        yield _Plan(
            "endless-carphone", "Endless portrait", "A man in a car who talks without end", note, make, clip.fps
        )
    if "pendulum" in shown:
        clip = shown["pendulum"]
        note = (
            "left: distance of single frames, the swing turns round on its way; right: with the diagonal filter "
            "it never does"
        )
        alt = "Two pendulums side by side; the left one turns round in mid-swing"
        make = partial(_both_filters, context, system, clip, s)
        yield _Plan("endless-pendulum", "Pendulum without and with the filter", alt, note, make, clip.fps)
    if "flame" in shown:
        clip = shown["flame"]
        note = f"random play of a clip of {len(clip) / clip.fps:.0f} s"
        make = partial(_endless, context, system, clip, fade, s)
        yield _Plan("endless-flame", "Endless flame", "A candle flame that flickers without end", note, make, clip.fps)
        note = "a loop played at half to twice its speed"
        make = partial(_varied_speed, system, clip, s)
        yield _Plan(
            "speed-flame", "Speed", "A candle flame that flickers slowly, then fast", note, make, clip.fps, loop=True
        )
    for name in (name for name in _LOOPS if name in shown):
        clip, (title, alt) = shown[name], _LOOPS[name]
        round_, cost = best_loop(system.texture(name), clip.fps, 1.6, 4.0)
        note = f"{len(round_)} frames, cost {cost:.2f} mean distances, cross-faded"
        yield _Plan(f"loop-{name}", title, alt, note, partial(_round, clip, round_, fade), clip.fps, loop=True)
    for name in config.regions:
        note = "the two halves are played independently of each other and joined by a soft edge"
        make = partial(_parts, context, system, clips[name], fade, 0.8 * s)
        yield _Plan(f"regions-{name}", f"Two regions: {name}", _REGIONS.get(name, name), note, make, clips[name].fps)
    if "carphone_pristine" in shown:
        clip = shown["carphone_pristine"]
        note = "orange: the frames asked for; white: the frame shown"
        make = partial(_by_range, context, system, clip, fade, s)
        yield _Plan(
            "range-carphone",
            "Asked for a range of frames",
            "The man in the car over a bar of the clip's frames",
            note,
            make,
            clip.fps,
        )
    if swimmer is not None:
        note = "cut out before a blue screen; jumps are chosen by likeness and by the angle to the leaf"
        make = partial(_swim, context, clips[config.sprite], swimmer, 1.5 * s)
        yield _Plan(
            "sprite",
            "A sprite that follows a target",
            "A koi that swims after a drifting leaf",
            note,
            make,
            clips[config.sprite].fps,
        )


def films(
    context: StageContext,
    system: VideoTextures,
    clips: Mapping[str, Clip],
    config: SampleConfig,
    swimmer: Swimmer | None = None,
) -> list[Film]:
    """Every film that the block's clips allow; together under 2 MB at the default lengths."""
    plans = list(_plans(context, system, clips, config, swimmer))
    return [plan.make() for plan in track(plans, f"films of {context.name}", "films", quiet=context.quiet)]
