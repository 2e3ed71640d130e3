"""The loop that joins DVC's bookkeeping and Dask's workers: what has ended is taken before anything new begins."""

from __future__ import annotations

import json
import queue
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Protocol

from bench.base.errors import BenchError
from bench.runner.bookkeeping import WRITE_EVERY, Pipeline
from bench.runner.engine import Engine, thread_environment
from bench.runner.estimates import Durations, longest_paths
from bench.runner.process import Result, Task
from bench.runner.view import Progress, View

__all__ = ["Carrier", "Loop", "wants_gpu"]

PATIENCE = 15.0
"""Seconds in which stopped stages must have ended."""


class Carrier(Protocol):
    """Moves files between this folder and workers that do not share it (:class:`bench.runner.clone.Carrier`)."""

    def send(self, task: Task) -> None:
        """Make what a stage reads available, add to its task what a worker needs to get it."""

    def take(self, name: str, result: Result) -> None:
        """Bring what a stage wrote into this folder."""

    def stays_here(self, name: str) -> bool:
        """Whether a stage reads what cannot be moved."""

    function: Callable[[Task], Result]
    """What the workers run."""
    objection: Callable[[], str]
    """What the workers are asked first; a text is a refusal."""


def wants_gpu(inputs: list[Path]) -> str:
    """``cuda`` or ``auto`` if a stage's plan says that it computes on a GPU, or on one where there is one; else
    empty."""
    for path in inputs:
        if path.parent.name == "plan" and path.suffix == ".json" and path.is_file():
            plan = json.loads(path.read_text(encoding="utf-8"))
            device = str(plan.get("settings", {}).get("runtime", {}).get("device", "cpu"))
            if "torch" in plan.get("code", {}).get("packages", {}) and device != "cpu":
                return device.partition(":")[0]
    return ""


