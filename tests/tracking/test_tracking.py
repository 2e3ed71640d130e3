"""Mirroring result files into MLflow: each generator once, whatever is deleted, restored, killed or done at the same
time."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.base.errors import BenchError
from bench.base.files import read_json, write_json
from bench.base.names import safe_name
from bench.config.load import load_params
from bench.results.records import Record
from bench.results.sources import gather
from bench.tracking.run_content import content_key, curve_of, metrics_of, params_of
from bench.tracking.store import database_of, local_uri, same_store, store_state, ui_link
from bench.tracking.sync import SyncResult, sync

REPOSITORY = Path(__file__).resolve().parents[2]
ALL = ["ngram-char", "ngram-word", "dummy-images"]


def run_sync(root: Path, **options: Any) -> SyncResult:
    params = load_params(root / "params.yaml")
    return sync(root, params.generators(), profile=params.profile, seed=params.seed, uri=local_uri(root), **options)


def query(root: Path, text: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(root / "mlflow.db")
    try:
        return list(connection.execute(text))
    finally:
        connection.close()


def active_runs(root: Path) -> list[tuple[str, str]]:
    return query(root, "SELECT name, status FROM runs WHERE lifecycle_stage = 'active' ORDER BY start_time, name")


def row(metric: str = "fid", value: float | None = 1.0, variant: str = "", **fields: Any) -> Record:
    fields = {"protocol": "fid/net/n=1000", **fields}
    return Record("g", "ddpm", "images", "mnist", metric, value=value, variant=variant, **fields)


class TestNames:
    def test_a_variant_becomes_a_name_that_mlflow_takes(self) -> None:
        metrics = metrics_of([row(variant="sampler=ddim,steps=50"), row(variant="sampler=ddim,steps=10", value=3.0)])
        assert metrics == {
            "eval/fid": 1.0,
            "eval/fid/sampler-ddim.steps-50": 1.0,
            "eval/fid/sampler-ddim.steps-10": 3.0,
        }

    def test_the_unnamed_variant_stands_under_the_bare_name(self) -> None:
        assert metrics_of([row(variant="steps=1", value=9.0), row()])["eval/fid"] == 1.0

    def test_slice_split_and_interval(self) -> None:
        metrics = metrics_of([row("accuracy", 0.5, slice="unseen", split="validation", ci95=(0.4, 0.6))])
        assert metrics == {
            "eval/accuracy/validation/unseen": 0.5,
            "interval/accuracy/validation/unseen/low": 0.4,
            "interval/accuracy/validation/unseen/high": 0.6,
        }

    def test_two_protocols_never_share_a_name(self) -> None:
        metrics = metrics_of([row(), row(value=2.0, protocol="fid/other/n=1000")])
        assert sorted(metrics.values()) == [1.0, 2.0]
        assert all(name.startswith("eval/fid/protocol-") for name in metrics)

    def test_costs_of_training_once_infinite_values_never(self) -> None:
        rows = [row("train_seconds", 5.0, variant=v, protocol="cost/v1") for v in ("a=1", "a=2")]
        assert metrics_of([*rows, row("perplexity", float("inf"))]) == {"cost/train_seconds": 5.0}

    @pytest.mark.parametrize("text", ["fid@10", "a(b)", "../x", "é=1,b", "", "a:b", "कुत्ता", "..", "a/b", "x" * 300])
    def test_every_name_is_accepted_by_mlflow(self, text: str) -> None:
        from mlflow.utils.validation import _validate_metric_name

        for name in metrics_of([row(slice=text, variant="steps=50"), row(variant=text)]):
            _validate_metric_name(name)

    @pytest.mark.parametrize(
        "slices",
        [
            ("собака", "кошкам", "лошадь"),
            ("कुत्ता", "कुत्तो", "कुत्ते"),
            ("a=b", "a-b", "a,b", "a.b"),
            ("fid@10", "fid#10", "fid_10", " fid_10"),
            ("x" * 300 + "a", "x" * 300 + "b", "ä" * 200 + "a", "ä" * 200 + "b"),
        ],
        ids=["cyrillic", "devanagari", "written alike", "signs", "long"],
    )
    def test_no_two_slices_become_one_metric(self, slices: tuple[str, ...]) -> None:
        rows = [row(value=float(i), slice=one, ci95=(i - 0.5, i + 0.5)) for i, one in enumerate(slices)]
        metrics = metrics_of(rows)
        assert sorted(metrics.values()) == sorted(x + y for x in range(len(slices)) for y in (-0.5, 0.0, 0.5))
        assert all(len(name) <= 250 and len(part.encode()) <= 250 for name in metrics for part in name.split("/"))
        assert sum(name.endswith(("/low", "/high")) for name in metrics) == 2 * len(slices)

    def test_a_variant_and_a_slice_that_are_written_alike_are_two(self) -> None:
        metrics = metrics_of([row(value=1.0), row(value=2.0, variant="a=b"), row(value=3.0, slice="a-b")])
        assert sorted(metrics.values()) == [1.0, 2.0, 3.0]

    def test_a_name_that_lost_nothing_stays_as_it_is(self) -> None:
        assert safe_name("guidance=3.0,steps=50") == "guidance-3.0.steps-50"


class TestContent:
    def test_params_are_dotted_and_short(self, small_project: Path) -> None:
        params = load_params(small_project / "params.yaml")
        entry = gather(small_project, params.generators()).entries["ngram-word"]
        values = params_of(entry, "cpu", 0)
        assert values["model.unit"] == "words"
        assert values["model.order"] == "3"
        assert values["sample.variants"] == '[{"n": 1}, {"n": 2}, {"n": 3}]'
        assert values["profile"] == "cpu"
        long = gather(
            small_project, {"ngram-word": {**params.generator("ngram-word"), "model": {"x": "y" * 9000}}}
        ).entries["ngram-word"]
        assert len(params_of(long, "cpu", 0)["model.x"]) == 6000

    def test_curve_points_have_step_and_time(self, small_project: Path) -> None:
        entry = gather(small_project, load_params(small_project / "params.yaml").generators()).entries["ngram-char"]
        assert ("train/loss", 2.0, 2, 1.0) in curve_of(entry)

    def test_key_changes_with_evaluation_and_model_not_with_timings(self, small_project: Path) -> None:
        generators = load_params(small_project / "params.yaml").generators()

        def key() -> str:
            return content_key(small_project, gather(small_project, generators).entries["ngram-char"])

        first = key()
        write_json(small_project / "runs/ngram-char/train.json", {"seconds": 99.0})
        assert key() == first
        model = small_project / "models/ngram-char/ngram.npz"
        content = model.read_bytes()
        model.write_bytes(content + b"x")
        assert key() != first
        model.write_bytes(content)
        path = small_project / "evaluations/ngram-char.json"
        evaluation = read_json(path)
        evaluation["records"][0]["value"] += 1
        write_json(path, evaluation)
        assert key() != first


class TestSync:
    def test_logs_each_result_once_and_a_changed_one_again(self, small_project: Path) -> None:
        environment = dict(os.environ)
        first = run_sync(small_project)
        assert (first.logged, first.waiting) == (ALL, ["net"])
        assert os.environ.get("MLFLOW_TRACKING_URI") == environment.get("MLFLOW_TRACKING_URI")  # MLflow's API writes it
        runs = active_runs(small_project)
        assert sorted(name for name, _ in runs)[1:] == sorted(ALL)  # and the parent, cpu-...
        assert {status for _, status in runs} == {"FINISHED"}
        assert query(small_project, "SELECT count(*) FROM tags WHERE key = 'mlflow.parentRunId'") == [(3,)]
        assert query(small_project, "SELECT count(*) FROM params WHERE key = 'model.order'") == [(2,)]
        assert query(small_project, "SELECT value FROM latest_metrics WHERE key = 'eval/fid'") == [(812.5,)]
        assert query(small_project, "SELECT DISTINCT step FROM metrics WHERE key = 'train/loss' ORDER BY step") == [
            (1,),
            (2,),
            (3,),
        ]
        assert query(small_project, "SELECT digest FROM datasets WHERE name = 'play'") == [("0" * 36,)]
        grids = list((small_project / "mlruns").rglob("samples/*.png"))
        assert [grid.read_bytes()[:4] for grid in grids] == [b"\x89PNG"]
        assert len(list((small_project / "mlruns").rglob("samples/*.txt"))) == 6

        page = ui_link(local_uri(small_project), "words")
        assert "/#/experiments/1/runs?searchFilter=tags.family%20%3D%20%27words%27&orderByKey=" in page

        second = run_sync(small_project)
        assert (second.logged, second.present) == ([], ALL)
        assert active_runs(small_project) == runs

        path = small_project / "evaluations/ngram-char.json"
        evaluation = read_json(path)
        evaluation["records"][0]["value"] = 0.5
        write_json(path, evaluation)
        third = run_sync(small_project)
        assert third.logged == ["ngram-char"]
        assert len(active_runs(small_project)) == len(runs) + 2  # the run and its reproduction

    def test_a_killed_writer_leaves_no_trace(self, small_project: Path) -> None:
        run_sync(small_project, models=False)
        runs = len(active_runs(small_project))
        connection = sqlite3.connect(
            small_project / "mlflow.db"
        )  # as if a writer had died while it logged one generator
        connection.execute("UPDATE runs SET status = 'RUNNING' WHERE name = 'ngram-word' OR name LIKE 'cpu-%'")
        connection.commit()
        connection.close()
        result = run_sync(small_project, models=False)
        assert (result.logged, result.cleaned) == (["ngram-word"], 1)
        assert len(active_runs(small_project)) == runs
        assert {status for _, status in active_runs(small_project)} == {"FINISHED"}

    def test_a_damaged_database_is_named_with_the_remedy(self, small_project: Path) -> None:
        (small_project / "mlflow.db").write_bytes(b"not a database" * 100)
        assert store_state(local_uri(small_project)) is None
        with pytest.raises(BenchError, match=r"delete .*mlflow\.db"):
            run_sync(small_project)

    @pytest.mark.parametrize("name", ["que?stion", "per%20cent", "ha#sh", "two words", "Größe &;'x"])
    def test_the_store_lies_in_its_checkout_whatever_the_folder_is_called(
        self, small_project: Path, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        root = small_project.rename(small_project.with_name(name))
        beside = sorted(root.parent.iterdir())
        done = run_sync(root, models=name == "que?stion")  # a model in the store takes seconds
        assert done.logged == ALL
        assert sorted(root.parent.iterdir()) == beside
        assert database_of(done.uri) == root / "mlflow.db"
        assert len(list((root / "mlruns").rglob("records.json"))) == 3
        assert len(list((root / "mlruns").rglob("MLmodel"))) == (3 if name == "que?stion" else 0)
        assert run_sync(root).present == ALL
        assert "/#/experiments/1/runs" in ui_link(done.uri)

    def test_a_store_that_cannot_be_written_is_named(self, small_project: Path) -> None:
        (small_project / "file").write_text("x")
        generators = load_params(small_project / "params.yaml").generators()
        with pytest.raises(BenchError, match=r"MLflow store .*: cannot write .*file is no folder"):
            sync(small_project, generators, uri=f"sqlite:///{small_project}/file/mlflow.db")

    def test_a_server_that_does_not_answer_is_named_with_the_remedy(self, small_project: Path) -> None:
        generators = load_params(small_project / "params.yaml").generators()
        with pytest.raises(BenchError, match="MLFLOW_TRACKING_URI"):
            sync(small_project, generators, uri="http://127.0.0.1:1")

    def test_eight_writers_at_once_neither_corrupt_nor_duplicate(self, small_project: Path) -> None:
        code = (
            "from pathlib import Path; from bench.config.load import load_params\n"
            "from bench.tracking.store import local_uri; from bench.tracking.sync import sync\n"
            "root = Path.cwd(); print(len(sync(root, load_params().generators(), uri=local_uri(root)).logged))"
        )
        writers = [
            subprocess.Popen([sys.executable, "-c", code], cwd=small_project, stdout=subprocess.PIPE, text=True)
            for _ in range(8)
        ]
        logged = [int(writer.communicate(timeout=120)[0]) for writer in writers]
        assert [writer.returncode for writer in writers] == [0] * 8
        assert sum(logged) == 3
        assert len(active_runs(small_project)) == 4
        assert query(small_project, "PRAGMA integrity_check") == [("ok",)]
        assert query(small_project, "SELECT count(*) - count(DISTINCT value) FROM tags WHERE key = 'bench.key'") == [
            (0,)
        ]

    def test_the_logged_model_loads_in_a_fresh_process_and_samples(self, small_project: Path, tmp_path: Path) -> None:
        described = read_json(small_project / "models/dummy-images/model.json")
        write_json(small_project / "models/dummy-images/model.json", {**described, "uses": {"codec": "ngram-char"}})
        run_sync(small_project)
        assert (
            len(list((small_project / "mlruns").rglob("artifacts/ngram-char/model.json"))) == 2
        )  # its own, and beside what uses it
        shutil.rmtree(small_project / "models")  # the logged copy must do
        code = f"""
