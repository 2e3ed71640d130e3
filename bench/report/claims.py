"""The field's claims as data, tested on the measured rows: *holds*, *does not hold* or *not enough evidence*.

A test of ``reports/claims.yaml`` picks rows and compares them. Every comparison is decided by the interval of a
difference (or ratio) built from the two rows' own 95 % intervals
(:func:`bench.stats.intervals.difference_from_intervals`), so that a claim needs a difference beyond the intervals to
hold *or* to fail; anything less is "not enough evidence". Rows of two protocols are never compared.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.base.errors import BenchError, did_you_mean
from bench.catalogue.families import FAMILIES
from bench.catalogue.metrics import metric_info

__all__ = ["FAILS", "HOLDS", "KINDS", "UNCLEAR", "Claim", "Verdict", "claims_json", "load_claims"]

HOLDS, FAILS, UNCLEAR = "holds", "does not hold", "not enough evidence"
KINDS = {
    "less": "left is below right by more than the margin",
    "greater": "left is above right by more than the margin (a negative margin: at most that much below)",
    "within": "left and right differ by less than the margin (or by less than `relative` times right)",
    "ratio": "left divided by right is at least `at_least` or at most `at_most`",
    "monotone": "the values go `direction` along a setting: last against first, and no step back beyond its interval",
    "agree": "two columns put the same models in the same order",
}
ROW_KEYS = {"metric", "slice", "dataset", "protocol", "split"}
_TEST_KEYS = ROW_KEYS | {
    "kind",
    "left",
    "right",
    "margin",
    "relative",
    "at_least",
    "at_most",
    "match",
    "along",
    "direction",
    "exact",
    "across",
}
_SELECTOR_KEYS = ROW_KEYS | {"generator", "system", "family", "role", "variant", "value", "pick"}
FIELD_KEYS = {"generator", "dataset", "slice", "system", "variant"}
_CLAIM_KEYS = {"id", "title", "statement", "source", "family", "note", "test"}


@dataclass(frozen=True)
class Claim:
    """One claim and how it is tested."""

    id: str
    title: str
    statement: str
    source: str
    family: str
    test: Mapping[str, Any]
    note: str = ""


@dataclass(frozen=True)
class Comparison:
    """Two rows (or a row and a constant) held against each other.

    ``estimate`` is the difference left - right, or the ratio, with its 95 % ``interval``; ``verdict`` of this pair
    alone.
    """

    left: Mapping[str, Any]
    right: Mapping[str, Any]
    estimate: float | None
    interval: tuple[float, float] | None
    verdict: str
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON-able mapping."""
        interval = list(self.interval) if self.interval is not None and all(map(math.isfinite, self.interval)) else None
        estimate = self.estimate if self.estimate is not None and math.isfinite(self.estimate) else None
        sides = {"left": dict(self.left), "right": dict(self.right)}
        return {**sides, "estimate": estimate, "interval": interval, "verdict": self.verdict, "reason": self.reason}


@dataclass(frozen=True)
class Verdict:
    """The outcome of one claim."""

    claim: Claim
    verdict: str
    reason: str
    comparisons: tuple[Comparison, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """A JSON-able mapping."""
        fields = ("id", "title", "statement", "source", "family", "note")
        return {
            **{name: getattr(self.claim, name) for name in fields},
            "test": dict(self.claim.test),
            "verdict": self.verdict,
            "reason": self.reason,
            "comparisons": [item.to_json() for item in self.comparisons],
        }


def _refuse(where: str, mapping: Mapping[str, Any], allowed: Iterable[str]) -> None:
    for key in mapping:
        if key not in set(allowed):
            raise BenchError(f"{where}: unknown key {key!r}.{did_you_mean(str(key), allowed)}")


def _check_metric(where: str, metric: object) -> None:
    try:
        metric_info(str(metric))
    except BenchError as error:
        raise BenchError(f"{where}: {error}") from None


def load_claims(document: Mapping[str, Any], where: str = "reports/claims.yaml") -> list[Claim]:
    """Check ``claims.yaml``.

    Raises:
        BenchError: an unknown key, kind, family or metric, a missing field, or the same id twice.
    """
    claims: dict[str, Claim] = {}
    for entry in document.get("claims") or ():
        name = f"{where}: {entry.get('id', '(no id)')}"
        _refuse(name, entry, _CLAIM_KEYS)
        for key in ("id", "title", "statement", "source", "family", "test"):
            if not entry.get(key):
                raise BenchError(f"{name}: {key} is missing")
        if entry["family"] not in FAMILIES:
            known = did_you_mean(str(entry["family"]), FAMILIES)
            raise BenchError(f"{name}: family {entry['family']!r} is unknown.{known}")
        test = entry["test"]
        _refuse(f"{name}: test", test, _TEST_KEYS)
        if test.get("kind") not in KINDS:
            raise BenchError(
                f"{name}: test.kind {test.get('kind')!r} is unknown.{did_you_mean(str(test.get('kind')), KINDS)}"
            )
        sides = ["left"] if test["kind"] == "monotone" else ["left", "right"]
        for side in sides:
            if not isinstance(test.get(side), Mapping):
                raise BenchError(f"{name}: test.{side} must say which rows (generator, role, variant, ...)")
            _refuse(f"{name}: test.{side}", test[side], _SELECTOR_KEYS)
        for place in (test, *(test[side] for side in sides)):
            if "metric" in place:
                _check_metric(f"{name}: test", place["metric"])
        needs = {"ratio": ("at_least", "at_most"), "within": ("margin", "relative"), "monotone": ("along",)}.get(
            test["kind"]
        )
        if needs and not any(key in test for key in needs):
            raise BenchError(f"{name}: a test of kind {test['kind']} needs {' or '.join(needs)}")
        if test["kind"] == "monotone" and test.get("direction", "up") not in ("up", "down"):
            raise BenchError(f"{name}: test.direction must be up or down")
        if entry["id"] in claims:
            raise BenchError(f"{name}: the id is used twice")
        claims[entry["id"]] = Claim(**{key: entry.get(key, "") for key in _CLAIM_KEYS - {"test"}}, test=test)
    return list(claims.values())


def claims_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The content of ``claims.json``."""
    counts = Counter(verdict.verdict for verdict in verdicts)
    summary = {name: counts[name] for name in (HOLDS, FAILS, UNCLEAR)}
    return {"schema_version": 1, "summary": summary, "claims": [verdict.to_json() for verdict in verdicts]}
