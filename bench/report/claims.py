"""The field's claims as data, tested on the measured rows: *holds*, *does not hold* or *not enough evidence*.

A test of ``reports/claims.yaml`` picks rows and compares them. Every comparison is decided by the interval of a
difference (or ratio) built from the two rows' own 95 % intervals
(:func:`bench.stats.comparisons.difference_from_intervals`), so that a claim needs a difference beyond the intervals to
hold *or* to fail; anything less is "not enough evidence". Rows of two protocols are never compared.

What cannot fail unless the code is broken (a planted copier, a theorem) is a *control*: it is tested in the same way
and counted apart.
"""

from __future__ import annotations

import datetime
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.base.errors import BenchError, did_you_mean
from bench.catalogue.families import FAMILIES
from bench.catalogue.metrics import metric_info

__all__ = [
    "FAILS",
    "HOLDS",
    "KINDS",
    "UNCLEAR",
    "Claim",
    "Comparison",
    "Verdict",
    "claims_json",
    "count_verdicts",
    "load_claims",
]

HOLDS, FAILS, UNCLEAR = "holds", "does not hold", "not enough evidence"
KINDS = {
    "less": "left is below right by more than the margin",
    "greater": "left is above right by more than the margin (a negative margin: at most that much below)",
    "within": "left and right differ by less than the margin (or by less than `relative` times right)",
    "ratio": "left divided by right is at least `at_least` or at most `at_most`",
    "monotone": "last against first along a setting goes `direction`, and no step goes back beyond its interval; steps "
    "back within their intervals are counted in the reason",
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
_REQUIRED = ("id", "title", "statement", "source", "family", "since", "test")
_CLAIM_KEYS = {*_REQUIRED, "note", "changes", "control"}
_SETTING = re.compile(r"\{([\w-]+)\.([\w.]+)\}")
Blocks = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Claim:
    """One claim and how it is tested.

    Attributes:
        since: the day on which it was first written down, as YYYY-MM-DD.
        changes: ``"YYYY-MM-DD: what"`` for every later change of its statement, its test or a setting that decides it.
        why_control: why it cannot fail unless the code is broken; ``""`` for a claim that can.
    """

    id: str
    title: str
    statement: str
    source: str
    family: str
    test: Mapping[str, Any]
    note: str = ""
    since: str = ""
    changes: tuple[str, ...] = ()
    why_control: str = ""

    @property
    def control(self) -> bool:
        """Whether it checks the measurement rather than the literature: counted apart."""
        return bool(self.why_control)


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
        fields = ("id", "title", "statement", "source", "family", "note", "since", "control", "why_control")
        return {
            **{name: getattr(self.claim, name) for name in fields},
            "changes": list(self.claim.changes),
            "test": dict(self.claim.test),
            "verdict": self.verdict,
            "reason": self.reason,
            "comparisons": [item.to_json() for item in self.comparisons],
        }


def _refuse(where: str, mapping: Mapping[str, Any], allowed: Iterable[str]) -> None:
    for key in mapping:
        if key not in set(allowed):
            raise BenchError(f"{where}: unknown key {key!r}.{did_you_mean(str(key), allowed)}")


def _check_metrics(name: str, test: Mapping[str, Any], sides: Iterable[str]) -> None:
    for place in (test, *(test[side] for side in sides)):
        if "metric" not in place:
            continue
        try:
            info = metric_info(str(place["metric"]))
        except BenchError as error:
            raise BenchError(f"{name}: test: {error}") from None
        if test.get("exact") and info.cost and not info.exact:
            raise BenchError(
                f"{name}: test.exact: {info.name} is measured by a clock, and one measurement has no interval; leave "
                "`exact` out, or compare counted operations"
            )


def _check_test(name: str, test: Mapping[str, Any]) -> None:
    _refuse(f"{name}: test", test, _TEST_KEYS)
    if test.get("kind") not in KINDS:
        known = did_you_mean(str(test.get("kind")), KINDS)
        raise BenchError(f"{name}: test.kind {test.get('kind')!r} is unknown.{known}")
    sides = ["left"] if test["kind"] == "monotone" else ["left", "right"]
    for side in sides:
        if not isinstance(test.get(side), Mapping):
            raise BenchError(f"{name}: test.{side} must say which rows (generator, role, variant, ...)")
        _refuse(f"{name}: test.{side}", test[side], _SELECTOR_KEYS)
    _check_metrics(name, test, sides)
    needs = {"ratio": ("at_least", "at_most"), "within": ("margin", "relative"), "monotone": ("along",)}
    if test["kind"] in needs and not any(key in test for key in needs[test["kind"]]):
        raise BenchError(f"{name}: a test of kind {test['kind']} needs {' or '.join(needs[test['kind']])}")
    if test["kind"] == "monotone" and test.get("direction", "up") not in ("up", "down"):
        raise BenchError(f"{name}: test.direction must be up or down")


def _day(name: str, key: str, text: object) -> datetime.date:
    try:
        return datetime.date.fromisoformat(str(text))
    except ValueError:
        raise BenchError(f"{name}: {key}: {text!r} is no day; write it as 2026-11-21") from None


def _check_history(name: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    """The changes of a claim: dated, explained, in order."""
    changes = entry.get("changes") or []
    if not isinstance(changes, list) or not all(isinstance(change, str) for change in changes):
        raise BenchError(f'{name}: changes must be a list of texts, each "2026-11-28: what changed"')
    last = _day(name, "since", entry["since"])
    for change in changes:
        day, _, what = change.partition(": ")
        if not what.strip():
            raise BenchError(f'{name}: changes: {change!r} must be "2026-11-28: what changed"')
        if (then := _day(name, "changes", day)) < last:
            raise BenchError(f"{name}: changes must stand in order of time, none before `since`: {change!r}")
        last = then
    return tuple(changes)


def _with_settings(text: str, blocks: Blocks) -> str:
    """``{GENERATOR.train.steps}`` in a statement stands for what params.yaml says in the profile of the run.

    A workspace may lack the generator or train it in another way; its report says so instead.
    """

    def value(found: re.Match[str]) -> str:
        place: Any = blocks.get(found[1])
        for key in found[2].split("."):
            place = place.get(key) if isinstance(place, Mapping) else None
        return "(not declared)" if place is None else f"{place:,}" if isinstance(place, int) else str(place)

    return _SETTING.sub(value, text)


def load_claims(
    document: Mapping[str, Any], where: str = "reports/claims.yaml", blocks: Blocks | None = None
) -> list[Claim]:
    """Check ``claims.yaml``.

    Args:
        document: the file as read.
        where: its name, for messages.
        blocks: generators with the profile merged in, from which a statement takes the settings that it names; None
            leaves the names in braces.

    Raises:
        BenchError: an unknown key, kind, family or metric, a missing field, a wrong date, or the same id twice.
    """
    claims: dict[str, Claim] = {}
    for entry in document.get("claims") or ():
        name = f"{where}: {entry.get('id', '(no id)')}"
        _refuse(name, entry, _CLAIM_KEYS)
        for key in _REQUIRED:
            if not entry.get(key):
                raise BenchError(f"{name}: {key} is missing")
        if entry["family"] not in FAMILIES:
            known = did_you_mean(str(entry["family"]), FAMILIES)
            raise BenchError(f"{name}: family {entry['family']!r} is unknown.{known}")
        _check_test(name, entry["test"])
        if not isinstance(entry.get("control", ""), str):
            raise BenchError(f"{name}: control must say why it cannot fail unless the code is broken")
        if entry["id"] in claims:
            raise BenchError(f"{name}: the id is used twice")
        statement = str(entry["statement"])
        claims[entry["id"]] = Claim(
            **{key: str(entry.get(key, "")) for key in ("id", "title", "source", "family", "note", "since")},
            statement=statement if blocks is None else _with_settings(statement, blocks),
            test=entry["test"],
            changes=_check_history(name, entry),
            why_control=entry.get("control", ""),
        )
    return list(claims.values())


def count_verdicts(verdicts: Iterable[Verdict], *, control: bool = False) -> dict[str, int]:
    """How many claims of the literature (or how many controls) hold, do not hold, and stay open."""
    counts = Counter(verdict.verdict for verdict in verdicts if verdict.claim.control == control)
    return {name: counts[name] for name in (HOLDS, FAILS, UNCLEAR)}


def claims_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The content of ``claims.json``; ``summary`` leaves the controls out."""
    counts = {"summary": count_verdicts(verdicts), "controls": count_verdicts(verdicts, control=True)}
    return {"schema_version": 2, **counts, "claims": [verdict.to_json() for verdict in verdicts]}
