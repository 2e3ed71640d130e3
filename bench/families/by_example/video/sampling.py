"""Video textures: what is played of which clip. One sample set for each setting of the sweep, then loops, control,
regions and sprites.

A sample set's arrays are frame numbers, by clip; its pictures are a few frames of the first play. The films come from
:mod:`bench.families.by_example.video.films`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError, did_you_mean
from bench.base.files import SampleSet
from bench.base.progress import Progress
from bench.base.settings import Count, Natural, NotNegative, Range, build_config
from bench.capabilities import TransitionModel
from bench.config.variants import Swept, variant_id
from bench.context import StageContext
from bench.contracts import DataFacts, VideoSynthesizer
from bench.data.video import Clip, load
from bench.families.by_example.video.films import POND, Studio, target_path
from bench.families.by_example.video.video_loops import LoopTable, best_single, greedy_loop, primitive_loops
from bench.families.by_example.video.video_playback import split_column
from bench.families.by_example.video.video_sprites import Swimmer, cut_out

__all__ = ["SampleConfig", "clips_of", "sample", "sample_config", "thirds", "transitions_of"]

SETTINGS = ("alpha", "p", "sigma", "taps")
"""Named in every variant, swept or not, so that two rows can be compared setting by setting."""


@dataclass(frozen=True)
class SampleConfig(Swept):
    """Keys under ``sample:`` of a block of this system, besides ``variants``.

    Attributes:
        clips: which are played.
        plays: of each clip and variant, each with a seed of its own.
        frames: of each play.
        loops: lengths in frames; these, ``controlled``, ``regions`` and ``sprite`` are for a
            :class:`bench.capabilities.TransitionModel` alone.
        controlled: plays for each third of a clip that the play is asked to keep to; 0 for none.
        regions: clips that are split in two parts played independently.
        sprite: clip before a blue screen, ``""`` for none.
        sprites: plays of the sprite after a moving target.
        fade: frames of the cross-fade at a jump.
        seconds: of each film; 0 for no films.
    """

    clips: tuple[str, ...] = ("pendulum", "flame", "candles", "carphone_pristine", "bigbuckbunny")
    plays: Count = 24
    frames: Annotated[int, Range(low=20)] = 1000
    loops: tuple[Count, ...] = ()
    controlled: Natural = 0
    regions: tuple[str, ...] = ()
    sprite: str = ""
    sprites: Natural = 12
    fade: Natural = 6
    seconds: NotNegative = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.clips:
            raise ValueError("clips: at least one is needed")

    def check_data(self, facts: DataFacts) -> None:
        """Refuse clips that the data set does not hold."""
        facts.check_items(self.clips, "clips")
        facts.check_items(self.regions, "regions")
        facts.check_items([self.sprite] if self.sprite else [], "sprite")


def sample_config(context: StageContext) -> SampleConfig:
    """The block's ``sample`` mapping, checked."""
    config = build_config(SampleConfig, context.block.get("sample") or {}, f"{context.family}.{context.name}.sample")
    assert isinstance(config, SampleConfig)
    return config


def clips_of(context: StageContext, config: SampleConfig) -> dict[str, Clip]:
    """The clips that the block names.

    Raises:
        BenchError: a name that the data set does not hold.
    """
    clips = load(context.data)
    for name in {*config.clips, *config.regions, *([config.sprite] if config.sprite else [])}:
        if name not in clips:
            raise BenchError(f"{context.family}.{context.name}.sample: no clip {name!r}.{did_you_mean(name, clips)}")
    return clips


def thirds(length: int) -> list[tuple[int, int]]:
    """First and last frame of each third of a clip, less a margin for the filter.

    >>> thirds(120)
    [(4, 40), (41, 77), (78, 115)]
    """
    edges = np.linspace(4, length - 4, 4).astype(int).tolist()
    return [(edges[k], edges[k + 1] - 1) for k in range(3)]


def transitions_of(system: Any) -> TransitionModel | None:
    """The system, if its plays follow transition probabilities that can be looked at."""
    return system if isinstance(system, TransitionModel) and system.has_transitions else None


