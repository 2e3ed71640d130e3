"""DVC's half of a parallel run: what ``dvc repro`` does before and after a stage's command, with the command left out.

The only file that touches DVC's internals (``plan_repro``, ``Stage.changed``, ``save`` and ``commit``,
``StageCache.restore``, ``to_single_stage_lockfile``). They are those of the DVC version in constraints.txt;
``tests/runner/test_run.py`` holds the result to that of a serial ``dvc repro``, byte for byte. One process does all of
it in one thread, and holds DVC's lock of the repository from beginning to end: another ``dvc repro`` in the same folder
is refused by DVC itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.runner.lockfile import LockText, save

__all__ = ["WRITE_EVERY", "Clone", "Pipeline", "opened"]

WRITE_EVERY = 5.0
"""Seconds between two writes of the lock file. What ends in between is in the run cache, which is written at once."""


@contextmanager
def opened(root: Path, targets: Sequence[str] = ()) -> Iterator[Pipeline]:
    """The pipeline, with DVC's lock held; the lock file is written at the end, also after an error.

    Raises:
        BenchError: no DVC project here, an unknown target, an error in ``dvc.yaml``, or another DVC process at work.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo

    try:
        repo = Repo(str(root))
        repo.lock.lock()
    except LockError:
        raise BenchError(f"another dvc or bench process is at work in {root}: wait for it") from None
    except DvcException as error:
        raise BenchError(str(error)) from error
    try:
        _refuse_running(root)
        with repo.scm_context(), _one_lock():
            with _messages():
                pipeline = Pipeline(root, repo, targets)
            try:
                yield pipeline
            finally:
                pipeline.write_lock()
    finally:
        repo.lock.unlock()
        repo.close()


def _refuse_running(root: Path) -> None:
    """A `dvc repro` lets go of the repository while its command runs: it still stands in the other lock file."""
    import psutil

    path = root / ".dvc" / "tmp" / "rwlock"
    held = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    entries = [
        *held.get("write", {}).values(),
        *(entry for entries in held.get("read", {}).values() for entry in entries),
    ]
    for entry in entries:
        if psutil.pid_exists(int(entry["pid"])):
            raise BenchError(f"`{entry['cmd']}` (process {entry['pid']}) is at work in {root}: wait for it")


def _text(error: BaseException) -> str:
    """An error with what caused it."""
    parts = [str(error)]
    while error.__cause__ is not None:
        error = error.__cause__
        parts.append(str(error))
    return ": ".join(part for part in dict.fromkeys(parts) if part)


@contextmanager
def _one_lock() -> Iterator[None]:
    """Without DVC's second lock file, of paths, while the first, of the repository, is held all the time.

    DVC rewrites it in place twelve times a stage, a fifth of the time of a run with nothing to do, and one cut off
    stops every DVC command.
    """
    import dvc.rwlock

    before = dvc.rwlock.rwlock
    dvc.rwlock.rwlock = lambda *_: nullcontext()
    try:
        yield
    finally:
        dvc.rwlock.rwlock = before


@contextmanager
def _messages() -> Iterator[None]:
    """DVC's errors as one message."""
    from dvc.exceptions import DvcException

    try:
        yield
    except (DvcException, OSError) as error:
        raise BenchError(_text(error)) from error


