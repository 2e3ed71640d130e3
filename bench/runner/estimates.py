"""How long stages take: as last time, else as the committed leaderboard says. For the order and the time left only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

from bench.runner.lockfile import write_whole

__all__ = ["Durations", "longest_paths"]

UNKNOWN = 5.0
"""Seconds of a stage of which nothing is known: the start of Python and of its libraries."""


class Durations:
    """Seconds by stage, remembered in ``.bench/seconds.json``."""

    def __init__(self, root: Path) -> None:
        self._path = root / ".bench" / "seconds.json"
        self._seconds = _trainings(root / "reports" / "leaderboard.json")
        try:
            self._measured = {
                str(name): float(value) for name, value in json.loads(self._path.read_text(encoding="utf-8")).items()
            }
        except (OSError, ValueError, AttributeError, TypeError):
            self._measured = {}
        self._seconds |= self._measured

    def of(self, name: str) -> float:
        """Expected seconds of a stage."""
        return self._seconds.get(name, UNKNOWN)

    def measured(self, name: str, seconds: float) -> None:
        """Remember what a stage took."""
        self._seconds[name] = self._measured[name] = round(seconds, 2)

    def save(self) -> None:
        """Write what was measured."""
        write_whole(self._path, json.dumps(self._measured, indent=1, sort_keys=True) + "\n")


def _trainings(path: Path) -> dict[str, float]:
    """Seconds of training by stage, from the leaderboard that comes with the project: a fresh clone has taken no time
    yet."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        return {
            f"train-{row['family']}@{row['generator']}": float(row["value"])
            for row in rows
            if row["metric"] == "train_seconds"
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def longest_paths(upstream: Mapping[str, Iterable[str]], durations: Durations) -> dict[str, float]:
    """Seconds from the start of each stage to the end of the pipeline, if nothing ever waits: the longest goes
    first."""
    downstream: dict[str, list[str]] = {name: [] for name in upstream}
    for name, ups in upstream.items():
        for up in ups:
            downstream.get(up, []).append(name)
    paths: dict[str, float] = {}
    for name in reversed(list(TopologicalSorter(upstream).static_order())):
        paths[name] = durations.of(name) + max((paths[down] for down in downstream.get(name, [])), default=0.0)
    return paths
