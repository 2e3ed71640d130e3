"""Scores over fixed parts of a data set (exemplars, clips): the mean over all, then each part as a slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from bench.scoring import Score
from bench.stats.intervals import stratified_t_ci, wilson_interval

__all__ = ["share_scores", "stratified_scores"]


def stratified_scores(
    metric: str,
    protocol: str,
    table: Mapping[str, NDArray[np.float64]],
    variant: str = "",
    low: float = 0.0,
    high: float = np.inf,
    *,
    alike: bool = False,
    slices: bool = True,
) -> Iterator[Score]:
    """Means with intervals from the spread inside each part.

    Args:
        metric, protocol, variant: of the scores.
        table: part -> a value for each item.
        low, high: the metric's possible values, at which intervals are cut off.
        alike: parts weigh alike, however many items they have; else items do.
        slices: a score for each part as well.
    """
    parts = list(table.values())
    mean = np.array([part.mean() for part in parts]).mean() if alike else np.concatenate(parts).mean()
    n = sum(map(len, parts))
    yield Score(metric, float(mean), protocol, stratified_t_ci(parts, low, high), n, variant)
    for name, part in table.items() if slices else ():
        ci95 = stratified_t_ci([part], low, high)
        yield Score(metric, float(part.mean()), protocol, ci95, len(part), variant, slice=name)


def share_scores(
    metric: str, protocol: str, table: Mapping[str, NDArray[np.bool_]], variant: str = ""
) -> Iterator[Score]:
    """Wilson's interval of a share, pooled over the parts and, where there are several, of each."""
    whole = np.concatenate(list(table.values()))
    for name, values in (("", whole), *(table.items() if len(table) > 1 else ())):
        count, n = int(values.sum()), len(values)
        yield Score(metric, count / n, protocol, wilson_interval(count, n), n, variant, slice=name)
