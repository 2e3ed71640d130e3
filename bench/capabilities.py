"""Optional capabilities: what some systems can do beyond the contract of their family.

Sampling and scorers ask ``isinstance(system, Capability)`` and make do with the contract alone where the answer is no.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bench.contracts import Adjustable, AnalogySolver, Floats, Images, Ints, Styler, Synthesizer, VideoSynthesizer

__all__ = [
    "Arms",
    "AttentionMaps",
    "BatchSampler",
    "CopyingSolver",
    "FineTunable",
    "GrowingSynthesizer",
    "HasNote",
    "IterativeStyler",
    "JumpSettings",
    "JumpTable",
    "PairCounts",
    "PairModel",
    "PixelTwin",
    "StripSampler",
    "TransitionModel",
    "takes_negative_prompts",
]


def takes_negative_prompts(cls: Any) -> bool:
    """Whether a class of :class:`bench.contracts.TextToImage` pushes its pictures away from what a negative prompt
    names; a floor would draw the same picture."""
    system = getattr(cls, "SYSTEM", cls)  # of a series of arms
    return "negative_prompts" in inspect.signature(system.sample).parameters


@runtime_checkable
class GrowingSynthesizer(Synthesizer, Protocol):
    """An optional capability of a Synthesizer: several pictures at once, with the places that pixels came from."""

    def growths(
        self,
        exemplar: NDArray[np.uint8],
        size: tuple[int, int],
        seeds: Sequence[int],
        *,
        initial: Sequence[NDArray[np.uint8]] | None = None,
        mask: NDArray[np.bool_] | None = None,
        progress: Callable[[int], None] | None = None,
        **options: Any,
    ) -> Sequence[Any]:
        """One result for each seed (and content): ``picture``, its ``sources`` (H, W, 2) in the exemplar (row, column;
        -1 for given pixels), and the counted ``operations``."""


class JumpSettings(Protocol):
    """The constants by which a table of jumps was made (Schoedl et al. 2000)."""

    @property
    def sigma(self) -> float: ...

    @property
    def taps(self) -> int: ...

    @property
    def alpha(self) -> float: ...

    @property
    def p(self) -> float: ...

    @property
    def shortest(self) -> int: ...

    @property
    def control(self) -> float: ...


class JumpTable(Protocol):
    """The jumps of one clip: state s is frame ``first + s``; matrices are ``(K, K)``, infinite where there is none."""

    @property
    def config(self) -> JumpSettings: ...

    @property
    def first(self) -> int: ...

    @property
    def scale(self) -> float:
        """Mean non-zero distance of two frames."""

    @property
    def unpruned(self) -> Floats:
        """Cost of every jump."""

    @property
    def costs(self) -> Floats:
        """Cost of the jumps that are kept."""

    @property
    def future(self) -> Floats:
        """Costs with all that follows."""

    @property
    def chances(self) -> Floats:
        """Probabilities; a row of zeros is a dead end."""

    @property
    def open_states(self) -> Ints:
        """States from which a play goes on."""

    @property
    def best_start(self) -> int:
        """Frame from which a play costs least from then on."""

    def __len__(self) -> int: ...

    def plays(self, n: int, seeds: Sequence[int], start: int | None = None, *, cut: bool = True) -> Ints:
        """Frames to show, ``(plays, n)``; a dead end cuts to a random frame, or ends the play with -1."""

    def jump_costs(self, shown: Ints) -> Floats:
        """Cost of each step of a play in mean distances, ``(..., n - 1)``."""


@runtime_checkable
class TransitionModel(VideoSynthesizer, Protocol):
    """An optional capability of a VideoSynthesizer: plays follow transition probabilities that can be looked at."""

    @property
    def has_transitions(self) -> bool:
        """False where the system is configured to play in another way."""

    def configured(self, options: Mapping[str, Any]) -> JumpSettings:
        """The system's settings with some of them replaced."""

    def texture(
        self, clip: str | NDArray[np.uint8], within: tuple[int, int] | None = None, **options: Any
    ) -> JumpTable:
        """The jumps of a clip that it was fitted to, by name, or of frames; ``within``: frames to keep to."""


@runtime_checkable
class CopyingSolver(AnalogySolver, Protocol):
    """An optional capability of an AnalogySolver: several pairs and several B at once, copied pixel by pixel."""

    def solve(
        self,
        pairs: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]],
        pictures: Sequence[NDArray[np.uint8]],
        *,
        progress: Callable[[int], None] | None = None,
        **options: Any,
    ) -> Sequence[Any]:
        """For each B a ``picture``, its ``sources`` (H, W, 3: pair, row, column of A') and where it is ``coherent``."""

    def work(
        self,
        pairs: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]],
        pictures: Sequence[NDArray[np.uint8]],
        **options: Any,
    ) -> int:
        """The total of ``progress``."""


