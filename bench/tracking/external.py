"""Scores of samples that no stage made, as one MLflow run of their own."""

from __future__ import annotations

import json
from pathlib import Path

from bench.base.files import hash_json
from bench.context import StageContext
from bench.results.headlines import headline_views
from bench.results.sources import Entry
from bench.scoring import Evaluation
from bench.tracking.run_content import metrics_of, params_of, tags_of
from bench.tracking.store import tracking_uri, writer_lock
from bench.tracking.sync import SOURCE, _now, _Store

__all__ = ["log_scores"]


def log_scores(root: Path, context: StageContext, result: Evaluation, digest: str) -> str:
    """Log the scores, once for the same samples and settings; a line that says where.

    Args:
        root: the checkout.
        context: what was measured: name, family, settings, roles.
        result: the scores.
        digest: of the files.

    Raises:
        BenchError: the store is damaged or cannot be reached.
    """
    uri = tracking_uri(root)
    roles = {role: folder.name for role, folder in context.models.items()}
    entry = Entry(context.name, {**context.block, **roles}, tuple(result.records))
    key = hash_json({"samples": digest, "rows": result.rows})[:32]
    with writer_lock(uri, root):
        store = _Store(uri)
        if key in store.finished():
            return f"{uri}: {context.name} is already there"
        tags = {
            **tags_of(entry, key, ""),
            **SOURCE,
            "mlflow.source.name": "bench score",
            "bench.kind": "external",
            "bench.written": str(_now()),
            "samples.sha256": digest,
            "reproduce": "bench score",
        }
        client, now = store.client, _now()
        run_id = str(client.create_run(store.experiment, tags=tags, run_name=context.name).info.run_id)
        for name, value in params_of(entry, "", context.seed).items():
            client.log_param(run_id, name, value)
        for name, number in metrics_of(entry.records, headline_views(root, entry.family)).items():
            client.log_metric(run_id, name, number, timestamp=now)
        client.log_text(run_id, json.dumps(result.rows, indent=1, sort_keys=True) + "\n", "records.json")
        client.set_terminated(run_id, "FINISHED")
    return f"{uri}: logged {context.name}"
