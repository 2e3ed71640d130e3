"""Weights from files, and VGG in both layouts, on small random networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.nn.features.efficientnet_lite import EfficientNetLite
from bench.nn.features.networks import (
    check_layers,
    load_network,
    network_of,
    random_network,
    read_weights,
    save_network,
)
from bench.nn.features.vgg import VGG

RUNS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def sequential(depth: int, pool: str = "max", width: int = 4) -> nn.Sequential:
    """VGG's features written out, a few filters wide: what torchvision's `features` is."""
    layers: list[nn.Module] = []
    inside = 3
    for i, count in enumerate(RUNS[depth]):
        for _ in range(count):
            layers += [nn.Conv2d(inside, width + i, 3, padding=1), nn.ReLU()]
            inside = width + i
        layers.append(nn.MaxPool2d(2) if pool == "max" else nn.AvgPool2d(2))
    network = nn.Sequential(*layers)
    generator = torch.Generator().manual_seed(depth)
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return network.requires_grad_(False)


def torchvision_layout(network: nn.Sequential) -> dict[str, Tensor]:
    state = {f"features.{name}": value for name, value in network.state_dict().items()}
    return {**state, "classifier.0.weight": torch.zeros(2, 2), "classifier.0.bias": torch.zeros(2)}


def paper_layout(network: nn.Sequential, depth: int) -> dict[str, Tensor]:
    names = [f"conv{i}_{j}" for i, count in enumerate(RUNS[depth], start=1) for j in range(1, count + 1)]
    convolutions = [layer for layer in network if isinstance(layer, nn.Conv2d)]
    pairs = zip(names, convolutions, strict=True)
    return {f"{name}.{part}": value for name, conv in pairs for part, value in conv.state_dict().items()}


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand((2, 3, 33, 40), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("depth", [16, 19])
@pytest.mark.parametrize("pool", ["max", "average"])
def test_vgg_equals_the_layers_written_out(depth: int, pool: str, pictures: Tensor) -> None:
    plain = sequential(depth, pool)
    network = VGG.from_published(torchvision_layout(plain), pool)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (pictures - mean[:, None, None]) / deviation[:, None, None]
    want = []
    for layer in plain:
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            want.append(x)
    got = network.features(pictures, network.layers)
    assert list(got) == list(network.layers)
    for name, value in zip(network.layers, want, strict=True):
        torch.testing.assert_close(got[name], value)
    assert network.layers[-1] == ("conv5_3" if depth == 16 else "conv5_4")
    assert [network.depth(name) for name in network.layers] == list(range(1, depth - 2))


@pytest.mark.parametrize("depth", [16, 19])
def test_both_layouts_hold_the_same_network(depth: int, pictures: Tensor) -> None:
    plain = sequential(depth)
    one = VGG.from_published(torchvision_layout(plain), preprocessing="caffe")
    other = VGG.from_published(paper_layout(plain, depth))
    assert other.preprocessing == "caffe"
    assert VGG.from_published(torchvision_layout(plain)).preprocessing == "torchvision"
    for name in ("conv1_1", "conv4_2"):
        torch.testing.assert_close(one.features(pictures, [name])[name], other.features(pictures, [name])[name])


def test_caffe_networks_see_blue_first(pictures: Tensor) -> None:
    plain = sequential(16)
    network = VGG.from_published(paper_layout(plain, 16))
    x = 255 * pictures[:, [2, 1, 0]] - torch.tensor([103.939, 116.779, 123.68])[:, None, None]
    torch.testing.assert_close(network.features(pictures, ["conv1_1"])["conv1_1"], plain[:2](x), rtol=1e-4, atol=1e-3)


def broken(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**state, "features.2.weight": torch.zeros(4, 9, 3, 3)}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"layer.weight": torch.zeros(2, 2, 3, 3)}, "not the weights of VGG-16 or VGG-19"),
        (broken(torchvision_layout(sequential(16))), "do not fit together"),
        (
            {k: v for k, v in torchvision_layout(sequential(19)).items() if k != "features.5.bias"},
            "do not fit together",
        ),
    ],
)
def test_other_networks_are_refused(state: dict[str, Tensor], said: str) -> None:
    with pytest.raises(BenchError, match=said):
        network_of(state)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_weights_from_a_users_file(tmp_path: Path, suffix: str, pictures: Tensor) -> None:
    state = torchvision_layout(sequential(16))
    path = tmp_path / f"vgg16{suffix}"
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    network = network_of(read_weights(path))
    want = VGG.from_published(state).features(pictures, ["conv3_1"])["conv3_1"]
    torch.testing.assert_close(network.features(pictures, ["conv3_1"])["conv3_1"], want)


class Harmful:
    """Its unpickling would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1), "b": Harmful(tmp_path / "harm")}, tmp_path / "w.pth")
    with pytest.raises(BenchError, match="would run code"):
        read_weights(tmp_path / "w.pth")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("w.pth", b"no weights at all", "holds more than tensors|no file of weights"),
        ("w.safetensors", b"no weights at all", "no file of weights"),
        ("w.safetensors", b"", "no file of weights"),
    ],
)
def test_broken_files_are_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BenchError, match=said):
        read_weights(tmp_path / name)


def test_missing_files_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"give the path of a \.safetensors or \.pth file"):
        read_weights(tmp_path / "none.pth")
    (tmp_path / "efficientnet-lite0").mkdir()
    with pytest.raises(BenchError, match="dvc repro prepare@efficientnet-lite0"):
        read_weights(tmp_path / "efficientnet-lite0")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(BenchError, match="no table of tensors"):
        read_weights(tmp_path / "list.pth")


@pytest.mark.parametrize("kind", ["vgg", "lite"])
def test_saved_networks_are_the_same(tmp_path: Path, kind: str, pictures: Tensor) -> None:
    network = network_of(paper_layout(sequential(19), 19), pool="max") if kind == "vgg" else random_network(seed=3)
    save_network(network, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["network.json", "network.safetensors"]
    again = load_network(tmp_path)
    layer = network.content_layers[0]
    assert torch.equal(again.features(pictures, [layer])[layer], network.features(pictures, [layer])[layer])


def test_a_damaged_model_is_refused(tmp_path: Path) -> None:
    save_network(random_network(seed=0), tmp_path)
    (tmp_path / "network.safetensors").write_bytes(b"x")
    with pytest.raises(BenchError, match="does not hold a network for style transfer"):
        load_network(tmp_path)
    with pytest.raises(BenchError, match="does not hold a network for style transfer"):
        load_network(tmp_path / "nowhere")


def test_random_networks_keep_the_size_of_activations(pictures: Tensor) -> None:
    network = random_network(seed=0)
    got = network.features(pictures, ["block2.expand", "block9.expand"])
    assert all(0.05 < float(value.mean()) < 5 for value in got.values())
    other = random_network(seed=1).features(pictures, ["block2.expand"])
    assert not torch.equal(got["block2.expand"], other["block2.expand"])


def test_an_unknown_layer_names_the_nearest() -> None:
    with pytest.raises(BenchError, match=r"no layer 'blok5'\. Did you mean 'block5'\?"):
        check_layers(EfficientNetLite(head=False), ["stem", "blok5"])
