"""``bench run``: the pipeline's stages side by side, here or on a cluster."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.base.errors import BenchError

if TYPE_CHECKING:
    from bench.runner.view import Progress, View

__all__ = ["default_jobs", "run"]


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_jobs(threads: int) -> int:
    """As many stages side by side as leave each its threads; at least one."""
    return max(1, cores() // threads)


def _checked_jobs(jobs: int | None, threads: int) -> int:
    """The number of jobs; refuses one whose stages would share cores, since they would only hinder each other."""
    if jobs is None:
        return default_jobs(threads)
    if jobs > 1 and jobs * threads > cores():
        raise BenchError(
            f"--jobs {jobs}: each stage uses {threads} threads (runtime.threads in params.yaml), {jobs * threads} "
            "in all, "
            f"and there are {cores()} cores: at most --jobs {default_jobs(threads)}, or fewer threads. "
            "Another number of threads gives other results, bit for bit: it is never changed silently"
        )
    return jobs


def run(
    root: Path,
    targets: Sequence[str],
    jobs: int | None,
    place: str,
    workers: int | None,
    remote: str | None,
    plain: bool,
) -> int:
    """Run the stages that changed; exit status 0, 1 if a stage failed, 130 if it was interrupted.

    Raises:
        BenchError: no such place, more threads than cores, another run at work, an error in the pipeline.
    """
    from bench.config.load import load_params
    from bench.runner.bookkeeping import opened
    from bench.runner.engine import check_place, started
    from bench.runner.estimates import Durations
    from bench.runner.lockfile import mend
    from bench.runner.loop import Loop

    check_place(place)
    if not (root / ".dvc").is_dir():
        raise BenchError(f"no pipeline in {root}: run the command in the project's root folder")
    threads = int(load_params(root / "params.yaml").runtime["threads"])
    if place == "local":
        if remote is not None:
            raise BenchError("--remote is for workers elsewhere (--on)")
        if workers is not None:
            raise BenchError("--workers is for --on: on this machine it is --jobs")
        wanted = _checked_jobs(jobs, threads)
    else:
        if jobs is not None:
            raise BenchError("--jobs is for this machine: with --on it is --workers")
        wanted = workers or 1
    for said in mend(root):
        print(said, file=sys.stderr)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    with opened(root, targets) as pipeline:
        carrier = None
        if remote is not None:
            from bench.runner.clone import Carrier

            carrier = Carrier(pipeline, remote)
        loop = Loop(pipeline, lambda: started(root, place, wanted, threads), _view(plain), Durations(root), carrier)
        try:
            loop.run()
        except KeyboardInterrupt:
            print(f"\ninterrupted: {loop.progress.sentence()}. The next run goes on from here", file=sys.stderr)
            return 130
    for name, why in loop.failures.items():
        print(f"\nfailed: {name}: {why}\n(whole log: .bench/logs)", file=sys.stderr)
    print(f"bench run: {loop.progress.sentence()}")
    return 1 if loop.failures else 0


def _view(plain: bool) -> Callable[[Progress], View]:
    from bench.runner.view import LiveView, View

    if plain or not sys.stdout.isatty():
        return lambda progress: View(lambda text: print(text, flush=True), progress)
    from rich.console import Console

    return lambda progress: LiveView(Console(), progress)


def _interrupt(number: int, frame: object) -> None:
    """A polite end by the system or the terminal is as good as Ctrl-C."""
    raise KeyboardInterrupt
