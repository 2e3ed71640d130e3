"""Stage `fetch`: bring a data set's members into data/raw/NAME. Usage: python stages/fetch.py NAME"""

from __future__ import annotations

import sys
from pathlib import Path

from bench.config import load_params
from bench.data.cards import card_of_block
from bench.data.fetching import fetch_card
from bench.errors import BenchError


def main(name: str) -> None:
    """Fetch the data set ``name`` of params.yaml."""
    card = card_of_block(name, load_params().dataset(name))
    if card.kind == "scenes":
        raise BenchError(f"{name} is rendered from {card.source}: fetch that, then run `python stages/prepare.py {name}`")
    fetch_card(card, Path("data/raw") / name, Path("downloads"))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        main(sys.argv[1])
    except BenchError as error:
        sys.exit(f"error: {error}")
