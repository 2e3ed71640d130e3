"""Several trainings of one kind of language model that differ in what a claim is about: positions, sizes, shares of the
data.

Every *arm* has the settings of ``base`` with changes of its own, sees the same data in the same order (the same seed),
and comes out as a variant of the table (``arm=rotary``). What is swept when scoring (the length of the context, the
mixture) is a variant as well.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from bench.autoregressive.decoding import WindowOptions
from bench.base.errors import BenchError, did_you_mean
from bench.base.files import read_json, write_json
from bench.base.settings import Checked, Range
from bench.config.load import TrainConfig
from bench.contracts import RunContext
from bench.families.words.neural_lm import NeuralLM
from bench.families.words.transformer_lm import TransformerLM
from bench.registry import build_config

__all__ = ["MEMBERS", "ModelSeries", "ModelSeriesConfig"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MEMBERS: Mapping[str, type[TransformerLM] | type[NeuralLM]] = {"transformer_lm": TransformerLM, "neural_lm": NeuralLM}
_TRAIN = ("steps", "batch_size", "lr")


@dataclass(frozen=True)
class _Share(Checked):
    """Part of the training text."""

    share: Annotated[float, Range(above=0, high=1)] = 1.0


@dataclass(frozen=True)
class ModelSeriesConfig(Checked):
    """What is trained.

    Attributes:
        member: ``transformer_lm`` or ``neural_lm``.
        base: settings that all arms share.
        arms: name -> changed settings; ``share`` is the part of the training text that the arm sees (its beginning),
            and ``steps``, ``batch_size`` and ``lr`` change the training, everything else the model.
    """

    member: Literal["transformer_lm", "neural_lm"] = "transformer_lm"
    base: Mapping[str, Any] = field(default_factory=dict)
    arms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.arms:
            raise ValueError("arms: at least one is needed")
        for arm, changes in self.arms.items():
            try:
                self.config(arm)
                build_config(TrainConfig, {key: changes[key] for key in _TRAIN if key in changes}, f"arms.{arm}")
                build_config(_Share, {key: changes[key] for key in ("share",) if key in changes}, f"arms.{arm}")
            except BenchError as error:
                raise ValueError(str(error)) from error

    def config(self, arm: str) -> Any:
        """Settings of the arm's model."""
        changes = {key: value for key, value in self.arms[arm].items() if key not in (*_TRAIN, "share")}
        also = (*_TRAIN, "share")
        return build_config(MEMBERS[self.member].Config, {**self.base, **changes}, f"arms.{arm}", also)

    def arm_of(self, options: Mapping[str, Any]) -> tuple[type, Any, dict[str, Any]]:
        """Class and config of the arm that a variant names (the first without a name), and the options for it.

        Raises:
            ValueError: no such arm, or a window that its model is not scored with.
        """
        rest = dict(options)
        arm = str(rest.pop("arm", next(iter(self.arms))))
        if arm not in self.arms:
            raise ValueError(f"arm: there is no {arm!r}.{did_you_mean(arm, self.arms)}")
        member, config = MEMBERS[self.member], self.config(arm)
        window = {key: rest.pop(key) for key in member.SCORING if key in ("context", "stride") and key in rest}
        try:
            build_config(WindowOptions, window, f"arm {arm}").check(config)
        except BenchError as error:
            raise ValueError(str(error)) from error
        return member, config, rest


