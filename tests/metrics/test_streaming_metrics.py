"""Streaming classes equal their functional cores however the data is cut: in batches, merged, and over two
processes."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.base.errors import BenchError
from bench.catalogue.metrics import metric_info
from bench.metrics import streaming
from bench.metrics.bits_per_byte import bits_per_byte
from bench.metrics.clip_score import clip_score
from bench.metrics.codebook import codebook_usage
from bench.metrics.compositional import Asked, Detections, compose
from bench.metrics.fid import frechet_distance
from bench.metrics.kid import kernel_distance
from bench.metrics.memorisation import nearest_train_ratio, verbatim_copy_rate
from bench.metrics.perplexity import perplexity
from bench.metrics.prdc import precision_recall_density_coverage
from bench.metrics.psnr import psnr
from bench.metrics.retrieval import retrieval_at_k
from bench.metrics.ssim import ssim
from bench.metrics.structure_error import copied_share, structure_error
from bench.metrics.zero_shot import zero_shot_accuracy

N = 240
rng = np.random.default_rng(0)
REAL, FAKE = rng.normal(size=(N, 6)), rng.normal(0.3, 1.1, size=(N, 6))
IMAGES = rng.integers(0, 256, (N, 12, 12, 1), dtype=np.uint8)
OTHERS = np.clip(IMAGES + rng.normal(0, 20, IMAGES.shape), 0, 255).astype(np.uint8)
LABELS = rng.integers(0, 4, N)
CLASSES = rng.normal(size=(4, 3, 6))
CODES = rng.integers(0, 40, (N, 4))
LOGP = np.log(rng.uniform(0.05, 1, (N, 5)))
TEXTS = ["".join(rng.choice(list("abc "), 12)) for _ in range(N)]
TRAIN_TEXT = "".join(rng.choice(list("abc "), 400))
BITS = rng.integers(0, 2, (4, N, 2))
SEEN = Detections(rng.integers(0, 3, N), BITS[0], BITS[1], rng.uniform(0, 32, (N, 2, 2)), np.ones((N, 2)))
ASKED = Asked(rng.integers(1, 3, N), BITS[2], BITS[3], rng.integers(-1, 4, N))
TEXTURES = [rng.integers(0, 3, (20, 20), dtype=np.uint8) for _ in range(N)]


def take(value: Any, rows: np.ndarray) -> Any:
    """Rows of arrays, lists and records of arrays."""
    if isinstance(value, list):
        return [value[i] for i in rows]
    if isinstance(value, Detections):
        return Detections(
            *(getattr(value, name)[rows] for name in ("count", "digits", "colours", "centres", "confidences"))
        )
    if isinstance(value, Asked):
        return Asked(*(getattr(value, name)[rows] for name in ("count", "digits", "colours", "relation")))
    return torch.from_numpy(value[rows])


def feed(name: str, metric: Any, rows: np.ndarray) -> None:
    """One update of the metric with some of the items."""
    if name in ("FrechetDistance", "KernelDistance", "PrecisionRecallDensityCoverage"):
        metric.update(take(REAL, rows), real=True)
        metric.update(take(FAKE, rows), real=False)
    elif name == "BitsPerByte":
        metric.update(take(LOGP, rows), n_bytes=3 * len(rows))
    elif name in ("StructureError", "CopiedShare"):
        for i in rows[:4]:
            metric.update(TEXTURES[i][:12, :12], TEXTURES[i + 1 - 2 * (i % 2)])
    else:
        inputs = {
            "RetrievalAtK": (FAKE, FAKE + 0.8 * REAL),
            "Perplexity": (LOGP,),
            "CodebookUsage": (CODES,),
            "PeakSignalToNoise": (IMAGES, OTHERS),
            "StructuralSimilarity": (IMAGES, OTHERS),
            "ClipScore": (REAL, FAKE),
            "ClassAccuracy": (REAL, LABELS),
            "ZeroShotAccuracy": (REAL, LABELS),
            "CompositionalAccuracy": (SEEN, ASKED),
            "NearestTrainRatio": (OTHERS,),
            "VerbatimCopyRate": (TEXTS,),
        }[name]
        metric.update(*(take(value, rows) for value in inputs))


def build(name: str) -> Any:
    """A fresh metric."""
    arguments: dict[str, dict[str, Any]] = {
        "FrechetDistance": {"features": 6, "minimum_n": 100},
        "KernelDistance": {"minimum_n": 100},
        "CodebookUsage": {"size": 64},
        "ZeroShotAccuracy": {"class_text_emb": CLASSES},
        "NearestTrainRatio": {"train": IMAGES, "heldout": IMAGES[::-1] // 2},
        "VerbatimCopyRate": {"train_text": TRAIN_TEXT, "n": 4},
        "StructureError": {"sizes": (3, 5)},
        "CopiedShare": {"size": 2},
    }
    return getattr(streaming, name)(**arguments.get(name, {}))


def expected(name: str) -> dict[str, float]:
    """The functional core on everything at once."""
    everything = {
        "FrechetDistance": lambda: frechet_distance(REAL, FAKE, minimum_n=100),
        "KernelDistance": lambda: kernel_distance(REAL, FAKE, minimum_n=100),
        "PrecisionRecallDensityCoverage": lambda: precision_recall_density_coverage(REAL, FAKE),
        "RetrievalAtK": lambda: retrieval_at_k(FAKE, FAKE + 0.8 * REAL).mean(),
        "BitsPerByte": lambda: bits_per_byte(-LOGP.sum(), 3 * N),
        "Perplexity": lambda: perplexity(-LOGP.sum(), LOGP.size),
        "CodebookUsage": lambda: codebook_usage(CODES, 64),
        "PeakSignalToNoise": lambda: psnr(IMAGES, OTHERS).mean(),
        "StructuralSimilarity": lambda: ssim(IMAGES, OTHERS).mean(),
        "ClipScore": lambda: clip_score(REAL, FAKE).mean(),
        "ClassAccuracy": lambda: (REAL.argmax(1) == LABELS).mean(),
        "ZeroShotAccuracy": lambda: {
            k: zero_shot_accuracy(REAL, CLASSES, LABELS)[k] for k in ("accuracy", "mean_per_class", "chance")
        },
        "CompositionalAccuracy": lambda: {k: np.nanmean(v) for k, v in vars(compose(SEEN, ASKED)).items()},
        "NearestTrainRatio": lambda: nearest_train_ratio(OTHERS, IMAGES, IMAGES[::-1] // 2)["value"],
        "VerbatimCopyRate": lambda: verbatim_copy_rate(TEXTS, TRAIN_TEXT, 4),
    }
    value = everything[name]()
    return value if isinstance(value, dict) else {"": float(value)}


def computed(metric: Any) -> dict[str, float]:
    value = metric.compute()
    return {key: float(entry) for key, entry in value.items()} if isinstance(value, dict) else {"": float(value)}


NAMES = [name for name in streaming.__all__ if name not in ("StructureError", "CopiedShare")]
PARTS = np.array_split(np.random.default_rng(1).permutation(N), 3)


@pytest.mark.parametrize("name", NAMES)
def test_batches_in_any_order_equal_everything_at_once(name: str) -> None:
    metric = build(name)
    for rows in PARTS:
        feed(name, metric, rows)
    assert computed(metric) == pytest.approx(expected(name), rel=1e-9)
    metric.reset()
    feed(name, metric, np.arange(N))
    assert computed(metric) == pytest.approx(expected(name), rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_merged_states_equal_everything_at_once(name: str) -> None:
    first, second = build(name), build(name)
    feed(name, first, PARTS[0])
    feed(name, second, np.concatenate(PARTS[1:]))
    first.merge_state(second)
    assert computed(first) == pytest.approx(expected(name), rel=1e-9)


@pytest.mark.parametrize("name", ["StructureError", "CopiedShare"])
def test_textures_are_averaged(name: str) -> None:
    metric = build(name)
    feed(name, metric, np.arange(4))
    core = {
        "StructureError": lambda a, b: structure_error(a, b, (3, 5))["value"],
        "CopiedShare": lambda a, b: copied_share(a, b, 2),
    }[name]
    values = [core(TEXTURES[i][:12, :12], TEXTURES[i + 1 - 2 * (i % 2)]) for i in range(4)]
    assert computed(metric)[""] == pytest.approx(np.mean(values))
    assert 0 < np.mean(values) < 1


@pytest.mark.parametrize("name", streaming.__all__)
def test_direction_is_the_catalogues_and_the_protocol_starts_with_the_name(name: str) -> None:
    kind = getattr(streaming, name)
    assert kind.higher_is_better is metric_info(kind.metric).higher_is_better
    assert kind.protocol.startswith(kind.metric + "/")
    assert kind.protocol.endswith("/v1")
    assert kind.minimum_n >= 1


@pytest.mark.parametrize("name", ["FrechetDistance", "KernelDistance"])
def test_the_guard_counts_what_was_streamed(name: str) -> None:
    metric = {"FrechetDistance": lambda: streaming.FrechetDistance(6), "KernelDistance": streaming.KernelDistance}[
        name
    ]()
    feed(name, metric, np.arange(N))
    with pytest.raises(BenchError, match="at least 1000 items and got 240"):
        metric.compute()


def test_bfloat16_log_probabilities_are_summed_in_float64() -> None:
    metric = streaming.Perplexity()
    values = torch.full((100_000,), -1.0, dtype=torch.bfloat16)
    metric.update(values)
    assert float(metric.compute()) == pytest.approx(np.e, rel=1e-12)


def worker(rank: int, port: int, results: str) -> None:
    """One of two processes: feeds its share, saves what it computes."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    try:
        outcome = {}
        for name in NAMES:
            metric = build(name)
            feed(name, metric, PARTS[0] if rank == 0 else np.concatenate(PARTS[1:]))  # unequal shares
            outcome[name] = computed(metric)
        torch.save(outcome, f"{results}/{rank}.pt")
    finally:
        torch.distributed.destroy_process_group()


def test_two_processes_equal_everything_at_once(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = (
        f"import importlib.util as u; s = u.spec_from_file_location('streaming_worker', {__file__!r}); "
        f"m = u.module_from_spec(s); s.loader.exec_module(m); m.worker(int(__import__('sys').argv[1]), {port}, "
        f"{str(tmp_path)!r})"
    )
    import subprocess

    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    started = [subprocess.Popen([sys.executable, "-c", command, str(rank)], env=environment) for rank in range(2)]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    both = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for name in NAMES:
        assert both[0][name] == both[1][name]
        assert both[0][name] == pytest.approx(expected(name), rel=1e-9), name