class Loop:
    """One run of a pipeline.

    Args:
        pipeline: opened.
        engine: starts workers, when the first stage must run.
        view: shows what happens.
        durations: for the order and the time left.
        carrier: None where the workers share this folder.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        engine: Callable[[], AbstractContextManager[Engine]],
        view: Callable[[Progress], View],
        durations: Durations,
        carrier: Carrier | None = None,
    ) -> None:
        self._pipeline, self._start_engine, self._durations, self._carrier = pipeline, engine, durations, carrier
        self._paths = longest_paths(pipeline.upstream, durations)
        self._order = TopologicalSorter(pipeline.upstream)
        self._waiting: list[str] = []
        self._resource: dict[str, str] = {}
        self._engine: Engine | None = None
        self._stack = ExitStack()
        self._environment = thread_environment()  # now: Dask changes it in this process too, when it starts workers
        self._run = uuid.uuid4().hex[:8]
        self.failures: dict[str, str] = {}
        """Failed stage -> its last lines."""
        self.progress = Progress(len(pipeline.upstream), self._left)
        self._view = view(self.progress)
        self._told_to_wait = False

    def run(self) -> None:
        """All stages, as far as they go.

        Raises:
            KeyboardInterrupt: after all running stages were ended and what had finished was saved.
        """
        self._order.prepare()
        with self._stack, self._view:
            try:
                while True:
                    while self._take(block=False):
                        pass
                    if self._begin():
                        continue
                    if not self.progress.running and not self._waiting:
                        break
                    self._take(block=True)
            except KeyboardInterrupt:
                self._stop()
                raise
            finally:
                self._durations.save()

    def _begin(self) -> bool:
        """Begin the stage that has the longest path before it, of those for which there is room; False if there is
        none."""
        self._waiting += self._order.get_ready()
        self._waiting.sort(key=lambda name: (-self._paths[name], name))
        for name in self._waiting:
            if self._room(name):
                self._waiting.remove(name)
                self._begin_one(name)
                return True
        return False

    def _begin_one(self, name: str) -> None:
        try:
            state = self._pipeline.begin(name)
        except BenchError as error:
            self._fail(name, str(error))
            return
        if state == "run":
            self._engine = self._engine or self._started()
            try:
                self._submit(name, self._engine)
            except BenchError as error:
                self._fail(name, str(error))
            return
        if state == "cached":
            self._view.ended(name, "from the run cache")
            self.progress.cached += 1
        else:
            self.progress.same += 1
        self._order.done(name)

    def _room(self, name: str) -> bool:
        """Whether a worker is free for a stage.

        Where there are many, a few stages wait at them, so that these never wait for DVC; where there are few, a stage
        that waits would wait behind the longest training.
        """
        if self._engine is None:
            return True
        slots = self._engine.slots()
        if not slots[""]:
            self._tell_to_wait()
        resource = self._wanted(name)
        busy = sum(self._resource.get(other, "") == resource for other in self.progress.running)
        free = slots[resource] if resource else slots[""] - slots["GPU"] or slots[""]
        impossible = bool(resource) and not free  # begin it, so that it is refused with a reason
        return bool(slots[""]) and (impossible or busy < free + free // 4)

    def _tell_to_wait(self) -> None:
        if not self._told_to_wait:
            self._told_to_wait = True
            self._view.line("waiting for the first worker")

    def _wanted(self, name: str) -> str:
        """``GPU`` for a stage that computes on one, where workers have any."""
        if name not in self._resource:
            device = wants_gpu(self._pipeline.inputs(name))
            gpus = self._engine.slots()["GPU"] if self._engine else 0
            self._resource[name] = "GPU" if device == "cuda" or (device == "auto" and gpus) else ""
        return self._resource[name]

    def _submit(self, name: str, engine: Engine) -> None:
        here = engine.place != "local" and self._pipeline.stays_here(name)
        here = here or (self._carrier is not None and self._carrier.stays_here(name))
        resource = self._wanted(name)
        if resource and not here and not engine.slots()["GPU"]:
            raise BenchError(
                "runtime.device in params.yaml names a GPU, and no worker has one: "
                "set it to auto or cpu, or start workers with --resources GPU=1"
            )
        root = self._pipeline.root
        task: Task = {
            "run": self._run,
            "name": name,
            "commands": self._pipeline.commands(name),
            "root": str(root),
            "folder": str(self._pipeline.folder(name)),
            "log": str(log_path(root, name)),
            "outs": self._pipeline.outputs(name),
            "env": {"DVC_ROOT": str(root), "DVC_STAGE": name, **self._environment},
        }
        log_path(root, name).unlink(missing_ok=True)
        self.progress.running[name] = time.monotonic()
        try:
            if here:
                engine.submit_here(task)
            elif self._carrier is not None:
                self._carrier.send(task)
                engine.submit(task, self._paths[name], resource, self._carrier.function)
            else:
                engine.submit(task, self._paths[name], resource)
        except BaseException:
            del self.progress.running[name]
            raise

    def _started(self) -> Engine:
        """The engine, with at least one worker."""
        engine = self._stack.enter_context(self._start_engine())
        if self._carrier is not None:
            engine.admit(self._carrier.objection)
        while not engine.slots()[""]:
            if refusals := [why for why in engine.objections.values() if why]:
                raise BenchError("no worker can be used: " + "; ".join(refusals))
            self._tell_to_wait()
            time.sleep(0.2)
        for why in filter(None, engine.objections.values()):
            self._view.line(f"not used: {why}")
        return engine

    def _take(self, block: bool) -> bool:
        """Take one stage that has ended, if there is one; waits a second for it with ``block``."""
        if self._engine is None:
            return False
        try:
            name, outcome = self._engine.outcomes.get(block, 1.0 if block else None)
        except queue.Empty:
            self._pipeline.write_lock(WRITE_EVERY)
            self._engine.slots()  # a queueing system's lost jobs are asked for again
            return False
        self.progress.running.pop(name, None)
        if isinstance(outcome, BaseException):
            self._fail(name, f"{type(outcome).__name__}: {outcome}")
        elif outcome.get("stopped"):
            self.progress.stopped += 1
        elif outcome["code"]:
            self._save_log(name, outcome)
            self._fail(name, f"exit status {outcome['code']} on {outcome['host']}\n{outcome['tail']}")
        else:
            self._save_log(name, outcome)
            try:
                if self._carrier is not None and "entry" in outcome:
                    self._carrier.take(name, outcome)
                self._pipeline.end(name)
            except BenchError as error:
                self._fail(name, str(error))
                return True
            self._durations.measured(name, outcome["seconds"])
            self.progress.done += 1
            self._view.ended(name, f"{outcome['seconds']:.1f} s on {outcome['host']}")
            self._order.done(name)
        return True

    def _save_log(self, name: str, result: Result) -> None:
        """A worker in its own clone sends its log."""
        if "log" in result:
            path = log_path(self._pipeline.root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(result["log"], encoding="utf-8")

    def _fail(self, name: str, why: str) -> None:
        """A failed stage stops what depends on it, and nothing else."""
        self.failures[name] = why
        self.progress.failed.append(name)
        todo = {name}
        while todo:
            found = {other for other, ups in self._pipeline.upstream.items() if todo & set(ups)} - self.progress.blocked
            self.progress.blocked |= found
            todo = found
        self._view.ended(name, f"FAILED: {why.splitlines()[0]}")

    def _stop(self) -> None:
        """End what runs; keep what has finished meanwhile."""
        if self._engine is None or not self.progress.running:
            return
        self._view.line(f"stopping {len(self.progress.running)} stages")
        self._engine.stop(self._run)
        end = time.monotonic() + PATIENCE
        while self.progress.running and time.monotonic() < end:
            self._take(block=True)

    def _left(self) -> float:
        """Estimated seconds to the end: the longest path, or all work over all workers if that is more."""
        now, progress = time.monotonic(), self.progress
        left = {
            name: max(self._durations.of(name) - (now - since), 0.0) + self._paths[name] - self._durations.of(name)
            for name, since in list(progress.running.items())
        }
        path = max([*left.values(), *(self._paths[name] for name in list(self._waiting))], default=0.0)
        per_stage = sum(map(self._durations.of, self._pipeline.upstream)) / max(progress.total, 1)
        slots = self._engine.slots_seen() if self._engine else 1
        return max(path, per_stage * (progress.waiting + len(progress.running)) / max(slots, 1))


def log_path(root: Path, name: str) -> Path:
    """Where a stage's output goes."""
    return root / ".bench" / "logs" / f"{name.replace('/', '-').replace(':', '-')}.log"
