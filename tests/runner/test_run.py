"""``bench run`` with two local workers against a serial ``dvc repro``, undisturbed and killed in every way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

import psutil
import pytest
import yaml

from .conftest import GATE, Project

T = TypeVar("T")


def wait_for(what: Callable[[], T], seconds: float = 60.0) -> T:
    """What ``what`` returns, once it is something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come about in time")


def stages_of(run: subprocess.Popen[str]) -> list[psutil.Process]:
    """The shells of the stage ``slow`` below a run."""
    found = []
    for process in psutil.Process(run.pid).children(recursive=True):
        try:
            if process.cmdline()[0].endswith("bash") and GATE in process.cmdline()[-1]:
                found.append(process)
        except (psutil.NoSuchProcess, IndexError):
            continue
    return found


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def listening(process: psutil.Process) -> list[str]:
    """The addresses on which a process takes connections."""
    try:
        return [socket.laddr.ip for socket in process.net_connections("inet") if socket.status == psutil.CONN_LISTEN]
    except psutil.NoSuchProcess:  # the `sleep` of a stage
        return []


def waiting_at_the_gate(run: subprocess.Popen[str], project: Project) -> psutil.Process:
    """The stage ``slow``, once everything that does not need it is done."""
    wait_for(lambda: (project.root / "page.txt").is_file() and "page:" in project.lock_text())
    return wait_for(lambda: stages_of(run))[0]


def test_two_workers_leave_what_a_serial_run_leaves(serial: Project, fresh: Project) -> None:
    fresh.bench("run", "--jobs", "2")
    assert fresh.results() == serial.results()
    assert fresh.lock() == serial.lock()
    assert (fresh.root / "threads.txt").read_text() == (serial.root / "threads.txt").read_text()
    assert (
        (fresh.root / ".bench/logs/train-words@dummy-a.log")
        .read_text()
        .startswith("$ python stages/train.py dummy-a\n")
    )
    assert fresh.repro() == []
    before = (fresh.root / "dvc.lock").stat()
    assert "14 unchanged, 0 from the run cache, 0 run" in fresh.bench("run", "--jobs", "2")
    assert (fresh.root / "dvc.lock").stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.timeout(300)
def test_kills_and_interrupts_change_nothing_in_the_end(serial: Project, fresh: Project) -> None:
    gate = fresh.root / GATE
    gate.unlink()
    run = fresh.start("run", "--jobs", "2")
    try:
        stage = waiting_at_the_gate(run, fresh)
        # Nobody else works here meanwhile, and nobody outside can reach the workers.
        assert "another dvc or bench process is at work" in fresh.bench("run", "--jobs", "2", status=1)
        assert "Unable to acquire lock" in fresh.run("dvc", "repro", status=None)
        family = [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]
        assert {address for process in family for address in listening(process)} == {"127.0.0.1"}
        # A killed worker takes its stage along, and another one tries again.
        worker = stage.parent()
        assert worker is not None and worker.pid != run.pid
        worker.kill()
        wait_for(lambda: gone(stage))
        stage = wait_for(lambda: stages_of(run))[0]
        # Ctrl-C in the terminal reaches the whole group of the run.
        os.killpg(run.pid, signal.SIGINT)
        assert run.wait(timeout=60) == 130
        assert gone(stage)
        said = run.communicate()[0]
        assert "12 run, 1 stopped" in said and "The next run goes on from here" in said
        assert "FAILED" not in said
        attempts = (fresh.root / ".bench/logs/slow.log").read_text().count("$ while")
        assert attempts == 2, "one before the worker was killed, one after it, none after Ctrl-C"
        # So does the coordinator's sudden death: no worker and no stage is left.
        run = fresh.start("run", "--jobs", "2")
        stage = wait_for(lambda: stages_of(run))[0]
        family = psutil.Process(run.pid).children(recursive=True)
        run.kill()
        run.wait()
        wait_for(lambda: all(gone(process) for process in [stage, *family]))
    finally:
        run.kill()
        run.communicate()
        gate.touch()
    assert "12 unchanged, 0 from the run cache, 2 run" in fresh.bench("run", "--jobs", "2")
    assert (fresh.results(), fresh.lock()) == (serial.results(), serial.lock())
    assert fresh.repro() == []


