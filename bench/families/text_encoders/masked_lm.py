"""BERT: an encoder that learns to fill in hidden words from both sides (Devlin et al. 2019, "BERT", sections 3 and
3.1).

A WordPiece vocabulary is learned from the training text; 15 % of the tokens of each sequence are chosen, of which 80 %
become [MASK], 10 % a random token and 10 % stay, and the loss is the cross-entropy of the tokens that stood there. The
second task of the paper, next-sentence prediction, is left out: Liu et al. 2019 ("RoBERTa", section 4.2) found that
nothing is lost.

What it must reproduce: hidden words are found more often with both sides in view than with the left one (``causal:
true``), and fine-tuning it needs fewer labels than the same network from scratch. Sequence probabilities are
pseudo-log-likelihoods (Salazar et al. 2020, eq. 2): each token in turn is hidden and predicted from all others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bench.base.errors import BenchError
from bench.base.files import read_json, write_json, write_text
from bench.base.processes import seeded
from bench.base.seeds import derive
from bench.base.settings import Checked, Count, Positive, Range
from bench.contracts import RunContext
from bench.families.text_encoders.masking import mask_tokens
from bench.families.text_encoders.wordpiece import MASK, WordPiece
from bench.nn.attention import Form
from bench.nn.blocks import in_chunks
from bench.nn.encoder import EncoderShape, MaskedNetwork, left_only_mask, read_bert
from bench.training import fit, load_module, save_module

__all__ = ["MaskedLM", "MaskedLMConfig"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_BUCKET = 16
"""Texts are padded to multiples of this many tokens."""
_CHUNK = 32
"""Texts embedded at once."""


@dataclass(frozen=True)
class MaskedLMConfig(Checked):
    """Hyper-parameters of :class:`MaskedLM`.

    Attributes:
        width: features of the stream.
        layers: blocks.
        heads: attention heads in each block.
        mlp_ratio: hidden width of the MLPs over ``width``.
        context: most tokens that it sees at once, [CLS] and [SEP] included.
        vocabulary: WordPiece tokens to learn.
        lowercase: ``Tea`` and ``tea`` are one word.
        mask_share: share of the tokens that are chosen for prediction.
        dropout: while pre-training.
        causal: each token sees those before it only: the ablation.
        pooling: what :meth:`MaskedLM.embed_texts` returns: the ``mean`` of the last states, or the one of ``cls``.
        pretrain: false leaves the weights as they are: random (a floor), or those of ``pretrained``.
        pretrained: folder of a published BERT (config.json, model.safetensors, tokenizer.json) to start from; its
            shape, positions, norms and vocabulary take the place of what is set here.
        attention: ``explicit`` or ``sdpa`` (the same numbers, another speed).
        positions: ``learned`` as in BERT, or ``rotary``.
        pre_norm: norms before attention and MLP rather than after them. With BERT's own ``learned`` and post-norm a
            small network stays at the frequencies of single words for thousands of steps; these two are what later
            encoders changed (Warner et al. 2024, "ModernBERT", section 2.1).
    """

    width: Count = 128
    layers: Count = 4
    heads: Count = 2
    mlp_ratio: Positive = 4
    context: Annotated[int, Range(low=4)] = 128  # [CLS], two tokens and [SEP]
    vocabulary: Count = 4096
    lowercase: bool = True
    mask_share: Annotated[float, Range(above=0, below=1)] = 0.15
    dropout: Annotated[float, Range(low=0, below=1)] = 0.0
    causal: bool = False
    pooling: Literal["mean", "cls"] = "mean"
    pretrain: bool = True
    pretrained: str = ""
    attention: Form = "explicit"
    positions: Literal["learned", "rotary"] = "learned"
    pre_norm: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        even = 2 if self.positions == "rotary" else 1  # rotary positions turn pairs of features
        if self.width % (even * self.heads):
            raise ValueError(f"width: {self.width} is not a multiple of {'2 x ' * (even - 1)}{self.heads} heads")


class MaskedLM:
    """The system around :class:`bench.nn.encoder.MaskedNetwork`.

    Args:
        config: see :class:`MaskedLMConfig`.
    """

    Config: ClassVar[type[MaskedLMConfig]] = MaskedLMConfig
    CONTRACT: ClassVar[str] = "MaskedLanguageModel"

    def __init__(self, config: MaskedLMConfig) -> None:
        self.config = config
        self.device = "cpu"
        self._wordpiece: WordPiece | None = None
        self._network: MaskedNetwork | None = None

    @property
    def wordpiece(self) -> WordPiece:
        """The vocabulary."""
        if self._wordpiece is None:
            raise BenchError("this masked language model is not trained: call fit or load first")
        return self._wordpiece

    @property
    def network(self) -> MaskedNetwork:
        """Encoder and masked-LM head."""
        if self._network is None:
            raise BenchError("this masked language model is not trained: call fit or load first")
        return self._network

    @property
    def shape(self) -> EncoderShape:
        """Of the network: the configured one, or that of the pretrained weights."""
        return self.network.encoder.shape

    @property
    def vocabulary_name(self) -> str:
        """For the protocol of what is measured per token, e.g. ``wordpiece-4096``."""
        return f"wordpiece-{len(self.wordpiece)}"

    @property
    def mask_share(self) -> float:
        """Share of the tokens that are hidden in pre-training."""
        return self.config.mask_share

    def _build(self, shape: EncoderShape, device: str, seed: int = 0) -> MaskedNetwork:
        self.device = device
        with seeded(derive(seed, "init")):
            self._network = MaskedNetwork(shape).to(device)
        return self._network

    def _start(self, lines: Sequence[str], run: RunContext) -> MaskedNetwork:
        """Vocabulary and first weights: learned from ``lines`` and drawn at random, or those of ``pretrained``."""
        config = self.config
        changes: dict[str, Any] = {"dropout": config.dropout, "causal": config.causal, "attention": config.attention}
        if config.pretrained:
            folder = Path(config.pretrained).expanduser()
            shape, state = read_bert(folder, **changes)
            self._wordpiece = WordPiece.read(folder)
            network = self._build(shape, run.device, run.seed)
            network.load_state_dict(state, strict=False)  # read_bert has checked; the masked-LM head may be missing
            return network
        self._wordpiece = WordPiece.train(lines, config.vocabulary, lowercase=config.lowercase)
        hidden = int(config.width * config.mlp_ratio)
        changes |= {"positions": config.positions, "pre_norm": config.pre_norm}
        shape = EncoderShape(
            len(self.wordpiece), config.width, config.layers, config.heads, hidden, config.context, **changes
        )
        return self._build(shape, run.device, run.seed)

    def fit(self, corpus: Mapping[str, Any], run: RunContext) -> None:
        """Learn the vocabulary, then minimise the masked cross-entropy over random stretches of ``corpus["train"]``.

        Args:
            corpus: ``train`` is a text, or has ``texts`` (labels are not looked at).
            run: see :class:`bench.contracts.RunContext`.

        Raises:
            BenchError: the training text is empty, or too short for a sequence with something to predict.
        """
        data = corpus["train"]
        lines = [line for line in (data.split("\n") if isinstance(data, str) else data.texts) if line.strip()]
        if not lines:
            raise BenchError(f"{run.name}: the training text is empty; check the data set's card and `data/prepared`")
        network = self._start(lines, run)
        run.cost["parameters"] = float(sum(p.numel() for p in network.parameters()))
        network.eval()
        if not self.config.pretrain:
            return
        stream = np.concatenate(self.wordpiece.encode(lines))
        if len(stream) < 2:
            raise BenchError(
                f"{run.name}: the training text has {len(stream)} tokens: a masked language model needs at least two"
            )
        length = min(self.shape.context - 2, len(stream))
        ordinary = np.setdiff1d(np.arange(len(self.wordpiece)), self.wordpiece.special)

        def batches(rng: np.random.Generator, batch_size: int) -> dict[str, Ints]:
            starts = rng.integers(0, len(stream) - length + 1, batch_size)
            tokens = self.frame(stream[starts[:, None] + np.arange(length)])  # (B, T)
            batch = mask_tokens(tokens, self.config.mask_share, self.wordpiece.mask, ordinary, rng)
            return {"inputs": batch.inputs, "positions": batch.positions, "targets": batch.targets}

        def loss(batch: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
            logits = network(batch["inputs"], batch["positions"]).flatten(0, 1).float()  # (B K, V)
            targets = batch["targets"].flatten()
            found = (logits.detach().argmax(-1) == targets).float().mean()
            return {"loss": F.cross_entropy(logits, targets), "masked_accuracy": found}

        fit(network, loss, batches, run)
        run.cost["tokens_seen"] = run.cost["images_seen"] * length

    def frame(self, tokens: Ints) -> Ints:
        """``(B, T)`` tokens to ``(B, T + 2)``: [CLS] before and [SEP] behind."""
        side = np.ones((len(tokens), 1), dtype=np.int64)
        return np.hstack([self.wordpiece.cls * side, tokens, self.wordpiece.sep * side])

    def encode(self, texts: Sequence[str], limit: int = 0) -> list[Ints]:
        """[CLS], the first tokens, [SEP] of each text: at most ``limit`` in all (the context, if 0); what is beyond is
        not read."""
        longest = min(limit or self.shape.context, self.shape.context)
        sides = np.array([self.wordpiece.cls]), np.array([self.wordpiece.sep])
        return [np.concatenate([sides[0], ids[: longest - 2], sides[1]]) for ids in self.wordpiece.encode(texts)]

    def pad(self, rows: Sequence[Ints], length: int = 0) -> Ints:
        """``(N, length)``: rows filled up with [PAD]; without ``length`` to the longest one, in multiples of 16 up to
        the context."""
        longest = max((len(row) for row in rows), default=1)
        length = length or min(-(-longest // _BUCKET) * _BUCKET, self.shape.context)
        padded = np.full((len(rows), length), self.wordpiece.pad, dtype=np.int64)
        for i, row in enumerate(rows):
            padded[i, : len(row)] = row
        return padded

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """``(N, D)``: mean of the last hidden states, or that of [CLS] (``pooling``); a text beyond the context is
        cut."""
        rows = self.encode(texts)
        found = np.zeros((len(rows), self.shape.width), dtype=np.float32)
        lengths = np.array([self.pad([row]).shape[1] for row in rows], dtype=np.int64)
        for length in np.unique(lengths):
            places = np.flatnonzero(lengths == length)
            tokens = torch.from_numpy(self.pad([rows[i] for i in places], int(length))).to(self.device)
            found[places] = in_chunks(self._pooled, tokens, _CHUNK).cpu().numpy()
        return found

    def _pooled(self, tokens: Tensor) -> Tensor:
        real = tokens != self.wordpiece.pad  # (N, T)
        states: Tensor = self.network.encoder(tokens, real[:, None])  # (N, T, D)
        if self.config.pooling == "cls":
            return states[:, 0]
        weights = real[..., None].to(states.dtype)
        return (states * weights).sum(1) / weights.sum(1)

    @torch.inference_mode()
    def fill(self, inputs: Ints, positions: Ints, *, left_only: bool = False, batch_size: int = 32) -> Floats:
        """Log-probabilities of every token at hidden places, by the masked-LM head.

        Args:
            inputs: ``(N, T)`` with [MASK] where something is hidden.
            positions: ``(N, K)`` places to predict.
            left_only: every token sees only itself and those before it.
            batch_size: sequences at once.

        Returns:
            ``(N, K, V)`` float64, rows summing to one after ``exp``: keep N small.
        """
        mask = left_only_mask(inputs.shape[1], self.device) if left_only else None
        parts = [np.zeros((0, positions.shape[1], len(self.wordpiece)))]
        for start in range(0, len(inputs), batch_size):
            rows = slice(start, start + batch_size)
            tokens, places = (torch.from_numpy(part[rows]).to(self.device) for part in (inputs, positions))
            parts.append(self.network(tokens, places, mask).double().log_softmax(-1).cpu().numpy())
        return np.concatenate(parts)

    def pseudo_log_prob(self, text: str, *, left_only: bool = False, batch_size: int = 64) -> Floats:
        """Nats of each token of ``text``, hidden alone and predicted from all others (Salazar et al. 2020, eq. 2).

        A text beyond the context is scored in stretches of ``context - 2`` tokens, each by itself. The sum is no
        log-probability of the text (the conditionals need not belong to one distribution): it ranks texts and models of
        one vocabulary.

        Args:
            text: any text; an empty one has no tokens.
            left_only: see :meth:`fill`.
            batch_size: sequences at once.
        """
        ids = self.wordpiece.encode([text])[0]
        size = self.shape.context - 2
        stretches = (ids[i : i + size] for i in range(0, len(ids), size))
        return np.concatenate(
            [
                np.zeros(0),
                *(self.hidden_one_by_one(part, left_only=left_only, batch_size=batch_size) for part in stretches),
            ]
        )

    def hidden_one_by_one(self, ids: Ints, *, left_only: bool = False, batch_size: int = 64) -> Floats:
        """:meth:`pseudo_log_prob` of at most ``context - 2`` tokens ``(T,)``, given by their ids."""
        nats = []
        for start in range(0, len(ids), batch_size):
            places = np.arange(start, min(start + batch_size, len(ids)))
            inputs = np.repeat(self.frame(ids[None]), len(places), axis=0)
            inputs[np.arange(len(places)), places + 1] = self.wordpiece.mask
            scores = self.fill(inputs, places[:, None] + 1, left_only=left_only, batch_size=batch_size)[:, 0]
            nats.append(scores[np.arange(len(places)), ids[places]])
        return np.concatenate(nats)

    def cloze(self, text: str, k: int = 5) -> list[list[tuple[str, float]]]:
        """The ``k`` most probable tokens, with their probabilities, for each ``[MASK]`` in ``text``.

        Raises:
            BenchError: no ``[MASK]`` in it, or more tokens than the context holds.
        """
        parts = self.wordpiece.encode(text.split(MASK))
        hidden = np.array([self.wordpiece.mask])
        ids = np.concatenate([parts[0], *(np.concatenate([hidden, part]) for part in parts[1:])])
        places = np.flatnonzero(ids == self.wordpiece.mask) + 1
        if not len(places):
            raise BenchError(f"nothing to fill in: write {MASK} in place of a word")
        if len(ids) + 2 > self.shape.context:
            raise BenchError(
                f"{len(ids)} tokens are more than the context of {self.shape.context} holds: shorten the text "
                f"around {MASK}"
            )
        scores = self.fill(self.frame(ids[None]), places[None])[0]  # (K, V)
        scores[:, self.wordpiece.special] = -np.inf
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return [
            [(self.wordpiece.token(i), float(np.exp(row[i]))) for i in order]
            for row, order in zip(scores, best, strict=True)
        ]

    def save(self, folder: Path) -> None:
        """``network.safetensors``, ``shape.json`` and ``vocabulary.json``."""
        save_module(self.network, folder / "network.safetensors")
        write_json(folder / "shape.json", dataclasses.asdict(self.shape))
        write_text(folder / "vocabulary.json", self.wordpiece.to_text())

    @classmethod
    def load(cls, folder: Path, config: MaskedLMConfig, device: str = "cpu") -> MaskedLM:
        """The inverse of :meth:`save`."""
        path = folder / "vocabulary.json"
        if not path.is_file():
            raise BenchError(f"no vocabulary at {path}: run `dvc repro` first")
        model = cls(config)
        model._wordpiece = WordPiece.from_text(path.read_text(encoding="utf-8"), str(path))
        network = model._build(EncoderShape(**read_json(folder / "shape.json")), device)
        load_module(network, folder / "network.safetensors")
        network.eval()
        return model
