"""Several trainings of one system that differ in what a claim is about: its target, its size, its share of the data.

A block with ``arms:`` names them, each with what it changes in the block's own settings::

    arms:
      rotary: { model: { positions: rotary } }
      narrow: { model: { width: 32 }, train: { steps: 200 } }
      tenth: { share: 0.1 } # of the training data

All arms are trained one after the other with the same seed, so that each is what it would be alone; each has a folder,
a learning curve and costs of its own. The series stands where its system would: every method of the contract takes the
further option ``arm`` (by default the first), so that arms come out as variants (``{arm: rotary, context: 256}``).
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from bench import contracts
from bench.base.errors import BenchError, did_you_mean
from bench.base.files import read_json, write_json
from bench.base.processes import seeded
from bench.base.seeds import generator
from bench.base.settings import Checked, Range
from bench.contracts import RunContext

__all__ = ["Arm", "Series", "series_of"]

_OWN = ("fit", "save", "load", "attach", "part")
_CLOCK = ("seconds", "loop_seconds")


@dataclass(frozen=True)
class Arm(Checked):
    """What one arm changes; the keys under its name in params.yaml.

    Attributes:
        model: changed settings of the block's ``model``.
        train: changed settings of the block's ``train``.
        share: part of the training data that it sees: the beginning of a text, random pictures.
    """

    model: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    share: Annotated[float, Range(above=0, high=1)] = 1.0


@runtime_checkable
class _Divisible(Protocol):
    """A training split of which a part can be taken (:class:`bench.data.datasets.ImageSplit`)."""

    def __len__(self) -> int: ...

    def take(self, indices: Any) -> Any: ...


def _part_of(data: Mapping[str, Any], share: float, seed: int) -> Mapping[str, Any]:
    """The data with a share of its training split: the beginning of a text; of pictures a random part, as data sets
    are often sorted.

    Raises:
        BenchError: there is nothing of which a part could be taken.
    """
    if share == 1:
        return data
    split = data.get("train")
    if isinstance(split, str):
        return {**data, "train": split[: max(2, math.ceil(share * len(split)))]}
    if isinstance(split, _Divisible):
        chosen = generator(seed, "share").permutation(len(split))[: max(1, math.ceil(share * len(split)))]
        return {**data, "train": split.take(np.sort(chosen))}
    raise BenchError("share: this data set has no training split of which a part could be taken")


class Series:
    """The trained arms of a system; made by :func:`series_of`.

    Args:
        configs: arm -> configuration of its system, in order.
        arms: arm -> what it changes in training; not needed to load a trained series.
    """

    SYSTEM: ClassVar[type]
    """What each arm is an instance of."""

    def __init__(self, configs: Mapping[str, Any], arms: Mapping[str, Arm] | None = None) -> None:
        if not configs:
            raise BenchError("arms: at least one is needed")
        self.configs = dict(configs)
        self.arms = {arm: (arms or {}).get(arm, Arm()) for arm in self.configs}
        self.systems: dict[str, Any] = {}
        self.facts: dict[str, dict[str, float]] = {}
        self.costs: dict[str, dict[str, float]] = {}
        """Of each arm what training cost it, seconds included; known after :meth:`fit`."""

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Train every arm; the learning curves stand beside each other as ``loss_<arm>`` (``loss`` is the first
        arm's).

        A killed stage goes on with the arm that it was in, if ``checkpoint_every`` divides the steps.
        """
        first = next(iter(self.configs))
        total: dict[str, float] = {}
        for arm, config in self.configs.items():
            cost: dict[str, float] = {}
            own = dataclasses.replace(
                run,
                name=f"{run.name}/{arm}",
                train={**run.train, **self.arms[arm].train},
                checkpoints=run.checkpoints / arm if run.checkpoints is not None else None,
                curve=_beside(run.curve, arm, first=arm == first),
                cost=cost,
            )
            start = time.monotonic()
            with seeded(run.seed):
                self.systems[arm] = system = self.SYSTEM(config)
                seen = _part_of(data, self.arms[arm].share, run.seed)
                if isinstance(system, contracts.Trainable):
                    system.fit(seen, own)
            self.facts[arm] = {key: value for key, value in cost.items() if key not in _CLOCK}
            seconds = max(time.monotonic() - start, cost.get("loop_seconds", 0.0))  # a resumed arm has a past
            self.costs[arm] = {**self.facts[arm], "seconds": seconds}
            for key, value in cost.items():
                total[key] = max(total.get(key, 0.0), value) if key == "parameters" else total.get(key, 0.0) + value
        run.cost.update(total)

    def part(self, options: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The system that ``arm`` names among the options (the first without it), and the options that are its own.

        Raises:
            BenchError: no such arm.
        """
        if not self.systems:
            raise BenchError("this series is not trained: call fit or load first")
        rest = dict(options)
        name = str(rest.pop("arm", next(iter(self.systems))))
        if name not in self.systems:
            raise BenchError(f"no arm {name!r}.{did_you_mean(name, self.systems)}")
        return self.systems[name], rest

    def attach(self, models: Mapping[str, Path]) -> None:
        """Hand the models that the system needs to every arm."""
        for system in self.systems.values():
            if isinstance(system, contracts.Attachable):
                system.attach(models)

    def __getattr__(self, name: str) -> Any:
        """A plain attribute is that of the first arm. A property that no contract names is not: it would speak of one
        arm's settings as if they were those of all."""
        systems = self.__dict__.get("systems")
        if not systems or name.startswith("__") or isinstance(getattr(self.SYSTEM, name, None), property):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(next(iter(systems.values())), name)

    def save(self, folder: Path) -> None:
        """A folder for each arm, and ``arms.json``: of each the tokens seen, parameters, FLOPs."""
        for arm, system in self.systems.items():
            (folder / arm).mkdir()
            system.save(folder / arm)
        write_json(folder / "arms.json", {"facts": self.facts})

    @classmethod
    def load(cls, folder: Path, config: Mapping[str, Any], device: str = "cpu") -> Series:
        """The inverse of :meth:`save`; ``config`` is that of every arm, in order."""
        if not (folder / "arms.json").is_file():
            raise BenchError(f"no arms at {folder}: run `dvc repro` first")
        series = cls(config)
        series.facts = read_json(folder / "arms.json")["facts"]
        loader = cls.SYSTEM.load  # type: ignore[attr-defined]
        series.systems = {arm: loader(folder / arm, own, device) for arm, own in config.items()}
        return series


def _beside(
    curve: Callable[[int, Mapping[str, float]], None], arm: str, *, first: bool
) -> Callable[[int, Mapping[str, float]], None]:
    """A curve sink that names the arm; the first arm's values also stand under their own names."""

    def put(step: int, values: Mapping[str, float]) -> None:
        curve(step, {**(values if first else {}), f"loss_{arm}": values.get("loss", math.nan)})

    return put


def _forward(name: str) -> Callable[..., Any]:
    def method(self: Series, *arguments: Any, **options: Any) -> Any:
        system, rest = self.part(options)
        return getattr(system, name)(*arguments, **rest)

    method.__name__ = name
    method.__doc__ = f"``{name}`` of the arm that ``arm`` names, by default the first."
    return method


def _of_the_first(name: str) -> property:
    return property(lambda self: getattr(next(iter(self.systems.values())), name), doc=f"``{name}`` of the first arm.")


@cache
def series_of(cls: type) -> type[Series]:
    """The class of series of a system: it has the system's public methods, each with the further option ``arm``, and
    fulfils the same contracts."""
    body: dict[str, Any] = {"SYSTEM": cls, "__doc__": f"Arms of :class:`{cls.__name__}`.", "__module__": __name__}
    for name in dir(cls):
        if name.startswith("_") or name in _OWN:
            continue
        member = getattr(cls, name)
        if isinstance(member, property):
            if name in _contract_properties():
                body[name] = _of_the_first(name)
        else:
            body[name] = _forward(name) if callable(member) and not isinstance(member, type) else member
    if "SCORING" in body:
        body["SCORING"] = ("arm", *body["SCORING"])
    return type(f"{cls.__name__}Series", (Series,), body)


@cache
def _contract_properties() -> frozenset[str]:
    """Properties that some contract asks for."""
    protocols = [one for one in vars(contracts).values() if contracts.System in getattr(one, "__mro__", ())]
    return frozenset(name for one in protocols for name, member in vars(one).items() if isinstance(member, property))
