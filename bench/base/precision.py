"""Half precision where it pays: bfloat16 on processors that multiply in it, float32 elsewhere."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

from bench.base.hardware import cpu_flags

if TYPE_CHECKING:
    import torch

__all__ = ["Precision", "autocast", "resolve_precision"]

Precision = Literal["auto", "fp32", "bf16"]
"""What a block may ask for; ``auto`` is bf16 where the processor or GPU has instructions for it, fp32 elsewhere."""


@cache  # asked at every training step; the flags are read from a file
def resolve_precision(precision: Precision | str, device: str = "cpu") -> str:
    """``fp32`` or ``bf16`` on this machine.

    Without instructions for it a processor takes two to three times as long for bfloat16 as for float32.
    """
    if precision != "auto":
        return str(precision)
    if device.startswith("cuda"):
        import torch

        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if {"avx512_bf16", "amx_bf16", "bf16"} & set(cpu_flags()) else "fp32"


def autocast(device: str, precision: Precision | str) -> torch.autocast:
    """A context in which torch computes in the resolved precision."""
    import torch

    half = resolve_precision(precision, device) == "bf16"
    return torch.autocast(device.split(":")[0], dtype=torch.bfloat16, enabled=half)
