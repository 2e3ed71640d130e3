"""The transformer encoder of BERT (Devlin et al. 2019): post-norm blocks, learned positions, token types, GELU, and the
masked-LM head.

With ``positions: rotary`` and ``pre_norm`` it is the block of the later encoders (ModernBERT, Warner et al. 2024),
which learns in far fewer steps. Otherwise it is laid out so that the published weights of a BERT load by name
(:func:`from_bert`): word, position and type embeddings are added and normalised; each sub-layer is ``LayerNorm(x +
sublayer(x))`` (Vaswani et al. 2017, section 3.1). Dropout stands on the embeddings and on each sub-layer's output;
BERT's further dropout on attention weights is left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.base.files import read_json
from bench.nn.attention import Attention, Form

__all__ = [
    "Encoder",
    "EncoderBlock",
    "EncoderShape",
    "MaskedHead",
    "MaskedNetwork",
    "from_bert",
    "left_only_mask",
    "read_bert",
]


@dataclass(frozen=True)
class EncoderShape:
    """What determines the tensors of an :class:`Encoder`.

    Attributes:
        vocabulary: tokens.
        width: features of the stream.
        layers: blocks.
        heads: attention heads of each block.
        hidden: width inside the MLPs.
        context: learned positions, the most tokens that it sees at once.
        types: token types (BERT's segments A and B).
        epsilon: of the layer norms.
        dropout: share of features dropped while training.
        causal: token t attends to tokens <= t only (the ablation of BERT's reading in both directions).
        attention: ``explicit`` or ``sdpa``.
        positions: ``learned`` vectors added to the embeddings (BERT), or ``rotary``: queries and keys are turned (Su et
            al. 2021).
        pre_norm: norms before attention and MLP and one at the end (Xiong et al. 2020), in place of BERT's after each.
    """

    vocabulary: int
    width: int = 128
    layers: int = 4
    heads: int = 2
    hidden: int = 512
    context: int = 128
    types: int = 2
    epsilon: float = 1e-12
    dropout: float = 0.0
    causal: bool = False
    attention: Form = "explicit"
    positions: Literal["learned", "rotary"] = "learned"
    pre_norm: bool = False


class EncoderBlock(nn.Module):
    """Post-norm ``x = LN(x + attention(x))``, ``x = LN(x + MLP(x))``, or pre-norm ``x = x + attention(LN(x))``, ``x = x
    + MLP(LN(x))``."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.pre_norm = shape.pre_norm
        turned = shape.positions == "rotary"
        self.attention = Attention(
            shape.width, shape.heads, rotary=turned, max_len=shape.context, causal=shape.causal, form=shape.attention
        )
        self.attention_norm = nn.LayerNorm(shape.width, eps=shape.epsilon)
        self.mlp = nn.Sequential(nn.Linear(shape.width, shape.hidden), nn.GELU(), nn.Linear(shape.hidden, shape.width))
        self.mlp_norm = nn.LayerNorm(shape.width, eps=shape.epsilon)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """``(B, T, D)`` to ``(B, T, D)``; ``mask`` is bool ``(B, 1 or T, T)``, True = attend."""
        if self.pre_norm:
            x = x + self.dropout(self.attention(self.attention_norm(x), mask=mask))
            x = x + self.dropout(self.mlp(self.mlp_norm(x)))
            return x
        x = self.attention_norm(x + self.dropout(self.attention(x, mask=mask)))
        x = self.mlp_norm(x + self.dropout(self.mlp(x)))
        return x


class Encoder(nn.Module):
    """Embeddings and blocks.

    Args:
        shape: see :class:`EncoderShape`.
    """

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.shape = shape
        self.words = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(shape.context, shape.width) if shape.positions == "learned" else None
        self.types = nn.Embedding(shape.types, shape.width)
        self.norm = nn.LayerNorm(shape.width, eps=shape.epsilon)
        self.dropout = nn.Dropout(shape.dropout)
        self.blocks = nn.ModuleList(EncoderBlock(shape) for _ in range(shape.layers))
        self.last_norm = nn.LayerNorm(shape.width, eps=shape.epsilon) if shape.pre_norm else None
        _initialise(self, shape.width)

    def forward(self, tokens: Tensor, mask: Tensor | None = None, types: Tensor | None = None) -> Tensor:
        """Last hidden states.

        Args:
            tokens: ``(B, T)`` ids, T at most the context.
            mask: bool ``(B, 1 or T, T)``, True = attend; None = everything.
            types: ``(B, T)``; None means all of type 0.

        Returns:
            ``(B, T, D)``.
        """
        return self.hidden_states(tokens, mask, types)[-1]

    def hidden_states(self, tokens: Tensor, mask: Tensor | None = None, types: Tensor | None = None) -> list[Tensor]:
        """The normalised embeddings and the output of each block (the last one normalised): ``layers + 1`` times ``(B,
        T, D)``."""
        length = tokens.shape[1]
        if length > self.shape.context:
            raise ValueError(
                f"{length} tokens are more than the {self.shape.context} positions that this encoder was made for"
            )
        kind = self.types.weight[0] if types is None else self.types(types)
        x = self.words(tokens) + kind  # (B, T, D)
        if self.positions is not None:
            x = x + self.positions.weight[:length]
        states = [self.dropout(self.norm(x))]
        for block in self.blocks:
            states.append(block(states[-1], mask))
        if self.last_norm is not None:
            states[-1] = self.last_norm(states[-1])
        return states


class MaskedHead(nn.Module):
    """Dense, GELU, LayerNorm, then the transposed word embeddings and a bias: logits over the vocabulary."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.dense = nn.Linear(shape.width, shape.width)
        self.norm = nn.LayerNorm(shape.width, eps=shape.epsilon)
        self.bias = nn.Parameter(torch.zeros(shape.vocabulary))
        _initialise(self, shape.width)

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        """``(..., D)`` states and ``(V, D)`` embeddings to ``(..., V)`` logits."""
        return F.linear(self.norm(F.gelu(self.dense(x))), words, self.bias)


class MaskedNetwork(nn.Module):
    """Encoder and masked-LM head."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.encoder = Encoder(shape)
        self.head = MaskedHead(shape)

    def forward(self, tokens: Tensor, positions: Tensor, mask: Tensor | None = None) -> Tensor:
        """Logits of the tokens at ``positions`` ``(B, K)`` of ``tokens`` ``(B, T)``: ``(B, K, V)``."""
        states = self.encoder(tokens, mask)  # (B, T, D)
        picked = states.gather(1, positions[..., None].expand(-1, -1, states.shape[-1]))  # (B, K, D)
        logits: Tensor = self.head(picked, self.encoder.words.weight)
        return logits


def left_only_mask(length: int, device: torch.device | str = "cpu") -> Tensor:
    """``(1, T, T)``: every token sees itself and those before it."""
    return torch.ones(1, length, length, dtype=torch.bool, device=device).tril()


def _initialise(module: nn.Module, width: int) -> None:
    """Normal for matrices, zero for biases, one for the gains of norms, as BERT.

    BERT-base draws with 0.02 at width 768; the same 0.02 in a narrow network leaves its attention all but uniform for
    thousands of steps, so that the spread of the *products* is kept: ``0.02 sqrt(768 / width)``.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            nn.init.normal_(part.weight, std=0.02 * math.sqrt(768 / width))
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)


_NAMES = (
    (r"embeddings\.word_embeddings\.", "encoder.words."),
    (r"embeddings\.position_embeddings\.", "encoder.positions."),
    (r"embeddings\.token_type_embeddings\.", "encoder.types."),
    (r"embeddings\.LayerNorm\.", "encoder.norm."),
    (r"encoder\.layer\.(\d+)\.attention\.self\.query\.", r"encoder.blocks.\1.attention.query."),
    (r"encoder\.layer\.(\d+)\.attention\.self\.(key|value)\.", r"encoder.blocks.\1.attention.\2."),
    (r"encoder\.layer\.(\d+)\.attention\.output\.dense\.", r"encoder.blocks.\1.attention.out."),
    (r"encoder\.layer\.(\d+)\.attention\.output\.LayerNorm\.", r"encoder.blocks.\1.attention_norm."),
    (r"encoder\.layer\.(\d+)\.intermediate\.dense\.", r"encoder.blocks.\1.mlp.0."),
    (r"encoder\.layer\.(\d+)\.output\.dense\.", r"encoder.blocks.\1.mlp.2."),
    (r"encoder\.layer\.(\d+)\.output\.LayerNorm\.", r"encoder.blocks.\1.mlp_norm."),
    (r"cls\.predictions\.transform\.dense\.", "head.dense."),
    (r"cls\.predictions\.transform\.LayerNorm\.", "head.norm."),
    (r"cls\.predictions\.bias$", "head.bias"),
)
"""BERT's names (pattern) and ours."""
_OLD_NORM = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))


