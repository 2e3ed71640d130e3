"""Nothing can go stale silently: what a stage imports is what its plan hashes, and no more than that."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.base.files import write_json
from bench.catalogue.families import FAMILIES
from bench.catalogue.metrics import CATALOGUE
from bench.config.load import PROFILES, Params, load_params, merge
from bench.pipeline.dvc import graph
from bench.pipeline.fingerprint import closure
from bench.pipeline.plan import STAGES, build_plan, plan_path, stage_modules, write_plan
from bench.pipeline.stage import checkpoint_key

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("bench", "stages"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("params.yaml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def plans(root: Path) -> dict[str, str]:
    write_plan(root, load_params(root / "params.yaml"))
    return {path.stem: path.read_text() for path in (root / "build" / "plan").glob("*.json")}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_a_changed_network_retrains_exactly_what_imports_it(project: Path) -> None:
    before = plans(project)
    path = project / "bench" / "nn" / "unet.py"
    path.write_text(path.read_text() + "\nNEW_CONSTANT = 1\n")
    stale = changed(before, plans(project))
    trained = {name.removeprefix("train-") for name in stale if name.startswith("train-")}
    users = set()
    for name, block in load_params(project / "params.yaml").generators().items():
        if block["system"] in ("ddpm", "latent_diffusion"):
            users.add(name)
    assert trained == users


def test_comments_and_docstrings_make_nothing_stale(project: Path) -> None:
    before = plans(project)
    path = project / "bench" / "training.py"
    path.write_text(path.read_text().replace('"""The one training loop', '# A remark.\n"""The single training loop', 1))
    assert not changed(before, plans(project))


def test_editing_the_report_retrains_nothing(project: Path) -> None:
    before = plans(project)
    for path in [project / "stages" / "report.py", *(project / "bench" / "report").glob("[!_]*.py")]:
        path.write_text(path.read_text() + "\nNEW_CONSTANT = 1\n")
    stale = changed(before, plans(project))
    assert stale
    assert not [
        name for name in stale if name.startswith(("train-", "sample-", "evaluate-", "fetch", "prepare", "data-"))
    ]


def test_another_headline_evaluates_its_family_alone(project: Path) -> None:
    """``evaluations/NAME.metrics.json`` holds the headlines of reports/schema.yaml."""
    text = (ROOT / "reports/schema.yaml").read_text(encoding="utf-8")
    (project / "reports").mkdir()
    (project / "reports/schema.yaml").write_text(text, encoding="utf-8")
    before = plans(project)
    assert "- { metric: fid, scale: log }" in text
    (project / "reports/schema.yaml").write_text(text.replace("- { metric: fid, scale: log }", "- { metric: kid }"))
    stale = changed(before, plans(project))
    blocks = load_params(ROOT / "params.yaml").generators()
    assert stale == {f"evaluate-{name}" for name, block in blocks.items() if block["family"] == "images"}


def test_a_metric_rescoring_retrains_nothing(project: Path) -> None:
    before = plans(project)
    path = project / "bench" / "metrics" / "fid.py"
    path.write_text(path.read_text() + "\nNEW_CONSTANT = 1\n")
    stale = changed(before, plans(project))
    assert "evaluate-ddpm-mnist" in stale
    assert not [name for name in stale if name.startswith("train-")]


def test_a_new_system_in_the_table_makes_nothing_stale(project: Path) -> None:
    before = plans(project)
    path = project / "bench" / "catalogue" / "systems.py"
    path.write_text(path.read_text().replace("}\n", '    "another": "bench.families.words.ngram:NGram",\n}\n', 1))
    assert not changed(before, plans(project))


