"""Running one stage script, and saying where its results lie."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.base.errors import BenchError

__all__ = ["graph", "run", "where"]


def run(root: Path, stage: str, arguments: Sequence[str] = ()) -> int:
    """Exit status of ``stages/<stage>.py``.

    Raises:
        BenchError: ``root`` is not the project's folder.
    """
    script = root / "stages" / f"{stage}.py"
    if not script.is_file():
        raise BenchError(f"no {script}: run the command in the project's root folder")
    return subprocess.run([sys.executable, str(script), *arguments], cwd=root, check=False).returncode


def graph(root: Path, check: bool) -> bool:
    """Write dvc.yaml from params.yaml and the systems' needs, or only say whether it is up to date."""
    from bench.config.load import load_params
    from bench.pipeline.dvc import check_graph, write_graph

    params = load_params(root / "params.yaml")
    if check:
        check_graph(root, params)
        return False
    return write_graph(root, params)


def where(root: Path) -> str:
    """Where the report is, how to open MLflow, and the page of each family there."""
    from bench.catalogue.families import FAMILIES
    from bench.tracking.store import local_uri, ui_link

    report = root / "reports" / "index.html"
    lines = [f"report   {report.as_uri()}" if report.is_file() else "report   not written yet: run `dvc repro`"]
    lines += [f"tables   {root / 'reports' / 'leaderboard.md'} (also .csv, .json)"] if report.is_file() else []
    if (root / "mlflow.db").is_file():
        uri = local_uri(root)
        lines += [f"MLflow   `make ui`, then {ui_link(uri)}"]
        lines += [f"         {family}: {ui_link(uri, family)}" for family in FAMILIES]
    return "\n".join(lines)
