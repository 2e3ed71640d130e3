"""Blocks with arms, through the stages of families that know nothing of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench import registry
from bench.base.files import write_json
from bench.catalogue.scorers import BUILT_IN
from bench.context import StageContext
from bench.contracts import RunContext
from bench.data.datasets import ImageSplit, write_images
from bench.families.codecs import sampling
from bench.pipeline.arms import evaluate, sample, write_samples
from bench.registry import build_system, description
from bench.results.extras import Items, Note, Table
from bench.scoring import NoOptions, Output, Score, Subject, scorer

ARMS = {"few": {}, "many": {"model": {"codes": 16}}}
BLOCK = {
    "system": "vqvae",
    "dataset": "noise",
    "model": {"codes": 8, "dim": 4, "widths": [8, 8]},
    "arms": ARMS,
    "sample": {"n": 6},
}


def noise(seed: int, n: int) -> ImageSplit:
    rng = np.random.default_rng(seed)
    return ImageSplit(rng.integers(0, 256, (n, 8, 8, 1)).astype(np.uint8), rng.integers(0, 3, n))


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    splits = {"train": noise(0, 40), "validation": noise(1, 10), "test": noise(2, 10)}
    write_images(tmp_path / "data", splits)
    series = build_system(BLOCK, "codecs.both")
    series.fit(splits, RunContext(train={"steps": 2, "batch_size": 8, "warmup": 1}))
    (tmp_path / "model").mkdir()
    series.save(tmp_path / "model")
    write_json(tmp_path / "model/model.json", {"system": "vqvae", **description(series)})
    samples = tmp_path / "both.npz"
    return StageContext(
        "both", "codecs", BLOCK, 0, "cpu", tmp_path / "data", tmp_path / "model", samples=samples, quiet=True
    )


@scorer()
def codes_used(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """How many codes the system has, and how many sets of samples there are."""
    variants = tuple(item.variant for item in subject.samples)
    size = subject.system.codebook_size
    yield Score("codes", size, "codes/v1")
    yield Score("sets", len(variants), "sets/v1", variant="w=1")
    yield Table("Codes", ("variants",), tuple((variant,) for variant in variants))
    yield Items("codes", "", (float(size),))
    yield Note("A note.")


def test_samples_and_scores_of_each_arm_are_what_they_would_be_alone(
    context: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = sample(sampling, context)
    assert [item.variant for item in sets] == ["arm=few", "arm=many"]
    for item in sets:
        arm = item.variant.removeprefix("arm=")
        system, _ = registry.load_model(context.model).part({"arm": arm})
        originals = item.extra["originals"]
        assert np.array_equal(item.images, system.decode(system.encode(originals)))
    assert context.samples is not None
    write_samples(context.samples, [*sets, replace(sets[1], variant="arm=many,seen=twice")])

    monkeypatch.setitem(BUILT_IN, "codes_used", f"{__name__}:codes_used")
    result = evaluate(context, ["codes_used"])
    found = {(row.metric, row.variant): row.value for row in result.records}
    assert found == {
        ("codes", "arm=few"): 8,
        ("sets", "arm=few,w=1"): 1,
        ("codes", "arm=many"): 16,
        ("sets", "arm=many,w=1"): 2,
    }
    assert result.extras == [
        Table("few: Codes", ("variants",), (("",),)),
        Items("codes", "arm=few", (8.0,)),
        Note("A note."),
        Table("many: Codes", ("variants",), (("",), ("seen=twice",))),
        Items("codes", "arm=many", (16.0,)),
    ]


def test_without_arms_and_where_variants_name_them_the_stage_sees_the_whole(context: StageContext) -> None:
    seen: list[str] = []
    module: Any = SimpleNamespace(sample=lambda own: seen.append(own.arm) or [])
    sample(module, replace(context, block={**BLOCK, "arms": {}}))
    sample(module, replace(context, family="images", block={**BLOCK, "system": "ddpm"}))
    assert seen == ["", ""]
