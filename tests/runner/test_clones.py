"""Two workers in clones of their own, on a running Dask scheduler; all that they share is a DVC remote, here a
folder."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from .conftest import Project
from .test_run import wait_for

TARGETS = ("evaluate-words@dummy-a", "slow", "lines")
COMMIT = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qam", "remote")


@contextmanager
def background(project: Project, *command: str) -> Iterator[None]:
    """A program that runs meanwhile, in the project's folder."""
    with (project.root.parent / f"{project.root.name}-{command[0].split('.')[-1]}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=project.root,
            env=project.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)


@contextmanager
def scheduler_with(folder: Path, workers: list[Project]) -> Iterator[str]:
    """The address of a scheduler with a worker in each clone."""
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)
    local = ("--host", "127.0.0.1")
    with ExitStack() as stack:
        arguments = (
            "--port",
            "0",
            "--no-dashboard",
            "--dashboard-address",
            "127.0.0.1:0",
            "--scheduler-file",
            str(file),
        )
        stack.enter_context(background(workers[0], "distributed.cli.dask_scheduler", *local, *arguments))
        wait_for(file.is_file)
        address = json.loads(wait_for(file.read_text))["address"]
        for worker in workers:
            own = (
                "--nthreads",
                "1",
                "--no-dashboard",
                "--dashboard-address",
                "127.0.0.1:0",
                "--local-directory",
                str(folder),
            )
            stack.enter_context(background(worker, "distributed.cli.dask_worker", address, *local, *own))
        yield address


@pytest.mark.timeout(300)
def test_clones_with_nothing_but_a_remote_leave_what_a_serial_run_leaves(
    serial: Project, fresh: Project, tmp_path: Path
) -> None:
    fresh.run("dvc", "remote", "add", "shared", str(tmp_path / "remote"))
    fresh.run("git", "add", "-f", ".dvc/config")
    fresh.run(*COMMIT)
    clones = [Project(tmp_path / name) for name in ("first", "second")]
    for clone in clones:
        fresh.run("git", "clone", "-q", str(fresh.root), str(clone.root))
    assert "error: " in fresh.bench("run", "--on", "tcp://127.0.0.1:1", "--remote", "nothing", status=1)
    changed = clones[0].root / "bench/base/seeds.py"
    changed.write_text(changed.read_text(encoding="utf-8") + "# not the coordinator's\n", encoding="utf-8")
    with scheduler_with(tmp_path, clones) as address:
        wait_for(
            lambda: (
                sum(
                    (tmp_path / f"{clone.root.name}-dask_worker.log").read_text().count("Registered to")
                    for clone in clones
                )
                == 2
            )
        )
        said = fresh.bench("run", "--on", address, "--remote", "shared", "plan")
        assert f"not used: bench in {clones[0].root}" in said and "1 run" in said
        clones[0].run("git", "checkout", "-q", "bench")
        said = fresh.bench("run", "--on", address, "--remote", "shared", *TARGETS)
        assert "1 unchanged, 0 from the run cache, 7 run" in said
    expected = {path: content for path, content in serial.results().items() if "dummy-b" not in path}
    assert fresh.results() == expected
    entries, whole = (re.split(r"(?m)^(?=  \S)", project.lock()) for project in (fresh, serial))
    assert entries == [entry for entry in whole if entry in entries]  # the same bytes in the same order
    assert len(entries) == 1 + 8
    assert (
        (fresh.root / ".bench/logs/train-words@dummy-a.log")
        .read_text()
        .startswith("$ python stages/train.py dummy-a\n")
    )
    ran = [{path.name for path in (clone.root / ".bench/logs").glob("*.log")} for clone in clones]
    assert ran[0] and ran[1] and "lines.log" not in ran[0] | ran[1]  # what DVC does not keep is made here
    assert fresh.repro(*TARGETS) == []
