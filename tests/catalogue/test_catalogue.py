"""The catalogue of metrics and the protocol ids."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.catalogue.metrics import CATALOGUE, metric_info
from bench.metrics.protocols import protocol_id, require_minimum

ROOT = Path(__file__).parents[2]

CANONICAL = [
    "bits_per_byte", "perplexity", "verbatim_copy_rate", "fid", "kid",
    "precision", "recall", "density", "coverage", "clip_score",
    "class_accuracy", "colour_accuracy", "count_accuracy", "relation_accuracy", "zero_shot_accuracy",
    "retrieval_at_1", "codebook_usage", "codebook_perplexity", "psnr", "ssim",
    "nearest_train_ratio", "structure_error", "train_seconds", "train_flops", "sample_seconds_per_item",
    "peak_memory_bytes", "parameters", "digit_accuracy", "both_accuracy", "agreement",
]  # fmt: skip


def test_every_canonical_name_is_there_and_complete() -> None:
    assert set(CANONICAL) <= set(CATALOGUE)
    for name, entry in CATALOGUE.items():
        assert entry.name == name
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert entry.title and entry.meaning
        assert not entry.meaning.endswith(".")
        assert entry.arrow == {True: "↑", False: "↓", None: ""}[entry.higher_is_better]
    assert len({entry.title for entry in CATALOGUE.values()}) == len(CATALOGUE)


def test_directions_that_are_easily_mistaken() -> None:
    lower = [
        "bits_per_byte", "perplexity", "verbatim_copy_rate", "fid", "kid",
        "structure_error", "copied_share", "texture_distance", "near_copied_share", "codebook_dead",
        "train_seconds", "parameters",
    ]  # fmt: skip
    assert all(metric_info(name).higher_is_better is False for name in lower)
    assert (
        metric_info("nearest_train_ratio").higher_is_better is None
    )  # far from the training set is not good in itself
    assert metric_info("coverage").higher_is_better is True


def test_every_metric_that_an_evaluation_names_is_in_the_catalogue() -> None:
    """First arguments of ``record``, ``Score``, ``share`` and ``protocol_id`` that are literals."""
    named = set()
    for file in (*(ROOT / "bench" / "evaluation").glob("*.py"), *(ROOT / "bench" / "scorers").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called in ("record", "Score", "share", "protocol_id"):
                    named.add(node.args[0].value)
    assert {"bits_per_byte", "class_accuracy", "clip_score"} <= named
    assert named <= {*CATALOGUE, "cost"}, "protocols of costs begin with cost/"


def test_every_metric_of_quality_has_its_protocol_explained() -> None:
    text = (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")
    assert [name for name, entry in CATALOGUE.items() if not entry.cost and f"`{name}/" not in text] == []


def test_an_unknown_metric_gets_a_suggestion() -> None:
    with pytest.raises(BenchError, match="Did you mean 'ssim'"):
        metric_info("ssmi")


def test_the_catalogue_is_light() -> None:
    """The report and the command line read it."""
    code = (
        "import sys, bench.catalogue.metrics, bench.metrics.protocols; print([m for m in ('torch', 'numpy', "
        "'scipy') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_the_cores_do_not_import_torch() -> None:
    code = (
        "import sys, bench.stats.intervals\n"
        "from bench.metrics import fid, kid, prdc, memorisation, ssim, psnr, compositional, structure_error, "
        "zero_shot\n"
        "print([m for m in ('torch', 'torchmetrics', 'scipy', 'pandas') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_protocol_ids() -> None:
    assert protocol_id("fid", "resnet-digits", n=2000, ref="test") == "fid/resnet-digits/n=2000/ref=test/v1"
    assert protocol_id("zero_shot_accuracy", "clip-scenes-a", templates="ensemble", version=2).endswith(
        "/templates=ensemble/v2"
    )
    assert protocol_id("verbatim_copy_rate", chars=20, ref=None) == "verbatim_copy_rate/chars=20/v1"


def test_equal_settings_give_equal_ids_in_whatever_order_they_are_listed() -> None:
    one = protocol_id("precision", "net", k=5, ref="test", n=2000)
    assert one == protocol_id("precision", "net", n=2000, ref="test", k=5) == "precision/net/n=2000/ref=test/k=5/v1"


def test_a_lowered_minimum_cannot_share_a_column_with_the_standard_one() -> None:
    assert protocol_id("fid", "net", n=64, minimum_n=64) != protocol_id("fid", "net", n=64)
    require_minimum(64, 64, "fid")
    with pytest.raises(BenchError):
        require_minimum(63, 64, "fid")


@pytest.mark.parametrize("part", ["", "a/b", "Upper", "with space", "ä"])
def test_protocol_parts_that_would_break_an_id_are_refused(part: str) -> None:
    with pytest.raises(BenchError):
        protocol_id("fid", part)
    with pytest.raises(BenchError):
        protocol_id("fid", net=part)
