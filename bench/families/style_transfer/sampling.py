"""Style transfer: which pictures are drawn in which style, and with what settings.

The sweeps: the ratio of style to content; the depth of the content layer, with content alone (a reconstruction from
noise) and with style; the two ways of keeping colours. Every picture of a sweep is made of the same pairs.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError, did_you_mean
from bench.base.files import SampleSet
from bench.base.finite import drawn_by
from bench.base.progress import Progress
from bench.base.settings import Checked, Count, Natural, NothingToSet, build_config
from bench.capabilities import IterativeStyler
from bench.config.variants import variant_id
from bench.context import StageContext
from bench.contracts import DataFacts, Styler
from bench.data.datasets import load_exemplars

Pair = tuple[str, NDArray[np.uint8], NDArray[np.uint8]]
"""Name, content and style, ``(side, side, 3)``."""

__all__ = ["Pair", "SampleConfig", "View", "Work", "pairs_of", "plan", "sample", "sample_config", "view_of"]


@dataclass(frozen=True)
class View(Checked):
    """A square part of a photograph.

    Attributes:
        picture: name in the data set; empty for the view's own name.
        corner: top and left pixel.
        side: in pixels; null for the largest square in the middle.
    """

    picture: str = ""
    corner: tuple[Natural, Natural] = (0, 0)
    side: Count | None = None


@dataclass(frozen=True)
class SampleConfig(Checked):
    """Keys under ``sample:`` of a block of this family.

    Attributes:
        pairs: [content, style] names of views or photographs.
        views: by name.
        side: height and width in pixels that every view is scaled to.
        ratios: style/content ratios.
        depths: content layers of the depth sweep.
        depth_ratios: ratios of the depth sweep; 0 reconstructs the content from noise, others start as the system does.
        depth_steps: iterations of the depth sweep.
        colours: ways of keeping colours that are shown, at the system's own ratio.
        shows: for the floor: which of content, style, noise.
        frames: steps after which the first pair is shown at the system's own settings; empty for no strip.
        large: side of a large picture of the first two pairs, 0 for none.
    """

    pairs: tuple[tuple[str, str], ...] = ()
    views: Mapping[str, View] = field(default_factory=dict)
    side: Count = 112
    ratios: tuple[float, ...] = ()
    depths: tuple[str, ...] = ()
    depth_ratios: tuple[float, ...] = (0.0,)
    depth_steps: int = 40
    colours: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    frames: tuple[Natural, ...] = ()
    large: Natural = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.pairs:
            raise ValueError("pairs: at least one [content, style] is needed")
        if not (self.ratios or self.depths or self.colours or self.shows):
            raise ValueError("name ratios, depths, colours or, for a floor, shows")
        if self.shows and (self.ratios or self.depths or self.colours or self.frames):
            raise ValueError("shows: belongs to a floor, which has no ratios, depths, colours and frames")

    def check_data(self, facts: DataFacts) -> None:
        """Refuse photographs that the data set does not hold."""
        for name, view in self.views.items():
            facts.check_items([view.picture or name], f"views.{name}")
        known = dataclasses.replace(facts, items=None if facts.items is None else (*facts.items, *self.views))
        for number, pair in enumerate(self.pairs):
            known.check_items(pair, f"pairs[{number}]")

    def option_sets(self) -> Iterator[tuple[str, dict[str, Any], type]]:
        """Where options of the system stand, and which."""
        for key, option in (("ratios", "ratio"), ("colours", "colour"), ("shows", "shows")):
            for value in getattr(self, key):
                yield key, {option: value}, NothingToSet
        for layer in self.depths:
            for ratio in self.depth_ratios:
                yield "depths", self.depth_options(layer, ratio), NothingToSet

    def depth_options(self, layer: str, ratio: float) -> dict[str, Any]:
        """Options of one picture of the depth sweep."""
        start = {"start": "noise"} if ratio == 0 else {}
        return {"content_layers": (layer,), "ratio": ratio, "steps": self.depth_steps, **start}


@dataclass(frozen=True)
class Work:
    """One variant: its settings as the report names them, the options of the system, and how many steps they take."""

    variant: str
    options: Mapping[str, Any]
    steps: int = 1


def sample_config(context: StageContext) -> SampleConfig:
    """The checked settings of the block."""
    return build_config(SampleConfig, context.block.get("sample") or {}, f"{context.family}.{context.name}.sample")  # type: ignore[no-any-return]


def view_of(
    pictures: Mapping[str, NDArray[np.uint8]], name: str, config: SampleConfig, where: str, side: int
) -> NDArray[np.uint8]:
    """``(side, side, 3)`` uint8 of a view: cut, scaled with anti-aliasing.

    Raises:
        BenchError: no such picture, or the part lies outside of it.
    """
    from PIL import Image

    view = config.views.get(name, View())
    source = view.picture or name
    if source not in pictures:
        raise BenchError(f"{where}: no picture {source!r}.{did_you_mean(source, [*pictures, *config.views])}")
    picture = pictures[source]
    height, width = picture.shape[:2]
    if view.side is None:
        length = min(height, width)
        top, left = (height - length) // 2, (width - length) // 2
    else:
        (top, left), length = view.corner, view.side
    if min(top, left) < 0 or length < 1 or top + length > height or left + length > width:
        raise BenchError(
            f"{where}.views.{name}: {length} pixels from {[top, left]} do not lie inside {source}, {height}x{width}"
        )
    image = Image.fromarray(picture[top : top + length, left : left + length]).convert("RGB")
    return np.asarray(image.resize((side, side), Image.Resampling.LANCZOS))


def pairs_of(data: Path, config: SampleConfig, where: str, side: int | None = None) -> list[Pair]:
    """Every pair of the block, scaled to ``side`` (the block's, if None)."""
    pictures = load_exemplars(data)
    side = side or config.side
    return [
        (
            f"{content} + {style}",
            view_of(pictures, content, config, where, side),
            view_of(pictures, style, config, where, side),
        )
        for content, style in config.pairs
    ]


def plan(config: SampleConfig, system: Styler, where: str) -> list[Work]:
    """Every variant of the block; the depth of a content layer is the number that the network gives it.

    Raises:
        BenchError: no variant, a layer that the network does not have, a sweep that the system cannot do.
    """
    iterative = system if isinstance(system, IterativeStyler) else None
    for key in ("depths", "frames") if iterative is None else ():
        if getattr(config, key):
            raise BenchError(f"{where}.{key}: the system has no steps, and no network with layers: leave it out")
    works = [Work(variant_id({"shows": what}), {"shows": what}) for what in config.shows]
    steps = iterative.config.steps if iterative else 1
    works += [Work(variant_id({"ratio": f"{ratio:g}"}), {"ratio": ratio}, steps) for ratio in config.ratios]
    if config.depths and iterative:
        from bench.nn.features.networks import check_layers

        check_layers(iterative.network, config.depths)
        for ratio, layer in itertools.product(config.depth_ratios, config.depths):
            options = config.depth_options(layer, ratio)
            named = {"depth": iterative.network.depth(layer), "style_ratio": f"{ratio:g}"}
            works.append(Work(variant_id(named), options, config.depth_steps))
    works += [Work(variant_id({"colour": colour}), {"colour": colour}, steps) for colour in config.colours]
    if not works:
        raise BenchError(f"{where}: name ratios, depths, colours or, for a floor, shows")
    return works


def sample(context: StageContext) -> list[SampleSet]:
    """A sample set for each variant; the first also holds the strip and the large pictures."""
    config = sample_config(context)
    where = f"{context.family}.{context.name}.sample"
    pairs, system = pairs_of(context.data, config, where), context.load()
    works = plan(config, system, where)
    large = pairs_of(context.data, config, where, config.large)[:2] if config.large else []
    alone = system.config.steps if isinstance(system, IterativeStyler) else 1  # steps at the system's own settings
    total = sum(work.steps for work in works) * len(pairs) + alone * (len(large) + bool(config.frames))
    sets = []
    with Progress(f"sample {context.name}", total, "steps", quiet=context.quiet) as progress:
        for work in works:
            start = time.monotonic()
            with drawn_by(work.variant):
                images = _make(system, context, pairs, work.options, progress)
            seconds = time.monotonic() - start
            info = {"seconds": seconds, "seconds_per_item": seconds / len(images)}
            sets.append(SampleSet(work.variant, images, prompts=[name for name, _, _ in pairs], info=info))
        if config.frames and isinstance(system, IterativeStyler):
            name, content, style = pairs[0]
            seed = context.derive("strip", name)
            sets[0].extra["frames"] = system.run_frames(content, style, seed, config.frames, progress.update)
        if large:
            sets[0].extra["large"] = _make(system, context, large, {}, progress)
    return sets


def _make(
    system: Styler, context: StageContext, pairs: Sequence[Pair], options: Mapping[str, Any], progress: Progress
) -> NDArray[np.uint8]:
    """``(pairs, H, W, 3)``, as many at once as there are threads; a pair has the same seed in every variant."""
    seeds = [context.derive("sample", name) for name, _, _ in pairs]
    if isinstance(system, IterativeStyler):
        import torch

        return np.stack(system.stylise_all(pairs, seeds, options, torch.get_num_threads(), progress.update))
    made = []
    for (_, content, style), seed in zip(pairs, seeds, strict=True):
        made.append(system.stylise(content, style, seed, **options))
        progress.update()
    return np.stack(made)
