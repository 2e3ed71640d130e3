"""Stage ``fetch``: bring the named members of a data set into ``data/raw/NAME``, from a checked archive or the user's
own files.

python stages/fetch.py NAME
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.base.errors import BenchError, friendly
from bench.config.load import load_params
from bench.data.card_reader import card_of_block
from bench.data.fetching import fetch_card
from bench.pipeline.stage import leave_empty


def main(root: Path, name: str) -> None:
    """Fetch the data set ``name`` of params.yaml."""
    params = load_params(root / "params.yaml")
    if leave_empty(params, name, root / "data" / "raw" / name):
        return
    card = card_of_block(name, params.dataset(name), f"{params.path}: datasets", root)
    if card.kind == "scenes":
        raise BenchError(
            f"{name} is rendered from {card.source}: fetch that, then run `python stages/prepare.py {name}`"
        )
    names = fetch_card(card, root / "data" / "raw" / name, root / "downloads", root)
    print(f"fetch {name}: {len(names)} files")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="a data set's block in params.yaml")
    parser.add_argument("--root", type=Path, default=Path())
    args = parser.parse_args()
    with friendly():
        main(args.root, args.name)
