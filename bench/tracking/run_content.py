"""What an MLflow run of one generator holds: params, metrics, curves, tags and artifacts, as plain data.

Nothing here knows MLflow; :mod:`bench.tracking.sync` writes it. A run has at most 40 names of metrics: the headlines of
the family first, then costs, the learning curve and what else was measured on all of the test split, each for the one
setting that the leaderboard shows. Every setting is a run of its own beneath, every row stands in ``records.json``.
Names are those that MLflow allows (:mod:`bench.base.names`).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.base.files import SampleSet, hash_file, hash_json, read_image_samples, read_text_samples
from bench.base.names import LONGEST, fitted_name, safe_name
from bench.catalogue.families import FAMILIES
from bench.results.choice import chosen_settings
from bench.results.extras import Figure, Film, Gallery, Strip
from bench.results.headlines import View, headline_numbers
from bench.results.leaderboard import ColumnKey, column_key
from bench.results.records import Record, parse_variant
from bench.results.sources import Entry

__all__ = [
    "MOST_METRICS",
    "artifacts_of",
    "content_key",
    "curve_of",
    "description_of",
    "metrics_of",
    "params_of",
    "setting_params",
    "setting_tags",
    "settings_of",
    "tags_of",
]

MAX_PARAM = 6000
MOST_METRICS = 40
"""Names of metrics in one run, those of the learning curve included."""
LONGEST_PLACE = LONGEST - len("interval//high")
MAX_GRIDS = 16
TRAIN_COSTS = ("train_seconds", "train_flops", "parameters", "peak_memory_bytes")
SAMPLE_COSTS = ("sample_seconds_per_item",)


def content_key(root: Path, entry: Entry) -> str:
    """Hash of what a run shows: the generator's inputs (block, seed, data, entries of ``dvc.lock``) and its evaluation,
    pictures included.

    Timings are left out: the same inputs give the same key on every run. Without a ``dvc.lock`` the files of the model
    and the samples stand in for the inputs.
    """
    files = [root / "evaluations" / f"{entry.name}.json", *(root / "evaluations" / entry.name).glob("*")]
    if not entry.stages:
        files += (root / "models" / entry.name).rglob("*")
        files += [root / "samples" / f"{entry.name}{end}" for end in (".npz", ".jsonl")]
    hashes = {path.relative_to(root).as_posix(): hash_file(path) for path in files if path.is_file()}
    return hash_json({"run_key": entry.run_key, "files": hashes})[:32]


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = fitted_name(f"{prefix}.{safe_name(str(key))}" if prefix else safe_name(str(key)))
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, name)
        else:
            text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
            yield name, text if len(text) <= MAX_PARAM else text[: MAX_PARAM - 3] + "..."


def params_of(entry: Entry, profile: str, seed: int) -> dict[str, str]:
    """Dotted params: the whole block, the profile and the global seed."""
    block = {key: value for key, value in entry.block.items() if key != "name" and value not in ({}, None)}
    return {"profile": profile, "seed": str(seed), **dict(_flatten(block))}


def _shown(records: Sequence[Record]) -> dict[str, Record]:
    """Metric -> the row on all of the test split that stands for the generator: of the setting that the leaderboard
    shows, else the first of the block."""
    chosen, found = chosen_settings(records), dict[str, Record]()
    for record in records:
        if record.split == "validation" or record.slice:
            continue
        shown = record.variant == chosen.get((record.generator, record.dataset))
        if record.metric not in found or (shown and found[record.metric].variant != record.variant):
            found[record.metric] = record
    return found


def _headlines(
    records: Sequence[Record], views: Iterable[Sequence[View]], role: str, sizes: Mapping[ColumnKey, int]
) -> dict[str, float]:
    """As in the README: of the columns that the schema asks for the largest comes first, and of a column the shown
    setting counts, whichever setting the schema finds it by."""
    chosen = chosen_settings(records)

    def order(record: Record) -> tuple[object, ...]:
        other = record.variant != chosen.get((record.generator, record.dataset))
        return -sizes.get(column_key(record), 0), record.protocol, record.split, record.slice, other

    ordered = sorted(records, key=order)
    for group in views:
        columns = {column_key(record) for record in records if any(_fits(record, view) for view in group)}
        rows = [one.to_json() for one in ordered if one.split == "validation" or column_key(one) in columns]
        plain = [{key: view[key] for key in view if key != "variant"} for view in group]
        if found := headline_numbers(rows, [plain], role):
            return found
    return {}


def _fits(record: Record, view: View) -> bool:
    fits = all(fnmatchcase(str(getattr(record, key)), str(pattern)) for key, pattern in view.items())
    return fits and record.split != "validation"


def metrics_of(
    records: Sequence[Record],
    views: Iterable[Sequence[View]] = (),
    room: int = MOST_METRICS,
    sizes: Mapping[ColumnKey, int] = MappingProxyType({}),
) -> dict[str, float]:
    """At most ``room`` metrics, the most telling first.

    Args:
        records: of one generator, or of one of its settings.
        views: headlines of the family (:func:`bench.results.headlines.headline_views`). A headline stands under its
            bare name with the value that ``dvc metrics show`` and the README show.
        room: how many names.
        sizes: how many rows each column has in the whole run.

    Returns:
        ``eval/METRIC`` (a second headline of one metric has protocol, split or slice behind it),
        ``interval/METRIC/low`` and ``high`` of the headlines, ``cost/METRIC``.
    """
    shown = _shown(records)
    role = records[0].role if records else ""
    metrics: dict[str, float] = {}
    intervals: dict[str, float] = {}
    for name, value in _headlines(records, views, role, sizes).items():
        metric, _, rest = name.partition(" ")
        place = metric if f"eval/{metric}" not in metrics else fitted_name(f"{metric}/{safe_name(rest)}", LONGEST_PLACE)
        metrics[f"eval/{place}"] = value
        source = (record for record in records if record.metric == metric and record.value == value and record.ci95)
        if (found := next(source, None)) is not None and found.ci95 is not None:
            intervals[f"interval/{place}/low"], intervals[f"interval/{place}/high"] = found.ci95
    costs = (*TRAIN_COSTS, *SAMPLE_COSTS)
    for record in sorted(shown.values(), key=lambda record: record.metric not in costs):
        name = f"{'cost' if record.metric in costs else 'eval'}/{fitted_name(safe_name(record.metric), LONGEST_PLACE)}"
        if record.value is not None:
            metrics.setdefault(name, record.value)
    return dict([*metrics.items(), *intervals.items()][:room])


def settings_of(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Setting -> its rows, where a generator was measured in several; rows of chance have another role."""
    role = records[0].role if records else ""
    found: dict[str, list[Record]] = {}
    for record in records:
        if record.role == role:
            found.setdefault(record.variant, []).append(record)
    return found if len(found) > 1 else {}


