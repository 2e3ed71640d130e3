"""What a stage hands to a family's ``sample`` and ``evaluate``, and what it gets back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.base.seeds import derive
from bench.results.records import Record

__all__ = ["Evaluation", "StageContext"]


@dataclass(frozen=True)
class StageContext:
    """One generator in one stage.

    Attributes:
        name: the generator's name.
        family: its section.
        block: its block of params.yaml with the profile merged in.
        seed: the global seed.
        device: resolved device.
        data: folder of the prepared data set.
        model: folder of the trained model.
        models: folders of other trained generators, by role (``feature_net``, ``codec``, ``scorer``, ``detector``,
            ...).
        other_data: folders of further prepared data sets, by role (``judged_on``, ``network``).
        arm: the one arm of the block that is looked at; ``""`` for the system, or all arms, as they are.
        samples: file of the samples (written by the stage after ``sample``, read by ``evaluate``).
        quiet: no progress.
        has_model: False where there is nothing but samples.
    """

    name: str
    family: str
    block: Mapping[str, Any]
    seed: int
    device: str
    data: Path
    model: Path
    models: Mapping[str, Path] = field(default_factory=dict)
    other_data: Mapping[str, Path] = field(default_factory=dict)
    samples: Path | None = None
    quiet: bool = False
    arm: str = ""
    has_model: bool = True

    def derive(self, *parts: int | str) -> int:
        """A seed for this generator."""
        return derive(self.seed, self.name, *parts)

    def load(self) -> Any:
        """The generator itself, or the arm that is looked at, with the block's settings of sampling."""
        from bench.registry import load_model

        defaults = (self.block.get("sample") or {}).get("defaults")
        system = load_model(self.model, self.device, self.models, defaults)
        return system.part({"arm": self.arm})[0] if self.arm else system

    def load_other(self, role: str) -> Any:
        """The trained generator in the given role."""
        from bench.registry import load_model

        return load_model(self.models[role], self.device)

    def record(
        self,
        metric: str,
        value: float | None,
        protocol: str,
        *,
        ci95: tuple[float, float] | None = None,
        n: int = 0,
        higher_is_better: bool | None = None,
        variant: str = "",
        split: str = "test",
        slice: str = "",  # noqa: A002 (the field's name in the published schema)
        unit: str = "",
    ) -> Record:
        """A record with this generator's identity filled in."""
        return Record(
            generator=self.name,
            system=str(self.block["system"]),
            family=self.family,
            dataset=str(self.block["dataset"]),
            metric=metric,
            protocol=protocol,
            value=None if value is None else float(value),
            variant=variant,
            split=split,
            slice=slice,
            seed=self.seed,
            ci95=ci95,
            n=n,
            higher_is_better=higher_is_better,
            unit=unit,
            role=str(self.block.get("role", "generator")),
        )


@dataclass(frozen=True)
class Evaluation:
    """The outcome of ``evaluate``: records for the leaderboard, and small JSON-able extras for the report."""

    records: list[Record]
    extras: dict[str, Any] = field(default_factory=dict)
