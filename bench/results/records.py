"""One measured number and everything needed to trust it (DESIGN: a number without a protocol id is not a number)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bench.config.variants import variant_id

__all__ = ["SCHEMA_VERSION", "Record", "parse_variant", "variant_id"]

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Record:
    """A row of ``reports/leaderboard.json``.

    Attributes:
        generator: name of the block in params.yaml.
        system: name of the file that implements it.
        family: words, by_example, encoders, codecs, images or text_to_image.
        dataset: name of the dataset card.
        metric: canonical snake-case name, without split, slice or setting.
        protocol: id of how it was measured; two protocols never share a column or a rank.
        value: the number, finite or ``inf`` is refused: an infinite perplexity is written as None.
        variant: the swept setting, ``key=value`` joined by commas.
        split: train, validation or test.
        slice: part of the split, ``""`` for all of it.
        seed: global seed of the run.
        ci95: lower and upper bound, or None where no interval exists (a count of parameters).
        n: number of items behind the value.
        higher_is_better: direction, None for neutral numbers.
        unit: ``"s"``, ``"bytes"``, ``"FLOP"``, ``"dB"``, ``""``.
        role: ``"generator"``, ``"floor"`` (dummy, chance), ``"ceiling"`` (real data), ``"memoriser"`` (planted).
        run_key: hash of the inputs of the run; filled in by ``report``.
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

    def __post_init__(self) -> None:
        if not self.protocol:
            raise ValueError(f"{self.generator}/{self.metric}: a number without a protocol id is not a number")
        if self.value is not None and not math.isfinite(self.value):
            object.__setattr__(self, "value", None)
        if self.ci95 is not None:
            low, high = (float(bound) for bound in self.ci95)
            bounds = (low, high) if math.isfinite(low) and math.isfinite(high) else None
            object.__setattr__(self, "ci95", bounds)

    def to_json(self) -> dict[str, Any]:
        """A JSON-able mapping."""
        row = asdict(self)
        row["ci95"] = list(self.ci95) if self.ci95 is not None else None
        return row

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Record:
        """The inverse of :meth:`to_json`."""
        values = dict(row)
        values["ci95"] = tuple(values["ci95"]) if values.get("ci95") is not None else None
        return cls(**values)


def parse_variant(text: str) -> dict[str, str]:
    """The swept settings of a variant.

    >>> parse_variant("n=5,smoothing=kneser_ney")
    {'n': '5', 'smoothing': 'kneser_ney'}
    """
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)
