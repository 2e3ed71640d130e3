"""Training step and cached sampling against GPT-2 of the `transformers` library, same shape and weights, rounds
alternating.

That both compute the same is the subject of tests/nn/test_decoder_parity.py and is asserted again here before
anything is timed. Precision is float32 on both sides for training; our sampling runs in float64 (so that no batch can
change a text), theirs in float32.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from bench.autoregressive.tokens import Characters
from bench.autoregressive.vocabulary import Vocabulary
from bench.families.words.transformer_lm import TransformerLM, TransformerLMConfig
from bench.nn.decoder import Decoder

LETTERS = [chr(33 + i) for i in range(91)] + ["\n"]
CONFIG = TransformerLMConfig(width=128, layers=5, heads=4, context=128, positions="learned")  # 1.0 M parameters
BATCH, THREADS = 32, 2


def pair() -> tuple[TransformerLM, GPT2LMHeadModel]:
    torch.manual_seed(0)
    ours = TransformerLM(CONFIG)
    ours._build(Characters(Vocabulary(LETTERS)), "cpu")
    size = len(ours.vocabulary)
    common: dict[str, Any] = {
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "bos_token_id": 1,
        "eos_token_id": None,
    }
    shape = {"n_embd": CONFIG.width, "n_layer": CONFIG.layers, "n_head": CONFIG.heads, "n_positions": CONFIG.context}
    theirs = GPT2LMHeadModel(GPT2Config(vocab_size=size, activation_function="gelu", pad_token_id=0, **shape, **common))
    copy_weights(ours.decoder, theirs)
    return ours, theirs


def copy_weights(ours: Decoder, theirs: GPT2LMHeadModel) -> None:
    body = theirs.transformer
    with torch.no_grad():
        body.wte.weight.copy_(ours.embedding.weight)
        body.wpe.weight.copy_(ours.positions.learned)
        for block, layer in zip(ours.blocks, body.h, strict=True):
            layer.attn.c_attn.weight.copy_(
                torch.cat([block.attention.query.weight, block.attention.key_value.weight]).T
            )
            layer.attn.c_attn.bias.copy_(torch.cat([block.attention.query.bias, block.attention.key_value.bias]))
            pieces = (
                (layer.attn.c_proj, block.attention.out, True),
                (layer.mlp.c_fc, block.mlp[0], True),
                (layer.mlp.c_proj, block.mlp[2], True),
                (layer.ln_1, block.attention_norm, False),
                (layer.ln_2, block.mlp_norm, False),
            )
            for target, source, turned in pieces:
                target.weight.copy_(source.weight.T if turned else source.weight)
                target.bias.copy_(source.bias)


def alternate(rounds: int, *works: Callable[[], object]) -> list[float]:
    """Median seconds of each work, the works taking turns; the first turn warms up."""
    seconds: list[list[float]] = [[] for _ in works]
    for turn in range(rounds + 1):
        for own, work in zip(seconds, works, strict=True):
            start = time.perf_counter()
            work()
            if turn:
                own.append(time.perf_counter() - start)
    return [statistics.median(own) for own in seconds]


@pytest.fixture(autouse=True)
def threads() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("attention", ["explicit", "sdpa"])
def test_training_step(benchmark: Any, aim: Any, attention: str) -> None:
    ours, theirs = pair()
    for block in ours.decoder.blocks:
        block.attention.form = attention
    tokens = torch.randint(1, len(ours.vocabulary), (BATCH, CONFIG.context))
    with torch.no_grad():
        torch.testing.assert_close(ours.decoder(tokens), theirs(tokens).logits, atol=1e-4, rtol=1e-3)

    def step(network: torch.nn.Module, optimiser: torch.optim.Optimizer, logits: Callable[[], torch.Tensor]) -> None:
        F.cross_entropy(logits()[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).backward()
        optimiser.step()
        optimiser.zero_grad()

    theirs.train()
    optimisers = [torch.optim.AdamW(network.parameters(), lr=1e-4) for network in (ours.decoder, theirs)]
    mine, other = alternate(
        1 if benchmark.disabled else 7,
        lambda: step(ours.decoder, optimisers[0], lambda: ours.decoder(tokens)),
        lambda: step(theirs, optimisers[1], lambda: theirs(tokens).logits),
    )
    benchmark.extra_info.update(seconds=mine, gpt2_seconds=other, threads=THREADS)
    aim(other / mine, 1.2)
    benchmark.pedantic(lambda: step(ours.decoder, optimisers[0], lambda: ours.decoder(tokens)), rounds=3)


@pytest.mark.parametrize("batch", [1, 64])
def test_cached_sampling(benchmark: Any, aim: Any, batch: int) -> None:
    ours, theirs = pair()
    theirs.eval()
    count, prompts = 100, ["HELLO"] * batch
    start = torch.from_numpy(ours.vocabulary.encode("HELLO"))[None].expand(batch, -1)
    greedy = theirs.generate(start, max_new_tokens=20, do_sample=False, suppress_tokens=[0])
    assert ours.sample(20, 0, "HELLO", temperature=0) == ours.vocabulary.decode(greedy[0, 5:].tolist())

    def sample_theirs() -> object:
        return theirs.generate(start, max_new_tokens=count, do_sample=True, top_k=0, suppress_tokens=[0])

    mine, other = alternate(
        1 if benchmark.disabled else 3, lambda: ours.sample_batch(count, list(range(batch)), prompts), sample_theirs
    )
    rates = {"tokens_per_second": round(batch * count / mine), "gpt2_tokens_per_second": round(batch * count / other)}
    benchmark.extra_info.update(**rates, threads=THREADS)
    aim(other / mine, 4)
    benchmark.pedantic(lambda: ours.sample_batch(count, list(range(batch)), prompts), rounds=2)
