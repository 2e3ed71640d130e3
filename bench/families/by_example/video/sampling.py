"""Video textures: what is played of which clip. One sample set for each setting of the sweep, then loops, control,
regions and sprites.

A sample set's arrays are frame numbers, by clip; its pictures are a few frames of the first play. The films come from
:mod:`bench.families.by_example.video.films`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError, did_you_mean
from bench.base.files import SampleSet
from bench.base.progress import Progress
from bench.base.settings import Count, Natural, NotNegative, Range
from bench.config.variants import Swept
from bench.context import StageContext
from bench.contracts import DataFacts
from bench.data.video import Clip, load
from bench.families.by_example.video.films import films, target_path
from bench.families.by_example.video.video_distances import distances
from bench.families.by_example.video.video_loops import LoopTable, best_single, greedy_loop, primitive_loops
from bench.families.by_example.video.video_playback import split_column
from bench.families.by_example.video.video_sprites import Swimmer, cut_out
from bench.families.by_example.video.video_textures import Texture, VideoTextures
from bench.registry import build_config
from bench.results.records import variant_id

__all__ = ["SampleConfig", "clips_of", "sample", "sample_config", "thirds"]

SETTINGS = ("alpha", "p", "sigma", "taps")
"""Named in every variant, swept or not, so that two rows can be compared setting by setting."""


@dataclass(frozen=True)
class SampleConfig(Swept):
    """Keys under ``sample:`` of a block of this system, besides ``variants``.

    Attributes:
        clips: which are played.
        plays: of each clip and variant, each with a seed of its own.
        frames: of each play.
        loops: lengths in frames.
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


