"""Stage `prepare`: make data/prepared/NAME from data/raw/NAME (scenes: from the prepared digits). Usage: python stages/prepare.py NAME"""

from __future__ import annotations

import sys
from pathlib import Path

from bench.config import load_params
from bench.data.cards import card_of_block
from bench.data.prepare import prepare_card
from bench.errors import BenchError


def main(name: str) -> None:
    """Prepare the data set ``name`` of params.yaml."""
    params = load_params()
    card = card_of_block(name, params.dataset(name))
    raw = Path("data/prepared") / card.source if card.kind == "scenes" else Path("data/raw") / name
    meta = prepare_card(card, raw, Path("data/prepared") / name, params.seed)
    for line in meta.get("skipped", []):
        print(f"left out: {line}", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        main(sys.argv[1])
    except BenchError as error:
        sys.exit(f"error: {error}")
