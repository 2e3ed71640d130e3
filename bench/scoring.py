"""Scorers: what is measured, apart from who is measured.

A *scorer* is a function over a :class:`Subject` (one trained generator with its samples, its data and the models that
measure it) that yields :class:`Score` and extras for the report. It says by its decorator for which contracts it is,
which options it takes (keys under ``evaluate:``) and which roles it needs. The harness adds who was measured; direction
and unit of a metric stand in :mod:`bench.catalogue.metrics` alone. A family lists its scorers, a block may list others.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar

from bench.base.errors import BenchError, did_you_mean
from bench.base.files import SampleSet, read_image_samples, read_text_samples
from bench.base.settings import build_config
from bench.catalogue.metrics import CATALOGUE
from bench.catalogue.plugins import with_plugins
from bench.catalogue.scorers import BUILT_IN
from bench.context import StageContext
from bench.contracts import Need
from bench.results.extras import Extra
from bench.results.records import Record
from bench.stats.intervals import wilson_interval

__all__ = [
    "Evaluation",
    "NoOptions",
    "Output",
    "Score",
    "Scorer",
    "Subject",
    "check_options",
    "evaluate",
    "options_of",
    "resolve_scorer",
    "scorer",
    "scorers",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Score:
    """One measured number; who was measured is added by the harness.

    Attributes:
        metric: name in the catalogue of metrics.
        value: the number; None or a number that is not finite is written as None (an infinite perplexity).
        protocol: id of how it was measured (:func:`bench.metrics.protocols.protocol_id`).
        ci95: lower and upper bound, or None where no interval exists.
        n: number of items behind the value.
        variant: the swept setting.
        split: train, validation or test; ``""`` for a number that belongs to none.
        slice: part of the split.
        role: of the row, where it is not the block's (``floor`` for chance).
        ranked: False for a value without direction here, whatever the catalogue says of its metric.
        dataset: what it was measured on, where that is not the block's data set.
    """

    metric: str
    value: float | None
    protocol: str
    ci95: tuple[float, float] | None = None
    n: int = 0
    variant: str = ""
    split: str = "test"
    slice: str = ""
    role: str = ""
    ranked: bool = True
    dataset: str = ""


Output = Score | Extra


@dataclass(frozen=True)
class NoOptions:
    """A scorer without options."""


@dataclass(frozen=True)
class Scorer:
    """A registered scorer; made by the decorator :func:`scorer`."""

    name: str
    function: Callable[[Subject, Any], Iterable[Output]]
    contracts: tuple[str, ...] = ()
    options: type = NoOptions
    needs: Mapping[str, Need] = field(default_factory=dict)
    model: bool = False

    def __call__(self, subject: Subject, options: Any = None) -> list[Output]:
        """All that the scorer finds."""
        return list(self.function(subject, self.options() if options is None else options))


def scorer(
    *contracts: str, options: type = NoOptions, needs: Mapping[str, Need] | None = None, model: bool = False
) -> Callable[[Callable[[Subject, Any], Iterable[Output]]], Scorer]:
    """Make a scorer of a function ``(subject, options) -> scores and extras``.

    Args:
        contracts: names of the contracts that it measures; none for every one.
        options: frozen dataclass of the keys under ``evaluate:`` that it reads, derived from
            :class:`bench.base.settings.Checked`. Scorers may share a key.
        needs: role -> what else it uses; the block names it.
        model: True if it asks the trained generator itself: samples from a file are measured without it.
    """

    def wrap(function: Callable[[Subject, Any], Iterable[Output]]) -> Scorer:
        return Scorer(function.__name__, function, contracts, options, MappingProxyType(dict(needs or {})), model)

    return wrap


def scorers() -> Mapping[str, str]:
    """Every known scorer: ``name -> "module:function"``; imports nothing."""
    return with_plugins("scorers", BUILT_IN)


def resolve_scorer(name: str) -> Scorer:
    """The scorer of a name; this is what imports its module.

    Raises:
        BenchError: unknown name, with the nearest known one.
    """
    if name not in scorers():
        raise BenchError(f"unknown scorer {name!r}.{did_you_mean(name, scorers())}")
    module, _, attribute = scorers()[name].partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if not isinstance(found, Scorer):
        raise BenchError(f"scorer {name!r}: {scorers()[name]} lacks the decorator bench.scoring.scorer")
    return found


class Subject:
    """One generator under measurement. Everything is read once, however many scorers ask for it."""

    def __init__(self, context: StageContext, samples: list[SampleSet] | None = None) -> None:
        """``samples``: what is measured, where no stage left it in a file."""
        self.context, self._given = context, samples
        self.scores: list[Score] = []
        """What the scorers before found, for figures of it."""
        self._made: dict[Any, Any] = {}

    @property
    def name(self) -> str:
        """Of its block."""
        return self.context.name

    @property
    def block(self) -> Mapping[str, Any]:
        """Its block of params.yaml, with the profile merged in."""
        return self.context.block

    @property
    def role(self) -> str:
        """generator, floor, ceiling or memoriser."""
        return str(self.block.get("role", "generator"))

    @property
    def dataset(self) -> str:
        """Name of its data set."""
        return str(self.block["dataset"])

    @property
    def seed(self) -> int:
        """The global seed."""
        return self.context.seed

    def derive(self, *parts: int | str) -> int:
        """A seed for this generator."""
        return self.context.derive(*parts)

    @property
    def has_model(self) -> bool:
        """False where there is nothing but samples: a scorer that can do without asks this first."""
        return self.context.has_model

    @cached_property
    def system(self) -> Any:
        """The trained generator.

        Raises:
            BenchError: there is nothing but samples.
        """
        if not self.has_model:
            raise BenchError(f"{self.name}: samples from a file have no model (a scorer of it declares `model=True`)")
        return self.context.load()

    @cached_property
    def samples(self) -> list[SampleSet]:
        """What the sample stage left, one set for each variant.

        Raises:
            BenchError: nothing is sampled for this family.
        """
        if self._given is not None:
            return self._given
        path = self.context.samples
        if path is None or not path.suffix:
            raise BenchError(f"{self.name}: nothing is sampled for family {self.context.family}")
        return read_text_samples(path) if path.suffix == ".jsonl" else read_image_samples(path)

    def model(self, role: str) -> Any:
        """The trained model in a role."""
        return self.once(("model", role), lambda: self.context.load_other(role))

    def model_name(self, role: str) -> str:
        """Name of the model in a role, for protocol ids."""
        return self.context.models[role].name

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """What ``make()`` gives, made at the first call with this key: pieces that several scorers share."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made