def test_a_title_in_a_table_renews_the_report_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    params = load_params(ROOT / "params.yaml")
    plan = [build_plan(ROOT, params)]
    metric = dataclasses.replace(CATALOGUE["fid"], title="Another", higher_is_better=True)
    monkeypatch.setattr("bench.pipeline.plan.CATALOGUE", {**CATALOGUE, "fid": metric})
    plan.append(build_plan(ROOT, params))
    family = dataclasses.replace(FAMILIES["words"], title="Another")
    monkeypatch.setattr("bench.pipeline.plan.FAMILIES", {**FAMILIES, "words": family})
    plan.append(build_plan(ROOT, params))
    for before, after in pairwise(plan):
        assert {name for name in before if before[name] != after[name]} == {"report.json"}


def test_one_hyperparameter_changes_that_generators_plans_alone(project: Path) -> None:
    before = plans(project)
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["images"]["ddpm-mnist"].setdefault("train", {})["steps"] = 12345
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    stale = changed(before, plans(project))
    assert {name for name in stale if name.startswith(STAGES)} == {"train-ddpm-mnist"}


@pytest.mark.parametrize(
    ("key", "value", "stages"),
    [
        ("model", {"blocks": 2}, {"train"}),
        ("train", {"lr": 0.00123}, {"train"}),
        ("sample", {"n": 1234}, {"sample", "evaluate"}),
        ("evaluate", {"neighbours": 123}, {"evaluate"}),
        ("role", "memoriser", {"evaluate"}),
    ],
)
def test_each_part_of_a_block_is_in_the_plans_of_its_readers(key: str, value: object, stages: set[str]) -> None:
    def settings(change: Mapping[str, Any]) -> dict[str, Any]:
        raw = yaml.safe_load((ROOT / "params.yaml").read_text())
        raw["images"]["ddpm-mnist"] = merge(raw["images"]["ddpm-mnist"], change)
        plan = build_plan(ROOT, Params(raw, ROOT / "params.yaml"))
        names = [file for file in plan if file.startswith(STAGES)]
        return {file.removesuffix(".json"): plan[file].get("settings") for file in names}

    before, after = settings({}), settings({key: value})
    assert {name for name in before if before[name] != after[name]} == {f"{stage}-ddpm-mnist" for stage in stages}


def test_another_profiles_value_changes_nothing(project: Path) -> None:
    before = plans(project)
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["images"]["ddpm-mnist"].setdefault("profiles", {}).setdefault("smoke", {})["train"] = {"steps": 7}
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    assert not changed(before, plans(project))


def test_a_removed_generator_leaves_no_plan(project: Path) -> None:
    before = plans(project)
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text())
    del params["words"]["ngram-word"]
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    gone = before.keys() - plans(project).keys()
    assert gone == {f"{stage}-ngram-word" for stage in STAGES}


def test_a_package_upgrade_makes_its_importers_stale(project: Path) -> None:
    before = plans(project)
    path = project / "constraints.txt"
    path.write_text(path.read_text().replace("torch==2.13.0", "torch==2.14.0"))
    stale = changed(before, plans(project))
    assert "train-ddpm-mnist" in stale


def test_no_checkpoint_is_resumed_on_other_data_models_settings_or_processes(tmp_path: Path) -> None:
    params = load_params(ROOT / "params.yaml")
    name = "latent-diffusion-scenes"  # trains on one data set, with two other models
    data = tmp_path / "data/prepared/scenes/meta.json"
    codec, text = (tmp_path / "models" / params.uses(name)[role] / "weights.bin" for role in ("codec", "text_encoder"))
    plan = plan_path(tmp_path, "train", name)

    def write(path: Path, content: str) -> str:
        write_json(path, {"content": content})
        return checkpoint_key(tmp_path, params, name, 1)

    for path in (plan, data, codec, text):
        write(path, "as it was")
    key = checkpoint_key(tmp_path, params, name, 1)
    assert key == checkpoint_key(tmp_path, params, name, 1)
    others = [checkpoint_key(tmp_path, params, name, 2)]
    for path in (plan, data, codec, text):
        others.append(write(path, "changed"))
        assert write(path, "as it was") == key
    assert len({key, *others}) == 6
    scorer = tmp_path / "models" / params.uses(name)["scorer"] / "weights.bin"
    assert write(scorer, "changed") == key, "training reads no scorer"


