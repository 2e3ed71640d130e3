"""A plug-in from its installation to the page: its tests, its stages, its rows, its figures' direction and unit."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.catalogue.families import FAMILIES
from bench.testing.data import SONNET

PLUGIN = Path(__file__).parent / "letter-cache"
OURS = FAMILIES["words"].task("LanguageModel").scorers
PARAMS = f"""\
profile: cpu
seed: 0
runtime: {{device: cpu, threads: 1}}
datasets:
  verse: {{card: datasets/verse.yaml}}
derived_datasets: {{}}
words:
  cache-verse:
    system: letter_cache
    dataset: verse
    model: {{window: 100, share: 0.2}}
    sample: {{texts: 6, characters: 200, variants: [{{share: 0.0}}, {{share: 0.2}}], prompts: ["", "Shall I"]}}
    evaluate: &variety {{variety_words: 10}}
    scorers: {json.dumps([*OURS, "lexical_variety"])}
  ngram-verse:
    system: ngram
    dataset: verse
    model: {{order: 2}}
    sample: {{texts: 6, characters: 200, prompts: ["", "Shall I"]}}
    evaluate: *variety
    scorers: [lexical_variety]
"""
CARD = """\
name: verse
kind: text
licence: public domain
attribution: William Shakespeare
sources:
  - path: my-verse
split: {rule: works, validation: [b.txt], test: [c.txt]}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip installed the plug-in to."""
    source, site = tmp_path_factory.mktemp("source") / "letter-cache", tmp_path_factory.mktemp("env") / "site"
    shutil.copytree(PLUGIN, source, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-index", "--no-deps"]
    command = [*pip, "--no-build-isolation", "--target", str(site), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return site


@pytest.fixture(scope="module")
def project(site: Path, tmp_path_factory: pytest.TempPathFactory, copy_of_project: Callable[..., Any]) -> Any:
    """A project of two blocks on a text of one's own, run to the report."""
    copy = copy_of_project(tmp_path_factory.mktemp("user") / "project", PARAMS, path=(site,))
    (copy.root / "datasets" / "verse.yaml").write_text(CARD)
    (copy.root / "my-verse").mkdir()
    for name, times in (("a", 6), ("b", 1), ("c", 1)):
        (copy.root / "my-verse" / f"{name}.txt").write_text(SONNET * times)
    schema = yaml.safe_load((copy.root / "reports/schema.yaml").read_text())
    table = {"id": "variety", "title": "Variety", "rank_by": "type_token_ratio", "columns": ["type_token_ratio"]}
    schema["families"]["words"]["tables"].append(table)
    (copy.root / "reports/schema.yaml").write_text(yaml.safe_dump(schema, sort_keys=False))
    copy.run("python -m bench graph")
    copy.ran = copy.repro("report")
    return copy


def test_it_passes_the_contract_suite_by_itself(site: Path, project: Any) -> None:
    shutil.copytree(PLUGIN / "tests", project.root / "plugin-tests")
    printed = project.run("python -m pytest -p no:cacheprovider plugin-tests")
    assert "11 passed" in printed


def test_its_stages_ran(project: Any) -> None:
    stages = {
        f"{stage}-words@{name}" for stage in ("train", "sample", "evaluate") for name in ("cache-verse", "ngram-verse")
    }
    assert set(project.ran) == {"plan", "fetch@verse", "prepare@verse", "report", *stages}
    plan = json.loads((project.root / "build/plan/evaluate-cache-verse.json").read_text())
    own = {name for name in plan["code"]["files"] if name.startswith("letter_cache/")}
    assert own == {f"letter_cache/{name}.py" for name in ("__init__", "model", "counting", "lexical_variety")}
    assert plan["settings"]["scorers"] == [*OURS, "lexical_variety"]


def test_its_rows_are_in_the_leaderboard_with_direction_and_unit(project: Any) -> None:
    rows = json.loads((project.root / "reports/leaderboard.json").read_text())["rows"]
    mine = [row for row in rows if row["metric"] == "type_token_ratio"]
    assert {(row["generator"], row["variant"]) for row in mine} == {
        ("cache-verse", "share=0.0"),
        ("cache-verse", "share=0.2"),
        ("ngram-verse", ""),
    }
    for row in mine:
        assert (row["higher_is_better"], row["unit"], row["family"]) == (True, "types", "words")
        assert row["ci95"][0] <= row["value"] <= row["ci95"][1]
        assert 1 < row["n"] <= 6
    found = {row["metric"] for row in rows if row["generator"] == "cache-verse" and row["split"] == "test"}
    assert ("bits_per_byte" in found) == bool(OURS), "our scorers ran beside its own"


def test_its_rows_are_on_the_page(project: Any) -> None:
    row = next(row for row in project.records("ngram-verse") if row["metric"] == "type_token_ratio")
    page = re.sub(r"<[^>]+>", " ", (project.root / "reports/index.html").read_text())
    for text in (page, (project.root / "reports/leaderboard.md").read_text()):
        assert re.search(r"Types per 100 tokens\s+↑", text)
        assert f"{row['value']:.1f} types" in text


def test_a_change_of_its_code_is_seen_by_the_plan(site: Path, project: Any) -> None:
    path = site / "letter_cache" / "lexical_variety.py"
    path.write_text(path.read_text().replace(r"\w+", r"\w"))  # letters instead of words
    project.repro("--force --single-item plan")
    assert project.repro("report") == ["evaluate-words@cache-verse", "evaluate-words@ngram-verse", "report"]
