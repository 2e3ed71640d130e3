"""The contracts that every generator fulfils, and what a stage hands to it (over 350 lines: signatures only).

A *system* is a class registered in :mod:`bench.registry`. The harness builds it from the ``model`` mapping of its
block in ``params.yaml`` (``System.Config(**mapping)``), calls ``fit`` in the train stage, ``save`` afterwards, and in
later stages ``load``. Everything is an array in, an array out; pictures are ``uint8`` of shape ``(N, H, W, C)``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import did_you_mean
from bench.base.seeds import derive

Images = NDArray[np.uint8]
"""``(N, H, W, C)`` uint8, C in {1, 3}."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ModelNeed:
    """A trained model that a system or a scorer uses; the block names it by role.

    Attributes:
        contract: Protocol of this module that the other system must fulfil.
        same_data: whether it must have been trained on the block's own data set.
    """

    contract: str
    same_data: bool = True


@dataclass(frozen=True)
class DataNeed:
    """A further data set that a system or a scorer reads; the block names it by role.

    Attributes:
        kind: of its card.
    """

    kind: str


Need = ModelNeed | DataNeed


@dataclass(frozen=True)
class DataFacts:
    """What is known of a data set: from its card before anything runs, from ``meta.json`` once it is prepared.

    Settings that are :class:`DependsOnData` are asked both times. None means that a fact is not known yet.

    Attributes:
        name: of the data set.
        kind: of its card.
        items: names of its pictures or clips.
        size: height and width of every picture.
        channels: 1 for grey, 3 for colour.
        classes: number of classes.
    """

    name: str
    kind: str
    items: tuple[str, ...] | None = None
    size: tuple[int, int] | None = None
    channels: int | None = None
    classes: int | None = None

    def check_items(self, names: Iterable[str], key: str) -> None:
        """Refuse a name that the data set does not hold.

        Raises:
            ValueError: the key, the name, the nearest one that there is.
        """
        items = self.items
        for name in names if items is not None else ():
            if items is not None and name not in items:
                raise ValueError(f"{key}: {self.name} holds no {name!r}.{did_you_mean(name, items)}")

    def check_multiple(self, factor: int, key: str) -> None:
        """Refuse a network whose halvings do not fit the size of the pictures.

        Raises:
            ValueError: naming both.
        """
        if self.size is not None and any(side % factor for side in self.size):
            height, width = self.size
            raise ValueError(
                f"{key}: pictures of {self.name} are {height}x{width}, and must be multiples of {factor}; `size` in a "
                "card scales them"
            )

    def check_equal(self, name: str, value: Any) -> None:
        """Refuse a setting that contradicts the data.

        Raises:
            ValueError: naming both.
        """
        fact = getattr(self, name)
        if fact is not None and fact != value:
            hint = f"; `{name}` in a card changes its pictures" if name in ("size", "channels") else ""
            raise ValueError(f"{name}: {value} does not fit the data set {self.name}, whose {name} is {fact}{hint}")


@runtime_checkable
class DependsOnData(Protocol):
    """Settings that fit some data sets and not others."""

    def check_data(self, facts: DataFacts) -> None:
        """Refuse a data set that they do not fit.

        Raises:
            ValueError: the key, and what does not fit.
        """


@runtime_checkable
class DependsOnModels(Protocol):
    """Settings that fit some of the models that their system needs and not others."""

    def check_models(self, models: Mapping[str, Any], facts: DataFacts) -> None:
        """Refuse models that they do not fit.

        Args:
            models: role -> settings of the model in it.
            facts: of the data set that all are trained on.

        Raises:
            ValueError: the key, and what does not fit.
        """


@runtime_checkable
class DependsOnSystem(Protocol):
    """Keys of sampling that ask something of the system that not every one can do."""

    def check_system(self, cls: Any) -> None:
        """Refuse a class of systems that cannot do what they ask.

        Raises:
            ValueError: the key, and what the system cannot do.
        """


@runtime_checkable
class DependsOnConfig(Protocol):
    """Options of sampling that go with some configurations of their system and not with others."""

    def check(self, config: Any) -> None:
        """Refuse a configuration that they do not go with.

        Raises:
            ValueError: the key, and what does not go together.
        """


def _ignore(step: int, values: Mapping[str, float]) -> None:
    """The default curve sink: drops the point."""


