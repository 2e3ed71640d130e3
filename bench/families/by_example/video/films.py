"""The films of the report: endless plays, loops, two regions, control and a sprite, as small MP4 files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.progress import track
from bench.base.seeds import generator
from bench.capabilities import JumpTable, TransitionModel
from bench.context import StageContext
from bench.contracts import VideoSynthesizer
from bench.data.video import Clip
from bench.data.video_files import mp4_bytes
from bench.families.by_example.video.video_loops import LoopTable, primitive_loops
from bench.families.by_example.video.video_playback import at_speed, blend_weights, regions, render, split_column
from bench.families.by_example.video.video_sprites import Swimmer, compose

__all__ = ["POND", "Film", "Studio", "best_loop", "pond", "smaller", "target_path"]

Pictures = Iterator[NDArray[np.uint8]]
POND = (180, 320)
"""Height and width of the water that a sprite swims in."""


@dataclass(frozen=True)
class Film:
    """A film to make: what is said of it, and how its pictures come."""

    name: str
    title: str
    alt: str
    note: str
    clip: Clip
    pictures: Callable[[], Pictures]
    loop: bool = False

    def make(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Bytes of the MP4 file, and the frame that stands for it in print."""
        shown = list(self.pictures())
        content = mp4_bytes(shown, self.clip.fps, crf=24, preset="slow")
        return np.frombuffer(content, dtype=np.uint8), shown[len(shown) // 3]


def smaller(pictures: Pictures, width: int) -> Pictures:
    """Reduced to a width, by area."""
    from PIL import Image

    for picture in pictures:
        height = 2 * round(picture.shape[0] * width / picture.shape[1] / 2)
        yield np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX))


def best_loop(texture: JumpTable, fps: float, low: float, high: float) -> tuple[NDArray[np.int64], float]:
    """Frames of the loop of ``low`` to ``high`` seconds with the least cost (to the power p) a frame, and its cost."""
    longest = max(2, min(round(high * fps), 2 * len(texture)))
    power = texture.config.p
    table = LoopTable(primitive_loops(texture.unpruned**power, longest, shortest=texture.config.shortest), longest)
    loop = table.cheapest(min(round(low * fps), longest), longest)
    return loop.states + texture.first, sum(float(texture.unpruned[jump]) for jump in loop.jumps) / texture.scale


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


