"""Follows CONTRIBUTING.md to the letter, in a copy of the project: writes, inserts and runs what its marked blocks say,
in their order."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.base.settings import merge
from bench.config.load import set_profile

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"<!-- (run|file|merge|line)(?:: (\S+))? -->\n```\w+\n(.*?)```", re.S)
COPIED = ("bench", "stages", "datasets", "docs", "tests/contracts", "reports")
FILES = ("params.yaml", "dvc.yaml", "constraints.txt", "pyproject.toml", "tests/conftest.py")
LINE_ENDS = {
    "bench/catalogue/systems.py": "\n}\n",
    "bench/catalogue/scorers.py": "\n}\n",
    "bench/catalogue/metrics.py": "\n)\n\n",
}
"""What closes the table that a new line goes to."""


def section(title: str) -> list[tuple[str, str, str]]:
    """(what to do, to which file, content) of the marked blocks of one part of the page."""
    text = PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    return BLOCK.findall(text)


class Copy:
    """A copy of the project with the smoke profile set and the archives that are there already."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in COPIED:
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in FILES:
            shutil.copy2(ROOT / name, root / name)
        (root / "tests" / "metrics").mkdir()
        if (ROOT / "downloads").is_dir():
            (root / "downloads").symlink_to(ROOT / "downloads")
        set_profile(root / "params.yaml", "smoke")
        self.run("dvc init -q --no-scm")

    def run(self, command: str) -> str:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {
            **os.environ,
            "PATH": path,
            "PYTHONPATH": str(self.root),
            "DVC_NO_ANALYTICS": "1",
            "OMP_NUM_THREADS": "1",
        }
        done = subprocess.run(
            ["bash", "-ec", command], cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        assert not done.returncode, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def follow(self, title: str) -> str:
        """Do what the blocks of a part say; what the commands printed."""
        printed = []
        for action, target, content in section(title):
            path = self.root / target
            if action == "run":
                printed.append(self.run(content))
            elif action == "file":
                path.write_text(content, encoding="utf-8")
            elif action == "merge":
                path.write_text(
                    yaml.safe_dump(merge(yaml.safe_load(path.read_text()), yaml.safe_load(content)), sort_keys=False)
                )
            else:
                text = path.read_text(encoding="utf-8")
                at = text.index(LINE_ENDS[target]) + 1
                path.write_text(text[:at] + content + text[at:], encoding="utf-8")
        return "\n".join(printed)

    def records(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.root / "evaluations" / f"{name}.json").read_text())["records"]
        return found


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(tmp_path_factory.mktemp("contributor") / "project")


@pytest.mark.parametrize("title", ["Add a generator", "Add a metric", "Add a data set"])
def test_five_steps_and_every_code_block_is_followed(title: str) -> None:
    text = PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    assert re.findall(r"^\*\*(\d)\. ", text, re.M) == list("12345")
    assert text.count("```") == 2 * len(section(title))


@pytest.mark.timeout(300)
def test_a_generator_in_five_steps(copy: Copy) -> None:
    printed = copy.follow("Add a generator")
    assert re.search(r"[1-9]\d* passed", printed), "the contract suite found the new block"
    assert "failed" not in printed
    metrics = {
        record["metric"]: record["value"]
        for record in copy.records("letters-shakespeare")
        if record["metric"] == "bits_per_byte"
    }
    assert 3.0 < metrics["bits_per_byte"] < 6.0, "letter frequencies of English cost between 4 and 5 bits"


@pytest.mark.timeout(300)
def test_a_metric_in_five_steps(copy: Copy) -> None:
    copy.run("dvc repro evaluate-by_example@dummy-texture")
    trained = (copy.root / "models/dummy-texture/model.json").stat().st_mtime_ns
    copy.follow("Add a metric")
    found = {record["variant"]: record for record in copy.records("dummy-texture") if record["metric"] == "contrast"}
    record = found[""]
    assert set(found) == {"", "task=fill"}, "every variant is measured"
    assert 0.01 < record["value"] < 0.5
    assert (copy.root / "models/dummy-texture/model.json").stat().st_mtime_ns == trained, "a metric trains nothing"


@pytest.mark.timeout(300)
def test_a_data_set_in_five_steps(copy: Copy) -> None:
    copy.follow("Add a data set")
    assert "checks" in yaml.safe_load((copy.root / "params.yaml").read_text())["datasets"]
    assert json.loads((copy.root / "data/prepared/checks/meta.json").read_text())["licence"] == "CC0-1.0"
    values = {r["metric"]: r["value"] for r in copy.records("efros-leung-checks") if r["slice"] == "checks"}
    assert values["structure_error"] < 1e-3, "checks are continued without a fault"