@dataclass(frozen=True)
class RunContext:
    """What a stage hands to ``fit``: seeds, device, budget, where to keep checkpoints, where curves go.

    Attributes:
        name: the generator's name (its block in ``params.yaml``).
        seed: derived from (global seed, generator, stage) by :func:`bench.base.seeds.derive`.
        global_seed: the run's own ``seed:``, for what several generators share: :meth:`shared_seed`.
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:0"``; already resolved from ``auto``.
        train: the block's ``train`` mapping (see :class:`bench.training.TrainConfig`); empty for systems without one.
        checkpoints: folder that survives a killed stage, or None for no checkpoints.
        models: folders of the trained generators that this one needs, by role (``{"codec": Path(...)}``).
        data: folders of the further prepared data sets that the block names, by role (``{"network": Path(...)}``).
        curve: called as ``curve(step, {"loss": 0.3, ...})`` at every logged step.
        cost: filled in by ``fit``: ``train_flops``, ``parameters``, ``images_seen`` and the like.
        quiet: no progress bar.
    """

    name: str = "unnamed"
    seed: int = 0
    device: str = "cpu"
    train: Mapping[str, Any] = field(default_factory=dict)
    checkpoints: Path | None = None
    models: Mapping[str, Path] = field(default_factory=dict)
    data: Mapping[str, Path] = field(default_factory=dict)
    curve: Callable[[int, Mapping[str, float]], None] = _ignore
    cost: dict[str, float] = field(default_factory=dict)
    quiet: bool = True
    global_seed: int = 0

    def shared_seed(self, group: str) -> int:
        """A seed for all generators that name the same group; another global seed redraws it."""
        return derive(self.global_seed, "group", group)


@runtime_checkable
class System(Protocol):
    """What the harness needs of every system, whatever its family."""

    Config: ClassVar[type]
    """Frozen dataclass of the hyper-parameters: the keys allowed under ``model:`` in params.yaml.

    Some class attributes are optional. ``SampleOptions`` is a frozen dataclass of the options of sampling: the keys of
    a variant, of ``sample.defaults`` and of ``-o``. Where ``Config`` is or derives from it, an option replaces the
    config's own value; where the two may clash it is a :class:`DependsOnConfig`. Without it there are no options.
    ``NEEDS: Mapping[str, Need]`` names, by role, the trained models and data sets that training and sampling use; each
    becomes a key of the block and a dependency of its stages. ``CONTRACT`` names the contract, where it is not the
    first of the family. ``FILES`` names the settings that are paths of files of the user's: the train stage depends on
    them. ``SAMPLING`` names a module with ``SampleConfig`` and ``sample(context)``, where the family's own way of
    sampling does not apply. ``MODEL = False`` says that there is nothing but samples: scorers that ask the model itself
    are left out.
    """

    def save(self, folder: Path) -> None:
        """Write weights (safetensors or npz, never pickle) and nothing time-dependent into ``folder``."""

    @classmethod
    def load(cls, folder: Path, config: Any, device: str = "cpu") -> System:
        """The inverse of ``save``; ``config`` is an instance of ``Config``."""


@runtime_checkable
class Trainable(Protocol):
    """Capability: it learns from data. Systems without it (textures by example) are set up by their settings alone."""

    def fit(self, data: Any, run: RunContext) -> None:
        """Train on ``data["train"]``."""


@runtime_checkable
class Attachable(Protocol):
    """Capability: it works with other trained models, which the harness hands over after ``load``."""

    def attach(self, models: Mapping[str, Path]) -> None:
        """Load the models in the given folders, by role."""


@runtime_checkable
class Adjustable(Protocol):
    """Capability: settings of sampling with defaults of their own, which training does not depend on.

    The block's ``sample.defaults`` change ``options``; the keywords of a single call change them again.
    """

    SampleOptions: ClassVar[type]
    """Frozen dataclass of the settings."""

    options: Any
    """The instance in force."""


@runtime_checkable
class LanguageModel(System, Protocol):
    """Probability of text, and text from probability."""

    SCORING: ClassVar[tuple[str, ...]]
    """Options that change probabilities; ``log_prob`` takes them as keywords."""

    @property
    def vocabulary_name(self) -> str:
        """Names what a token is (``characters-92``); perplexities of different vocabularies do not compare."""

    def fit(self, corpus: Mapping[str, str], run: RunContext) -> None:
        """Train on ``corpus["train"]``; ``corpus["validation"]`` is for selection only."""

    def log_prob(self, text: str) -> Floats:
        """Natural log-probability of each token of ``text``; the sum covers every byte of the text."""

    def token_bytes(self, text: str) -> Ints:
        """UTF-8 bytes of each token that ``log_prob`` scores; they sum to the bytes of ``text``."""

    def sample(self, n_chars: int, seed: int, prompt: str = "", **options: Any) -> str:
        """``n_chars`` characters that continue ``prompt`` (which is not repeated)."""


