"""A text encoder fine-tuned to classify labelled texts (Devlin et al. 2019, section 3.2): one new layer on the last
state of [CLS], and all weights are trained on.

"From scratch" is the same network, task, schedule and labels with random weights.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.base.processes import seeded
from bench.base.seeds import derive
from bench.capabilities import FineTunable
from bench.contracts import Ints, RunContext
from bench.data.labelled_texts import TextSplit
from bench.nn.encoder import Encoder
from bench.training import fit

__all__ = ["Recipe", "TextClassifier", "classify", "fine_tune"]


@dataclass(frozen=True)
class Recipe:
    """How an encoder is fine-tuned.

    Attributes:
        steps: optimiser steps.
        batch_size: texts a step.
        learning_rate: peak.
        max_tokens: tokens of a text that are read, [CLS] and [SEP] included.
        dropout: while fine-tuning.
        precision: ``fp32``, ``bf16`` or ``auto``.
    """

    steps: int
    batch_size: int
    learning_rate: float
    max_tokens: int
    dropout: float
    precision: str = "fp32"


class TextClassifier(nn.Module):
    """An encoder and a linear layer on the last state of its first token, [CLS]."""

    def __init__(self, encoder: Encoder, classes: int, pad: int, dropout: float) -> None:
        super().__init__()
        self.encoder, self.pad = encoder, pad
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.shape.width, classes)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(B, T)`` padded tokens to ``(B, classes)`` logits."""
        states = self.encoder(tokens, (tokens != self.pad)[:, None])  # (B, T, D)
        logits: Tensor = self.head(self.dropout(states[:, 0]))
        return logits


def _fresh(system: FineTunable, scratch: bool, dropout: float, seed: int) -> Encoder:
    """A copy of the encoder, or a new one of its shape, with the dropout of fine-tuning."""
    with seeded(derive(seed, "fresh encoder")):
        encoder = Encoder(replace(system.shape, dropout=dropout))
    if not scratch:
        encoder.load_state_dict(copy.deepcopy(system.network.encoder.state_dict()))
    return encoder


def fine_tune(
    system: FineTunable, data: TextSplit, classes: int, recipe: Recipe, seed: int, *, scratch: bool = False
) -> TextClassifier:
    """A classifier trained on ``data``.

    Args:
        system: the encoder and its vocabulary; it is not changed.
        data: labelled texts.
        classes: how many there are.
        recipe: see :class:`Recipe`.
        seed: of batches, dropout and the new layer (and, from scratch, of all weights).
        scratch: start from random weights.

    Raises:
        BenchError: all texts have one label.
    """
    if len(np.unique(data.labels)) < 2:
        raise BenchError(
            f"{len(data)} texts of one class: there is nothing to learn to tell apart; check the labels of the data set"
        )
    rows = system.encode(data.texts, recipe.max_tokens)
    encoder = _fresh(system, scratch, recipe.dropout, seed)
    with seeded(derive(seed, "head")):
        network = TextClassifier(encoder, classes, system.wordpiece.pad, recipe.dropout)

    def batches(rng: np.random.Generator, size: int) -> dict[str, Ints]:
        picked = rng.choice(len(rows), size, replace=size > len(rows))
        return {"tokens": system.pad([rows[i] for i in picked]), "labels": data.labels[picked]}

    def loss(batch: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        return {"loss": F.cross_entropy(network(batch["tokens"]).float(), batch["labels"])}

    train = {
        "steps": recipe.steps,
        "batch_size": recipe.batch_size,
        "lr": recipe.learning_rate,
        "warmup": max(1, recipe.steps // 10),
        "schedule": "cosine",
        "betas": (0.9, 0.999),
        "precision": recipe.precision,
        "checkpoint_every": 0,
        "log_every": recipe.steps,
    }
    fit(network, loss, batches, RunContext(name="fine-tuning", seed=seed, device=system.device, train=train))
    return network


@torch.inference_mode()
def classify(
    network: TextClassifier, system: FineTunable, texts: Sequence[str], max_tokens: int, batch_size: int = 64
) -> Ints:
    """``(N,)`` most probable classes; texts are read in the order of their length, so that little of a batch is
    padding."""
    rows = system.encode(texts, max_tokens)
    found = np.zeros(len(rows), dtype=np.int64)
    order = np.argsort([len(row) for row in rows], kind="stable")
    for start in range(0, len(rows), batch_size):
        places = order[start : start + batch_size]
        tokens = torch.from_numpy(system.pad([rows[i] for i in places])).to(system.device)
        found[places] = network(tokens).argmax(1).cpu().numpy()
    return found
