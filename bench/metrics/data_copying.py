"""Data copying: do generated items lie nearer to the training set than unseen real ones, and how many of them do?

Both questions are asked of distances to the nearest training item, in any space, and inside cells of that space: simple
items (the digit one) have near neighbours by nature, and would hide copies of the others.

- Meehan, Chaudhuri and Dasgupta 2020, "A non-parametric test to detect data-copying in generative models": the
  Mann-Whitney statistic of each cell, combined (their ``C_T``). It sees many items that are each a little too near.
- A share of near copies: items nearer than a low order statistic of the unseen ones. It sees a few plain copies among
  honest items, which leave the ranks nearly as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr
from scipy.stats import betabinom, rankdata

from bench.base.errors import BenchError
from bench.metrics.arrays import features_2d

__all__ = ["CopyTest", "NearCopies", "RankSum", "copy_test", "near_copies", "rank_sum"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEAST = 10
"""Fewest items of either kind in a cell for the normal approximation of its Mann-Whitney statistic."""


@dataclass(frozen=True)
class RankSum:
    """Two samples compared by ranks.

    Attributes:
        u: pairs in which the first item is the larger one; a tie counts one half (Mann and Whitney 1947).
        mean: of ``u`` if both samples are of one distribution.
        deviation: standard deviation of ``u`` in that case, ties allowed for; 0 if all values are equal.
        error: standard error of ``u`` whatever the distributions (DeLong, DeLong and Clarke-Pearson 1988, with an item
            added at either end).
    """

    u: float
    mean: float
    deviation: float
    error: float

    @property
    def z(self) -> float:
        """``u`` in standard deviations from its mean; below 0 if the first sample is the smaller one."""
        return (self.u - self.mean) / self.deviation if self.deviation else 0.0


def _values(values: ArrayLike) -> Floats:
    """``(N,)`` float64, finite."""
    return features_2d(np.asarray(values).reshape(-1, 1), "data copying")[:, 0]


def rank_sum(first: ArrayLike, second: ArrayLike) -> RankSum:
    """The Mann-Whitney statistic of two samples, ``(N,)`` and ``(M,)``.

    >>> found = rank_sum([1.0, 2.0, 3.0], [2.0, 4.0, 5.0])
    >>> found.u, found.mean, round(found.z, 3)
    (1.5, 4.5, -1.328)

    Raises:
        BenchError: an empty sample, or values that are not finite.
    """
    a, b = _values(first), _values(second)
    n, m = len(a), len(b)
    if not n or not m:
        raise BenchError(f"rank_sum: samples of {n} and {m} values cannot be compared")
    ranks = rankdata(np.concatenate([a, b]))
    _, ties = np.unique(ranks, return_counts=True)
    variance = (
        n * m / 12 * ((n + m + 1) - float((ties.astype(np.float64) ** 3 - ties).sum()) / max(1, (n + m) * (n + m - 1)))
    )
    # Each item's share of the other sample below it (Hanley's placements): ranks among all less ranks among its own.
    above, below = (ranks[:n] - rankdata(a)) / m, (ranks[n:] - rankdata(b)) / n
    # One item at either end is added to each: samples that lie wholly apart still leave something to know.
    padded = (np.concatenate([part, [0.0, 1.0]]) for part in (above, below))
    spread = sum(float(part.var(ddof=1)) / len(part) for part in padded)
    return RankSum(float(above.sum() * m), n * m / 2, math.sqrt(max(0.0, variance)), n * m * math.sqrt(spread))


def _cells(first: Ints, second: Ints) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    for cell in np.union1d(first, second):
        yield first == cell, second == cell


def _checked(samples: ArrayLike, heldout: ArrayLike, sample_cells: Ints, heldout_cells: Ints) -> tuple[Floats, Floats]:
    a, b = _values(samples), _values(heldout)
    if (len(a), len(b)) != (len(sample_cells), len(heldout_cells)):
        raise BenchError(
            f"data copying: {len(a)} and {len(b)} distances for {len(sample_cells)} and {len(heldout_cells)} cells"
        )
    return a, b


@dataclass(frozen=True)
class CopyTest:
    """The test of Meehan et al. over all cells.

    Attributes:
        c_t: their statistic: mean z of the cells, weighted by the held-out items in each; far below 0 if samples copy.
        z: ``c_t`` over its standard deviation if samples are as unseen data are: standard normal then.
        p_value: one-sided, of samples at least so near to the training set.
        ci95: of ``z``: how far other samples of the same generator would move it.
        cells: cells with enough items of both kinds.
    """

    c_t: float
    z: float
    p_value: float
    ci95: tuple[float, float]
    cells: int


def copy_test(
    samples: ArrayLike, heldout: ArrayLike, sample_cells: Ints, heldout_cells: Ints, *, least: int = LEAST
) -> CopyTest | None:
    """Are distances of samples to the training set smaller than those of unseen items, cell by cell?

    Args:
        samples: ``(N,)`` distances of generated items to their nearest training items.
        heldout: ``(M,)`` the same of unseen items.
        sample_cells: ``(N,)`` cell of each generated item (Meehan et al.: of a k-means of the training set).
        heldout_cells: ``(M,)``.
        least: a cell with fewer items of either kind is left out.

    Returns:
        None if no cell has enough items.

    >>> rng = np.random.default_rng(0)
    >>> distances, cells = rng.random((3, 400)), np.arange(400) % 4
    >>> copy_test(distances[0] * 0.8, distances[1], cells, cells).p_value < 0.001
    True
    >>> copy_test(distances[2], distances[1], cells, cells).p_value > 0.05
    True
    """
    a, b = _checked(samples, heldout, sample_cells, heldout_cells)
    found: list[tuple[int, RankSum]] = []
    for mine, theirs in _cells(sample_cells, heldout_cells):
        if mine.sum() >= least and theirs.sum() >= least:
            one = rank_sum(a[mine], b[theirs])
            if one.deviation:
                found.append((int(theirs.sum()), one))
    if not found:
        return None
    weights = np.array([size for size, _ in found], dtype=np.float64)
    weights /= weights.sum()
    c_t = float(weights @ [one.z for _, one in found])
    honest = float(np.linalg.norm(weights))
    z = c_t / honest
    error = float(np.linalg.norm(weights * [one.error / one.deviation for _, one in found])) / honest
    return CopyTest(c_t, z, float(ndtr(z)), (z - 1.96 * error, z + 1.96 * error), len(found))


@dataclass(frozen=True)
class NearCopies:
    """Samples that lie nearer to the training set than nearly all unseen items of their cell.

    Attributes:
        share: of the samples.
        expected: of an honest generator: about the quantile asked for, more where cells hold few unseen items.
        p_value: one-sided, exact, of at least so many.
        count: samples so near.
        n: samples that lie in a cell with unseen items; the others cannot be compared.
    """

    share: float
    expected: float
    p_value: float
    count: int
    n: int


def near_copies(
    samples: ArrayLike, heldout: ArrayLike, sample_cells: Ints, heldout_cells: Ints, *, quantile: float = 0.01
) -> NearCopies | None:
    """Count samples below the threshold of their cell: the order statistic of the cell's unseen items at ``quantile``.

    Of M unseen items the k-th smallest is the threshold. If the N samples of the cell are of the same distribution, the
    number below it is beta-binomial (N; k, M + 1 - k) whatever that distribution: the threshold's own error is in it,
    which a binomial test against the quantile would leave out. Cells are independent; their counts are added.

    Args:
        samples, heldout, sample_cells, heldout_cells: as of :func:`copy_test`.
        quantile: share of unseen items below the threshold; at least one item sets it.

    Returns:
        None if no sample lies in a cell with unseen items.

    >>> found = near_copies([0.0, 0.5], np.linspace(0.1, 1, 99), np.zeros(2, int), np.zeros(99, int))
    >>> found.share, found.expected, round(found.p_value, 4)
    (0.5, 0.01, 0.0198)
    """
    a, b = _checked(samples, heldout, sample_cells, heldout_cells)
    count, n, expected, chances = 0, 0, 0.0, np.ones(1)
    for mine, theirs in _cells(sample_cells, heldout_cells):
        size, unseen = int(mine.sum()), int(theirs.sum())
        if not size or not unseen:
            continue
        place = max(1, math.floor(quantile * (unseen + 1)))
        count += int((a[mine] < np.partition(b[theirs], place - 1)[place - 1]).sum())
        n += size
        expected += size * place / (unseen + 1)
        chances = np.convolve(chances, betabinom.pmf(np.arange(size + 1), size, place, unseen + 1 - place))
    if not n:
        return None
    return NearCopies(count / n, expected / n, min(1.0, float(chances[count:].sum())), count, n)
