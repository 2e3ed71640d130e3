"""What a pixel of a texture costs as output, sample and window grow: seconds (they belong to a machine) and counted
operations."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.hardware import cpu_name
from bench.base.machine import machine_id
from bench.base.settings import Checked, Count
from bench.capabilities import GrowingSynthesizer
from bench.families.by_example.textures.texture_growth import available_threads
from bench.stats.intervals import mean_t_ci

__all__ = ["Growths", "growth_costs"]


@dataclass(frozen=True)
class Growths(Checked):
    """What is timed: each axis in turn, the others as in ``base``.

    Attributes:
        exemplar: name of the photograph that the samples are corners of.
        base: (output side, candidates' side, window): the sample is ``candidates + window - 1`` pixels high and wide,
            so that another window meets as many candidates. The outputs are grown from the first of ``samples``.
        outputs, samples, windows: sides along each axis.
        repeats: timings of each point; the axes are timed in turn, so that a machine whose speed drifts slows all
            alike.
    """

    exemplar: str = "grass"
    base: tuple[Count, Count, Count] = (32, 100, 11)
    outputs: tuple[Count, ...] = (32, 64, 96)
    samples: tuple[Count, ...] = (50, 100, 150)
    windows: tuple[Count, ...] = (7, 11, 17)
    repeats: Count = 3


def growth_costs(
    system: GrowingSynthesizer, photograph: NDArray[np.uint8], growths: Growths, seed: int
) -> dict[str, Any]:
    """Time and count one picture at every point of the three axes.

    Returns:
        ``cost``: rows of seconds and of exponents (the slope of log seconds along log output pixels, candidates or
        window pixels; 1 is proportional); ``operations``: {axis: [[size, operations of one output pixel], ...]}.

    Raises:
        BenchError: the photograph is smaller than the largest sample.
    """
    output, sample, window = growths.base
    points = {
        "output": [(side, growths.samples[0], window) for side in growths.outputs],
        "sample": [(output, side, window) for side in growths.samples],
        "window": [(output, sample, side) for side in growths.windows],
    }
    every = sorted({point for listed in points.values() for point in listed})
    largest = max(side + width - 1 for _, side, width in every)
    if min(photograph.shape[:2]) < largest:
        have = "x".join(map(str, photograph.shape[:2]))
        raise BenchError(
            f"growth: a sample of {largest}x{largest} does not fit {growths.exemplar} of {have}: give smaller ones"
        )
    taken: dict[tuple[int, int, int], list[float]] = {point: [] for point in every}
    operations = {}
    for _ in range(growths.repeats):
        for side, candidates, width in every:
            exemplar = photograph[: candidates + width - 1, : candidates + width - 1]
            start = time.perf_counter()
            (grown,) = system.growths(exemplar, (side, side), [seed], window=width)
            taken[side, candidates, width].append(time.perf_counter() - start)
            operations[side, candidates, width] = grown.operations / side**2
    rows, counted = [], {}
    for o, s, w in every:
        variant = f"output={o},sample={s + w - 1},window={w}"
        rows.append(_row("seconds_per_pixel", variant, np.array(taken[o, s, w]) / o**2))
    for number, (axis, listed) in enumerate(points.items()):
        sizes = np.log([point[number] ** 2 for point in listed])
        slopes = np.polyfit(sizes, np.log([taken[point] for point in listed]), 1)[0]  # one for each repeat
        rows.append({**_row("growth_exponent", f"axis={axis}", slopes), "ranked": False})
        counted[axis] = [[point[number], operations[point]] for point in listed]
    return {"cost": rows, "operations": counted}


def _row(metric: str, variant: str, values: NDArray[np.float64]) -> dict[str, Any]:
    """A cost that the report takes over as it is."""
    interval = list(mean_t_ci(values)) if len(values) > 1 else None
    machine = machine_id({"name": cpu_name(), "threads": available_threads()})
    protocol = f"cost/growth/{machine}/v2"
    found = {"metric": metric, "protocol": protocol, "variant": variant, "value": float(values.mean())}
    return {**found, "ci95": interval, "n": len(values)}
