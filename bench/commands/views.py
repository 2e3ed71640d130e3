"""``bench open`` and ``bench ui``: the report and the MLflow UI."""

from __future__ import annotations

import os
import subprocess
import sys
import webbrowser
from pathlib import Path

from bench.base.errors import BenchError
from bench.tracking.store import database_of, tracking_uri, ui_link

__all__ = ["open_report", "ui"]

_SERVER = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def open_report(root: Path) -> str:
    """Open the report in a browser; the line that says where it is, which must do where there is no browser.

    Raises:
        BenchError: no report yet.
    """
    report = root / "reports" / "index.html"
    if not report.is_file():
        raise BenchError(f"no {report}: run `dvc repro`, or `bench report` if the evaluations are there")
    try:
        opened = webbrowser.get().open(report.resolve().as_uri())
    except webbrowser.Error:
        opened = False
    return f"opened {report}" if opened else f"no browser here; the report is {report}"


def ui(root: Path, port: int) -> int:
    """Serve the MLflow UI on this machine alone until it is interrupted; the exit status.

    Raises:
        BenchError: nothing was logged yet, or the store is a server with a UI of its own.
    """
    uri = tracking_uri(root)
    database = database_of(uri)
    if database is None:
        raise BenchError(f"MLFLOW_TRACKING_URI is {uri}: open that address, it serves its own UI")
    if not database.is_file():
        raise BenchError(f"no {database}: run `dvc repro`, or `bench track` if the evaluations are there")
    print(f"{ui_link(uri, base=f'http://127.0.0.1:{port}')}  (Ctrl-C ends it)", flush=True)
    place = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, *place]
    try:
        return subprocess.run(command, cwd=root, env={**os.environ, **_SERVER}, check=False).returncode
    except KeyboardInterrupt:
        return 0
