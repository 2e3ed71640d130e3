"""Markov chains of order 0 to k over a small set of states: Markov's letters (1913), the textbook's weather (Kemeny &
Snell 1960).

One ``fit`` counts the transitions of all orders; the order is chosen when asking. A series is a text with one state a
line, or any text with one state a character, so that the chain is a language model like the rest: bits per byte on
letters, nats per state on weather.

A context seen n times predicts with its counts and ``prior`` further ones, spread as the next lower order predicts
(MacKay & Peto 1995, "A hierarchical Dirichlet language model", eq. 12 with one strength for all contexts); order 0
spreads them evenly. With prior 0 these are relative frequencies. A state that the training text lacks has probability 1
/ (N + 1), N the length of the training text, and then costs its bytes; what is said of transitions, forecasts and the
long run is about the known states.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from bench.autoregressive.vocabulary import UNKNOWN, Vocabulary, byte_nats, characters, check_text, utf8_lengths
from bench.base.errors import BenchError, did_you_mean
from bench.base.files import write_npz
from bench.base.settings import Checked, Natural, NotNegative
from bench.contracts import RunContext
from bench.stats.intervals import wilson_interval

__all__ = ["MarkovChain", "MarkovChainConfig", "MarkovChainOptions"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_CELLS = 1 << 24
_LINE = re.compile(r"[^\n]*\n|[^\n]+")


@dataclass(frozen=True)
class MarkovChainConfig(Checked):
    """Hyper-parameters of :class:`MarkovChain`.

    Attributes:
        unit: ``lines`` (one state a line) or ``characters``.
        order: highest number of earlier states that a prediction may look at.
        prior: pseudo-counts of each context, in all; 0 for relative frequencies.
    """

    unit: Literal["lines", "characters"] = "lines"
    order: Natural = 2
    prior: NotNegative = 10.0


@dataclass(frozen=True)
class MarkovChainOptions(Checked):
    """What is chosen when scoring or sampling.

    Attributes:
        order: earlier states that count, at most the config's; null for the highest.
    """

    order: Natural | None = None

    def check(self, config: MarkovChainConfig) -> None:
        """Refuse an order that is not counted."""
        if self.order is not None and self.order > config.order:
            raise ValueError(
                f"order: {self.order} is not counted: from 0 to {config.order}, or raise `model: {{order: ...}}`"
            )


class MarkovChain:
    """Transition counts of all orders, and what follows from them.

    Args:
        config: see :class:`MarkovChainConfig`.
    """

    Config: ClassVar[type] = MarkovChainConfig
    SampleOptions: ClassVar[type] = MarkovChainOptions
    CONTRACT: ClassVar[str] = "StateModel"
    SCORING: ClassVar[tuple[str, ...]] = ("order",)

    def __init__(self, config: MarkovChainConfig) -> None:
        self.config = config
        self._vocabulary: Vocabulary | None = None
        self._counts: list[Ints] = []
        self._cumulated: dict[int, Floats] = {}

    # Estimation

    def _tokens(self, text: str) -> list[str]:
        check_text(text)
        return characters(text) if self.config.unit == "characters" else _LINE.findall(text)

    def fit(self, corpus: Mapping[str, str], run: RunContext) -> None:
        """Count the transitions of ``corpus["train"]``.

        Raises:
            BenchError: no training text, or too many states for a table.
        """
        tokens = self._tokens(corpus["train"])
        if not tokens:
            raise BenchError(f"{run.name}: the training text is empty; check the dataset's card and `data/prepared`")
        self._vocabulary = Vocabulary.build(tokens)
        n, top = self.size, self.config.order
        if n ** (top + 1) > _CELLS:
            raise BenchError(
                f"{run.name}: {n} states at order {top} make {n ** (top + 1):,} transitions: lower `order` or "
                "merge states"
            )
        ids = self._vocabulary.encode(tokens) - 1
        self._counts = []
        for m in range(top + 1):
            codes = np.zeros(max(0, len(ids) - m), dtype=np.int64)
            for offset in range(m + 1):
                codes = codes * n + ids[offset : offset + len(codes)]
            self._counts.append(np.bincount(codes, minlength=n ** (m + 1)).reshape(n**m, n))
        self._cumulated = {}
        run.cost["parameters"] = float(sum(n**m * (n - 1) for m in range(top + 1)))
        run.cost["train_flops"] = 0.0

    @property
    def vocabulary(self) -> Vocabulary:
        """Known states; id 0 stands for any other."""
        if self._vocabulary is None:
            raise BenchError("this Markov chain is not trained: call fit or load first")
        return self._vocabulary

    @property
    def vocabulary_name(self) -> str:
        """For the protocol of perplexity per token, e.g. ``lines-3``."""
        return f"{self.config.unit}-{self.size}"

    @property
    def order(self) -> int:
        """The highest number of earlier states that was counted."""
        return len(self._counts) - 1

    @property
    def note(self) -> str:
        """What moves its probabilities off the relative frequencies, for the report."""
        return (
            f"{self.config.prior:g} pseudo-counts are spread as the lower order predicts, which moves rows that were "
            "seldom seen."
        )

    @property
    def size(self) -> int:
        """Number of known states."""
        return len(self.vocabulary) - 1

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the known states, in the order of all arrays."""
        return tuple(token.rstrip("\n") if self.config.unit == "lines" else token for token in self.vocabulary.tokens)

    def _order(self, order: int | None) -> int:
        top = self.order if self.vocabulary else 0
        if order is None:
            return top
        if not 0 <= order <= top:
            raise BenchError(
                f"order = {order} was not counted: use 0 to {top}, or raise `model: {{order: ...}}` and train again"
            )
        return order

    def counts(self, order: int | None = None) -> Ints:
        """``(S ** order, S)``: how often each state followed each run of ``order`` states; the last state of a run
        changes fastest."""
        return self._counts[self._order(order)]

    def contexts(self, order: int | None = None) -> list[tuple[str, ...]]:
        """The runs of states that the rows of :meth:`counts` stand for."""
        order = self._order(order)
        return [tuple(self.states[i] for i in places) for places in np.ndindex(*(self.size,) * order)]

    def transition_matrix(self, order: int | None = None) -> Floats:
        """``(S ** order, S)``: probability of each next state after each run of ``order`` states; rows sum to one."""
        lower = np.full((1, self.size), 1 / self.size)
        for m in range(self._order(order) + 1):
            counts = self._counts[m]
            if m:  # row by row what the context without its oldest state predicts
                lower = np.tile(lower, (self.size, 1))
            totals = counts.sum(1, keepdims=True)
            share = self.config.prior if self.config.prior > 0 else (totals == 0).astype(np.float64)
            lower = (counts + share * lower) / (totals + share)
        return np.ascontiguousarray(lower)

    def intervals(self, order: int | None = None) -> Floats:
        """``(S ** order, S, 2)``: 95 % Wilson intervals of the relative frequencies, (0, 1) after a context that was
        never seen.

        Every visit of a context is an independent draw from its row, whatever the order of the visits.
        """
        counts = self.counts(order)
        totals = counts.sum(1)
        rows = [
            [wilson_interval(int(c), int(n)) if n else (0.0, 1.0) for c in row]
            for row, n in zip(counts, totals, strict=True)
        ]
        return np.array(rows, dtype=np.float64)

    # Prediction

    def _history(self, history: Sequence[str], order: int) -> Ints:
        """Ids of the last ``order`` states of a history."""
        for state in history:
            if state not in self.states:
                raise BenchError(f"unknown state {state!r}.{did_you_mean(state, self.states)}")
        if len(history) < order:
            raise BenchError(f"a chain of order {order} predicts from {order} states, and {len(history)} were given")
        return np.array([self.states.index(state) for state in history[len(history) - order :]], dtype=np.int64)

    def _code(self, ids: Ints) -> int:
        code = 0
        for i in ids:
            code = code * self.size + int(i)
        return code

    def predict(self, history: Sequence[str], order: int | None = None) -> str:
        """The likeliest state after ``history`` (names, the latest last); of equals the first."""
        return self.states[int(self.forecast(history, 1, order)[0].argmax())]

    def forecast(self, history: Sequence[str], steps: int, order: int | None = None) -> Floats:
        """``(steps, S)``: probability of each state 1, 2, ... ``steps`` steps after ``history`` (names, the latest
        last).

        Raises:
            BenchError: an unknown state, or a history shorter than the order.
        """
        order = self._order(order)
        matrix = self.transition_matrix(order)
        weights = np.zeros(len(matrix))
        weights[self._code(self._history(history, order))] = 1.0
        found = np.empty((steps, self.size))
        for step in range(steps):
            found[step] = weights @ matrix
            weights = self._step(weights, matrix)
        return found

    def _step(self, weights: Floats, matrix: Floats) -> Floats:
        """Distribution over contexts one step later: the oldest state is summed out."""
        if len(weights) == 1:
            return weights
        moved: Floats = (weights[:, None] * matrix).reshape(self.size, -1).sum(0)
        return moved

    # The long run

    def stationary(self, order: int | None = None, tolerance: float = 1e-13) -> Floats:
        """``(S,)``: share of time in each state in the long run.

        Order 1 solves pi P = pi (Kemeny & Snell 1960, theorem 4.1.6); higher orders iterate the chain over runs of
        states, averaged with standing still so that cycles do no harm, from the frequencies of the runs.

        Raises:
            BenchError: the long run depends on the start (some states never meet; only possible with prior 0), or does
                not settle.
        """
        order = self._order(order)
        matrix = self.transition_matrix(order)
        if order == 0:
            return np.asarray(matrix[0])
        if order == 1:
            return _stationary(matrix)
        weights = self._counts[order - 1].reshape(-1) + 1.0
        weights = weights / weights.sum()
        for _ in range(200_000):
            moved = (weights + self._step(weights, matrix)) / 2
            change = float(np.abs(moved - weights).sum())
            weights = moved / moved.sum()
            if change < tolerance:
                return np.asarray(weights.reshape(-1, self.size).sum(0))
        raise BenchError(f"the chain of order {order} did not settle: raise `prior`")

    def mean_first_passage(self) -> Floats:
        """``(S, S)``: expected steps of the chain of order 1 from state i until it first enters j; on the diagonal,
        until it returns.

        With the fundamental matrix Z = (I - P + W)^-1, all rows of W being pi: m_ij = (d_ij - z_ij + z_jj) / pi_j
        (Kemeny & Snell 1960, theorem 4.4.7).

        Raises:
            BenchError: some state cannot be reached from some other (only possible with prior 0).
        """
        matrix = self.transition_matrix(1)
        pi = _stationary(matrix)
        if pi.min() < 1e-12:
            raise BenchError(
                f"{self.states[int(pi.argmin())]!r} is left for ever: there is no mean time to it; use a prior above 0"
            )
        z = np.linalg.inv(np.eye(self.size) - matrix + pi[None, :])
        return np.asarray((np.eye(self.size) - z + np.diag(z)[None, :]) / pi[None, :])

    # A language model

    def encode(self, text: str) -> Ints:
        """Index into :attr:`states` of each state of ``text``, -1 for unknown ones."""
        return self.vocabulary.encode(self._tokens(text)) - 1

    def log_prob(self, text: str, order: int | None = None) -> Floats:
        """Nats of each state of ``text``; its start, and what follows an unknown state, is scored with as much context
        as there is.

        Args:
            text: one state a line, or any text for characters.
            order: the highest by default.

        Raises:
            BenchError: an order that was not counted.
        """
        order = self._order(order)
        tokens = self._tokens(text)
        ids = self.vocabulary.encode(tokens) - 1
        total = int(self._counts[0].sum())
        nats = np.full(len(ids), -math.log(total + 1))
        known = ids >= 0
        places = np.arange(len(ids))
        last_unknown = np.maximum.accumulate(np.where(known, -1, places)) if len(ids) else places
        depth = np.minimum(places - np.append(-1, last_unknown[:-1]) - 1, order) if len(ids) else places
        for m in range(order + 1):
            here = np.flatnonzero(known & (depth == m))
            if len(here):
                code = np.zeros(len(here), dtype=np.int64)
                for back in range(m, 0, -1):
                    code = code * self.size + ids[here - back]
                with np.errstate(divide="ignore"):
                    nats[here] = np.log(self.transition_matrix(m)[code, ids[here]]) + math.log(total / (total + 1))
        for place in np.flatnonzero(~known):
            nats[place] -= byte_nats(tokens[place])
        return nats

    def token_bytes(self, text: str) -> Ints:
        """UTF-8 bytes of each state that :meth:`log_prob` scores; their sum is the length of the text in bytes."""
        return utf8_lengths(self._tokens(text))

    def sample(self, n_chars: int, seed: int, prompt: str = "", order: int | None = None) -> str:
        """``n_chars`` characters that continue ``prompt``; without one the first states come from the lower orders."""
        order = self._order(order)
        ids = self.vocabulary.encode(self._tokens(prompt)) - 1
        unknown = np.flatnonzero(ids == UNKNOWN - 1)
        ids = ids[unknown[-1] + 1 if len(unknown) else 0 :]
        pieces: list[str] = []
        length = 0
        for state in self._draw(ids, order, np.random.default_rng(seed)):
            if length >= n_chars:
                break
            pieces.append(self.vocabulary.tokens[state])
            length += len(pieces[-1])
        return "".join(pieces)[:n_chars]

    def simulate(self, steps: int, seed: int, order: int | None = None, start: Sequence[str] = ()) -> Ints:
        """``(steps,)`` indices into :attr:`states`: a run of the chain that continues ``start``."""
        order = self._order(order)
        begin = self._history(start, min(order, len(start)))
        draws = self._draw(begin, order, np.random.default_rng(seed))
        return np.fromiter((next(draws) for _ in range(steps)), dtype=np.int64, count=steps)

    def _draw(self, ids: Ints, order: int, rng: np.random.Generator) -> Iterator[int]:
        """Endless states after ``ids``, which are all known."""
        history = [int(i) for i in ids[max(0, len(ids) - order) :]] if order else []
        code, contexts = self._code(np.array(history, dtype=np.int64)), self.size**order
        while True:
            for u in rng.random(1024):
                m = len(history) if len(history) < order else order
                if m not in self._cumulated:
                    self._cumulated[m] = np.cumsum(self.transition_matrix(m), axis=1)
                row = self._cumulated[m][code]
                state = min(int(row.searchsorted(u * row[-1], side="right")), self.size - 1)
                yield state
                code = (code * self.size + state) % contexts
                if m < order:
                    history.append(state)

    # Files

    def save(self, folder: Path) -> None:
        """``markov_chain.npz``: states and transition counts of each order."""
        arrays = {f"counts_{m}": counts.astype(np.uint32) for m, counts in enumerate(self._counts)}
        write_npz(folder / "markov_chain.npz", {"vocabulary": self.vocabulary.to_bytes(), **arrays})

    @classmethod
    def load(cls, folder: Path, config: MarkovChainConfig, device: str = "cpu") -> MarkovChain:
        """The inverse of :meth:`save`; ``device`` makes no difference."""
        path = folder / "markov_chain.npz"
        if not path.is_file():
            raise BenchError(f"no counts at {path}: run `dvc repro` first")
        with np.load(path, allow_pickle=False) as file:
            chain = cls(config)
            chain._vocabulary = Vocabulary.from_bytes(file["vocabulary"])
            chain._counts = [file[f"counts_{m}"].astype(np.int64) for m in range(len(file.files) - 1)]
        return chain


def _stationary(matrix: Floats) -> Floats:
    """The one pi with pi P = pi: the solution of pi (I - P + E) = (1, ..., 1), E all ones."""
    size = len(matrix)
    system = (np.eye(size) - matrix + 1.0).T
    if np.linalg.cond(system) > 1e12:
        raise BenchError("the long run depends on where the chain starts: some states never meet; use a prior above 0")
    return np.asarray(np.linalg.solve(system, np.ones(size)))
