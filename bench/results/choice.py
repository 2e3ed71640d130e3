"""Which setting stands for a generator."""

from __future__ import annotations

import math
from collections.abc import Iterable

from bench.catalogue.families import FAMILIES
from bench.catalogue.metrics import CATALOGUE
from bench.results.records import Record

__all__ = ["chosen_settings"]


def chosen_settings(records: Iterable[Record]) -> dict[tuple[str, str], str]:
    """(generator, data set) -> the setting that stands for the generator.

    Of the settings that were scored on the validation split under the metric that the family chooses by
    (:attr:`bench.catalogue.families.Family.chosen_by`), the best there; without such scores the first that the block
    declares. The test split has no say.
    """
    chosen: dict[tuple[str, str], str] = {}
    best: dict[tuple[str, str], float] = {}
    for record in sorted(records, key=lambda record: record.role != "generator"):  # chance stands last
        key = record.generator, record.dataset
        info, family = CATALOGUE.get(record.metric), FAMILIES.get(record.family)
        if info is not None and info.cost:
            continue
        if family and record.split == "validation" and record.metric == family.chosen_by and record.value is not None:
            value = record.value if record.higher_is_better else -record.value
            if value > best.get(key, -math.inf):
                best[key], chosen[key] = value, record.variant
        elif key not in best and record.split != "validation":
            chosen.setdefault(key, record.variant)
    return chosen
