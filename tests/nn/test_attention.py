from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bench.nn.attention import (
    POSITIONS,
    Attention,
    KVCache,
    PositionKind,
    Positions,
    TransformerBlock,
    apply_rotary,
    rotary_angles,
    rotary_matrix,
    sinusoidal_positions,
)


def tokens(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def twins(**kwargs: object) -> tuple[Attention, Attention]:
    torch.manual_seed(0)
    explicit = Attention(16, 4, form="explicit", **kwargs)  # type: ignore[arg-type]
    sdpa = Attention(16, 4, form="sdpa", **kwargs)  # type: ignore[arg-type]
    sdpa.load_state_dict(explicit.state_dict())
    return explicit, sdpa


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_explicit_and_sdpa_agree(causal: bool, rotary: bool, masked: bool) -> None:
    explicit, sdpa = twins(causal=causal, rotary=rotary)
    x = tokens(3, 7, 16)
    mask = None
    if masked:
        mask = torch.ones(3, 1, 7, dtype=torch.bool)
        mask[1, :, 4:] = False
    torch.testing.assert_close(explicit(x, mask=mask), sdpa(x, mask=mask), atol=1e-6, rtol=1e-5)


def test_cross_attention_forms_agree_and_the_mask_hides_keys() -> None:
    explicit, sdpa = twins(context_dim=10)
    x, context = tokens(2, 5, 16), tokens(2, 6, 10, seed=1)
    mask = torch.tensor([[[1, 1, 1, 0, 0, 0]], [[1, 1, 1, 1, 1, 0]]], dtype=torch.bool)
    out = explicit(x, context, mask)
    torch.testing.assert_close(out, sdpa(x, context, mask), atol=1e-6, rtol=1e-5)
    changed = context.clone()
    changed[0, 3:] = 100.0
    changed[1, 5:] = 100.0
    torch.testing.assert_close(explicit(x, changed, mask), out)
    assert not torch.allclose(explicit(x, changed), explicit(x, context))


def test_matches_pytorch_multihead_attention() -> None:
    ours, _ = twins()
    theirs = torch.nn.MultiheadAttention(16, 4, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key_value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key_value.bias]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    x = tokens(2, 9, 16)
    expected, maps = theirs(x, x, x, average_attn_weights=False)
    result, weights = ours(x, return_weights=True)
    torch.testing.assert_close(result, expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(weights, maps, atol=1e-6, rtol=1e-5)


def test_causal_output_ignores_the_future() -> None:
    explicit, _ = twins(causal=True, rotary=True)
    x = tokens(1, 8, 16)
    changed = x.clone()
    changed[:, 5:] += 1
    before, after = explicit(x), explicit(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


def test_rotary_matches_its_matrix_form() -> None:
    x = tokens(6, 8)
    expected = torch.stack([rotary_matrix(position, 8) @ x[position] for position in range(6)])
    torch.testing.assert_close(apply_rotary(x, rotary_angles(torch.arange(6), 8)), expected, atol=1e-6, rtol=1e-5)


def test_rotary_matrices_compose_to_the_distance() -> None:
    product = rotary_matrix(3, 8).T @ rotary_matrix(10, 8)
    torch.testing.assert_close(product, rotary_matrix(7, 8), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(product.T @ product, torch.eye(8), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("shift", [1, 17, 300])
def test_rotary_scores_depend_on_relative_position_alone(shift: int) -> None:
    q, k = tokens(5, 8), tokens(5, 8, seed=1)

    def scores(start: int) -> Tensor:
        angles = rotary_angles(torch.arange(start, start + 5), 8)
        return apply_rotary(q, angles) @ apply_rotary(k, angles).T

    torch.testing.assert_close(scores(shift), scores(0), atol=2e-5, rtol=1e-4)
    assert not torch.allclose(scores(0), q @ k.T, atol=1e-2)  # the rotation does something


def test_rotary_attention_ignores_a_common_shift_and_plain_order_matters() -> None:
    rotary, _ = twins(rotary=True)
    x = tokens(1, 6, 16)
    padded = torch.cat([tokens(1, 4, 16, seed=3), x], dim=1)
    mask = torch.zeros(1, 1, 10, dtype=torch.bool)
    mask[..., 4:] = True
    torch.testing.assert_close(rotary(padded, mask=mask)[:, 4:], rotary(x), atol=1e-5, rtol=1e-4)
    swapped = x.flip(1)
    assert not torch.allclose(rotary(swapped).flip(1), rotary(x), atol=1e-3)


def test_rotary_extends_beyond_max_len() -> None:
    short, _ = twins(rotary=True, max_len=4)
    long, _ = twins(rotary=True, max_len=64)
    x = tokens(1, 12, 16)
    torch.testing.assert_close(short(x), long(x))


@pytest.mark.parametrize("form", ["explicit", "sdpa"])
@pytest.mark.parametrize("chunks", [[1] * 9, [4, 1, 1, 3]])
def test_cache_matches_the_full_forward(form: str, chunks: list[int]) -> None:
    torch.manual_seed(0)
    blocks = [TransformerBlock(16, 4, causal=True, rotary=True, form=form) for _ in range(2)]  # type: ignore[arg-type]
    x = tokens(2, 9, 16)
    full = x
    for block in blocks:
        full = block(full)
    caches, parts, start = [KVCache(9), KVCache(9)], [], 0
    for size in chunks:
        part = x[:, start : start + size]
        for block, cache in zip(blocks, caches, strict=True):
            part = block(part, cache=cache)
        parts.append(part)
        start += size
    torch.testing.assert_close(torch.cat(parts, 1), full, atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="holds 9 tokens"):
        blocks[0](x[:, :1], cache=caches[0])
    caches[0].reset()
    torch.testing.assert_close(blocks[0](x[:, :3], cache=caches[0]), blocks[0](x[:, :3]), atol=1e-5, rtol=1e-4)


def test_block_with_context_uses_it() -> None:
    torch.manual_seed(0)
    block = TransformerBlock(16, 4, context_dim=8, mlp_ratio=2)
    x, context = tokens(2, 5, 16), tokens(2, 3, 8, seed=2)
    out = block(x, context=context)
    assert out.shape == (2, 5, 16)
    assert not torch.allclose(out, block(x, context=context + 1))
    only_first = torch.tensor([[[True, False, False]]]).expand(2, 1, 3)
    changed = context.clone()
    changed[:, 1:] = 5
    torch.testing.assert_close(
        block(x, context=changed, context_mask=only_first), block(x, context=context, context_mask=only_first)
    )


def test_sinusoidal_positions_are_distinct_with_constant_norm() -> None:
    table = sinusoidal_positions(50, 12)
    assert table.shape == (50, 12)
    torch.testing.assert_close(table.norm(dim=1), torch.full((50,), math.sqrt(6)))
    assert torch.pdist(table).min() > 0.1


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of heads"):
        Attention(10, 4)
    with pytest.raises(ValueError, match="form"):
        Attention(16, 4, form="flash")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="neither causal"):
        Attention(16, 4, context_dim=8, causal=True)
    with pytest.raises(ValueError, match="context is required"):
        Attention(16, 4, context_dim=8)(tokens(1, 2, 16))
    with pytest.raises(ValueError, match="even number"):
        rotary_angles(torch.arange(3), 5)


@pytest.mark.parametrize("kind", POSITIONS)
def test_positions_are_those_of_the_places_after_start(kind: PositionKind) -> None:
    torch.manual_seed(0)
    positions = Positions(kind, 6, 8)
    x = tokens(2, 4, 8)
    whole = positions(x)
    torch.testing.assert_close(positions(x[:, 2:], start=2), whole[:, 2:])
    if kind in ("none", "rotary"):
        torch.testing.assert_close(whole, x)
    elif kind == "sinusoidal":
        torch.testing.assert_close(whole, x * 8**0.5 + sinusoidal_positions(4, 8))
        torch.testing.assert_close(positions(x, start=20), x * 8**0.5 + sinusoidal_positions(24, 8)[20:])
    else:
        assert positions.learned is not None
        torch.testing.assert_close(
            positions(x, start=4)[:, 2:], x[:, 2:] + positions.learned[5]
        )  # beyond the table: its last row
    with pytest.raises(ValueError, match="rotary"):
        Positions("alibi", 6, 8)  # type: ignore[arg-type]
