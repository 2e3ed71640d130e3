"""Video loops (Schoedl et al. 2000, section 4.1): the cheapest loop of a given length, made of several jumps back.

A *primitive loop* is a jump back from i to j <= i: it shows the frames j..i, ``i - j + 1`` of them, and costs C(i ->
j). A *compound loop* is a set of primitive loops (one may occur several times) whose ranges hang together; it shows the
frames of all of them and costs the sum. Two steps, as in the paper:

*The table.* ``best[l, t]`` is the cheapest compound loop of length l that contains the primitive loop t. It is t alone,
or a loop with t of length ``l'`` and a loop of length ``l - l'`` with some u whose range overlaps t's; a set that hangs
together can always be cut so. With ``reach[l, t] = min over u that overlap t of best[l, u]`` a row costs O(l P) instead
of O(l P^2).

*The schedule.* One order of the jumps that can be played. Every primitive loop is a circle of steps ``j -> j + 1 -> ...
-> i -> j``, and overlapping circles share a frame, so the steps of a compound loop form a connected graph in which as
many steps enter a frame as leave it: an Eulerian circuit uses each step once. The paper's recursive scheduling finds
one such circuit, Hierholzer's algorithm any.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError

__all__ = ["Loop", "LoopTable", "Primitives", "best_single", "greedy_loop", "primitive_loops", "schedule"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Primitives:
    """Jumps back that loops are made of, cheapest for their length first.

    Attributes:
        sources, targets: states i and j <= i, ``(P,)``.
        costs: C(i -> j), ``(P,)``.
    """

    sources: Ints
    targets: Ints
    costs: Floats

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def lengths(self) -> Ints:
        """Frames that one round shows."""
        return self.sources - self.targets + 1

    def overlaps(self) -> NDArray[np.bool_]:
        """``(P, P)``: the ranges share a frame."""
        return (self.targets[:, None] <= self.sources) & (self.targets <= self.sources[:, None])


@dataclass(frozen=True)
class Loop:
    """A loop that can be played.

    Attributes:
        states: one round; after the last state comes the first again.
        cost: sum of the costs of its jumps.
        jumps: ``(i, j)`` of each jump, as often as it is taken.
    """

    states: Ints
    cost: float
    jumps: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.states)


def primitive_loops(costs: Floats, longest: int, count: int = 200, shortest: int = 2) -> Primitives:
    """The ``count`` jumps back with the least cost a frame, and the cheapest of every length.

    Args:
        costs: C ``(K, K)``, infinite where there is no jump.
        longest: no loop longer than this is asked for.
        count: candidates beside the cheapest of each length, which make sure that no single jump beats a compound loop.
        shortest: fewest frames of a primitive loop; one of a single frame would be a still picture.

    Raises:
        BenchError: no jump back of an allowed length.
    """
    sources, targets = np.nonzero(np.isfinite(costs))
    lengths = sources - targets + 1
    allowed = (lengths >= shortest) & (lengths <= longest)
    sources, targets, lengths = sources[allowed], targets[allowed], lengths[allowed]
    if len(sources) == 0:
        raise BenchError(
            f"no loop of {shortest} to {longest} frames: the clip is too short for it, or has no jump back"
        )
    values = costs[sources, targets]
    order = np.lexsort((targets, sources, values / lengths))
    by_length = np.lexsort((targets, sources, values, lengths))
    first = by_length[np.concatenate([[True], np.diff(lengths[by_length]) > 0])]
    chosen = order[np.isin(order, np.union1d(order[:count], first))]
    return Primitives(sources[chosen], targets[chosen], values[chosen])


class LoopTable:
    """The dynamic programming table over lengths and primitive loops, up to ``longest``; one table answers every
    length."""

    def __init__(self, primitives: Primitives, longest: int) -> None:
        self.primitives, self.longest = primitives, longest
        size = len(primitives)
        self.best = np.full((longest + 1, size), np.inf)
        self._split = np.zeros((longest + 1, size), dtype=np.int64)  # length of the part with t; 0: t alone
        reach = np.full((longest + 1, size), np.inf)
        self._other = np.zeros((longest + 1, size), dtype=np.int64)
        overlap, lengths = primitives.overlaps(), primitives.lengths
        for length in range(1, longest + 1):
            row = np.where(lengths == length, primitives.costs, np.inf)
            if length > 1:
                joined = self.best[1:length] + reach[length - 1 : 0 : -1]  # (length - 1, P)
                at = joined.argmin(axis=0)
                value = joined[at, np.arange(size)]
                self._split[length] = np.where(value < row, at + 1, 0)
                row = np.minimum(row, value)
            self.best[length] = row
            met = np.where(overlap, row[None, :], np.inf)  # (t, u)
            self._other[length] = met.argmin(axis=1)
            reach[length] = met.min(axis=1)

    def cost(self, length: int) -> float:
        """Cost of the cheapest loop of exactly this length; infinite if there is none."""
        return float(self.best[length].min())

    def members(self, length: int) -> list[int]:
        """The primitive loops of the cheapest loop of this length, as often as they occur."""
        found: list[int] = []
        todo = [(length, int(self.best[length].argmin()))]
        while todo:
            size, t = todo.pop()
            part = int(self._split[size, t])
            if part == 0:
                found.append(t)
            else:
                todo += [(part, t), (size - part, int(self._other[size - part, t]))]
        return sorted(found)

    def loop(self, length: int) -> Loop:
        """The cheapest loop of exactly this length, scheduled.

        Raises:
            BenchError: none is that long; the lengths nearby that have one are named.
        """
        if not 1 <= length <= self.longest or not np.isfinite(self.cost(length)):
            near = [n for n in range(2, self.longest + 1) if np.isfinite(self.cost(n))]
            near = sorted(near, key=lambda n: abs(n - length))[:3]
            raise BenchError(
                f"no loop of {length} frames; possible are, for example, {', '.join(map(str, sorted(near))) or 'none'}"
            )
        return _loop(self.primitives, self.members(length))

    def cheapest(self, low: int, high: int, slack: float = 0.05) -> Loop:
        """The loop of ``low`` to ``high`` frames with the least cost a frame; of those within ``slack`` of it the
        shortest.

        Raises:
            BenchError: there is none.
        """
        lengths = np.arange(low, min(high, self.longest) + 1)
        rates = self.best[lengths].min(axis=1) / lengths if len(lengths) else np.array([np.inf])
        if not np.isfinite(rates).any():
            raise BenchError(f"no loop of {low} to {high} frames")
        return self.loop(int(lengths[(rates <= rates.min() * (1 + slack)).argmax()]))


def _loop(primitives: Primitives, members: list[int]) -> Loop:
    jumps = tuple((int(primitives.sources[t]), int(primitives.targets[t])) for t in members)
    return Loop(schedule(jumps), float(primitives.costs[members].sum()), jumps)


def schedule(jumps: tuple[tuple[int, int], ...]) -> Ints:
    """States of one round that takes every jump exactly once and otherwise plays on; starts at the lowest state.

    >>> schedule(((5, 0), (9, 5))).tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 5]

    Raises:
        BenchError: the ranges of the jumps do not hang together.
    """
    ways: dict[int, list[int]] = defaultdict(list)
    for i, j in jumps:
        for state in range(j, i):
            ways[state].append(state + 1)
        ways[i].append(j)
    for state in ways:
        ways[state].sort()  # taken from the end: plays on before it jumps, the longest way round last
    total = sum(i - j + 1 for i, j in jumps)
    path, circuit = [min(j for _, j in jumps)], []
    while path:
        if ways[path[-1]]:
            path.append(ways[path[-1]].pop())
        else:
            circuit.append(path.pop())
    if len(circuit) != total + 1:
        raise BenchError("the jumps of a loop must have ranges that hang together")
    return np.array(circuit[::-1][:-1], dtype=np.int64)


def best_single(primitives: Primitives, length: int) -> float:
    """Cost of the cheapest single jump whose loop has exactly this length; infinite if there is none."""
    fitting = primitives.costs[primitives.lengths == length]
    return float(fitting.min()) if len(fitting) else float("inf")


def greedy_loop(primitives: Primitives, length: int, tries: int = 20_000) -> float:
    """Cost of the loop of exactly this length that takes, again and again, the jump with the least cost a frame that
    still fits.

    A jump fits if its range overlaps those taken and its loop is no longer than what is missing. Where the choice leads
    to a length that cannot be completed, the last one is undone. The yardstick for the table.

    Returns:
        The cost; infinite if there is none (or none within ``tries`` choices).
    """
    lengths, overlap = primitives.lengths, primitives.overlaps()
    left = tries

    def grow(missing: int, touched: NDArray[np.bool_], cost: float) -> float:
        nonlocal left
        if missing == 0:
            return cost
        for t in np.flatnonzero(touched & (lengths <= missing)):  # primitives come cheapest a frame first
            left -= 1
            if left < 0:
                break
            found = grow(missing - int(lengths[t]), touched | overlap[t], cost + float(primitives.costs[t]))
            if np.isfinite(found):
                return found
        return float("inf")

    for t in range(len(primitives)):
        if lengths[t] <= length:
            found = grow(length - int(lengths[t]), overlap[t].copy(), float(primitives.costs[t]))
            if np.isfinite(found) or left < 0:
                return found
    return float("inf")
