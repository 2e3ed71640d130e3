"""Files -> MLflow. Stages never log; this mirrors what they left, keyed by content.

A run is logged once for each content key (:func:`bench.tracking.run_content.content_key`): logging twice adds nothing,
a deleted database is filled again, a result restored from DVC's cache is logged like a fresh one. One writer at a time
holds a lock file beside the store, so that writers in parallel neither race MLflow's migrations nor log a generator
twice. A run that a killed writer left unfinished is removed by the next one.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.base.files import hash_json, read_json, write_json
from bench.base.progress import Progress
from bench.inference import PREDICT_PARAMS
from bench.results.sources import Entry, Sources, gather
from bench.tracking.run_content import artifacts_of, content_key, curve_of, metrics_of, params_of, tags_of
from bench.tracking.store import EXPERIMENT, database_of, store_state, tracking_uri, writer_lock

__all__ = ["SyncResult", "model_folders", "model_requirements", "sync"]

SWITCHES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "GIT_PYTHON_REFRESH": "quiet",
}
SOURCE = {"mlflow.source.name": "stages/track.py", "mlflow.source.type": "LOCAL"}
MODEL_REQUIREMENTS = ("mlflow", "numpy", "torch", "safetensors", "pyyaml")
MAX_MODEL_BYTES = 256 * 2**20
REMOTE_WRITER_SECONDS = 900


@dataclass(frozen=True)
class SyncResult:
    """What one synchronisation did.

    Attributes:
        uri: the store.
        logged: generators that were logged now.
        present: generators that the store had already.
        waiting: declared generators without an evaluation.
        cleaned: half-written runs that were removed.
    """

    uri: str
    logged: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    cleaned: int = 0

    def sentence(self) -> str:
        """One line for people."""
        parts = [f"logged {len(self.logged)}", f"{len(self.present)} already there"]
        parts += [f"{self.cleaned} half-written removed"] if self.cleaned else []
        parts += [f"not evaluated yet: {', '.join(self.waiting)}"] if self.waiting else []
        return f"{self.uri}: {'; '.join(parts)}"


def _now() -> int:
    return int(1000 * time.time())


def _complete(uri: str, keys: Iterable[str]) -> bool:
    state = store_state(uri)
    return state is not None and set(keys) <= state[0] and state[1] == 0


def sync(
    root: Path,
    generators: Mapping[str, Mapping[str, Any]],
    *,
    profile: str = "cpu",
    seed: int = 0,
    uri: str | None = None,
    models: bool = True,
    quiet: bool = True,
) -> SyncResult:
    """Log every evaluated generator that the store does not have.

    Args:
        root: the checkout.
        generators: name -> block with ``family``, as :meth:`bench.config.load.Params.generators` gives them.
        profile: the profile in force.
        seed: the global seed.
        uri: the store; default ``MLFLOW_TRACKING_URI``, else ``mlflow.db`` in the root.
        models: log the trained models too.
        quiet: no progress.

    Raises:
        BenchError: the store is damaged, was written by another version of MLflow, or cannot be reached.
    """
    uri = uri or tracking_uri(root)
    sources = gather(root, generators, profile, seed)
    ready = {name: entry for name, entry in sources.entries.items() if entry.records}
    waiting = [name for name in sources.entries if name not in ready]
    keys = {name: content_key(root, entry) for name, entry in ready.items()}
    nothing = SyncResult(uri, present=list(ready), waiting=waiting)
    if keys and _complete(uri, keys.values()):
        return nothing
    with writer_lock(uri, root):
        if keys and _complete(uri, keys.values()):  # another writer was quicker
            return nothing
        store = _Store(uri)
        cleaned = store.clean(hash_json(keys)[:32])
        known = store.finished()
        new = [name for name in ready if keys[name] not in known]
        if new:
            parent = store.parent(sources, keys, root)
            with Progress("track", len(new), "runs", quiet=quiet) as progress:
                for name in new:
                    store.log(root, sources, ready[name], keys[name], parent, models)
                    progress.update(1, name)
            store.client.set_terminated(parent, "FINISHED")
    return SyncResult(uri, new, [name for name in ready if name not in new], waiting, cleaned)


class _Store:
    """An opened MLflow store; the caller holds the writer's lock."""

    def __init__(self, uri: str) -> None:
        for name, value in SWITCHES.items():
            os.environ.setdefault(name, value)
        import mlflow

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self.mlflow, self.uri = mlflow, uri
        self.database = database_of(uri)
        try:
            self.client = mlflow.MlflowClient(tracking_uri=uri)
            found = self.client.get_experiment_by_name(EXPERIMENT)
            if found is None:
                place = (self.database.parent / "mlruns" / EXPERIMENT).as_uri() if self.database else None
                self.experiment = self.client.create_experiment(EXPERIMENT, artifact_location=place)
            else:
                self.experiment = found.experiment_id
                if found.lifecycle_stage == "deleted":
                    self.client.restore_experiment(self.experiment)
        except Exception as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            if self.database:
                remedy = f"delete {self.database} and run `bench track`: every run is restored from the result files"
            else:
                remedy = "check MLFLOW_TRACKING_URI and that the server runs, or unset it to use mlflow.db"
            raise BenchError(f"cannot open the MLflow store {uri}: {first}\n{remedy}") from error

    def _search(self, condition: str) -> list[Any]:
        runs, token = [], None
        while True:
            page = self.client.search_runs([self.experiment], condition, max_results=1000, page_token=token)
            runs += list(page)
            token = page.token
            if not token:
                return runs

    def finished(self) -> set[str]:
        """Content keys of the finished runs."""
        return {
            run.data.tags["bench.key"]
            for run in self._search("tags.`bench.key` != '' and attributes.status = 'FINISHED'")
        }

    def clean(self, reproduction: str) -> int:
        """Remove what a killed writer left. Its parent run is kept if it belongs to this reproduction or has finished
        children."""
        removed = 0
        for run in self._search("tags.`bench.key` != '' and attributes.status != 'FINISHED'"):
            young = _now() - int(run.data.tags.get("bench.written", 0)) < 1000 * REMOTE_WRITER_SECONDS
            if self.database is None and young:
                continue  # a writer on another machine may be at it
            if run.data.tags.get("bench.kind") == "reproduction":
                if run.data.tags["bench.key"] == reproduction:
                    continue
                if self._search(f"tags.`mlflow.parentRunId` = '{run.info.run_id}' and attributes.status = 'FINISHED'"):
                    self.client.set_terminated(run.info.run_id, "FINISHED")
                    continue
            for model in self.client.search_logged_models([self.experiment], f"source_run_id = '{run.info.run_id}'"):
                self.client.delete_logged_model(model.model_id)
            self.client.delete_run(run.info.run_id)
            removed += 1
        return removed

    def parent(self, sources: Sources, keys: Mapping[str, str], root: Path) -> str:
        """The run of this reproduction: an unfinished one of the same key, or a new one."""
        key = hash_json(dict(keys))[:32]
        unfinished = self._search(f"tags.`bench.key` = '{key}' and attributes.status != 'FINISHED'")
        if unfinished:
            return str(unfinished[0].info.run_id)
        tags = {
            "bench.key": key,
            "bench.kind": "reproduction",
            "bench.written": str(_now()),
            **SOURCE,
        }
        if sources.commit:
            tags["mlflow.source.git.commit"] = sources.commit
        name = f"{sources.profile}-{sources.commit or key[:8]}"
        run = self.client.create_run(self.experiment, tags=tags, run_name=name)
        run_id = str(run.info.run_id)
        for param, value in (("profile", sources.profile), ("seed", sources.seed), ("generators", len(keys))):
            self.client.log_param(run_id, param, value)
        self.client.log_dict(run_id, dict(keys), "generators.json")
        for file in ("params.yaml", "dvc.lock"):
            if (root / file).is_file():
                self.client.log_artifact(run_id, str(root / file))
        return run_id

    def log(self, root: Path, sources: Sources, entry: Entry, key: str, parent: str, models: bool) -> None:
        """One generator's run, finished only when everything is in it."""
        from mlflow.entities import Metric, Param, RunTag

        now = _now()
        seconds = float(entry.train.get("seconds") or 0.0)
        start = now - int(1000 * seconds)
        tags = {
            **tags_of(entry, key, sources.commit),
            **SOURCE,
            "bench.written": str(now),
            "mlflow.parentRunId": parent,
        }
        run_id = str(
            self.client.create_run(self.experiment, start_time=start, tags=tags, run_name=entry.name).info.run_id
        )
        params = [Param(name, value) for name, value in params_of(entry, sources.profile, sources.seed).items()]
        metrics = [Metric(name, value, now, 0) for name, value in metrics_of(entry.records).items()]
        metrics += [Metric(name, value, start + int(1000 * when), step) for name, value, step, when in curve_of(entry)]
        for i in range(0, len(params), 100):
            self.client.log_batch(run_id, params=params[i : i + 100])
        for i in range(0, len(metrics), 1000):
            self.client.log_batch(run_id, metrics=metrics[i : i + 1000])
        self._dataset(run_id, root, sources, entry)
        with tempfile.TemporaryDirectory() as folder:
            for name, content in artifacts_of(root, entry).items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self.client.log_artifacts(run_id, folder)
        self.client.log_artifact(run_id, str(root / "evaluations" / f"{entry.name}.json"))
        if models:
            note = self._model(run_id, root, entry)
            if note:
                self.client.log_batch(run_id, tags=[RunTag("model", note)])
        self.client.set_terminated(run_id, "FINISHED", end_time=now)

    def _dataset(self, run_id: str, root: Path, sources: Sources, entry: Entry) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        meta = dict(sources.datasets.get(entry.dataset) or {})
        source = {"uri": f"data/prepared/{entry.dataset}", "dvc": entry.data_hash}
        profile = {key: meta[key] for key in ("splits", "kind", "licence", "attribution") if key in meta}
        dataset = Dataset(
            name=entry.dataset,
            digest=(entry.data_hash or str(meta.get("digest", "")) or "unknown")[:36],
            source_type="dvc",
            source=json.dumps(source, sort_keys=True),
            profile=json.dumps(profile, sort_keys=True, default=str),
        )
        self.client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

    @contextmanager
    def _fluent(self) -> Iterator[None]:
        """MLflow's global state set to this store, and put back: ``set_tracking_uri`` also writes the environment."""
        before = os.environ.get("MLFLOW_TRACKING_URI")
        self.mlflow.set_tracking_uri(self.uri)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # MLflow asks for an input example and inferred schemas
                yield
        finally:
            self.mlflow.set_tracking_uri("")
            os.environ.pop("MLFLOW_TRACKING_URI", None)
            if before is not None:
                os.environ["MLFLOW_TRACKING_URI"] = before

    def _model(self, run_id: str, root: Path, entry: Entry) -> str:
        """Log the trained model; a note why not, or ``""``."""
        from mlflow.models import ModelSignature
        from mlflow.types.schema import DataType, ParamSchema, ParamSpec

        folders = model_folders(root / "models", entry.name)
        if not folders:
            return "none: no trained model on this machine"
        size = sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())
        if size > MAX_MODEL_BYTES:
            return f"none: {size:,} bytes are too many for the store; it lies in models/{entry.name}"
        kinds = {int: DataType.long, float: DataType.double, str: DataType.string}
        signature = ModelSignature(
            params=ParamSchema([ParamSpec(name, kinds[type(value)], value) for name, value in PREDICT_PARAMS.items()])
        )
        with self._fluent(), self.mlflow.start_run(run_id=run_id), tempfile.TemporaryDirectory() as scratch:
            facts = Path(scratch) / "facts.json"
            described = {"name": entry.name, "family": entry.family, "system": entry.system}
            write_json(facts, {**described, "defaults": dict((entry.block.get("sample") or {}).get("defaults") or {})})
            others = {folder.name: str(folder) for folder in folders[1:]}
            self.mlflow.pyfunc.log_model(
                name="model",
                python_model=str(Path(__file__).with_name("pyfunc.py")),
                artifacts={"model": str(folders[0]), "facts": str(facts), **others},
                code_paths=[str(Path(__file__).resolve().parents[1])],
                pip_requirements=model_requirements(),
                signature=signature,
            )
        return ""


def model_folders(models: Path, name: str) -> Sequence[Path]:
    """``models/<name>`` and, behind it, every folder that it uses, directly or not."""
    found: list[Path] = []
    todo = [name]
    while todo:
        folder = models / todo.pop(0)
        if folder in found or not (folder / "model.json").is_file():
            continue
        found.append(folder)
        todo += [str(other) for other in (read_json(folder / "model.json").get("uses") or {}).values()]
    return found


def model_requirements() -> list[str]:
    """Pinned requirements of a logged model, without local version parts (``2.13.0+cpu`` -> ``2.13.0``)."""
    pinned = []
    for name in MODEL_REQUIREMENTS:
        try:
            pinned.append(f"{name}=={metadata.version(name).split('+')[0]}")
        except metadata.PackageNotFoundError:
            continue
    return pinned
