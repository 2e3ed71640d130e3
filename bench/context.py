"""What a stage hands to a family's ``sample`` and to the scorers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.base.seeds import derive

__all__ = ["StageContext"]


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
