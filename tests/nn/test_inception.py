"""Inception-v3 from weights in the published layout, at small widths."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from bench.base.errors import BenchError
from bench.contracts import RunContext
from bench.families.encoders.inception import Inception, InceptionConfig
from bench.nn.features.inception import InceptionV3, convolution_names
from bench.registry import load_model

# (filters, kernel) of the published network, block by block; inputs follow from the order of the layers.
STEM = [(32, 3), (32, 3), (64, 3), (80, 1), (192, 3)]


def shapes(divide: int) -> dict[str, tuple[int, int, int, int]]:
    """Shape of every convolution with all widths divided."""
    found: dict[str, tuple[int, int, int, int]] = {}
    names, inside = convolution_names(), 3

    def add(name: str, width: int, source: int, high: int = 1, wide: int = 1) -> int:
        found[name] = (max(1, width // divide), source, high, wide)
        return found[name][0]

    for name, (width, kernel) in zip(names[:5], STEM, strict=True):
        inside = add(name, width, inside, kernel, kernel)
    for block, pool in (("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)):
        one = add(f"{block}.branch1x1", 64, inside)
        five = add(f"{block}.branch5x5_2", 64, add(f"{block}.branch5x5_1", 48, inside), 5, 5)
        two = add(f"{block}.branch3x3dbl_2", 96, add(f"{block}.branch3x3dbl_1", 64, inside), 3, 3)
        three = add(f"{block}.branch3x3dbl_3", 96, two, 3, 3)
        inside = one + five + three + add(f"{block}.branch_pool", pool, inside)
    one = add("Mixed_6a.branch3x3", 384, inside, 3, 3)
    two = add("Mixed_6a.branch3x3dbl_2", 96, add("Mixed_6a.branch3x3dbl_1", 64, inside), 3, 3)
    inside += one + add("Mixed_6a.branch3x3dbl_3", 96, two, 3, 3)
    for block, width in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)):
        one = add(f"{block}.branch1x1", 192, inside)
        seven = add(f"{block}.branch7x7_2", width, add(f"{block}.branch7x7_1", width, inside), 1, 7)
        seven = add(f"{block}.branch7x7_3", 192, seven, 7, 1)
        double = add(f"{block}.branch7x7dbl_1", width, inside)
        for i, (high, wide) in zip((2, 3, 4, 5), ((7, 1), (1, 7), (7, 1), (1, 7)), strict=True):
            double = add(f"{block}.branch7x7dbl_{i}", 192 if i == 5 else width, double, high, wide)
        inside = one + seven + double + add(f"{block}.branch_pool", 192, inside)
    three = add("Mixed_7a.branch3x3_2", 320, add("Mixed_7a.branch3x3_1", 192, inside), 3, 3)
    seven = add("Mixed_7a.branch7x7x3_1", 192, inside)
    for i, (high, wide) in zip((2, 3, 4), ((1, 7), (7, 1), (3, 3)), strict=True):
        seven = add(f"Mixed_7a.branch7x7x3_{i}", 192, seven, high, wide)
    inside += three + seven
    for block in ("Mixed_7b", "Mixed_7c"):
        one = add(f"{block}.branch1x1", 320, inside)
        three, double = add(f"{block}.branch3x3_1", 384, inside), add(f"{block}.branch3x3dbl_1", 448, inside)
        double = add(f"{block}.branch3x3dbl_2", 384, double, 3, 3)
        sides = [add(f"{block}.branch3x3_2{s}", 384, three, *k) for s, k in (("a", (1, 3)), ("b", (3, 1)))]
        sides += [add(f"{block}.branch3x3dbl_3{s}", 384, double, *k) for s, k in (("a", (1, 3)), ("b", (3, 1)))]
        inside = one + sum(sides) + add(f"{block}.branch_pool", 192, inside)
    assert set(found) == set(names)
    return found


def weights(classes: int, divide: int = 32) -> dict[str, Tensor]:
    """A state dict with random tensors."""
    random, state = torch.Generator().manual_seed(0), {}
    for name, shape in shapes(divide).items():
        state[f"{name}.conv.weight"] = torch.randn(shape, generator=random) * (2 / np.prod(shape[1:])) ** 0.5
        for part, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            state[f"{name}.bn.{part}"] = torch.full(shape[:1], value) + 0.1 * torch.rand(shape[0], generator=random)
    state["fc.weight"] = torch.zeros(classes, 4)
    return state


def test_the_published_widths_have_the_published_number_of_parameters() -> None:
    whole = shapes(1)
    assert sum(int(np.prod(shape)) + 2 * shape[0] for shape in whole.values()) == 21_785_568
    outside = {name: shape[0] for name, shape in whole.items() if name.startswith("Mixed_7c")}
    ends = ("branch1x1", "branch3x3_2a", "branch3x3_2b", "branch3x3dbl_3a", "branch3x3dbl_3b", "branch_pool")
    assert sum(outside[f"Mixed_7c.{end}"] for end in ends) == 2048


def test_a_users_file_is_read_saved_and_loaded(tmp_path: Path) -> None:
    state = weights(1008)
    torch.save(state, tmp_path / "inception.pth")
    save_file(state, tmp_path / "inception.safetensors")
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 1), dtype=np.uint8)
    systems = [Inception(InceptionConfig(str(tmp_path / f"inception.{end}"))) for end in ("pth", "safetensors")]
    for system in systems:
        system.fit({}, RunContext())
    features = systems[0].embed_images(images)
    assert features.shape == (3, sum(shapes(32)[f"Mixed_7c.{end}"][0] for end in (
        "branch1x1", "branch3x3_2a", "branch3x3_2b", "branch3x3dbl_3a", "branch3x3dbl_3b", "branch_pool"
    )))  # fmt: skip
    assert np.isfinite(features).all() and features.std() > 0
    np.testing.assert_array_equal(features, systems[1].embed_images(images))
    np.testing.assert_array_equal(features[1:], systems[0].embed_images(images[1:]))
    np.testing.assert_array_equal(features, systems[0].embed_images(np.repeat(images, 3, axis=3)))
    folder = tmp_path / "model"
    folder.mkdir()
    systems[0].save(folder)
    (folder / "model.json").write_text(json.dumps({"system": "inception", "config": {"weights": "gone.pth"}}))
    np.testing.assert_array_equal(load_model(folder).embed_images(images), features)


def test_weights_for_fid_pool_without_the_border_and_by_maximum_at_the_end() -> None:
    x = torch.rand(1, 2, 5, 5)
    fid, plain = InceptionV3(weights(1008)), InceptionV3(weights(1000))
    assert fid.for_fid and not plain.for_fid

    def pooled(network: InceptionV3, block: str) -> Tensor:
        network._conv = lambda x, *rest: x  # type: ignore[method-assign]
        return network._pooled(x, block)

    torch.testing.assert_close(pooled(plain, "Mixed_5b")[0, 0, 0, 0], x[0, 0, :2, :2].sum() / 9)
    torch.testing.assert_close(pooled(fid, "Mixed_5b")[0, 0, 0, 0], x[0, 0, :2, :2].mean())
    torch.testing.assert_close(pooled(fid, "Mixed_7c"), F.max_pool2d(x, 3, 1, 1))
    torch.testing.assert_close(pooled(plain, "Mixed_7c"), F.avg_pool2d(x, 3, 1, 1))


def test_other_weights_are_refused(tmp_path: Path) -> None:
    state = weights(1008)
    del state["Mixed_6c.branch7x7_2.bn.bias"]
    with pytest.raises(BenchError, match=r"no tensor 'Mixed_6c.branch7x7_2.bn.bias'"):
        InceptionV3(state)
    with pytest.raises(BenchError, match="no weights at"):
        Inception(InceptionConfig(str(tmp_path / "absent.pth"))).read()
    with pytest.raises(ValueError, match="weights"):
        InceptionConfig()
