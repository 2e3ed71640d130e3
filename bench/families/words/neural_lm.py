"""The neural probabilistic language model (Bengio et al. 2003): a fixed window, shared word features, one tanh layer,
softmax.

    y = b + W x + U tanh(d + H x),   x = (C(w_{t-1}), ..., C(w_{t-n+1}))          (eq. 1; W = 0 without direct
    connections) P(w_t | w_{t-1}, ..., w_{t-n+1}) = softmax(y)_{w_t}

The table C is shared over the places of the window; ``embedding: 0`` takes one-hot vectors instead, so that H alone
must learn what tokens have in common. The probability may be mixed with that of an interpolated n-gram over the same
tokens (section 5.3 of the paper), with weights found by expectation maximisation on the validation text. What it must
reproduce: shared features beat one-hot, and the mixture beats both of its parts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.autoregressive.decoding import DrawOptions, draw_tokens, filter_logits
from bench.autoregressive.tokens import Tokens, build_tokens, restore_tokens
from bench.autoregressive.vocabulary import UNKNOWN
from bench.base.errors import BenchError, did_you_mean
from bench.base.files import write_npz
from bench.base.processes import seeded
from bench.base.settings import Checked, Count, Natural, Range
from bench.contracts import RunContext
from bench.families.words.counts import GramCounts
from bench.families.words.smoothing import SmoothedModel
from bench.training import fit, load_module, save_module

__all__ = ["MIXTURES", "NeuralLM", "NeuralLMConfig", "WindowNetwork", "mixture_weight"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_START = "\n\n"
MIXTURES = ("none", "ngram", "both")
"""The network alone, the n-gram alone, or their mixture."""


@dataclass(frozen=True)
class NeuralLMConfig(Checked):
    """Hyper-parameters of :class:`NeuralLM`, under the paper's names where it has them.

    Attributes:
        window: n - 1, tokens before the one that is predicted.
        embedding: m, features of a token; 0 for one-hot vectors.
        hidden: h, units of the tanh layer.
        direct: W, connections from the features to the softmax.
        unit: ``characters`` or ``bpe``.
        vocabulary: size of a BPE vocabulary.
        mixture_order: order of the modified Kneser-Ney n-gram to mix with; 0 for none.
    """

    window: Count = 5
    embedding: Natural = 64
    hidden: Count = 256
    direct: bool = False
    unit: Literal["characters", "bpe"] = "bpe"
    vocabulary: Annotated[int, Range(low=300)] = 1024  # 256 bytes and some merges
    mixture_order: Natural = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.direct and not self.embedding:
            raise ValueError("direct: connections go from the features, and need an embedding")


@dataclass(frozen=True)
class NeuralLMOptions(DrawOptions):
    """How tokens are drawn (:class:`bench.autoregressive.decoding.DrawOptions`), and by which model.

    Attributes:
        mixture: the network alone (``none``), the n-gram alone, or their mixture.
    """

    mixture: Literal["none", "ngram", "both"] = "none"

    def check(self, config: NeuralLMConfig) -> None:
        """Refuse the n-gram of a model that has none."""
        if self.mixture != "none" and not config.mixture_order:
            raise ValueError(f"mixture: {self.mixture} needs the n-gram of `model: {{mixture_order: ...}}`")


class WindowNetwork(nn.Module):
    """Eq. 1 of the paper.

    Args:
        size: vocabulary size V.
        config: see :class:`NeuralLMConfig`.
    """

    places: Tensor

    def __init__(self, size: int, config: NeuralLMConfig) -> None:
        super().__init__()
        self.window = config.window
        if config.embedding:
            self.features: nn.Embedding | None = nn.Embedding(size, config.embedding)  # C
            self.hidden = nn.Linear(config.window * config.embedding, config.hidden)  # H, d
            nn.init.normal_(self.features.weight, std=0.1)
        else:  # H times a one-hot vector is a column of H: looked up, not multiplied
            self.features = None
            self.columns = nn.EmbeddingBag(config.window * size, config.hidden, mode="sum")
            self.bias = nn.Parameter(torch.zeros(config.hidden))
            nn.init.normal_(self.columns.weight, std=1 / math.sqrt(config.window))
        self.out = nn.Linear(config.hidden, size)  # U, b
        self.direct = nn.Linear(config.window * config.embedding, size, bias=False) if config.direct else None  # W
        self.register_buffer("places", torch.arange(config.window) * size, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(B, window)`` ids, the newest last, to ``(B, V)`` logits."""
        if self.features is None:
            return self.out(torch.tanh(self.columns(tokens + self.places) + self.bias))  # type: ignore[no-any-return]
        x = self.features(tokens).flatten(1)  # (B, window * m)
        y: Tensor = self.out(torch.tanh(self.hidden(x)))
        return y if self.direct is None else y + self.direct(x)


