"""Stage ``evaluate``: score one generator. The only stage that reads the test split.

python stages/evaluate.py NAME
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from bench.base.errors import friendly
from bench.base.files import write_json
from bench.base.processes import distributed, rank, set_threads
from bench.config.load import load_params
from bench.pipeline.arms import evaluate
from bench.pipeline.plan import scorers_of
from bench.pipeline.stage import context, leave_empty
from bench.results.extras import write_extras
from bench.results.headlines import headline_numbers, headline_views


def main() -> None:
    """Score, then write evaluations/NAME.json and the few numbers of it that `dvc metrics show` shows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="a generator's block in params.yaml")
    name = parser.parse_args().name
    root = Path.cwd()
    params = load_params()
    block = params.generator(name)
    scores = root / "evaluations" / f"{name}.json"
    if leave_empty(params, name, scores, scores.with_suffix(""), scores.with_suffix(".metrics.json")):
        return
    ctx = context(root, params, name, "evaluate")
    start = time.monotonic()
    with distributed():
        set_threads(params.runtime["threads"])
        result = evaluate(ctx, scorers_of(block))
        if rank() > 0:
            return
    extras = write_extras(scores.with_suffix(""), result.extras)
    write_json(scores, {"generator": name, "records": result.rows, "extras": extras})
    shown = headline_numbers(result.rows, headline_views(root, block["family"]), block["role"])
    write_json(scores.with_suffix(".metrics.json"), shown)
    print(f"evaluate {name}: {len(result.rows)} records in {time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    with friendly():
        main()
