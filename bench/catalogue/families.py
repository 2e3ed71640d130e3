"""The table of families: one declaration each, in the order of the leaderboard.

A family is a section of params.yaml, a group of stages and a table of the leaderboard. What its systems must do is said
by *tasks*: a contract, how samples of it are drawn, and which scorers measure them. A system whose class names no
``CONTRACT`` takes the first task of its family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from bench.base.errors import BenchError, did_you_mean
from bench.contracts import DataNeed, ModelNeed, Need, extends

__all__ = ["FAMILIES", "Family", "Task"]


@dataclass(frozen=True)
class Task:
    """What systems of one contract do in the pipeline.

    Attributes:
        contract: name of the Protocol in :mod:`bench.contracts`.
        sampling: module with ``SampleConfig`` and ``sample(context)``; ``""`` where nothing is sampled.
        evaluation: module with ``EvalConfig`` and ``evaluate(context)``.
        kinds: of the data sets that it is trained and scored on.
        roles: what scoring uses besides, by role; the system's own ``NEEDS`` are added.
    """

    contract: str
    sampling: str = ""
    evaluation: str = ""
    kinds: tuple[str, ...] = ()
    roles: Mapping[str, Need] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """A section of params.yaml.

    Attributes:
        name: of the section.
        title: for people.
        tasks: by contract; the first is that of systems that name none.
        samples: ending of the sample files, ``.npz`` (arrays) or ``.jsonl`` (texts); ``""`` where nothing is sampled.
    """

    name: str
    title: str
    tasks: tuple[Task, ...]
    samples: str = ""

    def task(self, contract: str) -> Task:
        """The task of a contract: its own, or that of a contract which it extends.

        Raises:
            BenchError: no system of this contract belongs to the family.
        """
        known = {task.contract: task for task in self.tasks}
        for name in extends(contract):
            if name in known:
                return known[name]
        raise BenchError(f"contract {contract!r} has no task in family {self.name}.{did_you_mean(contract, known)}")


_HERE = "bench.families"
_TEXTS = ("text", "series")
_PICTURES = ("images", "captioned_images", "scenes")
_ENTRIES = (
    Family(
        "words",
        "Words",
        (
            Task("LanguageModel", f"{_HERE}.words.sampling", "bench.evaluation.words", _TEXTS),
            Task("StateModel", f"{_HERE}.words.sampling", "bench.evaluation.markov_chain", _TEXTS),
            Task("ModelSeries", f"{_HERE}.words.sampling", "bench.evaluation.model_series", _TEXTS),
        ),
        samples=".jsonl",
    ),
    Family(
        "text_encoders",
        "Text encoders",
        (
            Task(
                "WordEmbedding",
                evaluation="bench.evaluation.word2vec",
                kinds=("text",),
                roles={"judged_on": DataNeed("word_tests")},
            ),
            Task(
                "MaskedLanguageModel",
                evaluation="bench.evaluation.masked_lm",
                kinds=("text",),
                roles={"judged_on": DataNeed("labelled_texts")},
            ),
        ),
    ),
    Family(
        "by_example",
        "By example",
        (
            Task("Synthesizer", f"{_HERE}.by_example.textures.sampling", "bench.evaluation.by_example", ("textures",)),
            Task(
                "AnalogySolver",
                f"{_HERE}.by_example.analogies.sampling",
                "bench.evaluation.image_analogies",
                ("textures", "pairs"),
            ),
            Task(
                "VideoSynthesizer",
                f"{_HERE}.by_example.video.sampling",
                "bench.evaluation.video_textures",
                ("video",),
            ),
        ),
        samples=".npz",
    ),
    Family(
        "style_transfer",
        "Style transfer",
        (
            Task(
                "Styler",
                f"{_HERE}.style_transfer.sampling",
                "bench.evaluation.style_transfer",
                ("textures",),
                {"network": DataNeed("weights")},
            ),
        ),
        samples=".npz",
    ),
    Family("encoders", "Encoders", (Task("Encoder", evaluation="bench.evaluation.encoders", kinds=_PICTURES),)),
    Family(
        "codecs",
        "Codecs",
        (
            Task(
                "Codec",
                f"{_HERE}.codecs.sampling",
                "bench.evaluation.codecs",
                _PICTURES,
                {"feature_net": ModelNeed("Encoder")},
            ),
        ),
        samples=".npz",
    ),
    Family(
        "images",
        "Images",
        (
            Task(
                "ImageGenerator",
                f"{_HERE}.images.sampling",
                "bench.evaluation.images",
                _PICTURES,
                {"feature_net": ModelNeed("Encoder")},
            ),
        ),
        samples=".npz",
    ),
    Family(
        "text_to_image",
        "Text to image",
        (
            Task(
                "TextToImage",
                f"{_HERE}.text_to_image.sampling",
                "bench.evaluation.text_to_image",
                ("scenes", "captioned_images"),
                {"detector": ModelNeed("Detector"), "scorer": ModelNeed("CaptionEncoder")},
            ),
        ),
        samples=".npz",
    ),
)
FAMILIES: Mapping[str, Family] = MappingProxyType({family.name: family for family in _ENTRIES})
"""Section of params.yaml -> the family."""
