"""A real project in small: this project's code and stages, dummy generators, a few pages of text of its own; nothing is
downloaded."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

ROOT = Path(__file__).parents[2]
GATE = "gate"
"""Without this file the stage ``slow`` waits, so that a test can kill what runs at a moment of its choice."""
# In the place of report and track: results that DVC does not keep in its cache, and one that outlives a run.
EXTRA = {
    "slow": {
        "cmd": f"while [ ! -e {GATE} ]; do sleep 0.1; done; echo done > slow.txt",
        "deps": ["build/plan"],
        "outs": ["slow.txt"],
    },
    "threads": {
        "cmd": "printenv OMP_NUM_THREADS MKL_NUM_THREADS OPENBLAS_NUM_THREADS MALLOC_TRIM_THRESHOLD_ > threads.txt "
        "|| true",
        "deps": ["build/plan"],
        "outs": ["threads.txt"],
    },
    "lines": {
        "cmd": "wc -l < evaluations/dummy-a.json > lines.txt",
        "deps": ["evaluations/dummy-a.json"],
        "outs": [{"lines.txt": {"cache": False}}],
    },
    "page": {
        "cmd": "cat evaluations/*.json | wc -c > page.txt",
        "deps": ["evaluations"],
        "outs": [{"page.txt": {"cache": False}}],
    },
    "store": {
        "cmd": "cat evaluations/*.json | md5sum > store.txt",
        "deps": ["evaluations", "slow.txt"],
        "outs": [{"store.txt": {"cache": False, "persist": True}}],
    },
}
NAMES = ("dummy-a", "dummy-b")
RESULTS = ("models", "samples", "evaluations")
SECTIONS = ("words", "text_encoders", "by_example", "style_transfer", "encoders", "codecs", "images", "text_to_image")
PARAMS = {
    "profile": "cpu",
    "seed": 0,
    "runtime": {"device": "cpu", "threads": 1},
    "datasets": {"pages": {"card": "datasets/pages.yaml"}},
    "derived_datasets": {},
    **{section: {} for section in SECTIONS},
    "words": {
        name: {
            "system": "dummy_words",
            "dataset": "pages",
            "role": "floor",
            "sample": {"texts": 2, "characters": 50 + number},
        }
        for number, name in enumerate(NAMES)
    },
}
CARD = {
    "name": "pages",
    "kind": "text",
    "licence": "CC0-1.0",
    "attribution": "nobody",
    "sources": [{"path": "my-texts"}],
    "members": ["*.txt"],
    "split": {"rule": "works", "validation": ["b.txt"], "test": ["c.txt"]},
}


@dataclass
class Project:
    """A small project in a folder of its own."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "PYTHONPATH": str(self.root), "DVC_NO_ANALYTICS": "1"}

    def run(self, *command: str, status: int | None = 0) -> str:
        """A command's output, both streams; its exit status must be ``status``, unless that is None."""
        done = subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=300, check=False
        )
        said = done.stdout + done.stderr
        assert status is None or done.returncode == status, f"{command} ended with {done.returncode}:\n{said}"
        return said

    def bench(self, *arguments: str, status: int | None = 0) -> str:
        return self.run(sys.executable, "-m", "bench", *arguments, status=status)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """``bench`` in the background, in a session of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "bench", *arguments],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def repro(self, *targets: str) -> list[str]:
        """The stages that ``dvc repro`` ran or took from the run cache."""
        said = self.run("dvc", "repro", *targets)
        return re.findall(r"^(?:Running stage|Stage) '([^']+)'(?: is cached|:)", said, re.M)

    def lock(self) -> str:
        """The lock file, less what depends on the clock: the hashes and sizes of what lies in ``runs/``."""
        return re.sub(r"(- path: runs/\S+\n +hash: md5\n +md5: )\S+(\n +size: )\d+", r"\1-\2-", self.lock_text())

    def lock_text(self) -> str:
        """The lock file; empty if there is none."""
        path = self.root / "dvc.lock"
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def results(self) -> dict[str, bytes]:
        """Models, samples and evaluations, by path."""
        files = (path for folder in RESULTS for path in (self.root / folder).rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): path.read_bytes() for path in files}

    def copy(self, target: Path) -> Project:
        """The same project in another folder."""
        shutil.copytree(self.root, target, ignore=shutil.ignore_patterns("__pycache__"))
        return Project(target)


def write_params(root: Path, params: dict[str, object]) -> None:
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The real stages of words, and those of ``EXTRA``. The gate is open."""
    root = tmp_path_factory.mktemp("blank") / "project"
    for name in ("bench", "stages"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("constraints.txt", "pyproject.toml", ".dvcignore", ".gitignore"):
        shutil.copy2(ROOT / name, root / name)
    write_params(root, PARAMS)
    (root / "datasets").mkdir()
    (root / "datasets/pages.yaml").write_text(yaml.safe_dump(CARD, sort_keys=False), encoding="utf-8")
    (root / "my-texts").mkdir()
    (root / GATE).touch()
    for number, name in enumerate("abc"):
        text = "".join(f"Page {name}: line {line} has {line * (number + 3) % 17} words.\n" for line in range(60))
        (root / "my-texts" / f"{name}.txt").write_text(text, encoding="utf-8")
    # `plan` accepts no graph but the one that the project writes: in this copy it ends with the stages of EXTRA.
    stages = textwrap.indent(yaml.safe_dump(EXTRA, sort_keys=False), "  ")
    with (root / "bench/pipeline/dvc.py").open("a", encoding="utf-8") as writer:
        writer.write(f"\n\n_TAIL = {stages!r}\n")
    project = Project(root)
    project.bench("graph")
    for command in ("git init -q", "git add -A", "git -c user.name=t -c user.email=t@example.org commit -qm blank"):
        project.run(*command.split())
    project.run("dvc", "init", "-q")
    return project


@pytest.fixture(scope="session")
def serial(blank: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A run by plain ``dvc repro``; of several test processes the first that asks does it, the others wait."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    project = Project(shared / "serial-run")
    with FileLock(shared / "serial-run.lock", timeout=600):
        if not (project.root / "dvc.lock").is_file():
            blank.copy(project.root).repro()
    return project


@pytest.fixture
def fresh(blank: Project, tmp_path: Path) -> Project:
    """A copy that nothing was run in."""
    return blank.copy(tmp_path / "project")
