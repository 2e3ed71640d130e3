"""Which network style transfer looks with: weights from a file, the layout told by the names of the tensors."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.base.errors import BenchError, did_you_mean
from bench.base.files import atomic, read_json, write_json
from bench.nn.features.efficientnet_lite import EfficientNetLite
from bench.nn.features.vgg import VGG

__all__ = [
    "FeatureNetwork",
    "check_layers",
    "load_network",
    "network_of",
    "random_network",
    "read_weights",
    "save_network",
]

WEIGHTS = "weights.safetensors"
"""The file of a prepared data set of kind ``weights``."""


class FeatureNetwork(Protocol):
    """A network whose inner activations are used.

    Attributes:
        content_layers, style_layers: where one usually looks.
        enlarge: by what factor pictures are usually enlarged for it.
    """

    content_layers: ClassVar[tuple[str, ...]]
    style_layers: ClassVar[tuple[str, ...]]
    enlarge: ClassVar[int]

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, from pixels to meaning."""

    def depth(self, layer: str) -> int:
        """A number that grows from pixels to meaning."""

    def features(self, pictures: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Activations ``(B, N, H_l, W_l)`` for RGB pictures ``(B, 3, H, W)`` in 0..1."""

    def state_dict(self) -> dict[str, Any]:
        """The tensors."""

    @property
    def facts(self) -> dict[str, object]:
        """What describes the network beside its tensors (JSON-able)."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file, a ``.pth`` / ``.pt`` file (tensors alone: nothing in it is run), or a
    prepared data set.

    Raises:
        BenchError: no such file, a broken one, or one that holds more than tensors.
    """
    file = path / WEIGHTS if path.is_dir() else path
    if not file.is_file():
        hint = (
            f"run `dvc repro prepare@{path.name}`" if path.is_dir() else "give the path of a .safetensors or .pth file"
        )
        raise BenchError(f"no weights at {file}: {hint}")
    try:
        state = (
            load_file(file)
            if file.suffix == ".safetensors"
            else torch.load(file, map_location="cpu", weights_only=True)
        )
    except pickle.UnpicklingError as error:
        raise BenchError(
            f"{file} holds more than tensors, and loading it would run code: save `model.state_dict()` alone, best "
            "as .safetensors"
        ) from error
    except (SafetensorError, RuntimeError, OSError, EOFError) as error:
        raise BenchError(f"{file} is no file of weights, or is broken: {error}") from error
    if not isinstance(state, Mapping) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise BenchError(f"{file} holds no table of tensors: save `model.state_dict()`")
    return {str(key): value for key, value in state.items()}


def network_of(state: Mapping[str, Tensor], *, pool: str = "average", preprocessing: str = "") -> FeatureNetwork:
    """The network that a published state dict belongs to: EfficientNet-lite0, VGG-16 or VGG-19.

    Raises:
        BenchError: none of them.
    """
    if "_conv_stem.weight" in state:
        lite = EfficientNetLite(head=False)
        lite.load_published(state)
        return _frozen(lite)
    return _frozen(VGG.from_published(state, pool, preprocessing))


def random_network(seed: int) -> FeatureNetwork:
    """EfficientNet-lite0 with random weights: the floor, a network that has learned nothing."""
    lite = EfficientNetLite(head=False)
    lite.randomise(torch.Generator().manual_seed(seed % 2**63))
    return _frozen(lite)


def _frozen(network: Any) -> FeatureNetwork:
    network.requires_grad_(False)
    found: FeatureNetwork = network.eval().to(memory_format=torch.channels_last)
    return found


def save_network(network: FeatureNetwork, folder: Path) -> None:
    """``network.safetensors`` and ``network.json``."""
    with atomic(folder / "network.safetensors") as temporary:
        save_file({key: value.cpu().contiguous() for key, value in network.state_dict().items()}, temporary)
    write_json(folder / "network.json", network.facts)


def load_network(folder: Path, device: str = "cpu") -> FeatureNetwork:
    """What :func:`save_network` wrote.

    Raises:
        BenchError: a file is missing or broken.
    """
    try:
        facts = read_json(folder / "network.json")
        network: Any = VGG.from_facts(facts) if facts["kind"] == "vgg" else EfficientNetLite(head=False)
        network.load_state_dict(load_file(folder / "network.safetensors"))
    except (OSError, SafetensorError, RuntimeError, KeyError, json.JSONDecodeError) as error:
        raise BenchError(f"{folder} does not hold a network for style transfer ({error}): run `dvc repro`") from error
    return _frozen(network.to(device))


def check_layers(network: FeatureNetwork, layers: Iterable[str]) -> None:
    """Refuse a layer that the network does not have.

    Raises:
        BenchError: with the nearest name.
    """
    for layer in layers:
        if layer not in network.layers:
            raise BenchError(f"the network has no layer {layer!r}.{did_you_mean(layer, network.layers)}")
