"""Stage ``plan``: check params.yaml to the last key, then write what every other stage depends on.

python stages/plan.py
"""

from __future__ import annotations

from pathlib import Path

from bench.base.errors import friendly
from bench.pipeline.dvc import check_graph
from bench.pipeline.plan import write_plan
from bench.pipeline.validation import validate_profiles


def main() -> None:
    """Validate every profile, then write ``build/plan`` for the one in force."""
    params = validate_profiles(Path("params.yaml"))
    check_graph(Path.cwd(), params)
    count = write_plan(Path.cwd(), params)
    print(f"plan: profile {params.profile}, {len(params.generators())} generators, {count} files in build/plan")


if __name__ == "__main__":
    with friendly():
        main()
