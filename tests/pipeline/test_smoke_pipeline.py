"""The whole graph on slivers of the real data, and how it behaves under change.

The tests share one project and run in the order of this file; each leaves the project reproduced.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bench.base.files import SampleSet, read_image_samples
from bench.catalogue.families import FAMILIES
from bench.config.load import load_params
from bench.pipeline.arms import read_samples

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def rows(root: Path) -> list[dict[str, Any]]:
    return json.loads((root / "reports" / "leaderboard.json").read_text())["rows"]


def unshared(text: str) -> dict[str, Any]:
    """The parsed file with blocks that share an anchor copied apart, so that a change of one stays there."""
    return json.loads(json.dumps(yaml.safe_load(text)))


def test_every_generator_is_trained_scored_and_on_the_leaderboard(smoke: Any) -> None:
    params = load_params(smoke.root / "params.yaml")
    assert params.profile == "smoke"
    assert {row["generator"] for row in rows(smoke.root)} == set(params.generators())
    for name in ("index.html", "leaderboard.csv", "leaderboard.md", "claims.json", "preview.png"):
        assert (smoke.root / "reports" / name).stat().st_size > 500
    print(f"first run of the smoke profile: {smoke.seconds['first']:.0f} s")


EQUAL_VARIANTS = {
    "transformer-positions: arm=rotary and arm=rotary,context=48": "the length of the context is for scoring alone",
}
"""``generator: variant and variant`` -> why these two may have equal samples."""


def equal_samples(one: SampleSet, other: SampleSet) -> bool:
    """Whether two sets answer the same prompts and classes with the same samples, as far as the shorter one goes."""
    if one.texts is not None and other.texts is not None:
        return (one.prompts, one.texts) == (other.prompts, other.texts)
    assert one.images is not None
    assert other.images is not None
    n = min(len(one.images), len(other.images))
    labels = [None if item.labels is None else item.labels[:n].tolist() for item in (one, other)]
    if labels[0] != labels[1] or (one.prompts or [])[:n] != (other.prompts or [])[:n]:
        return False
    shared = one.extra.keys() & other.extra.keys()
    same_images = np.array_equal(one.images[:n], other.images[:n])
    return same_images and all(np.array_equal(one.extra[key], other.extra[key]) for key in shared)


def pairs_with_equal_samples(root: Path) -> tuple[set[str], int]:
    """The pairs of variants of one generator that have equal samples, and how many pairs were compared."""
    equal, compared = set(), 0
    for name, block in load_params(root / "params.yaml").generators().items():
        ending = FAMILIES[block["family"]].samples
        sets = read_samples(root / "samples" / f"{name}{ending}") if ending else []
        for one, other in itertools.combinations(sets, 2):
            compared += 1
            if equal_samples(one, other):
                equal.add(f"{name}: {one.variant} and {other.variant}")
    return equal, compared


def test_no_two_variants_of_a_generator_have_equal_samples(smoke: Any) -> None:
    """A sampling option that never reaches its system makes a sweep of copies."""
    equal, compared = pairs_with_equal_samples(smoke.root)
    assert equal == set(EQUAL_VARIANTS)
    assert compared > 50


def test_second_repro_runs_nothing_and_status_is_calm(smoke: Any) -> None:
    assert smoke.repro() == []
    print(f"second repro: {smoke.seconds['repro']:.1f} s")
    assert "up to date" in smoke.run("dvc", "status").stdout


def test_one_hyperparameter_runs_only_what_depends_on_it(smoke: Any) -> None:
    path = smoke.root / "params.yaml"
    before = path.read_text()
    params = unshared(before)
    params["codecs"]["vqvae-gradient"]["profiles"]["smoke"].setdefault("train", {})["lr"] = 0.00123
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    ran = smoke.repro()
    path.write_text(before)
    expected = [
        "plan",
        *(f"{stage}-codecs@vqvae-gradient" for stage in ("train", "sample", "evaluate")),
        "report",
        "track",
    ]
    assert sorted(ran) == sorted(expected)
    assert [stage for stage in smoke.repro() if stage.startswith(("train", "sample", "evaluate"))] == [], (
        "restored from the run cache"
    )


def test_editing_the_report_template_retrains_nothing(smoke: Any) -> None:
    template = next((smoke.root / "reports" / "templates").rglob("*.j2"))
    before = template.read_text()
    template.write_text(before + "\n")
    assert set(smoke.repro()) <= {"report", "track"}
    template.write_text(before)
    smoke.repro()


def test_removing_a_generator_removes_its_rows(smoke: Any) -> None:
    path = smoke.root / "params.yaml"
    before = path.read_text()
    params = unshared(before)
    del params["words"]["memoriser-words"]
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    smoke.repro()
    gone = {row["generator"] for row in rows(smoke.root)}
    path.write_text(before)
    smoke.repro()
    assert "memoriser-words" not in gone
    assert "memoriser-words" in {row["generator"] for row in rows(smoke.root)}


def test_the_database_deleted_is_restored_without_retraining(smoke: Any) -> None:
    from mlflow import MlflowClient, set_tracking_uri

    def runs() -> list[str]:
        set_tracking_uri(f"sqlite:///{smoke.root}/mlflow.db")
        client = MlflowClient()
        found = client.search_runs(
            [experiment.experiment_id for experiment in client.search_experiments()], max_results=1000
        )
        return sorted(run.info.run_name for run in found)

    before = runs()
    assert set(load_params(smoke.root / "params.yaml").generators()) <= set(before)
    (smoke.root / "mlflow.db").unlink()
    ran = smoke.repro()
    assert set(ran) <= {"track"}
    assert set(load_params(smoke.root / "params.yaml").generators()) <= set(runs())


def test_a_killed_training_resumes_to_the_same_model(smoke: Any) -> None:
    name, stage = "ddpm-mnist", "train-images@ddpm-mnist"
    path = smoke.root / "params.yaml"
    before = path.read_text()
    params = unshared(before)
    train = params["images"][name]["profiles"]["smoke"].setdefault("train", {})
    train |= {"steps": 60, "checkpoint_every": 10, "log_every": 10}
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    smoke.repro("plan")
    models = smoke.root / "models" / name

    def content() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in sorted(models.iterdir())}

    command = ["dvc", "repro", "-s", stage]
    process = subprocess.Popen(
        command, cwd=smoke.root, env=smoke.environment, start_new_session=True, stdout=subprocess.DEVNULL
    )
    checkpoints = smoke.root / "checkpoints" / name
    deadline = time.monotonic() + 120
    while not list(checkpoints.glob("*/last.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert list(checkpoints.glob("*/last.safetensors")), "no checkpoint before the kill"
    assert smoke.repro("-s", stage) == [stage]
    resumed = content()
    history = (smoke.root / "runs" / name / "history.tsv").read_text().splitlines()
    assert len(history) == 1 + 1 + 6, "one curve without a gap or a repeated step"
    assert not list(checkpoints.glob("*/last.safetensors"))
    assert smoke.repro("-s", "-f", stage) == [stage]
    unbroken = content()
    path.write_text(before)
    smoke.repro()
    assert resumed == unbroken


def test_two_processes_draw_the_same_pictures(smoke: Any) -> None:
    name = "ddpm-mnist"
    alone = read_image_samples(smoke.root / "samples" / f"{name}.npz")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    smoke.run(*launcher, "stages/sample.py", name)
    together = read_image_samples(smoke.root / "samples" / f"{name}.npz")
    smoke.run("dvc", "checkout", "-f", f"sample-images@{name}")
    for a, b in zip(alone, together, strict=True):
        assert a.variant == b.variant
        assert a.images is not None
        assert b.images is not None
        assert np.abs(a.images.astype(int) - b.images).max() <= 1, "thread counts may round the last bit"


def test_two_runs_give_identical_metrics(smoke: Any, by_hand: dict[str, Any]) -> None:
    """`dvc repro` here, and the same stages by hand in another folder: every value, interval and n."""
    found = smoke.measured()
    assert found.keys() == by_hand.keys()
    assert {key: (found[key], by_hand[key]) for key in found if found[key] != by_hand[key]} == {}