def _set(variant: str, clip: Clip, shown: NDArray[Any], extra: Mapping[str, NDArray[Any]], **info: Any) -> SampleSet:
    """A sample set; its pictures are eight frames of a play, small."""
    chosen = shown.astype(np.int64)[np.linspace(0, len(shown) - 1, 8).astype(int)]
    step = max(1, clip.frames.shape[2] // 96)
    thumbnails = np.asarray(clip.frames[np.maximum(chosen, 0)][:, ::step, ::step])
    return SampleSet(variant=variant, images=thumbnails, info=info, extra=dict(extra))


class _Player:
    """A system and the clips that it plays."""

    def __init__(self, context: StageContext) -> None:
        self.context, self.progress = context, Progress("", quiet=True)
        self.config = sample_config(context)
        self.clips = clips_of(context, self.config)
        self.system: VideoSynthesizer = context.load()
        self.model = transitions_of(self.system)
        where, system = f"{context.family}.{context.name}.sample", context.block["system"]
        for key in ("loops", "controlled", "regions", "sprite") if self.model is None else ():
            if getattr(self.config, key):
                raise BenchError(f"{where}.{key}: {system} plays without transition probabilities: leave it out")

    def seeds(self, *parts: int | str) -> list[int]:
        """One for each play."""
        return [self.context.derive(*parts, k) for k in range(self.config.plays)]

    def plays(self) -> Iterator[SampleSet]:
        """Plays of every variant."""
        config, first = self.config, self.config.clips[0]
        for options in config.variants:
            extra: dict[str, NDArray[Any]] = {}
            start = time.monotonic()
            for name in config.clips:
                seeds, clip = self.seeds("play", name), self.clips[name]
                if self.model is not None:
                    texture = self.model.texture(name, **options)
                    shown, ends = (texture.plays(config.frames, seeds, cut=cut) for cut in (True, False))
                    extra[f"dead_{name}"] = (ends[:, -1] < 0).astype(np.uint8)
                else:
                    # The real clip is shown without a cut, in pieces of at most half of it.
                    ceiling = self.context.block.get("role") == "ceiling"
                    n = min(config.frames, len(clip) // 2) if ceiling else config.frames
                    shown = np.stack([self.system.play(clip.frames, n, seed, **options) for seed in seeds])
                extra[f"play_{name}"] = shown.astype(np.int16)
                self.progress.update()
            seconds = time.monotonic() - start
            each = {"seconds": seconds, "seconds_per_item": seconds / (config.plays * len(config.clips))}
            swept: Mapping[str, Any] = options
            if self.model is not None:
                used = self.model.configured(options)
                swept = {key: getattr(used, key) for key in SETTINGS}
            play = extra[f"play_{first}"][0]
            yield _set(variant_id(swept), self.clips[first], play, extra, kind="plays", options=dict(options), **each)

    def loops(self, model: TransitionModel) -> SampleSet:
        """The cheapest loops of each length, and what a greedy search and a single jump cost."""
        extra: dict[str, NDArray[Any]] = {}
        lengths = self.config.loops
        for name in self.config.clips:
            texture = model.texture(name)
            primitives = primitive_loops(texture.unpruned, max(lengths), shortest=texture.config.shortest)
            table = LoopTable(primitives, max(lengths))
            costs = []
            for length in lengths:
                costs.append([table.cost(length), greedy_loop(primitives, length), best_single(primitives, length)])
                if np.isfinite(table.cost(length)):
                    extra[f"loop_{name}_{length}"] = (table.loop(length).states + texture.first).astype(np.int16)
            extra[f"costs_{name}"] = np.array(costs) / texture.scale  # (lengths, 3)
            self.progress.update()
        shown = next((extra[key] for key in extra if key.startswith("loop_")), np.zeros(1, np.int16))
        return _set("loops", self.clips[self.config.clips[0]], shown, extra, kind="loops", lengths=list(lengths))

    def controlled(self, model: TransitionModel) -> Iterator[SampleSet]:
        """Plays that are asked to keep to a third of the clip, with control and without."""
        n, first = min(self.config.frames, 400), self.config.clips[0]
        for control in (model.configured({}).control, 0.0):
            extra: dict[str, NDArray[Any]] = {}
            for name in self.config.clips:
                for k, within in enumerate(thirds(len(self.clips[name]))):
                    seeds = [
                        self.context.derive("control", name, k, number) for number in range(self.config.controlled)
                    ]
                    plays = model.texture(name, within, control=control).plays(n, seeds)
                    extra[f"range{k}_{name}"] = plays.astype(np.int16)
                self.progress.update()
            yield _set(f"control={control:g}", self.clips[first], extra[f"range0_{first}"][0], extra, kind="control")

    def regions(self, model: TransitionModel) -> SampleSet:
        """Plays of the whole clip and of its two parts, and the costs that they were planned by."""
        extra: dict[str, NDArray[Any]] = {}
        for name in self.config.regions:
            frames = self.clips[name].frames
            column, _ = split_column(frames)
            extra[f"column_{name}"] = np.array(column)
            parts: dict[str, str | NDArray[np.uint8]] = {"whole": name}
            parts |= {"left": frames[:, :, :column], "right": frames[:, :, column:]}
            for part, pixels in parts.items():
                texture = model.texture(pixels)
                shown = texture.plays(self.config.frames, self.seeds("region", name, part))
                extra[f"{part}_{name}"] = shown.astype(np.int16)
                extra[f"{part}-costs_{name}"] = texture.jump_costs(shown).astype(np.float32)
            self.progress.update()
        first = self.config.regions[0]
        return _set("regions", self.clips[first], extra[f"whole_{first}"][0], extra, kind="regions")

    def sprites(self, swimmer: Swimmer) -> SampleSet:
        """The sprite after a moving target: with future costs, looking one frame ahead, and not steered."""
        n, count = min(self.config.frames, 500), self.config.sprites
        targets = [target_path(n, POND, k) for k in range(count)]
        extra: dict[str, NDArray[Any]] = {"tracked": swimmer.sprite.places, "velocities": swimmer.sprite.velocities}
        myopic = Swimmer(swimmer.sprite, replace(swimmer.control, alpha=0.0))
        for name, used, steered in (("future", swimmer, True), ("myopic", myopic, True), ("none", swimmer, False)):
            seeds, middle = [self.context.derive("sprite", k) for k in range(count)], (POND[1] / 2, POND[0] / 2)
            played = [used.steer(targets[k], middle, seeds[k], steered=steered) for k in range(count)]
            extra[f"{name}-frames"] = np.stack([play.frames for play in played]).astype(np.int16)
            for key in ("errors", "places", "costs"):
                extra[f"{name}-{key}"] = np.stack([getattr(play, key) for play in played])
            self.progress.update()
        extra["targets"] = np.stack(targets)
        return _set("sprites", self.clips[self.config.sprite], extra["future-frames"][0], extra, kind="sprites")

    def films(self, swimmer: Swimmer | None) -> SampleSet:
        """MP4 files and what is said of them."""
        config = self.config
        studio = Studio(self.context, self.system, self.model, self.clips, config.fade, config.seconds)
        films = studio.films(config.clips, config.regions, swimmer, config.sprite)
        extra = studio.sample_extra(films)
        said = [{key: getattr(film, key) for key in ("name", "title", "alt", "note", "loop")} for film in films]
        info = {"kind": "films", "films": said}
        return SampleSet(variant="films", images=extra["poster_0"][None, :120, :160], info=info, extra=extra)


def sample(context: StageContext) -> list[SampleSet]:
    """Plays of every variant; for a system with transitions loops, controlled plays and regions; sprites; films."""
    player = _Player(context)
    config, model = player.config, player.model
    steps = len(config.clips) * (len(config.variants) + bool(config.loops) + 2 * bool(config.controlled))
    steps += len(config.regions) + 3 * bool(config.sprite)
    with Progress(f"sample {context.name}", steps, "clips", quiet=context.quiet) as player.progress:
        sets = list(player.plays())
        if model is not None and config.loops:
            sets.append(player.loops(model))
        if model is not None and config.controlled:
            sets += player.controlled(model)
        if model is not None and config.regions:
            sets.append(player.regions(model))
        swimmer = Swimmer(cut_out(player.clips[config.sprite].frames)) if config.sprite else None
        if swimmer is not None:
            sets.append(player.sprites(swimmer))
    return [*sets, player.films(swimmer)] if config.seconds else sets
