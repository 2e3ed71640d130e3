"""Follows docs/bring-your-own-data.md to the letter: writes its files, merges its blocks, runs its commands, in its
order."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bench.config.load import merge
from bench.data.card_reader import load_card

ROOT = Path(__file__).parents[2]
DOC = ROOT / "docs" / "bring-your-own-data.md"
BLOCK = re.compile(r"<!-- (run|card|file: \S+|merge: \S+) -->\n```\w+\n(.*?)```", re.S)


def blocks() -> list[tuple[str, str]]:
    """(what to do, content) of the marked blocks of the page."""
    return BLOCK.findall(DOC.read_text(encoding="utf-8"))


def test_every_code_block_of_the_page_is_followed() -> None:
    assert DOC.read_text(encoding="utf-8").count("```") == 2 * len(blocks())
    assert {action.split(":")[0] for action, _ in blocks()} == {"run", "card", "file", "merge"}


@pytest.mark.parametrize("content", [content for action, content in blocks() if action == "card"])
def test_the_example_cards_are_right(tmp_path: Path, content: str) -> None:
    path = tmp_path / "card.yaml"
    path.write_text(content, encoding="utf-8")
    assert load_card(path).licence


@pytest.mark.timeout(300)
def test_the_worked_example_works(tmp_path: Path) -> None:
    project = tmp_path / "project"
    for name in ("bench", "stages", "datasets"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("params.yaml", "dvc.yaml", "constraints.txt", "pyproject.toml"):
        shutil.copy2(ROOT / name, project / name)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {
        **os.environ,
        "PATH": path,
        "PYTHONPATH": str(project),
        "DVC_NO_ANALYTICS": "1",
        "OMP_NUM_THREADS": "1",
    }

    def run(command: str) -> None:
        done = subprocess.run(
            ["bash", "-ec", command], cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        assert not done.returncode, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"

    run("dvc init -q --no-scm")
    results = []
    for action, content in blocks():
        kind, _, target = action.partition(": ")
        if kind == "file":
            (project / target).write_text(content, encoding="utf-8")
        elif kind == "merge":
            file = project / target
            file.write_text(
                yaml.safe_dump(merge(yaml.safe_load(file.read_text()), yaml.safe_load(content)), sort_keys=False)
            )
        elif kind == "run":
            run(content)
            if "stages/" in content or "dvc" in content:
                results.append(evaluation(project))
    meta = json.loads((project / "data/prepared/manuals/meta.json").read_text())
    assert meta["licence"] == "PSF-2.0"
    assert meta["splits"]["test"] == len((project / "my-texts/json.txt").read_text(encoding="utf-8"))
    # Once by DVC, once stage by stage: the same scores.
    assert len(results) == 2
    assert results[0] == results[1]
    assert 1.0 < results[0]["bits_per_byte"] < 5.0


def evaluation(project: Path) -> dict[str, float]:
    """The best value of each metric that does not depend on the clock."""
    records = json.loads((project / "evaluations/ngram-manuals.json").read_text())["records"]
    found: dict[str, float] = {}
    for record in records:
        if record["unit"] not in ("s", "bytes", "x") and record["value"] is not None:
            found[record["metric"]] = min(record["value"], found.get(record["metric"], float("inf")))
    return found
