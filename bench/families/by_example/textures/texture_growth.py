"""The order in which a texture grows (Efros & Leung 1999), and the growth itself.

*Onion* is the paper's: passes over the unfilled pixels that touch a filled one, those with most filled pixels in their
window first (ties at random); a pixel whose match is worse than MaxErrThreshold waits, and if a whole pass fills
nothing, the threshold rises by 10 %. *Raster* goes through scan lines instead.

Pixels of the list that lie outside each other's windows are searched for at once (see :func:`levels`), over all
pictures that grow side by side; the result is that of one pixel at a time.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

from bench.base.settings import Checked, Count, NotNegative, Positive
from bench.families.by_example.textures.texture_search import Search, gaussian_weights
from bench.families.by_example.textures.texture_tree import TreeSearch

__all__ = ["Growth", "TextureConfig", "available_threads", "frontier", "grow", "levels", "uniform"]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class TextureConfig(Checked):
    """Constants of the paper, under the paper's names.

    Attributes:
        window: side of the square neighbourhood, odd, in pixels.
        epsilon: ErrThreshold: candidates lie within ``(1 + epsilon)`` of the best.
        max_error_threshold: MaxErrThreshold, on values in 0..1.
        sigma_divisor: sigma of the Gaussian is ``window / sigma_divisor``.
        seed_size: side of the patch that the picture grows from.
        order: ``onion`` (the paper) or ``raster`` (scan lines, for comparison).
        batch: most pixels searched for at once; bounds memory, never changes the result.
        search: ``exact``, or ``tree``: approximate, for large samples
            (:mod:`bench.families.by_example.textures.texture_tree`).
        components: dimensions of the trees.
        neighbours: candidates that a tree proposes.
    """

    window: int = 11
    epsilon: NotNegative = 0.1
    max_error_threshold: Positive = 0.3
    sigma_divisor: Positive = 6.4
    seed_size: Count = 3
    order: Literal["onion", "raster"] = "onion"
    batch: Count = 1024
    search: Literal["exact", "tree"] = "exact"
    components: Count = 12
    neighbours: Count = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window < 3 or self.window % 2 == 0:
            raise ValueError(f"window: must be odd and at least 3, not {self.window}")


@dataclass(frozen=True)
class Growth:
    """A grown picture.

    Attributes:
        picture: uint8 ``(H, W, C)``.
        sources: ``(H, W, 2)`` row and column of the exemplar's pixel that each pixel was copied from, -1 where it was
            given.
        passes: passes over the frontier.
        threshold: MaxErrThreshold at the end (higher than at the start if nothing matched).
        operations: floating point operations of the search, an equal share of all pictures that grew together.
    """

    picture: NDArray[np.uint8]
    sources: Ints
    passes: int
    threshold: float
    operations: float = 0.0


def uniform(seed: int | NDArray[np.uint64], tag: int, position: Ints) -> NDArray[np.float64]:
    """Uniform draws in [0, 1) that depend on (seed, tag, position) alone: the splitmix64 finaliser as a counter
    hash."""
    start = np.uint64(seed % 2**64) if isinstance(seed, int) else seed
    with np.errstate(over="ignore"):
        z = position.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + start
        for extra in (np.uint64(tag), np.uint64(0)):
            z = z + np.uint64(0x9E3779B97F4A7C15) * (extra + np.uint64(1))
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def levels(order: Ints, shape: tuple[int, int, int], radius: int) -> Iterator[Ints]:
    """Splits a list of flat positions, to be filled one after another, into groups that may be filled at once.

    A pixel's group is one more than the highest group of the earlier pixels inside its window; so it sees all the
    earlier ones of its window and none of the later ones, as in the list.

    Args:
        order: flat positions in ``shape``.
        shape: (pictures, height, width); pictures do not see each other.
        radius: half the window.

    >>> [group.tolist() for group in levels(np.array([0, 1, 7]), (1, 1, 8), 2)]
    [[0, 7], [1]]
    """
    count, height, width = shape
    side = 2 * radius + 1
    wanted = np.ones(
        (count * (height + 2 * radius), width + 2 * radius), dtype=np.int32
    )  # the level that each pixel would have now
    rows, columns = np.divmod(order, width)
    rows += rows // height * 2 * radius
    found = []
    maximum = np.maximum
    for y, x in zip(rows.tolist(), columns.tolist(), strict=True):
        block = wanted[y : y + side, x : x + side]
        level = block.item(radius, radius)
        found.append(level)
        maximum(block, level + 1, out=block)
    by_level = np.argsort(found, kind="stable")
    yield from np.split(order[by_level], np.flatnonzero(np.diff(np.array(found)[by_level])) + 1)


def frontier(known: Bools, radius: int, ties: Callable[[Ints], NDArray[np.float64]]) -> Ints:
    """Unfilled pixels that touch a filled one, those with most filled pixels in their window first.

    Args:
        known: ``(pictures, H, W)``.
        radius: half the window.
        ties: flat positions -> what breaks ties (smaller first).

    Returns:
        Flat positions; the order between pictures means nothing.
    """
    padded = np.pad(known, ((0, 0), (1, 1), (1, 1)))
    touching = padded[:, :-2] | padded[:, 1:-1] | padded[:, 2:]
    touching = touching[:, :, :-2] | touching[:, :, 1:-1] | touching[:, :, 2:]
    positions = np.flatnonzero(touching & ~known)
    margin = (radius + 1, radius)
    sums = (
        np.pad(known, ((0, 0), margin, margin))
        .astype(np.int32)
        .cumsum(axis=1, dtype=np.int32)
        .cumsum(axis=2, dtype=np.int32)
    )
    side = 2 * radius + 1
    counts = sums[:, side:, side:] - sums[:, :-side, side:] - sums[:, side:, :-side] + sums[:, :-side, :-side]
    return positions[np.lexsort((ties(positions), -counts.ravel()[positions]))]


def available_threads() -> int:
    """Threads that the BLAS has been given, at most one for each processor."""
    given = max((int(info["num_threads"]) for info in threadpool_info() if info["user_api"] == "blas"), default=1)
    return min(given, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@contextmanager
def _workers(threads: int | None) -> Iterator[tuple[ThreadPoolExecutor | None, int]]:
    """A pool of as many threads as the BLAS has been given, with one BLAS thread each, and their number; None for one.

    The products are small: threads that share one wait for each other longer than they compute.
    """
    threads = threads or available_threads()
    with threadpool_limits(1, "blas"):
        if threads == 1:
            yield None, 1
        else:
            with ThreadPoolExecutor(threads) as pool:
                yield pool, threads


def grow(
    exemplar: NDArray[np.uint8],
    canvases: Sequence[NDArray[np.uint8]],
    known: Sequence[Bools],
    seeds: Sequence[int],
    config: TextureConfig,
    *,
    usable: Bools | None = None,
    progress: Callable[[int], None] | None = None,
    threads: int | None = None,
) -> list[Growth]:
    """Fills the unknown pixels of each canvas with pixels of ``exemplar``.

    Several pictures grow side by side, so that their searches share matrix products; each comes out as if alone.

    Args:
        exemplar: uint8 ``(h, w, C)``.
        canvases: uint8 ``(H, W, C)`` each, of one size; unknown pixels are ignored.
        known: ``(H, W)`` each.
        seeds: one each; the draws for pixel (y, x) depend on (seed, pass, y, x) alone.
        config: constants.
        usable: ``(h, w)`` pixels of the exemplar that may be matched and copied; None for all.
        progress: called with the number of pixels that were filled.
        threads: None for as many as the BLAS has; never changes the result.
    """
    done = progress or _ignore
    with _workers(threads) as (pool, count):
        search = _search(config)(exemplar, config.window, usable, pool, count)
        growing = _Pictures(exemplar, list(zip(canvases, known, seeds, strict=True)), config, search)
        while not growing.done():
            growing.advance(done)
        return growing.growths()


def _search(config: TextureConfig) -> Callable[..., Search]:
    """What makes the search that the config asks for."""
    sigma = config.window / config.sigma_divisor
    if config.search == "exact":
        return functools.partial(Search, sigma=sigma)
    return functools.partial(TreeSearch, sigma=sigma, components=config.components, neighbours=config.neighbours)


def _ignore(count: int) -> None:
    """Progress that nobody wants to see."""


class _Pictures:
    """Pictures of one size in the making, one after another in arrays with a frame of unknown pixels around each."""

    def __init__(
        self,
        exemplar: NDArray[np.uint8],
        given: Sequence[tuple[NDArray[np.uint8], Bools, int]],
        config: TextureConfig,
        search: Search,
    ) -> None:
        canvases, known = np.stack([canvas for canvas, _, _ in given]), np.stack([mask for _, mask, _ in given])
        self.config, self.search = config, search
        self.shape = (len(canvases), *canvases.shape[1:3])
        self.radius = config.window // 2
        self.filled = known.copy()
        self.sources = np.full(known.size, -1, dtype=np.int64)
        self.draws = np.empty(known.size)
        self.seeds = np.array([seed % 2**64 for _, _, seed in given], dtype=np.uint64)
        self.passes = np.zeros(len(canvases), dtype=np.int64)
        self.threshold = np.full(len(canvases), config.max_error_threshold)
        self.gaussian = gaussian_weights(config.window, config.window / config.sigma_divisor).astype(np.float32)
        self.source_pixels = exemplar.reshape(-1, exemplar.shape[2]).astype(np.float32)
        self.exemplar_width = exemplar.shape[1]
        frame = ((0, 0), (self.radius, self.radius), (self.radius, self.radius))
        self.mask = np.pad(known, frame).astype(np.float32)
        self.values = np.pad(np.where(known[..., None], canvases, 0), (*frame, (0, 0))).astype(np.float32)
        stride = self.mask.shape[2]
        self.offsets = (np.arange(config.window)[:, None] * stride + np.arange(config.window)).ravel()

    def done(self) -> bool:
        return bool(self.filled.all())

    def _draws(self, positions: Ints, odd: int) -> NDArray[np.float64]:
        """Draws for flat positions, from each picture's seed and the pass."""
        picture, place = np.divmod(positions, self.shape[1] * self.shape[2])
        return uniform(self.seeds[picture], 2 * int(self.passes.max()) + odd, place)

    def advance(self, progress: Callable[[int], None]) -> None:
        """One pass over every picture that is not full."""
        growing = np.logical_not(self.filled.all(axis=(1, 2)))
        self.passes[growing] += 1
        if self.config.order == "onion":
            todo = frontier(self.filled, self.radius, lambda positions: self._draws(positions, 1))
        else:
            todo = np.flatnonzero(~self.filled)
        advanced = np.logical_not(growing)
        self.draws[todo] = self._draws(todo, 0)
        for level in levels(todo, self.shape, self.radius):
            for start in range(0, len(level), self.config.batch):
                positions = self._fill(level[start : start + self.config.batch])
                advanced[positions // (self.shape[1] * self.shape[2])] = True
                progress(len(positions))
        self.threshold[~advanced] *= 1.1

    def _fill(self, positions: Ints) -> Ints:
        """Searches for pixels that do not see each other, and fills those that found a good match: their positions."""
        _, height, width = self.shape
        lines, columns = np.divmod(positions, width)
        picture = lines // height
        places = ((lines + picture * 2 * self.radius) * self.mask.shape[2] + columns)[:, None] + self.offsets  # (B, K)
        weights = self.gaussian * self.mask.ravel()[places]
        channels = self.values.shape[3]
        values = self.values.reshape(-1, channels)
        largest = self.threshold[picture] * 255.0**2 * channels * weights.sum(axis=1, dtype=np.float64)
        found = self.search.pick(weights, values[places], self.draws[positions], self.config.epsilon, largest)
        positions, middle = positions[found.good], places[found.good, len(self.offsets) // 2]
        origin = self.search.centres[found.chosen[found.good]]
        values[middle] = self.source_pixels[origin]
        self.mask.ravel()[middle] = 1.0
        self.sources[positions] = origin
        self.filled.ravel()[positions] = True
        return positions

    def growths(self) -> list[Growth]:
        inside = slice(self.radius, -self.radius)
        pictures = self.values[:, inside, inside].astype(np.uint8)
        sources = np.where(
            self.sources[:, None] < 0, -1, np.stack(np.divmod(self.sources, self.exemplar_width), axis=1)
        )
        rest: Any = zip(
            pictures, sources.reshape(*self.shape, 2), self.passes.tolist(), self.threshold.tolist(), strict=True
        )
        share = self.search.operations / len(pictures)
        return [Growth(picture.copy(), source, passes, threshold, share) for picture, source, passes, threshold in rest]
