"""N-gram counts of all orders in sorted integer arrays: no dictionary, no tuples.

A gram of order m is the pair (index of its first m - 1 tokens among the grams of order m - 1, last token), packed into
one int64 ``prefix * V + token``. Sorted, these keys form a trie: the continuations of a context are neighbours, a
look-up is a binary search, and any vocabulary and any order fit as long as (distinct grams) * V < 2**63.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["GramCounts"]

Ints = NDArray[np.int64]

_DENSE = 1 << 22
"""Up to this many possible keys, counting uses a direct table instead of a sort."""


def _distinct(keys: Ints, bound: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Sorted distinct keys, their counts, the position of one occurrence of each, and each key's index among the distinct."""
    if bound <= _DENSE:
        table = np.bincount(keys, minlength=bound)
        distinct = np.flatnonzero(table)
        index = np.zeros(bound, dtype=np.int64)
        index[distinct] = np.arange(len(distinct))
        inverse = index[keys]
        first = np.empty(len(distinct), dtype=np.int64)
        first[inverse[::-1]] = np.arange(len(keys))[::-1]
        return distinct, table[distinct], first, inverse
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    new = np.empty(len(keys), dtype=np.bool_)
    new[:1] = True
    np.not_equal(ranked[1:], ranked[:-1], out=new[1:])
    starts = np.flatnonzero(new)
    inverse = np.empty(len(keys), dtype=np.int64)
    inverse[order] = np.cumsum(new) - 1
    return ranked[starts], np.diff(np.append(starts, len(keys))), order[starts], inverse


@dataclass(frozen=True)
class GramCounts:
    """Counts of the grams of orders 1 .. n of one token stream.

    Attributes:
        size: vocabulary size V; tokens are 0 .. V - 1.
        keys: for each order, sorted ``prefix index * V + last token`` of its distinct grams (the prefix of order 1 is 0).
        counts: for each order, how often each gram occurs.
        continuations: for each order but the last, in how many distinct grams of the next order each gram is the suffix:
            the number of different tokens seen before it (Kneser & Ney 1995).
    """

    size: int
    keys: list[Ints]
    counts: list[Ints]
    continuations: list[Ints]

    @property
    def order(self) -> int:
        """The highest order."""
        return len(self.keys)

    @classmethod
    def count(cls, tokens: Ints, size: int, order: int) -> GramCounts:
        """Count all grams of ``tokens`` up to ``order`` in O(order * T log T)."""
        all_keys, all_counts, continuations = [], [], []
        ids: Ints = np.zeros(len(tokens) + 1, dtype=np.int64)  # index of the gram that ends before each position; order 0: the root
        contexts = 1
        for m in range(1, order + 1):
            tail = tokens[m - 1 :]
            keys = ids[: len(tail)] * size + tail
            distinct, counts, first, inverse = _distinct(keys, contexts * size)
            if m > 1:  # ids[i] is the (m-1)-gram that starts at i: the suffix of the gram starting at i is ids[i + 1]
                continuations.append(np.bincount(ids[first + 1], minlength=contexts))
            all_keys.append(distinct)
            all_counts.append(counts)
            ids, contexts = inverse, len(distinct)
        return cls(size, all_keys, all_counts, continuations)

    def contexts(self, m: int) -> int:
        """Number of contexts of order-``m`` grams: distinct grams of order ``m - 1``, 1 (the root) for m = 1."""
        return 1 if m == 1 else len(self.keys[m - 2])

    def prefixes(self, m: int) -> Ints:
        """Context index of each gram of order ``m``."""
        return self.keys[m - 1] // self.size

    def find(self, m: int, contexts: Ints, tokens: Ints) -> Ints:
        """Index of the gram (context, token) of order ``m``, -1 where it was never seen or the context is -1."""
        table = self.keys[m - 1]
        if not len(table):
            return np.full(len(contexts), -1, dtype=np.int64)
        wanted = contexts * self.size + tokens
        places = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
        return np.where((table[places] == wanted) & (contexts >= 0), places, -1)

    def locate(self, tokens: Ints, order: int, depth: Ints | None = None) -> Iterator[tuple[Ints, Ints]]:
        """For m = 1 .. ``order``: (context index, gram index) of the order-m gram that ends at each token, -1 = unseen.

        Args:
            tokens: ``(T,)`` ids.
            order: highest order wanted.
            depth: ``(T,)`` how many tokens up to and including this one a gram may span; by default all from the start.
        """
        if depth is None:
            depth = np.arange(1, len(tokens) + 1)
        contexts = np.zeros(len(tokens), dtype=np.int64)
        for m in range(1, order + 1):
            grams = self.find(m, contexts, tokens)
            yield contexts, grams
            contexts = np.full(len(tokens), -1, dtype=np.int64)
            contexts[1:] = grams[:-1]
            contexts[depth <= m] = -1

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
            [arrays[f"counts_{m}"].astype(np.int64) for m in range(1, order + 1)],
            [arrays[f"continuations_{m}"].astype(np.int64) for m in range(1, order)],
        )