@runtime_checkable
class Synthesizer(System, Protocol):
    """Pictures from one exemplar, without training."""

    def synthesize(
        self,
        exemplar: NDArray[np.uint8],
        size: tuple[int, int],
        seed: int,
        *,
        initial: NDArray[np.uint8] | None = None,
        mask: NDArray[np.bool_] | None = None,
        **options: Any,
    ) -> NDArray[np.uint8]:
        """A picture of ``size`` (height, width) like ``exemplar`` ((H, W) or (H, W, 3)).

        ``initial`` with ``mask`` (True = known) asks for hole filling; a larger canvas with a known middle asks for
        extrapolation.
        """


@runtime_checkable
class StateModel(LanguageModel, Protocol):
    """A language model whose next state depends on a fixed number of states before it."""

    @property
    def order(self) -> int:
        """The highest number of earlier states that a prediction looks at."""

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the S known states, in the order of all arrays."""

    def encode(self, text: str) -> Ints:
        """Index of each state of ``text``, -1 for unknown ones."""

    def counts(self, order: int) -> Ints:
        """``(S ** order, S)``: how often each state followed each run of ``order`` states in training."""

    def contexts(self, order: int) -> list[tuple[str, ...]]:
        """The runs of states that the rows of :meth:`counts` stand for."""

    def transition_matrix(self, order: int) -> Floats:
        """``(S ** order, S)``: each row sums to one."""

    def intervals(self, order: int) -> Floats:
        """``(S ** order, S, 2)``: 95 % intervals of the relative frequencies."""

    def stationary(self, order: int) -> Floats:
        """``(S,)``: share of time in each state in the long run."""

    def simulate(self, steps: int, seed: int, order: int) -> Ints:
        """``(steps,)`` indices of states: a run of the chain."""

    def forecast(self, history: Sequence[str], steps: int, order: int) -> Floats:
        """``(steps, S)``: probability of each state 1, 2, ... steps after ``history``."""

    def mean_first_passage(self) -> Floats:
        """``(S, S)``: expected steps of the chain of order 1 until it enters a state; on the diagonal, returns."""


@runtime_checkable
class TextEncoder(System, Protocol):
    """Texts to vectors."""

    def fit(self, corpus: Mapping[str, str], run: RunContext) -> None:
        """Train on ``corpus["train"]``."""

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """``(N, D)`` features."""


@runtime_checkable
class WordEmbedding(TextEncoder, Protocol):
    """A vector for every word of a vocabulary."""

    @property
    def vectors(self) -> Any:
        """The table of words and vectors (:class:`bench.families.text_encoders.word_vectors.WordVectors`)."""


@runtime_checkable
class MaskedLanguageModel(TextEncoder, Protocol):
    """Restores hidden tokens from both sides."""

    @property
    def vocabulary_name(self) -> str:
        """Names what a token is."""

    @property
    def wordpiece(self) -> Any:
        """Its tokens (:class:`bench.families.text_encoders.wordpiece.WordPiece`)."""

    @property
    def shape(self) -> Any:
        """Of the network; ``context`` (tokens seen at once) and ``causal`` are read."""

    @property
    def mask_share(self) -> float:
        """Share of the tokens that were hidden in training."""

    def frame(self, tokens: Ints) -> Ints:
        """``(B, T)`` tokens to ``(B, T + 2)``: the marks of beginning and end around them."""

    def fill(self, inputs: Ints, positions: Ints, *, left_only: bool = False) -> Floats:
        """Log-probabilities of every token at the given positions; ``left_only`` hides what is to the right."""

    def hidden_one_by_one(self, ids: Ints, *, left_only: bool = False) -> Floats:
        """``(T,)`` log-probability of each of some tokens given all others."""

    def pseudo_log_prob(self, text: str, *, left_only: bool = False) -> Floats:
        """The same for the tokens of a text."""

    def cloze(self, text: str, k: int = 5) -> list[list[tuple[str, float]]]:
        """The ``k`` most probable tokens, with their probabilities, for each ``[MASK]`` in ``text``."""


@runtime_checkable
class VideoSynthesizer(System, Protocol):
    """Endless video from one clip."""

    def play(self, frames: NDArray[np.uint8], n: int, seed: int, **options: Any) -> Ints:
        """Indices into ``frames`` (T, H, W, C) of ``n`` frames to show one after another."""


@runtime_checkable
class AnalogySolver(System, Protocol):
    """A is to A' as B is to the answer."""

    def analogy(
        self, a: NDArray[np.uint8], a_prime: NDArray[np.uint8], b: NDArray[np.uint8], seed: int = 0, **options: Any
    ) -> NDArray[np.uint8]:
        """The answer, of the height and width of ``b``."""


