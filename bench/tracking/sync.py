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
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.base.files import hash_json
from bench.base.names import fitted_name
from bench.base.progress import Progress
from bench.results.headlines import View, headline_views
from bench.results.leaderboard import ColumnKey, column_key
from bench.results.sources import Entry, Sources, gather
from bench.tracking.models import log_model
from bench.tracking.run_content import (
    MOST_METRICS,
    artifacts_of,
    content_key,
    curve_of,
    description_of,
    metrics_of,
    params_of,
    setting_params,
    setting_tags,
    settings_of,
    tags_of,
)
from bench.tracking.store import EXPERIMENT, database_of, store_state, tracking_uri, writer_lock

__all__ = ["SyncResult", "sync"]

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
        removed, gone = 0, set[str]()
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
            if run.info.run_id not in gone:
                gone |= self._delete(run.info.run_id)
                removed += run.data.tags.get("bench.kind") != "setting"
        return removed

    def _delete(self, run_id: str) -> set[str]:
        """Delete a run with its models and all that lies beneath it; the ids of the runs."""
        gone = {run_id}
        for child in self._search(f"tags.`mlflow.parentRunId` = '{run_id}'"):
            gone |= self._delete(child.info.run_id)
        for model in self.client.search_logged_models([self.experiment], f"source_run_id = '{run_id}'"):
            self.client.delete_logged_model(model.model_id)
        self.client.delete_run(run_id)
        return gone

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
            "mlflow.note.content": f"One reproduction in the profile `{sources.profile}`, seed {sources.seed}: "
            f"{len(keys)} generators, one run each; its settings are runs beneath it.",
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
        views = headline_views(root, entry.family)
        sizes = Counter(map(column_key, sources.records))
        description = description_of(entry, views, sizes)
        tags = {
            **tags_of(entry, key, sources.commit),
            **SOURCE,
            "bench.written": str(now),
            "mlflow.parentRunId": parent,
            "mlflow.note.content": description,
        }
        run_id = str(
            self.client.create_run(self.experiment, start_time=start, tags=tags, run_name=entry.name).info.run_id
        )
        params = [Param(name, value) for name, value in params_of(entry, sources.profile, sources.seed).items()]
        curve = curve_of(entry)
        numbers = metrics_of(entry.records, views, MOST_METRICS - len({name for name, *_ in curve}), sizes)
        metrics = [Metric(name, value, now, 0) for name, value in numbers.items()]
        metrics += [Metric(name, value, start + int(1000 * when), step) for name, value, step, when in curve]
        for i in range(0, len(params), 100):
            self.client.log_batch(run_id, params=params[i : i + 100])
        for i in range(0, len(metrics), 1000):
            self.client.log_batch(run_id, metrics=metrics[i : i + 1000])
        self._dataset(run_id, root, sources, entry)
        self._settings(run_id, entry, key, views, sizes, now)
        with tempfile.TemporaryDirectory() as folder:
            for name, content in artifacts_of(root, entry).items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self.client.log_artifacts(run_id, folder)
        self.client.log_artifact(run_id, str(root / "evaluations" / f"{entry.name}.json"))
        if models:
            note = log_model(self.mlflow, self.uri, run_id, root, entry, description)
            if note:
                self.client.log_batch(run_id, tags=[RunTag("model", note)])
        self.client.set_terminated(run_id, "FINISHED", end_time=now)

    def _settings(
        self, run_id: str, entry: Entry, key: str, views: list[list[View]], sizes: Mapping[ColumnKey, int], now: int
    ) -> None:
        """A run for each setting, beneath the generator's."""
        from mlflow.entities import Metric, Param

        for variant, records in settings_of(entry.records).items():
            tags = {
                **setting_tags(entry, variant, key),
                **SOURCE,
                "bench.written": str(now),
                "mlflow.parentRunId": run_id,
            }
            name = fitted_name(f"{entry.name} {variant}".strip())
            run = self.client.create_run(self.experiment, start_time=now, tags=tags, run_name=name)
            params = [Param(name, value) for name, value in setting_params(variant).items()]
            metrics = [Metric(name, value, now, 0) for name, value in metrics_of(records, views, sizes=sizes).items()]
            self.client.log_batch(run.info.run_id, metrics=metrics, params=params)
            self.client.set_terminated(run.info.run_id, "FINISHED", end_time=now)

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
