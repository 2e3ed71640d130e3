"""Follows docs/score-your-own.md to the letter on small real data: merges its blocks, runs its commands, in order."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.datasets import load_digits

from bench.base.files import write_json
from bench.config.load import load_params, merge
from bench.contracts import RunContext
from bench.data.datasets import ImageSplit, write_images, write_meta, write_texts
from bench.families.encoders.resnet import ResNet, ResNetConfig
from bench.pipeline.dvc import graph

ROOT = Path(__file__).parents[2]
DOC = ROOT / "docs" / "score-your-own.md"
BLOCK = re.compile(r"<!-- (run|merge: \S+) -->\n```\w+\n(.*?)```", re.S)


def digits(n: int, seed: int) -> ImageSplit:
    """Scikit-learn's digits at 28x28, each a little brighter or darker."""
    source, rng = load_digits(), np.random.default_rng(seed)
    images = np.pad(source.images.repeat(3, 1).repeat(3, 2), ((0, 0), (2, 2), (2, 2)))
    rows = rng.integers(0, len(images), n)
    bright = images[rows] * rng.uniform(9, 15.9, (n, 1, 1))
    return ImageSplit(bright.astype(np.uint8)[..., None], source.target[rows].astype(np.int64))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with small prepared data and a feature network that has learnt for a few steps."""
    root = tmp_path / "project"
    for name in ("bench", "stages", "datasets"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("params.yaml", "dvc.yaml", "constraints.txt", "pyproject.toml"):
        shutil.copy2(ROOT / name, root / name)
    splits = {"train": digits(1500, 0), "validation": digits(1100, 1), "test": digits(1200, 2)}
    mnist, texts = root / "data/prepared/mnist", root / "data/prepared/shakespeare"
    write_images(mnist, splits)
    write_meta(mnist, {"name": "mnist", "kind": "images", "splits": {name: len(part) for name, part in splits.items()}})
    words = np.random.default_rng(0).choice(["to", "be", "or", "not", "thou", "art", "more", "lovely"], 12000)
    text = " ".join(words)
    write_texts(texts, {"train": text[:30000], "validation": text[30000:41000], "test": text[41000:]})
    write_meta(texts, {"name": "shakespeare", "kind": "text", "splits": {"train": 30000}})
    config = ResNetConfig()
    network = ResNet(config)
    network.fit(splits, RunContext(train={"steps": 30, "batch_size": 64, "lr": 0.003, "warmup": 2}))
    folder = root / "models/resnet-digits"
    folder.mkdir(parents=True)
    network.save(folder)
    facts = {"name": "resnet-digits", "system": "resnet", "config": dataclasses.asdict(config), "uses": {}}
    write_json(folder / "model.json", facts)
    return root


@pytest.mark.timeout(600)
def test_the_page_is_followed(project: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(project), "MLFLOW_TRACKING_URI": ""}
    said = []
    for action, content in BLOCK.findall(DOC.read_text(encoding="utf-8")):
        if action.startswith("merge"):
            file = project / action.partition(": ")[2]
            blocks = merge(yaml.safe_load(file.read_text()), yaml.safe_load(content))
            file.write_text(yaml.safe_dump(blocks, sort_keys=False))
            continue
        done = subprocess.run(
            ["bash", "-ec", content], cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        assert not done.returncode, f"{content}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        said.append(done.stdout)
    assert "fid/resnet-digits/n=1000/ref=test1200/v1" in said[0] and "Class accuracy" in said[0]
    by_json = {row["protocol"]: row for row in json.loads((project / "scores.json").read_text())}
    fid = by_json["fid/resnet-digits/n=1000/ref=test1200/min=500/v1"]
    assert fid["ci95"][0] <= fid["value"] <= fid["ci95"][1]
    assert fid["beside"]["real_against_real"] == pytest.approx(
        fid["value"] / by_json["fid_ratio/resnet-digits/n=1000/ref=test1200/floor=real-x5/min=500/v1"]["value"]
    )
    assert "verbatim_copy_rate" in said[2]
    assert "floor=split-x5" in said[3]
    assert "logged my-gan" in said[4]
    # The block gives the same numbers as the command, and has no row that needs a model.
    rows = json.loads((project / "evaluations/my-gan.json").read_text())["records"]
    assert {row["system"] for row in rows} == {"external_samples"}
    (again,) = [row for row in rows if row["metric"] == "fid"]
    assert again["value"] == fid["value"] and again["protocol"] == "fid/resnet-digits/n=1000/ref=test1200/v1"


def test_the_graph_watches_the_file(tmp_path: Path) -> None:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    block = {"system": "external_samples", "dataset": "mnist", "feature_net": "resnet-digits"}
    raw["images"]["my-gan"] = {**block, "model": {"path": "mine/samples.npz"}}
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(raw, sort_keys=False))
    stages = yaml.safe_load(graph(load_params(file)))["stages"]
    assert "mine/samples.npz" in stages["train-images"]["foreach"]["my-gan"]
    assert not any("mine" in str(read) for read in stages["evaluate-images"].items())
