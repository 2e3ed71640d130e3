"""`bench verify` on a real DVC pipeline: it names what DVC does not see, and its remedies mend it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.base.files import hash_file
from bench.cli import main
from bench.commands.verify import Finding, cache_folder, md5_of, verify

PIPELINE = """\
stages:
  one:
    cmd: >-
      sh -c 'mkdir -p models/one/deep models/one/deep-too && cat source.txt > models/one/a.bin &&
      echo two > models/one/deep/b.bin && echo three > models/one/deep-too/c.bin && echo one >> ran.log'
    deps: [source.txt]
    params: [block.size]
    outs: [models/one]
  two:
    cmd: sh -c 'cat models/one/a.bin > two.json && echo two >> ran.log'
    deps: [models/one]
    outs: [two.json]
  store:
    cmd: sh -c 'echo page > page.html; test -f live.db || echo 1 > live.db'
    deps: [two.json]
    outs: [live.db: {cache: false, persist: true}, page.html: {cache: false, persist: true}]
"""


def dvc(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=root, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    (root / "dvc.yaml").write_text(PIPELINE, encoding="utf-8")
    (root / "params.yaml").write_text("block: {size: 1, other: 2}\n", encoding="utf-8")
    (root / "source.txt").write_text("hello\n" * 1000, encoding="utf-8")
    dvc(root, "init", "--no-scm", "-q")
    dvc(root, "repro", "-q")
    return root


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "project", symlinks=True)
    return tmp_path / "project"


def flip(path: Path) -> None:
    """One bit, keeping size, time and mode: what DVC trusts."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(before.st_mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def cached(root: Path, path: Path) -> Path:
    digest = hash_file(path, "md5")
    return cache_folder(root) / digest[:2] / digest[2:]


def brief(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(finding.state, finding.path, finding.stage) for finding in findings]


def test_hashes_are_those_of_dvc(made: Path) -> None:
    lock = (made / "dvc.lock").read_text(encoding="utf-8")
    assert md5_of(made / "models/one") in lock
    assert md5_of(made / "models/one").endswith(".dir")
    assert md5_of(made / "two.json") in lock


def test_an_untouched_project_is_sound(project: Path) -> None:
    assert verify(project, cache=True) == []


def test_a_flipped_bit_that_dvc_serves_as_good_is_found_and_the_remedy_mends_it(project: Path) -> None:
    dvc(project, "status", "-q")  # DVC has seen the files of this copy and remembers their hashes
    flip(project / "models/one/a.bin")
    assert "up to date" in dvc(project, "status")
    (finding,) = verify(project)
    assert brief([finding]) == [("corrupt", "models/one", "one")]
    assert "a.bin" in finding.what
    assert "deep" not in finding.what
    for command in finding.remedy.split(" && "):
        words = command.split()
        dvc(project, *words[1:]) if words[0] == "dvc" else subprocess.run(words, cwd=project, check=True)
    assert verify(project) == []
    assert (project / "ran.log").read_text().split() == ["one", "two"]  # restored, not made again


def test_a_flipped_bit_in_the_cache_is_found(project: Path) -> None:
    flip(cached(project, project / "two.json"))
    assert verify(project) == []
    found = verify(project, cache=True)
    assert [finding.state for finding in found] == ["corrupt"]
    assert found[0].path.endswith(cached(project, project / "two.json").name)


def test_with_the_cache_corrupt_too_the_stage_is_to_run_again(project: Path) -> None:
    cached(project, project / "models/one/a.bin").unlink()
    flip(project / "models/one/a.bin")
    (finding,) = verify(project)
    assert finding.remedy == "dvc repro -f -s one"


def test_missing_outputs(project: Path) -> None:
    (project / "two.json").unlink()
    (project / "live.db").unlink()
    found = verify(project)
    assert brief(found) == [("missing", "two.json", "two"), ("missing", "live.db", "store")]
    assert [finding.remedy for finding in found] == ["dvc checkout two.json", "dvc repro store"]


def test_a_living_store_may_change(project: Path) -> None:
    (project / "live.db").write_text("more", encoding="utf-8")
    assert verify(project) == []


def test_a_page_that_persists_may_not(project: Path) -> None:
    (project / "page.html").write_text("pagE\n", encoding="utf-8")
    found = verify(project)
    assert brief(found) == [("corrupt", "page.html", "store")]
    assert [finding.remedy for finding in found] == ["dvc repro -f -s store"]


def test_stale_by_dependency_by_parameter_and_never_run(project: Path) -> None:
    (project / "params.yaml").write_text("block: {size: 3, other: 9}\n", encoding="utf-8")
    assert [(f.stage, f.what) for f in verify(project)] == [("one", "params.yaml: block.size changed")]
    (project / "source.txt").write_text("other", encoding="utf-8")
    assert [(f.stage, f.what) for f in verify(project)] == [
        ("one", "source.txt changed; params.yaml: block.size changed")
    ]
    more = PIPELINE + "  three: {cmd: echo 3, outs: [three.txt]}\n"
    (project / "dvc.yaml").write_text(more, encoding="utf-8")
    assert ("stale", "three.txt", "three") in brief(verify(project))


def test_a_stage_that_was_taken_out_is_not_checked(project: Path) -> None:
    (project / "dvc.yaml").write_text(PIPELINE.partition("  store:")[0], encoding="utf-8")
    (project / "live.db").unlink()
    assert verify(project) == []


def test_exit_status_and_json(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    with pytest.raises(SystemExit) as sound:
        main(["verify"])
    assert sound.value.code == 0
    (project / "two.json").unlink()
    capsys.readouterr()
    with pytest.raises(SystemExit) as broken:
        main(["verify", "--json"])
    assert broken.value.code == 1
    assert [finding["path"] for finding in json.loads(capsys.readouterr().out)] == ["two.json"]


def test_nothing_run_yet(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="dvc repro"):
        verify(tmp_path)
