"""Follows CONTRIBUTING.md to the letter, in a copy of the project: writes, inserts and runs what its marked blocks say,
in their order."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.config.load import set_profile

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"<!-- (run|file|merge|line)(?:: (\S+))? -->\n```\w+\n(.*?)```", re.S)
LINE_ENDS = {
    "bench/catalogue/families.py": ")\nFAMILIES",
    "bench/catalogue/metrics.py": ")\n\n",
    "bench/catalogue/scorers.py": "}\n",
    "bench/catalogue/systems.py": "}\n",
    "bench/testing/outputs.py": "}\n",
}
"""What closes the table that a new line goes to."""
TITLES = ["Add a generator", "Add a scorer", "Add a data set", "Add a family"]


def section(title: str) -> list[tuple[str, str, str]]:
    """(what to do, to which file, content) of the marked blocks of one part of the page."""
    text = PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    return BLOCK.findall(text)


def follow(copy: Any, title: str) -> str:
    """Do what the blocks of a part say; what the commands printed."""
    printed = []
    for action, target, content in section(title):
        if action == "run":
            printed.append(copy.run(content))
        elif action == "file":
            (copy.root / target).write_text(content, encoding="utf-8")
        elif action == "merge":
            copy.merge(target, content)
        else:
            copy.insert(target, LINE_ENDS[target], content)
    return "\n".join(printed)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory, copy_of_project: Callable[..., Any]) -> Any:
    """A copy of the project with the smoke profile set and the archives that are there already."""
    made = copy_of_project(tmp_path_factory.mktemp("contributor") / "project", also=("docs", "tests/contracts"))
    (made.root / "tests/metrics").mkdir()
    set_profile(made.root / "params.yaml", "smoke")
    return made


@pytest.mark.parametrize("title", TITLES)
def test_five_steps_and_every_code_block_is_followed(title: str) -> None:
    text = PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    assert re.findall(r"^\*\*(\d)\. ", text, re.M) == list("12345")
    shown = text.count("```toml")  # entry points belong to another package
    assert text.count("```") == 2 * (len(section(title)) + shown)


def test_every_part_is_followed() -> None:
    assert re.findall(r"^## (Add .*)$", PAGE, re.M) == TITLES


@pytest.mark.timeout(300)
def test_a_generator_in_five_steps(copy: Any) -> None:
    printed = follow(copy, "Add a generator")
    assert re.search(r"[1-9]\d* passed", printed), "the contract suite found the new block"
    assert "failed" not in printed
    metrics = {
        record["metric"]: record["value"]
        for record in copy.records("letters-shakespeare")
        if record["metric"] == "bits_per_byte"
    }
    assert 3.0 < metrics["bits_per_byte"] < 6.0, "letter frequencies of English cost between 4 and 5 bits"


@pytest.mark.timeout(300)
def test_a_scorer_in_five_steps(copy: Any) -> None:
    copy.run("dvc repro sample-by_example@dummy-texture")
    sampled = (copy.root / "samples/dummy-texture.npz").stat().st_mtime_ns
    follow(copy, "Add a scorer")
    records = copy.records("dummy-texture")
    assert {record["metric"] for record in records} == {"contrast"}, "a block that lists scorers has these alone"
    for record in records:
        assert 0.01 < record["value"] < 0.5
        assert record["ci95"][0] <= record["value"] <= record["ci95"][1]
    assert (copy.root / "samples/dummy-texture.npz").stat().st_mtime_ns == sampled, (
        "a scorer trains and samples nothing"
    )


@pytest.mark.timeout(300)
def test_a_data_set_in_five_steps(copy: Any) -> None:
    follow(copy, "Add a data set")
    assert "checks" in yaml.safe_load((copy.root / "params.yaml").read_text())["datasets"]
    assert json.loads((copy.root / "data/prepared/checks/meta.json").read_text())["licence"] == "CC0-1.0"
    values = {r["metric"]: r["value"] for r in copy.records("efros-leung-checks") if r["slice"] == "checks"}
    assert values["structure_error"] < 1e-3, "checks are continued without a fault"


@pytest.mark.timeout(300)
def test_a_family_in_five_steps(copy: Any) -> None:
    copy.run("python stages/plan.py")
    plans = {path.name: path.read_bytes() for path in (copy.root / "build/plan").glob("train-*.json")}
    printed = follow(copy, "Add a family")
    assert re.search(r"[1-9]\d* passed", printed), "the contract suite found the new blocks"
    assert "failed" not in printed
    for name, plan in plans.items():
        assert (copy.root / "build/plan" / name).read_bytes() == plan, f"a new family makes {name} stale"
    found = {
        name: {record["slice"]: record["value"] for record in copy.records(name)} for name in ("median-3", "noisy")
    }
    assert found["noisy"]["sigma=10.0"] == pytest.approx(20 * math.log10(255 / 10), abs=0.3), "the noise that was asked"
    assert all(found["median-3"][sigma] > found["noisy"][sigma] for sigma in ("sigma=25.0", "sigma=50.0"))
    leaderboard = json.loads((copy.root / "build/report/leaderboard.json").read_text())["rows"]
    assert {row["generator"] for row in leaderboard if row["family"] == "denoising"} == {"median-3", "noisy"}
    assert "### Settings of median-3: Denoising · textures" in (copy.root / "build/report/leaderboard.md").read_text()
    said = copy.run("python -m bench sample median-3 2>&1", check=False)
    assert "'median-3' is of contract Denoiser" in said and "dvc repro sample-denoising@median-3" in said
