from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.nn.quantize import VectorQuantizer, nearest_codes, straight_through


def made(kind: str, **options: object) -> VectorQuantizer:
    torch.manual_seed(0)
    return VectorQuantizer(8, 3, kind, **options)  # type: ignore[arg-type]


def inputs(seed: int = 1, n: int = 4, side: int = 5) -> Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


def test_nearest_codes_agree_with_the_definition() -> None:
    vectors, codebook = torch.randn(200, 5), torch.randn(17, 5)
    distances = (vectors[:, None] - codebook[None]).square().sum(-1)  # eq. 1, written out
    assert torch.equal(nearest_codes(vectors, codebook), distances.argmin(1))


def test_straight_through_has_the_value_of_one_and_the_gradient_of_the_other() -> None:
    z = torch.tensor([1.0, 2.0], requires_grad=True)
    quantized = torch.tensor([5.0, -5.0], requires_grad=True)
    out = straight_through(z, quantized)
    (out * torch.tensor([3.0, 7.0])).sum().backward()
    assert out.tolist() == [5.0, -5.0]
    assert z.grad is not None
    assert z.grad.tolist() == [3.0, 7.0]
    assert quantized.grad is None


def test_all_kinds_start_from_the_same_codebook() -> None:
    for init in ("uniform", "normal"):
        first, second, third = (made(kind, init=init).codebook for kind in ("gradient", "ema", "ema_restart"))
        assert torch.equal(first, second)
        assert torch.equal(first, third)
    assert made("ema").codebook.abs().max() <= 1 / 8


def test_output_vectors_are_those_of_the_codes() -> None:
    quantizer = made("ema", init="normal").eval()
    result = quantizer(inputs())
    assert result.codes.shape == (4, 5, 5)
    assert torch.allclose(result.vectors, quantizer.lookup(result.codes))
    assert result.vectors[2, :, 1, 3].tolist() == pytest.approx(
        quantizer.codebook[result.codes[2, 1, 3]].tolist(), abs=1e-6
    )


def test_gradient_codebook_learns_by_the_second_term_alone() -> None:
    quantizer = made("gradient", init="normal")
    z = inputs().requires_grad_()
    result = quantizer(z)
    result.vectors.sum().backward(retain_graph=True)  # the decoder's gradient passes the codebook by
    assert quantizer.codebook.grad is None
    result.codebook_loss.backward()
    used = torch.zeros(8, dtype=torch.bool)
    used[result.codes.unique()] = True
    assert quantizer.codebook.grad is not None
    moved = quantizer.codebook.grad.abs().sum(1) > 0
    assert torch.equal(moved, used)
    assert result.codebook_loss.item() == pytest.approx(result.commitment_loss.item())


def test_commitment_pulls_the_encoder_and_not_the_codebook() -> None:
    quantizer = made("gradient", init="normal")
    z = inputs().requires_grad_()
    quantizer(z).commitment_loss.backward()
    assert z.grad is not None
    assert z.grad.abs().sum() > 0
    assert quantizer.codebook.grad is None


def test_ema_follows_equations_6_to_8() -> None:
    quantizer = made("ema", init="normal", decay=0.9).train()
    start = quantizer.codebook.detach().clone()
    z = inputs()
    codes = quantizer(z).codes.reshape(-1)
    flat = z.permute(0, 2, 3, 1).reshape(-1, 3)
    for i in range(8):
        assigned = flat[codes == i]
        count = 0.9 * 1 + 0.1 * len(assigned)  # eq. 6
        total = 0.9 * start[i] + 0.1 * assigned.sum(0)  # eq. 7
        assert torch.allclose(quantizer.codebook[i], total / count, atol=1e-5)  # eq. 8
    assert not quantizer.codebook.requires_grad


def test_ema_converges_to_the_mean_of_its_vectors() -> None:
    quantizer = made("ema", init="normal", decay=0.5).train()
    z = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1).repeat(6, 1, 2, 2)
    for _ in range(40):
        code = int(quantizer(z).codes[0, 0, 0])
    assert quantizer.codebook[code].tolist() == pytest.approx([1.0, 2.0, 3.0], abs=1e-4)


def test_nothing_moves_in_evaluation() -> None:
    for kind in ("gradient", "ema", "ema_restart"):
        quantizer = made(kind).eval()
        before = {key: value.clone() for key, value in quantizer.state_dict().items()}
        quantizer(inputs())
        assert all(torch.equal(before[key], value) for key, value in quantizer.state_dict().items())


def collapse(kind: str, until: int | None = None, steps: int = 60) -> VectorQuantizer:
    """A codebook far away from the data but for one code."""
    quantizer = made(kind, decay=0.9, restart_from=5, restart_after=3).train()
    quantizer.restart_until = until
    with torch.no_grad():
        quantizer.codebook[1:] += 100
        quantizer.sums.copy_(quantizer.codebook)
    generator = torch.Generator().manual_seed(3)
    for step in range(steps):
        quantizer(inputs(seed=step), generator)
    return quantizer


def test_restarts_cure_a_collapse_and_ema_alone_does_not() -> None:
    used = {kind: len(collapse(kind).eval()(inputs(seed=99)).codes.unique()) for kind in ("ema", "ema_restart")}
    assert used["ema"] == 1
    assert used["ema_restart"] == 8


def test_no_restart_after_the_last_step_for_restarts() -> None:
    assert len(collapse("ema_restart", until=0).eval()(inputs(seed=99)).codes.unique()) == 1


def test_restarts_depend_on_the_generator_alone() -> None:
    assert torch.equal(collapse("ema_restart").codebook, collapse("ema_restart").codebook)


def test_perplexity_of_a_batch() -> None:
    quantizer = made("ema").eval()
    with torch.no_grad():
        quantizer.codebook.zero_()
        quantizer.codebook[:4] = torch.tensor([[10.0, 0, 0], [0, 10.0, 0], [0, 0, 10.0], [-10.0, 0, 0]])
    z = torch.tensor([[10.0, 0, 0], [0, 10.0, 0], [0, 0, 10.0], [-10.0, 0, 0]]).view(4, 3, 1, 1)
    assert float(quantizer(z).perplexity) == pytest.approx(4.0, rel=1e-5)
    assert float(quantizer(z[:1]).perplexity) == pytest.approx(1.0, rel=1e-5)


def test_float32_inside_autocast() -> None:
    quantizer = made("ema").eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = quantizer(inputs().bfloat16())
    assert result.vectors.dtype == torch.float32


@pytest.mark.parametrize("options", [{"kind": "kmeans"}, {"kind": "ema", "init": "zeros"}])
def test_unknown_settings_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="must be"):
        VectorQuantizer(8, 3, **options)  # type: ignore[arg-type]
