"""What scorers of language models share: the prepared text, the settings that change probabilities, copied windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.base.errors import BenchError
from bench.capabilities import Arms
from bench.config.variants import variant_id
from bench.data.datasets import load, load_meta
from bench.metrics.memorisation import TrainingText
from bench.results.records import parse_variant
from bench.scoring import Subject

__all__ = ["Setting", "corpus", "held_out", "held_out_pieces", "is_series", "settings", "training_text"]


@dataclass(frozen=True)
class Setting:
    """A setting of the sweep, as far as it changes probabilities.

    Attributes:
        variant: its canonical text.
        options: of the system's ``log_prob``.
    """

    variant: str
    options: Mapping[str, Any]

    def model(self, system: Any) -> tuple[Any, Mapping[str, Any]]:
        """The model that it is about (an arm, where the block trains several), and the options that are its own."""
        return system.part(self.options) if isinstance(system, Arms) else (system, self.options)


def corpus(subject: Subject) -> Mapping[str, str]:
    """The splits of the block's text or series, read once.

    Raises:
        BenchError: a data set of another kind.
    """

    def read() -> Mapping[str, str]:
        data = load(subject.context.data)
        if not isinstance(data.get("test"), str):
            kind = load_meta(subject.context.data)["kind"]
            raise BenchError(f"{subject.name}: {subject.dataset} is no text but of kind {kind}")
        return data

    return subject.once("corpus", read)


def held_out(subject: Subject) -> str:
    """The test split.

    Raises:
        BenchError: it is empty.
    """
    text = corpus(subject)["test"]
    if not text:
        raise BenchError(f"{subject.name}: the test split of {subject.context.data} is empty")
    return text


def is_series(subject: Subject) -> bool:
    """Whether the data set is a series of states, which has no bytes worth counting."""
    return subject.once("is-series", lambda: bool(load_meta(subject.context.data)["kind"] == "series"))


def settings(subject: Subject) -> list[Setting]:
    """The sampled variants as far as they change probabilities, each once; temperature and the like do not."""
    found: dict[str, Setting] = {}
    for samples in subject.samples:
        names = [name for name in parse_variant(samples.variant) if name in subject.system.SCORING]
        options = {name: samples.info[name] for name in names}
        found.setdefault(variant_id(options), Setting(variant_id(options), options))
    return list(found.values())


def training_text(subject: Subject) -> TrainingText:
    """The training split, prepared for look-ups of copied windows."""
    return subject.once("training-text", lambda: TrainingText(corpus(subject)["train"]))


def held_out_pieces(subject: Subject) -> list[str]:
    """The test split cut into pieces as long as the samples: what nobody copied."""
    length, text = int(subject.samples[0].info["characters"]), held_out(subject)
    return [text[i : i + length] for i in range(0, len(text), length)]
