"""Stage ``evaluate``: score one generator. The only stage that reads the test split.

python stages/evaluate.py NAME
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bench.base.errors import friendly
from bench.base.files import write_json
from bench.base.processes import distributed, rank, set_threads
from bench.config.load import load_params
from bench.context import StageContext
from bench.pipeline.plan import scorers_of, stage_modules
from bench.pipeline.stage import context, leave_empty
from bench.results.extras import write_extras
from bench.scoring import evaluate


def _by_module(ctx: StageContext, block: Mapping[str, Any]) -> Any:
    """Families that have no scorers yet."""
    (module,) = stage_modules(block, "evaluate")
    found = importlib.import_module(module).evaluate(ctx)
    return SimpleNamespace(rows=[record.to_json() for record in found.records], extras=found.extras)


def main() -> None:
    """Score, then write evaluations/NAME.json and, flat, what `dvc metrics` shows."""
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
        result = evaluate(ctx, scorers_of(block)) if scorers_of(block) else _by_module(ctx, block)
        if rank() > 0:
            return
    extras = result.extras if isinstance(result.extras, dict) else write_extras(scores.with_suffix(""), result.extras)
    scores.with_suffix("").mkdir(parents=True, exist_ok=True)
    write_json(scores, {"generator": name, "records": result.rows, "extras": extras})
    flat: dict[str, dict[str, float | None]] = {}
    for row in result.rows:
        key = " ".join(part for part in (row["variant"], row["slice"]) if part) or "all"
        flat.setdefault(row["metric"], {})[key] = row["value"]
    write_json(scores.with_suffix(".metrics.json"), flat)
    print(f"evaluate {name}: {len(result.rows)} records in {time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    with friendly():
        main()
