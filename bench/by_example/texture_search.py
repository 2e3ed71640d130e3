"""The search of texture synthesis (Efros & Leung 1999): of all windows of an exemplar, those like the known part of another.

    d(c) = sum_k G_k M_k (s_ck - p_k)^2,     G a Gaussian, M = 1 where the pixel p_k is known

is one matrix product for many windows: [G M, -2 G M p] @ [s^2, s] + sum G M p^2. It is linear in M, so that windows can be asked
for early, all at once, and what becomes known of them later is added (:meth:`Search.ask`, then :meth:`Search.pick`).

The product is taken in float32, at twice float64's speed, over the window rows (or columns) that hold a known pixel; with n terms
and u = 2^-24 it is off by at most gamma (2 sqrt(sum G M p^2) + sqrt(d))^2, gamma = n u / (1 - n u) (Higham 2002, eq. 3.5, and
Cauchy-Schwarz). Whatever is not decided beyond that bound is computed again exactly: G is rounded to whole numbers (20 bits), so
that every sum is a whole number that float64 holds. What is found is therefore what real arithmetic finds, whatever the batch, the
BLAS and its threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError

__all__ = ["Answers", "Found", "Search", "gaussian_weights"]

WEIGHT_SCALE = 2**20
BLOCK_BYTES = 2**30
"""Largest table of candidates kept in memory; a larger one is rebuilt piece by piece for every search, which is slow."""
ANSWER_BYTES = 2**27
"""Largest matrix of distances kept."""
PAIR_VALUES = 2**22
"""Most pixels gathered at once for exact distances."""
SMALL = 24
"""Fewer windows than this are not worth sorting by the side that they are known on."""
FEWEST = 8
"""Fewer windows than this are not worth a thread."""

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]


class Found(NamedTuple):
    """What :meth:`Search.pick` found: for each window a candidate, how many there were, and whether it is near enough."""

    chosen: Ints
    counts: Ints
    good: NDArray[np.bool_]


@dataclass(frozen=True)
class Answers:
    """Windows that were asked for, with their distances to all candidates as far as they were known then.

    Attributes:
        weights: ``(B, K)`` of the pixels known when they were asked for.
        rest: ``(B, N)`` distances less ``sum G M p^2``, in an order of their own.
        position: ``(B,)`` each window's row of ``rest``.
        own: ``(B,)`` that sum.
        terms: ``(B,)`` how many products were added up.
    """

    weights: Singles
    rest: Singles
    position: Ints
    own: Floats
    terms: Ints


class _Part(NamedTuple):
    """Windows whose known pixels lie in the rows ``first`` to ``last - 1`` of the window (or columns, in the other layout)."""

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
        tables: make the tables of the products, without which every one of them is slow.

    Attributes:
        centres: ``(N,)`` flat position of each candidate's middle in the exemplar.
        most: windows that may be asked for at once.
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
                raise BenchError(f"no {window}x{window} window of the exemplar is wholly known: give a smaller window or more of it")
        self.centres: Ints = corners + (window // 2) * (width + 1)
        self._window, self._channels, self._corners = window, channels, corners
        self._pool, self._threads = pool, threads if pool is not None else 1
        self._offsets = offsets.ravel()
        self._turn = np.arange(window**2).reshape(window, window).T.ravel()  # window pixels column by column
        self._pixels = exemplar.reshape(-1, channels)
        self._shift = np.rint(self._pixels.mean(axis=0))  # smaller numbers, smaller bounds; whole, so that sums stay exact
        per_candidate = 4 * (channels + 1) * window**2
        step = max(1, BLOCK_BYTES // per_candidate)
        self._blocks = [slice(i, min(i + step, len(corners))) for i in range(0, len(corners), step)]
        layouts = 0 if len(self._blocks) > 1 or not tables else 2 if 2 * per_candidate * len(corners) <= BLOCK_BYTES else 1
        self._tables = [self._build(self._blocks[0], layout, 0, window) for layout in range(layouts)]
        self._exact: Floats | None = None
        self.most = max(1, ANSWER_BYTES // (4 * len(corners)))
        self.operations = 0

    def _build(self, block: slice, layout: int, first: int, last: int) -> Singles:
        """``[sum_c s^2, s_1, ..., s_C]`` for each window pixel in these rows (or columns), of the candidates: ``(K (1 + C), n)``."""
        offsets = self._offsets[self._turn] if layout else self._offsets
        rows = offsets[first * self._window : last * self._window]
        return self._table(self._corners[block] + rows[:, None], np.float32)

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
        """``[G M, -2 G M p]`` as ``(B, K (1 + C))`` with the pixels relative to the shift, and ``sum G M p^2`` exactly."""
        centred = pixels - self._shift.astype(pixels.dtype)
        left = np.empty((*weights.shape, 1 + self._channels), weights.dtype)
        left[:, :, 0] = weights
        np.multiply(weights[:, :, None], centred, out=left[:, :, 1:])
        own = np.einsum("bkc,bkc->b", left[:, :, 1:], centred, dtype=np.float64)
        left[:, :, 1:] *= -2
        return left.reshape(len(weights), -1), own

    def ask(self, weights: Singles, pixels: Singles) -> Answers:
        """Begins the search for windows of which more may become known before :meth:`pick`.

        Args:
            weights: ``(B, K)`` whole numbers, 0 where a pixel is unknown; ``B`` at most ``most``.
            pixels: ``(B, K, C)`` whole numbers (anything where the weight is 0).
        """
        parts = self._parts(weights)
        order = np.concatenate([part.rows for part in parts])
        answers = Answers(
            weights=weights,
            rest=np.empty((len(order), len(self.centres)), np.float32),
            position=_put(order, np.arange(len(order))),
            own=np.empty(len(order)),
            terms=np.empty(len(order), np.int64),
        )
        ends = np.cumsum([len(part.rows) for part in parts])

        def work(part: _Part, end: int) -> None:
            _, answers.own[part.rows] = self._product(weights[part.rows], pixels[part.rows], part, answers.rest[end - len(part.rows) : end])
            answers.terms[part.rows] = self._terms(part)

        self._run(work, parts, ends.tolist())
        return answers

    def _run(self, work: Callable[..., None], *arguments: Sequence[Any]) -> None:
        if self._pool is None or len(arguments[0]) < 2:
            for given in zip(*arguments, strict=True):
                work(*given)
        else:
            for _ in self._pool.map(work, *arguments):
                pass

    def _terms(self, part: _Part) -> int:
        return int((part.last - part.first) * self._window * (1 + self._channels))

    def _spans(self, known: NDArray[np.bool_]) -> list[tuple[Ints, Ints]]:
        """For each layout, first and one past the last row (column) of each window with a known pixel; ``known`` is ``(B, w, w)``."""
        spans = []
        for layout in range(max(1, len(self._tables))):
            some: NDArray[np.bool_] = np.asarray(known.any(axis=2 - layout))
            spans.append((some.argmax(axis=1), self._window - some[:, ::-1].argmax(axis=1)))
        return spans

    def _parts(self, weights: Singles) -> list[_Part]:
        """Shares the windows out by the side that they are known on, so that the other side needs no work; large parts in pieces."""
        side, count = self._window, len(weights)
        spans = self._spans(weights.reshape(count, side, side) > 0)
        groups = [(0, np.arange(count))]
        if count >= SMALL and len(spans) == 2:
            (top, bottom), (left, right) = spans
            choice = np.argmin([bottom, side - top, right, side - left], axis=0)
            groups = [(kind // 2, np.flatnonzero(choice == kind)) for kind in range(4)]
        parts = []
        for layout, rows in groups:
            if len(rows):
                first, last = spans[layout]
                span = int(first[rows].min()), int(last[rows].max())
                self.operations += 2 * len(rows) * (span[1] - span[0]) * side * (1 + self._channels) * len(self.centres)
                pieces = min(self._threads, -(-len(rows) // FEWEST))
                parts += [_Part(piece, layout, *span) for piece in np.array_split(rows, pieces)]
        return parts

    def _product(self, weights: Singles, pixels: Singles, part: _Part, out: Singles | None = None) -> tuple[Singles, Floats]:
        """``d`` less ``sum G M p^2`` over the part's rows of the window, ``(B, N)``, and that sum, ``(B,)``."""
        if part.layout:  # column by column
            weights, pixels = weights[:, self._turn], pixels[:, self._turn]
        some = slice(part.first * self._window, part.last * self._window)
        left, own = self._left(weights[:, some], pixels[:, some])
        if out is None:
            out = np.empty((len(weights), len(self.centres)), np.float32)
        if self._tables:
            stride = self._window * (1 + self._channels)
            np.matmul(left, self._tables[part.layout][part.first * stride : part.last * stride], out=out)
        else:
            for block in self._blocks:
                out[:, block] = left @ self._build(block, *part[1:])
        return out, own

    def _later(self, weights: Singles) -> list[_Part]:
        """Shares out what became known later: mostly one row or one column of the window, beside the pixel itself."""
        side, count = self._window, len(weights)
        known = weights.reshape(count, side, side) != 0
        changed = known.any(axis=(1, 2)).nonzero()[0]
        spans = [(first[changed], last[changed]) for first, last in self._spans(known)]
        layouts = np.argmin([last - first for first, last in spans], axis=0)
        parts = []
        for layout, (first, last) in enumerate(spans):
            mine = (layouts == layout).nonzero()[0]
            single = mine[(last - first)[mine] == 1]
            for row in np.unique(first[single]).tolist():
                parts.append(_Part(changed[single[first[single] == row]], layout, row, row + 1))
            wide = mine[(last - first)[mine] > 1]
            if len(wide):
                parts.append(_Part(changed[wide], layout, int(first[wide].min()), int(last[wide].max())))
        self.operations += sum(2 * len(part.rows) * self._terms(part) * len(self.centres) for part in parts)
        return parts

    def pick(
        self, answers: Answers, asked: Ints, weights: Singles, pixels: Singles, draws: Floats, epsilon: float, largest: Floats
    ) -> Found:
        """For each window a random one of the candidates with ``d <= (1 + epsilon) d_min``, in the exemplar's order.

        Args:
            answers: of :meth:`ask`.
            asked: ``(B,)`` which of the windows asked for.
            weights: ``(B, K)`` as known now: whole numbers, 0 where a pixel is unknown.
            pixels: ``(B, K, C)`` whole numbers (anything where the weight is 0).
            draws: ``(B,)`` in [0, 1): which of the candidates.
            epsilon: ErrThreshold.
            largest: ``(B,)`` ``d`` of a candidate that is still good enough.
        """
        later = weights - answers.weights[asked]
        parts = self._later(later)
        if self._pool is None or len(asked) < 2 * FEWEST:
            shares = [np.arange(len(asked))]
        else:
            shares = np.array_split(np.arange(len(asked)), self._threads)
        found = Found(np.empty(len(asked), np.int64), np.empty(len(asked), np.int64), np.empty(len(asked), bool))

        def work(share: Ints) -> None:
            rows = asked[share]
            rest, own, terms = answers.rest[answers.position[rows]], answers.own[rows], answers.terms[rows]
            for part in parts:
                mine = part.rows[(part.rows >= share[0]) & (part.rows <= share[-1])]
                if len(mine):
                    product, more = self._product(later[mine], pixels[mine], part)
                    rest[mine - share[0]] += product
                    own[mine - share[0]] += more
                    terms[mine - share[0]] += self._terms(part)
            answer = self._choose(rest, own, terms, weights[share], pixels[share], draws[share], epsilon, largest[share])
            for whole, some in zip(found, answer, strict=True):
                whole[share] = some

        self._run(work, shares)
        return found

    def _choose(
        self,
        rest: Singles,
        own: Floats,
        terms: Ints,
        weights: Singles,
        pixels: Singles,
        draws: Floats,
        epsilon: float,
        largest: Floats,
    ) -> Found:
        """:meth:`pick` from the product."""
        terms = terms + 8  # what is done to the sum afterwards
        gamma = terms * 2.0**-24 / (1 - terms * 2.0**-24)
        count, width = rest.shape
        least = rest.min(axis=1) + own
        highest = (least + 8 * gamma * own) / (1 - 2 * gamma)  # of the least distance, as the bound has it
        bound = 2 * gamma * (4 * own + (1 + epsilon) * highest)
        near = (rest <= ((1 + epsilon) * highest + bound - own).astype(np.float32)[:, None]).ravel().nonzero()[0]
        rows = near // width
        values = rest.ravel()[near] + own[rows]
        open_ = (values <= (highest + bound)[rows]) | (values >= ((1 + epsilon) * (least - bound) - bound)[rows])
        candidates = near - rows * width
        whole = np.bincount(rows[open_], minlength=count) > max(64, width // 32)  # so many ties that the whole row costs less
        if whole.any():
            kept = ~whole[rows]
            rows, candidates, values, open_ = rows[kept], candidates[kept], values[kept], open_[kept]
        values[open_] = self._pairs(weights, pixels, rows[open_], candidates[open_])
        if whole.any():
            given = (rows, candidates, values, open_)
            rows, candidates, values, open_ = self._whole_rows(weights, pixels, whole.nonzero()[0], epsilon, given)
        counts = np.bincount(rows, minlength=count)
        limit = np.minimum.reduceat(np.where(open_, values, np.inf), np.cumsum(counts) - counts) * (1.0 + epsilon)
        inside = (~open_ | (values <= limit[rows])).nonzero()[0]
        counts = np.bincount(rows[inside], minlength=count)
        at = inside[np.cumsum(counts) - counts + (draws * counts).astype(np.int64)]
        chosen, distance = candidates[at], values[at]
        unclear = (~open_[at] & (np.abs(distance - largest) <= bound)).nonzero()[0]
        distance[unclear] = self._pairs(weights, pixels, unclear, chosen[unclear])
        return Found(chosen, counts, distance <= largest)

    def _whole_rows(
        self, weights: Singles, pixels: Singles, whole: Ints, epsilon: float, others: tuple[NDArray[Any], ...]
    ) -> tuple[NDArray[Any], ...]:
        """Candidates (row, candidate, distance, distance is exact) of the windows ``whole``, by rows among the others."""
        distance = self.distances(weights[whole], pixels[whole])
        at, candidates = np.nonzero(distance <= (distance.min(axis=1) * (1.0 + epsilon))[:, None])
        added = (whole[at], candidates, distance[at, candidates], np.ones(len(at), bool))
        rows, *rest = (np.concatenate(pair) for pair in zip(others, added, strict=True))
        order = np.argsort(rows, kind="stable")
        return (rows[order], *(column[order] for column in rest))

    def _pairs(self, weights: Singles, pixels: Singles, rows: Ints, candidates: Ints) -> Floats:
        """Exact distance of each (window, candidate)."""
        found = np.empty(len(rows))
        step = max(1, PAIR_VALUES // pixels[0].size)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            windows = self._pixels[self._corners[candidates[part], None] + self._offsets]  # (n, K, C)
            difference = windows - pixels[rows[part]].astype(np.float64)
            found[part] = np.einsum("nk,nkc,nkc->n", weights[rows[part]].astype(np.float64), difference, difference)
        return found


def _put(order: Ints, values: NDArray[Any]) -> NDArray[Any]:
    """The array whose elements ``order`` are ``values``."""
    placed = np.empty_like(values)
    placed[order] = values
    return placed
