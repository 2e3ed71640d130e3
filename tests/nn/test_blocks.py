from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.nn.blocks import (
    ConvNormAct,
    Downsample,
    ResBlock,
    Upsample,
    images_to_tensor,
    in_chunks,
    ready,
    tensor_to_images,
    zero_init,
)


def test_bytes_survive_the_way_to_floats_and_back() -> None:
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    tensor = images_to_tensor(images)
    assert tensor.shape == (1, 3, 16, 16)
    assert float(tensor.min()) == -1.0
    assert float(tensor.max()) == 1.0
    assert np.array_equal(tensor_to_images(tensor), images)


def test_floats_outside_the_range_are_clamped() -> None:
    assert tensor_to_images(torch.tensor([-3.0, 7.0]).view(2, 1, 1, 1)).reshape(-1).tolist() == [0, 255]


@pytest.mark.parametrize("kind", ["batch", "group"])
@pytest.mark.parametrize("channels", [8, 12])
@pytest.mark.parametrize("stride", [1, 2])
def test_res_block_shapes(kind: str, channels: int, stride: int) -> None:
    block = ResBlock(8, channels, stride, kind=kind)  # type: ignore[arg-type]
    assert block(torch.randn(2, 8, 6, 6)).shape == (2, channels, 6 // stride, 6 // stride)


def test_res_block_is_the_identity_when_its_branch_is_zero() -> None:
    block = ResBlock(8)
    zero_init(block.conv2)
    x = torch.randn(2, 8, 6, 6)
    assert torch.equal(block(x), x)


def test_conditioned_res_block_starts_as_its_shortcut_and_then_follows_the_vector() -> None:
    x, vector = torch.randn(2, 4, 6, 6), torch.randn(2, 8)
    torch.testing.assert_close(ResBlock(4, embedding=8)(x, vector), x)
    wide = ResBlock(4, 6, embedding=8)
    assert wide.shortcut is not None and wide.film is not None
    torch.testing.assert_close(wide(x, vector), wide.shortcut(x))
    for parameter in wide.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    assert not torch.allclose(wide(x, vector), wide(x, vector + 1))


def test_halving_and_doubling() -> None:
    x = torch.randn(2, 3, 8, 8)
    assert Downsample(3, 5)(x).shape == (2, 5, 4, 4)
    assert Upsample(3, 5)(x).shape == (2, 5, 16, 16)
    assert ConvNormAct(3, 5, 2)(x).shape == (2, 5, 4, 4)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 20])
def test_in_chunks_always_calls_with_one_size(n: int) -> None:
    sizes = []

    def function(x: torch.Tensor) -> torch.Tensor:
        sizes.append(len(x))
        return 2 * x

    items = torch.arange(3 * n, dtype=torch.float32).view(n, 3)
    assert torch.equal(in_chunks(function, items, size=8), 2 * items)
    assert set(sizes) == {8}


def test_in_chunks_gives_an_item_the_same_bits_in_any_company() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(ConvNormAct(3, 16), ResBlock(16), torch.nn.Flatten(), torch.nn.Linear(16 * 64, 10))
    ready(network, "cpu")
    x = torch.randn(70, 3, 8, 8)
    together = in_chunks(network, x)
    alone = torch.cat([in_chunks(network, one[None]) for one in x])
    assert torch.equal(together, alone)
