"""``bench score``: samples that any program left, measured like those of the benchmark's own generators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError, did_you_mean
from bench.base.files import SampleSet, read_json
from bench.base.names import slug
from bench.base.processes import resolve_device, set_threads
from bench.catalogue.families import FAMILIES
from bench.catalogue.metrics import metric_info
from bench.commands.flags import parse_options
from bench.commands.printing import print_json, print_table
from bench.config.load import Params, load_params
from bench.context import StageContext
from bench.contracts import ModelNeed
from bench.data.samples_from_files import digest_of, fitted, read_samples
from bench.pipeline.plan import scorers_of
from bench.report.display import MetricStyle, format_interval, format_value
from bench.results.records import Record
from bench.scoring import Evaluation, Scorer, evaluate, resolve_scorer, row_of

__all__ = ["floors_beside", "run"]

SYSTEM = "external_samples"
_WEIGHTS = (".pth", ".pt", ".safetensors")


def run(
    root: Path,
    path: Path,
    family: str,
    data: str | None,
    against: Path | None,
    roles: Sequence[str],
    captions: Path | None,
    options: Sequence[str],
    name: str,
    log: bool,
    as_json: bool,
) -> None:
    """Read, measure, print, and log if asked to.

    Raises:
        BenchError: a wrong family, data set, role or option, or samples that cannot be read.
    """
    if family not in FAMILIES or not FAMILIES[family].samples:
        sampled = [one.name for one in FAMILIES.values() if one.samples]
        raise BenchError(f"--family {family}: not a family that is sampled.{did_you_mean(family, sampled)}")
    if (data is None) == (against is None):
        raise BenchError("say what to measure against: --data NAME (a prepared data set) or --against FOLDER")
    if captions is not None and FAMILIES[family].samples != ".npz":
        raise BenchError(f"--captions does nothing for {family}: captions belong to images")
    context = StageContext(
        name=slug(name or path.stem, "samples"),
        family=family,
        block={
            "system": SYSTEM,
            "family": family,
            "dataset": data or slug(against.name if against else "", "samples"),
            "role": "generator",
            "evaluate": parse_options(options),
        },
        seed=0,
        device="cpu",
        data=root / "data" / "prepared" / (data or ""),
        model=Path(),
        has_model=False,
    )
    sets = read_samples(path, FAMILIES[family].samples, captions)
    given = {role: str(other) for role, other in parse_options(roles, "--use", "ROLE=NAME").items()}
    floors: Mapping[str, Mapping[str, float]] = {}
    if against is not None:
        result = _against(root, context, sets, against, given)
    else:
        result, floors = _with_data(root, context, sets, given)
    if not result.rows:
        raise BenchError(f"{path}: nothing could be measured: too few samples (see minimum_n in docs/protocols.md)?")
    _show(result.records, floors, as_json)
    if log:
        from bench.tracking.external import log_scores

        said = log_scores(root, context, result, digest_of(*(one for one in (path, captions, against) if one)))
        if not as_json:
            print(said)


def _with_data(
    root: Path, context: StageContext, sets: list[SampleSet], given: dict[str, str]
) -> tuple[Evaluation, Mapping[str, Mapping[str, float]]]:
    """All scorers of the family that need samples alone, against a prepared data set."""
    params = load_params(root / "params.yaml")
    params.dataset(context.block["dataset"])
    names = scorers_of(context.block)
    found = [resolve_scorer(name) for name in names]
    models = {role: root / "models" / other for role, other in _roles(params, context, found, given).items()}
    context = replace(context, seed=params.seed, device=resolve_device(params.runtime["device"]), models=models)
    set_threads(params.runtime["threads"])
    if FAMILIES[context.family].samples == ".npz":
        from bench.data.datasets import load, load_images

        splits = load(context.data)
        if "test" in splits and hasattr(splits["test"], "images"):
            sets = fitted(sets, splits["test"].images, context.name)
        if context.family == "text_to_image":
            from bench.families.text_to_image.sampling import recognised

            sets = [recognised(one, context, load_images(context.data)) for one in sets]
    return evaluate(context, names, sets), floors_beside(root, params, context)


def _roles(params: Params, context: StageContext, found: Sequence[Scorer], given: dict[str, str]) -> dict[str, str]:
    """The model in each role that a scorer needs: the given one, else the one that the family's blocks of this data set
    name, so that numbers compare with theirs."""
    needed = {role for one in found for role, need in one.needs.items() if isinstance(need, ModelNeed)}
    for role in given:
        if role not in needed:
            raise BenchError(f"--use {role}: no scorer of {context.family} needs it.{did_you_mean(role, needed)}")
    roles = {}
    for role in sorted(needed):
        usual = [
            params.uses(name)[role]
            for name, block in params.generators().items()
            if block["family"] == context.family and block["dataset"] == context.block["dataset"] and role in block
        ]
        name = given.get(role) or next(iter(usual), "")
        if not name:
            raise BenchError(f"{context.family} on {context.block['dataset']} needs a model: --use {role}=NAME")
        params.generator(name)
        roles[role] = name
    return roles


def _against(
    root: Path, context: StageContext, sets: list[SampleSet], other: Path, given: dict[str, str]
) -> Evaluation:
    """Distances of one set of images to another."""
    from bench.base.settings import build_config
    from bench.scorers.distribution import DistributionOptions, distances
    from bench.scorers.folder_reference import FolderReference

    if FAMILIES[context.family].samples != ".npz":
        raise BenchError("--against compares images: texts are measured with --data")
    if set(given) != {"feature_net"}:
        raise BenchError("--against needs a feature network alone: --feature-net NAME or a file of Inception weights")
    network, name = _network(root, given["feature_net"])
    (reference,) = read_samples(other, ".npz")[:1]
    assert reference.images is not None
    ref = f"{context.block['dataset']}-{digest_of(other)[:8]}-{len(reference.images)}"
    options = build_config(DistributionOptions, context.block["evaluate"], "--option")
    measure = FolderReference(network, name, reference.images, ref, options, context.seed)
    rows = []
    for one in fitted(sets, reference.images, context.name):
        assert one.images is not None
        rows += [row_of(context, score) for score in distances(measure, one.images, one.variant)]
    return Evaluation(rows, [])


def _network(root: Path, given: str) -> tuple[Any, str]:
    """A trained encoder by name, a folder with one, or Inception from a file of weights; and its name for protocols."""
    from bench.registry import load_model

    path = Path(given)
    if path.suffix in _WEIGHTS:
        from bench.families.encoders.inception import Inception, InceptionConfig

        system = Inception(InceptionConfig(given))
        system.read()
        return system, f"inception-{digest_of(path)[:8]}"
    folder = path if (path / "model.json").is_file() else root / "models" / given
    return load_model(folder), slug(folder.name, "network")


def floors_beside(root: Path, params: Params, context: StageContext) -> dict[str, dict[str, float]]:
    """``protocol|split|slice`` -> the best floor and ceiling that this checkout has measured there, by role."""
    beside: dict[str, dict[str, float]] = {}
    for name, block in params.generators().items():
        path = root / "evaluations" / f"{name}.json"
        same = block["family"] == context.family and block["dataset"] == context.block["dataset"]
        if not same or block["role"] not in ("floor", "ceiling") or not path.is_file():
            continue
        for row in read_json(path).get("records", ()):
            record = Record.from_json(row)
            if record.value is not None:
                beside.setdefault(_place(record), {}).setdefault(record.role, record.value)
    return beside


def _place(record: Record) -> str:
    return f"{record.protocol}|{record.split}|{record.slice}"


def _show(records: Sequence[Record], floors: Mapping[str, Mapping[str, float]], as_json: bool) -> None:
    ratios = {record.variant: record.value for record in records if record.metric == "fid_ratio"}
    rows: list[dict[str, Any]] = []
    for record in records:
        beside = dict(floors.get(_place(record), {}))
        ratio = ratios.get(record.variant) if record.metric == "fid" else None
        if ratio and record.value is not None:
            beside["real_against_real"] = record.value / ratio  # at the same N
        rows.append({**record.to_json(), "beside": beside})
    if as_json:
        print_json(rows)
        return
    shown = []
    for record, row in zip(records, rows, strict=True):
        info = metric_info(record.metric)
        style = MetricStyle(info.name, info.title, "percent" if info.share else "sig:3")
        beside = row["beside"]
        texts = {role: format_value(value, style) for role, value in beside.items()}
        interval = format_interval(record.ci95, style) if record.ci95 else ""
        shown.append(
            {
                "metric": style.title,
                "variant": record.variant,
                "slice": record.slice,
                "value": "-" if record.value is None else format_value(record.value, style),
                "95 % interval": interval,
                "floor": texts.get("floor", ""),
                "real data": texts.get("real_against_real") or texts.get("ceiling", ""),
                "n": record.n,
                "protocol": record.protocol,
            }
        )
    columns = [column for column in shown[0] if any(row[column] != "" for row in shown)]
    print_table(columns, shown, fold="protocol")
