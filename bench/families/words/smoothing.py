"""From counts to probabilities: maximum likelihood, add-k, Katz, stupid back-off, Kneser-Ney (Chen & Goodman 1998,
sections 2 and 3).

Every smoothing is brought into one of two forms. For the context c of order m - 1 and the token w

    p_m(w | c) = alpha_m(c w) + gamma_m(c) * lower(w)                          (interpolation)
    p_m(w | c) = alpha_m(c w) if c w was seen, else gamma_m(c) * lower(w)      (back-off)

where ``lower`` is ``p_{m-1}`` (Kneser-Ney; both back-offs), the uniform distribution over the vocabulary (add-k), or
nothing (maximum likelihood). A context that was never seen passes on to the lower order; so does the start of a text,
where the context is shorter than n - 1. The vocabulary holds the escape token, so that the escape's probability is part
of the sum to one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError, did_you_mean
from bench.families.words.counts import GramCounts

__all__ = [
    "ARPA",
    "BACKING_OFF",
    "SMOOTHINGS",
    "Level",
    "SmoothedModel",
    "Smoothing",
    "choose_k",
    "discounts",
    "katz_discounts",
]

Smoothing = Literal["mle", "add_k", "katz", "stupid_backoff", "kneser_ney", "modified_kneser_ney"]
SMOOTHINGS: tuple[str, ...] = get_args(Smoothing)
BACKING_OFF = ("katz", "stupid_backoff", "arpa")
ARPA = "arpa"
"""The one smoothing of a model that was read from an ARPA file."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_K_GRID = tuple(float(f"{10**exponent:.1e}") for exponent in np.arange(-5.0, 0.51, 0.25))


def discounts(counts: NDArray[np.integer], modified: bool) -> tuple[float, float, float]:
    """What is taken from counts of 1, 2 and >= 3, estimated from the counts of counts n1 .. n4.

    One discount ``n1 / (n1 + 2 n2)`` (Kneser & Ney 1995; Chen & Goodman 1998, eq. 18), or three of them (eq. 26). On
    texts too small to estimate them (no grams seen once, ...) 0.5, or 0.5, 1, 1.5.

    >>> discounts(np.array([1, 1, 1, 1, 2, 2, 3, 4]), modified=False)
    (0.5, 0.5, 0.5)
    """
    n1, n2, n3, n4 = (int(np.count_nonzero(counts == value)) for value in (1, 2, 3, 4))
    if not modified:
        single = n1 / (n1 + 2 * n2) if n1 and n2 else 0.5
        return single, single, single
    if not (n1 and n2 and n3):
        return 0.5, 1.0, 1.5
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return found if all(0 < d <= i for i, d in enumerate(found, 1)) else (0.5, 1.0, 1.5)


def katz_discounts(counts: NDArray[np.integer], largest: int = 5) -> Floats:
    """The factors d_0 .. d_k of Katz (1987, eq. 13): what a count of r keeps, by Good and Turing's estimate; counts
    above k keep all.

    With n_r grams seen r times and r* = (r + 1) n_{r+1} / n_r,

        d_r = (r* / r - q) / (1 - q),    q = (k + 1) n_{k+1} / n_1.

    Where the counts of counts are too few or too ragged for factors in (0, 1), as for letters at order one, every count
    of up to k gives up half a count instead (absolute discounting). d_0 is 0.

    >>> katz_discounts(np.repeat([1, 2, 3, 4, 5, 6], [64, 24, 12, 7, 5, 3])).round(3).tolist()
    [0.0, 0.652, 0.652, 0.691, 0.851, 0.61]
    """
    ranks = np.arange(1, largest + 1)
    seen = np.bincount(np.minimum(counts, largest + 2), minlength=largest + 3)[1 : largest + 2].astype(np.float64)
    kept = (ranks - 0.5) / ranks
    if seen.all():
        q = (largest + 1) * seen[largest] / seen[0]
        found = ((ranks + 1) * seen[1:] / seen[:-1] / ranks - q) / (1 - q) if q != 1 else kept
        if (found > 0).all() and (found < 1).all():
            kept = found
    return np.concatenate([[0.0], kept])


@dataclass(frozen=True)
class Level:
    """One order of a smoothed model.

    Attributes:
        alpha: own share of the probability, for each gram of this order; with back-off, all of it.
        gamma: weight of the lower distribution, for each context; 1 where a context has no continuation.
    """

    alpha: Floats
    gamma: Floats


