"""Data sets that are the weights of a published network: one file of tensors, kept as safetensors whatever it came as.

A ``.pth`` or ``.pt`` file is read with ``weights_only=True``: nothing in it is run. Names and values of the tensors
stay as published.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.base.files import atomic
from bench.data.cards import Card
from bench.data.datasets import load_meta
from bench.data.names import visible_files

__all__ = ["FILE", "SUFFIXES", "load", "prepare"]

FILE = "weights.safetensors"
SUFFIXES = (".pth", ".pt", ".bin", ".safetensors")


def _read(path: Path) -> dict[str, Any]:
    """The tensors of a file, by name."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except pickle.UnpicklingError as error:
        raise BenchError(
            f"{path.name} holds more than tensors, and loading it would run code: save `model.state_dict()` alone"
        ) from error
    except (SafetensorError, RuntimeError, OSError, EOFError) as error:
        raise BenchError(f"{path.name} is no file of weights, or is broken: {error}") from error
    if (
        not isinstance(state, Mapping)
        or not state
        or not all(isinstance(value, torch.Tensor) for value in state.values())
    ):
        raise BenchError(f"{path.name} holds no table of tensors: save `model.state_dict()`")
    return {str(name): value.contiguous().clone() for name, value in state.items()}


def prepare(card: Card, raw: Path, folder: Path, quiet: bool) -> tuple[dict[str, int], str, dict[str, Any]]:
    """``weights.safetensors`` of the one member that is a file of weights.

    Returns:
        Parameters, their unit, and the number of tensors.

    Raises:
        BenchError: no such member or several, or one that holds more than tensors.
    """
    from safetensors.torch import save_file

    files = visible_files(raw, SUFFIXES)
    if len(files) != 1:
        raise card.error("members", f"must name one file of weights ({', '.join(SUFFIXES)}), not {len(files)}")
    state = _read(files[0])
    with atomic(folder / FILE) as temporary:
        save_file(dict(sorted(state.items())), temporary)
    parameters = sum(int(value.numel()) for value in state.values() if value.is_floating_point())
    return {"weights": parameters}, "parameters", {"tensors": len(state), "file": files[0].name}


def load(folder: Path) -> Mapping[str, Any]:
    """Name -> tensor (torch).

    Raises:
        BenchError: not prepared.
    """
    from safetensors.torch import load_file

    load_meta(folder)  # says what to run if the data set is not there
    return dict(load_file(folder / FILE))
