"""Scaling over arms, for any language model that keeps facts of its arms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.context import StageContext
from bench.results.extras import Curve
from bench.scorers.scaling import ScalingOptions, scaling
from bench.scoring import Score, Subject

FACTS = {
    f"{size}-{share}": {"parameters": size * 1e4, "train_tokens": share * 1e3, "train_flops": 0.0}
    for size in (1, 3, 10)
    for share in (1, 10, 100)
}


class Family:
    """Losses that follow a power law exactly."""

    facts = FACTS

    def part(self, options: Any) -> tuple[Any, dict[str, Any]]:
        return self, {}

    @staticmethod
    def loss(arm: str) -> float:
        return float(20 * FACTS[arm]["parameters"] ** -0.07 * FACTS[arm]["train_tokens"] ** -0.1)


def subject(system: Any, scores: list[Score]) -> Subject:
    made = Subject(StageContext("n", "words", {"system": "s", "dataset": "d"}, 0, "cpu", Path(), Path(), quiet=True))
    made.__dict__["system"] = system
    made.scores += scores
    return made


def bits(variant: str, value: float | None, split: str = "test") -> Score:
    return Score("bits_per_byte", value, "bits_per_byte/test/v1", variant=variant, split=split)


def test_exponents_and_curve_over_the_arms() -> None:
    scores = [bits(f"arm={arm}", Family.loss(arm)) for arm in FACTS]
    scores += [bits(f"arm={arm}", 99.0, split="train") for arm in FACTS]
    *exponents, curve = scaling(subject(Family(), scores), ScalingOptions(power_law=True))
    assert [(s.slice, s.n, s.protocol) for s in exponents] == [
        (name, 9, "scaling_exponent/least-squares/arms=9/over=parameters+tokens/v1")
        for name in ("parameters", "tokens")
    ]
    assert [s.value for s in exponents] == pytest.approx([0.07, 0.1])
    assert isinstance(curve, Curve) and [line.name for line in curve.series] == [
        "10,000 parameters",
        "30,000 parameters",
        "100,000 parameters",
    ]
    assert curve.series[0].points == tuple((share * 1e3, Family.loss(f"1-{share}")) for share in (1, 10, 100))


def test_nothing_is_fitted_where_nobody_asked_or_no_arms_are() -> None:
    scores = [bits(f"arm={arm}", Family.loss(arm)) for arm in FACTS]
    assert scaling(subject(Family(), scores)) == []
    assert scaling(subject(object(), [bits("n=3", 2.0)]), ScalingOptions(power_law=True)) == []
    with pytest.raises(BenchError, match="3 arms have a finite loss"):
        scaling(subject(Family(), [*scores[:3], bits("arm=3-10", np.inf)]), ScalingOptions(power_law=True))


def test_loss_over_the_context_has_a_line_for_each_arm() -> None:
    scores = [bits(f"arm={arm},context={n}", n / 100) for arm in ("rotary", "none") for n in (256, 64)]
    (curve,) = scaling(subject(Family(), [*scores, bits("arm=learned,context=64", 1.0)]))
    assert isinstance(curve, Curve) and curve.log_x and not curve.log_y
    points = ((64.0, 0.64), (256.0, 2.56))
    assert {line.name: line.points for line in curve.series} == {"rotary": points, "none": points}
