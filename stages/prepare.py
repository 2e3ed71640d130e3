"""Stage ``prepare``: make ``data/prepared/NAME`` from ``data/raw/NAME``; scenes are rendered from the prepared digits.

python stages/prepare.py NAME
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.base.errors import friendly
from bench.config.load import load_params
from bench.data.card_reader import card_of_block
from bench.data.contamination import sentences
from bench.data.prepare import prepare_card
from bench.pipeline.stage import leave_empty


def main(root: Path, name: str) -> None:
    """Prepare the data set ``name`` of params.yaml."""
    params = load_params(root / "params.yaml")
    if leave_empty(params, name, root / "data" / "prepared" / name):
        return
    card = card_of_block(name, params.dataset(name), f"{params.path}: datasets", root)
    data = root / "data"
    raw = data / "prepared" / card.source if card.kind == "scenes" else data / "raw" / name
    meta = prepare_card(card, raw, data / "prepared" / name, params.seed)
    for line in meta.get("skipped", []):
        print(f"left out: {line}", file=sys.stderr)
    print(
        f"prepare {name}: "
        + ", ".join(f"{split} {count:,}" for split, count in meta["splits"].items())
        + f" {meta['unit']}"
    )
    for line in sentences(meta):
        print(f"prepare {name}: {line}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="a data set's block in params.yaml")
    parser.add_argument("--root", type=Path, default=Path())
    args = parser.parse_args()
    with friendly():
        main(args.root, args.name)
