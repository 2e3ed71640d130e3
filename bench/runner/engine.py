"""Dask's half of a parallel run: commands go out, results come back. On this machine, a cluster's queue, or any running
scheduler."""

from __future__ import annotations

import os
import queue
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError, did_you_mean
from bench.runner.process import THREAD_VARIABLES, Result, Task, execute, stop

__all__ = ["QUEUES", "Engine", "check_place", "local_gpus", "started"]

QUEUES = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "lsf": "LSFCluster",
    "sge": "SGECluster",
    "htcondor": "HTCondorCluster",
    "oar": "OARCluster",
    "moab": "MoabCluster",
}
"""What `--on` calls a queueing system -> its class in dask-jobqueue."""
RETRIES = 2
"""Further attempts after a death by signal."""
_NOWHERE = "127.0.0.1:0"
"""Dask's own web pages are off; its server for them still opens a port."""
_ASK_EVERY = 2.0
"""Seconds between two questions to the scheduler for its workers."""


def check_place(place: str) -> None:
    """Raise a BenchError unless ``place`` is local, a queueing system or a scheduler's address."""
    if place != "local" and place not in QUEUES and "://" not in place:
        raise BenchError(
            f"--on {place}: no such place.{did_you_mean(place, ['local', *QUEUES])} Or the address of a scheduler: tcp://host:8786"
        )


def local_gpus() -> list[str]:
    """Numbers of this machine's GPUs, those of CUDA_VISIBLE_DEVICES only where it is set."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [number for number in visible.split(",") if number]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(number) for number in range(sum(line.startswith("GPU ") for line in listed.stdout.splitlines()))]


class Engine:
    """Workers that run tasks. ``outcomes`` holds (stage, result or exception) of each that has ended.

    Args:
        client: connected to Dask's scheduler.
        cluster: what to close with it; None for a scheduler that was there before.
        place: ``local``, a queueing system or an address.
        wanted: number of jobs or workers asked for.
    """

    def __init__(self, client: Any, cluster: Any, place: str, wanted: int) -> None:
        self._client, self._cluster, self.place, self._wanted = client, cluster, place, wanted
        self.outcomes: queue.SimpleQueue[tuple[str, Result | BaseException]] = queue.SimpleQueue()
        self._futures: dict[str, Any] = {}
        self._here = ThreadPoolExecutor(1, thread_name_prefix="here")
        self._objection: Callable[[], str] | None = None
        self.objections: dict[str, str] = {}
        """Worker -> why it gets no stages; empty if it does."""
        self._asked, self._slots = -_ASK_EVERY, {"": 0, "GPU": 0}

    def slots(self) -> dict[str, int]:
        """Stages that can run side by side: ``""`` on all workers, ``GPU`` on those that have one."""
        if time.monotonic() - self._asked >= _ASK_EVERY:
            if self.place in QUEUES:
                self._cluster.scale(jobs=self._wanted)  # jobs that were lost are replaced
            workers = self._client.run_on_scheduler(_workers)
            self._examine(list(workers))
            good = [worker for address, worker in workers.items() if not self.objections.get(address)]
            self._slots = {"": sum(threads for threads, _, _ in good), "GPU": sum(gpus for _, gpus, _ in good)}
            self._asked = time.monotonic()
        return self._slots

    def admit(self, objection: Callable[[], str]) -> None:
        """From now on, use only workers on which ``objection`` returns an empty text."""
        self._objection, self._asked = objection, -_ASK_EVERY

    def _examine(self, addresses: list[str]) -> None:
        new = [address for address in addresses if address not in self.objections]
        if self._objection is not None and new:
            self.objections |= self._client.run(self._objection, workers=new)

    def slots_seen(self) -> int:
        """The last known number of slots, without asking."""
        return self._slots[""]

    def check_threads(self, threads: int) -> None:
        """Raise a BenchError if a machine of a running scheduler has fewer cores than its workers' stages would use."""
        machines: dict[str, int] = {}
        for count, _, host in self._client.run_on_scheduler(_workers).values():
            machines[host] = machines.get(host, 0) + count
        cores = {
            address.split("://")[-1].rsplit(":", 1)[0]: found for address, found in self._client.run(_cores).items()
        }
        for host, stages in machines.items():
            if stages > 1 and stages * threads > cores.get(host, stages * threads):
                raise BenchError(
                    f"the workers on {host} take {stages} stages at once, each with {threads} threads "
                    "(runtime.threads in params.yaml), "
                    f"but it has {cores[host]} cores: start fewer workers there, each with --nthreads 1"
                )

    def submit(self, task: Task, priority: float, resource: str = "", function: Any = execute) -> None:
        """Give a task to the workers; the highest priority first."""
        name = task["name"]
        future = self._client.submit(
            function,
            task,
            key=f"{name}-{task['run']}",
            pure=False,
            retries=RETRIES,
            priority=priority,
            resources={resource: 1} if resource else None,
            workers=[address for address, why in self.objections.items() if not why] or None,
        )
        self._futures[name] = future
        future.add_done_callback(lambda done: self._take(name, done))

    def submit_here(self, task: Task) -> None:
        """Run a task in a process of this machine; one at a time."""

        def work() -> None:
            try:
                self.outcomes.put((task["name"], execute(task)))
            except BaseException as error:
                self.outcomes.put((task["name"], error))

        self._here.submit(work)

    def _take(self, name: str, future: Any) -> None:
        """In a thread of Dask's: fetch the result at once, since it goes with its worker."""
        try:
            outcome: Result | BaseException = future.result()
        except BaseException as error:
            outcome = error
        self._futures.pop(name, None)
        self.outcomes.put((name, outcome))

    def stop(self, run: str) -> None:
        """End all stages of a run, everywhere."""
        stop(run)  # those of this process
        with suppress(Exception):
            self._client.run(stop, run, on_error="ignore")

    def close(self) -> None:
        """Let the workers go; those of a scheduler that was there before stay."""
        self._here.shutdown(wait=False, cancel_futures=True)
        for future in list(self._futures.values()):
            with suppress(Exception):
                future.cancel()
        for part in (self._client, self._cluster):
            if part is not None:
                with suppress(Exception):
                    part.close()