def options_of(found: Scorer, values: Mapping[str, Any], where: str) -> Any:
    """A scorer's options from the keys under ``evaluate:`` that are its own."""
    known = {key.name for key in dataclasses.fields(found.options)}
    return build_config(found.options, {key: value for key, value in values.items() if key in known}, where)


def check_options(found: Iterable[Scorer], values: Mapping[str, Any], where: str) -> None:
    """Every key under ``evaluate:`` belongs to a scorer, and every value is allowed.

    Raises:
        BenchError: file, key, what is allowed.
    """
    every = list(found)
    known = {key.name for one in every for key in dataclasses.fields(one.options)}
    for key in values:
        if key not in known:
            raise BenchError(f"{where}: unknown key {key!r}.{did_you_mean(str(key), known)}")
    for one in every:
        options_of(one, values, where)


@dataclass(frozen=True)
class Evaluation:
    """The outcome: a row for each score, with who was measured, and the extras for the report."""

    rows: list[dict[str, Any]]
    extras: list[Extra]

    @property
    def records(self) -> list[Record]:
        """The rows with direction and unit, as the report sees them."""
        return [Record.from_json(row) for row in self.rows]


def evaluate(context: StageContext, names: Iterable[str], samples: list[SampleSet] | None = None) -> Evaluation:
    """Run the named scorers on one generator, in their order.

    Args:
        context: the generator.
        names: of the scorers.
        samples: what is measured, where no stage left it in a file.

    Raises:
        BenchError: an unknown scorer, or a wrong key under ``evaluate:``.
    """
    found = [resolve_scorer(name) for name in names]
    values, where = context.block.get("evaluate") or {}, f"{context.family}.{context.name}.evaluate"
    check_options(found, values, where)
    subject, extras = Subject(context, samples), list[Extra]()
    for one in found:
        for output in one(subject, options_of(one, values, where)):
            if isinstance(output, Score):
                subject.scores.append(output)
            else:
                extras.append(output)
    return Evaluation([row_of(context, score) for score in subject.scores], extras)


def row_of(context: StageContext, score: Score) -> dict[str, Any]:
    """The JSON row of a score: who was measured is added here, direction and unit when it is read.

    An interval without width says that nothing varied among the items, not that nothing is left to know: a share has
    Wilson's bound then, another metric no interval.
    """
    ends = score.ci95 or ()
    if ends and ends[0] == ends[1]:
        info = CATALOGUE.get(score.metric)
        bounded = info is not None and info.share and score.value in (0.0, 1.0) and score.n > 0
        ends = wilson_interval(score.n * int(score.value or 0), score.n) if bounded else ()
    row = {
        "generator": context.name,
        "system": str(context.block["system"]),
        "family": context.family,
        "seed": context.seed,
        **dataclasses.asdict(score),
        "dataset": score.dataset or str(context.block["dataset"]),
        "value": None if score.value is None or not math.isfinite(score.value) else float(score.value),
        "ci95": [float(bound) for bound in ends] if ends and all(map(math.isfinite, ends)) else None,
        "role": score.role or str(context.block.get("role", "generator")),
    }
    if score.ranked:
        del row["ranked"]
    return row
