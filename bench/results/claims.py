"""The field's claims as data, tested on the measured rows: *holds*, *does not hold* or *not enough evidence*.

A test of ``reports/claims.yaml`` picks rows and compares them. Every comparison is judged by the interval of a difference (or
ratio) built from the two rows' own 95 % intervals (:func:`bench.results.statistics.difference_from_intervals`), so that a claim needs
a difference beyond the intervals to hold *or* to fail; anything less is "not enough evidence". Rows of two protocols are never compared.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import combinations, pairwise
from typing import Any

from bench.errors import BenchError, did_you_mean
from bench.results.display import parse_variant
from bench.results.records import Record
from bench.results.statistics import difference_from_intervals

__all__ = ["FAILS", "HOLDS", "KINDS", "UNCLEAR", "Claim", "Verdict", "claims_json", "judge", "load_claims"]

HOLDS, FAILS, UNCLEAR = "holds", "does not hold", "not enough evidence"
KINDS = {
    "less": "left is below right by more than the margin",
    "greater": "left is above right by more than the margin (a negative margin: at most that much below)",
    "within": "left and right differ by less than the margin (or by less than `relative` times right)",
    "ratio": "left divided by right is at least `at_least` or at most `at_most`",
    "monotone": "the values go `direction` along a setting: last against first, and no step back beyond its interval",
    "agree": "two columns put the same models in the same order",
}
_ROW_KEYS = {"metric", "slice", "dataset", "protocol", "split"}
_TEST_KEYS = _ROW_KEYS | {
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
_SELECTOR_KEYS = _ROW_KEYS | {"generator", "system", "family", "role", "variant", "value", "pick"}
_FIELD_KEYS = {"generator", "dataset", "slice", "system", "variant"}
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

    ``estimate`` is the difference left - right, or the ratio, with its 95 % ``interval``; ``verdict`` of this pair alone.
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


def load_claims(document: Mapping[str, Any], where: str = "reports/claims.yaml") -> list[Claim]:
    """Check ``claims.yaml``.

    Raises:
        BenchError: an unknown key or kind, a missing field, or the same id twice.
    """
    claims: dict[str, Claim] = {}
    for entry in document.get("claims") or ():
        name = f"{where}: {entry.get('id', '(no id)')}"
        _refuse(name, entry, _CLAIM_KEYS)
        for key in ("id", "title", "statement", "source", "family", "test"):
            if not entry.get(key):
                raise BenchError(f"{name}: {key} is missing")
        test = entry["test"]
        _refuse(f"{name}: test", test, _TEST_KEYS)
        if test.get("kind") not in KINDS:
            raise BenchError(f"{name}: test.kind {test.get('kind')!r} is unknown.{did_you_mean(str(test.get('kind')), KINDS)}")
        sides = ["left"] if test["kind"] == "monotone" else ["left", "right"]
        for side in sides:
            if not isinstance(test.get(side), Mapping):
                raise BenchError(f"{name}: test.{side} must say which rows (generator, role, variant, ...)")
            _refuse(f"{name}: test.{side}", test[side], _SELECTOR_KEYS)
        needs = {"ratio": ("at_least", "at_most"), "within": ("margin", "relative"), "monotone": ("along",)}.get(test["kind"])
        if needs and not any(key in test for key in needs):
            raise BenchError(f"{name}: a test of kind {test['kind']} needs {' or '.join(needs)}")
        if test["kind"] == "monotone" and test.get("direction", "up") not in ("up", "down"):
            raise BenchError(f"{name}: test.direction must be up or down")
        if entry["id"] in claims:
            raise BenchError(f"{name}: the id is used twice")
        claims[entry["id"]] = Claim(**{key: entry.get(key, "") for key in _CLAIM_KEYS - {"test"}}, test=test)
    return list(claims.values())


# Picking rows


def _alternatives(pattern: object) -> list[str]:
    return [str(item) for item in pattern] if isinstance(pattern, list) else [str(pattern)]


def _selected(record: Record, selector: Mapping[str, Any]) -> bool:
    for key in ("generator", "system", "family", "role", "metric", "slice", "dataset", "protocol", "split"):
        if key in selector and not any(fnmatchcase(str(getattr(record, key)), pattern) for pattern in _alternatives(selector[key])):
            return False
    wanted = selector.get("variant")
    if isinstance(wanted, Mapping):
        settings = parse_variant(record.variant)
        return all(key in settings and any(fnmatchcase(settings[key], p) for p in _alternatives(value)) for key, value in wanted.items())
    return wanted is None or fnmatchcase(record.variant, str(wanted))


def _pick(records: Sequence[Record], test: Mapping[str, Any], side: str) -> list[Record]:
    """Rows of one side: the side's own selector over the test's defaults (slice: all of the split unless said)."""
    shared = {key: test[key] for key in ("metric", "dataset", "protocol", "split") if key in test}
    selector = {"slice": test.get("slice", ""), **shared, **test[side]}
    rows = [record for record in records if _selected(record, selector)]
    if selector.get("pick") == "best" and rows:
        sign = -1.0 if rows[0].higher_is_better else 1.0
        rows = [min(rows, key=lambda row: sign * row.value if row.value is not None else math.inf)]
    return rows


def _number(record: Record) -> float | None:
    """The value; a missing value of a lower-is-better metric is infinite (see ``Record.value``)."""
    if record.value is not None:
        return record.value
    return math.inf if record.higher_is_better is False else None


def _describe(record: Record) -> dict[str, Any]:
    keys = ("generator", "variant", "metric", "slice", "protocol", "value", "ci95", "n")
    row = record.to_json()
    return {key: row[key] for key in keys}


# Intervals


def _interval_of(record: Record, exact: bool) -> tuple[float, float] | None:
    value = _number(record)
    if record.ci95 is not None:
        return record.ci95
    return (value, value) if value is not None and (exact or math.isinf(value)) else None


def _against(low: float, high: float, bound: float) -> str:
    """Whether a quantity with this interval lies above ``bound``."""
    return HOLDS if low > bound else FAILS if high <= bound else UNCLEAR


def _compare(left: Record, right: Record | float, test: Mapping[str, Any]) -> Comparison:
    """One pair under a test of kind less, greater, within or ratio."""
    exact = bool(test.get("exact"))
    constant = not isinstance(right, Record)
    shown = {"value": right} if constant else _describe(right)  # type: ignore[arg-type]
    a, b = _number(left), right if constant else _number(right)  # type: ignore[arg-type]
    a_ci = _interval_of(left, exact)
    b_ci = (b, b) if constant else _interval_of(right, exact)  # type: ignore[arg-type]

    def result(verdict: str, reason: str = "", estimate: float | None = None, interval: tuple[float, float] | None = None) -> Comparison:
        return Comparison(_describe(left), shown, estimate, interval, verdict, reason)

    if a is None or b is None:
        return result(UNCLEAR, "a value is missing")
    if math.isinf(a) and math.isinf(b):  # type: ignore[arg-type]
        return result(UNCLEAR, "both are infinite")
    if a_ci is None or b_ci is None:
        return result(UNCLEAR, "a value has no interval")
    return result(*_judge_pair(a, a_ci, b, b_ci, test))  # type: ignore[arg-type]


def _judge_pair(
    a: float, a_ci: tuple[float, float], b: float, b_ci: tuple[float, float], test: Mapping[str, Any]
) -> tuple[str, str, float | None, tuple[float, float] | None]:
    """(verdict, reason, estimate, interval) of one pair of numbers with intervals."""
    kind, margin = test["kind"], float(test.get("margin", 0.0))
    if kind == "ratio":
        if min(a_ci[0], b_ci[0]) <= 0:
            return UNCLEAR, "a ratio needs positive values", None, None
        logs = [(math.log(low), math.log(high)) for low, high in (a_ci, b_ci)]
        low, high = map(math.exp, difference_from_intervals(math.log(a), logs[0], math.log(b), logs[1]).ci95)
        verdict = _against(low, high, float(test["at_least"])) if "at_least" in test else _against(-high, -low, -float(test["at_most"]))
        return verdict, "", a / b, (low, high)
    if math.isinf(a) or math.isinf(b):
        above = a > b
        if kind == "within":
            return FAILS, "one side is infinite", None, None
        return (HOLDS if above == (kind == "greater") else FAILS), "one side is infinite", None, None
    low, high = difference_from_intervals(a, a_ci, b, b_ci).ci95
    if kind == "within":
        bound = float(test["relative"]) * abs(b) if "relative" in test else margin
        inside, outside = -bound < low and high < bound, high < -bound or low > bound
        return (HOLDS if inside else FAILS if outside else UNCLEAR), "", a - b, (low, high)
    verdict = _against(low, high, margin) if kind == "greater" else _against(-high, -low, margin)
    return verdict, "", a - b, (low, high)


# Judging


def _comparable(a: Record, b: Record, test: Mapping[str, Any]) -> bool:
    """Same data, metric, protocol and split (``across`` lists what may differ on purpose), and equal ``match`` settings."""
    across = _alternatives(test["across"]) if "across" in test else []
    if "slice" in test["right"] or "slice" in test["left"]:
        across = [*across, "slice"]
    if any(getattr(a, key) != getattr(b, key) for key in sorted(_ROW_KEYS) if key not in across):
        return False
    return all(_setting(a, key) is not None and _setting(a, key) == _setting(b, key) for key in _alternatives(test.get("match", [])))


def _setting(record: Record, key: str) -> str | None:
    """A field of the row, or a setting of its variant."""
    return str(getattr(record, key)) if key in _FIELD_KEYS else parse_variant(record.variant).get(key)


def _combine(comparisons: Sequence[Comparison]) -> tuple[str, str]:
    """All pairs must hold; one that fails refutes the claim."""
    counts = Counter(item.verdict for item in comparisons)
    total = len(comparisons)
    if not total:
        return UNCLEAR, "no rows that could be compared"
    if counts[FAILS]:
        return FAILS, f"{counts[FAILS]} of {total} comparisons exclude it" if total > 1 else "the interval excludes it"
    if counts[UNCLEAR]:
        reasons = sorted({item.reason for item in comparisons if item.verdict == UNCLEAR and item.reason})
        detail = f" ({'; '.join(reasons)})" if reasons else ""
        main = f"the intervals of {counts[UNCLEAR]} of {total} comparisons allow both" if total > 1 else "the interval allows both"
        return UNCLEAR, main + detail
    return HOLDS, f"all {total} comparisons, beyond their intervals" if total > 1 else "beyond the interval"


def _judge_pairs(left: Sequence[Record], right: Sequence[Record | float], test: Mapping[str, Any]) -> list[Comparison]:
    pairs = []
    for a in left:
        for b in right:
            if not isinstance(b, Record) or (a is not b and _comparable(a, b, test)):
                pairs.append(_compare(a, b, test))
    return pairs


def _along(record: Record, key: str) -> float | None:
    try:
        return float(parse_variant(record.variant)[key])
    except (KeyError, ValueError):
        return None


def _judge_monotone(rows: Sequence[Record], test: Mapping[str, Any]) -> list[Comparison]:
    """Each series (rows alike but for the setting ``along``): last against first, then each step must not go back."""
    key, up = str(test["along"]), test.get("direction", "up") == "up"
    series: dict[tuple[object, ...], list[tuple[float, Record]]] = {}
    for row in rows:
        place = _along(row, key)
        if place is None:
            continue
        others = tuple(sorted((k, v) for k, v in parse_variant(row.variant).items() if k != key))
        series.setdefault((row.generator, row.dataset, row.metric, row.protocol, row.split, row.slice, others), []).append((place, row))
    comparisons = []
    for members in series.values():
        ordered = [row for _, row in sorted(members, key=lambda member: member[0])]
        if len(ordered) < 2:
            continue
        ends = {**test, "kind": "greater" if up else "less"}
        comparisons.append(_compare(ordered[-1], ordered[0], ends))
        for before, after in pairwise(ordered):
            step = _compare(after, before, {**ends, "margin": 0.0})
            if step.verdict == FAILS and step.interval is not None and step.interval[0] <= 0.0 <= step.interval[1]:
                continue  # an equal step is no step back
            if step.verdict == FAILS:
                comparisons.append(step)
    return comparisons


def _judge_agree(left: Sequence[Record], right: Sequence[Record], test: Mapping[str, Any]) -> list[Comparison]:
    """Pairs of models ordered beyond their intervals in both columns: same order holds, opposite order fails."""
    keys = _alternatives(test.get("match", ["generator", "variant"]))
    one, two = ({tuple(_setting(row, key) for key in keys): row for row in rows} for rows in (left, right))
    comparisons = []
    for first, second in combinations([key for key in one if key in two], 2):
        ordering = {"kind": "greater", "exact": test.get("exact", False)}
        a, b = _compare(one[first], one[second], ordering), _compare(two[first], two[second], ordering)
        if UNCLEAR in (a.verdict, b.verdict):
            continue  # one of the columns cannot tell the two apart
        same = a.verdict == b.verdict
        sides = {**a.left, "against": dict(a.right)}, {**b.left, "against": dict(b.right)}
        comparisons.append(Comparison(*sides, None, None, HOLDS if same else FAILS, "same order" if same else "opposite order"))
    return comparisons


def judge(claim: Claim, records: Sequence[Record]) -> Verdict:
    """Test one claim on the measured rows."""
    test = claim.test
    left = _pick(records, test, "left")
    right: list[Record | float] = []
    if test["kind"] == "monotone":
        comparisons = _judge_monotone(left, test)
    else:
        right = [float(test["right"]["value"])] if "value" in test["right"] else list(_pick(records, test, "right"))
        if test["kind"] == "agree":
            comparisons = _judge_agree(left, [row for row in right if isinstance(row, Record)], test)
        else:
            comparisons = _judge_pairs(left, right, test)
    if not left or (not right and test["kind"] != "monotone"):
        return Verdict(claim, UNCLEAR, f"no measured rows on the {'left' if not left else 'right'} side")
    verdict, reason = _combine(comparisons)
    if test["kind"] == "agree" and not comparisons:
        reason = "no two models are told apart by both columns"
    return Verdict(claim, verdict, reason, tuple(comparisons))


def claims_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The content of ``claims.json``."""
    counts = Counter(verdict.verdict for verdict in verdicts)
    summary = {name: counts[name] for name in (HOLDS, FAILS, UNCLEAR)}
    return {"schema_version": 1, "summary": summary, "claims": [verdict.to_json() for verdict in verdicts]}