def mixture_weight(first: Floats, second: Floats, steps: int = 100) -> float:
    """Weight of ``first`` in the mixture of two models that gives a text the highest likelihood, by expectation
    maximisation.

    Args:
        first, second: probability that each model gives each token.
        steps: iterations; each raises the likelihood, which has a single maximum.

    >>> round(mixture_weight(np.array([0.9, 0.9, 0.1]), np.array([0.1, 0.1, 0.9])), 3)
    0.708
    """
    weight = 0.5
    for _ in range(steps):
        share = weight * first
        weight = float((share / (share + (1 - weight) * second)).mean())
    return weight


class NeuralLM:
    """The language model around :class:`WindowNetwork`.

    Args:
        config: see :class:`NeuralLMConfig`.
    """

    Config: ClassVar[type] = NeuralLMConfig
    SampleOptions: ClassVar[type] = NeuralLMOptions
    SCORING: ClassVar[tuple[str, ...]] = ("mixture",)
    """Options that change probabilities; :meth:`log_prob` takes them."""

    def __init__(self, config: NeuralLMConfig) -> None:
        self.config = config
        self.device = "cpu"
        self.weight = 1.0
        self._vocabulary: Tokens | None = None
        self._network: WindowNetwork | None = None
        self._ngram: SmoothedModel | None = None

    @property
    def vocabulary(self) -> Tokens:
        """Known tokens; id 0 is the escape."""
        if self._vocabulary is None:
            raise BenchError("this neural language model is not trained: call fit or load first")
        return self._vocabulary

    @property
    def network(self) -> WindowNetwork:
        """The network."""
        if self._network is None:
            raise BenchError("this neural language model is not trained: call fit or load first")
        return self._network

    @property
    def vocabulary_name(self) -> str:
        """For the protocol of perplexity per token, e.g. ``bpe-1024``."""
        return f"{self.vocabulary.name}-{len(self.vocabulary)}"

    def _build(self, vocabulary: Tokens, device: str, seed: int = 0) -> WindowNetwork:
        self._vocabulary, self.device = vocabulary, device
        with seeded(seed):
            self._network = WindowNetwork(len(vocabulary), self.config).to(device)
        return self._network

    def fit(self, corpus: Mapping[str, str], run: RunContext) -> None:
        """Minimise the cross-entropy of random places of ``corpus["train"]``; the mixture's weight comes from
        ``corpus["validation"]``.

        Raises:
            BenchError: the training text is not longer than the window.
        """
        text = corpus["train"]
        network = self._build(build_tokens(self.config.unit, text, self.config.vocabulary), run.device, run.seed)
        tokens = self.vocabulary.encode(text)
        window = self.config.window
        if len(tokens) <= window:
            raise BenchError(
                f"{run.name}: a training text of {len(tokens)} tokens is no longer than the window of {window}: "
                "give more"
            )
        offsets = np.arange(window + 1)

        def batches(rng: np.random.Generator, batch_size: int) -> Ints:
            stretches: Ints = tokens[rng.integers(0, len(tokens) - window, batch_size)[:, None] + offsets]
            return stretches

        def loss(batch: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
            nats = F.cross_entropy(network(batch[:, :-1]).float(), batch[:, -1])
            return {"loss": nats, "bits_per_token": nats.detach() / math.log(2)}

        fit(network, loss, batches, run)
        run.cost.update({"tokens_seen": run.cost["images_seen"], "train_tokens": float(len(tokens))})
        if self.config.mixture_order:
            self._ngram = SmoothedModel(
                GramCounts.count(tokens, len(self.vocabulary), self.config.mixture_order),
                [1.0] * self.config.mixture_order,
            )
            held_out = corpus.get("validation") or text
            network.eval()
            self.weight = mixture_weight(self._probabilities(held_out, "none"), self._probabilities(held_out, "ngram"))

    def _probabilities(self, text: str, mixture: str, batch_size: int = 4096) -> Floats:
        """Probability of each token of ``text``, which is taken to follow a blank line."""
        start = self.vocabulary.encode(_START)
        ids = self.vocabulary.encode(text)
        if mixture != "none" and self._ngram is None:
            raise BenchError("this model has no n-gram to mix with: set `model: {mixture_order: 4}` and train again")
        if mixture == "ngram":
            assert self._ngram is not None
            stream = np.concatenate([start, ids])
            counted: Floats = self._ngram.probabilities(stream, self.config.mixture_order, "modified_kneser_ney")[
                len(start) :
            ]
            return counted
        if mixture == "both":
            first, second = (self._probabilities(text, part, batch_size) for part in ("none", "ngram"))
            return self.weight * first + (1 - self.weight) * second
        padding = np.full(max(0, self.config.window - len(start)), start[0])
        stream = np.concatenate([padding, start, ids])
        first_place = len(stream) - len(ids)
        found = np.empty(len(ids))
        for i in range(0, len(ids), batch_size):
            places = np.arange(i, min(i + batch_size, len(ids))) + first_place
            batch = torch.from_numpy(stream[places[:, None] + np.arange(-self.config.window, 0)]).to(self.device)
            with torch.inference_mode():
                p = self.network(batch).double().softmax(-1)
                found[places - first_place] = (
                    p.gather(-1, torch.from_numpy(stream[places, None]).to(self.device))[:, 0].cpu().numpy()
                )
        return found

    def log_prob(self, text: str, mixture: str = "none") -> Floats:
        """Nats of each token of ``text``, unknown characters spelled out in bytes.

        Args:
            text: any text; it is taken to follow a blank line.
            mixture: ``none`` (the network alone), ``ngram`` (the n-gram alone) or ``both``.

        Raises:
            BenchError: unknown mixture, or no n-gram was trained.
        """
        if mixture not in MIXTURES:
            raise BenchError(f"unknown mixture {mixture!r}.{did_you_mean(mixture, MIXTURES)}")
        if not text:
            return np.zeros(0)
        nats: Floats = np.log(self._probabilities(text, mixture)) - self.vocabulary.spelling(text)
        return nats

    def token_bytes(self, text: str) -> Ints:
        """UTF-8 bytes of each token that :meth:`log_prob` scores."""
        return self.vocabulary.lengths(text)

    def distribution(self, context: str, mixture: str = "none") -> Floats:
        """Probability of every token of the vocabulary after ``context``, entry 0 the escape: ``(V,)``."""
        if mixture not in MIXTURES:
            raise BenchError(f"unknown mixture {mixture!r}.{did_you_mean(mixture, MIXTURES)}")
        return self._next(list(self._context(context)), mixture)

    def _context(self, prompt: str) -> Ints:
        ids = np.concatenate([self.vocabulary.encode(_START), self.vocabulary.encode(prompt)])
        short = max(0, self.config.window - len(ids))
        return np.concatenate([np.full(short, ids[0]), ids])

    def _next(self, ids: list[int], mixture: str) -> Floats:
        parts = []
        if mixture != "ngram":
            batch = torch.tensor([ids[-self.config.window :]], device=self.device)
            with torch.inference_mode():
                network: Floats = self.network(batch)[0].double().softmax(-1).cpu().numpy()
            parts.append((self.weight if mixture == "both" else 1.0, network))
        if mixture != "none":
            if self._ngram is None:
                raise BenchError(
                    "this model has no n-gram to mix with: set `model: {mixture_order: 4}` and train again"
                )
            context = np.array(
                ids[-(self.config.mixture_order - 1) :] if self.config.mixture_order > 1 else [], dtype=np.int64
            )
            counted = self._ngram.distribution(context, self.config.mixture_order, "modified_kneser_ney")
            parts.append((1 - self.weight if mixture == "both" else 1.0, counted))
        mixed: Floats = np.sum([weight * p for weight, p in parts], axis=0)
        return mixed

    def sample(
        self,
        n_chars: int,
        seed: int,
        prompt: str = "",
        *,
        mixture: str = "none",
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
    ) -> str:
        """``n_chars`` characters that continue ``prompt``, or a blank line if there is none.

        Args:
            n_chars: characters of the continuation.
            seed: the same seed gives the same text.
            prompt: what it continues.
            mixture: see :meth:`log_prob`.
            temperature: see :func:`bench.autoregressive.decoding.filter_logits`, likewise ``top_k`` and ``top_p``.
        """
        if mixture not in MIXTURES:
            raise BenchError(f"unknown mixture {mixture!r}.{did_you_mean(mixture, MIXTURES)}")
        rng = np.random.default_rng(seed)
        ids = [int(i) for i in self._context(prompt)]
        start = len(ids)
        per_token = 1 if self.config.unit == "characters" else 4
        while len(ids) - start < n_chars * per_token:
            logits = np.log(np.maximum(self._next(ids, mixture), 1e-300))[None]
            logits[:, UNKNOWN] = -math.inf  # the escape has no letter to show
            ids.append(int(draw_tokens(filter_logits(logits, temperature, top_k, top_p), rng.random(1))[0]))
            if (len(ids) - start) % 16 == 0 and len(self.vocabulary.decode(ids[start:])) >= n_chars:
                break
        return self.vocabulary.decode(ids[start:])[:n_chars]

    def save(self, folder: Path) -> None:
        """``network.safetensors``, ``vocabulary.npz`` (with the mixture's weight) and the n-gram's counts."""
        save_module(self.network, folder / "network.safetensors")
        write_npz(
            folder / "vocabulary.npz", {"vocabulary": self.vocabulary.to_bytes(), "weight": np.array(self.weight)}
        )
        if self._ngram is not None:
            write_npz(folder / "ngram.npz", self._ngram.counts.to_arrays())

    @classmethod
    def load(cls, folder: Path, config: NeuralLMConfig, device: str = "cpu") -> NeuralLM:
        """The inverse of :meth:`save`."""
        path = folder / "vocabulary.npz"
        if not path.is_file():
            raise BenchError(f"no vocabulary at {path}: run `dvc repro` first")
        model = cls(config)
        with np.load(path, allow_pickle=False) as file:
            network = model._build(restore_tokens(config.unit, file["vocabulary"]), device)
            model.weight = float(file["weight"])
        load_module(network, folder / "network.safetensors")
        network.eval()
        if (folder / "ngram.npz").is_file():
            with np.load(folder / "ngram.npz", allow_pickle=False) as file:
                model._ngram = SmoothedModel(GramCounts.from_arrays(dict(file)), [1.0] * config.mixture_order)
        return model
