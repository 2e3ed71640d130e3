"""Texture synthesis by non-parametric sampling (Efros & Leung, ICCV 1999); over 350 lines: the search and the order it grows in are one.

A picture grows from a 3x3 seed patch of the exemplar, outwards in onion skins: of the unfilled pixels that touch a
filled one, those with most filled pixels in their window come first (ties in random order). For each, the exemplar is
searched for windows like the known part of its own, by

    d(c) = sum_k G_k M_k (s_ck - p_k)^2 / sum_k G_k M_k

with a Gaussian G of sigma = window / 6.4 and M = 1 where the pixel is known; a random one of the candidates with
d <= (1 + 0.1) d_min gives its centre pixel, unless its d exceeds MaxErrThreshold = 0.3 (values in 0..1), in which case
the pixel waits; if a whole pass fills nothing, the threshold rises by 10 %.

The search is matrix work: sum G M (s - p)^2 = [G M, -2 G M p] @ [s^2, s] + sum G M p^2, one product for all pixels of a
skin that are outside each other's windows. Which those are follows from the order of the list, so that the result is
that of one pixel at a time. G is rounded to whole numbers (20 bits): every sum is then an integer that float64 holds
exactly, so that batch size and threads cannot change a single pixel.

What it must reproduce: windows smaller than the texture's element give garbage, larger ones its structure and, in the
end, verbatim copies.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bench.by_example.exemplars import ExemplarSystem
from bench.errors import BenchError, did_you_mean

__all__ = ["Growth", "Search", "TextureConfig", "TextureSynthesis", "gaussian_weights", "grow"]

WEIGHT_SCALE = 2**20
BLOCK_BYTES = 2**30
"""Largest table of candidates kept in memory; a larger one is rebuilt piece by piece for every search, which is slow."""
ANSWER_BYTES = 2**27
"""Largest matrix of distances of one picture."""
ORDERS = ("onion", "raster")

_Question = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Weights ``(B, K)`` and pixels ``(B, K, C)`` of windows to search for."""


@dataclass(frozen=True)
class TextureConfig:
    """Constants of the paper, under the paper's names.

    Attributes:
        window: side of the square neighbourhood, odd, in pixels.
        epsilon: ErrThreshold: candidates lie within ``(1 + epsilon)`` of the best.
        max_error_threshold: MaxErrThreshold, on values in 0..1.
        sigma_divisor: sigma of the Gaussian is ``window / sigma_divisor``.
        seed_size: side of the patch that the picture grows from.
        order: ``onion`` (the paper) or ``raster`` (scan lines, for comparison).
        batch: most pixels searched for in one matrix product; bounds memory, never changes the result.
    """

    window: int = 11
    epsilon: float = 0.1
    max_error_threshold: float = 0.3
    sigma_divisor: float = 6.4
    seed_size: int = 3
    order: str = "onion"
    batch: int = 256

    def __post_init__(self) -> None:
        if self.window < 3 or self.window % 2 == 0:
            raise ValueError(f"window must be odd and at least 3, not {self.window}")
        if self.order not in ORDERS:
            raise ValueError(f"order must be one of {', '.join(ORDERS)}, not {self.order!r}")
        if self.epsilon < 0 or self.max_error_threshold <= 0 or self.sigma_divisor <= 0:
            raise ValueError("epsilon must not be negative; max_error_threshold and sigma_divisor must be positive")
        if self.seed_size < 1 or self.batch < 1:
            raise ValueError("seed_size and batch must be at least 1")


@dataclass(frozen=True)
class Growth:
    """A grown picture.

    Attributes:
        picture: uint8 ``(H, W)`` or ``(H, W, 3)``.
        sources: ``(H, W, 2)`` row and column of the exemplar's pixel that each pixel was copied from, -1 where it was given.
        passes: passes over the frontier.
        threshold: MaxErrThreshold at the end (higher than at the start if nothing matched).
    """

    picture: NDArray[np.uint8]
    sources: NDArray[np.int64]
    passes: int
    threshold: float


