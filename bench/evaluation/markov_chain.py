"""Markov chains: held-out loss of each order, how well the long run is foretold, and the tables of the textbooks.

On texts the rows of every language model come first (:mod:`bench.evaluation.words`); a series has no bytes worth
counting, so that its loss is in nats per state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.files import read_text_samples
from bench.context import Evaluation, StageContext
from bench.data.datasets import load, load_meta
from bench.evaluation import words
from bench.families.words.sampling import sample_config
from bench.metrics.protocols import protocol_id
from bench.metrics.total_variation import total_variation
from bench.registry import build_config
from bench.results.records import Record, variant_id
from bench.stats.intervals import bootstrap_ratio_ci, wilson_interval

__all__ = ["EvalConfig", "evaluate"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_SMALL = 8
"""Up to so many states, tables show all of them."""


@dataclass(frozen=True)
class EvalConfig(words.EvalConfig):
    """Keys under ``evaluate:``; those of :class:`bench.evaluation.words.EvalConfig`, and

    Attributes:
        stretch: states of the blocks that the intervals of a series resample (those of a text have ``block`` bytes).
        long_run: length of the run whose shares the stationary distribution is compared with.
        horizon: steps of the forecast that is shown.
    """

    stretch: int = 30
    long_run: int = 100_000
    horizon: int = 7


def evaluate(context: StageContext) -> Evaluation:
    """Rows and tables for each order under ``sample.variants``."""
    where = f"{context.family}.{context.name}.evaluate"
    scoring: EvalConfig = build_config(EvalConfig, context.block.get("evaluate") or {}, where)
    data = load(context.data)
    if not data["test"]:
        raise BenchError(f"{context.name}: the test split of {context.data} is empty")
    system = context.load()
    orders = sorted({int(options.get("order", system.config.order)) for options in sample_config(context).variants})
    variants = {order: variant_id({"order": order}) for order in orders}
    if load_meta(context.data)["kind"] == "series":
        assert context.samples is not None
        base = Evaluation(
            [],
            {"texts": words.texts_to_read(read_text_samples(context.samples)), "tables": [], "notes": [], "items": {}},
        )
    else:
        base = words.evaluate(context, scoring)
        scoring = replace(scoring, stretch=scoring.block)
    records = [*base.records]
    losses = {order: -system.log_prob(data["test"], order=order) for order in orders}
    for order, variant in variants.items():
        records += _held_out(context, system, data["test"], order, losses[order], variant, scoring)
        records += _long_run(context, system, data["test"], order, variant, scoring)
    tables = [*_transitions(system, orders), _shares(context, system, data, orders, scoring)]
    if system.size <= _SMALL:
        tables += [_passages(system), _forecasts(system, max(orders), scoring.horizon)]
    notes = [_memory(context, losses, scoring.stretch)] if len(orders) > 1 else []
    sums = {
        variants[order]: _blocks(values, scoring.stretch)
        for order, values in losses.items()
        if np.isfinite(values).all()
    }
    items = {
        variant: [[round(float(nats), 4) for nats in top], bottom.astype(int).tolist()]
        for variant, (top, bottom) in sums.items()
    }
    extras = {**base.extras, "items": {**base.extras["items"], "nats_per_state": items}}
    extras |= {"tables": [*tables, *base.extras["tables"]], "notes": [*notes, *base.extras["notes"]]}
    return Evaluation(records, extras)


# Rows


def _blocks(values: Floats, stretch: int) -> tuple[Floats, Floats]:
    """Sums and sizes of consecutive stretches; a short last one joins the one before."""
    starts = np.arange(0, max(1, len(values) - stretch + 1), stretch)
    return np.add.reduceat(values, starts), np.diff(starts, append=len(values)).astype(np.float64)


def _held_out(
    context: StageContext, system: Any, test: str, order: int, losses: Floats, variant: str, scoring: EvalConfig
) -> list[Record]:
    """Nats per state, and how often the likeliest state came."""
    finite = bool(np.isfinite(losses).all())
    interval = (
        bootstrap_ratio_ci(*_blocks(losses, scoring.stretch), context.derive("states", order)) if finite else None
    )
    hits = _hits(system, test, order)
    low, high = wilson_interval(int(hits.sum()), len(hits))
    return [
        context.record(
            "nats_per_state",
            float(losses.mean()),
            protocol_id("nats_per_state", "test", system.vocabulary_name),
            ci95=interval,
            n=len(losses),
            higher_is_better=False,
            variant=variant,
        ),
        context.record(
            "accuracy",
            float(hits.mean()),
            protocol_id("accuracy", "next-state", system.vocabulary_name),
            ci95=(low, high),
            n=len(hits),
            higher_is_better=True,
            variant=variant,
        ),
    ]


def _hits(system: Any, text: str, order: int) -> NDArray[np.bool_]:
    """For each state of a text after the first ``order``, whether it was the likeliest; an unknown one never is."""
    ids = system.encode(text)
    code = np.zeros(len(ids) - order, dtype=np.int64)
    known = np.ones(len(code), dtype=np.bool_)
    for offset in range(order):
        part = ids[offset : offset + len(code)]
        code, known = code * system.size + np.maximum(part, 0), known & (part >= 0)
    return np.asarray((system.transition_matrix(order).argmax(1)[code] == ids[order:]) & known)


def _long_run(
    context: StageContext, system: Any, test: str, order: int, variant: str, scoring: EvalConfig
) -> list[Record]:
    """Distance of the stationary distribution to the shares of a long run of the chain, and of the held-out data."""
    expected = system.stationary(order)
    held_out = system.encode(test)
    rows = []
    for name, states in (
        ("sampled", system.simulate(scoring.long_run, context.derive("long run", order), order)),
        ("test", held_out),
    ):
        states = states[states >= 0]
        value = total_variation(expected, np.bincount(states, minlength=system.size))
        low, high = _distance_interval(expected, states, context.derive("shares", name, order))
        protocol = protocol_id("stationary_distance", name, system.vocabulary_name, n=len(states))
        common: dict[str, Any] = {
            "higher_is_better": False,
            "variant": variant,
            "slice": "own-run" if name == "sampled" else "",
        }
        rows.append(
            context.record(
                "stationary_distance", value, protocol, ci95=(min(low, value), high), n=len(states), **common
            )
        )
    return rows


def _distance_interval(expected: Floats, states: Ints, seed: int, repeats: int = 500) -> tuple[float, float]:
    """Percentiles over up to 50 resampled stretches. Resampling adds noise of its own to a distance: the upper end errs
    upwards."""
    parts = [
        np.bincount(part, minlength=len(expected))
        for part in np.array_split(states, min(50, max(2, len(states) // 30)))
    ]
    counts, rng = np.stack(parts), np.random.default_rng(seed)
    weights = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=repeats)
    shares = (weights @ counts).astype(np.float64)
    distances = np.abs(shares / shares.sum(1, keepdims=True) - expected).sum(1) / 2
    return float(np.quantile(distances, 0.025)), float(np.quantile(distances, 0.975))


# Tables


def _show(state: str) -> str:
    return {" ": "space", "\n": "line end"}.get(state, state)


def _transitions(system: Any, orders: list[int]) -> list[dict[str, Any]]:
    """Transition probabilities: all of them for few states, else the likeliest next states of the commonest ones."""
    names = [_show(state) for state in system.states]
    if system.size > _SMALL:
        matrix, visits = system.transition_matrix(1), system.counts(0)[0]
        rows = []
        for i in np.argsort(-visits, kind="stable")[:15]:
            best = np.argsort(-matrix[i], kind="stable")[:8]
            rows.append([names[i], int(visits[i]), " · ".join(f"{names[j]} {matrix[i, j]:.2f}" for j in best)])
        columns = ["after", "times", "the likeliest next, with their probabilities"]
        return [{"title": "Transitions of order 1, the commonest states", "columns": columns, "rows": rows, "note": ""}]
    tables = []
    for order in (order for order in orders if order):
        matrix, intervals, visits = (
            system.transition_matrix(order),
            system.intervals(order),
            system.counts(order).sum(1),
        )
        rows = []
        for context, p, limits, n in zip(system.contexts(order), matrix, intervals, visits, strict=True):
            cells = [f"{value:.3f} ({low:.3f} to {high:.3f})" for value, (low, high) in zip(p, limits, strict=True)]
            rows.append([", ".join(map(_show, context)), int(n), *cells])
        note = (
            "Probability of the next state; in brackets the 95 % Wilson interval of the relative frequency. "
            f"{system.config.prior:g} "
            "pseudo-counts are spread as the lower order predicts, which moves rows that were seldom seen."
        )
        columns = ["after", "times seen", *(f"to {name}" for name in names)]
        tables.append({"title": f"Transition matrix of order {order}", "columns": columns, "rows": rows, "note": note})
    return tables


def _shares(
    context: StageContext, system: Any, data: Mapping[str, str], orders: list[int], scoring: EvalConfig
) -> dict[str, Any]:
    """The long run: stationary distributions beside shares of time."""
    runs = {
        f"run of order {k}": system.simulate(scoring.long_run, context.derive("long run", k), k) for k in orders if k
    }
    columns: dict[str, Floats] = {f"stationary, order {k}": system.stationary(k) for k in orders if k}
    for name, states in {
        **runs,
        "training": system.encode(data["train"]),
        "held-out": system.encode(data["test"]),
    }.items():
        columns[name] = np.bincount(states[states >= 0], minlength=system.size) / len(states)
    listed = np.argsort(-columns["training"], kind="stable")[: max(_SMALL, 15)]
    rows = [[_show(system.states[i]), *(round(float(values[i]), 4) for values in columns.values())] for i in listed]
    note = f"Shares of time. Each run has {scoring.long_run:,} steps."
    return {"title": "The long run", "columns": ["state", *columns], "rows": rows, "note": note}


def _passages(system: Any) -> dict[str, Any]:
    steps = system.mean_first_passage()
    rows = [
        [_show(state), *(round(float(value), 2) for value in row)]
        for state, row in zip(system.states, steps, strict=True)
    ]
    note = (
        "Expected steps of the chain of order 1 until it first enters a state; on the diagonal, until it "
        "returns (Kemeny and Snell 1960)."
    )
    return {
        "title": "Mean first passage",
        "columns": ["from", *(f"to {_show(s)}" for s in system.states)],
        "rows": rows,
        "note": note,
    }


def _forecasts(system: Any, order: int, horizon: int) -> dict[str, Any]:
    """What follows a run of one and the same state, and where it settles."""
    steps = sorted({1, 2, 3, horizon})
    rows = []
    for state in system.states:
        found = system.forecast([state] * order, horizon, order)
        for step in steps:
            p = found[step - 1]
            rows.append([_show(state), step, *(round(float(value), 3) for value in p), system.states[int(p.argmax())]])
    columns = ["now", "steps ahead", *map(_show, system.states), "likeliest"]
    title = f"Forecasts of order {order} after {order} equal states"
    return {
        "title": title,
        "columns": columns,
        "rows": rows,
        "note": "The forecast settles on the stationary distribution.",
    }


def _memory(context: StageContext, losses: Mapping[int, Floats], stretch: int) -> str:
    """What each further state of memory is worth on the same held-out states."""
    parts = []
    orders = sorted(losses)
    for low, high in pairwise(orders):
        sums, sizes = _blocks(losses[low] - losses[high], stretch)
        if np.isfinite(sums).all() and len(sums) > 1:
            ends = bootstrap_ratio_ci(sums, sizes, context.derive("memory", low, high))
            parts.append(
                f"from order {low} to {high} {sums.sum() / sizes.sum():+.4f} ({ends[0]:+.4f} to {ends[1]:+.4f})"
            )
    return "Nats per state that remembering one state more saves on the same held-out states: " + "; ".join(parts) + "."