class ModelSeries:
    """The trained arms.

    Args:
        config: see :class:`ModelSeriesConfig`.
    """

    Config: ClassVar[type] = ModelSeriesConfig
    CONTRACT: ClassVar[str] = "ModelSeries"
    SCORING: ClassVar[tuple[str, ...]] = ("arm", "context", "stride", "mixture")
    """Options that change probabilities; :meth:`log_prob` takes them."""

    def __init__(self, config: ModelSeriesConfig) -> None:
        self.config = config
        self.models: dict[str, TransformerLM | NeuralLM] = {}
        self.facts: dict[str, dict[str, float]] = {}

    def fit(self, corpus: Mapping[str, str], run: RunContext) -> None:
        """Train every arm on its share of ``corpus["train"]``; the learning curves stand beside each other as
        ``loss_<arm>`` (``loss`` is the first arm's).

        A killed stage goes on with the arm that it was in, if ``checkpoint_every`` divides the steps.
        """
        total: dict[str, float] = {}

        def curve_of(arm: str) -> Callable[[int, Mapping[str, float]], None]:
            def put(step: int, values: Mapping[str, float]) -> None:
                first = arm == next(iter(self.config.arms))
                run.curve(step, {**(values if first else {}), f"loss_{arm}": values.get("loss", math.nan)})

            return put

        for arm, changes in self.config.arms.items():
            share = float(changes.get("share", 1.0))
            text = corpus["train"][: max(2, math.ceil(share * len(corpus["train"])))]
            cost: dict[str, float] = {}
            own = dataclasses.replace(
                run,
                name=f"{run.name}/{arm}",
                train={**run.train, **{key: changes[key] for key in _TRAIN if key in changes}},
                checkpoints=run.checkpoints / arm if run.checkpoints is not None else None,
                curve=curve_of(arm),
                cost=cost,
            )
            model = MEMBERS[self.config.member](self.config.config(arm))
            model.fit({**corpus, "train": text}, own)
            self.models[arm] = model
            tokens = float(len(model.vocabulary.encode(text)))
            self.facts[arm] = {
                "train_tokens": tokens,
                **{key: cost.get(key, 0.0) for key in ("parameters", "train_flops")},
            }
            for key, value in cost.items():
                total[key] = max(total.get(key, 0.0), value) if key == "parameters" else total.get(key, 0.0) + value
        run.cost.update(total)

    def part(self, options: Mapping[str, Any]) -> tuple[TransformerLM | NeuralLM, dict[str, Any]]:
        """The model that ``arm`` names among the options (the first arm without it), and the options that are its own.

        Raises:
            BenchError: no such arm.
        """
        if not self.models:
            raise BenchError("this series is not trained: call fit or load first")
        rest = dict(options)
        name = str(rest.pop("arm", next(iter(self.models))))
        if name not in self.models:
            raise BenchError(f"no arm {name!r}.{did_you_mean(name, self.models)}")
        return self.models[name], rest

    @property
    def vocabulary_name(self) -> str:
        """That of the first arm (a small share of the text may lack some characters)."""
        return self.part({})[0].vocabulary_name

    def log_prob(self, text: str, **options: Any) -> Floats:
        """Nats of each token of ``text`` by one arm; further ``options`` are those of its own ``log_prob``."""
        model, rest = self.part(options)
        return model.log_prob(text, **rest)

    def token_bytes(self, text: str) -> Ints:
        """UTF-8 bytes of each token that the first arm scores."""
        return self.part({})[0].token_bytes(text)

    def distribution(self, context: str) -> Floats:
        """Probability of every token of the first arm's vocabulary after ``context``."""
        return self.part({})[0].distribution(context)

    def sample(self, n_chars: int, seed: int, prompt: str = "", **options: Any) -> str:
        """``n_chars`` characters that continue ``prompt`` (see :meth:`sample_batch`)."""
        return self.sample_batch(n_chars, [seed], [prompt], **options)[0]

    def sample_batch(self, n_chars: int, seeds: Sequence[int], prompts: Sequence[str], **options: Any) -> list[str]:
        """A continuation of each prompt; item i depends on its own seed and prompt alone. The length of the context is
        for scoring."""
        model, rest = self.part({key: value for key, value in options.items() if key not in ("context", "stride")})
        if isinstance(model, TransformerLM):
            return model.sample_batch(n_chars, seeds, prompts, **rest)
        return [model.sample(n_chars, seed, prompt, **rest) for seed, prompt in zip(seeds, prompts, strict=True)]

    def save(self, folder: Path) -> None:
        """A folder for each arm, and ``arms.json``: their order, and of each the tokens seen, parameters, FLOPs."""
        for arm, model in self.models.items():
            (folder / arm).mkdir()
            model.save(folder / arm)
        write_json(folder / "arms.json", {"order": list(self.models), "facts": self.facts})

    @classmethod
    def load(cls, folder: Path, config: ModelSeriesConfig, device: str = "cpu") -> ModelSeries:
        """The inverse of :meth:`save`."""
        series = cls(config)
        if not (folder / "arms.json").is_file():
            raise BenchError(f"no arms at {folder}: run `dvc repro` first")
        described = read_json(folder / "arms.json")
        series.facts = described["facts"]
        for arm in described["order"]:  # a configuration that was read back from JSON has its keys sorted
            series.models[arm] = MEMBERS[config.member].load(folder / arm, config.config(arm), device)
        return series