def _workers(dask_scheduler: Any = None) -> dict[str, tuple[int, int, str]]:
    """On the scheduler: address -> (threads, GPUs, host) of each worker."""
    return {
        address: (worker.nthreads, int(worker.resources.get("GPU", 0)), worker.host)
        for address, worker in dask_scheduler.workers.items()
    }


def _cores() -> int:
    """On a worker: the cores that it may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def started(root: Path, place: str, wanted: int, threads: int) -> Iterator[Engine]:
    """Workers, and a connection to them.

    Args:
        root: the project's folder, for the workers' logs and keys.
        place: ``local``, a key of :data:`QUEUES`, or an address.
        wanted: workers on this machine, or jobs in the queue.
        threads: that each stage uses, for the number of cores of a job.

    Raises:
        BenchError: a package is missing, a scheduler does not answer, the queueing system's programs are not here.
    """
    import dask

    dask.config.set({"distributed.admin.tick.limit": "1m", "distributed.comm.timeouts.connect": "20s"})
    cluster = None
    if place == "local":
        cluster = _local(wanted)
    elif place in QUEUES:
        cluster = _queue(root, place, wanted, threads)
    engine = None
    try:
        client = _client(cluster or place)
        engine = Engine(client, cluster, place, wanted)
        if place == "local":
            client.register_plugin(_own_group())
        if "://" in place:
            engine.check_threads(threads)
        yield engine
    finally:
        if engine is not None:
            engine.close()
        elif cluster is not None:
            cluster.close()


def _client(target: Any) -> Any:
    from distributed import Client

    try:
        return Client(target, set_as_default=False, timeout="20s")
    except (OSError, TimeoutError) as error:
        raise BenchError(f"no Dask scheduler answers at {target}: {error}") from error


def _local(jobs: int) -> Any:
    """One worker process for each job, on the loopback interface; the first ones have a GPU each."""
    from distributed import Nanny, Scheduler, SpecCluster

    gpus = local_gpus()
    workers = {}
    for number in range(jobs):
        gpu = gpus[number] if number < len(gpus) else ""
        options: dict[str, Any] = {
            "nthreads": 1,
            "host": "127.0.0.1",
            "dashboard_address": _NOWHERE,
            "memory_limit": 0,
            "silence_logs": 50,
        }
        if gpus:
            options |= {"env": {"CUDA_VISIBLE_DEVICES": gpu}, "resources": {"GPU": 1} if gpu else {}}
        workers[number] = {"cls": Nanny, "options": options}
    scheduler = {
        "cls": Scheduler,
        "options": {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": _NOWHERE},
    }
    return SpecCluster(workers=workers, scheduler=scheduler, silence_logs=50, name="bench")


def _own_group() -> Any:
    """A worker plugin: Ctrl-C in the terminal reaches the coordinator only, which ends the stages in good order."""
    from distributed import WorkerPlugin

    class OwnGroup(WorkerPlugin):
        def setup(self, worker: Any) -> None:
            os.setpgid(0, 0)

    return OwnGroup()


def _queue(root: Path, place: str, jobs: int, threads: int) -> Any:
    """Jobs of a queueing system. Queue, account, walltime and memory are Dask's own settings:
    ~/.config/dask/jobqueue.yaml."""
    try:
        import dask
        import dask_jobqueue
    except ImportError:
        raise BenchError(f"--on {place} needs dask-jobqueue: pip install -c constraints.txt -e '.[cluster]'") from None
    settings = dask.config.get(f"jobqueue.{place}", {})
    own = settings.get("scheduler-options") or {}
    options: dict[str, Any] = {"scheduler_options": {"dashboard": False, "dashboard_address": _NOWHERE, **own}}
    defaults = {"cores": 1, "processes": 1, "memory": "4GB", "log-directory": str(root / ".bench" / "workers")}
    defaults |= {"shared-temp-directory": str(root / ".bench" / "keys")}
    if place == "slurm":
        defaults["job-cpu"] = threads
    options |= {key.replace("-", "_"): value for key, value in defaults.items() if settings.get(key) is None}
    options["security"] = (
        True  # a scheduler runs what it is told: keys for this run only, or all of the network could tell it
    )
    (root / ".bench" / "keys").mkdir(parents=True, exist_ok=True, mode=0o700)
    options["worker_extra_args"] = [*(settings.get("worker-extra-args") or []), "--no-dashboard"]
    try:
        cluster = getattr(dask_jobqueue, QUEUES[place])(**options)
        cluster.scale(jobs=jobs)
    except (OSError, RuntimeError, ValueError) as error:
        raise BenchError(f"--on {place}: {error}") from error
    return cluster


def thread_environment() -> dict[str, str | None]:
    """The coordinator's values of the variables that Dask changes in its workers."""
    return {name: os.environ.get(name) for name in THREAD_VARIABLES}
