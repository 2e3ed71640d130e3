"""Our decoder, rotary positions and cache against the `transformers` library, with our weights copied into its
networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.models.gptj.modeling_gptj import apply_rotary_pos_emb, create_sinusoidal_positions

from bench.nn.attention import KVCache, apply_rotary, rotary_angles
from bench.nn.decoder import Decoder, DecoderShape

VOCABULARY, CONTEXT = 50, 24


def gpt2_like(ours: Decoder, config: DecoderShape, size: int) -> GPT2LMHeadModel:
    """GPT-2 of the same shape with the weights of ``ours``."""
    theirs = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=size,
            n_positions=config.context,
            n_embd=config.width,
            n_layer=config.layers,
            n_head=config.heads,
            activation_function="gelu",
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
        )
    ).eval()
    state: dict[str, Tensor] = {
        "wte.weight": ours.embedding.weight,
        "wpe.weight": ours.positions.learned,
        "ln_f.weight": ours.norm.weight,
        "ln_f.bias": ours.norm.bias,
    }
    for i, block in enumerate(ours.blocks):
        attention, mlp = block.attention, block.mlp
        state |= {
            f"h.{i}.ln_1.weight": block.attention_norm.weight,
            f"h.{i}.ln_1.bias": block.attention_norm.bias,
            f"h.{i}.attn.c_attn.weight": torch.cat(
                [attention.query.weight, attention.key_value.weight]
            ).T,  # Conv1D is transposed
            f"h.{i}.attn.c_attn.bias": torch.cat([attention.query.bias, attention.key_value.bias]),
            f"h.{i}.attn.c_proj.weight": attention.out.weight.T,
            f"h.{i}.attn.c_proj.bias": attention.out.bias,
            f"h.{i}.ln_2.weight": block.mlp_norm.weight,
            f"h.{i}.ln_2.bias": block.mlp_norm.bias,
            f"h.{i}.mlp.c_fc.weight": mlp[0].weight.T,
            f"h.{i}.mlp.c_fc.bias": mlp[0].bias,
            f"h.{i}.mlp.c_proj.weight": mlp[2].weight.T,
            f"h.{i}.mlp.c_proj.bias": mlp[2].bias,
        }
    copies = {key: value.detach().contiguous() for key, value in state.items()}
    missing, unexpected = theirs.transformer.load_state_dict(copies, strict=False)
    assert not unexpected and all(key.endswith(("attn.bias", "masked_bias")) for key in missing)
    return theirs


@pytest.fixture(scope="module")
def pair() -> tuple[Decoder, GPT2LMHeadModel]:
    torch.manual_seed(0)
    config = DecoderShape(width=32, layers=2, heads=2, context=CONTEXT, positions="learned")
    ours = Decoder(VOCABULARY, config).eval()
    for parameter in ours.parameters():  # biases and norms too, so that nothing is compared at zero
        parameter.data += 0.1 * torch.randn_like(parameter)
    return ours, gpt2_like(ours, config, VOCABULARY)


def test_logits_equal_those_of_gpt2_with_our_weights(pair: tuple[Decoder, GPT2LMHeadModel]) -> None:
    ours, theirs = pair
    tokens = torch.randint(0, VOCABULARY, (3, CONTEXT), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens), theirs(tokens).logits, atol=2e-5, rtol=1e-4)


def test_gradients_equal_those_of_gpt2_with_our_weights(pair: tuple[Decoder, GPT2LMHeadModel]) -> None:
    ours, theirs = pair
    tokens = torch.randint(0, VOCABULARY, (3, CONTEXT), generator=torch.Generator().manual_seed(2))
    for logits in (ours(tokens), theirs(tokens).logits):
        torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).backward()
    torch.testing.assert_close(ours.embedding.weight.grad, theirs.transformer.wte.weight.grad, atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(
        ours.blocks[0].mlp[0].weight.grad.T, theirs.transformer.h[0].mlp.c_fc.weight.grad, atol=1e-5, rtol=1e-3
    )


def test_cached_steps_equal_those_of_gpt2(pair: tuple[Decoder, GPT2LMHeadModel]) -> None:
    ours, theirs = pair
    tokens = torch.randint(0, VOCABULARY, (2, CONTEXT), generator=torch.Generator().manual_seed(3))
    caches, past = [KVCache(CONTEXT) for _ in ours.blocks], None
    with torch.no_grad():
        for part in tokens.split((5, *[1] * (CONTEXT - 5)), dim=1):
            found = theirs(part, past_key_values=past, use_cache=True)
            past = found.past_key_values
            torch.testing.assert_close(ours(part, caches), found.logits, atol=2e-5, rtol=1e-4)


def test_rotation_equals_that_of_gptj() -> None:
    x = torch.randn(2, 7, 3, 8, generator=torch.Generator().manual_seed(4))  # (B, T, H, D) in their layout
    angles = create_sinusoidal_positions(32, 8)[5:12]  # positions 5 .. 11
    sin, cos = (part[None].expand(2, -1, -1) for part in angles.chunk(2, dim=-1))
    theirs = apply_rotary_pos_emb(x, sin, cos)
    ours = apply_rotary(x.transpose(1, 2), rotary_angles(torch.arange(5, 12), 8)).transpose(1, 2)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-5)