def gaussian_weights(window: int, sigma: float) -> NDArray[np.float64]:
    """Gaussian of a square window, times 2^20 and rounded to whole numbers of at least 1; ``(window * window,)``.

    >>> gaussian_weights(3, 1.0)[:5].astype(int).tolist()
    [385750, 635993, 385750, 635993, 1048576]
    """
    axis = np.arange(window) - window // 2
    squared = axis[:, None] ** 2 + axis[None, :] ** 2
    weights: NDArray[np.float64] = np.maximum(np.rint(WEIGHT_SCALE * np.exp(-squared / (2 * sigma**2))), 1.0).ravel()
    return weights


def _uniform(seed: int, tag: int, position: NDArray[np.int64]) -> NDArray[np.float64]:
    """Uniform draws in [0, 1) that depend on (seed, tag, position) alone: the splitmix64 finaliser as a counter hash."""
    with np.errstate(over="ignore"):
        z = position.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed % 2**64)
        for extra in (np.uint64(tag), np.uint64(0)):
            z = z + np.uint64(0x9E3779B97F4A7C15) * (extra + np.uint64(1))
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


class Search:
    """All whole windows of an exemplar, ready to be compared with partly known windows.

    Args:
        exemplar: uint8 ``(H, W, C)``.
        window: side in pixels.
        usable: ``(H, W)``; a window with an unusable pixel is no candidate.

    Attributes:
        centres: ``(N,)`` flat position of each candidate's middle in the exemplar.

    Raises:
        BenchError: no whole window fits.
    """

    def __init__(self, exemplar: NDArray[np.uint8], window: int, usable: NDArray[np.bool_] | None = None) -> None:
        height, width, channels = exemplar.shape
        if min(height, width) < window:
            raise BenchError(
                f"the exemplar is {height}x{width}, smaller than the window of {window}x{window}: "
                "give a larger exemplar or a smaller window"
            )
        corners = np.arange((height - window + 1) * width).reshape(-1, width)[:, : width - window + 1].ravel()
        offsets = (np.arange(window)[:, None] * width + np.arange(window)).ravel()
        if usable is not None:
            corners = corners[usable.ravel()[corners[:, None] + offsets].all(axis=1)]
            if len(corners) == 0:
                raise BenchError(f"no {window}x{window} window of the exemplar is wholly known: give a smaller window or more of it")
        self.centres = corners + (window // 2) * (width + 1)
        self._pixels = exemplar.reshape(-1, channels).astype(np.float64)
        self._corners, self._offsets, self._channels = corners, offsets, channels
        rows = (channels + 1) * len(offsets)
        per_block = max(1, BLOCK_BYTES // (8 * rows))
        self._blocks = [slice(i, min(i + per_block, len(corners))) for i in range(0, len(corners), per_block)]
        self._table = self._build(self._blocks[0]) if len(self._blocks) == 1 else None

    def _build(self, block: slice) -> NDArray[np.float64]:
        """``[sum_c s^2, s_1, ..., s_C]`` of the candidates: ``((C + 1) K, n)``."""
        values = self._pixels[self._corners[block] + self._offsets[:, None]]  # (K, n, C)
        return np.concatenate([(values**2).sum(axis=2), *np.moveaxis(values, 2, 0)])

    def distances(self, weights: NDArray[np.float64], pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weighted squared differences, whole numbers in float64.

        Args:
            weights: ``(B, K)`` whole numbers, 0 where a pixel is unknown.
            pixels: ``(B, K, C)`` values 0..255 (anything where the weight is 0).

        Returns:
            ``(B, N)`` sums over window and channels.
        """
        weighted = weights[:, :, None] * pixels  # (B, K, C)
        left = np.concatenate([weights, -2.0 * weighted.transpose(0, 2, 1).reshape(len(weights), -1)], axis=1)  # (B, (1 + C) K)
        own = np.einsum("bkc,bkc->b", weighted, pixels)
        if self._table is not None:
            found = left @ self._table
        else:
            found = np.concatenate([left @ self._build(block) for block in self._blocks], axis=1)
        found += own[:, None]
        return found


def _levels(order: NDArray[np.int64], shape: tuple[int, int], radius: int) -> Iterator[NDArray[np.int64]]:
    """Splits a list of flat positions, to be filled one after another, into groups that may be filled at once.

    A pixel's group is one more than the highest group of the earlier pixels inside its window; so it sees all the
    earlier ones of its window and none of the later ones, as in the list.
    """
    height, width = shape
    level_map = np.zeros((height + 2 * radius, width + 2 * radius), dtype=np.int32)
    side = 2 * radius + 1
    levels = np.empty(len(order), dtype=np.int32)
    rows, columns = np.divmod(order, width)
    for i, (y, x) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        level = int(level_map[y : y + side, x : x + side].max()) + 1
        level_map[y + radius, x + radius] = levels[i] = level
    by_level = np.argsort(levels, kind="stable")
    yield from np.split(order[by_level], np.flatnonzero(np.diff(levels[by_level])) + 1)


def _frontier(known: NDArray[np.bool_], radius: int, ties: NDArray[np.float64]) -> NDArray[np.int64]:
    """Unfilled pixels that touch a filled one, those with most filled pixels in their window first."""
    height, width = known.shape
    padded = np.pad(known, 1)
    touching = np.zeros_like(known)
    for dy in range(3):
        for dx in range(3):
            touching |= padded[dy : dy + height, dx : dx + width]
    positions = np.flatnonzero(touching & ~known)
    sums = np.pad(known, ((radius + 1, radius), (radius + 1, radius))).astype(np.int64).cumsum(axis=0).cumsum(axis=1)
    side = 2 * radius + 1
    counts = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return positions[np.lexsort((ties[positions], -counts.ravel()[positions]))]


def grow(
    exemplar: NDArray[np.uint8],
    canvases: Sequence[NDArray[np.uint8]],
    known: Sequence[NDArray[np.bool_]],
    seeds: Sequence[int],
    config: TextureConfig,
    *,
    usable: NDArray[np.bool_] | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Growth]:
    """Fills the unknown pixels of each canvas with pixels of ``exemplar``.

    Several pictures grow side by side, so that their searches share one matrix product; each comes out as if alone.

    Args:
        exemplar: uint8 ``(h, w, C)``.
        canvases: uint8 ``(H, W, C)`` each; unknown pixels are ignored.
        known: ``(H, W)`` each.
        seeds: one each; the draws for pixel (y, x) depend on (seed, pass, y, x) alone.
        config: constants.
        usable: ``(h, w)`` pixels of the exemplar that may be matched and copied; None for all.
        progress: called with the number of pixels that were filled.
    """
    with threadpool_limits(1, "blas"):  # many small products: a second thread costs more in waiting than it computes
        return _grow_together(Search(exemplar, config.window, usable), exemplar, canvases, known, seeds, config, progress)


def _grow_together(
    search: Search,
    exemplar: NDArray[np.uint8],
    canvases: Sequence[NDArray[np.uint8]],
    known: Sequence[NDArray[np.bool_]],
    seeds: Sequence[int],
    config: TextureConfig,
    progress: Callable[[int], None] | None,
) -> list[Growth]:
    """Asks every growing picture for its next windows, searches for all of them at once, hands back the distances."""
    growing = [_grow_one(exemplar, *each, config, search, progress) for each in zip(canvases, known, seeds, strict=True)]
    done: dict[int, Growth] = {}
    questions: dict[int, _Question] = {}
    answers: dict[int, NDArray[np.float64] | None] = dict.fromkeys(range(len(growing)))
    while answers:
        questions.clear()
        for i, answer in answers.items():
            try:
                questions[i] = next(growing[i]) if answer is None else growing[i].send(answer)
            except StopIteration as end:
                done[i] = end.value
        if not questions:
            break
        weights, pixels = (np.concatenate(parts) for parts in zip(*questions.values(), strict=True))
        ends = np.cumsum([len(weights) for weights, _ in questions.values()])
        answers = dict(zip(questions, np.split(search.distances(weights, pixels), ends[:-1]), strict=True))
    return [done[i] for i in range(len(growing))]


def _grow_one(
    exemplar: NDArray[np.uint8],
    canvas: NDArray[np.uint8],
    known: NDArray[np.bool_],
    seed: int,
    config: TextureConfig,
    search: Search,
    progress: Callable[[int], None] | None,
) -> Generator[_Question, NDArray[np.float64], Growth]:
    """One picture, as a coroutine: yields the windows to search for, is sent their distances to all candidates."""
    height, width, channels = canvas.shape
    radius = config.window // 2
    gaussian = gaussian_weights(config.window, config.window / config.sigma_divisor)
    filled = known.copy()
    frame = ((radius, radius), (radius, radius))
    mask = np.pad(filled, frame).astype(np.float64).ravel()  # unknown beyond the canvas
    values = np.pad(np.where(filled[:, :, None], canvas, 0), (*frame, (0, 0))).astype(np.float64).reshape(-1, channels)
    stride = width + 2 * radius
    offsets = (np.arange(config.window)[:, None] * stride + np.arange(config.window)).ravel()
    sources = np.full(height * width, -1, dtype=np.int64)
    source_pixels = exemplar.reshape(-1, channels)
    everywhere = np.arange(height * width)
    threshold, passes = config.max_error_threshold * 255.0**2 * channels, 0
    batch = max(1, min(config.batch, ANSWER_BYTES // (8 * len(search.centres))))
    while not filled.all():
        passes += 1
        draws, ties = _uniform(seed, 2 * passes, everywhere), _uniform(seed, 2 * passes + 1, everywhere)
        todo = _frontier(filled, radius, ties) if config.order == "onion" else np.flatnonzero(~filled)
        advanced = False
        for level in _levels(todo, (height, width), radius):
            for start in range(0, len(level), batch):
                pixels = level[start : start + batch]
                rows, columns = np.divmod(pixels, width)
                places = (rows * stride + columns)[:, None] + offsets  # (B, K)
                weights = gaussian * mask[places]
                distance = yield weights, values[places]  # (B, N)
                limit = distance.min(axis=1) * (1.0 + config.epsilon)
                of, candidate = np.nonzero(distance <= limit[:, None])
                counts = np.bincount(of, minlength=len(pixels))
                chosen = candidate[np.cumsum(counts) - counts + (draws[pixels] * counts).astype(np.int64)]
                good = distance[np.arange(len(pixels)), chosen] <= threshold * weights.sum(axis=1)
                pixels, origin, middle = pixels[good], search.centres[chosen[good]], places[good, len(offsets) // 2]
                values[middle] = source_pixels[origin]
                mask[middle] = 1.0
                sources[pixels] = origin
                filled.ravel()[pixels] = True
                advanced |= len(pixels) > 0
                if progress is not None:
                    progress(len(pixels))
        if not advanced:
            threshold *= 1.1
    inside = slice(radius, -radius)
    picture = values.reshape(-1, stride, channels)[inside, inside].astype(np.uint8)
    where = np.where(sources[:, None] < 0, -1, np.stack(np.divmod(sources, exemplar.shape[1]), axis=1))
    return Growth(picture, where.reshape(height, width, 2), passes, threshold / (255.0**2 * channels))


def _as_colour(picture: NDArray[np.uint8], what: str) -> NDArray[np.uint8]:
    """``(H, W, C)`` with C in {1, 3}."""
    if picture.dtype != np.uint8:
        raise BenchError(f"{what} is {picture.dtype}; texture synthesis works on 8-bit pictures (uint8): rescale it to 0..255 first")
    if picture.ndim == 2:
        return picture[:, :, None]
    if picture.ndim != 3 or picture.shape[2] not in (1, 3):
        raise BenchError(f"{what} has shape {picture.shape}; allowed are (H, W) and (H, W, 3): drop an alpha channel first")
    return picture


class TextureSynthesis(ExemplarSystem[TextureConfig]):
    """Efros & Leung as a :class:`bench.contracts.Synthesizer`. Nothing is trained and nothing stored but the config."""

    Config: ClassVar[type[TextureConfig]] = TextureConfig

    def synthesize(
        self,
        exemplar: NDArray[np.uint8],
        size: tuple[int, int],
        seed: int,
        *,
        initial: NDArray[np.uint8] | None = None,
        mask: NDArray[np.bool_] | None = None,
        **options: Any,
    ) -> NDArray[np.uint8]:
        """A picture of ``size`` like ``exemplar``; see :meth:`growths`."""
        return self.growths(exemplar, size, [seed], initial=initial, mask=mask, **options)[0].picture

    def growths(
        self,
        exemplar: NDArray[np.uint8],
        size: tuple[int, int],
        seeds: Sequence[int],
        *,
        initial: NDArray[np.uint8] | None = None,
        mask: NDArray[np.bool_] | None = None,
        exemplar_mask: NDArray[np.bool_] | None = None,
        progress: Callable[[int], None] | None = None,
        **options: Any,
    ) -> list[Growth]:
        """A picture for each seed, and where each of its pixels came from; cheaper together than one by one.

        Args:
            exemplar: uint8 ``(h, w)`` or ``(h, w, 3)``. A constant one gives a constant picture.
            size: (height, width) of the result.
            seeds: any whole numbers.
            initial: known content: of ``size`` (with ``mask``: hole filling), or smaller, then it is placed in the
                middle (extrapolation).
            mask: of ``initial``'s shape, True where it is known; all True returns ``initial`` as it is.
            exemplar_mask: True where the exemplar may be used; to fill a hole from its own surroundings, give the
                picture as exemplar and its mask here too.
            progress: called with the number of pixels that were filled.
            **options: fields of :class:`TextureConfig` that replace the system's own.

        Raises:
            BenchError: a picture of another kind, sizes that do not fit, an exemplar smaller than the window, a mask
                without a known pixel, an unknown option.
        """
        fields = {field.name for field in dataclasses.fields(TextureConfig)}
        for name in options:
            if name not in fields:
                raise BenchError(f"texture_synthesis: unknown option {name!r}.{did_you_mean(name, fields)}")
        try:
            config = dataclasses.replace(self.config, **options)
        except ValueError as error:
            raise BenchError(f"texture_synthesis: {error}") from error
        sample = _as_colour(np.asarray(exemplar), "the exemplar")
        if exemplar_mask is not None and exemplar_mask.shape != sample.shape[:2]:
            raise BenchError(f"exemplar_mask is {exemplar_mask.shape}, the exemplar {sample.shape[:2]}: they must be equal")
        canvases, known = zip(*(_canvas(sample, size, seed, initial, mask, config) for seed in seeds), strict=True)
        grown = grow(sample, canvases, known, seeds, config, usable=exemplar_mask, progress=progress)
        return [dataclasses.replace(one, picture=one.picture[:, :, 0]) for one in grown] if np.ndim(exemplar) == 2 else grown


def _canvas(
    sample: NDArray[np.uint8],
    size: tuple[int, int],
    seed: int,
    initial: NDArray[np.uint8] | None,
    mask: NDArray[np.bool_] | None,
    config: TextureConfig,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The picture to start from and what of it is known."""
    height, width = size
    if height < 1 or width < 1:
        raise BenchError(f"size must be at least 1x1, not {height}x{width}")
    if initial is None:
        if mask is not None:
            raise BenchError("a mask without initial: give the picture that the mask belongs to")
        side = min(config.seed_size, height, width, *sample.shape[:2])
        limits = np.array(sample.shape[:2]) - side + 1
        y, x = (_uniform(seed, 0, np.arange(2)) * limits).astype(int)
        content, content_known = sample[y : y + side, x : x + side], np.ones((side, side), dtype=bool)
    else:
        content = _as_colour(np.asarray(initial), "initial")
        if content.shape[2] != sample.shape[2]:
            raise BenchError(f"initial has {content.shape[2]} channels, the exemplar {sample.shape[2]}: they must be equal")
        if content.shape[0] > height or content.shape[1] > width:
            raise BenchError(f"initial is {content.shape[0]}x{content.shape[1]}, larger than the size asked for, {height}x{width}")
        if mask is None and content.shape[:2] == (height, width):
            raise BenchError("initial fills the whole size and has no mask: nothing to synthesise; give a mask or a larger size")
        content_known = np.ones(content.shape[:2], dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
        if content_known.shape != content.shape[:2]:
            raise BenchError(f"mask is {content_known.shape}, initial {content.shape[:2]}: they must be equal")
        if not content_known.any():
            raise BenchError(
                "the mask knows no pixel, so there is nothing to grow from: leave initial and mask out to start from a seed patch"
            )
    canvas, known = np.zeros((height, width, sample.shape[2]), dtype=np.uint8), np.zeros((height, width), dtype=bool)
    corner = config.order == "raster" and initial is None
    top, left = (0, 0) if corner else ((height - content.shape[0]) // 2, (width - content.shape[1]) // 2)
    canvas[top : top + content.shape[0], left : left + content.shape[1]] = content
    known[top : top + content.shape[0], left : left + content.shape[1]] = content_known
    return canvas, known
