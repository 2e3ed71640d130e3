"""How well Markov chains predict the next state and the long run, and the tables of the textbooks.

A series has no bytes worth counting, so that its loss is in nats per state; on a text these rows stand beside those of
every language model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np

from bench.base.settings import Checked, Count, Range
from bench.capabilities import HasNote
from bench.config.variants import variant_id
from bench.contracts import Floats, Ints, StateModel
from bench.metrics.next_state import next_state_hits
from bench.metrics.protocols import protocol_id
from bench.metrics.total_variation import total_variation, total_variation_interval
from bench.results.extras import Items, Note, Table
from bench.scorers.texts import corpus, held_out, is_series
from bench.scoring import Output, Score, Subject, scorer
from bench.stats.intervals import bootstrap_ratio_ci, wilson_interval

__all__ = ["LongRunOptions", "StateOptions", "StateTableOptions", "long_run", "next_state", "state_tables"]

_SMALL = 8
"""Up to so many states, tables show all of them."""


@dataclass(frozen=True)
class StateOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        block: bytes of the blocks of a text that the intervals resample.
        stretch: states of the blocks of a series that the intervals resample.
    """

    block: Count = 4000
    stretch: Count = 30


@dataclass(frozen=True)
class LongRunOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        long_run: length of the run whose shares the stationary distribution is compared with.
    """

    long_run: Count = 100_000


def _orders(subject: Subject) -> dict[int, str]:
    """Order -> variant, of the orders that were sampled."""
    found = {int(samples.info.get("order", subject.system.order)) for samples in subject.samples}
    return {order: variant_id({"order": order}) for order in sorted(found)}


@scorer("StateModel", options=StateOptions, model=True)
def next_state(subject: Subject, options: StateOptions) -> Iterator[Output]:
    """Nats per state of each order, how often the likeliest state came, and what each state of memory is worth."""
    test, system = held_out(subject), subject.system
    stretch = options.stretch if is_series(subject) else options.block
    losses = {order: -system.log_prob(test, order=order) for order in _orders(subject)}
    for order, variant in _orders(subject).items():
        yield from _held_out(subject, test, order, losses[order], stretch)
        if np.isfinite(losses[order]).all():
            sums, sizes = _blocks(losses[order], stretch)
            totals = tuple(round(float(nats), 4) for nats in sums)
            yield Items("nats_per_state", variant, totals, tuple(sizes.astype(int).tolist()))
    if len(losses) > 1:
        yield Note(_memory(subject, losses, stretch))


def _blocks(values: Floats, stretch: int) -> tuple[Floats, Floats]:
    """Sums and sizes of consecutive stretches; a short last one joins the one before."""
    starts = np.arange(0, max(1, len(values) - stretch + 1), stretch)
    return np.add.reduceat(values, starts), np.diff(starts, append=len(values)).astype(np.float64)


def _held_out(subject: Subject, test: str, order: int, losses: Floats, stretch: int) -> Iterator[Score]:
    system: StateModel = subject.system
    variant = variant_id({"order": order})
    interval = None
    if np.isfinite(losses).all():
        interval = bootstrap_ratio_ci(*_blocks(losses, stretch), subject.derive("states", order))
    protocol = protocol_id("nats_per_state", "test", system.vocabulary_name)
    yield Score("nats_per_state", float(losses.mean()), protocol, interval, len(losses), variant)
    hits = next_state_hits(system.encode(test), system.transition_matrix(order), order)
    protocol = protocol_id("accuracy", "next-state", system.vocabulary_name)
    interval = wilson_interval(int(hits.sum()), len(hits))
    yield Score("accuracy", float(hits.mean()), protocol, interval, len(hits), variant)


def _memory(subject: Subject, losses: Mapping[int, Floats], stretch: int) -> str:
    """What each further state of memory is worth on the same held-out states."""
    parts = []
    for low, high in pairwise(sorted(losses)):
        sums, sizes = _blocks(losses[low] - losses[high], stretch)
        if np.isfinite(sums).all() and len(sums) > 1:
            ends = bootstrap_ratio_ci(sums, sizes, subject.derive("memory", low, high))
            parts.append(
                f"from order {low} to {high} {sums.sum() / sizes.sum():+.4f} ({ends[0]:+.4f} to {ends[1]:+.4f})"
            )
    return "Nats per state that remembering one state more saves on the same held-out states: " + "; ".join(parts) + "."


def _own_run(subject: Subject, order: int, steps: int) -> Ints:
    """``(steps,)`` states of a run of the chain of an order, made once."""
    seed = subject.derive("long run", order)
    return subject.once(("own-run", order, steps), lambda: subject.system.simulate(steps, seed, order))


@scorer("StateModel", options=LongRunOptions, model=True)
def long_run(subject: Subject, options: LongRunOptions) -> Iterator[Output]:
    """Distance of the stationary distribution to the shares of a long run of the chain, and of the held-out data."""
    system: StateModel = subject.system
    for order, variant in _orders(subject).items():
        expected = system.stationary(order)
        own = _own_run(subject, order, options.long_run)
        for name, part, states in (("sampled", "own-run", own), ("test", "", system.encode(held_out(subject)))):
            known = states[states >= 0]
            value = total_variation(expected, np.bincount(known, minlength=len(expected)))
            low, high = total_variation_interval(expected, known, subject.derive("shares", name, order))
            protocol = protocol_id("stationary_distance", name, system.vocabulary_name, n=len(known))
            interval = (min(low, value), high)
            yield Score("stationary_distance", value, protocol, interval, len(known), variant, slice=part)


@dataclass(frozen=True)
class StateTableOptions(LongRunOptions):
    """Keys under ``evaluate:``, besides those of :class:`LongRunOptions`.

    Attributes:
        horizon: steps of the forecast that is shown.
    """

    horizon: Annotated[int, Range(low=3)] = 7


@scorer("StateModel", options=StateTableOptions, model=True)
def state_tables(subject: Subject, options: StateTableOptions) -> Iterator[Output]:
    """Transition probabilities of each order and shares of time; for few states also first passage and forecasts."""
    system: StateModel = subject.system
    small = len(system.states) <= _SMALL
    if small:
        for order in filter(None, _orders(subject)):
            yield _matrix(system, order)
    else:
        yield _commonest(system)
    yield _shares(subject, options.long_run)
    if small:
        yield _passages(system)
        yield _forecasts(system, max(_orders(subject)), options.horizon)


def _show(state: str) -> str:
    return {" ": "space", "\n": "line end"}.get(state, state)


def _names(system: StateModel) -> tuple[str, ...]:
    return tuple(map(_show, system.states))


def _commonest(system: StateModel) -> Table:
    """The likeliest next states of the commonest ones."""
    names, matrix, visits = _names(system), system.transition_matrix(1), system.counts(0)[0]
    rows = []
    for i in np.argsort(-visits, kind="stable")[:15]:
        best = np.argsort(-matrix[i], kind="stable")[:8]
        rows.append((names[i], int(visits[i]), " · ".join(f"{names[j]} {matrix[i, j]:.2f}" for j in best)))
    columns = ("after", "times", "the likeliest next, with their probabilities")
    return Table("Transitions of order 1, the commonest states", columns, tuple(rows))


def _matrix(system: StateModel, order: int) -> Table:
    """All transition probabilities of an order."""
    rows = []
    for context, p, limits, visits in zip(
        system.contexts(order),
        system.transition_matrix(order),
        system.intervals(order),
        system.counts(order).sum(1),
        strict=True,
    ):
        cells = (f"{value:.3f} ({low:.3f} to {high:.3f})" for value, (low, high) in zip(p, limits, strict=True))
        rows.append((", ".join(map(_show, context)), int(visits), *cells))
    note = "Probability of the next state; in brackets the 95 % Wilson interval of the relative frequency."
    if isinstance(system, HasNote):
        note = f"{note} {system.note}"
    columns = ("after", "times seen", *(f"to {name}" for name in _names(system)))
    return Table(f"Transition matrix of order {order}", columns, tuple(rows), note)


def _shares(subject: Subject, steps: int) -> Table:
    """The long run: stationary distributions beside shares of time."""
    system: StateModel = subject.system
    positive = list(filter(None, _orders(subject)))
    columns: dict[str, Floats] = {f"stationary, order {k}": system.stationary(k) for k in positive}
    runs = {f"run of order {k}": _own_run(subject, k, steps) for k in positive}
    series = {**runs, "training": system.encode(corpus(subject)["train"]), "held-out": system.encode(held_out(subject))}
    for name, states in series.items():
        columns[name] = np.bincount(states[states >= 0], minlength=len(system.states)) / len(states)
    listed = np.argsort(-columns["training"], kind="stable")[: max(_SMALL, 15)]
    rows = tuple(
        (_show(system.states[i]), *(round(float(values[i]), 4) for values in columns.values())) for i in listed
    )
    return Table("The long run", ("state", *columns), rows, f"Shares of time. Each run has {steps:,} steps.")


def _passages(system: StateModel) -> Table:
    steps = system.mean_first_passage()
    rows = tuple(
        (name, *(round(float(value), 2) for value in row)) for name, row in zip(_names(system), steps, strict=True)
    )
    note = (
        "Expected steps of the chain of order 1 until it first enters a state; on the diagonal, until it returns "
        "(Kemeny and Snell 1960)."
    )
    return Table("Mean first passage", ("from", *(f"to {name}" for name in _names(system))), rows, note)


def _forecasts(system: StateModel, order: int, horizon: int) -> Table:
    """What follows a run of one and the same state, and where it settles."""
    rows = []
    for state in system.states:
        found = system.forecast([state] * order, horizon, order)
        for step in sorted({1, 2, 3, horizon}):
            p = found[step - 1]
            rows.append((_show(state), step, *(round(float(value), 3) for value in p), system.states[int(p.argmax())]))
    return Table(
        f"Forecasts of order {order} after {order} equal states",
        ("now", "steps ahead", *_names(system), "likeliest"),
        tuple(rows),
        "The forecast settles on the stationary distribution.",
    )
