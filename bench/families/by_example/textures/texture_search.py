"""The search of texture synthesis (Efros & Leung 1999): of all windows of an exemplar, those like the known part of
another.

    d(c) = sum_k G_k M_k (s_ck - p_k)^2,     G a Gaussian, M = 1 where the pixel p_k is known

Most of G lies in the middle of the window. The sum over that part alone, d'(c) <= d(c), is one matrix product for many
windows: [G M, -2 G M p] @ [s^2, s] + sum G M p^2, taken over the rows (or columns) that hold a known pixel. The
candidate of least d' has a d that is no smaller than d_min; so every candidate of the paper's rule, d <= (1 + epsilon)
d_min, has a d' of at most (1 + epsilon) times it. Few windows do, and their d is computed exactly: G is rounded to
whole numbers (20 bits), so that every sum is a whole number that float64 holds.

The product is taken in float32, at twice float64's speed: with n terms and u = 2^-24 it is off by at most
gamma (2 sqrt(sum G M p^2) + sqrt(d'))^2, gamma = n u / (1 - n u) (Higham 2002, eq. 3.5, and Cauchy-Schwarz), which the
limit of d' leaves room for. What is found is therefore what real arithmetic finds, whatever the batch, the BLAS and its
threads.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError

__all__ = ["Found", "Search", "gaussian_weights"]

WEIGHT_SCALE = 2**20
BLOCK_BYTES = 2**30
"""Largest table of candidates kept in memory; a larger one is rebuilt piece by piece for every search, which is
slow."""
ANSWER_BYTES = 2**26
"""Largest matrix of distances of one product."""
CORE = 0.9
"""Share of the Gaussian that the middle of the window holds."""
PAIR_VALUES = 2**16
"""Most pixels gathered at once for exact distances."""
SMALL = 24
"""Fewer windows than this are not worth sorting by the side that they are known on."""
THREAD_WORK = 100_000_000
"""Fewer floating point operations than this are not worth a thread: it waits longer than it computes."""

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]


class Found(NamedTuple):
    """What :meth:`Search.pick` found: for each window a candidate, how many there were, and whether it is near
    enough."""

    chosen: Ints
    counts: Ints
    good: NDArray[np.bool_]


class _Part(NamedTuple):
    """Windows whose known pixels lie in the rows ``first`` to ``last - 1`` of the window (or columns, in the other
    layout)."""

    rows: Ints
    layout: int
    first: int
    last: int


def gaussian_weights(window: int, sigma: float) -> Floats:
    """Gaussian of a square window, times 2^20 and rounded to whole numbers of at least 1; ``(window * window,)``.

    >>> gaussian_weights(3, 1.0)[:5].astype(int).tolist()
    [385750, 635993, 385750, 635993, 1048576]
    """
    axis = np.arange(window) - window // 2
    squared = axis[:, None] ** 2 + axis[None, :] ** 2
    weights: Floats = np.maximum(np.rint(WEIGHT_SCALE * np.exp(-squared / (2 * sigma**2))), 1.0).ravel()
    return weights


class Search:
    """All whole windows of an exemplar, ready to be compared with partly known windows.

    Args:
        exemplar: uint8 ``(H, W, C)``.
        window: side in pixels.
        usable: ``(H, W)``; a window with an unusable pixel is no candidate.
        pool: shares the products; None for this thread alone.
        threads: workers of the pool. Neither ever changes the result.
        sigma: of the Gaussian, in pixels; from it follows the part of the window for the products, which never changes
            the result.
        tables: make the tables of the products, without which every one of them is slow.

    Attributes:
        centres: ``(N,)`` flat position of each candidate's middle in the exemplar.
        operations: floating point operations of the products so far (two for each multiply-add), whatever the threads.

    Raises:
        BenchError: no whole window fits.
    """

    def __init__(
        self,
        exemplar: NDArray[np.uint8],
        window: int,
        usable: NDArray[np.bool_] | None = None,
        pool: ThreadPoolExecutor | None = None,
        threads: int = 1,
        *,
        sigma: float,
        tables: bool = True,
    ) -> None:
        height, width, channels = exemplar.shape
        if min(height, width) < window:
            raise BenchError(
                f"the exemplar is {height}x{width}, smaller than the window of {window}x{window}: "
                "give a larger exemplar or a smaller window"
            )
        corners = np.arange((height - window + 1) * width).reshape(-1, width)[:, : width - window + 1].ravel()
        offsets = np.arange(window)[:, None] * width + np.arange(window)
        if usable is not None:
            corners = corners[usable.ravel()[corners[:, None] + offsets.ravel()].all(axis=1)]
            if len(corners) == 0:
                raise BenchError(
                    f"no {window}x{window} window of the exemplar is wholly known: give a smaller window or more of it"
                )
        self.centres: Ints = corners + (window // 2) * (width + 1)
        self._width, self._channels, self._corners = width, channels, corners
        self._pool, self._threads = pool, threads if pool is not None else 1
        self._offsets = offsets.ravel()
        places = _middle(window, sigma)
        self._core, self._places = len(places), (places.ravel(), places.T.ravel())  # row by row, and column by column
        self._pixels = exemplar.reshape(-1, channels)
        self._shift = np.rint(
            self._pixels.mean(axis=0)
        )  # smaller numbers, smaller bounds; whole, so that sums stay exact
        self._views = np.lib.stride_tricks.sliding_window_view(exemplar, (window, window), axis=(0, 1))
        per_candidate = 4 * (channels + 1) * self._core**2
        step = max(1, BLOCK_BYTES // per_candidate)
        self._blocks = [slice(i, min(i + step, len(corners))) for i in range(0, len(corners), step)]
        layouts = (
            0 if len(self._blocks) > 1 or not tables else 2 if 2 * per_candidate * len(corners) <= BLOCK_BYTES else 1
        )
        self._tables = [self._build(self._blocks[0], layout) for layout in range(layouts)]
        self._exact: Floats | None = None
        self.operations = 0

    def _build(self, block: slice, layout: int = 0) -> Singles:
        """``[sum_c s^2, s_1, ..., s_C]`` for each pixel of the window's middle, of the candidates: ``(core^2 (1 + C),
        n)``."""
        return self._table(self._corners[block] + self._offsets[self._places[layout], None], np.float32)

    def _table(self, places: Ints, dtype: Any) -> NDArray[Any]:
        table = np.empty((len(places), 1 + self._channels, places.shape[1]), dtype)
        for channel in range(self._channels):
            table[:, 1 + channel] = (self._pixels[:, channel] - self._shift[channel]).astype(dtype)[places]
        np.einsum("kcn,kcn->kn", table[:, 1:], table[:, 1:], out=table[:, 0])
        return table.reshape(-1, places.shape[1])

    def distances(self, weights: NDArray[Any], pixels: NDArray[Any]) -> Floats:
        """Exact weighted squared differences to all candidates, whole numbers in float64.

        Args:
            weights: ``(B, K)`` whole numbers, 0 where a pixel is unknown.
            pixels: ``(B, K, C)`` values 0..255 (anything where the weight is 0).

        Returns:
            ``(B, N)`` sums over window and channels.
        """
        left, own = self._left(weights.astype(np.float64), pixels.astype(np.float64))
        if len(self._blocks) == 1 and self._exact is None:
            self._exact = self._table(self._corners + self._offsets[:, None], np.float64)
        if self._exact is not None:
            found = left @ self._exact
        else:
            places = (self._corners[block] + self._offsets[:, None] for block in self._blocks)
            found = np.concatenate([left @ self._table(place, np.float64) for place in places], axis=1)
        found += own[:, None]
        return np.asarray(found)

    def _left(self, weights: NDArray[Any], pixels: NDArray[Any]) -> tuple[NDArray[Any], Floats]:
        """``[G M, -2 G M p]`` as ``(B, K (1 + C))`` with the pixels relative to the shift, and ``sum G M p^2``
        exactly."""
        centred = pixels - self._shift.astype(pixels.dtype)
        left = np.empty((*weights.shape, 1 + self._channels), weights.dtype)
        left[:, :, 0] = weights
        np.multiply(weights[:, :, None], centred, out=left[:, :, 1:])
        own = np.einsum("bkc,bkc->b", left[:, :, 1:], centred, dtype=np.float64)
        left[:, :, 1:] *= -2
        return left.reshape(len(weights), -1), own

    def pick(self, weights: Singles, pixels: Singles, draws: Floats, epsilon: float, largest: Floats) -> Found:
        """For each window a random one of the candidates with ``d <= (1 + epsilon) d_min``, in the exemplar's order.

        Args:
            weights: ``(B, K)`` whole numbers, 0 where a pixel is unknown.
            pixels: ``(B, K, C)`` whole numbers (anything where the weight is 0).
            draws: ``(B,)`` in [0, 1): which of the candidates.
            epsilon: ErrThreshold.
            largest: ``(B,)`` ``d`` of a candidate that is still good enough.
        """
        tasks = self._tasks(weights)
        self.operations += sum(self._work(task) for task in tasks)
        if len(tasks) == 1 or self._pool is None:
            answers = [self._pick(weights, pixels, draws, epsilon, largest, task) for task in tasks]
        else:
            answers = list(
                self._pool.map(lambda task: self._pick(weights, pixels, draws, epsilon, largest, task), tasks)
            )
        order = np.concatenate([part.rows for task in tasks for part in task])
        return Found(*(_put(order, np.concatenate(columns)) for columns in zip(*answers, strict=True)))

    def _tasks(self, weights: Singles) -> list[list[_Part]]:
        """Shares the windows out, one list of parts for each thread at a time.

        A part is known on one side of the window's middle, so that the other side needs no work.
        """
        side, count = self._core, len(weights)
        known = weights[:, self._places[0]].reshape(count, side, side) > 0
        spans = []  # for each layout: first and one past the last row of the middle with a known pixel
        for layout in range(max(1, len(self._tables))):
            some: NDArray[np.bool_] = np.asarray(known.any(axis=2 - layout))
            spans.append((some.argmax(axis=1), side - some[:, ::-1].argmax(axis=1)))
        groups = [(0, np.arange(count))]
        if count >= SMALL and len(spans) == 2:
            (top, bottom), (left, right) = spans
            choice = np.argmin([bottom, side - top, right, side - left], axis=0)
            groups = [(kind // 2, (choice == kind).nonzero()[0]) for kind in range(4)]
        limit = max(1, ANSWER_BYTES // (4 * len(self.centres)))
        parts = []
        for layout, rows in groups:
            first, last = spans[layout]
            for start in range(0, len(rows), limit):
                part = rows[start : start + limit]
                parts.append(_Part(part, layout, int(first[part].min()), int(last[part].max())))
        return _shares(parts, min(self._threads, count, self._work(parts) // THREAD_WORK), limit)

    def _work(self, parts: list[_Part]) -> int:
        """Floating point operations of the product."""
        per_row = 2 * self._core * (1 + self._channels) * len(self.centres)
        return int(sum(len(part.rows) * (part.last - part.first) for part in parts) * per_row)

    def _product(self, weights: Singles, pixels: Singles, task: list[_Part]) -> tuple[Singles, Floats, Floats]:
        """``d'`` less ``sum G M p^2``: ``(B, N)``; that sum: ``(B,)``; the bound's gamma for each: ``(B,)``."""
        rest = np.empty((sum(len(part.rows) for part in task), len(self.centres)), np.float32)
        owns, gammas = [], []
        stride, start, side = self._core * (1 + self._channels), 0, self._core
        for rows, layout, first, last in task:
            at = (rows[:, None], self._places[layout][first * side : last * side])
            left, own = self._left(weights[at], pixels[at])
            part, out = slice(first * stride, last * stride), rest[start : start + len(rows)]
            if self._tables:
                np.matmul(left, self._tables[layout][part], out=out)
            else:
                for block in self._blocks:
                    out[:, block] = left @ self._build(block)[part]
            terms = left.shape[1] + 8  # the sum's own, and those of what is done to it afterwards
            gammas.append(np.full(len(rows), terms * 2.0**-24 / (1 - terms * 2.0**-24)))
            owns.append(own)
            start += len(rows)
        return rest, np.concatenate(owns), np.concatenate(gammas)

    def _pick(
        self, weights: Singles, pixels: Singles, draws: Floats, epsilon: float, largest: Floats, task: list[_Part]
    ) -> Found:
        """:meth:`pick` for the windows of one task, in the order of its parts."""
        rest, own, gamma = self._product(weights, pixels, task)
        order = np.concatenate([part.rows for part in task])
        weights, pixels, draws, largest = weights[order], pixels[order], draws[order], largest[order]
        count, width = rest.shape
        highest = (1.0 + epsilon) * self._pairs(weights, pixels, np.arange(count), rest.argmin(axis=1))
        limit = highest + 2 * gamma * (4 * own + highest) - own
        near = (rest <= limit.astype(np.float32)[:, None]).ravel().nonzero()[0]
        rows = near // width
        candidates = near - rows * width
        crowded = np.bincount(rows, minlength=count) > max(64, width // 8)  # so many that the whole row costs less
        if crowded.any():
            kept = ~crowded[rows]
            rows, candidates = rows[kept], candidates[kept]
        values = self._pairs(weights, pixels, rows, candidates)
        if crowded.any():
            rows, candidates, values = self._whole_rows(
                weights, pixels, crowded.nonzero()[0], epsilon, (rows, candidates, values)
            )
        counts = np.bincount(rows, minlength=count)
        best = np.minimum.reduceat(values, np.cumsum(counts) - counts)
        inside = (values <= (best * (1.0 + epsilon))[rows]).nonzero()[0]
        counts = np.bincount(rows[inside], minlength=count)
        at = inside[np.cumsum(counts) - counts + (draws * counts).astype(np.int64)]
        return Found(candidates[at], counts, values[at] <= largest)

    def _whole_rows(
        self, weights: Singles, pixels: Singles, whole: Ints, epsilon: float, others: tuple[NDArray[Any], ...]
    ) -> tuple[NDArray[Any], ...]:
        """(Row, candidate, distance) of the windows ``whole``, by rows among the others."""
        distance = self.distances(weights[whole], pixels[whole])
        at, candidates = np.nonzero(distance <= (distance.min(axis=1) * (1.0 + epsilon))[:, None])
        added = (whole[at], candidates, distance[at, candidates])
        rows, *rest = (np.concatenate(pair) for pair in zip(others, added, strict=True))
        order = np.argsort(rows, kind="stable")
        return (rows[order], *(column[order] for column in rest))

    def _pairs(self, weights: Singles, pixels: Singles, rows: Ints, candidates: Ints) -> Floats:
        """Exact distance of each (window, candidate)."""
        found = np.empty(len(rows))
        step = max(1, PAIR_VALUES // pixels[0].size)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            corners, row = self._corners[candidates[part]], rows[part]
            windows = self._views[corners // self._width, corners % self._width].reshape(len(row), self._channels, -1)
            square = windows - pixels[row].swapaxes(1, 2)  # differences of bytes and their squares are exact in float32
            square *= square
            found[part] = np.vecdot(square.astype(np.float64), weights[row, None].astype(np.float64)).sum(axis=1)
        return found


def _middle(window: int, sigma: float) -> Ints:
    """Window pixels of the smallest square around the middle that holds ``CORE`` of the Gaussian; ``(core, core)``."""
    weights, places = (
        gaussian_weights(window, sigma).reshape(window, window),
        np.arange(window**2).reshape(window, window),
    )
    inner = (slice(margin, window - margin) for margin in range(window // 2, -1, -1))
    return next(places[part, part] for part in inner if weights[part, part].sum() >= CORE * weights.sum())


def _shares(parts: list[_Part], threads: int, limit: int) -> list[list[_Part]]:
    """The parts, dealt out to threads in pieces of about equal work and at most ``limit`` windows."""
    if threads < 2 and sum(len(part.rows) for part in parts) <= limit:
        return [parts]
    if threads > 1 and len(parts) == 1:
        rows, *rest = parts[0]
        parts = [_Part(piece, *rest) for piece in np.array_split(rows, threads)]
    tasks: list[list[_Part]] = [[] for _ in range(max(1, threads))]
    work = [0] * len(tasks)
    for part in sorted(parts, key=lambda part: -len(part.rows) * (part.last - part.first)):
        least = int(np.argmin(work))
        tasks[least].append(part)
        work[least] += len(part.rows) * (part.last - part.first)
    shared = []
    for task in tasks:
        piece: list[_Part] = []
        for part in task:
            if piece and sum(len(one.rows) for one in piece) + len(part.rows) > limit:
                shared.append(piece)
                piece = []
            piece.append(part)
        if piece:
            shared.append(piece)
    return shared


def _put(order: Ints, values: NDArray[Any]) -> NDArray[Any]:
    """The array whose elements ``order`` are ``values``."""
    placed = np.empty_like(values)
    placed[order] = values
    return placed
