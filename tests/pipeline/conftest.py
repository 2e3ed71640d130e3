"""One smoke run of the whole pipeline on real data, in a copy of the project, shared by the tests of this folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bench.config import set_profile

ROOT = Path(__file__).parents[2]


@dataclass
class Project:
    """A copy of the project with the smoke profile set."""

    root: Path
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "DVC_NO_ANALYTICS": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
        clean = {key: value for key, value in os.environ.items() if key not in ("MLFLOW_TRACKING_URI", "OMP_NUM_THREADS")}
        return {**clean, **own, "PYTHONPATH": str(self.root)}

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=1500)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} failed:\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}")
        return done

    def repro(self, *arguments: str) -> list[str]:
        """Run ``dvc repro``; the stages that ran their command, in order."""
        start = time.monotonic()
        done = self.run("dvc", "repro", *arguments)
        self.seconds["repro"] = time.monotonic() - start
        return re.findall(r"^Running stage '([^']+)'", done.stdout, re.M)


def copy_project(target: Path) -> Project:
    """The files git knows or would know, and the fetched archives."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        source = ROOT / name
        if source.is_file() and name != "dvc.lock":
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    if (ROOT / "downloads").is_dir():
        shutil.copytree(ROOT / "downloads", target / "downloads", dirs_exist_ok=True)
    project = Project(target)
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "copy"]):
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
