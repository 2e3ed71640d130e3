"""Follows docs/bring-your-own-data.md to the letter: writes its files, merges its blocks, runs its commands, in its
order."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.data.card_reader import load_card
from bench.results.records import Record

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
def test_the_worked_example_works(tmp_path: Path, copy_of_project: Callable[..., Any]) -> None:
    project = copy_of_project(tmp_path / "project")
    results = []
    for action, content in blocks():
        kind, _, target = action.partition(": ")
        if kind == "file":
            (project.root / target).write_text(content, encoding="utf-8")
        elif kind == "merge":
            project.merge(target, content)
        elif kind == "run":
            project.run(content)
            if "stages/" in content or "dvc" in content:
                results.append(best(project.records("ngram-manuals")))
    meta = json.loads((project.root / "data/prepared/manuals/meta.json").read_text())
    assert meta["licence"] == "PSF-2.0"
    assert meta["splits"]["test"] == len((project.root / "my-texts/json.txt").read_text(encoding="utf-8"))
    # Once by DVC, once stage by stage: the same scores.
    assert len(results) == 2
    assert results[0] == results[1]
    assert 1.0 < results[0]["bits_per_byte"] < 5.0


def best(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The best value of each metric that does not depend on the clock."""
    found: dict[str, float] = {}
    for record in map(Record.from_json, rows):
        if record.unit not in ("s", "bytes", "x") and record.value is not None:
            found[record.metric] = min(record.value, found.get(record.metric, float("inf")))
    return found
