"""The machine that a cost was measured on."""

from __future__ import annotations

import os
import platform
import resource
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["cpu_flags", "cpu_name", "describe", "peak_memory_bytes"]

_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "bf16", "asimd")


def _cpuinfo(key: str) -> str:
    path = Path("/proc/cpuinfo")
    if path.is_file():
        for line in path.read_text().splitlines():
            if line.partition(":")[0].strip() == key:
                return line.partition(":")[2].strip()
    return ""


def cpu_name() -> str:
    """Model name of the processor, or its architecture."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def cpu_flags() -> list[str]:
    """Which of the instruction sets that matter to training the processor has."""
    flags = set((_cpuinfo("flags") or _cpuinfo("Features")).split())
    return [flag for flag in _FLAGS if flag in flags]


def peak_memory_bytes(device: str = "cpu") -> int:
    """Largest resident memory of this process so far, or largest allocation on the GPU."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def describe(device: str = "cpu") -> dict[str, Any]:
    """Device, processor, instruction sets, cores, torch threads and version, load before the run."""
    torch = sys.modules.get("torch")  # a result that torch had no part in does not wait for its import
    name = torch.cuda.get_device_name(device) if torch and device.startswith("cuda") else cpu_name()
    return {
        "device": device,
        "name": name,
        "cpu_flags": cpu_flags(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads() if torch else int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)),
        "torch": version("torch"),
        "load": round(os.getloadavg()[0], 2),
    }