import json, mlflow, pandas
mlflow.set_tracking_uri({local_uri(small_project)!r})
found = mlflow.search_runs(search_all_experiments=True, output_format="list")
runs = {{run.info.run_name: run.info.run_id for run in found}}
words = mlflow.pyfunc.load_model(f"runs:/{{runs['ngram-word']}}/model")
images = mlflow.pyfunc.load_model(f"runs:/{{runs['dummy-images']}}/model")
ask = {{"n_chars": 30, "seed": 7, "options": '{{"n": 3}}'}}
print(json.dumps([
    words.predict(["To be", "or"], params=ask),
    words.predict(pandas.DataFrame({{"prompt": ["To be", "or"]}}), params=ask),
    list(images.predict(5).shape),
    list(images.predict(pandas.DataFrame({{"label": [3, 1]}})).shape),
]))
"""
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True
        )
        texts, again, counted, labelled = json.loads(done.stdout.strip().splitlines()[-1])
        assert texts == again
        assert [len(text) for text in texts] == [30, 30]
        assert (counted, labelled) == ([5, 28, 28, 1], [2, 28, 28, 1])

    def test_one_store_under_two_names(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert same_store("sqlite:///mlflow.db", local_uri(tmp_path))
        assert not same_store("http://127.0.0.1:5000", local_uri(tmp_path))


class TestPipeline:
    """With DVC itself: a plain `dvc repro` logs, a second runs nothing, and nothing retrains what is there."""

    @pytest.fixture
    def project(self, small_project: Path) -> Path:
        shutil.copytree(small_project, small_project.parent / "made")  # what the stand-ins of the stages copy
        for folder in ("models", "runs", "samples", "evaluations"):
            shutil.rmtree(small_project / folder)
        stage = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["track"]
        make = (
            "sh -c 'echo ${item} >> made.log; for d in models runs; do mkdir -p $d; cp -r ../made/$d/${item} "
            "$d/${item}; done; "
            "mkdir -p samples evaluations; cp ../made/samples/${item}.* samples/; cp "
            "../made/evaluations/${item}.json evaluations/'"
        )
        outs = ["models/${item}", "runs/${item}", "evaluations/${item}.json"]
        track = {
            "cmd": f"{sys.executable} {REPOSITORY / 'stages' / 'track.py'}",
            "deps": [dep for dep in stage["deps"] if not dep.startswith(("build/", "data/"))],
            "outs": stage["outs"],
        }
        pipeline = {
            "stages": {"make": {"foreach": ALL, "do": {"cmd": make, "params": ["seed"], "outs": outs}}, "track": track}
        }
        (small_project / "dvc.yaml").write_text(yaml.safe_dump(pipeline), encoding="utf-8")
        self.dvc(small_project, "init", "--no-scm", "-q")
        return small_project

    def dvc(self, root: Path, *arguments: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        environment.pop("MLFLOW_TRACKING_URI", None)
        command = [sys.executable, "-m", "dvc", *arguments]
        done = subprocess.run(
            command, cwd=root, capture_output=True, text=True, env=environment, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def test_repro(self, project: Path) -> None:
        self.dvc(project, "repro")
        runs = active_runs(project)
        assert len(runs) == 4
        lock = (project / "dvc.lock").read_bytes()

        out = self.dvc(project, "repro")
        assert "Running stage" not in out
        assert active_runs(project) == runs
        assert (project / "dvc.lock").read_bytes() == lock
        assert "up to date" in self.dvc(project, "status")

        (project / "mlflow.db").unlink()
        out = self.dvc(project, "repro")
        assert out.count("Running stage") == 1
        assert "Running stage 'track'" in out
        assert len(active_runs(project)) == 4
        assert (project / "made.log").read_text().split() == ALL

        for folder in ("models", "runs", "evaluations"):  # everything comes back from DVC's cache, and is logged
            shutil.rmtree(project / folder)
        (project / "mlflow.db").unlink()
        self.dvc(project, "repro")
        assert (project / "made.log").read_text().split() == ALL
        assert len(active_runs(project)) == 4
        assert "up to date" in self.dvc(project, "status")
