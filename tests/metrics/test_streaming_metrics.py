"""Streaming classes equal their functional cores however the data is cut: in batches, merged, and over two
processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.metrics import streaming
from bench.metrics.codebook import codebook_usage
from bench.metrics.psnr import psnr
from bench.metrics.ssim import ssim

N = 240
rng = np.random.default_rng(0)
IMAGES = rng.integers(0, 256, (N, 12, 12, 1), dtype=np.uint8)
OTHERS = np.clip(IMAGES + rng.normal(0, 20, IMAGES.shape), 0, 255).astype(np.uint8)
CODES = rng.integers(0, 40, (N, 4))
NAMES = streaming.__all__
PARTS = np.array_split(np.arange(N), 3)


def build(name: str) -> Any:
    """A fresh metric."""
    return streaming.CodebookUsage(64) if name == "CodebookUsage" else getattr(streaming, name)()


def feed(name: str, metric: Any, rows: np.ndarray) -> None:
    """One update of the metric with some of the items."""
    inputs = (CODES,) if name == "CodebookUsage" else (IMAGES, OTHERS)
    metric.update(*(value[rows] for value in inputs))


def expected(name: str) -> dict[str, float]:
    """The functional core on everything at once."""
    if name == "CodebookUsage":
        return codebook_usage(CODES, 64)
    return {"": float((psnr if name == "PeakSignalToNoise" else ssim)(IMAGES, OTHERS).mean())}


def computed(metric: Any) -> dict[str, float]:
    value = metric.compute()
    return {key: float(entry) for key, entry in value.items()} if isinstance(value, dict) else {"": float(value)}


@pytest.mark.parametrize("name", NAMES)
def test_batches_equal_everything_at_once_to_the_last_bit(name: str) -> None:
    metric, whole = build(name), build(name)
    for rows in PARTS:
        feed(name, metric, rows)
    feed(name, whole, np.arange(N))
    assert computed(metric) == computed(whole) == expected(name)
    np.testing.assert_array_equal(metric.items(), whole.items())
    assert len(metric.items()) == N
    metric.reset()
    feed(name, metric, PARTS[0])
    assert len(metric.items()) == len(PARTS[0])


@pytest.mark.parametrize("name", NAMES)
def test_merged_states_equal_everything_at_once(name: str) -> None:
    first, second = build(name), build(name)
    feed(name, first, PARTS[0])
    feed(name, second, np.concatenate(PARTS[1:]))
    first.merge_state(second)
    assert computed(first) == pytest.approx(expected(name), rel=1e-9)


def worker(rank: int, port: int, results: str) -> None:
    """One of two processes: feeds its share, saves what it computes."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    try:
        outcome = {}
        for name in NAMES:
            metric = build(name)
            for rows in PARTS[:1] if rank == 0 else PARTS[1:]:  # unequal shares
                feed(name, metric, rows)
            items = metric.items()
            outcome[name] = computed(metric), torch.from_numpy(items)
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
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    started = [subprocess.Popen([sys.executable, "-c", command, str(rank)], env=environment) for rank in range(2)]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    for rank in range(2):
        for name, (value, items) in torch.load(tmp_path / f"{rank}.pt").items():
            whole = build(name)
            feed(name, whole, np.arange(N))
            assert value == expected(name), name
            np.testing.assert_array_equal(items.numpy(), whole.items())
