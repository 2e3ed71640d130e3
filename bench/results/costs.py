"""What a result cost, as rows in the form of every other row; direction and unit stand in the catalogue of metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.base.machine import machine_id
from bench.results.records import parse_variant

__all__ = ["cost_rows"]


def cost_rows(
    name: str,
    block: Mapping[str, Any],
    train: Mapping[str, Any],
    sample: Mapping[str, Mapping[str, Any]],
    variants: Iterable[str],
    seed: int,
) -> list[dict[str, Any]]:
    """What training took (once for all variants), what one sample takes, and what the sample stage timed itself.

    Seconds and bytes belong to a machine, so their protocol names processor and threads; FLOPs and parameters do not.
    Training costs are repeated for each variant, so that quality never stands without its cost; a variant of an arm
    carries what that arm cost.

    Args:
        name: of the generator.
        block: its block of params.yaml.
        train: facts of the training run.
        sample: facts of sampling, by variant; ``cost`` lists rows of its own (the time of one denoising step).
        variants: those that have rows of quality.
        seed: the global seed.
    """
    machine = f"{machine_id(train.get('machine') or {})}/v2"
    trained = (
        ("train_seconds", "seconds", f"cost/wall-time/{machine}"),
        ("train_flops", "train_flops", "cost/counted-flops/v1"),
        ("parameters", "parameters", "cost/parameters/v1"),
        ("peak_memory_bytes", "peak_memory_bytes", f"cost/peak-memory/{machine}"),
    )
    common: dict[str, Any] = {
        "generator": name,
        **{key: str(block[key]) for key in ("system", "family", "dataset")},
        "role": str(block.get("role", "generator")),
        "seed": seed,
        "split": "",
    }
    rows = [
        {**common, **{key: value for key, value in row.items() if key not in ("higher_is_better", "unit")}}
        for facts in sample.values()
        for row in facts.get("cost") or ()
    ]

    def add(metric: str, protocol: str, value: object, variant: str) -> None:
        if isinstance(value, int | float):
            measured = {"metric": metric, "protocol": protocol, "value": float(value), "n": 1, "variant": variant}
            rows.append({**common, **measured})

    for variant in list(variants) or [""]:
        spent = {**train, **(train.get("arms") or {}).get(parse_variant(variant).get("arm"), {})}
        for metric, key, protocol in trained:
            add(metric, protocol, spent.get(key), variant)
        seconds = (sample.get(variant) or {}).get("seconds_per_item")
        add("sample_seconds_per_item", f"cost/sampling-time/{machine}", seconds, variant)
    return rows
