"""What the arms of a language model's block are there to show: a power law over sizes and shares of the data, and
held-out loss over the length of the context."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from bench.base.errors import BenchError
from bench.base.settings import Checked
from bench.capabilities import Arms
from bench.metrics.protocols import protocol_id
from bench.metrics.scaling import power_law
from bench.results.extras import Curve, lines_of
from bench.results.records import parse_variant
from bench.scoring import Output, Score, Subject, scorer

__all__ = ["ScalingOptions", "scaling"]


@dataclass(frozen=True)
class ScalingOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        power_law: fit the held-out loss over parameters and tokens of the arms.
    """

    power_law: bool = False


@scorer("LanguageModel", options=ScalingOptions, model=True)
def scaling(subject: Subject, options: ScalingOptions) -> Iterator[Output]:
    """Exponents of the held-out loss in parameters and tokens; curves over tokens and over the scoring context.

    The loss is read from the scores of ``likelihood``, which runs before.
    """
    bits = {
        score.variant: score.value
        for score in subject.scores
        if score.metric == "bits_per_byte" and score.split == "test" and score.value is not None
        if math.isfinite(score.value)
    }
    yield from _over_context(bits)
    if options.power_law and isinstance(subject.system, Arms):
        yield from _over_scales(bits, subject.system.facts)


def _over_scales(bits: Mapping[str, float], facts: Mapping[str, Mapping[str, float]]) -> Iterator[Output]:
    """The fit, and held-out loss over the tokens of the training text, a line for each size of the network."""
    arms = [(facts[arm], value) for variant, value in bits.items() if (arm := _arm(variant)) in facts]
    if len(arms) < 4:
        raise BenchError(f"power_law: {len(arms)} arms have a finite loss; two exponents need at least four")
    parameters, tokens = (np.array([fact[key] for fact, _ in arms]) for key in ("parameters", "train_tokens"))
    fitted = power_law(np.array([value for _, value in arms], dtype=np.float64), [parameters, tokens])
    protocol = protocol_id("scaling_exponent", "least-squares", over="parameters+tokens", arms=len(arms))
    for name, (exponent, interval) in zip(("parameters", "tokens"), fitted, strict=True):
        yield Score("scaling_exponent", exponent, protocol, interval, len(arms), slice=name)
    points = sorted((fact["parameters"], fact["train_tokens"], value) for fact, value in arms)
    yield Curve(
        "Scaling: held-out loss against training text and size",
        "tokens of training text",
        "bits per byte",
        lines_of((f"{size:,.0f} parameters", tokens, value) for size, tokens, value in points),
        log_x=True,
        log_y=True,
    )


def _arm(variant: str) -> str:
    return parse_variant(variant).get("arm", "")


def _over_context(bits: Mapping[str, float]) -> Iterator[Curve]:
    """Held-out loss over the length of the window that text is scored in, a line for each arm."""
    settings = ((parse_variant(variant), value) for variant, value in bits.items())
    points = [(one.get("arm", ""), float(one["context"]), value) for one, value in settings if "context" in one]
    if series := lines_of(points, least=2):
        title = "Beyond the training length: held-out loss against the length of the context"
        yield Curve(title, "tokens of context", "bits per byte", series, log_x=True)
