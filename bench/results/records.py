"""One measured number and everything needed to trust it: a number without a protocol id is not a number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from bench.catalogue.metrics import CATALOGUE

__all__ = ["SCHEMA_VERSION", "Record", "Setting", "parse_settings", "parse_variant"]

SCHEMA_VERSION = 2
Setting = bool | int | float | str | None
"""A value of a swept setting."""


@dataclass(frozen=True)
class Record:
    """A row of ``reports/leaderboard.json``.

    Attributes:
        generator: name of the block in params.yaml.
        system: name of the file that implements it.
        family: section of params.yaml, a key of :data:`bench.catalogue.families.FAMILIES`.
        dataset: name of the dataset card.
        metric: canonical snake-case name, without split, slice or setting.
        protocol: id of how it was measured; two protocols never share a column or a rank.
        value: the number; one that is not finite (an infinite perplexity) becomes None.
        variant: the swept settings as text, ``key=value`` joined by commas.
        split: train, validation or test.
        slice: part of the split, ``""`` for all of it.
        seed: global seed of the run.
        ci95: lower and upper bound, or None where no interval exists (a count of parameters).
        n: number of items behind the value.
        higher_is_better: direction, None for neutral numbers.
        unit: ``"s"``, ``"bytes"``, ``"FLOP"``, ``"dB"``, ``""``.
        role: ``"generator"``, ``"floor"`` (dummy, chance), ``"ceiling"`` (real data), ``"memoriser"`` (copies
            its training data).
        run_key: hash of the inputs of the run; filled in by ``report``.
        settings: the swept settings as values: those of ``variant`` and, for an arm of a series, what the arm changes.
    """

    generator: str
    system: str
    family: str
    dataset: str
    metric: str
    protocol: str
    value: float | None
    variant: str = ""
    split: str = "test"
    slice: str = ""
    seed: int = 0
    ci95: tuple[float, float] | None = None
    n: int = 0
    higher_is_better: bool | None = None
    unit: str = ""
    role: str = "generator"
    run_key: str = ""
    settings: Mapping[str, Setting] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not self.protocol:
            raise ValueError(f"{self.generator}/{self.metric}: a number without a protocol id is not a number")
        if self.value is not None and not math.isfinite(self.value):
            object.__setattr__(self, "value", None)
        if self.ci95 is not None:
            low, high = (float(bound) for bound in self.ci95)
            bounds = (low, high) if math.isfinite(low) and math.isfinite(high) else None
            object.__setattr__(self, "ci95", bounds)
        object.__setattr__(self, "settings", {**self.settings, **parse_settings(self.variant)})

    def to_json(self) -> dict[str, Any]:
        """A JSON-able mapping; ``settings`` only where they say more than ``variant``."""
        row = {key.name: getattr(self, key.name) for key in fields(self) if key.name != "settings"}
        row["ci95"] = list(self.ci95) if self.ci95 is not None else None
        if self.settings != parse_settings(self.variant):
            row["settings"] = dict(self.settings)
        return row

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Record:
        """The inverse of :meth:`to_json`; direction and unit, where the row lacks them, are the catalogue's.

        A row with ``ranked: false`` has no direction, whatever the catalogue says of its metric.
        """
        values = dict(row)
        ranked, known = values.pop("ranked", True), CATALOGUE.get(values["metric"])
        values.setdefault("higher_is_better", known.higher_is_better if known and ranked else None)
        values.setdefault("unit", known.unit if known else "")
        values["ci95"] = tuple(values["ci95"]) if values.get("ci95") is not None else None
        return cls(**values)


def parse_variant(text: str) -> dict[str, str]:
    """The swept settings of a variant, as texts.

    >>> parse_variant("n=5,smoothing=kneser_ney")
    {'n': '5', 'smoothing': 'kneser_ney'}
    """
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)


def parse_settings(text: str) -> dict[str, Setting]:
    """The swept settings of a variant, as values: the inverse of :func:`variant_id`.

    A text becomes a value only if it is how Python writes that value, so that ``str`` gives the text again.

    >>> parse_settings("n=5,guidance=3.0,smoothing=kneser_ney,labels=007")
    {'n': 5, 'guidance': 3.0, 'smoothing': 'kneser_ney', 'labels': '007'}
    """
    return {key: _value(value) for key, value in parse_variant(text).items()}


def _value(text: str) -> Setting:
    named: dict[str, Setting] = {"True": True, "False": False, "None": None}
    if text in named:
        return named[text]
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if str(value) == text and math.isfinite(value):
            return value
    return text
