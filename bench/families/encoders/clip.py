"""CLIP: one space for pictures and captions.

Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision": a convolutional image
tower, a causal text transformer read at the end token, both projected and normalised; the loss is the symmetric
cross-entropy of their figure 3 with a learned temperature (InfoNCE, van den Oord et al. 2018, eq. 4, in both
directions). Captions that are equal within a batch are all right answers.

Two instances trained on disjoint halves of the scenes with different seeds play different parts: one conditions a
generator, the other scores it, so that nobody is scored by the model that it was conditioned on.

Must reach, naming colour and digit of single-digit test scenes (80 classes, template ensemble): 90 % seen, 85 % unseen
pairs.
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
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.base.processes import seeded, world_size
from bench.base.seeds import derive, generator
from bench.base.settings import Checked, Count, Natural, Range
from bench.contracts import DataFacts, Images, RunContext
from bench.data.datasets import check_images
from bench.nn.attention import Form, TransformerBlock
from bench.nn.blocks import ConvNormAct, images_to_tensor, in_chunks, ready
from bench.scene_language import MAX_WORDS, VOCABULARY, encode_captions
from bench.training import fit, load_module, save_module

__all__ = ["CLIP", "CLIPConfig", "CLIPModule", "contrastive_loss", "half_of"]


@dataclass(frozen=True)
class CLIPConfig(Checked):
    """Shape of the two towers.

    Attributes:
        dim: size of the shared space.
        widths: channels of the image tower's convolutions; every other one, from the first, halves the picture.
        size: height and width of the pictures.
        text_width: width of the text transformer.
        text_layers: its depth.
        text_heads: its attention heads.
        causal: each word sees only those before it, as in the paper; false lets all words see each other.
        attention: ``explicit`` or ``sdpa``.
        half: train on half ``a`` or ``b`` of the scenes, or on ``all``.
        loss: ``contrastive``, or ``positive_only`` (pull pairs together, push nothing apart: the ablation that
            collapses).
        start_scale: the temperature's inverse at the start.
    """

    dim: Count = 128
    widths: tuple[Count, ...] = (32, 64, 128, 128, 128, 128)
    size: Count = 32
    text_width: Count = 96
    text_layers: Natural = 2
    text_heads: Count = 4
    causal: bool = True
    attention: Form = "explicit"
    half: Literal["a", "b", "all"] = "all"
    loss: Literal["contrastive", "positive_only"] = "contrastive"
    start_scale: Annotated[float, Range(above=0, high=100)] = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.widths:
            raise ValueError("widths: at least one is needed")
        if self.text_width % self.text_heads:
            raise ValueError(f"text_heads: {self.text_heads} do not divide text_width {self.text_width}")

    def check_data(self, facts: DataFacts) -> None:
        """Refuse pictures of another size or in grey."""
        facts.check_equal("size", (self.size, self.size))
        facts.check_equal("channels", 3)


def half_of(count: int, half: str) -> NDArray[np.int64]:
    """Indices of one half of ``count`` items: even or odd places of a fixed shuffle, so ``a`` and ``b`` never share an
    item.

    >>> sorted([*half_of(5, "a").tolist(), *half_of(5, "b").tolist()])
    [0, 1, 2, 3, 4]
    """
    if half == "all":
        return np.arange(count)
    return np.sort(generator("clip", "halves").permutation(count)[0 if half == "a" else 1 :: 2])


def contrastive_loss(images: Tensor, texts: Tensor, scale: Tensor, same: Tensor) -> Tensor:
    """Symmetric cross-entropy over cosine similarities (Radford et al. 2021, figure 3), several right answers sharing
    the target.

    Args:
        images: ``(B, D)`` unit vectors.
        texts: ``(B, D)`` unit vectors.
        scale: inverse temperature.
        same: ``(B, B)`` bool, True where caption j is right for picture i (symmetric, True on the diagonal).
    """
    similarity = scale * images @ texts.T  # (B, B)
    target = same.float() / same.sum(1, keepdim=True)
    return 0.5 * (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target))


class CLIPModule(nn.Module):
    """Both towers and the temperature."""

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        widths, text = config.widths, config.text_width
        self.image_tower = nn.Sequential(
            *(ConvNormAct(a, b, 1 if i % 2 else 2) for i, (a, b) in enumerate(zip((3, *widths), widths, strict=False)))
        )
        side = config.size
        for _ in widths[::2]:
            side = -(-side // 2)
        self.image_projection = nn.Linear(widths[-1] * side * side, config.dim)
        self.words = nn.Embedding(len(VOCABULARY), text)
        self.positions = nn.Parameter(0.02 * torch.randn(MAX_WORDS, text))
        self.blocks = nn.ModuleList(
            TransformerBlock(text, config.text_heads, causal=config.causal, form=config.attention)
            for _ in range(config.text_layers)
        )
        self.text_norm = nn.LayerNorm(text)
        self.text_projection = nn.Linear(text, config.dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(config.start_scale)))
        nn.init.normal_(self.words.weight, std=0.02)

    def embed_images(self, x: Tensor) -> Tensor:
        """``(N, 3, H, W)`` in [-1, 1] to ``(N, dim)`` unit vectors."""
        h = self.image_tower(x)  # (N, 3, H, W) -> (N, C, H/8, W/8)
        return F.normalize(self.image_projection(h.flatten(1)).float(), dim=1)

    def text_states(self, tokens: Tensor) -> Tensor:
        """``(N, T)`` tokens (0 pads) to ``(N, T, text_width)`` states after the last norm."""
        mask = (tokens != 0)[:, None]  # (N, 1, T)
        h: Tensor = self.words(tokens) + self.positions[: tokens.shape[1]]
        for block in self.blocks:
            h = block(h, mask=mask)
        h = self.text_norm(h)
        return h

    def embed_texts(self, tokens: Tensor) -> Tensor:
        """``(N, T)`` tokens to ``(N, dim)`` unit vectors, read at the end token."""
        states = self.text_states(tokens)
        last = (tokens != 0).sum(1) - 1
        end = states[torch.arange(len(tokens), device=tokens.device), last]  # (N, T, W) -> (N, W)
        return F.normalize(self.text_projection(end).float(), dim=1)


class CLIP:
    """CLIP as a system of the ``encoders`` family."""

    Config: ClassVar[type[CLIPConfig]] = CLIPConfig
    CONTRACT: ClassVar[str] = "CaptionEncoder"

    def __init__(self, config: CLIPConfig) -> None:
        self.config = config
        self.device = "cpu"
        self.network = CLIPModule(config)

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Train on the pictures and captions of one half of ``data["train"]``.

        Raises:
            BenchError: the pictures have no captions, or a caption has a word that the vocabulary lacks.
        """
        split = data["train"]
        if split.captions is None:
            raise BenchError(f"{run.name}: clip needs pictures with captions, and this data set has none")
        check_images(self.config, split.images, run.name)
        with seeded(derive(run.seed, "init")):
            self.network = CLIPModule(self.config)
        network = self.network
        index = half_of(len(split.images), self.config.half)
        images, tokens = split.images[index], encode_captions([split.captions[i] for i in index])

        def batches(rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
            picked = rng.integers(0, len(images), size)
            return images_to_tensor(images[picked]), torch.from_numpy(tokens[picked])

        def loss(batch: tuple[Tensor, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
            pictures, words = batch
            image, text = _all(network.embed_images(pictures)), _all(network.embed_texts(words))
            if self.config.loss == "positive_only":
                return {"loss": (1 - (image * text).sum(1)).mean()}
            words = _all(words)
            same = (words[:, None] == words[None]).all(-1)
            scale = network.log_scale.clamp(max=math.log(100.0)).exp()  # section 2.5: at most 100
            return {"loss": contrastive_loss(image, text, scale, same), "scale": scale}

        fit(network, loss, batches, run)
        self._settle(run.device)

    def _settle(self, device: str) -> None:
        self.device = device
        ready(self.network, device)

    def tokenize(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """``(N, T)`` tokens: start, words, end, zeros.

        Raises:
            BenchError: a word outside the vocabulary (with the nearest known one), or too many words.
        """
        return encode_captions(texts)

    def embed_images(self, images: Images) -> NDArray[np.float32]:
        """``(N, dim)`` unit vectors."""
        result: NDArray[np.float32] = (
            in_chunks(self.network.embed_images, images_to_tensor(images, self.device)).cpu().numpy()
        )
        return result

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """``(N, dim)`` unit vectors."""
        result: NDArray[np.float32] = in_chunks(self.network.embed_texts, self._tokens(texts)).cpu().numpy()
        return result

    def text_states(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """What cross-attention reads: states ``(N, T, text_width)`` float32 and mask ``(N, T)`` bool, True at words and
        marks."""
        tokens = self._tokens(prompts)
        return in_chunks(self.network.text_states, tokens), tokens != 0

    def _tokens(self, texts: Sequence[str]) -> Tensor:
        return torch.from_numpy(self.tokenize(texts)).to(self.device)

    def logits(self, images: Images) -> NDArray[np.float32]:
        """CLIP has no fixed classes: compare ``embed_images`` with ``embed_texts`` of the class names."""
        raise NotImplementedError("clip has no fixed classes: compare embed_images with embed_texts")

    def save(self, folder: Path) -> None:
        """``weights.safetensors``."""
        save_module(self.network, folder / "weights.safetensors")

    @classmethod
    def load(cls, folder: Path, config: CLIPConfig, device: str = "cpu") -> CLIP:
        """The inverse of :meth:`save`."""
        system = cls(config)
        load_module(system.network, folder / "weights.safetensors")
        system._settle(device)
        return system


def _all(values: Tensor) -> Tensor:
    """The rows of all processes, with gradients: every process contrasts the whole batch, as one process would."""
    if world_size() == 1:
        return values
    if not values.is_floating_point():
        parts = [torch.empty_like(values) for _ in range(world_size())]
        torch.distributed.all_gather(parts, values)
        return torch.cat(parts)
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(values))  # type: ignore[no-untyped-call]
