"""A block of params.yaml without its files: a system, its settings, and what it needs, trained for a few steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.base.files import write_json
from bench.base.processes import seeded
from bench.catalogue.families import FAMILIES
from bench.contracts import DataNeed, RunContext, Trainable, extends
from bench.registry import build_system, contract_of, description, load_model, protocol_of, resolve
from bench.testing.data import prepared, tiny

__all__ = ["Case", "Trained"]

_BUDGET = {"steps": 4, "batch_size": 16, "warmup": 1, "log_every": 1, "checkpoint_every": 0}


@dataclass(frozen=True, eq=False)
class Case:
    """What is to be checked.

    Attributes:
        system: its name in the table of systems or among the plug-ins.
        family: section of params.yaml.
        model: keys of its ``Config``.
        arms: trainings that differ in a few settings, as in a block.
        train: keys of the training loop; the budget is replaced by a few steps. Empty for a system without one.
        role: generator, floor, ceiling or memoriser.
        needs: by role, the case of a trained model, or the folder of a prepared data set. A data set of weights may be
            left out: there is a tiny one.
        data: kind of the data set (a key of :data:`bench.testing.data.KINDS`), or the data as ``fit`` takes them.
        name: of the block; the system's, if left out. It names the folders of the models that others need.
    """

    system: str
    family: str
    model: Mapping[str, Any] = field(default_factory=dict)
    arms: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    role: str = "generator"
    needs: Mapping[str, Case | Path] = field(default_factory=dict)
    data: str | Mapping[str, Any] = "text"
    name: str = ""

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise AssertionError(f"{self.system}: no family {self.family!r}; there are {', '.join(FAMILIES)}")
        object.__setattr__(self, "name", self.name or self.system.replace("_", "-"))

    @cached_property
    def protocol(self) -> type:
        """The Protocol of its contract."""
        return protocol_of(contract_of(resolve(self.system), self.family), self.family)

    @cached_property
    def contracts(self) -> tuple[str, ...]:
        """Names of its contract and of those that it extends, the nearest first."""
        return extends(self.protocol.__name__, FAMILIES[self.family].contracts)

    @cached_property
    def splits(self) -> Mapping[str, Any]:
        """The data as ``fit`` takes them."""
        return tiny(self.data) if isinstance(self.data, str) else self.data

    def fit(self, folder: Path, seed: int = 0) -> Trained:
        """Train it for a few steps and save it in ``folder``, as the train stage does.

        What it needs is trained first, in folders beside ``folder`` named after the cases, or taken from there.
        """
        models = {}
        for role, need in self.needs.items():
            if isinstance(need, Case):
                models[role] = folder.parent / need.name
                if not (models[role] / "model.json").is_file():
                    need.fit(models[role])
        data = {role: need for role, need in self.needs.items() if isinstance(need, Path)}
        for role, wanted in getattr(resolve(self.system), "NEEDS", {}).items():
            if isinstance(wanted, DataNeed) and role not in data:
                data[role] = prepared(wanted.kind, folder.parent / f"tiny-{wanted.kind}")
        system, curve = self._train(seed, models, data)
        folder.mkdir(parents=True)
        system.save(folder)
        described = {"name": self.name, "system": self.system, **description(system)}
        write_json(folder / "model.json", {**described, "uses": {role: path.name for role, path in models.items()}})
        return Trained(self, system, folder, tuple(curve), seed, models, data)

    def _train(
        self, seed: int, models: Mapping[str, Path], data: Mapping[str, Path], **train: Any
    ) -> tuple[Any, list[float]]:
        """The one place that builds the system of a case."""
        curve: list[float] = []

        def point(step: int, values: Mapping[str, float]) -> None:
            # Eq. 3 of a VQ-VAE adds terms that rise while the encoder spreads out: what must fall is the
            # reconstruction.
            if "loss" in values:
                curve.append(values.get("reconstruction", values["loss"]))

        budget = {**self.train, **_BUDGET, **train}
        run = RunContext(self.name, seed, train=budget, models=models, data=data, curve=point, global_seed=seed)
        with seeded(seed):
            system = build_system({"system": self.system, "model": self.model, "arms": self.arms}, self.name)
            if isinstance(system, Trainable):
                system.fit(self.splits, run)
        return system, curve


@dataclass(frozen=True, eq=False)
class Trained:
    """A case after training.

    Attributes:
        case: what was trained.
        system: the system as ``fit`` left it, in memory.
        folder: of its files.
        curve: its loss at each step.
        seed: of the training.
        models, further_data: by role, the folders that it used.
    """

    case: Case
    system: Any
    folder: Path
    curve: tuple[float, ...]
    seed: int
    models: Mapping[str, Path]
    further_data: Mapping[str, Path]

    def again(self, **train: Any) -> tuple[Any, list[float]]:
        """A second system with the same seed, and its learning curve; ``train`` overrides keys of the loop."""
        return self.case._train(self.seed, self.models, self.further_data, **train)

    def reload(self) -> Any:
        """The system as another stage gets it: read from its files."""
        return load_model(self.folder)