_ENDLESS = {
    "carphone_pristine": ("endless-carphone", "Endless portrait", "A man in a car who talks without end"),
    "flame": ("endless-flame", "Endless flame", "A candle flame that flickers without end"),
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


@dataclass(frozen=True)
class Studio:
    """What films are made of.

    Attributes:
        context: of the stage.
        system: whose plays are shown.
        model: the same, if it has transitions; else it is shown playing one clip.
        clips: by name.
        fade: frames of the cross-fade at a jump.
        seconds: length.
    """

    context: StageContext
    system: VideoSynthesizer
    model: TransitionModel | None
    clips: Mapping[str, Clip]
    fade: int
    seconds: float

    def films(self, names: tuple[str, ...], split: tuple[str, ...], swimmer: Swimmer | None, sprite: str) -> list[Film]:
        """Every film that the block's clips allow; together under 2 MB at the default lengths.

        Args:
            names: clips that are played.
            split: clips that are played in two parts.
            swimmer: a sprite, and the clip that it was cut out of.
            sprite: name of that clip.
        """
        if self.model is None:
            return [self._plain(self.clips[names[0]])]
        made = [
            film for name in ("carphone_pristine", "pendulum", "flame") for film in self._endless_films(name, names)
        ]
        made += [self._loop_film(self.model, name) for name in _LOOPS if name in names]
        note = "the two halves are played independently of each other and joined by a soft edge"
        for name in split:
            parts = partial(self._parts, self.model, self.clips[name])
            title = f"Two regions: {name}"
            made.append(Film(f"regions-{name}", title, _REGIONS.get(name, name), note, self.clips[name], parts))
        if "carphone_pristine" in names:
            title, alt = "Asked for a range of frames", "The man in the car over a bar of the clip's frames"
            clip, note = self.clips["carphone_pristine"], "orange: the frames asked for; white: the frame shown"
            made.append(Film("range-carphone", title, alt, note, clip, partial(self._by_range, self.model, clip)))
        if swimmer is not None:
            title, alt = "A sprite that follows a target", "A koi that swims after a drifting leaf"
            note = "cut out before a blue screen; jumps are chosen by likeness and by the angle to the leaf"
            swim = partial(self._swim, self.clips[sprite], swimmer)
            made.append(Film("sprite", title, alt, note, self.clips[sprite], swim))
        return made

    def sample_extra(self, films: list[Film]) -> dict[str, NDArray[Any]]:
        """The films made, for a sample set: ``mp4_0``, ``poster_0``, ``mp4_1`` and so on."""
        found = {}
        for k, film in enumerate(track(films, f"films of {self.context.name}", "films", quiet=self.context.quiet)):
            found[f"mp4_{k}"], found[f"poster_{k}"] = film.make()
        return found

    def _plain(self, clip: Clip) -> Film:
        """One play of a system without transitions; the real clip without a cut, as long as it lasts."""
        role, name = str(self.context.block.get("role", "generator")), self.context.name
        seconds = min(self.seconds / 2, len(clip) / clip.fps) if role == "ceiling" else self.seconds / 2
        title = f"{role.capitalize()}: {name.replace('-', ' ')}"
        return Film(name, title, f"{title} ({clip.name})", "", clip, partial(self._play, clip, 0, seconds))

    def _endless_films(self, name: str, names: tuple[str, ...]) -> Iterator[Film]:
        """Endless plays of one of the clips that are shown so."""
        if name not in names:
            return
        clip = self.clips[name]
        note = f"random play of a clip of {len(clip) / clip.fps:.0f} s"
        if name == "carphone_pristine":
            note += f", jumps cross-faded over {self.fade} frames"
            yield Film(*_ENDLESS[name], note, clip, partial(self._play, clip, self.fade, 1.25 * self.seconds))
        elif name == "pendulum":
            alt = "Two pendulums side by side; the left one turns round in mid-swing"
            note = (
                "left: distance of single frames, the swing turns round on its way; right: with the diagonal filter it "
                "never does"
            )
            title = "Pendulum without and with the filter"
            yield Film("endless-pendulum", title, alt, note, clip, partial(self._both_filters, clip))
        else:
            yield Film(*_ENDLESS[name], note, clip, partial(self._play, clip, self.fade, self.seconds))
            alt, note = "A candle flame that flickers slowly, then fast", "a loop played at half to twice its speed"
            assert self.model is not None
            texture = self.model.texture(name)
            yield Film(f"speed-{name}", "Speed", alt, note, clip, partial(self._varied_speed, texture, clip), loop=True)

    def _loop_film(self, model: TransitionModel, name: str) -> Film:
        clip, (title, alt) = self.clips[name], _LOOPS[name]
        shown, cost = best_loop(model.texture(name), clip.fps, 1.6, 4.0)
        note = f"{len(shown)} frames, cost {cost:.2f} mean distances, cross-faded"
        mixes = blend_weights(shown, len(clip), self.fade, loop=True)
        return Film(f"loop-{name}", title, alt, note, clip, lambda: _small(clip, render(clip.frames, mixes)), loop=True)

    def _play(self, clip: Clip, fade: int, seconds: float, **options: Any) -> Pictures:
        """A play; of a system with transitions from where it costs least from then on."""
        n, seed = round(seconds * clip.fps), self.context.derive("film", clip.name)
        if self.model is None:
            shown = self.system.play(clip.frames, n, seed, **options)
        else:
            texture = self.model.texture(clip.name, **options)
            shown = texture.plays(n, [seed], texture.best_start)[0]
        return render(clip.frames, blend_weights(shown, len(clip), fade))

    def _both_filters(self, clip: Clip) -> Pictures:
        bar = np.full((clip.frames.shape[1], 4, 3), 255, dtype=np.uint8)
        both = (self._play(clip, 0, self.seconds, taps=1), self._play(clip, 0, self.seconds))
        for left, right in zip(*both, strict=True):
            yield np.concatenate([left, bar, right], axis=1)

    def _parts(self, model: TransitionModel, clip: Clip) -> Pictures:
        """Two parts of a clip, each played for itself."""
        column, feather = split_column(clip.frames)
        mixes, n = [], round(0.8 * self.seconds * clip.fps)
        for part, frames in (("left", clip.frames[:, :, :column]), ("right", clip.frames[:, :, column:])):
            shown = model.texture(frames).plays(n, [self.context.derive("film", clip.name, part)])[0]
            mixes.append(blend_weights(shown, len(clip), self.fade))
        return _small(clip, regions(clip.frames, column, feather, mixes[0], mixes[1]))

    def _by_range(self, model: TransitionModel, clip: Clip) -> Pictures:
        """Asked to keep to the beginning of the clip, then to its end, then to its beginning again; the range is shown
        as a bar below."""
        n, length = round(self.seconds * clip.fps), len(clip)
        asked = [(4, length // 4), (3 * length // 4, length - 5)]
        shown: list[int] = []
        where: list[tuple[int, int]] = []
        for k in range(4):
            within = asked[k % 2]
            texture = model.texture(clip.name, within, control=5.0)
            start = shown[-1] if shown and shown[-1] - texture.first in texture.open_states else texture.best_start
            piece = texture.plays(n // 4 + 1, [self.context.derive("film", clip.name, "range", k)], start)[0]
            shown += piece[1:].tolist()
            where += [within] * (len(piece) - 1)
        pictures = render(clip.frames, blend_weights(np.array(shown), length, self.fade))
        for picture, frame, (low, high) in zip(pictures, shown, where, strict=True):
            yield _with_bar(picture, frame / length, (low / length, high / length))

    def _varied_speed(self, texture: JumpTable, clip: Clip) -> Pictures:
        """A loop played from half to twice its speed and back."""
        shown, _ = best_loop(texture, clip.fps, 1.2, 6.0)
        n = round(self.seconds * clip.fps)
        speeds = 2.0 ** np.sin(2 * np.pi * np.arange(n) / n - np.pi / 2)
        return render(clip.frames, at_speed(blend_weights(shown, len(clip), 0, loop=True), speeds, n, loop=True))

    def _swim(self, clip: Clip, swimmer: Swimmer) -> Pictures:
        n = round(1.5 * self.seconds * clip.fps)
        targets = target_path(n, POND, 3)
        play = swimmer.steer(targets, (POND[1] / 2, POND[0] / 2), self.context.derive("film", clip.name))
        return _food(compose(pond(*POND, n, self.context.derive("pond")), swimmer.sprite, play), targets)


def _small(clip: Clip, pictures: Pictures) -> Pictures:
    return smaller(pictures, min(256, clip.frames.shape[2]))
