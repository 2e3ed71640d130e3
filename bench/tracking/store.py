"""Where the MLflow store is and what is in it, without importing MLflow."""

from __future__ import annotations

import os
import re
import sqlite3
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.base.files import check_writable, hash_json

__all__ = [
    "EXPERIMENT",
    "database_of",
    "local_uri",
    "same_store",
    "store_state",
    "tracking_uri",
    "ui_link",
    "writer_lock",
]

EXPERIMENT = "words-and-pixels"


def local_uri(root: Path) -> str:
    """The store of a checkout: ``mlflow.db`` in its root.

    A URI ends its path at ``?`` or ``#`` and decodes what follows ``%``: where these stand in the name of a folder they
    are encoded, and the driver is named, since MLflow would make the folder of a bare ``sqlite:///`` under its encoded
    name.

    >>> local_uri(Path("/home/me")), local_uri(Path("/home/what?"))
    ('sqlite:////home/me/mlflow.db', 'sqlite+pysqlite:////home/what%3F/mlflow.db')
    """
    path = str(root.resolve() / "mlflow.db")
    encoded = re.sub("[%?#]", lambda found: f"%{ord(found[0]):02X}", path)
    return f"sqlite{'+pysqlite' if encoded != path else ''}:///{encoded}"


def tracking_uri(root: Path) -> str:
    """``MLFLOW_TRACKING_URI``, or the checkout's own store."""
    return os.environ.get("MLFLOW_TRACKING_URI") or local_uri(root)


def database_of(uri: str) -> Path | None:
    """File of a sqlite store, None for a server."""
    scheme, _, path = uri.partition(":///")
    if scheme not in ("sqlite", "sqlite+pysqlite"):
        return None
    return Path(urllib.parse.unquote(path.partition("?")[0])).resolve()


def _opened(database: Path) -> sqlite3.Connection:
    """A connection that reads only."""
    return sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=30)


def same_store(one: str, other: str) -> bool:
    """Whether two URIs name one store (a relative and an absolute path of one database, say)."""
    return one == other or (database_of(one) is not None and database_of(one) == database_of(other))


@contextmanager
def writer_lock(uri: str, root: Path) -> Iterator[None]:
    """Holds the one lock of a store: a file beside a database, or in ``build/`` for a server.

    Raises:
        BenchError: the folder of the database cannot be written.
    """
    from filelock import FileLock

    database = database_of(uri)
    path = Path(f"{database}.lock") if database else root / "build" / f"tracking-{hash_json(uri)[:12]}.lock"
    check_writable(path, f"MLflow store {uri}: ")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield


def store_state(uri: str) -> tuple[set[str], int] | None:
    """Content keys of the finished runs and the number of unfinished ones, without importing MLflow; None if that
    cannot tell.

    A sqlite store is read as it is (its tables ``runs`` and ``tags`` are the oldest of MLflow's schema); a server is
    not asked.
    """
    database = database_of(uri)
    if database is None:
        return None
    if not database.is_file():
        return set(), 0
    query = """SELECT t.value, r.status FROM tags t JOIN runs r ON r.run_uuid = t.run_uuid
               WHERE t.key = 'bench.key' AND r.lifecycle_stage = 'active'"""
    try:
        connection = _opened(database)
        try:
            rows = connection.execute(query).fetchall()
        finally:
            connection.close()
    except sqlite3.Error:
        return None
    finished = {str(key) for key, status in rows if status == "FINISHED"}
    return finished, sum(status != "FINISHED" for _, status in rows)


def ui_link(uri: str, family: str = "", base: str = "http://127.0.0.1:5000") -> str:
    """Address of the runs in MLflow's UI, or of the charts of one family.

    The UI folds child runs under their parent, where charts do not see them, unless runs are sorted by something else
    than time. Without ``workflowType`` it opens its pages for language model applications.
    """
    experiment, database = "", database_of(uri)
    if database is not None and database.is_file():
        connection = _opened(database)
        try:
            found = connection.execute("SELECT experiment_id FROM experiments WHERE name = ?", (EXPERIMENT,)).fetchone()
            experiment = str(found[0]) if found else ""
        except sqlite3.Error:
            experiment = ""
        finally:
            connection.close()
    if not experiment:
        return f"{base}/#/experiments"
    page = f"{base}/#/experiments/{experiment}/runs"
    workflow = {"workflowType": "machine_learning"}
    if not family:
        return f"{page}?{urllib.parse.urlencode(workflow)}"
    query = {
        "searchFilter": f"tags.family = '{family}' and tags.`bench.kind` = 'generator'",
        "orderByKey": "tags.`mlflow.runName`",
        "orderByAsc": "true",
        "compareRunsMode": "CHART",
        **workflow,
    }
    return f"{page}?{urllib.parse.urlencode(query, quote_via=urllib.parse.quote)}"
