"""Writes dvc.yaml from params.yaml and from what every system needs.

A group stands for one kind of stage of one family. Where all blocks of a family name the same roles, the group is a
template over the section of params.yaml, and a new block needs no new graph. Where they differ (a generator in the
latents of a codec beside its floors), each block is listed with what its stage reads. DVC wants as many entries in
every item as the group has dependencies, so a shorter list repeats its first entry.
"""

from __future__ import annotations

from pathlib import Path

from bench.base.errors import BenchError
from bench.base.files import write_text
from bench.catalogue.families import FAMILIES, Family
from bench.config.load import Params
from bench.pipeline.plan import data_of, files_of, models_of

__all__ = ["check_graph", "graph", "write_graph"]

_HEAD = """\
# The pipeline, written by `bench graph` from params.yaml and from what each system needs. Stages of your own go into a
# dvc.yaml in a folder of yours.
#
#   plan -> fetch -> prepare -> render -> train-<family> -> sample-<family> -> evaluate-<family> -> track, report
#
# A group is a family's blocks. Where their roles differ, each is listed with what its stage reads. Settings and code
# reach a stage through its file in build/plan (written by `plan`): it changes exactly when the stage's resolved
# settings or the code that it imports change. docs/decisions/0001 says why, 0005 why this file is written.
params: [params.yaml] # for `dvc params diff` and `dvc exp show`

stages:
  plan:
    desc: Check params.yaml to the last key; write the settings and code fingerprint that every stage depends on
    cmd: python stages/plan.py
    # params.yaml as a file: a copy of all parameters in dvc.lock costs every stage half a second
    deps: [params.yaml, bench, stages, datasets, constraints.txt]
    outs: [build/plan]

  fetch:
    foreach: ${datasets}
    do:
      desc: Named members of checked archives
      cmd: python stages/fetch.py ${key}
      deps: ["${item.card}", build/plan/fetch.json, "build/plan/data-${key}.json"]
      outs: ["data/raw/${key}"]

  prepare:
    foreach: ${datasets}
    do:
      desc: Splits that training and evaluation read
      cmd: python stages/prepare.py ${key}
      deps: ["${item.card}", "data/raw/${key}", build/plan/prepare.json, "build/plan/data-${key}.json"]
      outs: ["data/prepared/${key}"]

  render:
    foreach: ${derived_datasets}
    do:
      desc: A data set made from another one
      cmd: python stages/prepare.py ${key}
      deps: ["${item.card}", "data/prepared/${item.source}", build/plan/prepare.json, "build/plan/data-${key}.json"]
      outs: ["data/prepared/${key}"]
"""
_TAIL = """
  report:
    desc: The leaderboard as json, csv, md and one self-contained page; the claims and their verdicts
    cmd: python stages/report.py
    deps:
      - build/plan/report.json
      - evaluations
      - runs
      - data/prepared
      - reports/schema.yaml
      - reports/claims.yaml
      - reports/literature.yaml
      - reports/history.yaml
      - reports/templates
    # persist: DVC deletes other outputs before the command runs, and a clone without evaluations would lose its report
    outs:
      - reports/leaderboard.json: {cache: false, persist: true}
      - reports/leaderboard.csv: {cache: false, persist: true}
      - reports/leaderboard.md: {cache: false, persist: true}
      - reports/claims.json: {cache: false, persist: true}
      - reports/index.html: {cache: false, persist: true}
      - reports/preview.png: {cache: false, persist: true}

  track:
    desc: Mirror every generator into MLflow, each once; the store is the output, so a deleted one is filled again
    cmd: python stages/track.py
    deps: [build/plan/track.json, evaluations, runs, samples, models, data/prepared]
    outs:
      - mlflow.db: {cache: false, persist: true}
"""
_OUTPUTS = {
    "train": """\
      outs:
        - models/${key}
        - runs/${key}/train.json
      plots:
        - runs/${key}/history.tsv: {x: step, y: loss}
""",
    "sample": """\
      outs:
        - samples/${key}SUFFIX
        - runs/${key}/sample.json
""",
    "evaluate": """\
      outs:
        - evaluations/${key}.json
        - evaluations/${key}
      metrics:
        - evaluations/${key}.metrics.json
""",
}


