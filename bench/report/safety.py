"""What keeps a report from being replaced by one that lacks its rows: in a fresh clone the reports are there, the
evaluations that they were made from are not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.base.files import check_writable, read_json
from bench.results.leaderboard import COST_METRICS

__all__ = ["check_replaceable", "lost_sources"]

ELSEWHERE = "`python stages/report.py --to build/report` writes a page of what is here and leaves reports/ as it is"


def _sources(root: Path, row: Mapping[str, Any]) -> Iterator[Path]:
    """The files that a row of the leaderboard comes from."""
    yield root / "evaluations" / f"{row['generator']}.json"
    yield root / "data" / "prepared" / str(row["dataset"]) / "meta.json"
    if row["metric"] == "sample_seconds_per_item":
        yield root / "runs" / row["generator"] / "sample.json"
    elif row["metric"] in COST_METRICS:
        yield root / "runs" / row["generator"] / "train.json"


def _there(path: Path) -> bool:
    """Whether a file holds what its stage found: ``{}`` is what a profile without the stage leaves."""
    try:
        return bool(read_json(path))
    except (OSError, ValueError):
        return False


def lost_sources(root: Path, generators: Collection[str], reports: Path) -> list[str]:
    """Files that are not here though ``reports/leaderboard.json`` shows rows made from them, of ``generators`` alone:
    a block that was taken out takes its rows out."""
    try:
        rows = read_json(reports / "leaderboard.json")["rows"]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # no leaderboard, or none that could be read: there is nothing to lose
    wanted = dict.fromkeys(path for row in rows if row["generator"] in generators for path in _sources(root, row))
    lost = [path.relative_to(root).as_posix() for path in wanted if not _there(path)]
    return sorted(lost, key=lambda path: (not path.startswith("evaluations/"), path))


def check_replaceable(root: Path, generators: Collection[str], reports: Path) -> None:
    """Refuse to write a report that would lack rows of the present one.

    Args:
        root: the checkout.
        generators: the declared ones.
        reports: the folder of the present report, where the new one shall be written.

    Raises:
        BenchError: nothing is evaluated, results behind the present report are missing, or the folder cannot be
            written.
    """
    check_writable(reports / "index.html")
    if lost := lost_sources(root, generators, reports):
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        raise BenchError(
            f"{reports}: this checkout lacks results that the report there shows ({', '.join(lost[:3])}{more}), and "
            f"they would be gone from it. Nothing was written. `dvc repro` makes them; {ELSEWHERE}"
        )
    if not any(_there(root / "evaluations" / f"{name}.json") for name in generators):
        raise BenchError(f"{root / 'evaluations'}: nothing is evaluated yet: run `dvc repro`. Nothing was written")