@runtime_checkable
class Styler(System, Protocol):
    """The content of one picture in the style of another."""

    def stylise(
        self, content: NDArray[np.uint8], style: NDArray[np.uint8], seed: int = 0, **options: Any
    ) -> NDArray[np.uint8]:
        """A picture of the height and width of ``content``."""


@runtime_checkable
class Encoder(System, Protocol):
    """Pictures (and texts) to vectors. ``embed_texts`` and ``logits`` raise NotImplementedError where not provided."""

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Train on ``data["train"]``, an :class:`bench.data.datasets.ImageSplit`."""

    def embed_images(self, images: Images) -> NDArray[np.float32]:
        """``(N, D)`` features."""

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """``(N, D)`` features in the space of ``embed_images``."""

    def logits(self, images: Images) -> NDArray[np.float32]:
        """``(N, classes)`` unnormalised log-probabilities."""


@runtime_checkable
class CaptionEncoder(Encoder, Protocol):
    """An encoder whose states of a caption, token by token, condition a generator."""

    def text_states(self, prompts: Sequence[str]) -> tuple[Any, Any]:
        """States ``(N, T, D)`` and mask ``(N, T)`` (True: a token of the caption), as tensors."""


@runtime_checkable
class DetectsObjects(Protocol):
    """Capability: finds the digits of a scene."""

    def detect(self, images: Images) -> Any:
        """Count, digit, colour and place of what each scene shows (:class:`bench.metrics.compositional.Detections`)."""


@runtime_checkable
class Detector(Encoder, DetectsObjects, Protocol):
    """An encoder that finds the digits of a scene."""


@runtime_checkable
class Codec(System, Protocol):
    """Pictures to codes and back. ``codebook_size`` is 0 for a continuous codec."""

    codebook_size: int

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None: ...

    def encode(self, images: Images) -> NDArray[Any]:
        """``(N, h, w)`` int64 codes, or ``(N, c, h, w)`` float32 latents for a continuous codec."""

    def decode(self, codes: NDArray[Any]) -> Images: ...


@runtime_checkable
class LatentCodec(Codec, Protocol):
    """A continuous codec that a generator works inside of."""

    def encode_tensor(self, images: Any) -> Any:
        """Images ``(N, C, H, W)`` in -1..1 to latents ``(N, c, h, w)``, as tensors."""

    def decode_tensor(self, latents: Any) -> Any:
        """The inverse."""


@runtime_checkable
class ImageGenerator(System, Protocol):
    """Pictures from noise, optionally of an asked class."""

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None: ...

    def sample(self, n: int, seed: int, labels: Ints | None = None, **options: Any) -> Images:
        """``n`` pictures; item ``i`` depends on (seed, i) alone, never on the batch it was drawn in."""


@runtime_checkable
class TextToImage(System, Protocol):
    """Pictures from captions."""

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None: ...

    def sample(self, prompts: Sequence[str], seed: int, **options: Any) -> Images:
        """One picture for each prompt; item ``i`` depends on (seed, i, prompt i) alone.

        A system that takes negative prompts has the keyword ``negative_prompts``, a sequence of one for each prompt or
        None (:func:`bench.capabilities.takes_negative_prompts`).
        """


def extends(contract: str, module: str = __name__) -> tuple[str, ...]:
    """A contract's name and those of the contracts that it extends, the nearest first.

    Args:
        contract: its name.
        module: where it stands (:attr:`bench.catalogue.families.Family.contracts`).

    >>> extends("LatentCodec")
    ('LatentCodec', 'Codec', 'System')
    """
    found = getattr(importlib.import_module(module), contract, None)
    return tuple(cls.__name__ for cls in getattr(found, "__mro__", ()) if System in cls.__mro__)