def _thumbnails(clip: Clip, shown: NDArray[np.int64], count: int = 8) -> NDArray[np.uint8]:
    """A few frames of a play, small."""
    chosen = shown[np.linspace(0, len(shown) - 1, count).astype(int)]
    step = max(1, clip.frames.shape[2] // 96)
    return np.asarray(clip.frames[np.maximum(chosen, 0)][:, ::step, ::step])


def _plays(
    context: StageContext, config: SampleConfig, system: VideoTextures, clips: Mapping[str, Clip], progress: Progress
) -> list[SampleSet]:
    sets = []
    for options in config.variants:
        used = system.configured(options)
        extra: dict[str, NDArray[Any]] = {}
        start = time.monotonic()
        for name in config.clips:
            seeds = [context.derive("play", name, k) for k in range(config.plays)]
            if used.order == "markov":
                texture = system.texture(name, **options)
                extra[f"play_{name}"] = texture.plays(config.frames, seeds).astype(np.int16)
                extra[f"dead_{name}"] = (texture.plays(config.frames, seeds, cut=False)[:, -1] < 0).astype(np.uint8)
            else:
                n = min(config.frames, len(clips[name]) // 2) if used.order == "real" else config.frames
                extra[f"play_{name}"] = system.plays(name, n, seeds, **options).astype(np.int16)
            progress.update()
        seconds = time.monotonic() - start
        variant = variant_id({key: asdict(used)[key] for key in SETTINGS}) if used.order == "markov" else ""
        first = config.clips[0]
        thumbnails = _thumbnails(clips[first], extra[f"play_{first}"][0].astype(np.int64))
        info = {
            "kind": "plays",
            "options": dict(options),
            "seconds": seconds,
            "seconds_per_item": seconds / (config.plays * len(config.clips)),
        }
        sets.append(SampleSet(variant=variant, images=thumbnails, info=info, extra=extra))
    return sets


def _loops(config: SampleConfig, system: VideoTextures, clips: Mapping[str, Clip], progress: Progress) -> SampleSet:
    """The cheapest loops of each length, and what a greedy search and a single jump cost."""
    extra: dict[str, NDArray[Any]] = {}
    for name in config.clips:
        texture = system.texture(name)
        primitives = primitive_loops(texture.unpruned, max(config.loops), shortest=texture.config.shortest)
        table = LoopTable(primitives, max(config.loops))
        costs = []
        for length in config.loops:
            costs.append([table.cost(length), greedy_loop(primitives, length), best_single(primitives, length)])
            if np.isfinite(table.cost(length)):
                extra[f"loop_{name}_{length}"] = (table.loop(length).states + texture.first).astype(np.int16)
        extra[f"costs_{name}"] = np.array(costs) / texture.scale  # (lengths, 3)
        progress.update()
    shown = next((extra[key] for key in extra if key.startswith("loop_")), np.zeros(1, np.int16))
    images = _thumbnails(clips[config.clips[0]], shown.astype(np.int64))
    return SampleSet(variant="loops", images=images, info={"kind": "loops", "lengths": list(config.loops)}, extra=extra)


def _controlled(
    context: StageContext, config: SampleConfig, system: VideoTextures, clips: Mapping[str, Clip], progress: Progress
) -> list[SampleSet]:
    """Plays that are asked to keep to a third of the clip, with control and without."""
    sets = []
    n = min(config.frames, 400)
    for control in (system.config.control, 0.0):
        extra: dict[str, NDArray[Any]] = {}
        for name in config.clips:
            for k, within in enumerate(thirds(len(clips[name]))):
                seeds = [context.derive("control", name, k, number) for number in range(config.controlled)]
                extra[f"range{k}_{name}"] = system.plays(name, n, seeds, within, control=control).astype(np.int16)
            progress.update()
        images = _thumbnails(clips[config.clips[0]], extra[f"range0_{config.clips[0]}"][0].astype(np.int64))
        sets.append(SampleSet(variant=f"control={control:g}", images=images, info={"kind": "control"}, extra=extra))
    return sets


def _regions(
    context: StageContext, config: SampleConfig, system: VideoTextures, clips: Mapping[str, Clip], progress: Progress
) -> SampleSet:
    """Plays of the whole clip and of its two parts, and the distances that they were planned by."""
    extra: dict[str, NDArray[Any]] = {}
    for name in config.regions:
        clip = clips[name]
        column, _ = split_column(clip.frames)
        where = np.arange(clip.frames.shape[2])[None, :] < column
        where = np.repeat(where, clip.frames.shape[1], axis=0)
        extra[f"column_{name}"] = np.array(column)
        for part, mask in (("whole", None), ("left", where), ("right", ~where)):
            table = system.tables[name] if mask is None else distances(clip.frames, mask)
            texture = Texture.of(table, system.config)
            seeds = [context.derive("region", name, part, k) for k in range(config.plays)]
            shown = texture.plays(config.frames, seeds)
            extra[f"{part}_{name}"] = shown.astype(np.int16)
            extra[f"{part}-costs_{name}"] = texture.jump_costs(shown).astype(np.float32)
        progress.update()
    images = _thumbnails(clips[config.regions[0]], extra[f"whole_{config.regions[0]}"][0].astype(np.int64))
    return SampleSet(variant="regions", images=images, info={"kind": "regions"}, extra=extra)


def _sprites(
    context: StageContext, config: SampleConfig, clip: Clip, swimmer: Swimmer, progress: Progress
) -> SampleSet:
    """The sprite after a moving target: with future costs, looking one frame ahead, and not steered."""
    n, size = min(config.frames, 500), (180, 320)
    extra: dict[str, NDArray[Any]] = {"tracked": swimmer.sprite.places, "velocities": swimmer.sprite.velocities}
    myopic = Swimmer(swimmer.sprite, replace(swimmer.control, alpha=0.0))
    for name, used, steered in (("future", swimmer, True), ("myopic", myopic, True), ("none", swimmer, False)):
        played = []
        for k in range(config.sprites):
            place = (size[1] / 2, size[0] / 2)
            played.append(used.steer(target_path(n, size, k), place, context.derive("sprite", k), steered=steered))
        extra[f"{name}-frames"] = np.stack([play.frames for play in played]).astype(np.int16)
        for key in ("errors", "places", "costs"):
            extra[f"{name}-{key}"] = np.stack([getattr(play, key) for play in played])
        progress.update()
    extra["targets"] = np.stack([target_path(n, size, k) for k in range(config.sprites)])
    images = _thumbnails(clip, extra["future-frames"][0].astype(np.int64))
    return SampleSet(variant="sprites", images=images, info={"kind": "sprites"}, extra=extra)


def sample(context: StageContext) -> list[SampleSet]:
    """Plays of every variant; and, for the texture itself, loops, controlled plays, regions, sprites and films."""
    config = sample_config(context)
    clips = clips_of(context, config)
    system = context.load()
    assert isinstance(system, VideoTextures)
    steps = (
        len(config.clips) * (len(config.variants) + bool(config.loops) + 2 * bool(config.controlled))
        + len(config.regions)
        + 3 * bool(config.sprite)
    )
    with Progress(f"sample {context.name}", steps, "clips", quiet=context.quiet) as progress:
        sets = _plays(context, config, system, clips, progress)
        if config.loops:
            sets.append(_loops(config, system, clips, progress))
        if config.controlled:
            sets += _controlled(context, config, system, clips, progress)
        if config.regions:
            sets.append(_regions(context, config, system, clips, progress))
        swimmer = Swimmer(cut_out(clips[config.sprite].frames)) if config.sprite else None
        if swimmer is not None:
            sets.append(_sprites(context, config, clips[config.sprite], swimmer, progress))
    if config.seconds:
        made = films(context, system, clips, config, swimmer)
        posters = np.stack([np.asarray(film.poster[:120, :160]) for film in made[:1]])
        extra = {f"mp4_{k}": np.frombuffer(film.mp4, dtype=np.uint8) for k, film in enumerate(made)}
        extra |= {f"poster_{k}": film.poster for k, film in enumerate(made)}
        described = [{"title": f.title, "alt": f.alt, "note": f.note, "loop": f.loop, "name": f.name} for f in made]
        sets.append(SampleSet(variant="films", images=posters, info={"kind": "films", "films": described}, extra=extra))
    return sets
