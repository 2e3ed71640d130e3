"""Seeds: one global seed in ``params.yaml``, every other seed derived from it by name."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["derive", "generator"]


def derive(*parts: int | str) -> int:
    """A seed in [0, 2**63) from any names and numbers, the same on every machine.

    >>> derive(0, "ddpm-mnist", "train") == derive(0, "ddpm-mnist", "train")
    True
    >>> derive(0, "ddpm-mnist", "train") == derive(1, "ddpm-mnist", "train")
    False
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(*parts: int | str) -> np.random.Generator:
    """A NumPy generator seeded by :func:`derive`."""
    return np.random.default_rng(derive(*parts))
