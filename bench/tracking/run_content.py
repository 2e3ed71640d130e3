"""What an MLflow run of one generator holds: params, metrics, curves, tags and artifacts, as plain data.

Nothing here knows MLflow; :mod:`bench.tracking.sync` writes it. Names are those that MLflow allows
(:mod:`bench.base.names`): ``variant="sampler=ddim,steps=50"`` of metric ``fid`` becomes
``eval/fid/sampler-ddim.steps-50``.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.base.files import SampleSet, hash_file, hash_json, read_image_samples, read_text_samples
from bench.base.names import LONGEST, fitted_name, safe_name
from bench.results.choice import chosen_settings
from bench.results.extras import Figure, Film, Gallery, Strip
from bench.results.records import Record
from bench.results.sources import Entry

__all__ = ["artifacts_of", "content_key", "curve_of", "metrics_of", "params_of", "tags_of"]

MAX_PARAM = 6000
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


def _place(record: Record, variant: str) -> str:
    """``fid/sampler-ddim.steps-50/unseen``: metric, swept setting, split if it is not the test split, slice."""
    split = record.split if record.split not in ("", "test") else ""
    return "/".join(safe_name(part) for part in (record.metric, variant, split, record.slice) if part)


def headline_variants(records: Sequence[Record]) -> dict[str, str]:
    """Metric -> the variant whose value also stands under the bare name: the setting that the leaderboard shows, else
    the first of the block."""
    chosen, found = chosen_settings(records), dict[str, str]()
    for record in records:
        shown = chosen.get((record.generator, record.dataset))
        if record.split != "validation" and (record.metric not in found or record.variant == shown):
            found[record.metric] = record.variant
    return found


def metrics_of(records: Sequence[Record]) -> dict[str, float]:
    """Slashed metrics: ``eval/...`` with bounds under ``interval/.../low`` and ``high``, and ``cost/...``.

    Two protocols of one metric never share a name: where they would, each gets its protocol as last part. Names have
    at most 250 characters.
    """
    headline = headline_variants(records)
    placed: dict[str, dict[tuple[str, ...], Record]] = {}
    for record in records:
        if record.value is None:
            continue
        group = "cost" if record.metric in (*TRAIN_COSTS, *SAMPLE_COSTS) else "eval"
        variants = {"" if record.metric in TRAIN_COSTS else record.variant}
        if headline.get(record.metric) == record.variant:
            variants.add("")
        for variant in variants:
            identity: tuple[str, ...] = (record.protocol, variant, record.split, record.slice)
            placed.setdefault(f"{group}/{_place(record, variant)}", {}).setdefault(identity, record)
    metrics: dict[str, float] = {}
    for name, members in placed.items():
        for identity, record in members.items():
            group, _, place = name.partition("/")
            place = fitted_name(place + _distinction(identity, list(members)), LONGEST_PLACE)
            assert record.value is not None
            metrics[f"{group}/{place}"] = record.value
            if record.ci95 is not None and group == "eval":
                metrics[f"interval/{place}/low"], metrics[f"interval/{place}/high"] = record.ci95
    return metrics


def _distinction(identity: tuple[str, ...], among: Sequence[tuple[str, ...]]) -> str:
    """What tells one of several records apart that would have one name: nothing if it is alone, its protocol, and a
    digest where variant, split or slice were written alike (``a=b`` and ``a-b``)."""
    if len(among) == 1:
        return ""
    protocol, *rest = identity
    alike = {tuple(other[1:]) for other in among} != {tuple(rest)}
    protocols = {other[0] for other in among} != {protocol}
    said = f"/protocol-{safe_name(protocol.replace('/', '.'))}" if protocols else ""
    return said + (f"/{hash_json(rest)[:8]}" if alike else "")


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
        "reproduce": f"dvc repro {entry.stages['evaluate']}"
        if "evaluate" in entry.stages
        else f"python stages/evaluate.py {entry.name}",
    }
    if commit:
        tags["mlflow.source.git.commit"] = commit
    for metric, variant in headline_variants(entry.records).items():
        if metric in (*TRAIN_COSTS, *SAMPLE_COSTS):
            continue
        protocols = dict.fromkeys(record.protocol for record in entry.records if record.metric == metric)
        tags[f"protocol.{safe_name(metric)}"] = ", ".join(protocols)
        if variant:
            tags[f"variant.{safe_name(metric)}"] = variant
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


def _shown(entry: Entry) -> Iterator[tuple[str, bytes]]:
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
    files.update(_shown(entry))
    for source in ("history.tsv", "train.json", "sample.json"):
        path = root / "runs" / entry.name / source
        if path.is_file():
            files[f"run/{source}"] = path.read_bytes()
    rows = [record.to_json() for record in entry.records]
    files["records.json"] = (json.dumps(rows, indent=1, sort_keys=True) + "\n").encode()
    return files