class Pipeline:
    """The stages of a run by their names (``train-words@ngram``), in the order in which ``dvc repro`` would take
    them."""

    def __init__(self, root: Path, repo: Any, targets: Sequence[str]) -> None:
        from dvc.dvcfile import PROJECT_FILE
        from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro

        self.root = root
        self._repo = repo
        graph = get_active_graph(repo.index.graph)
        project = os.path.join(repo.root_dir, PROJECT_FILE)
        everything = plan_repro(graph, [stage for stage in repo.index.stages if stage.path == project])
        chosen = plan_repro(graph, collect_stages(repo, targets)) if targets else everything
        self._stages = {stage.addressing: stage for stage in chosen}
        self.upstream = {
            name: [up.addressing for up in graph.successors(stage)] for name, stage in self._stages.items()
        }
        """Stage -> the stages whose outputs it reads."""
        self._graph = graph
        self._order = [stage.name for stage in everything if getattr(stage, "name", None)]
        self._locks: dict[Path, LockText] = {}
        self._unwritten: list[Any] = []
        self._written = time.monotonic()

    def begin(self, name: str) -> str:
        """Decide on a stage whose inputs are done: ``same``, ``cached`` (restored from the run cache) or ``run``.

        ``run`` leaves it without its outputs, ready for its command.

        Raises:
            BenchError: an input is missing, a file cannot be read.
        """
        from dvc.stage import PipelineStage
        from dvc.stage.cache import RunCacheNotFoundError

        stage = self._stages[name]
        with _messages():
            if stage.frozen or not stage.cmd:  # data sources, imports: DVC does them itself
                if stage.reproduce():
                    if isinstance(stage, PipelineStage):
                        self._unwritten.append(stage)
                    else:
                        stage.dump()
                return "same"
            if not stage.changed(False, list(self._graph.successors(stage))):
                return "same"
            stage.remove_outs(ignore_remove=False, force=False)
            try:
                self._repo.stage_cache.restore(stage)
            except RunCacheNotFoundError:
                stage.save_deps()
                return "run"
            self._save(stage)
        return "cached"

    def end(self, name: str) -> None:
        """Take the results of a stage's command: hashes, run cache, cache, now and then the lock file.

        Raises:
            BenchError: an output is missing or cannot be read.
        """
        with _messages():
            self._save(self._stages[name])
        self.write_lock(WRITE_EVERY)

    def _save(self, stage: Any) -> None:
        uncached = any(not out.use_cache for out in stage.outs if not (out.is_metric or out.is_plot))
        stage.save(run_cache=not uncached)
        stage.commit()
        self._unwritten.append(stage)

    def write_lock(self, every: float = 0.0) -> None:
        """Write the lock file for all stages that ended since the last time, in the order of a serial run.

        Args:
            every: not if the last time was less than this many seconds ago.
        """
        from dvc.utils.serialize import dumps_yaml

        if time.monotonic() - self._written < every:
            return
        for stage in self._unwritten:
            path = Path(stage.dvcfile._lockfile.path)
            if path not in self._locks:
                self._locks[path] = LockText(path.read_text(encoding="utf-8") if path.is_file() else "", dumps_yaml)
            self._locks[path].update(stage.name, _entry(stage))
        for path in {Path(stage.dvcfile._lockfile.path) for stage in self._unwritten}:
            save(self.root, path, self._locks[path].text(self._order))
        self._unwritten = []
        self._written = time.monotonic()

    def sources(self) -> dict[str, str]:
        """Hashes of all files that no stage makes (code, settings, cards, ``dvc.yaml``), by path: what a worker's clone
        must have too."""
        with _messages():
            return _sources(self._repo, self._stages.values())

    def check_remote(self, remote: str) -> None:
        """Raise a BenchError if the project's configuration has no such remote."""
        with _messages():
            self._repo.cloud.get_remote(name=remote)

    def entry(self, name: str) -> dict[str, Any]:
        """A stage's entry in the lock file."""
        return _entry(self._stages[name])

    def push(self, name: str, remote: str) -> None:
        """Put a stage's outputs into a DVC remote."""
        with _messages():
            _push(self._repo, self._stages[name], remote)

    def pull(self, name: str, entry: dict[str, Any], remote: str) -> None:
        """Bring the outputs that a worker's ``entry`` names from a DVC remote into the folder."""
        with _messages():
            _pull(self._repo, self._stages[name], entry, remote)

    def commands(self, name: str) -> list[str]:
        """A stage's commands, one after the other."""
        command = self._stages[name].cmd
        return list(command) if isinstance(command, list) else str(command).splitlines()

    def folder(self, name: str) -> Path:
        """Where they run."""
        return Path(self._stages[name].wdir)

    def outputs(self, name: str) -> list[str]:
        """Paths of a stage's outputs that do not outlive a new run of it."""
        return [str(out.fs_path) for out in self._stages[name].outs if not out.persist]

    def inputs(self, name: str) -> list[Path]:
        """Paths of what a stage reads."""
        return [Path(dep.fs_path) for dep in self._stages[name].deps]

    def stays_here(self, name: str) -> bool:
        """Whether DVC does not keep a stage's outputs in its cache: then only this machine may make them."""
        return any(not out.use_cache or out.persist for out in self._stages[name].outs)


