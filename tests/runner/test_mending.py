"""A lock file that was cut off, at any byte, is mended with a word; what it lost comes back from the run cache."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils.serialize import dumps_yaml

from bench.base.errors import BenchError
from bench.commands.run import default_jobs
from bench.runner import lockfile
from bench.runner.lockfile import LockText, mend, problem

from .conftest import ROOT, Project

REAL = (ROOT / "dvc.lock").read_text(encoding="utf-8")


def in_git(root: Path, lock: str) -> None:
    (root / "dvc.lock").write_text(lock, encoding="utf-8")
    for command in ("init -q", "add dvc.lock", "-c user.name=t -c user.email=t@example.org commit -qm lock"):
        subprocess.run(["git", *command.split()], cwd=root, check=True)


def test_a_lock_cut_at_every_hundredth_byte_is_restored_or_whole_as_far_as_it_goes(
    serial: Project, tmp_path: Path
) -> None:
    (tmp_path / ".dvc").mkdir()
    path = tmp_path / "dvc.lock"
    whole = serial.lock_text()
    lockfile.save(tmp_path, path, whole)
    assert mend(tmp_path) == [] and path.read_text(encoding="utf-8") == whole
    full = yaml.load(whole, yaml.CSafeLoader)["stages"]
    ends = [index + 1 for index, letter in enumerate(whole) if letter == "\n"]  # there a cut file may still be YAML
    for cut in sorted({*range(0, len(whole), 100), *ends[::3]}):
        path.write_text(whole[:cut], encoding="utf-8")
        said = mend(tmp_path)
        found = path.read_text(encoding="utf-8")
        if found == whole[:cut] and not said:
            stages = COMPILED_LOCKFILE_SCHEMA(yaml.load(found, yaml.CSafeLoader))["stages"]
            for (
                name,
                entry,
            ) in stages.items():  # nothing in it is wrong; what lacks, or has half a command, is stale for DVC
                assert entry["cmd"] == full[name]["cmd"] or (name == list(stages)[-1] and list(entry) == ["cmd"])
                assert all(item in full[name][part] for part in ("deps", "outs") for item in entry.get(part, []))
        else:
            assert found == whole
            assert (
                len(said) == 1
                and said[0].startswith("dvc.lock was broken")
                and "restored from the copy of the last run" in said[0]
            )


def test_without_a_copy_git_has_one_and_without_git_it_goes(tmp_path: Path) -> None:
    for root in (tmp_path / "git", tmp_path / "bare"):
        (root / ".dvc").mkdir(parents=True)
    in_git(tmp_path / "git", REAL)
    (tmp_path / "git/dvc.lock").write_text(REAL[:5000], encoding="utf-8")
    (tmp_path / "bare/dvc.lock").write_text(REAL[:5000], encoding="utf-8")
    assert "restored from git" in mend(tmp_path / "git")[0]
    assert (tmp_path / "git/dvc.lock").read_text(encoding="utf-8") == REAL
    assert "there was no copy: removed" in mend(tmp_path / "bare")[0]
    assert not (tmp_path / "bare/dvc.lock").exists()
    assert (tmp_path / "bare/.dvc/tmp/bench/dvc.lock.broken").read_text(encoding="utf-8") == REAL[:5000]


def test_a_broken_rwlock_goes_and_a_whole_one_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockfile.time, "sleep", lambda seconds: None)
    path = tmp_path / ".dvc/tmp/rwlock"
    path.parent.mkdir(parents=True)
    holder = {"pid": 1, "cmd": "dvc repro"}
    real = json.dumps(
        {"write": {f"models/{i}": holder for i in range(20)}, "read": {f"data/{i}": [holder] for i in range(20)}}
    )
    for cut in range(0, len(real), 100):
        path.write_text(real[:cut], encoding="utf-8")
        assert mend(tmp_path) == [".dvc/tmp/rwlock was broken: removed; it holds nothing but who is at work now"]
        assert not path.exists()
    path.write_text(real, encoding="utf-8")
    assert mend(tmp_path) == [] and path.read_text(encoding="utf-8") == real


def test_the_commands_mend_and_lose_nothing(serial: Project, tmp_path: Path) -> None:
    """Where no copy is left at all, the run cache alone gives the results back, except those that DVC does not keep."""
    project = serial.copy(tmp_path / "project")
    whole = project.lock_text()
    (project.root / "dvc.lock").write_text(whole[: len(whole) // 2 - 3], encoding="utf-8")
    (project.root / ".dvc/tmp/rwlock").write_text('{"write": {"mod', encoding="utf-8")
    said = project.bench("run", "--jobs", "2")
    assert "dvc.lock was broken" in said and "rwlock was broken" in said
    assert "0 unchanged, 11 from the run cache, 3 run" in said
    assert project.lock_text() == whole
    (project.root / "dvc.lock").write_text(whole[:-3], encoding="utf-8")
    said = project.bench("doctor", status=None)
    assert "dvc.lock was broken" in said and "restored from the copy of the last run" in said
    assert project.lock_text() == whole
    assert project.repro() == []


def test_the_pieces_of_a_lock_make_its_bytes() -> None:
    """A lock file put together from pieces is what DVC's own dumper makes of the whole."""
    data = yaml.load(REAL, yaml.CSafeLoader)
    names = list(data["stages"])
    text = LockText(REAL, dumps_yaml)
    assert text.text(names) == REAL == dumps_yaml(data)
    for name in names[::7]:
        data["stages"][name]["cmd"] = f"python 'a: b' # {name}\n  x"
        text.update(name, data["stages"][name])
    order = names[100:] + names[:50]
    data["stages"] = {name: data["stages"][name] for name in order + names[50:100]}
    assert text.text(order) == dumps_yaml(data)
    assert problem(text.text(order)) == ""
    odd = {
        "schema": "2.0",
        "datasets": [{"name": "d"}],
        "stages": {"a": data["stages"]["report"], "on": data["stages"]["plan"]},
    }
    by_hand = yaml.safe_dump(odd, default_flow_style=True, sort_keys=False)
    assert LockText(by_hand, dumps_yaml).text(["a", "on"]) == dumps_yaml(odd)
    assert LockText("", dumps_yaml).text([]) == "schema: '2.0'\nstages: {}\n"


def test_more_threads_than_cores_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.commands import run

    monkeypatch.setattr(run, "cores", lambda: 4)
    assert (default_jobs(1), default_jobs(2), default_jobs(3), default_jobs(8)) == (4, 2, 1, 1)
    assert run._checked_jobs(None, 2) == 2
    assert run._checked_jobs(2, 2) == 2
    assert run._checked_jobs(1, 8) == 1  # as a plain `dvc repro` does it
    with pytest.raises(
        BenchError, match=r"--jobs 3: each stage uses 2 threads .* 6 in all, and there are 4 cores: at most --jobs 2"
    ):
        run._checked_jobs(3, 2)