def setting_tags(entry: Entry, variant: str, key: str) -> dict[str, str]:
    """Tags of the run of one setting."""
    who = {"generator": entry.name, "system": entry.system, "family": entry.family, "dataset": entry.dataset}
    return {**who, "bench.key": f"{key}:{hash_json(variant)[:16]}", "bench.kind": "setting", "variant": variant}


def setting_params(variant: str) -> dict[str, str]:
    """The swept settings, as params."""
    return {fitted_name(f"setting.{safe_name(key)}"): value for key, value in parse_variant(variant).items()}


def description_of(
    entry: Entry, views: Iterable[Sequence[View]] = (), sizes: Mapping[ColumnKey, int] = MappingProxyType({})
) -> str:
    """What the UI shows above a run: who it is, its headlines, how to make it again and how to use it."""
    numbers = _headlines(entry.records, views, entry.role, sizes)
    lines = [
        f"**{entry.name}**: `{entry.system}` on `{entry.dataset}` ({FAMILIES[entry.family].title}, {entry.role})",
        *[f"- {name}: {value:.6g}" for name, value in numbers.items()],
        f"- shown setting: `{variant}`" if (variant := _variant(entry)) else "",
        "- every setting is a run beneath this one; every row, with interval and protocol, is in `records.json`",
        f"- again: `{_again(entry)}`",
    ]
    return "\n".join(line for line in lines if line)


def _variant(entry: Entry) -> str:
    return chosen_settings(entry.records).get((entry.name, entry.dataset), "")


def _again(entry: Entry) -> str:
    stage = entry.stages.get("evaluate")
    return f"dvc repro {stage}" if stage else f"python stages/evaluate.py {entry.name}"


