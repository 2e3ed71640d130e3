"""docs/benchmarks.md from the JSON file of pytest-benchmark (`make bench` calls this).

python tests/benchmarks/table.py build/benchmarks.json docs/benchmarks.md
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HEAD = """# Benchmarks

Written by `make bench`. Every peer runs in the same process and takes turns with ours, after both were shown to compute
the same; a ratio above 1 means that ours is faster. What the clock says is a record, not a test: a busy machine fails
nothing.

"""
_SHOWN = ("ratio", "aim", "reached")


def _number(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def table(found: dict[str, Any]) -> str:
    """Markdown: first what has a peer and an aim, then the series."""
    machine = found["machine_info"]
    lines = [
        f"Machine: {machine['cpu'].get('brand_raw', machine['machine'])}, {machine['cpu'].get('count', '?')} cores.",
        "",
    ]
    lines += ["| benchmark | ratio | aim | reached | measured |", "| --- | ---: | ---: | --- | --- |"]
    for one in found["benchmarks"]:
        extra = dict(one["extra_info"])
        if "ratio" in extra:
            rest = ", ".join(
                f"{key.replace('_', ' ')} {_number(value)}" for key, value in extra.items() if key not in _SHOWN
            )
            name = one["name"].removeprefix("test_").replace("_", " ")
            lines.append(
                f"| {name} | {_number(extra['ratio'])} | {_number(extra['aim'])} | {_number(extra['reached'])} | "
                f"{rest} |"
            )
    lines += ["", "| series | median | measured |", "| --- | ---: | --- |"]
    for one in found["benchmarks"]:
        extra = dict(one["extra_info"])
        if "ratio" not in extra:
            rows = extra.pop("rows", None)
            rest = ", ".join(f"{key.replace('_', ' ')} {_number(value)}" for key, value in extra.items())
            name = one["name"].removeprefix("test_").replace("_", " ")
            lines.append(f"| {name} | {_number(one['stats']['median'])} s | {rest} |")
            for row in rows or []:
                shown = ", ".join(
                    f"{key.replace('_', ' ')} {_number(v)}" for key, v in row.items() if not isinstance(v, list)
                )
                lines.append(f"| … | {_number(row['seconds'])} s | {shown} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:3])
    target.write_text(HEAD + table(json.loads(source.read_text(encoding="utf-8"))), encoding="utf-8")
    print(f"wrote {target}")
