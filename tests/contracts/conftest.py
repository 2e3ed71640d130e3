"""Every block of params.yaml as a case of the contract suite (:mod:`bench.testing`), trained once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from bench.config.load import load_params
from bench.data.card_reader import card_of_block
from bench.pipeline.plan import models_of
from bench.testing import Case, Trained, checks

ROOT = Path(__file__).parents[2]
PARAMS = load_params(ROOT / "params.yaml", profile="smoke")


@cache
def case_of(name: str) -> Case:
    """The case of a block, and of those that it needs."""
    block = PARAMS.generator(name)
    dataset = block["dataset"]
    return Case(
        block["system"],
        block["family"],
        model=block["model"],
        arms=block.get("arms") or {},
        train=block["train"],
        role=block["role"],
        needs={role: case_of(other) for role, other in models_of(PARAMS, name, "train").items()},
        data=card_of_block(dataset, PARAMS.dataset(dataset), "datasets", ROOT).kind,
        name=name,
    )


class Workshop:
    """Trains each block once, those that it needs first."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.made: dict[str, Trained] = {}

    def make(self, case: Case) -> Trained:
        if case.name not in self.made:
            for need in case.needs.values():
                if isinstance(need, Case):
                    self.make(need)
            self.made[case.name] = case.fit(self.root / case.name)
        return self.made[case.name]


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("models"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every block with each check that applies to it."""
    if "check" in metafunc.fixturenames:
        cases = [case_of(name) for name in PARAMS.generators()]
        found = [
            pytest.param(case, check, id=f"{case.name}-{check.__name__}") for case in cases for check in checks(case)
        ]
        metafunc.parametrize(("case", "check"), found)
