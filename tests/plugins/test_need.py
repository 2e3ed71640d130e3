"""A system with a need that no other has: its own file, a line in the table of systems and its block, nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from bench.testing import tiny

SYSTEM = '''\
"""Codes drawn by themselves: each place of the grid gets the code that a random training image has there.

The floor of generators in the codes of a VQ-VAE (van den Oord et al. 2017, section 4.2, with the prior left out).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.base.files import write_npz
from bench.base.seeds import generator
from bench.contracts import ModelNeed
from bench.registry import load_model


@dataclass(frozen=True)
class ShuffledCodesConfig:
    """No settings."""


class ShuffledCodes:
    """A :class:`bench.contracts.ImageGenerator`; needs a ``codec`` with a codebook."""

    Config = ShuffledCodesConfig
    NEEDS = {"codec": ModelNeed("Codec")}

    def __init__(self, config):
        self.config, self.codec, self.codes, self.labels = config, None, None, None

    def attach(self, models):
        self.codec = load_model(models["codec"])

    def fit(self, data, run):
        self.attach(run.models)
        self.codes, self.labels = self.codec.encode(data["train"].images), data["train"].labels

    def sample(self, n, seed, labels=None, **options):
        drawn = np.empty((n, *self.codes.shape[1:]), np.int64)
        for i in range(n):
            pool = self.codes if labels is None else self.codes[self.labels == labels[i]]
            drawn[i] = generator(seed, i).permuted(pool, axis=0)[0]
        return self.codec.decode(drawn)

    def save(self, folder: Path):
        write_npz(folder / "codes.npz", {"codes": self.codes, "labels": self.labels})

    @classmethod
    def load(cls, folder: Path, config, device="cpu"):
        system = cls(config)
        with np.load(folder / "codes.npz", allow_pickle=False) as file:
            system.codes, system.labels = file["codes"], file["labels"]
        return system
'''
LINE = '    "shuffled_codes": "bench.families.images.shuffled_codes:ShuffledCodes",\n'
PARAMS = """\
profile: cpu
seed: 0
runtime: {device: cpu, threads: 1}
datasets:
  digits: {card: datasets/digits.yaml}
derived_datasets: {}
codecs:
  vqvae-digits:
    system: vqvae
    dataset: digits
    model: {codes: 16, widths: [8, 8], blocks: 1}
    train: {steps: 20, batch_size: 16, warmup: 2, checkpoint_every: 0}
    scorers: [codec_figures]
images:
  memoriser-digits: &images
    system: memoriser_images
    dataset: digits
    sample: {n: 40}
    evaluate: {neighbours: 20}
    scorers: [memorisation]
"""
BLOCK = """\
images:
  shuffled-codes:
    system: shuffled_codes
    dataset: digits
    codec: vqvae-digits
    sample: {n: 40}
    evaluate: {neighbours: 20}
    scorers: [memorisation]
"""
CARD = """\
name: digits
kind: images
licence: BSD-3-Clause
attribution: scikit-learn
sources:
  - path: my-digits
size: [28, 28]
channels: 1
split: {rule: fraction, validation: 0.2, test: 0.3}
"""
TARGET = "evaluate-images@shuffled-codes"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, copy_of_project: Callable[..., Any]) -> Any:
    """A copy of the project with two blocks on digits of one's own, before the system is added."""
    copy = copy_of_project(tmp_path_factory.mktemp("need") / "project", PARAMS)
    split = tiny("images")["train"]
    for i, (image, label) in enumerate(zip(split.images[:200], split.labels, strict=False)):
        folder = copy.root / "my-digits" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(folder / f"{i}.png")
    (copy.root / "datasets" / "digits.yaml").write_text(CARD)
    copy.run("python -m bench graph")
    return copy


def test_a_system_with_a_new_need_is_a_file_a_line_and_a_block(project: Any) -> None:
    before = {path: path.read_bytes() for path in files(project.root)}
    (project.root / "bench/families/images/shuffled_codes.py").write_text(SYSTEM)
    project.insert("bench/catalogue/systems.py", "}\n", LINE)
    project.merge("params.yaml", BLOCK)
    refused = project.run("python stages/plan.py", check=False)
    assert "Run `bench graph`" in refused
    project.run("python -m bench graph")
    touched = {
        str(path.relative_to(project.root)) for path in files(project.root) if before.get(path) != path.read_bytes()
    }
    own = "bench/families/images/shuffled_codes.py"
    assert touched == {own, "bench/catalogue/systems.py", "params.yaml", "dvc.yaml"}
    group = yaml.safe_load((project.root / "dvc.yaml").read_text())["stages"]["train-images"]["foreach"]
    assert "models/vqvae-digits" in group["shuffled-codes"]
    assert "models/vqvae-digits" not in group["memoriser-digits"]


def test_its_stages_run_after_those_of_what_it_needs(project: Any) -> None:
    ran = project.repro(TARGET)
    for stage in ("train", "sample", "evaluate"):
        assert ran.index("train-codecs@vqvae-digits") < ran.index(f"{stage}-images@shuffled-codes")
    assert {row["metric"] for row in project.records("shuffled-codes")} == {"nearest_train_ratio"}


def test_a_change_of_the_codec_makes_its_training_stale(project: Any) -> None:
    project.merge("params.yaml", "codecs: {vqvae-digits: {model: {codes: 24}}}")
    assert project.repro("train-codecs@vqvae-digits") == ["plan", "train-codecs@vqvae-digits"]
    status = json.loads(project.run("dvc status --json train-images@shuffled-codes"))
    assert status["train-images@shuffled-codes"] == [{"changed deps": {"models/vqvae-digits": "modified"}}]


def files(root: Path) -> list[Path]:
    """Everything that a contributor might have to touch."""
    found = [root / "params.yaml", root / "dvc.yaml"]
    for folder in ("bench", "stages", "datasets", "reports"):
        found += [path for path in (root / folder).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return found