class Clone:
    """One stage in a worker's own clone, for :mod:`bench.runner.clone`.

    Raises:
        BenchError: no such stage here, or DVC cannot read the clone.
    """

    def __init__(self, root: Path, name: str) -> None:
        from dvc.repo import Repo

        with _messages():
            self._repo = Repo(str(root))
            self._stages = {stage.addressing: stage for stage in self._repo.index.stages}
        if name not in self._stages:
            raise BenchError(f"there is no stage {name} in this clone")
        self._stage = self._stages[name]

    def difference(self, sources: dict[str, str]) -> str:
        """The first path whose content here is not the coordinator's; empty if there is none."""
        with _messages():
            found = _sources(self._repo, self._stages.values())
        return next((path for path, digest in sources.items() if found.get(path) != digest), "")

    def pull(self, entries: dict[str, dict[str, Any]], remote: str) -> None:
        """Bring the outputs of other stages here."""
        with _messages(), self._repo.lock:
            for name, entry in entries.items():
                _pull(self._repo, self._stages[name], entry, remote)

    def push(self, remote: str) -> dict[str, Any]:
        """Put what the command wrote into the remote; the stage's entry of the lock file."""
        with _messages(), self._repo.lock:
            self._stage.save(run_cache=False)
            self._stage.commit()
            _push(self._repo, self._stage, remote)
        return _entry(self._stage)


def _entry(stage: Any) -> dict[str, Any]:
    from dvc.stage.serialize import to_single_stage_lockfile

    plain: dict[str, Any] = json.loads(json.dumps(to_single_stage_lockfile(stage)))
    return plain


def _push(repo: Any, stage: Any, remote: str) -> None:
    for objects in stage.get_used_objs().values():
        if failed := repo.cloud.push(objects, remote=remote).failed:
            raise BenchError(f"{len(failed)} files of {stage.addressing} could not be pushed to the remote {remote}")


def _pull(repo: Any, stage: Any, entry: dict[str, Any], remote: str) -> None:
    from dvc.stage.loader import StageLoader

    StageLoader.fill_from_lock(stage, entry)
    for objects in stage.get_used_objs(remote=remote).values():
        if failed := repo.cloud.pull(objects, remote=remote).failed:
            raise BenchError(f"{len(failed)} files of {stage.addressing} are not in the remote {remote}")
    stage.checkout(force=True)


def _sources(repo: Any, stages: Iterable[Any]) -> dict[str, str]:
    """Path -> hash of each dependency that is no stage's output, and of the files that define the stages."""
    from dvc.dependency import ParamsDependency

    made = {Path(out.fs_path) for stage in repo.index.stages for out in stage.outs}
    folders = {parent for path in made for parent in path.parents}
    found = {}
    for stage in stages:
        whole = {stage.path, *(dep.fs_path for dep in stage.deps if isinstance(dep, ParamsDependency))}
        for path in whole:
            found[os.path.relpath(path, repo.root_dir)] = hashlib.md5(
                Path(path).read_bytes(), usedforsecurity=False
            ).hexdigest()
        for dep in stage.deps:
            path = Path(dep.fs_path)
            if (
                dep.protocol == "local"
                and dep.fs_path not in whole
                and not {path, *path.parents} & made
                and path not in folders
            ):
                found[os.path.relpath(path, repo.root_dir)] = dep.get_hash().value
    return found
