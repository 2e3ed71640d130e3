"""The arms of a language model: scored as any language model is, then what the arms are there to show.

Where arms differ in size and in their share of the data, a power law is fitted to the held-out loss (Hestness et al.
2017; Kaplan et al. 2020, eq. 1.5 without the floor):

    log L = a - alpha_N log N - alpha_D log D + noise

by least squares over the arms, with Student's interval of each exponent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.context import Evaluation, StageContext
from bench.evaluation import words
from bench.metrics.protocols import protocol_id
from bench.metrics.scaling import power_law
from bench.registry import build_config
from bench.results.records import Record

__all__ = ["EvalConfig", "evaluate"]


@dataclass(frozen=True)
class EvalConfig(words.EvalConfig):
    """Keys under ``evaluate:``; see :class:`bench.evaluation.words.EvalConfig`.

    Attributes:
        power_law: fit the held-out loss over parameters and tokens of the arms.
    """

    power_law: bool = False


def evaluate(context: StageContext) -> Evaluation:
    """Everything of :func:`bench.evaluation.words.evaluate`; the power law; curves over tokens or over the scoring
    context."""
    where = f"{context.family}.{context.name}.evaluate"
    config: EvalConfig = build_config(EvalConfig, context.block.get("evaluate") or {}, where)
    result = words.evaluate(context, config)
    facts: Mapping[str, Mapping[str, float]] = context.load().facts
    bits = {row.variant: row for row in result.records if row.metric == "bits_per_byte" and row.value is not None}
    curves = [
        curve for curve in (_over_context(bits), _over_tokens(bits, facts) if config.power_law else None) if curve
    ]
    records = list(result.records)
    if config.power_law:
        records += _exponents(context, bits, facts)
    return Evaluation(records, {**result.extras, "curves": [*result.extras.get("curves", []), *curves]})


def _options(variant: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in variant.split(",") if "=" in part)


def _exponents(
    context: StageContext, bits: Mapping[str, Record], facts: Mapping[str, Mapping[str, float]]
) -> list[Record]:
    arms = [
        (facts[arm], row.value) for variant, row in bits.items() if (arm := _options(variant).get("arm", "")) in facts
    ]
    loss = np.array([value for _, value in arms], dtype=np.float64)
    parameters, tokens = (np.array([fact[key] for fact, _ in arms]) for key in ("parameters", "train_tokens"))
    fitted = power_law(loss, [parameters, tokens])
    return [
        context.record(
            "scaling_exponent",
            value,
            protocol_id("scaling_exponent", "least-squares", over="parameters+tokens", arms=len(arms)),
            ci95=interval,
            n=len(arms),
            slice=name,
        )
        for name, (value, interval) in zip(("parameters", "tokens"), fitted, strict=True)
    ]


def _over_tokens(bits: Mapping[str, Record], facts: Mapping[str, Mapping[str, float]]) -> dict[str, Any] | None:
    """Held-out loss over the tokens of the training text, a line for each size of the network."""
    lines: dict[float, list[list[float]]] = {}
    for variant, row in bits.items():
        fact = facts.get(_options(variant).get("arm", ""))
        if fact is not None and row.value is not None:
            lines.setdefault(fact["parameters"], []).append([fact["train_tokens"], row.value])
    if not lines:
        return None
    series = [{"name": f"{size:,.0f} parameters", "points": sorted(points)} for size, points in sorted(lines.items())]
    title = "Scaling: held-out loss against training text and size"
    return {
        "title": title,
        "x": "tokens of training text",
        "y": "bits per byte",
        "log_x": True,
        "log_y": True,
        "series": series,
    }


def _over_context(bits: Mapping[str, Record]) -> dict[str, Any] | None:
    """Held-out loss over the length of the window that text is scored in, a line for each arm."""
    lines: dict[str, list[list[float]]] = {}
    for variant, row in bits.items():
        options = _options(variant)
        if "context" in options and row.value is not None and math.isfinite(row.value):
            lines.setdefault(options.get("arm", ""), []).append([float(options["context"]), row.value])
    series = [{"name": name, "points": sorted(points)} for name, points in lines.items() if len(points) > 1]
    if not series:
        return None
    title = "Beyond the training length: held-out loss against the length of the context"
    return {
        "title": title,
        "x": "tokens of context",
        "y": "bits per byte",
        "log_x": True,
        "log_y": False,
        "series": series,
    }
