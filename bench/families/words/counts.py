"""N-gram counts of all orders in sorted integer arrays: no dictionary, no tuples.

A gram of order m is the pair (index of its first m - 1 tokens among the grams of order m - 1, last token), packed into
one int64 ``prefix * V + token``. Sorted, these keys form a trie: the continuations of a context are neighbours, a
look-up is a binary search, and any vocabulary and any order fit as long as (distinct grams) * V < 2**63.

Counting sorts once for as many orders as fit into 64 bits (all of them for letters up to order 8): the windows of the
text are packed into one integer each and sorted in place, and the shorter grams are the runs of equal leading bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError

__all__ = ["GramCounts"]

Ints = NDArray[np.int64]
Counts = NDArray[np.int32]
"""int32 halves the memory; a text of more than 2**31 tokens is refused."""
Packed = NDArray[np.uint64]


def _pack(ids: NDArray[Any] | None, tokens: NDArray[Any], start: int, orders: int, bits: int) -> Packed:
    """For each place the id of the gram of order ``start`` that begins there and the ``orders`` tokens after it; 0 past
    the end."""
    length = len(tokens) - start
    packed = np.zeros(length, dtype=np.uint64) if ids is None else ids[:length].astype(np.uint64)
    for offset in range(orders):
        packed <<= np.uint64(bits)
        reach = max(0, length - offset)
        np.bitwise_or(packed[:reach], tokens[start + offset :], out=packed[:reach])
    return packed


def _runs(ranked: Packed) -> tuple[Packed, Counts]:
    """The distinct values of a sorted array, and how often each stands there."""
    new = np.ones(len(ranked), dtype=np.bool_)
    np.not_equal(ranked[1:], ranked[:-1], out=new[1:])
    starts = np.flatnonzero(new)
    return ranked[starts], np.diff(starts, append=len(ranked)).astype(np.int32)


def _levels(values: Packed, counts: Counts, orders: int, bits: int, size: int) -> Iterator[tuple[Ints, Counts]]:
    """(keys, counts) of the orders that ``values`` hold, the highest first."""
    field, shift = np.uint64((1 << bits) - 1), np.uint64(bits)
    for left in range(orders, 0, -1):
        whole = (values & field) != 0  # False: the text ended before
        lower = values >> shift
        new = np.ones(len(lower), dtype=np.bool_)
        np.not_equal(lower[1:], lower[:-1], out=new[1:])
        starts = np.flatnonzero(new)
        parents = lower[starts]
        ranks = np.cumsum((parents & field) != 0) - 1 if left > 1 else parents.astype(np.int64)
        prefixes = np.repeat(ranks, np.diff(starts, append=len(lower)))[whole]
        keys = prefixes * size + ((values[whole] & field).astype(np.int64) - 1)
        yield keys, counts[whole]
        values, counts = parents, np.add.reduceat(counts, starts, dtype=np.int32) if len(starts) else counts


@dataclass(frozen=True)
class GramCounts:
    """Counts of the grams of orders 1 .. n of one token stream.

    Attributes:
        size: vocabulary size V; tokens are 0 .. V - 1.
        keys: for each order, sorted ``prefix index * V + last token`` of its distinct grams (the prefix of order 1 is
            0).
        counts: for each order, how often each gram occurs.
        continuations: for each order but the last, in how many distinct grams of the next order each gram is the
            suffix: the number of different tokens seen before it (Kneser & Ney 1995); empty if the grams were read and
                not counted.
    """

    size: int
    keys: list[Ints]
    counts: list[Counts]
    continuations: list[Counts]

    @property
    def order(self) -> int:
        """The highest order."""
        return len(self.keys)

    @classmethod
    def count(cls, tokens: NDArray[np.integer], size: int, order: int) -> GramCounts:
        """Count all grams of ``tokens`` up to ``order`` in O(T log T) time and about 40 bytes a token at the peak.

        Raises:
            BenchError: more tokens than an int32 counts, or more distinct grams than 64 bits tell apart.
        """
        if len(tokens) >= 1 << 31:
            raise BenchError(f"{len(tokens):,} tokens are too many to count at once: at most {(1 << 31) - 1:,}")
        bits = size.bit_length()
        shifted = (tokens + np.ones((), dtype=np.min_scalar_type(size))).astype(
            np.min_scalar_type(size)
        )  # 0 is past the end
        keys: list[Ints] = []
        counts: list[Counts] = []
        ids: Counts | None = None
        while len(keys) < order:
            start = len(keys)
            orders = min(order - start, (64 - (max(len(keys[-1]) - 1, 0).bit_length() if keys else 0)) // bits)
            if not orders:
                raise BenchError(
                    f"{len(keys[-1]):,} grams of order {start} over {size:,} tokens do not fit into 64 bits: lower "
                    "`order`"
                )
            packed = _pack(ids, shifted, start, orders, bits)
            packed.sort()
            values, times = _runs(packed)
            del packed
            block = list(_levels(values, times, orders, bits, size))[::-1]
            keys += [level[0] for level in block]
            counts += [level[1] for level in block]
            if len(keys) < order:  # the next block continues from the gram that begins at each place
                windows = _pack(ids, shifted, start, orders, bits)[: max(0, len(tokens) - len(keys) + 1)]
                ids = np.searchsorted(values[(values & np.uint64((1 << bits) - 1)) != 0], windows).astype(np.int32)
        found = cls(size, keys, counts, [])
        links: Ints = np.zeros(len(keys[0]) if keys else 0, dtype=np.int64)
        for m in range(2, order + 1):
            links = found.suffixes(m, links)
            found.continuations.append(np.bincount(links, minlength=len(keys[m - 2])).astype(np.int32))
        return found

    def contexts(self, m: int) -> int:
        """Number of contexts of order-``m`` grams: distinct grams of order ``m - 1``, 1 (the root) for m = 1."""
        return 1 if m == 1 else len(self.keys[m - 2])

    def prefixes(self, m: int) -> Ints:
        """Context index of each gram of order ``m``."""
        return self.keys[m - 1] // self.size

    def suffixes(self, m: int, shorter: Ints) -> Ints:
        """Index, among the grams of order ``m - 1``, of each order-``m`` gram without its first token.

        Args:
            m: order, at least 2.
            shorter: the same for order ``m - 1`` (zeros for order 1: the root).
        """
        prefixes = self.prefixes(m)
        return self.find(m - 1, shorter[prefixes], self.keys[m - 1] - prefixes * self.size)

    def find(self, m: int, contexts: Ints, tokens: Ints) -> Ints:
        """Index of the gram (context, token) of order ``m``, -1 where it was never seen or the context is -1."""
        table = self.keys[m - 1]
        if not len(table):
            return np.full(len(contexts), -1, dtype=np.int64)
        wanted = contexts * self.size + tokens
        places = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
        return np.where((table[places] == wanted) & (contexts >= 0), places, -1)

    def locate(self, tokens: Ints, order: int, depth: Ints | None = None) -> Iterator[tuple[Ints, Ints, Ints]]:
        """For m = 1 .. ``order``: (places, context index, gram index) of the tokens whose context of order m was seen;
        gram -1 = unseen.

        Args:
            tokens: ``(T,)`` ids.
            order: highest order wanted.
            depth: ``(T,)`` how many tokens up to and including this one a gram may span; by default all from the start.
        """
        if depth is None:
            depth = np.arange(1, len(tokens) + 1)
        places = np.arange(len(tokens))
        contexts = np.zeros(len(tokens), dtype=np.int64)
        for m in range(1, order + 1):
            grams = self.find(m, contexts, tokens[places])
            yield places, contexts, grams
            known = grams >= 0
            places, contexts = places[known] + 1, grams[known]
            if len(places) and places[-1] == len(tokens):
                places, contexts = places[:-1], contexts[:-1]
            inside = depth[places] > m
            if not inside.all():
                places, contexts = places[inside], contexts[inside]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """For an npz."""
        arrays: dict[str, NDArray[Any]] = {"shape": np.array([self.size, self.order])}
        for m, (keys, counts) in enumerate(zip(self.keys, self.counts, strict=True), 1):
            arrays |= {f"keys_{m}": keys, f"counts_{m}": counts.astype(np.uint32)}
        for m, continuations in enumerate(self.continuations, 1):
            arrays[f"continuations_{m}"] = continuations.astype(np.uint32)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> GramCounts:
        """The inverse of :meth:`to_arrays`."""
        size, order = (int(value) for value in arrays["shape"])
        return cls(
            size,
            [arrays[f"keys_{m}"] for m in range(1, order + 1)],
            [arrays[f"counts_{m}"].astype(np.int32) for m in range(1, order + 1)],
            [arrays[f"continuations_{m}"].astype(np.int32) for m in range(1, order) if f"continuations_{m}" in arrays],
        )
