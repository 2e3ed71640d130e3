"""Stage ``evaluate``: score one generator. The only stage that reads the test split.

python stages/evaluate.py NAME
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from bench.config import load_params
from bench.errors import friendly
from bench.files import write_json
from bench.plan import context, leave_empty, stage_module
from bench.processes import distributed, rank, set_threads


def main() -> None:
    """Score, then write evaluations/NAME.json and, flat, what `dvc metrics` shows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="a generator's block in params.yaml")
    name = parser.parse_args().name
    root = Path.cwd()
    params = load_params()
    block = params.generator(name)
    scores = root / "evaluations" / f"{name}.json"
    if leave_empty(params, name, scores, scores.with_suffix(".metrics.json")):
        return
    judging = stage_module("evaluation", block["family"], block["system"])
    ctx = context(root, params, name, "evaluate")
    start = time.monotonic()
    with distributed():
        set_threads(params.runtime["threads"])
        result = judging.evaluate(ctx)
        if rank() > 0:
            return
    rows = [record.to_json() for record in result.records]
    write_json(scores, {"generator": name, "records": rows, "extras": result.extras})
    flat: dict[str, dict[str, float | None]] = {}
    for record in result.records:
        key = " ".join(part for part in (record.variant, record.slice) if part) or "all"
        flat.setdefault(record.metric, {})[key] = record.value
    write_json(scores.with_suffix(".metrics.json"), flat)
    print(f"evaluate {name}: {len(rows)} records in {time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    with friendly():
        main()