def curve_of(entry: Entry) -> list[tuple[str, float, int, float]]:
    """Learning curve as ``(name, value, step, seconds since the start)``; the columns of ``history.tsv`` under
    ``train/``."""
    steps = entry.history.get("step", ())
    seconds = entry.history.get("seconds", ())
    points = []
    for column, values in entry.history.items():
        if column == "step":
            continue
        for i, (step, value) in enumerate(zip(steps, values, strict=False)):
            if math.isfinite(value) and math.isfinite(step):
                when = seconds[i] if i < len(seconds) and math.isfinite(seconds[i]) else 0.0
                points.append((f"train/{safe_name(column)}", value, int(step), when))
    return points


def tags_of(entry: Entry, key: str, commit: str) -> dict[str, str]:
    """Tags to find the run by: the content key, who it is, its protocols, the command that makes it again."""
    tags = {
        "bench.key": key,
        "bench.kind": "generator",
        "bench.run_key": entry.run_key,
        "generator": entry.name,
        "system": entry.system,
        "family": entry.family,
        "dataset": entry.dataset,
        "role": entry.role,
        "reproduce": _again(entry),
    }
    if commit:
        tags["mlflow.source.git.commit"] = commit
    for metric, record in _shown(entry.records).items():
        if metric in (*TRAIN_COSTS, *SAMPLE_COSTS):
            continue
        protocols = dict.fromkeys(record.protocol for record in entry.records if record.metric == metric)
        tags[f"protocol.{safe_name(metric)}"] = ", ".join(protocols)
        if record.variant:
            tags[f"variant.{safe_name(metric)}"] = record.variant
    return tags


def _sample_sets(root: Path, name: str) -> list[SampleSet]:
    images, texts = root / "samples" / f"{name}.npz", root / "samples" / f"{name}.jsonl"
    if images.is_file():
        return read_image_samples(images)
    return read_text_samples(texts) if texts.is_file() else []


def _picture(item: SampleSet) -> bytes | None:
    from bench.results.pictures import grid, png_bytes

    if item.images is None or item.images.ndim not in (3, 4) or len(item.images) == 0:
        return None
    side = max(item.images.shape[1:3])
    shown = item.images[: 64 if side <= 64 else 8]
    if shown.ndim == 4 and shown.shape[-1] not in (1, 3):
        return None
    return png_bytes(grid(shown, columns=8 if side <= 64 else 2, scale=max(1, min(4, 96 // side))))


def _pictures(entry: Entry) -> Iterator[tuple[str, bytes]]:
    """Pictures and films of the report as files, named by kind, place and title."""
    places: Counter[str] = Counter()
    for extra in entry.extras:
        if isinstance(extra, Gallery | Strip | Figure | Film):
            stem = f"{extra.KIND}/{places[extra.KIND]:02d}-{safe_name(extra.title, 80)}"
            places[extra.KIND] += 1
            if isinstance(extra, Film):
                yield f"{stem}.mp4", extra.mp4
            yield f"{stem}.png", extra.poster if isinstance(extra, Film) else extra.png


def artifacts_of(root: Path, entry: Entry) -> dict[str, bytes]:
    """Small files of a run: path inside the run -> content. Grids of samples and texts, pictures and videos of the
    report, the curve, the records."""
    files: dict[str, bytes] = {}
    for i, item in enumerate(_sample_sets(root, entry.name)[:MAX_GRIDS]):
        stem = f"samples/{i:02d}{'-' + safe_name(item.variant, 200) if item.variant else ''}"
        picture = _picture(item)
        if picture is not None:
            files[f"{stem}.png"] = picture
            if item.prompts:
                files[f"{stem}.prompts.txt"] = "\n".join(item.prompts[:64]).encode()
        elif item.texts is not None:
            prompts = item.prompts or [""] * len(item.texts)
            shown = [f"[{prompt}]{text}" if prompt else text for prompt, text in zip(prompts, item.texts, strict=True)]
            files[f"{stem}.txt"] = "\n\n---\n\n".join(shown[:32]).encode()
    files.update(_pictures(entry))
    for source in ("history.tsv", "train.json", "sample.json"):
        path = root / "runs" / entry.name / source
        if path.is_file():
            files[f"run/{source}"] = path.read_bytes()
    rows = [record.to_json() for record in entry.records]
    files["records.json"] = (json.dumps(rows, indent=1, sort_keys=True) + "\n").encode()
    return files
