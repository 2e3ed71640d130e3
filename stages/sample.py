"""Stage ``sample``: draw the samples of one generator, every variant of it.

python stages/sample.py NAME
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import time
from pathlib import Path

from bench.base.errors import friendly
from bench.base.files import write_json
from bench.base.hardware import describe, peak_memory_bytes
from bench.base.processes import distributed, rank, set_threads
from bench.config.load import load_params
from bench.pipeline.arms import sample, write_samples
from bench.pipeline.plan import stage_modules
from bench.pipeline.stage import context, leave_empty

_TIMES = ("seconds", "seconds_per_item", "cost")


def main() -> None:
    """Draw, then write samples/NAME and runs/NAME/sample.json (everything that depends on the clock)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="a generator's block in params.yaml")
    name = parser.parse_args().name
    root = Path.cwd()
    params = load_params()
    block = params.generator(name)
    (module,) = stage_modules(block, "sample")
    ctx = context(root, params, name, "sample")
    assert ctx.samples is not None
    if leave_empty(params, name, ctx.samples, root / "runs" / name / "sample.json"):
        return
    start = time.monotonic()
    with distributed():
        set_threads(params.runtime["threads"])
        sets = sample(importlib.import_module(module), ctx)
        if rank() > 0:
            return
    variants = {item.variant: {key: item.info[key] for key in _TIMES if key in item.info} for item in sets}
    sets = [
        dataclasses.replace(item, info={key: value for key, value in item.info.items() if key not in _TIMES})
        for item in sets
    ]
    write_samples(ctx.samples, sets)
    seconds = time.monotonic() - start
    cost = {
        "seconds": seconds,
        "peak_memory_bytes": peak_memory_bytes(ctx.device),
        "machine": describe(ctx.device),
        "variants": variants,
    }
    write_json(root / "runs" / name / "sample.json", cost)
    print(f"sample {name}: {len(sets)} variants in {seconds:.1f} s")


if __name__ == "__main__":
    with friendly():
        main()
