"""Decoder-only transformer over characters or BPE tokens (Vaswani et al. 2017), pre-norm, cached sampling.

The text is one stream of tokens; a training item is a random stretch of ``context + 1`` of them. Held-out text is
scored with a sliding window (``stride``), so that a token is predicted from at least ``context - stride`` tokens before
it. Positions are a setting (:class:`bench.nn.attention.Positions`), so that what they are worth, and how far they carry
beyond the training length (:meth:`TransformerLM.log_prob` with a larger ``context``), can be measured; ``mlp_ratio: 0``
leaves attention alone. On Shakespeare split by whole works, the default block reaches about 2.2 bits per byte in five
minutes on two cores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bench.autoregressive.cached_decoding import continuations
from bench.autoregressive.decoding import DrawOptions
from bench.autoregressive.scoring import stream_log_prob
from bench.autoregressive.tokens import Tokens, build_tokens, restore_tokens
from bench.autoregressive.vocabulary import UNKNOWN
from bench.base.errors import BenchError
from bench.base.files import write_npz
from bench.base.processes import seeded
from bench.base.settings import Checked, Count, Natural, NotNegative, Range, changed, taken_over
from bench.contracts import RunContext
from bench.nn.attention import Form, PositionKind
from bench.nn.decoder import Decoder, DecoderShape
from bench.training import fit, load_module, save_module

__all__ = ["TransformerLM", "TransformerLMConfig", "TransformerLMOptions"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_START = "\n\n"
"""What a text is taken to follow: a blank line."""


@dataclass(frozen=True)
class TransformerLMConfig(Checked):
    """Hyper-parameters of :class:`TransformerLM`.

    Attributes:
        width: features of the residual stream.
        layers: blocks.
        heads: attention heads in each block.
        context: tokens that it sees at once in training.
        unit: ``characters`` or ``bpe``.
        vocabulary: size of a BPE vocabulary, the 256 bytes and the escape included.
        positions: ``none``, ``learned``, ``sinusoidal`` or ``rotary``.
        mlp_ratio: hidden width of the MLPs over ``width``; 0 for none.
        tied: the output layer shares the embedding table.
        attention: ``explicit`` or ``sdpa`` (the same numbers, another speed).
    """

    width: Count = 128
    layers: Count = 4
    heads: Count = 4
    context: Annotated[int, Range(low=2)] = 128
    unit: Literal["characters", "bpe"] = "characters"
    vocabulary: Annotated[int, Range(low=300)] = 1024  # 256 bytes and some merges
    positions: PositionKind = "rotary"
    mlp_ratio: NotNegative = 4
    tied: bool = True
    attention: Form = "explicit"

    def __post_init__(self) -> None:
        super().__post_init__()
        even = 2 if self.positions == "rotary" else 1  # rotary positions turn pairs of features
        if self.width % (even * self.heads):
            raise ValueError(f"width: {self.width} is not a multiple of {'2 x ' * (even - 1)}{self.heads} heads")


@dataclass(frozen=True)
class TransformerLMOptions(DrawOptions):
    """How a trained model is used; none of it touches training. See
    :class:`bench.autoregressive.decoding.DrawOptions` for the drawing of tokens.

    Attributes:
        stride: tokens that a scoring window moves on by: each token but the first ``context`` ones is predicted from at
            least ``context - stride`` before it; 0 means half the context.
        context: length of a scoring window, 0 for that of training; a longer one asks how far the positions carry.
    """

    stride: Natural = 0
    context: Natural = 0

    def check(self, config: TransformerLMConfig) -> None:
        """Refuse a window of one token, and one that moves on by more than its length."""
        context = self.context or config.context
        if context < 2:
            raise ValueError("context: a window holds at least 2 tokens")
        if self.stride > context:
            raise ValueError(f"stride: at most the context of {context}, not {self.stride}")


class TransformerLM:
    """The language model around :class:`bench.nn.decoder.Decoder`.

    Args:
        config: see :class:`TransformerLMConfig`.
    """

    Config: ClassVar[type] = TransformerLMConfig
    SampleOptions: ClassVar[type] = TransformerLMOptions
    SCORING: ClassVar[tuple[str, ...]] = ("stride", "context")
    """Options that change probabilities; :meth:`log_prob` reads them, and :meth:`sample` the others."""

    def __init__(self, config: TransformerLMConfig) -> None:
        self.config = config
        self.options = TransformerLMOptions()
        self.device = "cpu"
        self._vocabulary: Tokens | None = None
        self._decoder: Decoder | None = None

    @property
    def vocabulary(self) -> Tokens:
        """Known tokens; id 0 is the escape."""
        if self._vocabulary is None:
            raise BenchError("this transformer is not trained: call fit or load first")
        return self._vocabulary

    @property
    def decoder(self) -> Decoder:
        """The network."""
        if self._decoder is None:
            raise BenchError("this transformer is not trained: call fit or load first")
        return self._decoder

    @property
    def vocabulary_name(self) -> str:
        """For the protocol of perplexity per token, e.g. ``characters-84``."""
        return f"{self.vocabulary.name}-{len(self.vocabulary)}"

    @property
    def note(self) -> str:
        """How held-out text is scored, for the report."""
        context, stride = self._window(self.options)
        unit = self.config.unit if self.config.unit == "characters" else "tokens"
        return (
            f"Scored with a window of {context} {unit} that moves on by {stride}: at least {context - stride} "
            f"{unit} of context."
        )

    def _build(self, vocabulary: Tokens, device: str, seed: int = 0) -> Decoder:
        self._vocabulary, self.device = vocabulary, device
        with seeded(seed):
            self._decoder = Decoder(len(vocabulary), taken_over(DecoderShape, self.config)).to(device)
        return self._decoder

    def fit(self, corpus: Mapping[str, str], run: RunContext) -> None:
        """Minimise the cross-entropy of the next token over random stretches of ``corpus["train"]``.

        Raises:
            BenchError: the training text has fewer than two tokens.
        """
        text = corpus["train"]
        if len(text) < 2:
            raise BenchError(
                f"{run.name}: a training text needs at least two characters; check the dataset's card and "
                "`data/prepared`"
            )
        decoder = self._build(build_tokens(self.config.unit, text, self.config.vocabulary), run.device, run.seed)
        tokens = self.vocabulary.encode(text)
        if len(tokens) < 2:
            raise BenchError(
                f"{run.name}: the training text is a single token of the vocabulary {self.vocabulary_name}: give a "
                "longer one"
            )
        length = min(self.config.context, len(tokens) - 1)
        offsets = np.arange(length + 1)

        def batches(rng: np.random.Generator, batch_size: int) -> Ints:
            starts = rng.integers(0, len(tokens) - length, batch_size)
            stretches: Ints = tokens[starts[:, None] + offsets]  # (B, T + 1)
            return stretches

        def loss(batch: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
            logits = decoder(batch[:, :-1])
            nats = F.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())
            return {"loss": nats, "bits_per_token": nats.detach() / math.log(2)}

        fit(decoder, loss, batches, run)
        run.cost.update({"tokens_seen": run.cost["images_seen"] * length, "train_tokens": float(len(tokens))})

    def _window(self, options: TransformerLMOptions) -> tuple[int, int]:
        """Length and stride of the scoring window."""
        try:
            options.check(self.config)
        except ValueError as error:
            raise BenchError(f"transformer_lm: {error}") from error
        context = options.context or self.config.context
        return context, options.stride or max(1, context // 2)

    def log_prob(self, text: str, *, batch_size: int = 64, **options: Any) -> Floats:
        """Nats of each token of ``text``, unknown characters spelled out in bytes.

        Args:
            text: any text; it is taken to follow a blank line.
            batch_size: windows at once; makes no difference beyond rounding.
            options: see :class:`TransformerLMOptions`.
        """
        context, stride = self._window(changed(self.options, options, "transformer_lm"))
        if not text:
            return np.zeros(0)
        ids = self.vocabulary.encode(text)
        stream = np.concatenate([self.vocabulary.encode(_START), ids])
        nats = stream_log_prob(self.decoder, stream, context, stride, batch_size=batch_size, device=self.device)
        spelled: Floats = nats[-len(ids) :] - self.vocabulary.spelling(text)
        return spelled

    def token_bytes(self, text: str) -> Ints:
        """UTF-8 bytes of each token that :meth:`log_prob` scores."""
        return self.vocabulary.lengths(text)

    def attention_maps(self, text: str) -> tuple[list[str], NDArray[np.float32]]:
        """The last ``context`` tokens of ``text`` as strings, and ``(layers, heads, T, T)``: row t is where token t
        looks.

        Raises:
            BenchError: the text is empty.
        """
        ids = self.vocabulary.encode(text)[-self.config.context :]
        if not len(ids):
            raise BenchError("attention maps need a text of at least one token")
        with torch.inference_mode():
            maps = self.decoder.attention_maps(torch.from_numpy(ids).to(self.device)).float().cpu().numpy()
        return ["�" if token == UNKNOWN else self.vocabulary.decode([token]) for token in ids.tolist()], maps

    def distribution(self, context: str) -> Floats:
        """Probability of every character of the vocabulary after ``context``, entry 0 the escape: ``(V,)``."""
        ids = self.vocabulary.encode(_START + context)[-self.config.context :]
        with torch.inference_mode():
            logits = self.decoder(torch.from_numpy(ids)[None].to(self.device))[0, -1]
        found: Floats = logits.double().softmax(-1).cpu().numpy()
        return found

    def sample(self, n_chars: int, seed: int, prompt: str = "", **options: Any) -> str:
        """``n_chars`` characters that continue ``prompt``, or a blank line if there is none (see
        :meth:`sample_batch`)."""
        return self.sample_batch(n_chars, [seed], [prompt], **options)[0]

    def sample_batch(self, n_chars: int, seeds: Sequence[int], prompts: Sequence[str], **options: Any) -> list[str]:
        """A continuation of each prompt; item i depends on its own seed and prompt alone.

        Computed in float64, where the order of summation, which changes with the batch, cannot tip a draw in practice.

        Args:
            n_chars: characters of each continuation.
            seeds: one for each item.
            prompts: one for each item; the end of one longer than the context counts.
            options: see :class:`TransformerLMOptions`.
        """
        chosen = changed(self.options, options, "transformer_lm")
        texts = [""] * len(prompts)
        encoded = [self.vocabulary.encode(prompt or _START)[-self.config.context :] for prompt in prompts]
        for length in sorted({len(ids) for ids in encoded}):
            rows = [i for i, ids in enumerate(encoded) if len(ids) == length]
            start = np.stack([encoded[i] for i in rows])
            rngs = [np.random.default_rng(seeds[i]) for i in rows]
            drawn: list[list[int]] = [[] for _ in rows]
            drawing = continuations(
                self.decoder,
                start,
                rngs,
                self.config.context,
                temperature=chosen.temperature,
                top_k=chosen.top_k,
                top_p=chosen.top_p,
                barred=UNKNOWN,  # the escape has no letter to show
            )
            for step, tokens in enumerate(drawing, 1):
                for ids, token in zip(drawn, tokens, strict=True):
                    ids.append(token)
                # A character is one token; of others it is not known beforehand how many are needed (four bytes make a
                # character).
                if step >= 4 * n_chars or (
                    step >= n_chars if self.config.unit == "characters" else self._long_enough(drawn, step, n_chars)
                ):
                    break
            for i, ids in zip(rows, drawn, strict=True):
                texts[i] = self.vocabulary.decode(ids)[:n_chars]
        return texts

    def _long_enough(self, drawn: Sequence[Sequence[int]], step: int, n_chars: int) -> bool:
        return (
            self.config.unit != "characters"
            and step % 16 == 0
            and all(len(self.vocabulary.decode(ids)) >= n_chars for ids in drawn)
        )

    def save(self, folder: Path) -> None:
        """``decoder.safetensors`` and ``vocabulary.npz``."""
        save_module(self.decoder, folder / "decoder.safetensors")
        write_npz(folder / "vocabulary.npz", {"vocabulary": self.vocabulary.to_bytes()})

    @classmethod
    def load(cls, folder: Path, config: TransformerLMConfig, device: str = "cpu") -> TransformerLM:
        """The inverse of :meth:`save`."""
        path = folder / "vocabulary.npz"
        if not path.is_file():
            raise BenchError(f"no vocabulary at {path}: run `dvc repro` first")
        model = cls(config)
        with np.load(path, allow_pickle=False) as file:
            decoder = model._build(restore_tokens(config.unit, file["vocabulary"]), device)
        load_module(decoder, folder / "decoder.safetensors")
        decoder.eval()
        return model
