"""Mirroring result files into MLflow: each generator once, whatever is deleted, restored, killed or done at the same
time."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
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
from bench.tracking.run_content import content_key, curve_of, metrics_of, params_of, setting_params, settings_of
from bench.tracking.store import database_of, local_uri, same_store, store_state, ui_link
from bench.tracking.sync import SyncResult, sync

REPOSITORY = Path(__file__).resolve().parents[2]
ALL = ["ngram-char", "ngram-word", "dummy-images"]
SETTINGS = [f"ngram-{unit} n={n}" for unit in ("char", "word") for n in (1, 2, 3)]


def run_sync(root: Path, **options: Any) -> SyncResult:
    params = load_params(root / "params.yaml")
    return sync(root, params.generators(), profile=params.profile, seed=params.seed, uri=local_uri(root), **options)


def query(root: Path, text: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(root / "mlflow.db")
    try:
        return list(connection.execute(text))
    finally:
        connection.close()


def active_runs(root: Path, *, settings: bool = False) -> list[tuple[str, str]]:
    """Names and states of the runs of reproductions and generators, or of their settings."""
    return query(
        root,
        f"""SELECT r.name, r.status FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = 'bench.kind'
            WHERE r.lifecycle_stage = 'active' AND t.value {"=" if settings else "!="} 'setting'
            ORDER BY r.start_time, r.name""",
    )


def row(metric: str = "fid", value: float | None = 1.0, variant: str = "", **fields: Any) -> Record:
    fields = {"protocol": "fid/net/n=1000", **fields}
    return Record("g", "ddpm", "images", "mnist", metric, value=value, variant=variant, **fields)


VIEWS = [[{"metric": "fid", "slice": "", "protocol": "fid/net/*"}]]


class TestMetrics:
    def test_a_setting_stands_under_the_bare_name_and_the_first_stands_for_all(self) -> None:
        rows = [row(variant="steps=50", ci95=(0.9, 1.1)), row(variant="steps=10", value=3.0)]
        assert metrics_of(rows) == {"eval/fid": 1.0}
        assert metrics_of(rows, VIEWS) == {"eval/fid": 1.0, "interval/fid/low": 0.9, "interval/fid/high": 1.1}
        assert [metrics_of(some)["eval/fid"] for some in settings_of(rows).values()] == [1.0, 3.0]
        assert settings_of(rows[:1]) == {}

    def test_the_setting_chosen_on_the_validation_split_stands_for_all(self) -> None:
        rows = [row(variant=f"steps={n}", value=float(n), split=s) for n in (9, 1) for s in ("test", "validation")]
        rows = [replace(one, metric="bits_per_byte", family="words", higher_is_better=False) for one in rows]
        assert metrics_of(rows) == {"eval/bits_per_byte": 1.0}

    def test_a_headline_of_another_protocol_is_told_apart_and_the_rest_is_in_the_records(self) -> None:
        rows = [
            row(value=2.0, protocol="fid/other"),
            row(),
            row(value=4.0, protocol="fid/net/n=50"),
            row(slice="x"),
            row("kid", 0.5, slice="x"),
        ]
        assert metrics_of(rows, VIEWS) == {"eval/fid": 1.0, f"eval/fid/{safe_name('fid/net/n=50')}": 4.0}

    def test_a_column_that_the_schema_finds_by_a_setting_shows_what_the_readme_shows(self) -> None:
        views = [[{"metric": "fid", "variant": "templates=many"}]]
        one, many = (row(variant=f"templates={name}", value=value) for name, value in (("one", 1.0), ("many", 2.0)))
        assert metrics_of([one, many], views)["eval/fid"] == 1.0, "one column: its shown setting"
        apart = [one, replace(many, protocol="fid/net/many")]
        assert metrics_of(apart, views)["eval/fid"] == 2.0, "two columns: the one that is asked for"
        late = [replace(one, metric="kid"), many, one]
        assert metrics_of(late, views)["eval/fid"] == 1.0, "the setting that comes first in the block"

    def test_costs_come_before_what_is_no_headline_and_infinite_values_never(self) -> None:
        rows = [
            row("perplexity", float("inf")),
            row("kid", 0.5),
            *[row("train_seconds", 5.0, variant=v, protocol="cost/v1") for v in ("a=1", "a=2")],
            row(),
        ]
        assert list(metrics_of(rows, VIEWS)) == ["eval/fid", "cost/train_seconds", "eval/kid"]

    def test_there_are_at_most_forty(self) -> None:
        rows = [row(f"metric_{i}", float(i), ci95=(0.0, 1.0)) for i in range(99)] + [row()]
        assert len(metrics_of(rows, VIEWS)) == 40
        assert "eval/fid" in metrics_of(rows, VIEWS, 3)

    @pytest.mark.parametrize("text", ["fid@10", "a(b)", "../x", "é=1,b", "", "a:b", "कुत्ता", "..", "a/b", "x" * 300])
    def test_every_name_is_accepted_by_mlflow(self, text: str) -> None:
        from mlflow.utils.validation import _validate_metric_name, _validate_param_name

        rows = [row(slice=text, variant="steps=50"), row(variant=text), row(protocol=f"fid/{text}", slice="y")]
        every = metrics_of(rows, [[{"metric": "fid"}]])
        assert len(every) >= 2
        for name in every:
            _validate_metric_name(name)
        for name in setting_params(f"{text}=1"):
            _validate_param_name(name)

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
        assert query(small_project, "SELECT count(*) FROM tags WHERE key = 'mlflow.parentRunId'") == [(9,)]
        assert active_runs(small_project, settings=True) == [(name, "FINISHED") for name in SETTINGS]
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
        assert "/#/experiments/1/runs?searchFilter=tags.family%20%3D%20%27words%27%20and%20tags." in page
        assert page.endswith("&compareRunsMode=CHART&workflowType=machine_learning")
        assert ui_link(local_uri(small_project)).endswith("/#/experiments/1/runs?workflowType=machine_learning")

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
        assert active_runs(small_project, settings=True) == [(name, "FINISHED") for name in SETTINGS]

    def test_what_one_reads_first(self, small_project: Path) -> None:
        """Few metrics, a setting a run, a description, and a registered model of the generator's name that says what it
        takes."""
        run_sync(small_project)
        keys = query(small_project, "SELECT run_uuid, count(DISTINCT key) FROM latest_metrics GROUP BY run_uuid")
        assert len(keys) == 9
        assert max(count for _, count in keys) <= 40
        shown = """SELECT m.value FROM latest_metrics m JOIN runs r ON r.run_uuid = m.run_uuid
                   WHERE m.key = 'eval/bits_per_byte' AND r.name = ?""".replace("?", "'{}'")
        assert query(small_project, shown.format("ngram-char")) == [(1.0,)]  # n=3, best on the validation split
        assert query(small_project, shown.format("ngram-char n=1")) == [(3.0,)]
        assert (
            query(small_project, "SELECT key, value FROM params WHERE key LIKE 'setting.%' AND value = '2'")
            == [("setting.n", "2")] * 2
        )
        notes = query(small_project, "SELECT value FROM tags WHERE key = 'mlflow.note.content' AND value LIKE '**%'")
        assert sorted(note.split(":")[0] for (note,) in notes) == [f"**{name}**" for name in sorted(ALL)]
        assert any("shown setting: `n=3`" in note for (note,) in notes)
        registered = query(small_project, "SELECT name, version, status FROM model_versions ORDER BY name")
        assert registered == [(name, 1, "READY") for name in sorted(ALL)]
        logged = {path.parent: yaml.safe_load(path.read_text()) for path in (small_project / "mlruns").rglob("MLmodel")}
        inputs = [found["signature"]["inputs"] for found in logged.values()]
        assert len(logged) == 3
        assert all(json.loads(schema)[0]["type"] in ("string", "long") for schema in inputs)
        assert all((folder / "input_example.json").is_file() for folder in logged)

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
words = mlflow.pyfunc.load_model(f"runs:/{{runs['ngram-word']}}/ngram-word")
images = mlflow.pyfunc.load_model("models:/dummy-images/1")
ask = {{"n_chars": 30, "seed": 7, "options": '{{"n": 3}}'}}
print(json.dumps([
    words.predict(["To be", "or"], params=ask),
    words.predict(pandas.DataFrame({{"prompt": ["To be", "or"]}}), params=ask),
    list(images.predict(5).shape),
    list(images.predict(pandas.DataFrame({{"label": [3, 1]}})).shape),
    list(images.predict([3, 1, 2]).shape),
]))
"""
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True
        )
        texts, again, counted, labelled, listed = json.loads(done.stdout.strip().splitlines()[-1])
        assert texts == again
        assert [len(text) for text in texts] == [30, 30]
        assert (counted, labelled, listed) == ([5, 28, 28, 1], [2, 28, 28, 1], [3, 28, 28, 1])

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
