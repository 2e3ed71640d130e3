"""One torch thread for the unit tests: two test processes with two threads each would stand still."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.base.files import SampleSet
from bench.config.load import merge
from bench.contracts import RunContext
from bench.results.records import Record

ROOT = Path(__file__).parents[1]
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("DVC_NO_ANALYTICS", "1")


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    """What a test asked for (the command line sets the threads of params.yaml) ends with it: the other test process
    needs its core."""
    before = os.environ["OMP_NUM_THREADS"]
    yield
    os.environ["OMP_NUM_THREADS"] = before
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != int(before):
        torch.set_num_threads(int(before))


_LONGEST = (
    "test_smoke_pipeline.py",
    "test_by_hand.py",
    "test_bring_your_own_data.py",
    "test_contributing.py",
    "test_plugin.py",
    "test_need.py",
    "test_run.py",
    "test_contracts.py",
    "test_score_your_own.py",
    "test_clones.py",
    "test_tracking.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that with two test processes neither is left waiting for the other at the end."""
    items.sort(key=lambda item: _LONGEST.index(item.path.name) if item.path.name in _LONGEST else len(_LONGEST))


@dataclasses.dataclass
class ProjectCopy:
    """A copy of the project's code, with a params.yaml of its own or that of the project."""

    root: Path
    path: tuple[Path, ...] = ()
    """Folders of installed packages, before the environment's."""

    def run(self, command: str, check: bool = True) -> str:
        """What a command printed, run in the copy.

        Raises:
            AssertionError: it failed.
        """
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(map(str, (self.root, *self.path))),
        }
        done = subprocess.run(
            ["bash", "-ec", command], cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        assert not check or not done.returncode, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout + ("" if check else done.stderr)

    def repro(self, target: str = "") -> list[str]:
        """Run ``dvc repro``; the stages that ran their command, in order."""
        return re.findall(r"^Running stage '([^']+)'", self.run(f"dvc repro {target}"), re.M)

    def merge(self, name: str, content: str) -> None:
        """Merge YAML into a YAML file."""
        path = self.root / name
        old = yaml.safe_load(path.read_text(encoding="utf-8"))
        path.write_text(yaml.safe_dump(merge(old, yaml.safe_load(content)), sort_keys=False), encoding="utf-8")

    def insert(self, name: str, before: str, content: str) -> None:
        """Put lines in front of the first line that begins with ``before``."""
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        at = text.index(f"\n{before}") + 1
        path.write_text(text[:at] + content + text[at:], encoding="utf-8")

    def records(self, name: str) -> list[dict[str, Any]]:
        """The rows of an evaluation."""
        found: list[dict[str, Any]] = json.loads((self.root / "evaluations" / f"{name}.json").read_text())["records"]
        return found


@pytest.fixture(scope="session")
def copy_of_project() -> Callable[..., ProjectCopy]:
    """Makes a copy of the project under a folder: ``copy_of_project(folder, params="...")``."""

    def make(root: Path, params: str = "", path: tuple[Path, ...] = (), also: tuple[str, ...] = ()) -> ProjectCopy:
        for name in ("bench", "stages", "datasets", "reports", *also):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("params.yaml", "dvc.yaml", "constraints.txt", "pyproject.toml"):
            shutil.copy2(ROOT / name, root / name)
        if params:
            (root / "params.yaml").write_text(params, encoding="utf-8")
        if (ROOT / "downloads").is_dir():
            (root / "downloads").symlink_to(ROOT / "downloads")
        copy = ProjectCopy(root, path)
        copy.run("dvc init -q --no-scm")
        return copy

    return make


@pytest.fixture
def small_project(tmp_path: Path) -> Path:
    """A checkout in small: params.yaml with two word models and an image model, trained, sampled and evaluated for
    real."""
    return make_small_project(tmp_path / "project")


def make_small_project(root: Path) -> Path:
    """Everything that the stages would leave under ``root``, within a tenth of a second."""
    import numpy as np

    from bench.base.files import write_image_samples, write_json, write_text, write_text_samples
    from bench.families.images.dummy_images import DummyImages, DummyImagesConfig
    from bench.families.words.ngram import NGram, NGramConfig

    write_text(root / "params.yaml", SMALL_PARAMS)
    write_json(
        root / "data/prepared/play/meta.json",
        {"name": "play", "kind": "text", "splits": {"train": 1}, "digest": "0" * 64},
    )
    write_json(
        root / "data/prepared/digits/meta.json",
        {"name": "digits", "kind": "images", "splits": {"train": 2}, "digest": "1" * 64},
    )
    text = "To be or not to be, that is the question.\nTo sleep, perchance to dream.\n" * 20
    for name, config in (
        ("ngram-char", NGramConfig(order=3)),
        ("ngram-word", NGramConfig(unit="words", order=3, spelling_order=3)),
    ):
        model = NGram(config)
        model.fit({"train": text, "validation": text[:200]}, RunContext())
        model.save(root / "models" / name)
        write_json(
            root / "models" / name / "model.json",
            {"name": name, "system": "ngram", "config": dataclasses.asdict(config), "uses": {}},
        )
        sets = [SampleSet(f"n={n}", texts=[model.sample(40, 0, "To be", n=n)], prompts=["To be"]) for n in (1, 2, 3)]
        write_text_samples(root / "samples" / f"{name}.jsonl", sets)
        rows = []
        for n in (1, 2, 3):
            rows += [
                _row(
                    name,
                    "ngram",
                    "words",
                    "play",
                    "bits_per_byte",
                    "bpb/play/v1",
                    4.0 - n + 0.1 * (name == "ngram-word"),
                    f"n={n}",
                    split=split,
                )
                for split in ("test", "validation")
            ]
        rows += [_row(name, "ngram", "words", "play", "perplexity", "ppl/tokens/v1", 9.5, "n=3")]
        _leave(root, name, rows, [SampleSet(f"n={n}") for n in (1, 2, 3)])
    images = DummyImages(DummyImagesConfig())
    images.save(root / "models/dummy-images")
    write_json(
        root / "models/dummy-images/model.json",
        {"name": "dummy-images", "system": "dummy_images", "config": {}, "uses": {}},
    )
    drawn = images.sample(12, 3, np.arange(12) % 10)
    write_image_samples(root / "samples/dummy-images.npz", [SampleSet("", images=drawn, labels=np.arange(12) % 10)])
    rows = [
        _row(
            "dummy-images",
            "dummy_images",
            "images",
            "digits",
            "fid",
            "fid/net/n=1000/ref=test/v1",
            812.5,
            "",
            role="floor",
        )
    ]
    _leave(root, "dummy-images", rows, [SampleSet("")])
    return root


def _row(
    name: str,
    system: str,
    family: str,
    dataset: str,
    metric: str,
    protocol: str,
    value: float,
    variant: str,
    role: str = "generator",
    split: str = "test",
) -> dict[str, Any]:
    record = Record(
        name,
        system,
        family,
        dataset,
        metric,
        protocol,
        value,
        variant,
        split,
        ci95=(value - 0.1, value + 0.1),
        n=100,
        higher_is_better=False,
        role=role,
    )
    return record.to_json()


def _leave(root: Path, name: str, rows: list[dict[str, Any]], sets: list[SampleSet]) -> None:
    from bench.base.files import write_json, write_text

    write_json(root / "evaluations" / f"{name}.json", {"generator": name, "records": rows, "extras": {}})
    write_text(root / "runs" / name / "history.tsv", "step\tseconds\tloss\n1\t0.5\t3.0\n2\t1.0\t2.0\n3\t1.5\t1.5\n")
    write_json(
        root / "runs" / name / "train.json",
        {"seconds": 1.5, "parameters": 1000, "train_flops": 5e6, "peak_memory_bytes": 1e6},
    )
    write_json(
        root / "runs" / name / "sample.json", {item.variant: {"seconds_per_item": 0.01, "n": 4} for item in sets}
    )


SMALL_PARAMS = """\
profile: cpu
seed: 0
datasets:
  play: {card: datasets/play.yaml}
  digits: {card: datasets/digits.yaml}
words:
  ngram-char: {system: ngram, dataset: play, model: {order: 3}, sample: {variants: [{n: 1}, {n: 2}, {n: 3}]}}
  ngram-word:
    {system: ngram, dataset: play, model: {unit: words, order: 3}, sample: {variants: [{n: 1}, {n: 2}, {n: 3}]}}
encoders:
  net: {system: resnet, dataset: digits}
images:
  dummy-images: {system: dummy_images, dataset: digits, role: floor, feature_net: net}
"""