@runtime_checkable
class IterativeStyler(Styler, Protocol):
    """An optional capability of a Styler: pictures made step by step, seen by the layers of a network."""

    @property
    def network(self) -> Any:
        """The network (:class:`bench.nn.features.networks.FeatureNetwork`)."""

    @property
    def config(self) -> Any:
        """Its ``steps`` are those of one picture."""

    def stylise_all(
        self,
        pairs: Sequence[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]],
        seeds: Sequence[int],
        options: Mapping[str, Any],
        workers: int = 1,
        update: Callable[[int], None] | None = None,
    ) -> Sequence[NDArray[np.uint8]]:
        """The picture of each (name, content, style), ``workers`` at a time; ``update(steps)`` is called on the way."""

    def run_frames(
        self,
        content: NDArray[np.uint8],
        style: NDArray[np.uint8],
        seed: int,
        frames: Sequence[int],
        update: Callable[[int], None] | None = None,
    ) -> NDArray[np.uint8]:
        """``(frames, H, W, 3)``: the picture after each number of steps."""


@runtime_checkable
class Arms(Protocol):
    """Optional: several trainings in one block, told apart by ``arm`` in the variant."""

    facts: Any
    """Arm -> ``train_tokens``, ``parameters`` and ``train_flops``."""

    def part(self, options: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The model that ``arm`` names among the options, and the options that are its own."""


@runtime_checkable
class AttentionMaps(Protocol):
    """Optional: shows where each token of a text looks."""

    def attention_maps(self, text: str) -> tuple[list[str], NDArray[np.float32]]:
        """T tokens as strings, and ``(layers, heads, T, T)``: row t is where token t looks."""


@runtime_checkable
class HasNote(Protocol):
    """Optional: says something of its settings that a reader needs beside the numbers."""

    @property
    def note(self) -> str:
        """One sentence for the report."""


@dataclass(frozen=True)
class PairCounts:
    """Pairs of words as skip-gram with negative sampling met them (Mikolov et al. 2013b).

    Attributes:
        met: sparse ``(V, V)``: how often a word (row) has another (column) in its window, in a pass over the text.
        noise: ``(V,)`` distribution of the negatives.
        negatives: k, how many of them a pair has.
        outputs: ``(V, D)`` vectors of words as neighbours.
    """

    met: Any
    noise: Floats
    negatives: int
    outputs: NDArray[np.float32]


@runtime_checkable
class PairModel(Protocol):
    """Optional of a word embedding: it may have learnt a score for every pair of neighbours."""

    def pair_counts(self, text: str, seed: int) -> PairCounts | None:
        """The pairs that it met in the training split ``text``; None if it scores none (CBOW)."""


@runtime_checkable
class FineTunable(Protocol):
    """Optional of a text encoder: a network around :class:`bench.nn.encoder.Encoder`, to be trained on with labels."""

    device: str

    @property
    def network(self) -> Any:
        """The trained module; its ``encoder`` is copied."""

    @property
    def shape(self) -> Any:
        """The encoder's :class:`bench.nn.encoder.EncoderShape`."""

    @property
    def wordpiece(self) -> Any:
        """Its tokens; ``pad`` is the id that fills a row up."""

    def encode(self, texts: Sequence[str], limit: int = 0) -> list[Ints]:
        """The first ``limit`` tokens of each text, with the marks of beginning and end."""

    def pad(self, rows: Sequence[Ints]) -> Ints:
        """``(N, length)``: rows filled up to one length."""


@runtime_checkable
class PixelTwin(Adjustable, Protocol):
    """Capability: a generator in latents whose network can also be built for pixels, to compare the cost of a step.

    Attributes:
        shape: ``(c, h, w)`` of a latent.
        network: what denoises: ``network(x, steps, text states, text mask)``.
        codec: decodes latents.
        text_encoder: gives the text states.
        device: where the network lies.
    """

    shape: tuple[int, ...]
    network: Any
    codec: Any
    text_encoder: Any
    device: str

    def in_pixels(self, channels: int) -> Any:
        """An untrained network of the same widths for images of ``channels`` channels."""


@runtime_checkable
class BatchSampler(Protocol):
    """Capability: continues several texts at once, cheaper than one by one and with the same result."""

    def sample_batch(self, n_chars: int, seeds: Sequence[int], prompts: Sequence[str], **options: Any) -> list[str]:
        """A continuation of each prompt; item i depends on its own seed and prompt alone."""


@runtime_checkable
class StripSampler(Protocol):
    """Capability: shows how a sample comes about."""

    def denoising_strip(self, items: Any, seed: int, frames: int = 8, **options: Any) -> Images:
        """``(N, frames, H, W, C)`` for N labels or prompts: from noise to the sample, which is the last frame."""
