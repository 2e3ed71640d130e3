"""Memorisation: are the samples nearer to the training set than unseen data is, and which stretches of text are copied
verbatim?

The baseline is held-out data: real pictures have near neighbours in the training set too (compare Meehan et al. 2020,
"A non-parametric test to detect data-copying in generative models"). The ratio is 0 for a copier and near 1 for an
honest generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.metrics.hashing import hash_windows
from bench.metrics.neighbours import nearest

__all__ = [
    "NearestTrain",
    "TrainingText",
    "copies_beyond_doubt",
    "nearest_train",
    "verbatim_copy_counts",
    "verbatim_copy_rate",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class NearestTrain:
    """Distances of samples and of held-out items to their nearest training items.

    Attributes:
        value: mean distance of the samples over mean distance of the held-out items.
        distances: ``(N,)`` Euclidean, in the units of the items.
        indices: ``(N,)`` training item nearest to each sample.
        heldout_distances: ``(M,)``.
    """

    value: float
    distances: Floats
    indices: Ints
    heldout_distances: Floats


def nearest_train(samples: NDArray[Any], train: NDArray[Any], heldout: NDArray[Any]) -> NearestTrain:
    """Nearest training neighbours of samples, with held-out items as the baseline.

    Pass pictures ``(N, H, W, C)`` uint8 (pixel space) or features ``(N, D)``. Ask for samples in the held-out set's
    class proportions: simple classes (ones) have near neighbours by nature. ``heldout`` may be a random part of the
    test set. The mean sees no disguised copy and no small share of copies: :mod:`bench.metrics.data_copying` tests for
    those.

    >>> rng = np.random.default_rng(0)
    >>> train, heldout, honest = (rng.normal(size=(400, 8)) for _ in range(3))
    >>> nearest_train(train[:200], train, heldout).value
    0.0
    >>> 0.9 < nearest_train(honest, train, heldout).value < 1.1
    True
    """
    distances, indices = nearest(samples, train)
    baseline = nearest(heldout, train)[0][:, 0]
    if baseline.mean() == 0.0:
        raise BenchError(
            "nearest_train_ratio: every held-out item lies in the training set, so there is no baseline; check the "
            "splits"
        )
    return NearestTrain(
        value=float(distances.mean() / baseline.mean()),
        distances=distances[:, 0],
        indices=indices[:, 0],
        heldout_distances=baseline,
    )


def _symbols(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


class TrainingText:
    """A training text prepared for look-ups of verbatim windows; keeps the sorted hashes of each window length asked
    for."""

    def __init__(self, text: str) -> None:
        """``text``: the whole training text; 5 M characters take about 60 MB for each window length."""
        self.symbols = _symbols(text)
        self._indices: dict[int, tuple[NDArray[np.uint64], NDArray[np.int32]]] = {}

    def _index(self, n: int) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
        if n not in self._indices:
            hashes = hash_windows(self.symbols, n)
            order = np.argsort(hashes)
            self._indices[n] = (hashes[order], order.astype(np.int32))
        return self._indices[n]

    def copied(self, text: str, n: int) -> NDArray[np.bool_]:
        """For each length-``n`` window of ``text``, whether it stands verbatim in the training text (hash look-up, then
        compared).

        >>> TrainingText("to be or not to be").copied("not two be", 3).tolist()
        [True, True, True, False, False, False, True, True]
        """
        symbols = _symbols(text)
        hashes, positions = self._index(n)
        windows = hash_windows(symbols, n)
        found = np.zeros(len(windows), dtype=np.bool_)
        if not len(windows) or not len(hashes):
            return found
        places = np.searchsorted(hashes, windows)
        pending = np.flatnonzero(hashes[np.minimum(places, len(hashes) - 1)] == windows)
        offsets = np.arange(n)
        while len(pending):  # a second round happens only if two different windows share a hash
            here = positions[places[pending]]
            equal = np.ones(len(pending), dtype=np.bool_)
            for offset in offsets:
                equal &= self.symbols[here + offset] == symbols[pending + offset]
            found[pending[equal]] = True
            pending = pending[~equal]
            places[pending] += 1
            inside = places[pending] < len(hashes)
            pending = pending[inside]
            pending = pending[hashes[places[pending]] == windows[pending]]
        return found


def verbatim_copy_counts(texts: Sequence[str], train_text: str | TrainingText, n: int) -> tuple[Ints, Ints]:
    """For each text the number of its length-``n`` windows found in the training text, and its number of windows.

    Feed both to :func:`bench.stats.intervals.bootstrap_ratio_ci`: windows of one text overlap, texts are the
    independent items.
    """
    index = train_text if isinstance(train_text, TrainingText) else TrainingText(train_text)
    copied = [index.copied(text, n) for text in texts]
    return np.array([int(hits.sum()) for hits in copied], dtype=np.int64), np.array(
        [len(hits) for hits in copied], dtype=np.int64
    )


def verbatim_copy_rate(texts: Sequence[str], train_text: str | TrainingText, n: int) -> float:
    """Share of all length-``n`` character windows of ``texts`` that stand verbatim in ``train_text``.

    >>> verbatim_copy_rate(["not to be"], "to be or not to be", 5)
    1.0
    >>> verbatim_copy_rate(["or to be"], "to be or not to be", 5)
    0.5

    Raises:
        BenchError: no text is as long as the window.
    """
    copied, windows = verbatim_copy_counts(texts, train_text, n)
    if not windows.sum():
        raise BenchError(
            f"verbatim_copy_rate: no sample holds {n} characters; sample longer texts or use a shorter window"
        )
    return float(copied.sum() / windows.sum())


def copies_beyond_doubt(
    rate: float, interval: tuple[float, float], heldout: float, heldout_interval: tuple[float, float]
) -> bool:
    """Whether a text generator copies: at least one window in ten, and five times as many as in text that nobody
    copied.

    >>> copies_beyond_doubt(0.9, (0.8, 1.0), 0.01, (0.005, 0.02))
    True
    >>> copies_beyond_doubt(0.02, (0.01, 0.03), 0.01, (0.005, 0.02))
    False
    """
    return bool(rate >= interval[0] > max(0.1, 5 * max(heldout, heldout_interval[1])))