def _roles(params: Params, name: str, stage: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The roles of further data sets and of models that a stage of a generator reads."""
    return tuple(data_of(params, name, stage)), tuple(models_of(params, name, stage))


def _inputs(params: Params, name: str, stage: str) -> list[str]:
    """What a stage of a generator reads besides its own plan, model and samples."""
    data = [params.generator(name)["dataset"], *data_of(params, name, stage).values()]
    models = models_of(params, name, stage).values()
    files = files_of(params.generator(name)) if stage == "train" else []
    return [f"data/prepared/{one}" for one in data] + [f"models/{other}" for other in models] + files


class _Graph:
    """The groups, and the bodies that several of them share."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.anchors: dict[str, str] = {}

    def group(self, family: Family, stage: str, names: list[str]) -> str:
        roles = {_roles(self.params, name, stage) for name in names}
        lines = [f"\n  {stage}-{family.name}:"]
        files = stage == "train" and any(files_of(self.params.generator(name)) for name in names)
        if len(roles) == 1 and not files:
            ((data, models),) = roles
            reads = ["data/prepared/${item.dataset}", *(f"data/prepared/${{item.{role}}}" for role in data)]
            reads += [f"models/${{item.{role}}}" for role in models]
            lines.append(f"    foreach: ${{{family.name}}}")
        else:
            inputs = {name: _inputs(self.params, name, stage) for name in names}
            slots = max(map(len, inputs.values()))
            reads = [f"${{item[{i}]}}" for i in range(slots)]
            lines.append("    foreach:")
            for name, read in inputs.items():
                lines.append(f"      {name}: [{', '.join([*read, *read[:1] * (slots - len(read))])}]")
        body = self._body(family, stage, reads)
        if body in self.anchors:
            lines.append(f"    do: *{self.anchors[body]}")
        else:
            self.anchors[body] = stage if stage not in self.anchors.values() else f"{stage}-{family.name}"
            lines += [f"    do: &{self.anchors[body]}", body.rstrip("\n")]
        return "\n".join(lines) + "\n"

    @staticmethod
    def _body(family: Family, stage: str, reads: list[str]) -> str:
        own = [f"build/plan/{stage}-${{key}}.json"]
        if stage != "train":
            own.append("models/${key}")
        if stage == "evaluate" and family.samples:
            own.append(f"samples/${{key}}{family.samples}")
        deps = "".join(f"        - {dep}\n" for dep in (*own, *reads))
        outputs = _OUTPUTS[stage].replace("SUFFIX", family.samples)
        return f"      cmd: python stages/{stage}.py ${{key}}\n      deps:\n{deps}{outputs}"


def graph(params: Params) -> str:
    """The text of dvc.yaml: the same for every profile. Imports every system."""
    groups, text = _Graph(params), _HEAD
    for family in FAMILIES.values():
        names = [name for name in params.every_generator() if params.generator(name)["family"] == family.name]
        for stage in ("train", "sample", "evaluate"):
            if names and (stage != "sample" or family.samples):
                text += groups.group(family, stage, names)
    return text + _TAIL


def check_graph(root: Path, params: Params) -> None:
    """Refuse to go on with a graph that lacks a block or a dependency.

    Raises:
        BenchError: dvc.yaml is not what params.yaml and the systems ask for.
    """
    path = root / "dvc.yaml"
    if path.is_file() and path.read_text(encoding="utf-8") != graph(params):
        raise BenchError(f"{path} is out of date: what a block or a system needs has changed. Run `bench graph`")


def write_graph(root: Path, params: Params) -> bool:
    """Write dvc.yaml if it is out of date; True if it was."""
    path = root / "dvc.yaml"
    text = graph(params)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    write_text(path, text)
    return True