def test_a_checkpoint_belongs_to_the_further_data_as_well(tmp_path: Path) -> None:
    params, name = load_params(ROOT / "params.yaml"), "gatys"
    write_json(plan_path(tmp_path, "train", name), {})
    keys = set()
    for content in ("one", "other"):
        write_json(tmp_path / "data/prepared" / params.further_data(name)["network"] / "meta.json", {"digest": content})
        keys.add(checkpoint_key(tmp_path, params, name, 1))
    assert len(keys) == 2


PROBE = """
import json, os, sys
import numpy, scipy, skimage, torch  # shared by the children; nothing of the project is imported before the fork
sys.path.insert(0, "stages")
for line in sys.stdin:
    modules = line.split()
    sys.stdout.flush()
    if os.fork() == 0:
        for name in modules:
            __import__(name)
        ours = [m for n, m in sys.modules.items() if n.split(".")[0] == "bench"]
        files = [m.__file__ for m in ours if getattr(m, "__file__", None)]
        print(json.dumps(files), flush=True)
        os._exit(0)
    if os.wait()[1]:
        sys.exit(f"cannot import {modules}")
"""


def test_what_python_really_imports_is_in_the_plan() -> None:
    """Against the static walk: import each stage script and system in a process of its own and look at sys.modules."""
    params = load_params(ROOT / "params.yaml")
    plan = build_plan(ROOT, params)
    cases: dict[tuple[str, str], tuple[list[str], set[str]]] = {}
    for name, block in params.generators().items():
        for stage in STAGES:
            content = plan.get(plan_path(ROOT, stage, name).name)
            if content is not None:
                target = content["settings"]["system"].partition(":")[0]
                modules = [stage, target, *stage_modules(block, stage)]
                cases.setdefault((stage, target), (modules, set(content["code"]["files"])))
    lines = "".join(" ".join(modules) + "\n" for modules, _ in cases.values())
    done = subprocess.run(
        [sys.executable, "-c", PROBE], cwd=ROOT, input=lines, capture_output=True, text=True, check=True
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(cases)
    for (case, (_, planned)), files in zip(cases.items(), found, strict=True):
        imported = {str(Path(file).relative_to(ROOT)) for file in files}
        assert {path for path in imported - planned if not path.startswith("bench/catalogue/")} == set(), case


def test_the_committed_graph_is_that_of_params(tmp_path: Path) -> None:
    assert (ROOT / "dvc.yaml").read_text() == graph(load_params(ROOT / "params.yaml")), "run `bench graph`"
    for profile in PROFILES:
        assert graph(load_params(ROOT / "params.yaml", profile)) == graph(load_params(ROOT / "params.yaml"))


def test_every_stage_of_the_pipeline_depends_on_its_plan() -> None:
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for name, stage in pipeline.items():
        if name == "plan":
            assert {"bench", "stages", "datasets", "constraints.txt"} <= set(stage["deps"])
            continue
        body = stage.get("do", stage)
        kind = {"render": "prepare"}.get(name, name.split("-")[0])
        own = (
            f"build/plan/{kind}.json"
            if kind in ("fetch", "prepare", "report", "track")
            else f"build/plan/{kind}-${{key}}.json"
        )
        assert own in body["deps"], f"{name} does not depend on {own}"
        script = body["cmd"].split()[1]
        assert script == f"stages/{kind}.py"


def test_closure_follows_imports_inside_functions(tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").write_text("")
    (tmp_path / "bench" / "deep.py").write_text("")
    (tmp_path / "entry.py").write_text("def f():\n    from bench import deep\n    import numpy\n")
    files, outside = closure(tmp_path, [tmp_path / "entry.py"])
    assert [path.name for path in files] == ["__init__.py", "deep.py", "entry.py"]
    assert outside == ["numpy"]
