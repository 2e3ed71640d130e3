"""Nothing destroys a report: a clone has it, and lacks the evaluations, runs and data that it was made from."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bench.base.files import read_json, write_text

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = ("leaderboard.json", "leaderboard.csv", "leaderboard.md", "claims.json", "index.html", "preview.png")


class TestStage:
    @pytest.fixture
    def clone(self, small_project: Path, reports: Path) -> Path:
        shutil.copytree(reports, small_project / "reports", ignore=lambda _, names: set(names) & set(NAMES))
        assert self.write(small_project).returncode == 0
        return small_project

    def write(self, root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(REPOSITORY / "stages/report.py"), *arguments]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)

    def content(self, root: Path) -> dict[str, bytes]:
        return {name: (root / "reports" / name).read_bytes() for name in NAMES}

    @pytest.mark.parametrize(
        ("gone", "said"),
        [
            ("evaluations", "evaluations/dummy-images.json, evaluations/ngram-char.json"),
            ("evaluations/ngram-word.json", "(evaluations/ngram-word.json)"),
            ("runs/ngram-char/train.json", "(runs/ngram-char/train.json)"),
            ("data", "data/prepared/"),
        ],
    )
    def test_a_report_that_would_lack_rows_is_refused(self, clone: Path, gone: str, said: str) -> None:
        before = self.content(clone)
        (clone / gone).rename(clone / "gone")
        done = self.write(clone)
        assert done.returncode == 1
        assert said in done.stderr
        assert "Nothing was written" in done.stderr
        assert "Traceback" not in done.stderr
        assert self.content(clone) == before

    def test_what_a_profile_left_empty_is_missing_too(self, clone: Path) -> None:
        before = self.content(clone)
        (clone / "evaluations/ngram-word.json").write_text("{}")
        assert "(evaluations/ngram-word.json)" in self.write(clone).stderr
        assert self.content(clone) == before

    def test_a_page_of_what_is_here_goes_elsewhere(self, clone: Path) -> None:
        before = self.content(clone)
        (clone / "evaluations/ngram-word.json").unlink()
        assert self.write(clone, "--to", "build/report").returncode == 0
        assert self.content(clone) == before
        rows = read_json(clone / "build/report/leaderboard.json")["rows"]
        assert {row["generator"] for row in rows} == {"ngram-char", "dummy-images"}
        assert "not together with --to" in self.write(clone, "--to", "build/report", "--readme").stderr
        assert "--to: cannot write" in self.write(clone, "--to", "params.yaml/report").stderr

    def test_a_block_that_was_taken_out_takes_its_rows_out(self, clone: Path) -> None:
        text = (clone / "params.yaml").read_text()
        (clone / "params.yaml").write_text(re.sub(r"(?m)^  ngram-word:(.*\n)(    .*\n)*", "", text))
        (clone / "evaluations/ngram-word.json").unlink()
        done = self.write(clone)
        assert done.returncode == 0, done.stderr
        rows = read_json(clone / "reports/leaderboard.json")["rows"]
        assert {row["generator"] for row in rows} == {"ngram-char", "dummy-images"}

    def test_nothing_evaluated(self, small_project: Path, reports: Path) -> None:
        shutil.copytree(reports, small_project / "reports", ignore=lambda _, names: set(names) & set(NAMES))
        shutil.rmtree(small_project / "evaluations")
        assert "nothing is evaluated yet" in self.write(small_project).stderr
        assert not (small_project / "reports/index.html").exists()

    @pytest.mark.parametrize("present", [False, True], ids=["no evaluations", "some evaluations"])
    def test_dvc_keeps_the_report_when_the_stage_refuses(self, clone: Path, present: bool) -> None:
        """DVC deletes the outputs of a stage before it runs its command, unless they persist."""
        stage = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["report"]
        stage["cmd"] = f"{sys.executable} {REPOSITORY / 'stages/report.py'}"
        (clone / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"report": stage}}))
        write_text(clone / "build/plan/report.json", "{}")
        for command in (["git", "init", "-q"], ["dvc", "init", "-q"]):
            subprocess.run(command, cwd=clone, check=True)
        before = self.content(clone)
        if present:
            (clone / "evaluations/ngram-word.json").unlink()
        else:
            shutil.rmtree(clone / "evaluations")
        done = subprocess.run(["dvc", "repro", "-s", "report"], cwd=clone, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert ("ngram-word.json" if present else "evaluations") in done.stderr
        assert self.content(clone) == before
