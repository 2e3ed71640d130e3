"""Workers without a shared folder: each in a clone of its own, and a DVC remote that all reach.

The coordinator pushes what a stage reads and sends the lock entries of the stages that made it. The worker compares its
code, pulls, runs the command, pushes what came out and returns the stage's lock entry and log. The coordinator pulls
and keeps the books as ever. On the worker this happens in a process of its own (``python -m bench.runner.clone``), in
the clone's own code.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.runner.bookkeeping import Clone, Pipeline
from bench.runner.lockfile import write_whole
from bench.runner.process import Killed, Refused, Result, Task, environment, execute, launch, stopped, wait

__all__ = ["FOLDER", "Carrier", "execute_in_clone", "objection"]

FOLDER = "BENCH_CLONE"
"""The variable that names a worker's clone; without it the clone is where the worker was started."""


class Carrier:
    """The coordinator's side.

    Args:
        pipeline: of this run.
        remote: the name of a DVC remote in the project's configuration.
    """

    def __init__(self, pipeline: Pipeline, remote: str) -> None:
        self._pipeline, self._remote = pipeline, remote
        self._there: set[str] = set()
        pipeline.check_remote(remote)
        self._sources = pipeline.sources()
        self.function: Callable[[Task], Result] = execute_in_clone
        self.objection: Callable[[], str] = partial(objection, self._sources, next(iter(pipeline.upstream)))

    def stays_here(self, name: str) -> bool:
        """Whether a stage reads what DVC does not keep, so that it cannot be pushed."""
        return any(self._pipeline.stays_here(up) for up in self._pipeline.upstream[name])

    def send(self, task: Task) -> None:
        """Push what a stage reads, once; put into its task what the worker needs to pull it and to check its code."""
        upstream = self._pipeline.upstream[task["name"]]
        for name in upstream:
            if name not in self._there:
                self._pipeline.push(name, self._remote)
                self._there.add(name)
        entries = {name: self._pipeline.entry(name) for name in upstream}
        task["far"] = {"remote": self._remote, "entries": entries, "sources": self._sources}

    def take(self, name: str, result: Result) -> None:
        """Pull what a worker pushed."""
        self._pipeline.pull(name, result["entry"], self._remote)
        self._there.add(name)


def _folder() -> Path:
    """This worker's clone."""
    return Path(os.environ.get(FOLDER) or os.getcwd()).resolve()


def objection(sources: dict[str, str], name: str) -> str:
    """On a worker: why it cannot run stages of a coordinator with these ``sources``, ``name`` among them; empty if it
    can."""
    try:
        return str(_process({"check": sources, "name": name}, None)["objection"])
    except (Refused, Killed) as error:
        return str(error)


def execute_in_clone(task: Task) -> Result:
    """On a worker: pull, run, push.

    Raises:
        Refused: there is no clone here, or its code is not the coordinator's.
        Killed: a signal ended the stage.
    """
    answer = _process({"task": task, "name": task["name"]}, task)
    if "refused" in answer:
        raise Refused(answer["refused"])
    if "stopped" in answer:
        return {"code": -signal.SIGTERM, "stopped": True}
    if "killed" in answer:
        raise Killed(answer["killed"])
    result: Result = answer["result"]
    return result


def _process(order: dict[str, Any], task: Task | None) -> dict[str, Any]:
    """Run :func:`main` in the clone, in a process that dies with this worker."""
    folder = _folder()
    if not (folder / ".dvc").is_dir():
        raise Refused(
            f"{socket.gethostname()}: {folder} is no clone of the project: start workers in one, or name it in {FOLDER}"
        )
    place = folder / ".bench" / "orders"
    file = place / f"{os.getpid()}-{order['name'].replace('/', '-')}.json"
    write_whole(file, json.dumps(order))
    try:
        with file.with_suffix(".log").open("wb") as log:
            command = [sys.executable, "-m", "bench.runner.clone", str(file)]
            started = launch(command, cwd=folder, env=environment({}), stdout=log, stderr=subprocess.STDOUT)
            code = wait(started, task) if task is not None else started.wait(timeout=600)
        if code < 0 and task is not None and stopped(task):
            return {"stopped": True}
        if code < 0:
            raise Killed(f"the process of {order['name']} was killed by signal {-code} on {socket.gethostname()}")
        if code:
            raise Refused(f"{socket.gethostname()}: {file.with_suffix('.log').read_text(errors='replace')[-2000:]}")
        answer: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return answer
    finally:
        file.unlink(missing_ok=True)
        file.with_suffix(".log").unlink(missing_ok=True)


def main(file: Path) -> None:
    """In the clone: carry out the order in ``file`` and write the answer over it. One order at a time in a clone."""
    order = json.loads(file.read_text(encoding="utf-8"))
    root = Path.cwd()
    with (root / ".bench" / "clone.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            clone = Clone(root, order["name"])
            if "check" in order:
                answer: dict[str, Any] = {"objection": _difference(clone, root, order["check"])}
            else:
                answer = _carry_out(clone, root, order["task"])
        except BenchError as error:
            answer = {"objection": str(error)} if "check" in order else {"refused": f"{socket.gethostname()}: {error}"}
    write_whole(file, json.dumps(answer))


def _difference(clone: Clone, root: Path, sources: dict[str, str]) -> str:
    path = clone.difference(sources)
    return (
        f"{path} in {root} on {socket.gethostname()} is not the coordinator's: bring the clone to the same commit"
        if path
        else ""
    )


def _carry_out(clone: Clone, root: Path, task: Task) -> dict[str, Any]:
    far = task["far"]
    if different := _difference(clone, root, far["sources"]):
        return {"refused": different}
    clone.pull(far["entries"], far["remote"])
    there = Path(task["root"])
    own: Task = {
        **task,
        "root": str(root),
        "folder": str(root / Path(task["folder"]).relative_to(there)),
        "log": str(root / Path(task["log"]).relative_to(there)),
        "outs": [str(root / Path(out).relative_to(there)) for out in task["outs"]],
        "env": {**task["env"], "DVC_ROOT": str(root)},
    }
    log = Path(own["log"])
    log.unlink(missing_ok=True)
    try:
        result = execute(own)
    except Killed as error:
        return {"killed": str(error)}
    result["log"] = log.read_text(encoding="utf-8", errors="replace")
    if not result["code"]:
        result["entry"] = clone.push(far["remote"])
    return {"result": result}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
