"""Testing a claim: pick its rows, compare them pair by pair beyond their intervals, combine the verdicts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import combinations, pairwise
from typing import Any

from bench.catalogue.metrics import CATALOGUE
from bench.report.claims import FAILS, FIELD_KEYS, HOLDS, ROW_KEYS, UNCLEAR, Claim, Comparison, Verdict
from bench.results.choice import chosen_settings
from bench.results.records import Record, parse_variant
from bench.stats.comparisons import Items, difference_from_intervals, paired_ratio_difference

__all__ = ["judge"]

_OF_TRAINING = ("train_seconds", "train_flops", "parameters", "peak_memory_bytes")

# Picking rows


def _alternatives(pattern: object) -> list[str]:
    return [str(item) for item in pattern] if isinstance(pattern, list) else [str(pattern)]


def _selected(record: Record, selector: Mapping[str, Any]) -> bool:
    if record.split == "validation" and "split" not in selector:
        return False  # what settings are chosen by is no evidence
    for key in ("generator", "system", "family", "role", "metric", "slice", "dataset", "protocol", "split"):
        if key in selector and not any(
            fnmatchcase(str(getattr(record, key)), pattern) for pattern in _alternatives(selector[key])
        ):
            return False
    wanted = selector.get("variant")
    if isinstance(wanted, Mapping):
        settings = record.settings
        return all(
            key in settings and any(fnmatchcase(str(settings[key]), pattern) for pattern in _alternatives(value))
            for key, value in wanted.items()
        )
    return wanted is None or fnmatchcase(record.variant, str(wanted))


def _pick(records: Sequence[Record], test: Mapping[str, Any], side: str) -> list[Record]:
    """Rows of one side: the side's own selector over the test's defaults (slice: all of the split unless said)."""
    shared = {key: test[key] for key in ("metric", "dataset", "protocol", "split") if key in test}
    selector = {"slice": test.get("slice", ""), **shared, **test[side]}
    rows = [record for record in records if _selected(record, selector)]
    if selector.get("pick") == "shown":
        chosen = chosen_settings(records)
        rows = [row for row in rows if row.variant == chosen[row.generator, row.dataset]]
    return _distinct(rows)


def _distinct(rows: Sequence[Record]) -> list[Record]:
    """Without the repetitions of a cost: what training took stands once for each setting of the generator."""
    found: dict[object, Record] = {}
    for row in rows:
        training = row.generator, row.dataset, row.metric, row.protocol, row.seed, _arm(row.variant)
        found.setdefault(training if row.metric in _OF_TRAINING else id(row), row)
    return list(found.values())


def _exact(test: Mapping[str, Any]) -> bool:
    """Whether a value without an interval is a count (said by the claim, or by the catalogue of metrics)."""
    info = CATALOGUE.get(str(test.get("metric")))
    return bool(test.get("exact") or (info and info.exact))


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


def _paired(
    left: Record, right: Record | float, test: Mapping[str, Any], items: Items
) -> tuple[float, tuple[float, float]] | None:
    """Difference and interval from the blocks that both rows were measured on; None where they are not known, or not
    the same."""
    if not isinstance(right, Record) or test["kind"] == "ratio" or left.slice or right.slice:
        return None
    if any(getattr(left, key) != getattr(right, key) for key in sorted(ROW_KEYS)):
        return None
    a, b = (items.get((row.generator, row.metric, row.variant)) for row in (left, right))
    if a is None or b is None or len(a[0]) != len(b[0]) or len(a[0]) < 3:
        return None
    found = paired_ratio_difference(*a, *b)
    return found.value, found.ci95


def _compare(left: Record, right: Record | float, test: Mapping[str, Any], items: Items) -> Comparison:
    """One pair under a test of kind less, greater, within or ratio."""
    exact = _exact(test)
    constant = not isinstance(right, Record)
    shown = {"value": right} if constant else _describe(right)  # type: ignore[arg-type]
    a, b = _number(left), right if constant else _number(right)  # type: ignore[arg-type]
    a_ci = _interval_of(left, exact)
    b_ci = (b, b) if constant else _interval_of(right, exact)  # type: ignore[arg-type]

    def result(
        verdict: str, reason: str = "", estimate: float | None = None, interval: tuple[float, float] | None = None
    ) -> Comparison:
        return Comparison(_describe(left), shown, estimate, interval, verdict, reason)

    if a is None or b is None:
        return result(UNCLEAR, "a value is missing")
    if math.isinf(a) and math.isinf(b):  # type: ignore[arg-type]
        return result(UNCLEAR, "both are infinite")
    if (paired := _paired(left, right, test, items)) is not None:
        estimate, (low, high) = paired
        return result(_difference_verdict(low, high, b, test), "block by block", estimate, (low, high))  # type: ignore[arg-type]
    if a_ci is None or b_ci is None:
        return result(UNCLEAR, "a value has no interval")
    return result(*_pair_verdict(a, a_ci, b, b_ci, test))  # type: ignore[arg-type]


def _pair_verdict(
    a: float, a_ci: tuple[float, float], b: float, b_ci: tuple[float, float], test: Mapping[str, Any]
) -> tuple[str, str, float | None, tuple[float, float] | None]:
    """(verdict, reason, estimate, interval) of one pair of numbers with intervals."""
    kind = test["kind"]
    if kind == "ratio" and not (math.isinf(a) or math.isinf(b)):
        if b <= 0:
            return UNCLEAR, "a ratio needs a positive denominator", None, None
        # a / b >= c if and only if a - c b >= 0, which stays defined where a or a bound is zero.
        c = float(test["at_least"] if "at_least" in test else test["at_most"])
        low, high = difference_from_intervals(a, a_ci, c * b, (c * b_ci[0], c * b_ci[1])).ci95
        verdict = _against(low, high, 0.0) if "at_least" in test else _against(-high, -low, 0.0)
        return verdict, "", a / b, _ratio_interval(a, a_ci, b, b_ci)
    if math.isinf(a) or math.isinf(b):
        wanted = a > b if kind == "greater" or "at_least" in test else a < b
        return (HOLDS if wanted and kind != "within" else FAILS), "one side is infinite", None, None
    low, high = difference_from_intervals(a, a_ci, b, b_ci).ci95
    return _difference_verdict(low, high, b, test), "", a - b, (low, high)


def _difference_verdict(low: float, high: float, b: float, test: Mapping[str, Any]) -> str:
    """Verdict on left - right from its interval; ``b`` is the right value."""
    kind, margin = test["kind"], float(test.get("margin", 0.0))
    if kind == "within":
        bound = float(test["relative"]) * abs(b) if "relative" in test else margin
        inside, outside = -bound < low and high < bound, high < -bound or low > bound
        return HOLDS if inside else FAILS if outside else UNCLEAR
    return _against(low, high, margin) if kind == "greater" else _against(-high, -low, margin)


def _ratio_interval(
    a: float, a_ci: tuple[float, float], b: float, b_ci: tuple[float, float]
) -> tuple[float, float] | None:
    """95 % interval of ``a / b`` on the logarithm; None where a bound is not positive."""
    if min(a_ci[0], b_ci[0]) <= 0:
        return None
    logs = [(math.log(low), math.log(high)) for low, high in (a_ci, b_ci)]
    low, high = difference_from_intervals(math.log(a), logs[0], math.log(b), logs[1]).ci95
    return math.exp(low), math.exp(high)


# Testing


def _comparable(a: Record, b: Record, test: Mapping[str, Any]) -> bool:
    """Same data, metric, protocol and split (``across`` lists what may differ on purpose), and equal ``match``
    settings."""
    across = _alternatives(test["across"]) if "across" in test else []
    if "slice" in test["right"] or "slice" in test["left"]:
        across = [*across, "slice"]
    if any(getattr(a, key) != getattr(b, key) for key in sorted(ROW_KEYS) if key not in across):
        return False
    return all(
        _setting(a, key) is not None and _setting(a, key) == _setting(b, key)
        for key in _alternatives(test.get("match", []))
    )


def _setting(record: Record, key: str) -> str | None:
    """A field of the row, or one of its settings."""
    if key in FIELD_KEYS:
        return str(getattr(record, key))
    return str(record.settings[key]) if key in record.settings else None


def _combine(comparisons: Sequence[Comparison], test: Mapping[str, Any]) -> tuple[str, str]:
    """All pairs must hold; one that fails refutes the claim."""
    counts = Counter(item.verdict for item in comparisons)
    if not comparisons:
        return UNCLEAR, "no rows that could be compared"
    verdict = next(name for name in (FAILS, UNCLEAR, HOLDS) if counts[name])
    share = f" in {counts[verdict]} of {len(comparisons)} comparisons" if len(comparisons) > 1 else ""
    if verdict == UNCLEAR:
        both = "the 95 % interval includes both outcomes"
        reasons = {item.reason if item.estimate is None else both for item in comparisons if item.verdict == UNCLEAR}
        return UNCLEAR, f"inconclusive{share}: {'; '.join(sorted(reasons))}"
    evidence = "the order" if test["kind"] == "agree" else "the values" if _exact(test) else "the 95 % interval"
    one = "" if evidence == "the values" else "s"
    return verdict, f"{evidence} {'support' if verdict == HOLDS else 'contradict'}{one} it{share}"


def _compare_pairs(
    left: Sequence[Record], right: Sequence[Record | float], test: Mapping[str, Any], items: Items
) -> list[Comparison]:
    pairs = []
    for a in left:
        for b in right:
            if not isinstance(b, Record) or (a is not b and _comparable(a, b, test)):
                pairs.append(_compare(a, b, test, items))
    return pairs


def _along(record: Record, key: str) -> float | None:
    """The setting as a number; None for a row without it."""
    try:
        return float(record.settings[key])  # type: ignore[arg-type]  # what is no number raises
    except (KeyError, TypeError, ValueError):
        return None


def _others(record: Record, key: str) -> tuple[tuple[str, str], ...]:
    """The settings that a series along ``key`` shares: all but ``key``, and but the name of the arm that changes it."""
    apart = {key} if key in parse_variant(record.variant) else {key, "arm"}
    return tuple(sorted((name, str(value)) for name, value in record.settings.items() if name not in apart))


def _compare_series(rows: Sequence[Record], test: Mapping[str, Any], items: Items) -> tuple[list[Comparison], str]:
    """Each series (rows alike but for the setting ``along``): last against first, then each step must not go back.

    Returns:
        The comparisons of the ends and the steps that go back beyond their interval; and in words what was tested, with
        the steps that go back within theirs.
    """
    key, up = str(test["along"]), test.get("direction", "up") == "up"
    series: dict[tuple[object, ...], list[tuple[float, Record]]] = {}
    for row in rows:
        place = _along(row, key)
        if place is None:
            continue
        alike = row.generator, row.dataset, row.metric, row.protocol, row.split, row.slice, _others(row, key)
        series.setdefault(alike, []).append((place, row))
    comparisons, steps, back, beyond = [], 0, 0, 0
    for members in series.values():
        ordered = [row for _, row in sorted(members, key=lambda member: member[0])]
        if len(ordered) < 2:
            continue
        ends = {**test, "kind": "greater" if up else "less"}
        comparisons.append(_compare(ordered[-1], ordered[0], ends, items))
        for before, after in pairwise(ordered):
            step = _compare(after, before, {**ends, "margin": 0.0}, items)
            steps += 1
            back += step.estimate is not None and (step.estimate < 0 if up else step.estimate > 0)
            if step.verdict == FAILS and step.interval is not None and step.interval[0] <= 0.0 <= step.interval[1]:
                continue  # an equal step is no step back
            if step.verdict == FAILS:
                beyond += 1
                comparisons.append(step)
    going = f"; {back} of {steps} steps go back, {beyond or 'none'} beyond the interval" if back or beyond else ""
    return comparisons, f"last against first{going}"


def _trainings(comparisons: Sequence[Comparison], records: Sequence[Record]) -> str:
    """``"one training each"`` where a verdict compares trainings of one seed: their intervals are over items alone.

    What spent operations on training was trained (a table of counts spends none).
    """
    seeds: dict[tuple[str, str], set[int]] = {}
    for record in records:
        if record.metric == "train_flops" and record.value:
            seeds.setdefault((record.generator, _arm(record.variant)), set()).add(record.seed)
    most = 0
    for item in comparisons:
        sides = [item.left, item.right, *(side["against"] for side in (item.left, item.right) if "against" in side)]
        found = {(side["generator"], _arm(side["variant"])) for side in sides if "generator" in side}
        most = max(most, sum(len(seeds.get(training, ())) == 1 for training in found))
    return ("", "one training")[most] if most < 2 else "one training each"


def _arm(variant: str) -> str:
    return parse_variant(variant).get("arm", "")


def _compare_orders(
    left: Sequence[Record], right: Sequence[Record], test: Mapping[str, Any], items: Items
) -> list[Comparison]:
    """Pairs of models ordered beyond their intervals in both columns: same order holds, opposite order fails."""
    keys = _alternatives(test.get("match", ["generator", "variant"]))
    one, two = ({tuple(_setting(row, key) for key in keys): row for row in rows} for rows in (left, right))
    comparisons = []
    for first, second in combinations([key for key in one if key in two], 2):
        if any(column[first].protocol != column[second].protocol for column in (one, two)):
            continue
        ordering = {"kind": "greater", "exact": test.get("exact", False)}
        a, b = (_compare(column[first], column[second], ordering, items) for column in (one, two))
        if UNCLEAR in (a.verdict, b.verdict):
            continue  # one of the columns cannot tell the two apart
        same = a.verdict == b.verdict
        sides = {**a.left, "against": dict(a.right)}, {**b.left, "against": dict(b.right)}
        comparisons.append(
            Comparison(*sides, None, None, HOLDS if same else FAILS, "same order" if same else "opposite order")
        )
    return comparisons


def judge(claim: Claim, records: Sequence[Record], items: Items | None = None) -> Verdict:
    """Test one claim on the measured rows; where ``items`` holds the blocks behind two rows, they are compared block by
    block."""
    test, items = claim.test, items or {}
    left = _pick(records, test, "left")
    right: list[Record | float] = []
    tested = ""
    if test["kind"] == "monotone":
        comparisons, tested = _compare_series(left, test, items)
    else:
        right = [float(test["right"]["value"])] if "value" in test["right"] else list(_pick(records, test, "right"))
        if test["kind"] == "agree":
            comparisons = _compare_orders(left, [row for row in right if isinstance(row, Record)], test, items)
        else:
            comparisons = _compare_pairs(left, right, test, items)
    if not left or (not right and test["kind"] != "monotone"):
        return Verdict(claim, UNCLEAR, f"no measured rows on the {'left' if not left else 'right'} side")
    verdict, reason = _combine(comparisons, test)
    if test["kind"] == "agree" and not comparisons:
        reason = "no two models differ in both columns by more than their intervals"
    details = [detail for detail in (tested, _trainings(comparisons, records)) if detail and comparisons]
    if details:
        reason = f"{reason} ({'; '.join(details)})"
    return Verdict(claim, verdict, reason, tuple(comparisons))
