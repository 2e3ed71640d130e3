"""A stage's command on a worker: its own session and log file, and never longer alive than the worker or the run that
wants it.

Imported by Dask's workers, therefore by nothing but the standard library at the top.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NotRequired, TypedDict

__all__ = ["Killed", "Refused", "Result", "Task", "environment", "execute", "launch", "stop", "stopped", "tail"]

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_")
"""What Dask sets in its workers. A stage gets the coordinator's values, as `dvc repro` would give them: they can change
results."""
GRACE = 3.0
"""Seconds between asking a stage to end and killing it."""
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_stopped: set[str] = set()


class Task(TypedDict):
    """What a worker must know of a stage; plain data, so that other versions of this file can read it and refuse."""

    run: str
    """Identifies the coordinator's run, so that a stop reaches its stages only."""
    name: str
    commands: list[str]
    root: str
    folder: str
    """Where the commands run, absolute."""
    log: str
    outs: list[str]
    """Outputs to remove before each attempt, absolute: a killed one may have left a part."""
    env: dict[str, str | None]
    """Variables to set; None removes one."""
    far: NotRequired[dict[str, Any]]
    """For a worker in its own clone: the remote, the entries of what the stage reads, the hashes of the sources."""


class Result(TypedDict, total=False):
    """What came of a task.

    ``entry`` and ``log`` come from a worker in its own clone only; ``stopped`` says that the run was ended, and that no
    other attempt is wanted.
    """

    code: int
    stopped: bool
    seconds: float
    host: str
    tail: str
    entry: dict[str, Any]
    log: str


class Killed(Exception):
    """A signal ended the stage: memory ran out, a job was preempted. Worth another attempt."""


class Refused(Exception):
    """This worker cannot run the stage, and no other attempt will change that."""


def environment(changes: dict[str, str | None]) -> dict[str, str]:
    """This process's environment with ``changes``, and this Python's folder first on the path."""
    merged = {**os.environ, **changes}
    found = {key: value for key, value in merged.items() if value is not None}
    folder = str(Path(sys.executable).parent)
    if folder not in found.get("PATH", "").split(os.pathsep):
        found["PATH"] = os.pathsep.join([folder, found.get("PATH", "")])
    return found


def tail(path: Path, lines: int = 12) -> str:
    """The last lines of a log."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 16384))
        return "\n".join(file.read().decode("utf-8", errors="replace").splitlines()[-lines:])


def launch(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own that the kernel kills when the calling thread's process dies (Linux)."""
    parent = os.getpid()

    def die_with_parent() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died before the call
                os._exit(1)

    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent, **options
    )


def execute(task: Task) -> Result:
    """Run a stage's commands in the project's folder, which this machine shares with the coordinator.

    Raises:
        Killed: a signal ended a command; Dask tries again, on another worker where this one is gone.
        Refused: the folder is not here.
    """
    if not Path(task["root"], ".dvc").is_dir():
        raise Refused(
            f"{socket.gethostname()} does not see {task['root']}: share the folder, or name a DVC remote with --remote"
        )
    log = Path(task["log"])
    log.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    for out in map(Path, task["outs"]):
        if out.is_dir() and not out.is_symlink():
            shutil.rmtree(out)
        else:
            out.unlink(missing_ok=True)
    shell = shutil.which(
        "bash"
    )  # it replaces itself by a single command; dash would stay between the worker and the stage
    prefix = [shell, "--noprofile", "--norc", "-c"] if shell else ["/bin/sh", "-c"]
    code = 0
    with log.open("ab") as output:
        for command in task["commands"]:
            output.write(f"$ {command}\n".encode())
            output.flush()
            started = launch(
                [*prefix, command],
                cwd=task["folder"],
                env=environment(task["env"]),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            code = wait(started, task)
            if code:
                break
    if code < 0 and stopped(task):
        return {"code": code, "stopped": True}
    if code < 0:
        raise Killed(f"killed by {signal.Signals(-code).name} on {socket.gethostname()}\n{tail(log)}")
    return {
        "code": code,
        "seconds": time.monotonic() - start,
        "host": socket.gethostname(),
        "tail": tail(log) if code else "",
    }


def wait(process: subprocess.Popen[bytes], task: Task) -> int:
    """Wait for a process; end it, with all of its session, as soon as nobody waits for the task any more."""
    wanted = _wanted()
    while True:
        try:
            return process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            if task["run"] in _stopped or not wanted():
                break
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=GRACE)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
    return -signal.SIGTERM


def stopped(task: Task) -> bool:
    """Whether the task's run was ended."""
    return task["run"] in _stopped


def stop(run: str) -> None:
    """End all stages of a run on this worker, and begin none; called through Dask on every worker."""
    _stopped.add(run)


def _wanted() -> Callable[[], bool]:
    """Whether somebody still waits for the task of this thread.

    Nobody does once the scheduler is gone, or has dropped the task because the coordinator is: then a new run may write
        the same files.
    """
    if "distributed" not in sys.modules:
        return lambda: True
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:  # a thread of the coordinator
        return lambda: True
    key = worker.get_current_task()

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return worker.status.name in ("running", "paused") and task is not None and task.state != "cancelled"

    return wanted
