"""This process among those of ``torchrun``, its device and its threads.

Half of the systems never touch torch, whose import takes longer than many of their stages: nothing here imports it
unless more than one process runs or a GPU is named. A system that computes on the device it is given imports torch at
the top of its module.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError

__all__ = ["distributed", "gather", "rank", "resolve_device", "seeded", "set_threads", "shard", "world_size"]


def _group() -> Any:
    """``torch.distributed`` where a process group is open, else None."""
    dist = sys.modules.get("torch.distributed")
    return dist if dist is not None and dist.is_available() and dist.is_initialized() else None


def rank() -> int:
    """This process's number, 0 without torchrun."""
    group = _group()
    return group.get_rank() if group else 0


def world_size() -> int:
    """Number of processes, 1 without torchrun."""
    group = _group()
    return group.get_world_size() if group else 1


@contextmanager
def distributed() -> Iterator[None]:
    """Join the process group that torchrun describes in the environment; nothing without torchrun."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or _group():
        yield
        return
    import torch
    import torch.distributed as dist

    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    try:
        yield
    finally:
        dist.destroy_process_group()


def resolve_device(name: str) -> str:
    """``auto`` becomes this process's GPU where there is one and torch is in use, else the CPU. Call it after importing
    the system.

    Raises:
        BenchError: a GPU is asked for and there is none.
    """
    if name == "cpu" or (name == "auto" and "torch" not in sys.modules):
        return "cpu"
    import torch

    if name == "auto":
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise BenchError(
            f"device {name!r} is asked for, but torch sees no GPU here: use `device: auto` or `cpu` in params.yaml"
        )
    return name


def set_threads(count: int) -> None:
    """Threads of torch's operators, now or when it comes to be imported; deterministic kernels on a GPU."""
    threads = max(1, count // world_size())
    torch = sys.modules.get("torch")
    if torch is None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        return
    torch.set_num_threads(threads)
    if torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True, warn_only=True)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generator, if torch is in use, inside the block (for layers' initialisation), and put it back
    afterwards."""
    torch = sys.modules.get("torch")
    with torch.random.fork_rng(devices=[]) if torch is not None else nullcontext():
        if torch is not None:
            torch.manual_seed(seed % 2**63)
        yield


def shard(n: int) -> tuple[int, int]:
    """(first, count): this process's contiguous part of ``n`` items, for sampling and scoring under torchrun."""
    bounds = [n * part // world_size() for part in range(world_size() + 1)]
    return bounds[rank()], bounds[rank() + 1] - bounds[rank()]


def gather(part: NDArray[Any]) -> NDArray[Any]:
    """All processes' parts in order, on every process; the counterpart of :func:`shard`."""
    group = _group()
    if group is None:
        return part
    parts: list[Any] = [None] * world_size()
    group.all_gather_object(parts, part)
    return np.concatenate(parts)
