"""Small real data and one tiny trained instance of every generator in params.yaml."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits

from bench.base.files import write_json
from bench.base.processes import seeded
from bench.config.load import load_params
from bench.contracts import RunContext
from bench.data.cards import Render
from bench.data.datasets import ImageSplit
from bench.data.scenes import render_splits
from bench.pipeline.plan import models_of
from bench.registry import build_config, load_model, resolve

ROOT = Path(__file__).parents[2]
PARAMS = load_params(ROOT / "params.yaml", profile="smoke")
SONNET = (
    "Shall I compare thee to a summer's day?\nThou art more lovely and more temperate:\n"
    "Rough winds do shake the darling buds of May,\nAnd summer's lease hath all too short a date:\n"
    "Sometime too hot the eye of heaven shines,\nAnd often is his gold complexion dimm'd;\n"
    "And every fair from fair sometime declines,\nBy chance or nature's changing course untrimm'd;\n"
    "But thy eternal summer shall not fade\nNor lose possession of that fair thou owest;\n"
    "Nor shall Death brag thou wander'st in his shade,\nWhen in eternal lines to time thou growest:\n"
    "So long as men can breathe or eyes can see,\nSo long lives this and this gives life to thee.\n"
)


def _digits() -> dict[str, ImageSplit]:
    """Scikit-learn's 8x8 handwritten digits, enlarged to 28x28."""
    source = load_digits()
    pictures = np.pad((source.images * 15.9).astype(np.uint8).repeat(3, 1).repeat(3, 2), ((0, 0), (2, 2), (2, 2)))[
        ..., None
    ]
    labels = source.target.astype(np.int64)
    parts = {"train": slice(0, 400), "validation": slice(400, 500), "test": slice(500, 700)}
    return {name: ImageSplit(pictures[part], labels[part]) for name, part in parts.items()}


DATA: dict[str, Callable[[], Mapping[str, Any]]] = {
    "shakespeare": lambda: {"train": SONNET * 6, "validation": SONNET},
    "sonnets": lambda: {"train": SONNET * 6, "validation": SONNET},
    "weather": lambda: {"train": "sunny\nsunny\nrain\ncloudy\nrain\nsunny\n" * 20, "validation": "rain\nsunny\n" * 4},
    "wiki": lambda: {"train": SONNET * 6, "validation": SONNET},
    "mnist": _digits,
    "scenes": lambda: render_splits(_digits(), Render(train=96, validation=32, test=32, judge=96), seed=0),
    "textures": lambda: {"stripes": (np.indices((24, 24)).sum(0) % 4 * 60).astype(np.uint8)},
    "clips": lambda: {
        "swing": SimpleNamespace(frames=np.random.default_rng(0).integers(0, 256, (30, 6, 8, 3), dtype=np.uint8))
    },
    **dict.fromkeys(
        ("photos", "openmoji-pairs"),
        lambda: dict(
            zip(
                ("one", "other"), np.random.default_rng(0).integers(0, 256, (2, 16, 18, 3), dtype=np.uint8), strict=True
            )
        ),
    ),
}


@dataclasses.dataclass
class Tiny:
    """A generator trained for a few steps, and what it was trained on."""

    name: str
    block: dict[str, Any]
    system: Any
    data: Mapping[str, Any]
    folder: Path
    curve: list[float]


def _vgg() -> dict[str, torch.Tensor]:
    """VGG-16 with two filters a layer, in the names of the paper."""
    generator, state, inside = torch.Generator().manual_seed(0), {}, 3
    for name in (f"conv{i}_{j}" for i, count in enumerate((2, 2, 3, 3, 3), start=1) for j in range(1, count + 1)):
        state[f"{name}.weight"] = torch.randn((2, inside, 3, 3), generator=generator)
        state[f"{name}.bias"] = torch.zeros(2)
        inside = 2
    return state


class Workshop:
    """Trains each generator once, those that it needs first."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.made: dict[str, Tiny] = {}
        self.data: dict[str, Mapping[str, Any]] = {}

    def dataset(self, name: str) -> Mapping[str, Any]:
        if name not in DATA:
            pytest.skip(f"no tiny version of data set {name}: add one to DATA in this file")
        if name not in self.data:
            self.data[name] = DATA[name]()
        return self.data[name]

    def network(self) -> Path:
        """A prepared data set of kind `weights`."""
        folder = self.root / "weights"
        if not folder.is_dir():
            folder.mkdir()
            save_file(_vgg(), folder / "weights.safetensors")
        return folder

    def fit(self, name: str, seed: int = 0, **train: Any) -> tuple[Any, list[float]]:
        block = PARAMS.generator(name)
        cls = resolve(block["system"])
        slots = models_of(PARAMS, name, "train")
        curve: list[float] = []
        values = {
            **block["train"],
            "steps": 4,
            "batch_size": 16,
            "warmup": 1,
            "log_every": 1,
            "checkpoint_every": 0,
            **train,
        }
        if values.get("schedule") != "linear_tail":
            values.pop("tail", None)
        run = RunContext(
            name=name,
            seed=seed,
            train=values,
            models={slot: self.make(block[slot]).folder for slot in slots},
            data={role: self.network() for role in PARAMS.further_data(name) if role == "network"},
            # Eq. 3 of a VQ-VAE adds terms that rise while the encoder spreads out: what must fall is the
            # reconstruction.
            curve=lambda step, point: (
                curve.append(point.get("reconstruction", point["loss"])) if "loss" in point else None
            ),
        )
        with seeded(seed):
            system = cls(build_config(cls.Config, block["model"], name))
            if hasattr(system, "fit"):
                system.fit(self.dataset(block["dataset"]), run)
        return system, curve

    def make(self, name: str) -> Tiny:
        if name not in self.made:
            block = PARAMS.generator(name)
            system, curve = self.fit(name)
            folder = self.root / name
            folder.mkdir()
            system.save(folder)
            uses = {slot: block[slot] for slot in models_of(PARAMS, name, "train")}
            facts = {"name": name, "system": block["system"], "config": dataclasses.asdict(system.config), "uses": uses}
            write_json(folder / "model.json", facts)
            self.made[name] = Tiny(name, block, system, self.dataset(block["dataset"]), folder, curve)
        return self.made[name]


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("models"))


@pytest.fixture
def tiny(request: pytest.FixtureRequest, workshop: Workshop) -> Tiny:
    """The generator named by the test's parameter."""
    return workshop.make(request.param)


@pytest.fixture
def reload() -> Callable[[Tiny], Any]:
    return lambda tiny: load_model(tiny.folder)
