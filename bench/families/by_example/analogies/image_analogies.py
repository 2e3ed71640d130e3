"""Image analogies (Hertzmann, Jacobs, Oliver, Curless and Salesin, SIGGRAPH 2001): A is to A' as B is to B'.

Level by level from coarse to fine and pixel by pixel in scan order, B'(q) is copied from A'(p) for the p whose
neighbourhoods are most like those of q: in A and in the finished part of A', at this level and one coarser. Two
searches propose p: the nearest one of all, and the nearest one of those that continue what the neighbours of q were
copied from (Ashikhmin 2001). The second is taken if

    d_coh <= d_app (1 + 2^(l - L) kappa)

where l is the level and L the finest (section 3.2). Luminance alone is matched and copied, and the colours are those of
B, unless ``colour`` says otherwise; the luminance of B is first given the mean and deviation of A's (section 3.4).

What it must reproduce: a filter that made A' of A is applied to B better than by looking at single pixels; raising
kappa lengthens the coherent copies; the tree with coherence comes within 1 dB of the exact search at ten times its
speed.

Nothing is random: the answer depends on the pictures and the options alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bench.base.errors import BenchError
from bench.base.settings import Checked, Count, NotNegative
from bench.families.by_example.analogies.analogy_colour import (
    as_unit,
    luminance,
    remapping,
    rgb_to_yiq,
    to_bytes,
    yiq_to_rgb,
)
from bench.families.by_example.analogies.analogy_features import (
    Atlas,
    Features,
    Windows,
    centred,
    expand,
    pyramid,
    steerable_responses,
)
from bench.families.by_example.analogies.analogy_search import (
    EXACT_BELOW,
    ExactSearch,
    Filled,
    Search,
    TreeSearch,
    fill,
)
from bench.families.by_example.exemplars import ExemplarSystem
from bench.registry import sample_options

__all__ = ["Analogy", "AnalogyConfig", "ImageAnalogies"]

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class AnalogyConfig(Checked):
    """Settings of the paper and of the search.

    Attributes:
        kappa: how much worse a coherent match may be; 0 copies coherently only where nothing better is found. The paper
            uses 2 to 25 for painterly filters, at most 1 for line art, 0.5 to 5 for textures.
        search: ``ann`` (k-d tree over principal components) or ``exact`` (all of A).
        colour: ``luminance`` (match and copy Y, colours of B), ``full`` (match and copy all channels) or ``chroma``
            (match as ``full``, copy the colours of A' under the luminance of B: for colouring grey pictures).
        features: ``plain`` luminance, or ``steerable``: with four oriented second derivatives of A and B at the pixel.
        remap: give B the mean and deviation of A's luminance while matching.
        source_weight: weight of the neighbourhoods in A and B beside those in A' and B'.
        levels: most levels of the pyramids; fewer where the coarsest would be smaller than twice the window.
        window: side of the fine neighbourhood, odd.
        coarse_window: side of the neighbourhood one level coarser, odd.
        components: principal components in the tree.
        neighbours: candidates that the tree gives for a full comparison.
        epsilon: the tree's candidates may be ``1 + epsilon`` times as far as the nearest.
    """

    kappa: NotNegative = 0.5
    search: Literal["ann", "exact"] = "ann"
    colour: Literal["luminance", "full", "chroma"] = "luminance"
    features: Literal["plain", "steerable"] = "plain"
    remap: bool = True
    source_weight: NotNegative = 3.0
    levels: Count = 5
    window: int = 5
    coarse_window: Count = 3
    components: Count = 10
    neighbours: Count = 3
    epsilon: NotNegative = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window < 3 or self.window % 2 == 0:
            raise ValueError(f"window: must be odd and at least 3, not {self.window}")
        if self.coarse_window > self.window or self.coarse_window % 2 == 0:
            raise ValueError(f"coarse_window: must be odd and at most window, not {self.coarse_window}")


@dataclass(frozen=True)
class Analogy:
    """An answer.

    Attributes:
        picture: B', uint8, of B's height and width; with ``colour: luminance`` grey where B is.
        sources: ``(H, W, 3)`` number of the pair, row and column in A' that each pixel was copied from.
        coherent: ``(H, W)`` whether the coherence search chose it.
    """

    picture: Picture
    sources: NDArray[np.int64]
    coherent: NDArray[np.bool_]


@dataclass(frozen=True)
class _Level:
    """A and A' at one level, ready for any B."""

    windows: Windows
    atlas: Atlas
    target: Atlas
    features: Features
    search: Search


class ImageAnalogies(ExemplarSystem[AnalogyConfig]):
    """The :class:`bench.contracts.AnalogySolver` of the paper. Nothing is trained and nothing stored but the config."""

    Config = AnalogyConfig
    SampleOptions: ClassVar[type[AnalogyConfig]] = AnalogyConfig
    CONTRACT: ClassVar[str] = "AnalogySolver"

    def analogy(self, a: Picture, a_prime: Picture, b: Picture, seed: int = 0, **options: Any) -> Picture:
        """B' for one pair and one B; see :meth:`solve`. ``seed`` changes nothing: nothing is random."""
        return self.solve([(a, a_prime)], [b], **options)[0].picture

    def solve(
        self,
        pairs: Sequence[tuple[Picture, Picture]],
        pictures: Sequence[Picture],
        *,
        progress: Callable[[int], None] | None = None,
        **options: Any,
    ) -> list[Analogy]:
        """B' for each of several B from one or more pairs; each comes out as if alone, and together they are cheaper.

        Args:
            pairs: A and A', uint8 ``(H, W)`` or ``(H, W, 3)``; A and A' of one size, the pairs of any.
            pictures: each B, of any size.
            progress: called with the number of pixels that were filled, of all levels (:meth:`work` says how many there
                are).
            **options: fields of :class:`AnalogyConfig` that replace the system's own.

        Raises:
            BenchError: A and A' of different sizes, a picture that is not 8-bit grey or colour or is smaller than the
                window, an unknown option.
        """
        config = self._with(options)
        sources, targets, queries = _read(pairs, pictures, config)
        maps = [_map_of(sources, query) if config.remap else (1.0, 0.0) for query in queries]
        a = [_matched(picture, config, sources) for picture in sources]
        a_prime = [luminance(picture) if config.colour == "luminance" else picture for picture in targets]
        b = [
            gain * _matched(query, config, sources) + offset
            for query, (gain, offset) in zip(queries, maps, strict=True)
        ]
        count = _depth([*a, *b], config)
        with threadpool_limits(
            1, "blas"
        ):  # many small products: a second thread costs more in waiting than it computes
            atlas, filled = self._fill(a, a_prime, b, count, config, progress)
        return _answers(atlas, filled, pairs, targets, queries, maps, config)

    def work(self, pairs: Sequence[tuple[Picture, Picture]], pictures: Sequence[Picture], **options: Any) -> int:
        """Pixels of all levels that :meth:`solve` fills: the total of its ``progress``."""
        config = self._with(options)
        sources, _, queries = _read(pairs, pictures, config)
        count = _depth([*sources, *queries], config)
        return sum(-(-query.shape[0] // 2**i) * -(-query.shape[1] // 2**i) for query in queries for i in range(count))

    def _with(self, options: dict[str, Any]) -> AnalogyConfig:
        config: AnalogyConfig = sample_options(type(self), self.config, options, "image_analogies")
        return config

    @staticmethod
    def _fill(
        a: list[Floats],
        a_prime: list[Floats],
        b: list[Floats],
        count: int,
        config: AnalogyConfig,
        progress: Callable[[int], None] | None,
    ) -> tuple[Atlas, Filled]:
        """All levels, coarse to fine: A's atlas of the finest and what was filled there."""
        radius = config.window // 2
        sources, targets, queries = ([pyramid(picture, count) for picture in kind] for kind in (a, a_prime, b))
        coarser: tuple[_Level, Atlas, Filled] | None = None
        for number in range(count):
            level = _level(
                [s[number] for s in sources], [t[number] for t in targets], coarser[0] if coarser else None, config
            )
            atlas = Atlas.of([centred(q[number]) for q in queries], radius)
            oriented = _oriented([q[number] for q in queries], config)
            if coarser is None:
                known = level.windows.known_part(atlas, None, oriented)
                canvas = _first_guess(level, known, atlas, radius)
            else:
                _, coarse_atlas, before = coarser
                grown = coarse_atlas.pictures(before.canvas[coarse_atlas.cells])
                known = level.windows.known_part(atlas, (coarse_atlas, Atlas.of(grown, radius).values), oriented)
                canvas = Atlas.of([expand(*each) for each in zip(grown, atlas.shapes(), strict=True)], radius).values
            tolerance = 2.0 ** (number + 1 - count) * config.kappa
            values = level.target.values[level.target.cells]
            filled = fill(
                level.features,
                level.search,
                level.windows,
                level.atlas,
                values,
                atlas,
                known,
                canvas,
                tolerance,
                progress,
            )
            coarser = level, atlas, filled
        assert coarser is not None
        level, atlas, filled = coarser
        return atlas, dataclasses.replace(filled, sources=level.atlas.place[filled.sources])


def _read(
    pairs: Sequence[tuple[Picture, Picture]], pictures: Sequence[Picture], config: AnalogyConfig
) -> tuple[list[Floats], list[Floats], list[Floats]]:
    """A, A' and B as values in 0..1, checked."""
    if not pairs or not pictures:
        raise BenchError("an analogy needs at least one pair A, A' and one B")
    sources, targets, queries = [], [], []
    for number, (a, a_prime) in enumerate(pairs):
        mark = f" {number + 1}" if len(pairs) > 1 else ""
        sources.append(as_unit(a, f"A{mark}"))
        targets.append(as_unit(a_prime, f"A'{mark}"))
        if sources[-1].shape[:2] != targets[-1].shape[:2]:
            sizes = " and ".join(f"{picture.shape[0]}x{picture.shape[1]}" for picture in (sources[-1], targets[-1]))
            raise BenchError(
                f"A{mark} and A'{mark} are {sizes}: they must be the same picture before and after, pixel by pixel"
            )
    for number, b in enumerate(pictures):
        queries.append(as_unit(b, f"B {number + 1}" if len(pictures) > 1 else "B"))
    for name, group in (("A", sources), ("B", queries)):
        for picture in group:
            if min(picture.shape[:2]) < config.window:
                size = f"{picture.shape[0]}x{picture.shape[1]}"
                raise BenchError(
                    f"{name} is {size}, smaller than the window of {config.window}x{config.window}: give a larger "
                    "picture"
                )
    if config.colour != "luminance":
        channels = max(picture.shape[2] for picture in targets)
        targets = [np.repeat(picture, channels // picture.shape[2], axis=2) for picture in targets]
    return sources, targets, queries


def _map_of(sources: list[Floats], query: Floats) -> tuple[float, float]:
    """Gain and offset that take this B's luminance to that of all A together."""
    return remapping(np.concatenate([luminance(a).ravel() for a in sources]), luminance(query))


def _matched(picture: Floats, config: AnalogyConfig, sources: list[Floats]) -> Floats:
    """The channels of A or B that are compared: one, unless ``full`` and every A is in colour."""
    if config.colour != "full" or any(a.shape[2] == 1 for a in sources):
        return luminance(picture)
    return np.repeat(picture, 3 // picture.shape[2], axis=2)


def _depth(pictures: list[Floats], config: AnalogyConfig) -> int:
    """Levels such that the smallest side of the coarsest is at least twice the window."""
    side, count = min(min(picture.shape[:2]) for picture in pictures), 1
    while count < config.levels and -(-side // 2) >= 2 * config.window:
        side, count = -(-side // 2), count + 1
    return count


def _oriented(pictures: list[Floats], config: AnalogyConfig) -> Features | None:
    """``(N, 4)`` steerable responses of the luminance, pixel by pixel."""
    if config.features == "plain":
        return None
    return np.concatenate(
        [centred(steerable_responses(luminance(picture)[:, :, 0])).reshape(-1, 4) for picture in pictures]
    )


def _level(a: list[Floats], a_prime: list[Floats], coarser: _Level | None, config: AnalogyConfig) -> _Level:
    """Features of every pixel of A and A', and a search over them."""
    atlas, target = (
        Atlas.of([centred(picture) for picture in pictures], config.window // 2) for pictures in (a, a_prime)
    )
    oriented = _oriented(a, config)
    windows = Windows(
        config.window,
        config.coarse_window if coarser else 0,
        a[0].shape[2],
        a_prime[0].shape[2],
        config.source_weight,
        0 if oriented is None else oriented.shape[1],
    )
    known = windows.known_part(atlas, (coarser.atlas, coarser.target.values) if coarser else None, oriented)
    features = np.concatenate([known, windows.causal_part(target.values, target.cells, target.stride)], axis=1)
    if config.search == "exact" or len(features) < EXACT_BELOW:
        return _Level(windows, atlas, target, features, ExactSearch(features))
    return _Level(
        windows, atlas, target, features, TreeSearch(features, config.components, config.neighbours, config.epsilon)
    )


def _first_guess(level: _Level, known: Features, atlas: Atlas, radius: int) -> Features:
    """What frames the coarsest B': for the pixels that the frame mirrors, the A' whose neighbourhood in A is
    nearest."""
    edges = np.concatenate([_near_edge(shape, radius).ravel() for shape in atlas.shapes()])
    values = np.zeros((len(known), level.target.values.shape[1]), dtype=np.float32)
    found = ExactSearch(level.features[:, : level.windows.known]).shortlist(known[edges])[:, 0]
    values[edges] = level.target.values[level.target.cells[found]]
    return Atlas.of(atlas.pictures(values), radius).values


def _near_edge(shape: tuple[int, int], radius: int) -> NDArray[np.bool_]:
    """True within ``radius`` pixels of the edge."""
    edge = np.ones(shape, dtype=np.bool_)
    edge[radius : shape[0] - radius, radius : shape[1] - radius] = False
    return edge


def _answers(
    atlas: Atlas,
    filled: Filled,
    pairs: Sequence[tuple[Picture, Picture]],
    targets: list[Floats],
    queries: list[Floats],
    maps: list[tuple[float, float]],
    config: AnalogyConfig,
) -> list[Analogy]:
    """Pictures from the sources of the finest level."""
    answers = []
    for query, (gain, offset), sources, coherent in zip(
        queries, maps, atlas.pictures(filled.sources), atlas.pictures(filled.coherent), strict=True
    ):
        copied = np.empty((*query.shape[:2], targets[0].shape[2] if config.colour != "luminance" else 1))
        for number, target in enumerate(targets):
            mine = sources[:, :, 0] == number
            whole = target if config.colour != "luminance" else luminance(target)
            copied[mine] = whole[sources[mine, 1], sources[mine, 2]]
        if config.colour == "luminance":
            copied = (copied - offset) / gain
            if query.shape[2] == 3:
                copied = yiq_to_rgb(np.concatenate([copied, rgb_to_yiq(query)[:, :, 1:]], axis=2))
        elif config.colour == "chroma" and copied.shape[2] == 3:
            copied = yiq_to_rgb(np.concatenate([luminance(query), rgb_to_yiq(copied)[:, :, 1:]], axis=2))
        picture = to_bytes(copied)
        answers.append(Analogy(picture[:, :, 0] if picture.shape[2] == 1 else picture, sources, coherent))
    return answers
