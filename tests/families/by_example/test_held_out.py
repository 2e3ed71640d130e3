"""The held-out piece of a texture is handed to the ceiling's row and to nobody else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.base.files import write_npz
from bench.context import StageContext
from bench.families.by_example.textures.sampling import sample


class Curious:
    """Notes what it is given."""

    def __init__(self) -> None:
        self.given: list[set[str]] = []

    def synthesize(self, exemplar: NDArray[np.uint8], size: tuple[int, int], seed: int, **options: Any) -> Any:
        self.given.append({name for name, value in options.items() if value is not None})
        return np.zeros((*size, *exemplar.shape[2:]), np.uint8)


@pytest.mark.parametrize(("role", "given"), [("ceiling", {"held_out"}), ("generator", set()), ("memoriser", set())])
def test_held_out_pieces(tmp_path: Path, role: str, given: set[str]) -> None:
    system = Curious()

    @dataclass(frozen=True)
    class Context(StageContext):
        def load(self) -> Curious:
            return system

    picture = np.random.default_rng(0).integers(0, 256, (40, 80)).astype(np.uint8)
    write_npz(tmp_path / "exemplars.npz", {"one": picture})
    block = {
        "system": "plug-in",
        "dataset": "textures",
        "role": role,
        "sample": {"exemplars": {"one": {"side": 24}}, "size": [12, 12], "pictures": 2},
    }
    sample(Context("curious", "by_example", block, 0, "cpu", tmp_path, tmp_path, quiet=True))
    assert system.given == [given, given]