def test_a_stopped_stage_may_take_its_time_then_it_is_killed(fresh: Project) -> None:
    """A stage that ignores the request to end, and its children, are killed; results from before are kept."""
    stages = {
        "quick": {"cmd": "echo 1 > quick.txt", "outs": ["quick.txt"]},
        "deaf": {
            "cmd": f"trap '' TERM; (while [ ! -e {GATE} ]; do sleep 0.1; done)",
            "deps": ["quick.txt"],
            "outs": ["deaf.txt"],
        },
    }
    (fresh.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (fresh.root / GATE).unlink()
    run = fresh.start("run", "--jobs", "2")
    found = wait_for(lambda: stages_of(run))
    run.send_signal(signal.SIGTERM)
    assert run.wait(timeout=60) == 130
    wait_for(lambda: all(gone(process) for process in found))
    assert (fresh.root / ".bench/logs/deaf.log").read_text().count("$ trap") == 1
    assert fresh.lock_text().count("cmd:") == 1


def test_a_failed_stage_stops_only_what_depends_on_it(fresh: Project) -> None:
    stages = {
        "bad": {"cmd": ["echo a word before", "echo half > bad.txt; exit 3", "echo never"], "outs": ["bad.txt"]},
        "after": {"cmd": "cp bad.txt after.txt", "deps": ["bad.txt"], "outs": ["after.txt"]},
        "forgetful": {"cmd": "true", "outs": ["forgotten.txt"]},
        "shot": {"cmd": "echo once more >> shots; kill -9 $$", "outs": ["shot.txt"]},
        "good": {"cmd": "echo 1 > good.txt", "outs": ["good.txt"]},
        "better": {"cmd": "cp good.txt better.txt", "deps": ["good.txt"], "outs": ["better.txt"]},
    }
    (fresh.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    said = fresh.bench("run", "--jobs", "2", status=1)
    assert "0 unchanged, 0 from the run cache, 2 run, 3 failed, 1 not begun" in said
    assert "failed: bad: exit status 3" in said and "a word before" in said
    assert "failed: forgetful: " in said and "forgotten.txt" in said
    assert "killed by SIGKILL" in said
    assert (fresh.root / ".bench/logs/bad.log").read_text().count("$ echo half") == 1  # an exit status is an answer
    assert (fresh.root / "shots").read_text() == "once more\n" * 3  # a signal may be an accident
    assert (fresh.root / "better.txt").is_file() and not (fresh.root / "after.txt").exists()
    names = list(yaml.safe_load(fresh.lock_text())["stages"])
    assert sorted(names) == ["better", "good"]


def test_a_name_that_nobody_knows_is_one_message(fresh: Project) -> None:
    said = fresh.bench("run", "train-words@nobody", status=1)
    assert said.startswith("error: ") and "train-words@nobody" in said and "Traceback" not in said
    assert "error: --on slrum: no such place. Did you mean 'slurm'?" in fresh.bench("run", "--on", "slrum", status=1)


def test_stages_that_name_a_gpu_get_one_each(fresh: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what the plan says; no GPU is touched, so that two numbers in the environment are as good as two GPUs."""
    plan = {"settings": {"runtime": {"device": "cuda", "threads": 1}}, "code": {"packages": {"torch": "2"}}}
    (fresh.root / "build/plan").mkdir(parents=True)
    (fresh.root / "build/plan/torch.json").write_text(json.dumps(plan))
    command = (
        "echo $CUDA_VISIBLE_DEVICES >> seen.txt; mkdir busy-$CUDA_VISIBLE_DEVICES; sleep 0.3; rmdir "
        "busy-$CUDA_VISIBLE_DEVICES"
    )
    stages = {
        f"gpu-{number}": {
            "cmd": f"{command}; echo > {number}.txt",
            "deps": ["build/plan/torch.json"],
            "outs": [f"{number}.txt"],
        }
        for number in range(4)
    }
    (fresh.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "names a GPU, and no worker has one" in fresh.bench("run", "--jobs", "2", status=1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    assert "4 run" in fresh.bench(
        "run", "--jobs", "2"
    )  # a second one on the same GPU at the same time would fail at mkdir
    assert (fresh.root / "seen.txt").read_text() == "5\n" * 4
