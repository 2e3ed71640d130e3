"""Textures: what is drawn from which piece of which photograph.

Each photograph is reduced and cut into the *exemplar*, which the generators see, and a *held-out* piece beside it,
which only the ceiling row sees, and the holes that are taken out of it. The sample sets: one for each window of the
sweep (``window=9``) over all exemplars; the filled holes (``task=fill``); exemplars grown outwards
(``task=extrapolate``).
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError, did_you_mean
from bench.base.files import SampleSet
from bench.base.progress import Progress
from bench.base.settings import Checked, Count, Natural, NothingToSet, NotNegative, build_config
from bench.capabilities import GrowingSynthesizer
from bench.config.variants import variant_id
from bench.context import StageContext
from bench.contracts import DataFacts, Synthesizer
from bench.data.datasets import load_exemplars
from bench.families.by_example.textures.growth_costs import Growths, growth_costs

__all__ = [
    "Cut",
    "Holes",
    "Piece",
    "SampleConfig",
    "cut",
    "pieces_of",
    "reduced",
    "sample",
    "sample_config",
    "stacked",
    "tiles",
]

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Cut(Checked):
    """Where in a photograph the exemplar lies.

    Attributes:
        of: name of the photograph; empty for the exemplar's own name.
        downscale: whole-number reduction by means of blocks; the rest is counted in reduced pixels.
        flatten: sigma in pixels of the Gaussian mean that is divided out, for unevenly lit pages; 0 for none.
        rows, columns: usable part, ``[first, one past the last]``; null for all.
        side: height and width of the exemplar, which is the top left corner of that part; null for the block's.
    """

    of: str = ""
    downscale: Count = 1
    flatten: NotNegative = 0.0
    rows: tuple[Natural, Count] | None = None
    columns: tuple[Natural, Count] | None = None
    side: Count | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("rows", "columns"):
            part = getattr(self, name)
            if part is not None and part[0] >= part[1]:
                raise ValueError(f"{name}: the first must lie before the one past the last, not {list(part)}")


@dataclass(frozen=True)
class Holes(Checked):
    """Square holes in the held-out pieces, each in a tile of its own, filled from the exemplar.

    Attributes:
        side: of the hole, in pixels.
        margin: known pixels around it.
        count: tiles of each held-out piece.
        windows, orders: every pair of them is a variant; empty for a system without.
    """

    side: Count = 20
    margin: Count = 12
    count: Count = 4
    windows: tuple[int, ...] = ()
    orders: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.windows) != bool(self.orders):
            raise ValueError("windows and orders: every pair is a variant, so both or neither are given")

    def variants(self) -> list[dict[str, Any]]:
        """Options of every way to fill the holes."""
        return [{"order": order, "window": window} for window in self.windows for order in self.orders] or [{}]

    @property
    def tile(self) -> int:
        """Side of a tile."""
        return self.side + 2 * self.margin

    @property
    def known(self) -> NDArray[np.bool_]:
        """``(tile, tile)``, False in the hole."""
        known = np.ones((self.tile, self.tile), dtype=bool)
        known[self.margin : -self.margin, self.margin : -self.margin] = False
        return known


@dataclass(frozen=True)
class SampleConfig(Checked):
    """Keys under ``sample:`` of a block of this family.

    Attributes:
        exemplars: by name.
        side: height and width of the exemplars that do not say their own.
        windows: the sweep; empty for a system without windows.
        size: height and width of the pictures.
        pictures: pictures of each exemplar and window, each with a seed of its own; 0 for none.
        holes: to fill, null for none.
        extrapolate: side of the pictures that grow outwards from each exemplar, 0 for none.
        extrapolate_window: their window.
        growth: what a pixel costs at growing sizes, null for none.
    """

    exemplars: Mapping[str, Cut] = field(default_factory=dict)
    side: Count = 64
    windows: tuple[int, ...] = ()
    size: tuple[Count, Count] = (64, 64)
    pictures: Natural = 4
    holes: Holes | None = None
    extrapolate: Natural = 0
    extrapolate_window: int = 15
    growth: Growths | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("outputs", "samples", "windows") if self.growth is not None else ():
            if len(getattr(self.growth, name)) < 2:
                raise ValueError(f"growth.{name}: a slope needs at least two sizes")

    def check_data(self, facts: DataFacts) -> None:
        """Refuse photographs that the data set does not hold, and a block that names none."""
        if not self.exemplars:
            raise ValueError(f"exemplars: name at least one{': ' if facts.items else ''}{', '.join(facts.items or ())}")
        for name, cut in self.exemplars.items():
            facts.check_items([cut.of or name], f"exemplars.{name}")
        if self.growth is not None:
            facts.check_items([self.growth.exemplar], "growth.exemplar")

    def option_sets(self) -> Iterator[tuple[str, dict[str, Any], type]]:
        """Where options of the system stand, and which."""
        for window in self.windows:
            yield "windows", {"window": window}, NothingToSet
        for options in self.holes.variants() if self.holes is not None else ():
            yield "holes", options, NothingToSet
        if self.extrapolate:
            yield "extrapolate_window", {"window": self.extrapolate_window}, NothingToSet
        for window in (self.growth.base[2], *self.growth.windows) if self.growth is not None else ():
            yield "growth", {"window": window}, NothingToSet


@dataclass(frozen=True)
class Piece:
    """One photograph, cut: ``exemplar`` and ``held_out`` are ``(H, W, C)`` uint8 and do not overlap."""

    exemplar: Picture
    held_out: Picture


def reduced(picture: Picture, how: Cut) -> Picture:
    """The usable part of a photograph, reduced: ``(H, W, C)``."""
    image = picture[:, :, None] if picture.ndim == 2 else picture
    step = how.downscale
    height, width = image.shape[0] // step, image.shape[1] // step
    blocks = image[: height * step, : width * step].reshape(height, step, width, step, -1)
    means = blocks.mean(axis=(1, 3))
    if how.flatten:
        from scipy.ndimage import gaussian_filter

        means = means / np.maximum(gaussian_filter(means, how.flatten, axes=(0, 1)), 1.0) * means.mean()
    whole: Picture = np.clip(np.rint(means), 0, 255).astype(np.uint8)
    return whole[slice(*(how.rows or (None,))), slice(*(how.columns or (None,)))]


def cut(picture: Picture, how: Cut, where: str, side: int = 64) -> Piece:
    """Reduces and cuts one photograph; the held-out piece lies right of the exemplar, or below where that is larger.

    ``side`` counts where ``how`` has none.

    Raises:
        BenchError: the usable part is smaller than the exemplar.
    """
    image = reduced(picture, how)
    height, width = image.shape[:2]
    side = how.side or side
    if min(height, width) < side:
        raise BenchError(
            f"{where}: the usable part is {height}x{width} pixels, smaller than the exemplar's side of {side}"
        )
    right, below = image[:, side:], image[side:]
    return Piece(image[:side, :side], right if min(right.shape[:2]) >= min(below.shape[:2]) else below)


def pieces_of(context: StageContext, config: SampleConfig) -> dict[str, Piece]:
    """Exemplar and held-out piece of every photograph of the block.

    Raises:
        BenchError: no photograph, an unknown one, or one too small.
    """
    where = f"{context.family}.{context.name}.sample.exemplars"
    pictures = load_exemplars(context.data)
    pieces = {}
    for name, how in config.exemplars.items():
        photograph = how.of or name
        if photograph not in pictures:
            raise BenchError(
                f"{where}: no picture {photograph!r} in {context.data}.{did_you_mean(photograph, pictures)}"
            )
        pieces[name] = cut(pictures[photograph], how, f"{where}.{name}", config.side)
    if not pieces:
        raise BenchError(f"{where}: name at least one of {', '.join(sorted(pictures))}")
    return pieces


def sample_config(context: StageContext) -> tuple[SampleConfig, Holes | None]:
    """The keys under ``sample:``, for drawing and for scoring what was drawn."""
    where = f"{context.family}.{context.name}.sample"
    config: SampleConfig = build_config(SampleConfig, context.block.get("sample") or {}, where)
    return config, config.holes


def tiles(piece: Piece, holes: Holes, where: str) -> Picture:
    """``(count, tile, tile, C)`` of the held-out piece, spread evenly; their holes do not overlap.

    Raises:
        BenchError: fewer fit than are asked for.
    """
    height, width = piece.held_out.shape[:2]
    corners = list(itertools.product(*(range(0, length - holes.tile + 1, holes.side) for length in (height, width))))
    if len(corners) < holes.count:
        raise BenchError(
            f"{where}: {holes.count} holes of {holes.side} pixels with a margin of {holes.margin} do not fit the "
            "held-out piece "
            f"of {height}x{width} ({len(corners)} do): give fewer or smaller ones"
        )
    chosen = [corners[i] for i in np.linspace(0, len(corners) - 1, holes.count).round().astype(int)]
    return np.stack([piece.held_out[y : y + holes.tile, x : x + holes.tile] for y, x in chosen])


def stacked(images: Sequence[Picture]) -> Picture:
    """Pictures of one size as ``(N, H, W, C)``; grey ones get three channels if any is in colour."""
    channels = max(image.shape[2] for image in images)
    return np.stack([np.repeat(image, channels // image.shape[2], axis=2) for image in images])


def sample(context: StageContext) -> list[SampleSet]:
    """A sample set for each window, for each way to fill the holes, and for the extrapolation."""
    config, holes = sample_config(context)
    where = f"{context.family}.{context.name}.sample"
    work = _Work(context, pieces_of(context, config))
    if config.growth is not None and not isinstance(work.system, GrowingSynthesizer):
        raise BenchError(f"{where}.growth: {context.block['system']} does not count its operations: leave it out")
    sweep: list[dict[str, Any]] = [{"window": window} for window in config.windows] or [{}]
    sweep = sweep if config.pictures else []
    ways = holes.variants() if holes is not None else []
    pixels = config.size[0] * config.size[1] * config.pictures * len(sweep) + config.extrapolate**2
    pixels += holes.side**2 * holes.count * len(ways) if holes is not None else 0

    def seed_patches(name: str, piece: Piece) -> _Job:
        return [context.derive("sample", name, number) for number in range(config.pictures)], None

    def broken_tiles(name: str, piece: Piece) -> _Job:
        assert holes is not None
        known = holes.known[:, :, None]
        broken = [np.where(known, tile, 0).astype(np.uint8) for tile in tiles(piece, holes, f"{where}.holes")]
        return [context.derive("hole", name, number) for number in range(holes.count)], broken

    def middles(name: str, piece: Piece) -> _Job:
        half = config.extrapolate // 2  # exemplars that are larger are cut to it
        return [context.derive("extrapolate", name)], [piece.exemplar[:half, :half]]

    with Progress(f"sample {context.name}", len(work.pieces) * pixels, "pixels", quiet=context.quiet) as work.progress:
        sets = [work.sample_set(option, config.size, seed_patches) for option in sweep]
        if holes is not None:
            tile = (holes.tile, holes.tile)
            sets += [work.sample_set({"task": "fill", **way}, tile, broken_tiles, holes.known) for way in ways]
        if config.extrapolate:
            option = {"task": "extrapolate", "window": config.extrapolate_window}
            sets.append(work.sample_set(option, (config.extrapolate, config.extrapolate), middles))
    if config.growth is not None:
        growths = config.growth
        assert isinstance(work.system, GrowingSynthesizer)
        photograph = load_exemplars(context.data)[growths.exemplar]
        sets[0].info.update(growth_costs(work.system, photograph, growths, context.derive("growth")))
    return sets


_Job = tuple[list[int], list[Picture] | None]
"""A seed for each picture, and what it grows from."""


class _Work:
    """A system at work on the pieces of the block."""

    def __init__(self, context: StageContext, pieces: dict[str, Piece]) -> None:
        self.system: Synthesizer = context.load()
        self.pieces, self.progress = pieces, Progress("", quiet=True)
        self.ceiling = context.block.get("role") == "ceiling"

    def sample_set(
        self,
        settings: Mapping[str, Any],
        size: tuple[int, int],
        job_of: Callable[[str, Piece], _Job],
        mask: NDArray[np.bool_] | None = None,
    ) -> SampleSet:
        """The pictures of one variant: of every exemplar those that ``job_of`` asks for."""
        option = {key: value for key, value in settings.items() if key != "task"}
        made: list[tuple[str, Picture, NDArray[np.int64] | None, float]] = []
        start = time.monotonic()
        for name, piece in self.pieces.items():
            made += [(name, *one) for one in self._made(piece, size, *job_of(name, piece), mask=mask, **option)]
        seconds = time.monotonic() - start
        names, images, sources, operations = zip(*made, strict=True)
        info = {"task": settings.get("task", "grow"), "seconds": seconds, "seconds_per_item": seconds / len(images)}
        if any(operations):
            info["operations_per_item"] = sum(operations) / len(images)
        extra = {}
        if "task" not in settings:  # grown from seed patches
            info["size"] = list(size)
            extra = {"sources": np.stack(sources).astype(np.int16)} if sources[0] is not None else {}
        return SampleSet(variant_id(settings), images=stacked(images), prompts=list(names), info=info, extra=extra)

    def _made(
        self, piece: Piece, size: tuple[int, int], seeds: list[int], contents: list[Picture] | None, **options: Any
    ) -> Iterator[tuple[Picture, NDArray[np.int64] | None, float]]:
        """Pictures; their sources in the exemplar and their operations, from systems that know them."""
        if isinstance(self.system, GrowingSynthesizer):
            report = self.progress.update
            for one in self.system.growths(piece.exemplar, size, seeds, initial=contents, progress=report, **options):
                yield one.picture, one.sources, one.operations
            return
        if self.ceiling:  # nobody else sees the piece that holes are taken out of
            options["held_out"] = piece.held_out
        for number, seed in enumerate(seeds):
            initial = None if contents is None else contents[number]
            yield self.system.synthesize(piece.exemplar, size, seed, initial=initial, **options), None, 0.0
            self.progress.update(size[0] * size[1])
