"""Device, threads and the process group without torch; with torch and torchrun they are tested in test_training.py."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.base.errors import BenchError
from bench.base.processes import resolve_device

WITHOUT = """
import importlib, os, sys
from bench.base.processes import distributed, gather, rank, resolve_device, seeded, set_threads, shard, world_size
with distributed(), seeded(3):
    set_threads(2)
    assert (rank(), world_size(), shard(5), gather([7])) == (0, 1, (0, 5), [7])
    assert resolve_device("auto") == "cpu" == resolve_device("cpu")
assert os.environ["OMP_NUM_THREADS"] == "2"
from bench.pipeline.plan import stage_modules
from bench.registry import resolve
for system, family in (("ngram", "words"), ("texture_synthesis", "by_example"), ("dummy_images", "images")):
    resolve(system)
    (module,) = stage_modules({"system": system, "family": family}, "sample")
    importlib.import_module(module)
assert "torch" not in sys.modules
"""


def test_what_needs_no_torch_imports_none() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr


def test_a_gpu_that_is_not_there_is_named() -> None:
    import torch

    if torch.cuda.is_available():
        assert resolve_device("auto").startswith("cuda")
        return
    with pytest.raises(BenchError, match="torch sees no GPU"):
        resolve_device("cuda")
    assert resolve_device("auto") == "cpu"
