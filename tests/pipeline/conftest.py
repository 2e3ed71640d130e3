"""Two smoke runs of the whole pipeline on real data, each in a copy of the project, shared by the tests of this folder.

One is `dvc repro`; the other runs the same stages by hand, in forks of one process that has imported what they share.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from bench.config.load import set_profile
from bench.results.records import Record

ROOT = Path(__file__).parents[2]
COST_UNITS = ("s", "bytes", "x")


@dataclass
class Project:
    """A copy of the project with the smoke profile set."""

    root: Path
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "DVC_NO_ANALYTICS": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
        clean = {
            key: value for key, value in os.environ.items() if key not in ("MLFLOW_TRACKING_URI", "OMP_NUM_THREADS")
        }
        return {**clean, **own, "PYTHONPATH": str(self.root)}

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=1500
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} failed:\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}")
        return done

    def repro(self, *arguments: str) -> list[str]:
        """Run ``dvc repro``; the stages that ran their command, in order."""
        start = time.monotonic()
        done = self.run("dvc", "repro", *arguments)
        self.seconds["repro"] = time.monotonic() - start
        return re.findall(r"^Running stage '([^']+)'", done.stdout, re.M)

    def measured(self) -> dict[str, Any]:
        """Everything in the evaluations that does not depend on the clock, by generator, variant, metric, slice and
        protocol."""
        found = {}
        for path in sorted((self.root / "evaluations").glob("*.json")):
            if path.name.endswith(".metrics.json"):
                continue
            for row in json.loads(path.read_text()).get("records", []):  # none: a part of another profile
                if Record.from_json(row).unit not in COST_UNITS:
                    key = " | ".join(row[part] for part in ("generator", "variant", "metric", "slice", "protocol"))
                    found[key] = [row["value"], row["ci95"], row["n"]]
        return found


def copy_project(target: Path) -> Project:
    """The files git knows or would know, and the fetched archives."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        source = ROOT / name
        if source.is_file() and name != "dvc.lock":
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    if (ROOT / "downloads").is_dir():
        shutil.copytree(ROOT / "downloads", target / "downloads", dirs_exist_ok=True)
    project = Project(target)
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "copy"],
    ):
        subprocess.run(["git", *command], cwd=target, check=True)
    set_profile(target / "params.yaml", "smoke")
    return project


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The pipeline run once, from the archives to the report."""
    project = copy_project(tmp_path_factory.mktemp("smoke") / "project")
    project.repro()
    project.seconds["first"] = project.seconds["repro"]
    return project


BY_HAND = """
import os, runpy, sys
import bench  # sets how idle threads wait, before any library starts some
import numpy, scipy.stats, skimage, torch
sys.path.insert(0, "stages")
for line in sys.stdin:
    sys.argv = line.split()
    sys.stdout.flush()
    if os.fork() == 0:
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(0)
    if os.wait()[1]:
        sys.exit(f"failed: {line}")
"""


@pytest.fixture(scope="session")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `measured` finds after a run by hand; of several test processes the first that asks does it, the others
    wait."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    result = shared / "measured-by-hand.json"
    with FileLock(shared / "measured-by-hand.lock", timeout=1500):
        if not result.is_file():
            project = copy_project(tmp_path_factory.mktemp("by-hand") / "project")
            listed = project.run(
                "dvc", "stage", "list", "--name-only"
            ).stdout.split()  # in the order of dvc.yaml, inputs first
            kinds = [(name.split("@")[0].split("-")[0], name.partition("@")[2]) for name in listed]
            lines = "".join(
                f"stages/{'prepare' if kind == 'render' else kind}.py {name}\n"
                for kind, name in kinds
                if kind not in ("report", "track")
            )
            command = [sys.executable, "-c", BY_HAND]
            done = subprocess.run(
                command,
                cwd=project.root,
                env=project.environment,
                input=lines,
                capture_output=True,
                text=True,
                timeout=1500,
            )
            assert not done.returncode, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            result.write_text(json.dumps(project.measured()))
    return json.loads(result.read_text())