class SmoothedModel:
    """All orders and smoothings over one set of counts; tables are made when first asked for.

    Args:
        counts: grams of all orders.
        k: add-k's k for each order.
        given: the tables of each order as an ARPA file gives them, instead of counts.
    """

    def __init__(self, counts: GramCounts, k: Sequence[float], given: Sequence[Level] | None = None) -> None:
        self.counts = counts
        self.k = tuple(k)
        self.given = given
        self._levels: dict[tuple[object, ...], Level] = {}
        self._starts: dict[int, Ints] = {}
        self._links: dict[int, Ints] = {}
        self._sums: dict[int, Floats] = {}

    @property
    def smoothings(self) -> tuple[str, ...]:
        """What this model can be asked for."""
        return SMOOTHINGS if self.given is None else (ARPA,)

    def check(self, n: int, smoothing: str) -> None:
        """Refuse what cannot be scored.

        Raises:
            BenchError: unknown smoothing, or an order that was not counted.
        """
        if smoothing not in self.smoothings:
            raise BenchError(f"unknown smoothing {smoothing!r}.{did_you_mean(smoothing, self.smoothings)}")
        if not 1 <= n <= self.counts.order:
            raise BenchError(
                f"n = {n} was not counted: use 1 to {self.counts.order}, or raise `model: {{order: ...}}` and "
                "train again"
            )

    def level(
        self, m: int, n: int, smoothing: str, discount: float | None = None, plain_unigram: bool = False
    ) -> Level:
        """Order ``m`` of the model of order ``n``: Kneser-Ney's lower orders use continuation counts (Chen & Goodman,
        eq. 17)."""
        if self.given is not None:
            return self.given[m - 1]
        kneser_ney = smoothing.endswith("kneser_ney")
        key = (m, kneser_ney and m < n, smoothing, discount, plain_unigram)
        if key not in self._levels:
            if kneser_ney:
                self._levels[key] = self._kneser_ney(m, n, smoothing, discount, plain_unigram)
            else:
                self._levels[key] = (
                    self._backing_off(m, smoothing) if smoothing in BACKING_OFF else self._direct(m, smoothing)
                )
        return self._levels[key]

    def links(self, m: int) -> Ints:
        """Index, among the grams of order ``m - 1``, of each order-``m`` gram without its first token; zeros (the root)
        for m = 1."""
        if m not in self._links:
            self._links[m] = (
                self.counts.suffixes(m, self.links(m - 1))
                if m > 1
                else np.zeros(len(self.counts.keys[0]), dtype=np.int64)
            )
        return self._links[m]

    def _totals(self, m: int, values: NDArray[np.generic]) -> Floats:
        return np.bincount(self.counts.prefixes(m), weights=values, minlength=self.counts.contexts(m)).astype(
            np.float64
        )

    def _direct(self, m: int, smoothing: str) -> Level:
        counts = self.counts.counts[m - 1].astype(np.float64)
        added = self.k[m - 1] * self.counts.size if smoothing == "add_k" else 0.0
        totals = self._totals(m, counts)
        alpha = counts / (totals + added)[self.counts.prefixes(m)]
        with np.errstate(invalid="ignore"):
            gamma = np.where(totals > 0, added / (totals + added), 1.0)
        return Level(alpha, gamma)

    def _kneser_ney(self, m: int, n: int, smoothing: str, discount: float | None, plain_unigram: bool) -> Level:
        counts = self.counts.continuations[m - 1] if m < n else self.counts.counts[m - 1]
        prefixes = self.counts.prefixes(m)
        totals = self._totals(m, counts)
        steps = (discount,) * 3 if discount is not None else discounts(counts, smoothing == "modified_kneser_ney")
        if plain_unigram and m == 1:
            steps = (0.0, 0.0, 0.0)
        taken = np.array([0.0, *steps])[np.minimum(counts, 3)]  # D(c), zero for c = 0
        with np.errstate(invalid="ignore", divide="ignore"):
            alpha = np.where(counts > 0, (counts - taken) / totals[prefixes], 0.0)
            gamma = np.where(totals > 0, self._totals(m, taken) / totals, 1.0)
        return Level(alpha, gamma)

    def _backing_off(self, m: int, smoothing: str) -> Level:
        """Katz (1987), or stupid back-off (Brants et al. 2007, eq. 5, factor 0.4) divided by the sum of its scores over
        the vocabulary."""
        counts, prefixes = self.counts.counts[m - 1], self.counts.prefixes(m)
        below = self.level(m - 1, m - 1, smoothing) if m > 1 else None
        lower = below.alpha[self.links(m)] if below is not None else np.full(len(counts), 1 / self.counts.size)
        left = np.maximum(
            0.0, 1.0 - self._totals(m, lower)
        )  # what the lower order gives to all that this context did not see
        totals = self._totals(m, counts)
        seen = np.bincount(prefixes, minlength=self.counts.contexts(m))
        left[seen == self.counts.size] = 0.0
        if smoothing == "katz":
            alpha = np.append(katz_discounts(counts), 1.0)[np.minimum(counts, 6)] * counts / totals[prefixes]
            mass = self._totals(m, alpha)
            # Where all counts are large nothing is discounted: one is added to the total (Stolcke 2002), or the rest
            # would get nothing.
            none_left = (mass > 1 - 1e-12) & (left > 0)
            scale = np.where(none_left, totals / (totals + 1), 1.0) / np.where((left > 0) | (seen == 0), 1.0, mass)
            alpha, mass = alpha * scale[prefixes], mass * scale
            with np.errstate(invalid="ignore", divide="ignore"):
                return Level(alpha, np.where(seen == 0, 1.0, np.where(left > 0, (1 - mass) / left, 0.0)))
        factor = 0.4 * (self._sums[m - 1][self.links(m - 1)] if m > 1 else np.ones(1))
        sums = np.where(seen > 0, 1.0 + factor * left, 1.0)
        self._sums[m] = sums
        return Level(counts / (totals * sums)[prefixes], np.where(seen > 0, factor / sums, 1.0))

    def _levels_of(self, n: int, smoothing: str, discount: float | None, plain_unigram: bool) -> list[Level]:
        self.check(n, smoothing)
        return [self.level(m, n, smoothing, discount, plain_unigram) for m in range(1, n + 1)]

    def probabilities(
        self,
        tokens: Ints,
        n: int,
        smoothing: str,
        *,
        depth: Ints | None = None,
        discount: float | None = None,
        plain_unigram: bool = False,
    ) -> Floats:
        """``p_n(token | the n - 1 before it)`` for each token.

        Args:
            tokens: ``(T,)`` ids.
            n: order.
            smoothing: one of ``SMOOTHINGS``.
            depth: see :meth:`GramCounts.locate`.
            discount: fixed discount instead of the estimated ones.
            plain_unigram: leave the unigrams undiscounted (no uniform share), as some implementations do.
        """
        levels = self._levels_of(n, smoothing, discount, plain_unigram)
        uniform = 1 / self.counts.size
        recursive = smoothing in BACKING_OFF or smoothing.endswith("kneser_ney")
        base = uniform if recursive or smoothing == "add_k" else 0.0
        p = np.full(len(tokens), base)
        length = np.arange(1, len(tokens) + 1) if depth is None else depth
        for m, (level, (places, contexts, grams)) in enumerate(
            zip(levels, self.counts.locate(tokens, n, depth), strict=True), 1
        ):
            if not recursive and m < n:  # the highest order that the text so far allows decides alone
                here = length[places] == m
                places, contexts, grams = places[here], contexts[here], grams[here]
            if not len(places) or not len(level.alpha):
                continue
            own = level.alpha[grams]  # a gather from index -1 reads the last entry and is masked out
            lower = level.gamma[contexts] * (p[places] if recursive else base)
            p[places] = np.where(grams >= 0, own if smoothing in BACKING_OFF else own + lower, lower)
        return p

    def distribution(
        self, context: Ints, n: int, smoothing: str, *, discount: float | None = None, plain_unigram: bool = False
    ) -> Floats:
        """``p_n(w | context)`` for every token w of the vocabulary: ``(V,)``.

        Maximum likelihood after a context that was never seen gives all zeros.
        """
        levels = self._levels_of(n, smoothing, discount, plain_unigram)
        return self._distribution(self.state(context, n)[: len(context) + 1], levels, smoothing)

    def _distribution(self, state: Sequence[int], levels: Sequence[Level], smoothing: str) -> Floats:
        size = self.counts.size
        p = uniform = np.full(size, 1 / size)
        for m, (context, level) in enumerate(zip(state, levels, strict=False), 1):
            own, weight = np.zeros(size), 1.0
            tokens: Ints = np.zeros(0, dtype=np.int64)
            if context >= 0:
                tokens, alphas = self._children(m, context, level)
                own[tokens] = alphas
                weight = float(level.gamma[context])
            if smoothing in BACKING_OFF:
                lower = p
                lower[tokens] = 0.0
            else:
                lower = p if smoothing.endswith("kneser_ney") else uniform if smoothing == "add_k" else np.zeros(size)
            p = own + weight * lower
        return p

    def _children(self, m: int, context: int, level: Level) -> tuple[Ints, Floats]:
        if m not in self._starts:
            self._starts[m] = np.searchsorted(
                self.counts.keys[m - 1], np.arange(self.counts.contexts(m) + 1) * self.counts.size
            )
        span = slice(self._starts[m][context], self._starts[m][context + 1])
        return self.counts.keys[m - 1][span] - context * self.counts.size, level.alpha[span]

    def state(self, context: Ints, n: int) -> list[int]:
        """Context index for each order 1 .. n after ``context``, -1 = never seen."""
        state = [0] + [-1] * (n - 1)
        for token in context[-(n - 1) :] if n > 1 else ():
            state = self.advance(state, int(token))
        return state

    def advance(self, state: list[int], token: int) -> list[int]:
        """The state after one more token."""
        new = [0]
        for m in range(1, len(state)):
            wanted = state[m - 1] * self.counts.size + token
            table = self.counts.keys[m - 1]
            place = int(table.searchsorted(wanted))
            new.append(place if state[m - 1] >= 0 and place < len(table) and table[place] == wanted else -1)
        return new

    def draw(self, context: Ints, n: int, smoothing: str, rng: np.random.Generator) -> Iterator[int]:
        """Endless tokens that continue ``context``; exact samples of the mixture, one order at a time.

        A continuation seen after the context is drawn in proportion to alpha, as often as the alphas add up to; else
        the lower distribution is asked (with back-off, for what this context did not see). Maximum likelihood at a dead
        end shortens its context.
        """
        levels = self._levels_of(n, smoothing, None, False)
        state = self.state(context, n)
        while True:
            token = self._draw_one(state, levels, smoothing, rng)
            yield token
            state = self.advance(state, token)

    def _draw_one(self, state: list[int], levels: list[Level], smoothing: str, rng: np.random.Generator) -> int:
        for m in range(len(levels), 0, -1):
            if state[m - 1] < 0:
                continue
            tokens, alphas = self._children(m, state[m - 1], levels[m - 1])
            if not len(tokens):
                continue
            cumulated = np.cumsum(alphas)
            scale = cumulated[-1] if smoothing == "mle" else 1.0
            place = int(np.searchsorted(cumulated, rng.random() * scale, side="right"))
            if place < len(tokens):
                return int(tokens[place])
            if smoothing in BACKING_OFF:
                rest = self._distribution(state[: m - 1], levels, smoothing)
                rest[tokens] = 0.0
                cumulated = np.cumsum(rest)
                return min(
                    int(np.searchsorted(cumulated, rng.random() * cumulated[-1], side="right")), self.counts.size - 1
                )
            if smoothing == "add_k":
                break
        return int(rng.integers(self.counts.size))


def choose_k(counts: GramCounts, validation: Ints) -> tuple[float, ...]:
    """For each order the k of a fixed grid (1e-5 .. 3) that gives the validation tokens the highest likelihood."""
    chosen = []
    for m, (places, contexts, grams) in enumerate(counts.locate(validation, counts.order), 1):
        if m > len(validation) or not len(counts.keys[m - 1]):
            chosen.append(1.0)
            continue
        own = counts.counts[m - 1].astype(np.float64)
        totals = np.bincount(counts.prefixes(m), weights=own, minlength=counts.contexts(m))
        seen, total = np.where(grams >= 0, own[grams], 0.0), totals[contexts]
        new = (
            len(validation) - m + 1 - len(places)
        )  # tokens in a context that was never seen: 1 / V each, whatever k is
        scores = [
            float(np.log((seen + k) / (total + k * counts.size)).sum()) - new * np.log(counts.size) for k in _K_GRID
        ]
        chosen.append(_K_GRID[int(np.argmax(scores))])
    return tuple(chosen)