def from_bert(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a BERT under our names; what we have no use for (pooler, next-sentence head) is left out.

    Args:
        tensors: with or without the prefix ``bert.``; the names of the oldest releases (gamma, beta) are known.

    Returns:
        Entries of :class:`MaskedNetwork`'s ``state_dict``; those of ``head`` only if ``tensors`` has
        ``cls.predictions``.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        plain = name.removeprefix("bert.")
        for old, new in _OLD_NORM:
            plain = plain.replace(old, new)
        for pattern, ours in _NAMES:
            renamed, count = re.subn(f"^{pattern}", ours, plain)
            if count:
                found[renamed] = tensor
                break
    for name in [name for name in found if ".attention.key." in name]:  # ours is one matrix for both
        value = found.pop(name.replace(".key.", ".value."), None)
        if value is None:
            raise BenchError(f"these weights have {name} without its values")
        found[name.replace(".key.", ".key_value.")] = torch.cat([found.pop(name), value])
    return found


def read_bert(folder: Path, **changes: Any) -> tuple[EncoderShape, dict[str, Tensor]]:
    """Shape and weights of a pretrained BERT from ``config.json`` and ``model.safetensors``.

    Args:
        folder: as published: also ``tokenizer.json`` or ``vocab.txt`` (see
            :meth:`bench.families.text_encoders.wordpiece.WordPiece.read`).
        changes: fields of :class:`EncoderShape` that the file does not know (``dropout``, ``attention``, ``causal``).

    Raises:
        BenchError: a file is missing, the model is no BERT with GELU and absolute positions, or a tensor is missing.
    """
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise BenchError(
                f"{folder / name} is not there: a pretrained BERT is a folder with config.json, model.safetensors, "
                "tokenizer.json"
            )
    facts = read_json(folder / "config.json")
    for key, wanted in (("model_type", "bert"), ("hidden_act", "gelu"), ("position_embedding_type", "absolute")):
        if facts.get(key, wanted) != wanted:
            raise BenchError(f"{folder / 'config.json'}: {key} is {facts[key]!r}: only {wanted!r} can be loaded")
    shape = EncoderShape(
        vocabulary=facts["vocab_size"],
        width=facts["hidden_size"],
        layers=facts["num_hidden_layers"],
        heads=facts["num_attention_heads"],
        hidden=facts["intermediate_size"],
        context=facts["max_position_embeddings"],
        types=facts.get("type_vocab_size", 2),
        epsilon=facts.get("layer_norm_eps", 1e-12),
        **changes,
    )
    state = from_bert(load_file(folder / "model.safetensors"))
    with torch.device("meta"):
        expected = MaskedNetwork(shape).state_dict()
    missing = [name for name in expected if name not in state and not name.startswith("head.")]
    wrong = [name for name in state if name not in expected or state[name].shape != expected[name].shape]
    if missing or wrong:
        raise BenchError(
            f"{folder / 'model.safetensors'} is not the BERT of its config.json: lacks {missing[:3]}, does not fit "
            f"{wrong[:3]}"
        )
    return shape, state
