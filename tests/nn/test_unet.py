from __future__ import annotations

import pytest
import torch

from bench.nn.unet import UNet, UNetConfig

TEXT = UNetConfig(channels=4, widths=(8, 16), context_dim=6, attention=(0, 1), heads=2, embedding=16, vector_dim=5)


def wake(net: torch.nn.Module) -> torch.nn.Module:
    """Random weights everywhere, also where training starts at zero."""
    generator = torch.Generator().manual_seed(0)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=generator)
    return net.eval()


def inputs(n: int = 3) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(1)
    return {
        "x": torch.randn(n, 4, 8, 8, generator=g),
        "t": torch.tensor([0, 500, 999])[:n],
        "vector": torch.randn(n, 5, generator=g),
        "context": torch.randn(n, 7, 6, generator=g),
        "mask": torch.arange(7)[None] < torch.tensor([7, 3, 1])[:n, None],
    }


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (UNetConfig(channels=1, widths=(8, 16), classes=10, patch=2), (2, 1, 28, 28)),
        (UNetConfig(channels=3, widths=(8, 12, 16), attention=(2,), blocks=2), (2, 3, 32, 32)),
        (UNetConfig(channels=3, widths=(8,), attention=(), skips=False, patch=4), (2, 3, 32, 32)),
    ],
)
def test_shape_is_kept_and_the_untrained_answer_is_zero(config: UNetConfig, shape: tuple[int, ...]):
    net = UNet(config)
    out = net(torch.randn(shape), torch.tensor([0, 999]), labels=torch.tensor([1, 9]) if config.classes else None)
    assert out.shape == shape
    assert out.abs().max().item() == 0.0


def test_every_condition_changes_the_answer():
    net, given = wake(UNet(TEXT)), inputs()
    base = net(**given)
    for key, other in {
        "t": given["t"].flip(0) + 0,
        "vector": given["vector"] + 1,
        "context": given["context"] + 1,
    }.items():
        assert not torch.allclose(net(**{**given, key: other}), base), key
    classed = wake(UNet(UNetConfig(channels=1, widths=(8, 8), classes=3, embedding=16)))
    x, t = torch.randn(1, 1, 8, 8), torch.tensor([5])
    assert not torch.allclose(classed(x, t, labels=torch.tensor([0])), classed(x, t, labels=torch.tensor([2])))


@pytest.mark.parametrize("coordinates", [False, True])
def test_coordinates_tell_places_apart(coordinates: bool):
    """A constant picture, read where no padding is near: without coordinates every place looks alike."""
    net = wake(UNet(UNetConfig(channels=1, widths=(8,), attention=(), coordinates=coordinates, embedding=16)))
    out = net(torch.zeros(1, 1, 40, 40), torch.tensor([5]))[0, 0, 15:25, 15:25]
    assert (out.std().item() > 1e-3) is coordinates


def test_masked_text_has_no_influence():
    net, given = wake(UNet(TEXT)), inputs()
    garbage = torch.where(given["mask"][..., None], given["context"], torch.full_like(given["context"], 99.0))
    torch.testing.assert_close(net(**{**given, "context": garbage}), net(**given))


def test_items_of_a_batch_do_not_mix():
    net, given = wake(UNet(TEXT)), inputs()
    alone = net(**{key: value[1:2] for key, value in given.items()})
    torch.testing.assert_close(net(**given)[1:2], alone, rtol=1e-4, atol=1e-5)


def test_every_parameter_is_used():
    net, given = wake(UNet(TEXT)), inputs()
    net(**given).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or p.grad.abs().sum() == 0] == []


def test_forms_of_attention_agree():
    explicit = wake(UNet(TEXT))
    fused = UNet(UNetConfig(**{**TEXT.__dict__, "form": "sdpa"}))
    fused.load_state_dict(explicit.state_dict())
    torch.testing.assert_close(fused.eval()(**inputs()), explicit(**inputs()), rtol=1e-4, atol=1e-4)


def test_bf16_stays_near_fp32():
    net, given = wake(UNet(TEXT)), inputs()
    with torch.autocast("cpu", torch.bfloat16):
        low = net(**given).float()
    full = net(**given)
    assert ((low - full).norm() / full.norm()).item() < 0.05


def test_unknown_attention_level():
    with pytest.raises(ValueError, match="widths has 0 to 1"):
        UNet(UNetConfig(attention=(2,)))
