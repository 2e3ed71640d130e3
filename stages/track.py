"""Stage ``track``: mirror every generator's files into MLflow, each once.

python stages/track.py

The checkout's own store ``mlflow.db`` is the stage's output, so that `dvc repro` fills it again after it was deleted. A
store named by MLFLOW_TRACKING_URI gets the same runs besides. docs/decisions/0002 says why.
"""

from __future__ import annotations

from pathlib import Path

from bench.base.errors import friendly
from bench.config.load import load_params
from bench.tracking.store import local_uri, same_store, tracking_uri
from bench.tracking.sync import sync


def main() -> None:
    """Synchronise the local store, then the one of the environment if it is another."""
    root = Path.cwd()
    params = load_params()
    stores = [local_uri(root)]
    if not same_store(tracking_uri(root), stores[0]):
        stores.append(tracking_uri(root))
    for uri in stores:
        done = sync(root, params.generators(), profile=params.profile, seed=params.seed, uri=uri, quiet=False)
        print(f"track: {done.sentence()}")


if __name__ == "__main__":
    with friendly():
        main()
