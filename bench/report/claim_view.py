"""The claims as the page shows them: failures first, then open ones, then those that hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.catalogue.families import FAMILIES
from bench.report.charts import effect_picture
from bench.report.claims import FAILS, HOLDS, UNCLEAR, Comparison, Verdict
from bench.report.display import format_interval, format_value, metric_style, short_variant
from bench.report.schema import Schema

__all__ = ["BADGES", "claim_rows"]

BADGES = {FAILS: ("fails", "✗", "fail"), UNCLEAR: ("unclear", "?", "are open"), HOLDS: ("holds", "✓", "hold")}
"""Verdict -> (class on the page, sign, word after a count), in the order of the page."""
_ORDER = {verdict: i for i, verdict in enumerate(BADGES)}


def _side(side: Mapping[str, Any], schema: Schema) -> str:
    """One side of a comparison as text."""
    if "generator" not in side:
        return f"{side['value']:g}"
    style = metric_style(schema, str(side["metric"]))
    name = " ".join(
        part
        for part in (
            side["generator"],
            short_variant(str(side["variant"])),
            f"({side['slice']})" if side["slice"] else "",
        )
        if part
    )
    ci = side.get("ci95")
    interval = f" [{format_interval((ci[0], ci[1]), style)}]" if ci else ""
    return f"{name}: {format_value(side['value'], style)}{interval}"


def _weakness(item: Comparison) -> tuple[int, float]:
    """Failing pairs first, then open ones, then those that hold by least."""
    distance = abs(item.estimate) if item.estimate is not None and math.isfinite(item.estimate) else math.inf
    return _ORDER[item.verdict], distance


def _limits(test: Mapping[str, Any]) -> tuple[str, tuple[float, ...]]:
    """What the effect must exceed or stay within: in words, and the places on its axis."""
    kind, margin = test["kind"], float(test.get("margin") or 0.0)
    if kind == "less":
        return f"below {0.0 - margin:g}", (0.0 - margin,)
    if kind == "greater":
        return f"above {margin:g}", (margin,)
    if kind == "within":
        relative = test.get("relative")
        return (
            (f"within {100 * float(relative):g} % of the right", ())
            if relative
            else (
                f"within ±{margin:g}",
                (-margin, margin),
            )
        )
    if kind == "ratio":
        words = {"at_least": "at least", "at_most": "at most"}
        bounds = [(word, float(test[key])) for key, word in words.items() if key in test]
        return ", ".join(f"{word} {bound:g}" for word, bound in bounds), tuple(bound for _, bound in bounds)
    if kind == "monotone":
        return f"going {test.get('direction', 'up')}", (0.0,)
    return "the same order", ()


def _effect(item: Comparison, limits: Sequence[float]) -> tuple[str, str]:
    """Estimate with interval as text and as a small picture."""
    if item.estimate is None or not math.isfinite(item.estimate):
        return "", ""
    text = f"{item.estimate:.3g}"
    interval = item.interval if item.interval and all(map(math.isfinite, item.interval)) else None
    if interval:
        text += f" [{interval[0]:.3g}, {interval[1]:.3g}]"
    return text, effect_picture(item.estimate, interval or (item.estimate, item.estimate), limits) if limits else ""


def _claim(verdict: Verdict, schema: Schema, limit: int = 8) -> dict[str, Any]:
    badge, sign, _ = BADGES[verdict.verdict]
    wanted, limits = _limits(verdict.claim.test)
    ordered = sorted(verdict.comparisons, key=_weakness)
    numbers = [
        {
            "left": _side(item.left, schema),
            "right": _side(item.right, schema),
            "estimate": _effect(item, ())[0],
            "verdict": item.verdict,
            "badge": BADGES[item.verdict][0],
            "reason": item.reason,
        }
        for item in ordered[:limit]
    ]
    effect, picture = _effect(ordered[0], limits) if ordered else ("", "")
    return {
        "claim": verdict.claim,
        "family_title": FAMILIES[verdict.claim.family].title,
        "verdict": verdict.verdict,
        "badge": badge,
        "sign": sign,
        "reason": verdict.reason,
        "effect": effect,
        "picture": picture,
        "wanted": wanted,
        "numbers": numbers,
        "pairs": len(ordered),
        "more": max(0, len(ordered) - limit),
        "estimate_title": {"ratio": "ratio", "agree": "order"}.get(str(verdict.claim.test["kind"]), "difference"),
    }


def claim_rows(verdicts: Sequence[Verdict], schema: Schema) -> list[dict[str, Any]]:
    """Every claim for the page: failures first, then open ones, then those that hold."""
    return [_claim(verdict, schema) for verdict in sorted(verdicts, key=lambda verdict: _ORDER[verdict.verdict])]
